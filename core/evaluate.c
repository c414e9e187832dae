/* Evaluating: a model's predictions on rows of a dataset, and the metrics of them. */
#include "fail.h"
#include "training.h"

#include <stdlib.h>

/* Batches are large enough to keep a GPU busy, yet hold no more ids than these, or than a batch of training would. */
enum { CRS_EVALUATION_ROWS = 256, CRS_EVALUATION_IDS = 1 << 15 };

/* Predictions of a pass, at the rows' places, so that they are counted in the order of the rows. */
typedef struct predictions {
    float *probabilities;       /* [rows, classes] */
    double *losses;             /* [rows] */
    float *batch_probabilities; /* [B, outputs] */
    double *batch_losses;       /* [B] */
} predictions;

crs_status crs__evaluation_batches(const crs_model *model, const crs_config *config, const crs_dataset *dataset,
                                   const int64_t *rows, int64_t count, crs__batches *batches, crs_error *error) {
    const int64_t longest = config->mask ? crs_dataset_statistics(dataset)->longest : config->length;
    int64_t B = CRS_EVALUATION_IDS / (longest > 0 ? longest : 1);
    B = B > config->batch ? B : config->batch;
    B = B < CRS_EVALUATION_ROWS ? B : CRS_EVALUATION_ROWS;
    CRS_TRY(crs__batches_create(dataset, config, rows, count, crs__model_classes(model), B, batches, error));
    crs__batches_sort(batches);
    return CRS_OK;
}

static crs_status allocate(predictions *all, int64_t rows, int64_t B, int64_t classes, crs_error *error) {
    const size_t n = (size_t)rows, c = (size_t)classes;
    *all = (predictions){0};
    if (n <= SIZE_MAX / sizeof(float) / c) {
        all->probabilities = malloc(n * c * sizeof(float));
        all->losses = calloc(n, sizeof(double));
        all->batch_probabilities = malloc((size_t)B * c * sizeof(float));
        all->batch_losses = malloc((size_t)B * sizeof(double));
    }
    if (all->probabilities && all->losses && all->batch_probabilities && all->batch_losses)
        return CRS_OK;
    crs__fail(error, CRS_ERR_MEMORY, "out of memory for the probabilities of %lld rows and %lld classes",
              "evaluate fewer rows at once", (long long)rows, (long long)classes);
    return CRS_ERR_MEMORY;
}

static void release(predictions *all) {
    free(all->probabilities);
    free(all->losses);
    free(all->batch_probabilities);
    free(all->batch_losses);
}

/* One output is the probability of class 1. */
static void put_row(const predictions *all, int64_t b, int64_t outputs, int64_t place) {
    const float *from = all->batch_probabilities + b * outputs;
    float *to = all->probabilities + place * (outputs == 1 ? 2 : outputs);
    if (outputs == 1) {
        to[0] = 1 - from[0];
        to[1] = from[0];
    } else {
        for (int64_t c = 0; c < outputs; c++)
            to[c] = from[c];
    }
    all->losses[place] = all->batch_losses[b];
}

static crs_status predict(crs_model *model, crs__batches *batches, const predictions *all, crs_error *error) {
    const int64_t outputs = crs_model_outputs(model);
    for (int64_t i = 0; i < batches->batches; i++) {
        const crs_batch batch = crs__batches_get(batches, i);
        const int64_t *places = crs__batches_places(batches, i);
        const crs_status status = crs_model_predict(model, &batch, NULL, all->batch_probabilities, all->batch_losses);
        if (status != CRS_OK)
            return crs__fail(error, status, "evaluating a batch of %lld rows and %lld steps failed: %s", NULL,
                             (long long)batch.B, (long long)batch.T, crs_status_text(status));
        for (int64_t b = 0; b < batch.B; b++)
            put_row(all, b, outputs, places[b]);
    }
    return CRS_OK;
}

static crs_status count(const crs__batches *batches, const predictions *all, crs_metrics *metrics, crs_error *error) {
    for (int64_t i = 0; i < batches->count; i++) {
        const int64_t row = batches->chosen[i];
        const crs_status status = crs_metrics_add(metrics, crs_dataset_label(batches->dataset, row),
                                                  all->probabilities + i * metrics->classes, all->losses[i]);
        if (status == CRS_ERR_NOT_FINITE)
            return crs__fail(error, status, "the loss or a probability of row %lld is not finite",
                             "the weights are too large or not numbers: train again with a lower --learning-rate",
                             (long long)row);
        if (status != CRS_OK)
            return crs__fail(error, status, "metrics of row %lld: %s", NULL, (long long)row, crs_status_text(status));
    }
    crs_metrics_finish(metrics);
    return CRS_OK;
}

crs_status crs__evaluate(crs_model *model, crs__batches *batches, crs_metrics **metrics, crs_error *error) {
    const int64_t classes = crs__model_classes(model);
    predictions all;
    *metrics = NULL;
    crs_status status = allocate(&all, batches->count, batches->B, classes, error);
    if (status == CRS_OK && (status = crs_metrics_create(classes, metrics)) != CRS_OK)
        crs__fail(error, status, "metrics of %lld classes: %s", NULL, (long long)classes, crs_status_text(status));
    if (status == CRS_OK)
        status = predict(model, batches, &all, error);
    if (status == CRS_OK)
        status = count(batches, &all, *metrics, error);
    release(&all);
    if (status != CRS_OK) {
        crs_metrics_free(*metrics);
        *metrics = NULL;
    }
    return status;
}

crs_status crs_evaluate(crs_model *model, const crs_config *config, const crs_dataset *dataset, const int64_t *rows,
                        int64_t row_count, crs_metrics **metrics, crs_error *error) {
    crs__batches batches;
    *metrics = NULL;
    CRS_TRY(crs__evaluation_batches(model, config, dataset, rows, row_count, &batches, error));
    const crs_status status = crs__evaluate(model, &batches, metrics, error);
    crs__batches_free(&batches);
    return status;
}
