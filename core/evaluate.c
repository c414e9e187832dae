/* Evaluating: a model's predictions on rows of a dataset, and the metrics of them. */
#include "fail.h"
#include "training.h"

#include <stdlib.h>

/* Batches are large enough to keep a GPU busy, yet hold no more ids than these, or than a batch of training would. */
enum { CRS_EVALUATION_ROWS = 256, CRS_EVALUATION_IDS = 1 << 15 };

/* Predictions of a batch. */
typedef struct predictions {
    float *probabilities; /* [B, classes] */
    double *losses;       /* [B] */
} predictions;

crs_status crs__evaluation_batches(const crs_model *model, const crs_config *config, const crs_dataset *dataset,
                                   const int64_t *rows, int64_t count, crs__batches *batches, crs_error *error) {
    const int full = crs_model_needs_full_length(model, config->pad == CRS_SIDE_PRE);
    const int64_t longest = config->mask && !full ? crs_dataset_statistics(dataset)->longest : config->length;
    int64_t B = CRS_EVALUATION_IDS / (longest > 0 ? longest : 1);
    B = B > config->batch ? B : config->batch;
    B = B < CRS_EVALUATION_ROWS ? B : CRS_EVALUATION_ROWS;
    CRS_TRY(crs__batches_create(dataset, config, rows, count, crs__model_classes(model), B, full, batches, error));
    crs__batches_sort(batches);
    return CRS_OK;
}

/* One output is the probability of class 1: [B] becomes [B, 2], from behind since it is done in place. */
static void spread(float *probabilities, int64_t B) {
    for (int64_t b = B; b-- > 0;) {
        probabilities[2 * b + 1] = probabilities[b];
        probabilities[2 * b] = 1 - probabilities[2 * b + 1];
    }
}

static crs_status count(const crs__batches *batches, int64_t index, const crs_batch *batch, const predictions *found,
                        crs_metrics *metrics, crs_error *error) {
    for (int64_t b = 0; b < batch->B; b++) {
        const crs_status status =
            crs_metrics_add(metrics, batch->labels[b], found->probabilities + b * metrics->classes, found->losses[b]);
        const long long row = batches->chosen[crs__batches_places(batches, index)[b]];
        if (status == CRS_ERR_NOT_FINITE)
            return crs__fail(error, status, "the loss or a probability of row %lld is not finite",
                             "the weights are too large or not numbers: train again with a lower --learning-rate", row);
        if (status != CRS_OK)
            return crs__fail(error, status, "metrics of row %lld: %s", NULL, row, crs_status_text(status));
    }
    return CRS_OK;
}

/* Rows are counted in the order of the pass, which is the same whatever the size of a batch. */
static crs_status predict(crs_model *model, crs__batches *batches, const predictions *found, crs_metrics *metrics,
                          crs_error *error) {
    for (int64_t i = 0; i < batches->batches; i++) {
        const crs_batch batch = crs__batches_get(batches, i);
        const crs_status status = crs_model_predict(model, &batch, NULL, found->probabilities, found->losses);
        if (status != CRS_OK)
            return crs__fail(error, status, "evaluating a batch of %lld rows and %lld steps failed: %s", NULL,
                             (long long)batch.B, (long long)batch.T,
                             crs_backend_failure(crs_model_backend(model), status));
        if (crs_model_outputs(model) == 1)
            spread(found->probabilities, batch.B);
        CRS_TRY(count(batches, i, &batch, found, metrics, error));
    }
    crs_metrics_finish(metrics);
    return CRS_OK;
}

crs_status crs__evaluate(crs_model *model, crs__batches *batches, crs_metrics **metrics, crs_error *error) {
    const int64_t classes = crs__model_classes(model);
    const size_t bytes = (size_t)batches->B * (size_t)classes * sizeof(float);
    const predictions found = {malloc(bytes), malloc((size_t)batches->B * sizeof(double))};
    crs_status status = crs_metrics_create(classes, metrics);
    if (status != CRS_OK)
        crs__fail(error, status, "metrics of %lld classes: %s", NULL, (long long)classes, crs_status_text(status));
    else if (!found.probabilities || !found.losses)
        status = crs__fail_memory(error, bytes, "the probabilities of a batch");
    else
        status = predict(model, batches, &found, *metrics, error);
    free(found.probabilities);
    free(found.losses);
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
