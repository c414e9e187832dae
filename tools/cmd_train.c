/* carousel train DATA -o MODEL: read, split, train, save, draw, report. */
#include "command.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST_OUTPUT = 480 }; /* bytes: with its endings a path the library can write to */

/* Set by Ctrl-C or a polite kill; crs_train looks at it after every step. A second Ctrl-C ends at once. */
static volatile sig_atomic_t stop_requested;

static void request_stop(int number) {
    stop_requested = 1;
    signal(number, SIG_DFL);
}

/* One run of the command: what has to be freed at its end. */
typedef struct training {
    invocation *in;
    crs_config *config;
    char stem[512]; /* of the files beside the model */
    crs_backend *backend;
    crs_encoder *encoder; /* until the classifier owns it */
    crs_classifier *classifier;
    int64_t width;                           /* of the embedding */
    int64_t words_added;                     /* to the vocabulary, from --vectors */
    crs_vectors_coverage vectors;            /* format NULL: none */
    crs_dataset *train_set, *validation_set; /* validation_set: of --validation-file */
    int64_t *train_rows, *validation_rows;
    int64_t train_count, validation_count;
    crs_history history;
    crs_metrics *validation;
    int curves_failed;
    crs_error error;
} training;

/* "reviews" of "reviews.safetensors". */
static void make_stem(training *t) {
    const char *suffix = ".safetensors";
    size_t n = strlen(t->in->extras.output), m = strlen(suffix);
    if (n > m && strcmp(t->in->extras.output + n - m, suffix) == 0)
        n -= m;
    snprintf(t->stem, sizeof t->stem, "%.*s", (int)n, t->in->extras.output);
}

/* 1 where both are one file. */
static int same_file(const struct stat *one, const char *path) {
    struct stat other;
    return stat(path, &other) == 0 && one->st_dev == other.st_dev && one->st_ino == other.st_ino;
}

/* 1 where a file can go there: nothing is there yet, or what may be overwritten. */
static int check_output(const training *t, const char *path) {
    struct stat info;
    if (lstat(path, &info) != 0)
        return 1;
    if (!t->in->extras.overwrite)
        fprintf(stderr, "carousel: %s exists already; give another name to --output, or --overwrite\n", path);
    else if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        fprintf(stderr, "carousel: %s is no regular file; give another name to --output\n", path);
    else if (stat(path, &info) == 0 &&
             (same_file(&info, t->in->arguments[0]) || same_file(&info, t->config->validation_file) ||
              same_file(&info, t->config->vectors)))
        fprintf(stderr, "carousel: %s is what is to be read; give another name to --output\n", path);
    else
        return 1;
    return 0;
}

/* All outputs are looked at before the work, not after it. */
static int check_outputs(training *t) {
    const char *endings[] = {".history.csv", ".svg", ".png"};
    char path[600], folder[600];
    struct stat info;
    if (strlen(t->in->extras.output) > LONGEST_OUTPUT) {
        fprintf(stderr, "carousel: the path given to --output is longer than %d bytes; give a shorter one\n",
                LONGEST_OUTPUT);
        return 0;
    }
    for (int i = -1; i < 3; i++) {
        if (i < 0)
            snprintf(path, sizeof path, "%s", t->in->extras.output);
        else
            snprintf(path, sizeof path, "%s%s", t->stem, endings[i]);
        if (i > 0 && t->in->extras.no_curves)
            break;
        if (!check_output(t, path))
            return 0;
    }
    /* The longest name a file has while it is written. */
    snprintf(path, sizeof path, "%s.history.csv.%ld.part", t->stem, (long)getpid());
    if (lstat(path, &info) != 0 && errno == ENAMETOOLONG) {
        fputs("carousel: the name given to --output is too long; give a shorter one\n", stderr);
        return 0;
    }
    snprintf(folder, sizeof folder, "%s", t->in->extras.output);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    if (access(slash ? folder : ".", W_OK) != 0) {
        const int reason = errno;
        fprintf(stderr, "carousel: %s cannot be written: %s; %s, or write elsewhere\n", t->in->extras.output,
                strerror(reason), reason == ENOENT ? "make the folder first" : "check the folder's permissions");
        return 0;
    }
    return 1;
}

/* A header that was not known for one has become a row, and its name a class of one row. */
static void doubt_first_label(const training *t) {
    const int64_t first = crs_dataset_label(t->train_set, 0);
    int64_t row = 1;
    while (row < crs_dataset_rows(t->train_set) && crs_dataset_label(t->train_set, row) != first)
        row++;
    if (row > 2 && row == crs_dataset_rows(t->train_set) &&
        strstr(crs_dataset_statistics(t->train_set)->note, "no header"))
        say(t->in, "  the first row alone has the label '%s'; if it names a column, give --header on",
            crs_encoder_label(t->encoder, first));
}

/* A wrong word in the model line, or vectors that do not fit it, are told before the data are read, which may take
 * minutes: a network of the same line for next to no vocabulary is built and thrown away. */
static crs_status check_line(training *t) {
    const crs_model_task task = {.vocabulary = CRS_ID_FIRST + 1,
                                 .classes = classes_of_line(t->config->model),
                                 .length = t->config->length,
                                 .loss = t->config->loss,
                                 .seed = t->config->seed};
    crs_model *model = NULL;
    crs_status status = crs_model_create(t->config->model, &task, t->backend, &model, &t->error);
    if (status == CRS_OK && t->config->vectors[0])
        status = crs_vectors_check(model, t->config->vectors, &t->error);
    if (status == CRS_OK)
        t->width = crs_model_tensor(model, 0).shape[1];
    crs_model_free(model);
    return status;
}

static crs_status read_data(training *t) {
    const char *path = t->in->arguments[0];
    crs_status status = crs_dataset_read(path, t->config, NULL, &t->encoder, &t->train_set, &t->error);
    if (status != CRS_OK)
        return status;
    report_dataset(t->in, t->config, "data", path, t->train_set);
    if (t->config->vectors_vocabulary)
        status = crs_vectors_extend(t->encoder, t->config, t->config->vectors, t->width, &t->words_added, &t->error);
    if (status != CRS_OK)
        return status;
    if (t->words_added > 0)
        say(t->in, "  %lld more words are in the vectors", (long long)t->words_added);
    say(t->in, "  %lld classes, vocabulary of %lld", (long long)crs_encoder_classes(t->encoder),
        (long long)crs_encoder_vocabulary(t->encoder));
    doubt_first_label(t);
    if (t->config->validation_file[0]) {
        status =
            crs_dataset_read(t->config->validation_file, t->config, t->encoder, NULL, &t->validation_set, &t->error);
        if (status != CRS_OK)
            return status;
        report_dataset(t->in, t->config, "validation", t->config->validation_file, t->validation_set);
        t->validation_count = crs_dataset_rows(t->validation_set);
        t->train_count = crs_dataset_rows(t->train_set);
        return CRS_OK;
    }
    if (t->config->validation == 0) {
        t->train_count = crs_dataset_rows(t->train_set);
        return CRS_OK;
    }
    status = crs_split_rows(t->train_set, t->config, &t->train_rows, &t->train_count, &t->validation_rows,
                            &t->validation_count, &t->error);
    if (status == CRS_OK)
        say(t->in, "  %lld rows to train on, %lld for validation", (long long)t->train_count,
            (long long)t->validation_count);
    return status;
}

static const crs_dataset *validation_of(const training *t) {
    if (t->validation_set)
        return t->validation_set;
    return t->validation_count > 0 ? t->train_set : NULL;
}

static crs_status build(training *t) {
    crs_status status = crs_classifier_create(t->config, t->encoder, t->backend, &t->classifier, &t->error);
    if (status != CRS_OK)
        return status;
    t->encoder = NULL;
    char count[32];
    format_count(crs_model_trainable(t->classifier->model), count);
    say(t->in, "model %s: %s trainable parameters", crs_model_line(t->classifier->model), count);
    if (!t->config->vectors[0])
        return CRS_OK;
    status = crs_vectors_load(t->classifier, t->config->vectors, t->train_set, t->train_rows, t->train_count,
                              &t->vectors, &t->error);
    if (status == CRS_OK)
        report_vectors(t->in, t->config->vectors, &t->vectors);
    return status;
}

static crs_status train(training *t) {
    progress p;
    progress_start(&p, t->in, t->classifier, t->in->extras.output);
    crs_train_hooks hooks = {progress_step, progress_epoch, &p, &stop_requested};
    struct sigaction action = {.sa_handler = request_stop}, old_interrupt, old_terminate;
    sigaction(SIGINT, &action, &old_interrupt);
    sigaction(SIGTERM, &action, &old_terminate);
    crs_status status =
        crs_train(t->classifier->model, t->config, t->train_set, t->train_rows, t->train_count, validation_of(t),
                  t->validation_rows, t->validation_count, &hooks, &t->history, &t->error);
    sigaction(SIGINT, &old_interrupt, NULL);
    sigaction(SIGTERM, &old_terminate, NULL);
    progress_end(&p, status != CRS_OK);
    return status;
}

static crs_status save(training *t) {
    char path[600];
    crs_status status = crs_classifier_save(t->classifier, t->in->extras.output, t->in->extras.overwrite, &t->error);
    if (status != CRS_OK)
        return status;
    snprintf(path, sizeof path, "%s.history.csv", t->stem);
    status = crs_history_write(&t->history, path, t->in->extras.overwrite, &t->error);
    if (status != CRS_OK || t->in->extras.no_curves)
        return status;
    if (draw_curves(&t->history, t->stem, &t->error) == CRS_OK)
        return CRS_OK;
    /* The model is saved and its figures are still to be told. */
    fail(&t->error);
    t->in->extras.no_curves = 1;
    t->curves_failed = t->error.status != CRS_ERR_UNSUPPORTED;
    return CRS_OK;
}

static int report(training *t, double seconds) {
    const crs_history *h = &t->history;
    char time[32];
    format_seconds(seconds, time);
    if (h->interrupted)
        say(t->in, "interrupted; what was learned is saved");
    if (h->stopped_early)
        say(t->in, "stopped early: no improvement for %lld epochs", (long long)t->config->patience);
    if (h->count > 0)
        say(t->in, "kept the weights of epoch %lld; %s in all", (long long)h->epochs[h->best].epoch, time);
    say(t->in, "wrote %s and %s.history.csv%s", t->in->extras.output, t->stem,
        t->in->extras.no_curves ? "" : ", .svg, .png");
    const crs_encoder *encoder = t->classifier->encoder;
    if (t->in->extras.json)
        return print_json(json_pack(
            "{s:s, s:s, s:s, s:s, s:I, s:o, s:I, s:I, s:I, s:o, s:b, s:b, s:o, s:o}", "carousel", crs_version(),
            "model", t->in->extras.output, "line", crs_model_line(t->classifier->model), "backend",
            crs_backend_describe(t->backend), "parameters", (json_int_t)crs_model_parameters(t->classifier->model),
            "vectors", json_of_vectors(t->config->vectors, &t->vectors), "train_rows", (json_int_t)t->train_count,
            "validation_rows", (json_int_t)t->validation_count, "best_epoch",
            (json_int_t)(h->count > 0 ? h->epochs[h->best].epoch : 0), "seconds", json_number(seconds), "stopped_early",
            h->stopped_early, "interrupted", h->interrupted, "history", json_of_history(h), "validation",
            t->validation ? json_of_metrics(t->validation, encoder) : json_null()));
    if (t->validation) {
        printf("validation: ");
        report_metrics(stdout, t->validation, encoder);
    }
    return EXIT_DONE;
}

static int run(training *t) {
    double start = monotonic_seconds();
    t->backend = open_backend(t->in);
    if (!t->backend)
        return EXIT_FAILED;
    if (check_line(t) != CRS_OK || read_data(t) != CRS_OK || build(t) != CRS_OK)
        return fail(&t->error);
    if (train(t) != CRS_OK)
        return fail(&t->error);
    if (t->validation_count > 0 && crs_evaluate(t->classifier->model, t->config, validation_of(t), t->validation_rows,
                                                t->validation_count, &t->validation, &t->error) != CRS_OK)
        return fail(&t->error);
    if (save(t) != CRS_OK)
        return fail(&t->error);
    int result = report(t, monotonic_seconds() - start);
    return t->curves_failed ? EXIT_FAILED : result;
}

int run_train(invocation *in) {
    training t = {.in = in, .config = &in->config};
    if (!in->extras.output || !in->extras.output[0]) {
        fputs("carousel: train needs a file to write the model to; give -o model.safetensors\n", stderr);
        return EXIT_USAGE;
    }
    if (crs_config_check(t.config, &t.error) != CRS_OK) {
        fail(&t.error);
        return EXIT_USAGE;
    }
    make_stem(&t);
    int result = check_outputs(&t) ? run(&t) : EXIT_FAILED;
    crs_metrics_free(t.validation);
    crs_history_clear(&t.history);
    free(t.train_rows);
    free(t.validation_rows);
    crs_classifier_free(t.classifier);
    crs_encoder_free(t.encoder);
    crs_dataset_free(t.train_set);
    crs_dataset_free(t.validation_set);
    crs_backend_close(t.backend);
    return result;
}
