/* The steps of a training, and the signals that stop it. */
#include "training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t stop_requested;

static void request_stop(int number) {
    stop_requested = 1;
    signal(number, SIG_DFL);
}

void stop_watch_start(stop_watch *watch) {
    const struct sigaction action = {.sa_handler = request_stop};
    sigaction(SIGINT, &action, &watch->interrupt);
    sigaction(SIGTERM, &action, &watch->terminate);
}

void stop_watch_end(const stop_watch *watch) {
    sigaction(SIGINT, &watch->interrupt, NULL);
    sigaction(SIGTERM, &watch->terminate, NULL);
}

int stop_wanted(void) {
    return stop_requested != 0;
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

/* That the vectors fit the line's embedding, which is made for next to no vocabulary and thrown away. */
static crs_status check_vectors(training *t, crs_model_task task) {
    crs_model *model = NULL;
    task.vocabulary = CRS_ID_FIRST + 1;
    crs_status status = crs_model_create(t->config->model, &task, t->backend, &model, &t->error);
    if (status == CRS_OK)
        status = crs_vectors_check(model, t->config->vectors, &t->error);
    if (status == CRS_OK)
        t->width = crs_model_tensor(model, 0).shape[1];
    crs_model_free(model);
    return status;
}

/* A wrong word in the model line, or vectors that do not fit it, are told before the data are read, which may take
 * minutes. */
crs_status training_check_line(training *t) {
    const crs_model_task task = {.vocabulary = t->config->vocabulary,
                                 .classes = classes_of_line(t->config->model),
                                 .length = t->config->length,
                                 .loss = t->config->loss,
                                 .seed = t->config->seed};
    const crs_status status = crs_model_check(t->config->model, &task, &t->error);
    return status == CRS_OK && t->config->vectors[0] ? check_vectors(t, task) : status;
}

crs_status training_read(training *t) {
    crs_status status = crs_dataset_read(t->data, t->config, NULL, &t->encoder, &t->train_set, &t->error);
    if (status != CRS_OK)
        return status;
    report_dataset(t->in, t->config, "data", t->data, t->train_set);
    if (t->config->vectors_vocabulary)
        status = crs_vectors_extend(t->encoder, t->config, t->config->vectors, t->width, &t->words_added, &t->error);
    if (status != CRS_OK)
        return status;
    if (t->words_added > 0)
        say(t->in, "  %lld more words are in the vectors", (long long)t->words_added);
    say(t->in, "  %lld classes, vocabulary of %lld", (long long)crs_encoder_classes(t->encoder),
        (long long)crs_encoder_vocabulary(t->encoder));
    doubt_first_label(t);
    if (!t->config->validation_file[0])
        return CRS_OK;
    status = crs_dataset_read(t->config->validation_file, t->config, t->encoder, NULL, &t->validation_set, &t->error);
    if (status == CRS_OK)
        report_dataset(t->in, t->config, "validation", t->config->validation_file, t->validation_set);
    return status;
}

crs_status training_split(training *t) {
    t->train_count = crs_dataset_rows(t->train_set);
    if (t->validation_set) {
        t->validation_count = crs_dataset_rows(t->validation_set);
        return CRS_OK;
    }
    if (t->config->validation == 0)
        return CRS_OK;
    const crs_status status = crs_split_rows(t->train_set, t->config, &t->train_rows, &t->train_count,
                                             &t->validation_rows, &t->validation_count, &t->error);
    if (status == CRS_OK)
        say(t->in, "  %lld rows to train on, %lld for validation", (long long)t->train_count,
            (long long)t->validation_count);
    return status;
}

const crs_dataset *training_validation_set(const training *t) {
    if (t->validation_set)
        return t->validation_set;
    return t->validation_count > 0 ? t->train_set : NULL;
}

crs_status training_build(training *t) {
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

/* What a device is like may change while it works: it is said again then. */
static void say_change(const training *t, const char *before) {
    const char *now = crs_backend_describe(t->backend);
    if (strcmp(now, before) != 0)
        say(t->in, "backend %s", now);
}

crs_status training_run(training *t, const char *model_output) {
    progress p;
    char description[512];
    snprintf(description, sizeof description, "%s", crs_backend_describe(t->backend));
    progress_start(&p, t->in, t->classifier, model_output);
    const crs_train_hooks hooks = {progress_step, progress_epoch, &p, &stop_requested};
    const crs_status status =
        crs_train(t->classifier->model, t->config, t->train_set, t->train_rows, t->train_count,
                  training_validation_set(t), t->validation_rows, t->validation_count, &hooks, &t->history, &t->error);
    progress_end(&p, status != CRS_OK);
    say_change(t, description);
    return status;
}

crs_status training_validate(training *t) {
    if (t->validation_count == 0)
        return CRS_OK;
    return crs_evaluate(t->classifier->model, t->config, training_validation_set(t), t->validation_rows,
                        t->validation_count, &t->validation, &t->error);
}

void training_restart(training *t) {
    if (t->classifier) {
        t->encoder = t->classifier->encoder;
        t->classifier->encoder = NULL;
    }
    crs_classifier_free(t->classifier);
    t->classifier = NULL;
    crs_metrics_free(t->validation);
    t->validation = NULL;
    crs_history_clear(&t->history);
    free(t->train_rows);
    free(t->validation_rows);
    t->train_rows = t->validation_rows = NULL;
    t->train_count = t->validation_count = 0;
}

void training_clear(training *t) {
    training_restart(t);
    crs_encoder_free(t->encoder);
    crs_dataset_free(t->train_set);
    crs_dataset_free(t->validation_set);
    t->encoder = NULL;
    t->train_set = t->validation_set = NULL;
}
