/* Options: the settings' table and the command's own few, given to argp. */
#include "command.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const extra_option extra_table[] = {
    {"output", 'o', "FILE",
     "model file to write (.safetensors); of an experiment: the folder (default: FILE's name without .ini)",
     offsetof(extras, output), 0},
    {"overwrite", 0, NULL, "replace files that exist", offsetof(extras, overwrite), 0},
    {"no-curves", 0, NULL, "do not draw the curves", offsetof(extras, no_curves), 0},
    {"classes", 0, "N", "classes of the task a model line is for (default: what its last layer says, or 2)",
     offsetof(extras, classes), 0},
    {"top", 'k', "K", "print the K most probable labels (default: 1)", offsetof(extras, top), 0},
    {"logits", 0, NULL, "with --json: print the network's raw outputs too", offsetof(extras, logits), 0},
    {"with", 0, "MODEL",
     "another model, trained on the same labels: average its probabilities with the first one's; may be given several "
     "times",
     offsetof(extras, with), 1},
    {"backends", 0, "LIST",
     "backends to check, each NAME or NAME=VARIANT of the LSTM (default: cpu, and cuda if usable)",
     offsetof(extras, backends), 0},
    {"samples", 0, "N", "elements of a tensor to take differences of (default: 64)", offsetof(extras, samples), 0},
    {"train", 0, "N", "compare N steps of training as well (default: 0)", offsetof(extras, train), 0},
    {"inject", 0, "TENSOR", "falsify one element of that tensor's gradient, to see the check fail",
     offsetof(extras, inject), 0},
    {"seeds", 0, "N", "train each row with N seeds, whatever the file says", offsetof(extras, seeds), 0},
    {"only", 0, "ROW", "train this row alone; may be given several times", offsetof(extras, only), 1},
    {"data-dir", 0, "DIR", "look for the data there (default: the file's own folder)", offsetof(extras, data_dir), 0},
    {"list", 0, NULL, "check every row and list them, without training", offsetof(extras, list), 0},
    {"force", 0, NULL, "train finished rows again", offsetof(extras, force), 0},
    {"json", 0, NULL, "print one JSON object on standard output", offsetof(extras, json), 0},
    {"quiet", 'q', NULL, "print nothing but results and errors", offsetof(extras, quiet), 0},
};
enum { EXTRAS = sizeof extra_table / sizeof *extra_table, KEY_SETTING = 1000, KEY_EXTRA = 2000, TEXT_SIZE = 256 };

const extra_option *extra_options(size_t *count) {
    *count = EXTRAS;
    return extra_table;
}

int has_word(const char *words, const char *word) {
    size_t n = strlen(word);
    for (const char *at = words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strncmp(at, word, n) == 0 && (at[n] == '|' || at[n] == '\0'))
            return 1;
    return 0;
}

static void append_text(text_list *list, const char *text, struct argp_state *state) {
    if (list->count == sizeof list->items / sizeof *list->items)
        argp_error(state, "the option is given too often, from '%s' on", text);
    list->items[list->count++] = text;
}

static error_t parse_one(int key, char *argument, struct argp_state *state) {
    invocation *in = state->input;
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    if (key >= KEY_SETTING && key < KEY_SETTING + (int)count) {
        crs_error error;
        char text[1024];
        const crs_setting *row = &settings[key - KEY_SETTING];
        if (crs_config_set(&in->config, row->name, argument, &error) != CRS_OK) {
            fprintf(stderr, "carousel: %s\n", crs_error_text(&error, text, sizeof text));
            exit(EXIT_USAGE);
        }
        in->given[key - KEY_SETTING] = 1;
        return 0;
    }
    for (size_t i = 0; i < EXTRAS; i++)
        if (key == (extra_table[i].letter ? extra_table[i].letter : KEY_EXTRA + (int)i)) {
            char *field = (char *)&in->extras + extra_table[i].offset;
            if (extra_table[i].is_list)
                append_text((text_list *)field, argument, state);
            else if (extra_table[i].argument)
                memcpy(field, &argument, sizeof argument);
            else
                memcpy(field, &(int){1}, sizeof(int));
            return 0;
        }
    switch (key) {
    case ARGP_KEY_ARG:
        if (in->argument_count >= in->command->most)
            argp_error(state, "too many arguments, from '%s' on", argument);
        in->arguments[in->argument_count++] = argument;
        return 0;
    case ARGP_KEY_END:
        if (in->argument_count < in->command->least)
            argp_error(state, "expected %s", in->command->arguments);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* argp wants every help text ready; they live until the process ends or parsing is over. */
static const char *setting_help(const crs_setting *row, char *text) {
    const char *fallback = row->fallback[0] ? row->fallback : "none";
    if (strcmp(row->name, "filters") == 0) /* Keras' list ends in a TAB and a newline, which would tear the page */
        fallback = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~ TAB NEWLINE";
    snprintf(text, TEXT_SIZE, "%s (default: %s)", row->help, fallback);
    return text;
}

/* A switch named without a value is on: "--skip-bad" becomes "--skip-bad=on" where neither on nor off follows. getopt
 * knows values that must stand behind a space, or values that must not, but not both. Returns argv with such words
 * replaced (the caller frees it, once the arguments are parsed); NULL: out of memory. */
static char **complete_switches(int argc, char **argv) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    enum { LONGEST = 48 };
    /* The pointers, and behind them room for the words that get a value. */
    char **words = calloc((size_t)argc + 1, sizeof *words + LONGEST);
    if (!words)
        return NULL;
    char(*completed)[LONGEST] = (char(*)[LONGEST])(words + argc + 1);
    int options_ended = 0;
    for (int i = 0; i < argc; i++) {
        words[i] = argv[i];
        options_ended |= strcmp(argv[i], "--") == 0;
        int decided = i + 1 < argc && (strcmp(argv[i + 1], "on") == 0 || strcmp(argv[i + 1], "off") == 0);
        for (size_t k = 0; k < count && !options_ended && !decided && strncmp(argv[i], "--", 2) == 0; k++)
            if (settings[k].kind == CRS_SETTING_SWITCH && strcmp(argv[i] + 2, settings[k].name) == 0) {
                snprintf(completed[i], sizeof completed[i], "--%s=on", settings[k].name);
                words[i] = completed[i];
            }
    }
    return words;
}

void parse_options(invocation *in, int argc, char **argv) {
    size_t count, used = 0;
    const crs_setting *settings = crs_config_settings(&count);
    struct argp_option *options = calloc(2 * count + EXTRAS + 3, sizeof *options);
    char(*texts)[TEXT_SIZE] = calloc(count, sizeof *texts);
    char **words = complete_switches(argc, argv);
    char name[64], description[1600];
    if (!options || !texts || !words) {
        fputs("carousel: out of memory\n", stderr);
        exit(EXIT_FAILED);
    }
    const char *group = "";
    int heading = 1;
    for (size_t i = 0; i < EXTRAS; i++)
        if (has_word(in->command->extra_options, extra_table[i].name))
            options[used++] =
                (struct argp_option){.name = extra_table[i].name,
                                     .key = extra_table[i].letter ? extra_table[i].letter : KEY_EXTRA + (int)i,
                                     .arg = extra_table[i].argument,
                                     .doc = extra_table[i].help,
                                     .group = heading};
    for (size_t i = 0; i < count; i++) {
        if (!has_word(in->command->groups, settings[i].group))
            continue;
        if (strcmp(group, settings[i].group) != 0) {
            group = settings[i].group;
            options[used++] = (struct argp_option){.doc = group, .group = ++heading};
        }
        options[used++] = (struct argp_option){.name = settings[i].name,
                                               .key = KEY_SETTING + (int)i,
                                               .arg = settings[i].argument,
                                               .doc = setting_help(&settings[i], texts[i]),
                                               .group = heading};
    }
    snprintf(description, sizeof description, "%s\v%s\n\nExample:\n  %s", in->command->summary,
             in->command->description, in->command->example);
    snprintf(name, sizeof name, "carousel %s", in->command->name);
    words[0] = name;
    argp_err_exit_status = EXIT_USAGE;
    struct argp parser = {options, parse_one, in->command->arguments, description, NULL, NULL, NULL};
    argp_parse(&parser, argc, words, 0, NULL, in);
    free(options);
    free(texts);
    free(words);
}

void apply_given(const invocation *in, crs_config *config) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++) {
        char value[1024];
        if (in->given[i])
            (void)crs_config_set(config, settings[i].name,
                                 crs_config_get(&in->config, settings[i].name, value, sizeof value), NULL);
    }
}
