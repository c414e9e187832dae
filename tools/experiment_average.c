/* A row that is not trained: it averages the class probabilities that the models of rows above it give the test rows.
 * With several seeds its results are of so many groups, into which each row's models are dealt out in turn. */
#include "experiment.h"

#include "ensemble.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_AVERAGE = 1500 }; /* bytes: it is shown in a table's cell */

int experiment_average_depends_on(const crs_setting *setting) {
    return strcmp(setting->group, "Data") == 0 || strcmp(setting->group, "Running") == 0;
}

static crs_status reject(const experiment *e, const experiment_entry *entry, crs_error *error, const char *mend,
                         const char *what, const char *name) {
    return describe(error, CRS_ERR_CONFIG, e->file.path, entry->line, mend, what, name);
}

static const experiment_row *row_named(const experiment *e, const experiment_row *below, const char *name) {
    for (const experiment_row *row = e->rows; row < below; row++)
        if (strcmp(row->section->name, name) == 0)
            return row;
    return NULL;
}

static crs_status add_part(const experiment *e, experiment_row *row, const experiment_entry *entry, const char *name,
                           crs_error *error) {
    const experiment_row *part = row_named(e, row, name);
    if (!part)
        return reject(e, entry, error, "name rows that stand above it, as in 'average = FIRST + SECOND'",
                      "there is no row [%.64s] above this one", name);
    if (part->average)
        return reject(e, entry, error, "name the rows that it averages", "the row [%.64s] is an average itself", name);
    if (row->part_count == MOST_PARTS)
        return reject(e, entry, error, "average fewer rows", "there are too many rows from [%.64s] on", name);
    row->parts[row->part_count++] = part;
    return CRS_OK;
}

/* What is said of the row itself, and how its test rows are read and where; all else is the parts'. */
static int is_for_average(const char *key) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(settings[i].name, key) == 0)
            return experiment_average_depends_on(&settings[i]);
    return strcmp(key, "data") != 0;
}

static crs_status check_keys(const experiment *e, const experiment_row *row, crs_error *error) {
    for (size_t i = 0; i < row->section->count; i++)
        if (!is_for_average(row->section->entries[i].key))
            return reject(e, &row->section->entries[i], error, "give it to the rows that are averaged",
                          "'%s' means nothing to a row that is not trained", row->section->entries[i].key);
    return CRS_OK;
}

/* Names are set apart by " + ": alone, a plus may be part of one. */
crs_status experiment_average_resolve(const experiment *e, experiment_row *row, crs_error *error) {
    const experiment_entry *entry = experiment_entry_find(row->section, "average");
    const char *at = entry->value, *end;
    if (strlen(at) > LONGEST_AVERAGE)
        return reject(e, entry, error, "average fewer rows", "the rows to average take more than 1500 bytes%s", "");
    do {
        char name[LONGEST_AVERAGE + 1];
        end = strstr(at, " + ");
        snprintf(name, sizeof name, "%.*s", end ? (int)(end - at) : (int)strlen(at), at);
        if (add_part(e, row, entry, name, error) != CRS_OK)
            return error->status;
        at = end ? end + 3 : NULL;
    } while (at);
    return row->test ? check_keys(e, row, error)
                     : reject(e, entry, error, "give it 'test = FILE'", "the row [%.64s] has no rows to average on",
                              row->section->name);
}

/* Once the number of seeds is settled: every group gets a model of every row. */
crs_status experiment_average_check(const experiment *e, const experiment_row *row, crs_error *error) {
    const experiment_entry *entry = experiment_entry_find(row->section, "average");
    for (size_t i = 0; i < row->part_count; i++)
        if (row->parts[i]->seeds < row->seeds)
            return reject(e, entry, error, "give it as many, or this row fewer",
                          "the row [%.64s] has fewer seeds than this one, among which its models are dealt out",
                          row->parts[i]->section->name);
    return CRS_OK;
}

/* ---- what a result depends on ---- */

static json_t *part_of(const experiment_row *part, const json_t *record) {
    size_t count;
    const crs_setting *rows = crs_config_settings(&count);
    json_t *settings = json_deep_copy(json_object_get(record, "settings"));
    /* Which of these a record keeps depends on how it was come by; the loss tells what they did. */
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].group, "Running") == 0)
            (void)json_object_del(settings, rows[i].name);
    return json_pack("{s:s, s:O, s:O, s:O, s:O, s:o}", "row", part->section->name, "seed",
                     json_object_get(record, "seed"), "date", json_object_get(record, "date"), "train_loss",
                     json_object_get(json_object_get(record, "train"), "loss"), "files",
                     json_object_get(record, "files"), "settings", settings);
}

/* Which trainings it is made of, with what shows that one was done again. NULL: one of them is missing, or memory. */
static json_t *parts_of(const experiment_row *row, int64_t index) {
    json_t *parts = json_array();
    for (size_t i = 0; i < row->part_count; i++) {
        const experiment_row *part = row->parts[i];
        int complete = 1;
        for (int64_t k = index; complete && k < part->seeds; k += row->seeds)
            complete = part->records[k] && json_array_append_new(parts, part_of(part, part->records[k])) == 0;
        if (!complete) {
            json_decref(parts);
            return NULL;
        }
    }
    return parts;
}

int experiment_average_holds(const experiment_row *row, int64_t index, const json_t *record) {
    json_t *parts = parts_of(row, index);
    const int holds = parts && json_equal(json_object_get(record, "parts"), parts);
    json_decref(parts);
    return holds;
}

/* ---- running ---- */

static crs_status load_models(const experiment *e, const experiment_row *row, int64_t index, crs_backend *backend,
                              ensemble *models, int64_t *parameters, crs_error *error) {
    char path[600];
    for (size_t i = 0; i < row->part_count; i++)
        for (int64_t k = index; k < row->parts[i]->seeds; k += row->seeds) {
            experiment_path(e, row->parts[i], k, "model.safetensors", path);
            if (!row->parts[i]->records[k] && row->parts[i]->failure[0])
                return describe(error, CRS_ERR_NOT_FINITE, "", 0, "see to that row first",
                                "a training of [%s], which it averages, failed", row->parts[i]->section->name);
            if (!row->parts[i]->records[k])
                return describe(error, CRS_ERR_CONFIG, e->file.path, row->section->line,
                                "train it first, with --only or without",
                                "the row [%s] averages %s, which has not been trained", row->section->name,
                                row->parts[i]->section->name);
            const crs_status status = ensemble_add(models, path, backend, error);
            if (status != CRS_OK)
                return status;
            *parameters += crs_model_parameters(models->members[models->count - 1]->model);
        }
    return CRS_OK;
}

/* The row says how its test file is written; a model does not. */
static void apply_own_settings(const experiment_row *row, crs_config *config) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++) {
        char value[1024];
        if (experiment_average_depends_on(&settings[i]))
            (void)crs_config_set(config, settings[i].name,
                                 crs_config_get(&row->config, settings[i].name, value, sizeof value), NULL);
    }
}

static crs_status evaluate(const experiment_row *row, const ensemble *models, crs_metrics **metrics, crs_error *error) {
    for (size_t i = 0; i < models->count; i++)
        apply_own_settings(row, &models->members[i]->config);
    const crs_classifier *first = models->members[0];
    crs_dataset *rows;
    crs_status status = crs_dataset_read(row->test_path, &first->config, first->encoder, NULL, &rows, error);
    if (status != CRS_OK)
        return status;
    status = ensemble_evaluate(models, row->test_path, rows, metrics, error);
    crs_dataset_free(rows);
    return status;
}

static json_t *make_record(const experiment_row *row, int64_t index, const ensemble *models, int64_t parameters,
                           const crs_metrics *metrics, const char *backend) {
    char date[40];
    experiment_date(date);
    return json_pack("{s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:o, s:o}", "carousel", crs_version(), "row",
                     row->section->name, "date", date, "seed", (json_int_t)experiment_seed(row, index), "backend",
                     backend, "parameters", (json_int_t)parameters, "models", (json_int_t)models->count, "parts",
                     parts_of(row, index), "test", json_of_metrics(metrics, models->members[0]->encoder));
}

crs_status experiment_average_run(experiment *e, experiment_row *row, int64_t index, crs_backend *backend,
                                  json_t **record, crs_error *error) {
    ensemble models = {0};
    crs_metrics *metrics = NULL;
    int64_t parameters = 0;
    *record = NULL;
    crs_status status = load_models(e, row, index, backend, &models, &parameters, error);
    if (status == CRS_OK && models.members) {
        say(e->in, "averaging %zu models", models.count);
        status = evaluate(row, &models, &metrics, error);
    }
    if (status == CRS_OK && models.members)
        *record = make_record(row, index, &models, parameters, metrics, crs_backend_describe(backend));
    if (status == CRS_OK && !*record)
        status = describe(error, CRS_ERR_MEMORY, "", 0, "free some memory", "out of memory");
    crs_metrics_free(metrics);
    ensemble_clear(&models);
    return status;
}
