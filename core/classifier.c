/* A classifier: settings, encoder and model kept together, and texts or rows in, probabilities out. Its file is
 * classifier_file.c. */
#include "classifier.h"

#include "fail.h"
#include "training.h"

#include <stdlib.h>
#include <string.h>

crs_status crs__classifier_make(const crs_config *config, crs_encoder *encoder, crs_backend *backend, int initialise,
                                crs_classifier **classifier, crs_error *error) {
    *classifier = NULL;
    const crs_model_task task = {.vocabulary = crs_encoder_vocabulary(encoder),
                                 .classes = crs_encoder_classes(encoder),
                                 .length = config->length,
                                 .loss = config->loss,
                                 .label_smoothing = config->label_smoothing,
                                 .seed = config->seed};
    crs_classifier *made = calloc(1, sizeof *made);
    if (!made)
        return crs__fail_memory(error, sizeof *made, "a classifier");
    const crs_status status = crs__model_create(config->model, &task, backend, initialise, &made->model, error);
    if (status != CRS_OK) {
        free(made);
        return status;
    }
    made->config = *config;
    made->encoder = encoder;
    *classifier = made;
    return CRS_OK;
}

crs_status crs_classifier_create(const crs_config *config, crs_encoder *encoder, crs_backend *backend,
                                 crs_classifier **classifier, crs_error *error) {
    return crs__classifier_make(config, encoder, backend, 1, classifier, error);
}

void crs_classifier_free(crs_classifier *classifier) {
    if (!classifier)
        return;
    crs_model_free(classifier->model);
    crs_encoder_free(classifier->encoder);
    free(classifier);
}

/* ---- predicting ---- */

/* The texts as a dataset, so that they are encoded and batched as in an evaluation. The label is any that is known; a
 * prediction does not look at it. */
static crs_status encode(const crs_classifier *classifier, const char *const *texts, size_t count,
                         crs_dataset **dataset, crs_error *error) {
    const char *label = crs_encoder_label(classifier->encoder, 0);
    crs_dataset_builder *builder;
    crs_status status = crs_dataset_builder_create(&classifier->config, classifier->encoder, &builder);
    if (status != CRS_OK)
        return crs__fail(error, status, "encoding texts: %s", NULL, crs_status_text(status));
    for (size_t i = 0; i < count && status == CRS_OK; i++)
        status = crs_dataset_builder_add(builder, texts[i], strlen(texts[i]), label, strlen(label), error);
    if (status == CRS_OK)
        return crs_dataset_builder_finish(builder, NULL, dataset, error);
    crs_dataset_builder_free(builder);
    return status;
}

/* Results of a batch to the places of its texts. */
static void put_rows(const crs_model *model, const crs_batch *batch, const int64_t *places, const float *results,
                     float *probabilities, float *logits) {
    const size_t outputs = (size_t)crs_model_outputs(model), classes = (size_t)crs__model_classes(model);
    for (size_t b = 0; b < (size_t)batch->B; b++) {
        float *to = probabilities + (size_t)places[b] * classes;
        memcpy(to, results + b * outputs, outputs * sizeof *to);
        if (outputs == 1) {
            to[1] = to[0];
            to[0] = 1 - to[1];
        }
        if (logits)
            memcpy(logits + (size_t)places[b] * outputs, results + ((size_t)batch->B + b) * outputs,
                   outputs * sizeof *to);
    }
}

static crs_status predict(crs_model *model, crs__batches *batches, float *probabilities, float *logits,
                          crs_error *error) {
    const size_t size = (logits ? 2 : 1) * (size_t)batches->B * (size_t)crs_model_outputs(model) * sizeof(float);
    float *results = malloc(size); /* a batch's probabilities, then its logits where they are wanted */
    if (!results)
        return crs__fail_memory(error, size, "predictions");
    crs_status status = CRS_OK;
    for (int64_t i = 0; i < batches->batches && status == CRS_OK; i++) {
        crs_batch batch = crs__batches_get(batches, i);
        batch.labels = NULL;
        status = crs_model_predict(model, &batch, logits ? results + batch.B * crs_model_outputs(model) : NULL, results,
                                   NULL);
        if (status == CRS_OK)
            put_rows(model, &batch, crs__batches_places(batches, i), results, probabilities, logits);
        else
            crs__fail(error, status, "predicting a batch of %lld texts and %lld steps: %s", NULL, (long long)batch.B,
                      (long long)batch.T, crs_backend_failure(crs_model_backend(model), status));
    }
    free(results);
    return status;
}

crs_status crs_predict(crs_model *model, const crs_config *config, const crs_dataset *dataset, float *probabilities,
                       float *logits, crs_error *error) {
    crs__batches batches;
    CRS_TRY(crs__evaluation_batches(model, config, dataset, NULL, 0, &batches, error));
    const crs_status status = predict(model, &batches, probabilities, logits, error);
    crs__batches_free(&batches);
    return status;
}

crs_status crs_classifier_predict(crs_classifier *classifier, const char *const *texts, size_t count,
                                  float *probabilities, float *logits, crs_error *error) {
    if (count == 0)
        return CRS_OK;
    crs_dataset *dataset = NULL;
    CRS_TRY(encode(classifier, texts, count, &dataset, error));
    const crs_status status =
        crs_predict(classifier->model, &classifier->config, dataset, probabilities, logits, error);
    crs_dataset_free(dataset);
    return status;
}
