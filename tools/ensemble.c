/* Averaging the answers of several classifiers. */
#include "ensemble.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static crs_status out_of_memory(crs_error *error) {
    return describe(error, CRS_ERR_MEMORY, "", 0, "free some memory", "out of memory");
}

static int64_t classes_of(const ensemble *e) {
    return crs_encoder_classes(e->members[0]->encoder);
}

/* Equal sets of labels have the same order, since every encoder sorts them. */
static crs_status check_labels(const ensemble *e, const crs_classifier *member, const char *path, crs_error *error) {
    const char *const mend = "average classifiers of the same labels";
    const int64_t classes = crs_encoder_classes(member->encoder);
    if (classes != classes_of(e))
        return describe(error, CRS_ERR_ARGUMENT, path, 0, mend, "has %lld classes, but the first model has %lld",
                        (long long)classes, (long long)classes_of(e));
    for (int64_t c = 0; c < classes; c++) {
        const char *label = crs_encoder_label(e->members[0]->encoder, c);
        if (strcmp(crs_encoder_label(member->encoder, c), label) != 0)
            return describe(error, CRS_ERR_ARGUMENT, path, 0, mend, "does not know the first model's label '%.200s'",
                            label);
    }
    return CRS_OK;
}

crs_status ensemble_add(ensemble *e, const char *path, crs_backend *backend, crs_error *error) {
    crs_classifier *member;
    if (e->count == e->capacity) {
        const size_t capacity = e->capacity > 0 ? 2 * e->capacity : 4;
        crs_classifier **grown = realloc(e->members, capacity * sizeof(crs_classifier *));
        if (!grown)
            return out_of_memory(error);
        e->members = grown;
        e->capacity = capacity;
    }
    crs_status status = crs_classifier_load(path, backend, &member, error);
    if (status != CRS_OK)
        return status;
    status = e->count > 0 ? check_labels(e, member, path, error) : CRS_OK;
    if (status == CRS_OK)
        e->members[e->count++] = member;
    else
        crs_classifier_free(member);
    return status;
}

int ensemble_open(const invocation *in, ensemble *e) {
    crs_error error;
    *e = (ensemble){.backend = open_backend(in)};
    if (!e->backend)
        return 0;
    for (size_t i = 0; i <= in->extras.with.count; i++) {
        const char *path = i > 0 ? in->extras.with.items[i - 1] : in->arguments[0];
        if (ensemble_add(e, path, e->backend, &error) != CRS_OK) {
            fail(&error);
            return 0;
        }
        apply_given(in, &e->members[i]->config);
    }
    if (e->count > 1)
        say(in, "averaging the probabilities of %zu models", e->count);
    return 1;
}

void ensemble_clear(ensemble *e) {
    for (size_t i = 0; i < e->count; i++)
        crs_classifier_free(e->members[i]);
    free(e->members);
    crs_backend_close(e->backend);
    *e = (ensemble){0};
}

static void add_to(size_t size, const float *found, double *sums) {
    for (size_t i = 0; i < size; i++)
        sums[i] += (double)found[i];
}

crs_status ensemble_predict(const ensemble *e, const char *const *texts, size_t count, float *probabilities,
                            float *logits, crs_error *error) {
    const size_t size = count * (size_t)classes_of(e);
    if (e->count == 1)
        return crs_classifier_predict(e->members[0], texts, count, probabilities, logits, error);
    double *sums = calloc(size + 1, sizeof *sums);
    if (!sums)
        return out_of_memory(error);
    crs_status status = CRS_OK;
    for (size_t k = 0; k < e->count && status == CRS_OK; k++) {
        status = crs_classifier_predict(e->members[k], texts, count, probabilities, k == 0 ? logits : NULL, error);
        if (status == CRS_OK)
            add_to(size, probabilities, sums);
    }
    for (size_t i = 0; i < size; i++)
        probabilities[i] = (float)(sums[i] / (double)e->count);
    free(sums);
    return status;
}

/* ---- evaluating ---- */

/* The rows as the member reads them. Labels are known to all or to none, so that every member reads the same rows. */
static crs_status read_rows(const crs_classifier *member, const char *path, crs_dataset **dataset, crs_error *error) {
    return crs_dataset_read(path, &member->config, member->encoder, NULL, dataset, error);
}

/* Adds each member's probabilities of the rows to sums [rows, classes]; the first one's dataset is read already. */
static crs_status sum_up(const ensemble *e, const char *path, const crs_dataset *rows, float *found, double *sums,
                         crs_error *error) {
    const size_t count = (size_t)crs_dataset_rows(rows);
    for (size_t k = 0; k < e->count; k++) {
        crs_classifier *member = e->members[k];
        crs_dataset *own = NULL;
        crs_status status = k > 0 ? read_rows(member, path, &own, error) : CRS_OK;
        if (status == CRS_OK && own && crs_dataset_rows(own) != (int64_t)count)
            status = describe(error, CRS_ERR_IO, path, 0, "leave it alone until all models have read it",
                              "has changed while it was read");
        if (status == CRS_OK)
            status = crs_predict(member->model, &member->config, own ? own : rows, found, NULL, error);
        if (status == CRS_OK)
            add_to(count * (size_t)classes_of(e), found, sums);
        crs_dataset_free(own);
        if (status != CRS_OK)
            return status;
    }
    return CRS_OK;
}

static crs_status count_rows(const crs_dataset *rows, const double *sums, size_t members, float *probabilities,
                             crs_metrics *metrics, crs_error *error) {
    const size_t classes = (size_t)metrics->classes;
    for (size_t i = 0; i < (size_t)crs_dataset_rows(rows); i++) {
        const size_t label = (size_t)crs_dataset_label(rows, (int64_t)i);
        for (size_t c = 0; c < classes; c++)
            probabilities[c] = (float)(sums[i * classes + c] / (double)members);
        /* What float has no number for is as unlikely as its smallest; written so that NaN stays one. */
        const double p = (double)probabilities[label];
        const double loss = -log(p < (double)FLT_MIN ? (double)FLT_MIN : p);
        const crs_status status = crs_metrics_add(metrics, (int64_t)label, probabilities, loss);
        if (status == CRS_ERR_NOT_FINITE)
            return describe(error, status, "", 0, "train the models again with a lower --learning-rate",
                            "a probability of row %zu is not finite", i);
        if (status != CRS_OK)
            return out_of_memory(error);
    }
    crs_metrics_finish(metrics);
    return CRS_OK;
}

crs_status ensemble_evaluate(const ensemble *e, const char *path, const crs_dataset *rows, crs_metrics **metrics,
                             crs_error *error) {
    const size_t size = (size_t)crs_dataset_rows(rows) * (size_t)classes_of(e);
    double *sums = calloc(size, sizeof *sums);
    float *found = calloc(size, sizeof *found);
    *metrics = NULL;
    crs_status status = CRS_OK;
    if (!sums || !found || crs_metrics_create(classes_of(e), metrics) != CRS_OK)
        status = out_of_memory(error);
    if (status == CRS_OK)
        status = sum_up(e, path, rows, found, sums, error);
    if (status == CRS_OK)
        status = count_rows(rows, sums, e->count, found, *metrics, error);
    free(sums);
    free(found);
    if (status == CRS_OK)
        return CRS_OK;
    crs_metrics_free(*metrics);
    *metrics = NULL;
    return status;
}
