/* carousel gradcheck MODEL [DATA]: what to check, on which backends. Its result is printed by gradcheck_report.c. */
#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For a check in a moment, where the settings' defaults are for training. */
static const struct {
    const char *setting;
    int value;
} small_defaults[] = {{"batch", 8}, {"length", 16}, {"vocabulary", 50}};

#define DEFAULT_BACKENDS "cpu,cuda"
enum { BACKENDS_MAX = 16, NAME_SIZE = 64 };

typedef struct gradcheck {
    invocation *in;
    crs_error error;
    crs_config config;
    crs_gradcheck_options options;
    crs_backend *oracle;
    crs_gradcheck_backend backends[BACKENDS_MAX];
    char names[BACKENDS_MAX][NAME_SIZE];
    size_t count;
    json_t *left_out;
    crs_classifier *classifier; /* of a model file */
    crs_encoder *encoder;       /* fitted on DATA for a model line */
    crs_dataset *dataset;
    double *parameters;
    double told; /* seconds, monotonic clock: when progress was last told */
    crs_gradcheck_report *report;
} gradcheck;

/* ---- usage ---- */

static int is_given(const invocation *in, const char *name) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(settings[i].name, name) == 0)
            return in->given[i];
    return 0;
}

/* The value of an option that is a whole number; 0: it is none, and that was said. */
static int read_number(const char *name, const char *text, int64_t least, int64_t *number) {
    char *end;
    if (!text)
        return 1;
    const long long value = strtoll(text, &end, 10);
    if (end == text || *end || value < least) {
        fprintf(stderr, "carousel: --%s '%s' does not fit; give a whole number from %lld\n", name, text,
                (long long)least);
        return 0;
    }
    *number = value;
    return 1;
}

/* Settings that have no meaning here would be taken for granted. */
static int refuse_settings(const gradcheck *g) {
    const invocation *in = g->in;
    const int has_file = !is_model_line(in->arguments[0]), has_data = in->argument_count > 1;
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++) {
        if (!in->given[i])
            continue;
        const char *why = NULL;
        if (strcmp(settings[i].name, "model") == 0)
            why = "give the line as the first argument";
        else if (strcmp(settings[i].name, "backend") == 0)
            why = "name those to check with --backends";
        else if (strncmp(settings[i].name, "vectors", strlen("vectors")) == 0)
            why = "train with it, and check the model file";
        else if (has_file && strcmp(settings[i].group, "Text") == 0 &&
                 (has_data || strcmp(settings[i].name, "length") != 0))
            why = "the model file has its own; leave it out";
        if (why) {
            fprintf(stderr, "carousel: --%s is not for this: %s\n", settings[i].name, why);
            return 1;
        }
    }
    if (in->extras.classes && (has_file || has_data)) {
        fputs("carousel: --classes is for a model line without DATA; leave it out\n", stderr);
        return 1;
    }
    return 0;
}

static int read_options(gradcheck *g) {
    const extras *given = &g->in->extras;
    g->options = (crs_gradcheck_options){.config = &g->config, .samples = 64, .inject = given->inject};
    g->options.classes = classes_of_line(g->in->arguments[0]);
    return !refuse_settings(g) && read_number("classes", given->classes, 2, &g->options.classes) &&
           read_number("samples", given->samples, 1, &g->options.samples) &&
           read_number("train", given->train, 0, &g->options.train);
}

/* ---- backends ---- */

/* "cuda:1=persistent" is a backend and, behind the =, the variant of its recurrent layers. */
static crs_status open_one(gradcheck *g, const char *word, size_t size) {
    char spec[NAME_SIZE];
    char *name = g->names[g->count];
    crs_gradcheck_backend *backend = &g->backends[g->count];
    crs_device_options options = crs_config_device(&g->config);
    snprintf(name, NAME_SIZE, "%.*s", (int)size, word);
    snprintf(spec, sizeof spec, "%s", name);
    char *variant = strchr(spec, '=');
    if (variant) {
        *variant = '\0';
        options.lstm = variant + 1;
    }
    if (strncmp(spec, "cuda", strlen("cuda")) != 0)
        options.precision = CRS_FLOAT32; /* the setting is of products on a GPU */
    *backend =
        (crs_gradcheck_backend){.name = name, .tolerance = options.precision == CRS_TF32 ? CRS_GRADCHECK_TF32 : 0};
    const crs_status status = crs_backend_open(spec, &options, &backend->backend, &g->error);
    if (status == CRS_OK) {
        say(g->in, "backend %s: %s", name, crs_backend_describe(backend->backend));
        g->count++;
    }
    return status;
}

/* What was asked for by name must be there; of the default, what cannot be opened is left out. */
static int open_backends(gradcheck *g) {
    const char *list = g->in->extras.backends ? g->in->extras.backends : DEFAULT_BACKENDS;
    const crs_device_options options = {.index = -1, .threads = (int)g->config.threads};
    if (crs_backend_open("cpu-double", &options, &g->oracle, &g->error) != CRS_OK)
        return fail(&g->error);
    for (const char *word = list; word; word = strchr(word, ',') ? strchr(word, ',') + 1 : NULL) {
        const size_t size = strcspn(word, ",");
        if (g->count == BACKENDS_MAX || size >= NAME_SIZE) {
            fprintf(stderr, "carousel: --backends takes up to %d names of up to %d characters\n", BACKENDS_MAX,
                    NAME_SIZE - 1);
            return EXIT_USAGE;
        }
        if (open_one(g, word, size) == CRS_OK)
            continue;
        if (g->in->extras.backends)
            return fail(&g->error);
        say(g->in, "%.*s is left out: %s", (int)size, word, g->error.what);
        json_array_append_new(g->left_out,
                              json_pack("{s:s%, s:s}", "name", word, size, "why", (const char *)g->error.what));
    }
    if (g->count > 0)
        return EXIT_DONE;
    fputs("carousel: no backend can be opened that is to be checked; name one with --backends\n", stderr);
    return EXIT_FAILED;
}

/* ---- model and data ---- */

static void apply_small_defaults(gradcheck *g) {
    for (size_t i = 0; i < sizeof small_defaults / sizeof *small_defaults; i++) {
        const char *name = small_defaults[i].setting;
        char value[32];
        /* Length and vocabulary of rows are the rows' own. */
        if (is_given(g->in, name) || (g->in->argument_count > 1 && strcmp(name, "batch") != 0))
            continue;
        snprintf(value, sizeof value, "%d", small_defaults[i].value);
        (void)crs_config_set(&g->config, name, value, NULL);
    }
}

/* A wrong word in the model line is told before the data are read, which may take minutes. */
static crs_status check_line(gradcheck *g) {
    const crs_model_task task = {.vocabulary = g->config.vocabulary,
                                 .classes = g->options.classes,
                                 .length = g->config.length,
                                 .loss = g->config.loss};
    const crs_status status = crs_config_set(&g->config, "model", g->in->arguments[0], &g->error);
    return status == CRS_OK ? crs_model_check(g->config.model, &task, &g->error) : status;
}

static int load_file(gradcheck *g) {
    const char *path = g->in->arguments[0];
    g->classifier = open_classifier(g->in, path, g->oracle);
    if (!g->classifier)
        return EXIT_FAILED;
    crs_model *model = g->classifier->model;
    const size_t bytes = (size_t)crs_model_parameters(model) * sizeof(double);
    g->config = g->classifier->config;
    g->options.classes = crs_encoder_classes(g->classifier->encoder);
    g->options.parameters = g->parameters = malloc(bytes);
    if (!g->parameters) {
        fprintf(stderr, "carousel: out of memory: %zu bytes for the weights\n", bytes);
        return EXIT_FAILED;
    }
    if (crs_model_get_parameters(model, g->parameters) != CRS_OK) {
        fprintf(stderr, "carousel: %s: its weights could not be read back\n", path);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int read_data(gradcheck *g) {
    const char *path = g->in->arguments[1];
    const crs_encoder *known = g->classifier ? g->classifier->encoder : NULL;
    if (crs_dataset_read(path, &g->config, known, known ? NULL : &g->encoder, &g->dataset, &g->error) != CRS_OK)
        return fail(&g->error);
    report_dataset(g->in, &g->config, "data", path, g->dataset);
    g->options.dataset = g->dataset;
    g->options.classes = crs_encoder_classes(known ? known : g->encoder);
    g->options.vocabulary = crs_encoder_vocabulary(known ? known : g->encoder);
    return EXIT_DONE;
}

static int prepare(gradcheck *g) {
    if (!is_model_line(g->in->arguments[0])) {
        const int result = load_file(g);
        if (result != EXIT_DONE)
            return result;
    } else if (check_line(g) != CRS_OK) {
        return fail(&g->error);
    }
    apply_small_defaults(g);
    g->options.vocabulary = g->classifier ? crs_encoder_vocabulary(g->classifier->encoder) : g->config.vocabulary;
    if (crs_config_check(&g->config, &g->error) != CRS_OK) {
        fail(&g->error);
        return EXIT_USAGE;
    }
    return g->in->argument_count > 1 ? read_data(g) : EXIT_DONE;
}

/* ---- the check ---- */

enum { TELL_SECONDS = 2 };

static void tell_progress(void *user, const char *what, int64_t done, int64_t all) {
    gradcheck *g = user;
    const double now = monotonic_seconds();
    if (now - g->told < TELL_SECONDS)
        return;
    g->told = now;
    say(g->in, "%s: %lld of %lld", what, (long long)done, (long long)all);
}

static int run(gradcheck *g) {
    int result = open_backends(g);
    if (result == EXIT_DONE)
        result = prepare(g);
    if (result != EXIT_DONE)
        return result;
    g->options.on_progress = tell_progress;
    g->options.user = g;
    g->told = monotonic_seconds();
    if (crs_gradcheck(&g->options, g->oracle, g->backends, g->count, &g->report, &g->error) != CRS_OK)
        return fail(&g->error);
    return report_gradcheck(g->in, &g->options, g->report, g->left_out);
}

int run_gradcheck(invocation *in) {
    gradcheck g = {.in = in, .config = in->config, .left_out = json_array()};
    int result = read_options(&g) ? run(&g) : EXIT_USAGE;
    crs_gradcheck_free(g.report);
    free(g.parameters);
    crs_dataset_free(g.dataset);
    crs_encoder_free(g.encoder);
    crs_classifier_free(g.classifier);
    for (size_t i = 0; i < g.count; i++)
        crs_backend_close(g.backends[i].backend);
    crs_backend_close(g.oracle);
    json_decref(g.left_out);
    return result;
}
