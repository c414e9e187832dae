/* The manual page, in roff, made from the same tables as --help. */
#include "command.h"

#include <stdio.h>
#include <string.h>

/* Prints text with roff's special characters escaped. */
static void print_escaped(const char *text) {
    for (; *text; text++)
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '\'')
            fputs("\\(aq", stdout);
        else if (*text == '`')
            fputs("\\(ga", stdout);
        else if (*text == '^')
            fputs("\\(ha", stdout);
        else if (*text == '~')
            fputs("\\(ti", stdout);
        else if (*text == '\t')
            fputs(" TAB", stdout);
        else if (*text == '\n')
            fputs(" NEWLINE", stdout);
        else
            putchar(*text);
}

static void print_option(const char *name, int letter, const char *argument, const char *help, const char *fallback) {
    fputs(".TP\n", stdout);
    if (letter)
        printf("\\fB\\-%c\\fR, ", letter);
    fputs("\\fB\\-\\-", stdout);
    print_escaped(name);
    fputs("\\fR", stdout);
    if (argument) {
        fputs("=\\fI", stdout);
        print_escaped(argument);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    print_escaped(help);
    if (fallback) {
        fputs(" (default: ", stdout);
        print_escaped(fallback[0] ? fallback : "none");
        putchar(')');
    }
    putchar('\n');
}

int print_manual(void) {
    size_t extra_count, count;
    const extra_option *extra = extra_options(&extra_count);
    const crs_setting *settings = crs_config_settings(&count);
    printf(".TH CAROUSEL 1 \"\" \"carousel %s\" \"User Commands\"\n", crs_version());
    fputs(".SH NAME\ncarousel \\- train sequence classifiers on text\n.SH SYNOPSIS\n", stdout);
    for (const command *c = commands; c->name; c++)
        printf("%s.B carousel %s\n%s%s[OPTIONS]\n", c == commands ? "" : ".br\n", c->name, c->arguments,
               c->arguments[0] ? " " : "");
    fputs(".SH COMMANDS\n", stdout);
    for (const command *c = commands; c->name; c++) {
        printf(".TP\n.B %s %s\n", c->name, c->arguments);
        print_escaped(c->description);
        fputs(" Example:\n.br\n", stdout);
        print_escaped(c->example);
        fputs("\n.br\nTakes the options:", stdout);
        for (size_t i = 0; i < extra_count; i++)
            if (has_word(c->extra_options, extra[i].name)) {
                fputs(" \\-\\-", stdout);
                print_escaped(extra[i].name);
            }
        fputs("; and those under: ", stdout);
        for (const char *at = c->groups; *at; at++)
            fputs(*at == '|' ? ", " : (char[]){*at, '\0'}, stdout);
        fputs(".\n", stdout);
    }
    fputs(".SH OPTIONS\n", stdout);
    for (size_t i = 0; i < extra_count; i++)
        print_option(extra[i].name, extra[i].letter, extra[i].argument, extra[i].help, NULL);
    const char *group = "";
    for (size_t i = 0; i < count; i++) {
        if (strcmp(group, settings[i].group) != 0)
            printf(".SS %s\n", group = settings[i].group);
        print_option(settings[i].name, 0, settings[i].argument, settings[i].help, settings[i].fallback);
    }
    fputs(".SH EXIT STATUS\n0 done; 1 failed; 2 bad usage. A failure is one line: where, what, and the mend.\n",
          stdout);
    return EXIT_DONE;
}
