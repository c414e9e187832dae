/* Training what is missing of an experiment: each selected row, each seed, into a folder of its own. */
#include "experiment.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One row being trained. */
typedef struct row_run {
    experiment *e;
    experiment_row *row;
    training t;
    crs_config config; /* the row's, with the seed of the moment */
    crs_dataset *test_set;
    crs_metrics *train, *test;
} row_run;

static crs_status make_folder(const char *path, crs_error *error) {
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return CRS_OK;
    return describe_io(error, path, errno);
}

/* What a killed training left half-written. */
static void remove_leftovers(const char *folder) {
    DIR *listing = opendir(folder);
    const struct dirent *entry;
    while (listing && (entry = readdir(listing)) != NULL) {
        const char *ending = strrchr(entry->d_name, '.');
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (ending && (strcmp(ending, ".part") == 0 || strcmp(ending, ".partial") == 0))
            (void)unlink(path);
    }
    if (listing)
        closedir(listing);
}

/* The record goes first: were it left, a stop half-way would leave it beside another training's model. */
static crs_status prepare_folder(const row_run *r, int64_t index, crs_error *error) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s", r->e->folder, r->row->section->name);
    crs_status status = make_folder(path, error);
    if (status != CRS_OK)
        return status;
    experiment_path(r->e, r->row, index, "", path);
    path[strlen(path) - 1] = '\0';
    status = make_folder(path, error);
    if (status != CRS_OK)
        return status;
    remove_leftovers(path);
    experiment_path(r->e, r->row, -1, "curves.svg", path);
    (void)unlink(path);
    snprintf(path, sizeof path, "%s/comparison.svg", r->e->folder);
    (void)unlink(path);
    r->row->drawn = r->e->comparison_drawn = 0;
    experiment_path(r->e, r->row, index, "result.json", path);
    return unlink(path) == 0 || errno == ENOENT ? CRS_OK : describe_io(error, path, errno);
}

/* Reads the rows, once for all seeds. */
static crs_status read_data(row_run *r) {
    if (r->t.train_set)
        return CRS_OK;
    crs_status status = training_read(&r->t);
    if (status != CRS_OK || !r->row->test)
        return status;
    status = crs_dataset_read(r->row->test_path, &r->config, r->t.encoder, NULL, &r->test_set, &r->t.error);
    if (status == CRS_OK)
        report_dataset(r->e->in, &r->config, "test", r->row->test_path, r->test_set);
    return status;
}

static crs_status evaluate(row_run *r) {
    training *t = &r->t;
    crs_model *model = t->classifier->model;
    crs_status status = training_validate(t);
    if (status == CRS_OK)
        status = crs_evaluate(model, &r->config, t->train_set, t->train_rows, t->train_count, &r->train, &t->error);
    if (status == CRS_OK && r->test_set)
        status = crs_evaluate(model, &r->config, r->test_set, NULL, 0, &r->test, &t->error);
    return status;
}

static json_t *part_of_record(const crs_metrics *metrics, const crs_encoder *encoder) {
    return metrics ? json_of_metrics(metrics, encoder) : json_null();
}

/* identity is taken over. NULL: out of memory. */
static json_t *make_record(const row_run *r, json_t *identity) {
    const training *t = &r->t;
    const crs_history *h = &t->history;
    const crs_encoder *encoder = t->classifier->encoder;
    double seconds = 0;
    char date[40];
    experiment_date(date);
    for (size_t i = 0; i < h->count; i++)
        seconds += h->epochs[i].seconds;
    json_t *record =
        json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:o, s:o, s:o, s:o}", "carousel",
                  crs_version(), "row", r->row->section->name, "date", date, "seed", (json_int_t)r->config.seed,
                  "backend", crs_backend_describe(t->backend), "threads",
                  (json_int_t)(r->config.threads > 0 ? r->config.threads : sysconf(_SC_NPROCESSORS_ONLN)), "parameters",
                  (json_int_t)crs_model_parameters(t->classifier->model), "trainable",
                  (json_int_t)crs_model_trainable(t->classifier->model), "epochs", (json_int_t)h->count, "best_epoch",
                  (json_int_t)(h->count > 0 ? h->epochs[h->best].epoch : 0), "stopped_early", h->stopped_early,
                  "seconds_per_epoch", json_number(h->count > 0 ? seconds / (double)h->count : 0), "train",
                  part_of_record(r->train, encoder), "validation", part_of_record(t->validation, encoder), "test",
                  part_of_record(r->test, encoder), "history", json_of_history(h));
    if (record && json_object_update(record, identity) != 0) {
        json_decref(record);
        record = NULL;
    }
    json_decref(identity);
    return record;
}

/* Model and history first, the record last. */
static crs_status save(row_run *r, int64_t index) {
    training *t = &r->t;
    char path[600];
    json_t *identity;
    experiment_path(r->e, r->row, index, "model.safetensors", path);
    crs_status status = crs_classifier_save(t->classifier, path, 1, &t->error);
    experiment_path(r->e, r->row, index, "history.csv", path);
    if (status == CRS_OK)
        status = crs_history_write(&t->history, path, 1, &t->error);
    if (status == CRS_OK)
        status = experiment_identity(r->e, r->row, index, &identity, &t->error);
    if (status != CRS_OK)
        return status;
    json_t *record = make_record(r, identity);
    experiment_path(r->e, r->row, index, "result.json", path);
    status = experiment_save_record(path, record, &t->error);
    if (status == CRS_OK)
        r->row->records[index] = json_incref(record);
    json_decref(record);
    return status;
}

static crs_status train_and_save(row_run *r, int64_t index) {
    training *t = &r->t;
    char output[600];
    experiment_path(r->e, r->row, index, "model.safetensors", output);
    crs_status status = read_data(r);
    if (status == CRS_OK)
        status = training_split(t);
    if (status == CRS_OK)
        status = training_build(t);
    if (status == CRS_OK)
        status = training_run(t, output);
    if (status == CRS_OK && t->history.interrupted)
        return CRS_ERR_INTERRUPTED;
    if (status == CRS_OK)
        status = evaluate(r);
    return status == CRS_OK ? save(r, index) : status;
}

static crs_status average_and_save(row_run *r, int64_t index) {
    training *t = &r->t;
    char path[600];
    json_t *identity = NULL, *record = NULL;
    crs_status status = experiment_average_run(r->e, r->row, index, t->backend, &record, &t->error);
    if (status == CRS_OK)
        status = experiment_identity(r->e, r->row, index, &identity, &t->error);
    if (status == CRS_OK && json_object_update(record, identity) != 0)
        status = describe(&t->error, CRS_ERR_MEMORY, "", 0, "free some memory", "out of memory");
    experiment_path(r->e, r->row, index, "result.json", path);
    if (status == CRS_OK)
        status = experiment_save_record(path, record, &t->error);
    if (status == CRS_OK)
        r->row->records[index] = json_incref(record);
    json_decref(identity);
    json_decref(record);
    return status;
}

static crs_status run_seed(row_run *r, int64_t index, crs_error *error) {
    if (stop_wanted())
        return CRS_ERR_INTERRUPTED;
    crs_status status = prepare_folder(r, index, error);
    if (status != CRS_OK)
        return status;
    r->config.seed = experiment_seed(r->row, index);
    status = r->row->average ? average_and_save(r, index) : train_and_save(r, index);
    *error = r->t.error;
    training_restart(&r->t);
    crs_metrics_free(r->train);
    crs_metrics_free(r->test);
    r->train = r->test = NULL;
    return status;
}

/* Trainings that diverge are a result of sorts: the row is marked, and the others go on. */
static crs_status run_row(experiment *e, experiment_row *row, size_t number, size_t rows, crs_error *error) {
    row_run r = {.e = e, .row = row, .config = row->config};
    r.t = (training){.in = e->in, .config = &r.config, .data = row->data_path};
    const crs_device_options options = crs_config_device(&row->config);
    crs_status status = crs_backend_open(row->config.backend, &options, &r.t.backend, error);
    if (status == CRS_OK && !row->average && (status = training_check_line(&r.t)) != CRS_OK)
        *error = r.t.error;
    for (int64_t k = 0; status == CRS_OK && k < row->seeds; k++) {
        if (row->records[k])
            continue;
        say(e->in, "row %zu of %zu: %s, seed %" PRId64 " of %" PRId64, number, rows, row->section->name, k + 1,
            row->seeds);
        if (k == 0 || !r.t.train_set)
            say(e->in, "backend %s", crs_backend_describe(r.t.backend));
        status = run_seed(&r, k, error);
        if (status != CRS_ERR_NOT_FINITE)
            continue;
        status = CRS_OK;
        crs_error_text(error, row->failure, sizeof row->failure);
        fprintf(stderr, "carousel: row [%s], seed %" PRIu64 ": %s\n", row->section->name, r.config.seed, row->failure);
    }
    training_clear(&r.t);
    crs_dataset_free(r.test_set);
    crs_backend_close(r.t.backend);
    return status;
}

static int is_finished(const experiment_row *row) {
    for (int64_t k = 0; k < row->seeds; k++)
        if (!row->records[k])
            return 0;
    return 1;
}

/* The report is written after each row, so that a long experiment can be looked at while it runs. */
static crs_status run_and_report(experiment *e, experiment_row *row, size_t number, size_t rows, crs_error *error) {
    if (is_finished(row)) {
        say(e->in, "row %zu of %zu: %s, finished before", number, rows, row->section->name);
        return CRS_OK;
    }
    const crs_status status = run_row(e, row, number, rows, error);
    crs_error other;
    const crs_status written = experiment_report(e, row, status == CRS_OK ? error : &other);
    return status == CRS_OK ? written : status;
}

crs_status experiment_run(experiment *e, crs_error *error) {
    size_t rows = 0, number = 0;
    crs_status status = CRS_OK;
    for (size_t i = 0; i < e->count; i++)
        rows += e->rows[i].selected != 0;
    for (size_t i = 0; status == CRS_OK && i < e->count; i++)
        if (e->rows[i].selected)
            status = run_and_report(e, &e->rows[i], ++number, rows, error);
    return status;
}
