/* carousel train DATA -o MODEL: read, split, train, save, draw, report. */
#include "training.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One run of the command. */
typedef struct train_run {
    training t;
    char stem[512]; /* of the files beside the model */
    int no_curves;  /* not wanted, or they could not be drawn */
    int curves_failed;
} train_run;

enum { LONGEST_OUTPUT = 480 }; /* bytes: with its endings a path the library can write to */

/* "reviews" of "reviews.safetensors". */
static void make_stem(train_run *r) {
    const char *suffix = ".safetensors";
    size_t n = strlen(r->t.in->extras.output), m = strlen(suffix);
    if (n > m && strcmp(r->t.in->extras.output + n - m, suffix) == 0)
        n -= m;
    snprintf(r->stem, sizeof r->stem, "%.*s", (int)n, r->t.in->extras.output);
}

/* 1 where both are one file. */
static int same_file(const struct stat *one, const char *path) {
    struct stat other;
    return stat(path, &other) == 0 && one->st_dev == other.st_dev && one->st_ino == other.st_ino;
}

/* 1 where a file can go there: nothing is there yet, or what may be overwritten. */
static int check_output(const train_run *r, const char *path) {
    struct stat info;
    if (lstat(path, &info) != 0)
        return 1;
    if (!r->t.in->extras.overwrite)
        fprintf(stderr, "carousel: %s exists already; give another name to --output, or --overwrite\n", path);
    else if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        fprintf(stderr, "carousel: %s is no regular file; give another name to --output\n", path);
    else if (stat(path, &info) == 0 &&
             (same_file(&info, r->t.in->arguments[0]) || same_file(&info, r->t.config->validation_file) ||
              same_file(&info, r->t.config->vectors)))
        fprintf(stderr, "carousel: %s is what is to be read; give another name to --output\n", path);
    else
        return 1;
    return 0;
}

/* All outputs are looked at before the work, not after it. */
static int check_outputs(train_run *r) {
    const char *endings[] = {".history.csv", ".svg", ".png"};
    char path[600], folder[600];
    struct stat info;
    if (strlen(r->t.in->extras.output) > LONGEST_OUTPUT) {
        fprintf(stderr, "carousel: the path given to --output is longer than %d bytes; give a shorter one\n",
                LONGEST_OUTPUT);
        return 0;
    }
    for (int i = -1; i < 3; i++) {
        if (i < 0)
            snprintf(path, sizeof path, "%s", r->t.in->extras.output);
        else
            snprintf(path, sizeof path, "%s%s", r->stem, endings[i]);
        if (i > 0 && r->no_curves)
            break;
        if (!check_output(r, path))
            return 0;
    }
    /* The longest name a file has while it is written. */
    snprintf(path, sizeof path, "%s.history.csv.%ld.part", r->stem, (long)getpid());
    if (lstat(path, &info) != 0 && errno == ENAMETOOLONG) {
        fputs("carousel: the name given to --output is too long; give a shorter one\n", stderr);
        return 0;
    }
    snprintf(folder, sizeof folder, "%s", r->t.in->extras.output);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    if (access(slash ? folder : ".", W_OK) != 0) {
        const int reason = errno;
        fprintf(stderr, "carousel: %s cannot be written: %s; %s, or write elsewhere\n", r->t.in->extras.output,
                strerror(reason), reason == ENOENT ? "make the folder first" : "check the folder's permissions");
        return 0;
    }
    return 1;
}

static crs_status save(train_run *r) {
    char path[600];
    crs_status status =
        crs_classifier_save(r->t.classifier, r->t.in->extras.output, r->t.in->extras.overwrite, &r->t.error);
    if (status != CRS_OK)
        return status;
    snprintf(path, sizeof path, "%s.history.csv", r->stem);
    status = crs_history_write(&r->t.history, path, r->t.in->extras.overwrite, &r->t.error);
    if (status != CRS_OK || r->no_curves)
        return status;
    if (draw_curves(&r->t.history, r->stem, &r->t.error) == CRS_OK)
        return CRS_OK;
    /* The model is saved and its figures are still to be told. */
    fail(&r->t.error);
    r->no_curves = 1;
    r->curves_failed = r->t.error.status != CRS_ERR_UNSUPPORTED;
    return CRS_OK;
}

static int report(const train_run *r, double seconds) {
    const training *t = &r->t;
    const crs_history *h = &t->history;
    char time[32];
    format_seconds(seconds, time);
    if (h->interrupted)
        say(t->in, "interrupted; what was learned is saved");
    if (h->stopped_early)
        say(t->in, "stopped early: no improvement for %lld epochs", (long long)t->config->patience);
    if (h->count > 0)
        say(t->in, "kept the weights of epoch %lld; %s in all", (long long)h->epochs[h->best].epoch, time);
    say(t->in, "wrote %s and %s.history.csv%s", t->in->extras.output, r->stem, r->no_curves ? "" : ", .svg, .png");
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

static int run(train_run *r) {
    training *t = &r->t;
    double start = monotonic_seconds();
    t->backend = open_backend(t->in);
    if (!t->backend)
        return EXIT_FAILED;
    if (training_check_line(t) != CRS_OK || training_read(t) != CRS_OK || training_split(t) != CRS_OK ||
        training_build(t) != CRS_OK)
        return fail(&t->error);
    stop_watch watch;
    stop_watch_start(&watch);
    const crs_status trained = training_run(t, t->in->extras.output);
    stop_watch_end(&watch);
    if (trained != CRS_OK || training_validate(t) != CRS_OK || save(r) != CRS_OK)
        return fail(&t->error);
    int result = report(r, monotonic_seconds() - start);
    return r->curves_failed ? EXIT_FAILED : result;
}

int run_train(invocation *in) {
    train_run r = {.t = {.in = in, .config = &in->config, .data = in->arguments[0]}};
    training *t = &r.t;
    if (!in->extras.output || !in->extras.output[0]) {
        fputs("carousel: train needs a file to write the model to; give -o model.safetensors\n", stderr);
        return EXIT_USAGE;
    }
    if (crs_config_check(t->config, &t->error) != CRS_OK) {
        fail(&t->error);
        return EXIT_USAGE;
    }
    r.no_curves = in->extras.no_curves;
    make_stem(&r);
    int result = check_outputs(&r) ? run(&r) : EXIT_FAILED;
    training_clear(t);
    crs_backend_close(t->backend);
    return result;
}
