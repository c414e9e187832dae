/* A trained classifier: settings, encoder and model together, as one file. */
#ifndef CAROUSEL_CLASSIFIER_H
#define CAROUSEL_CLASSIFIER_H

#include <carousel/trainer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct crs_classifier {
    crs_config config;
    crs_encoder *encoder;
    crs_model *model;
} crs_classifier;

/* Builds the network of config->model for the encoder's vocabulary and classes. Takes the encoder over on success. */
crs_status crs_classifier_create(const crs_config *config, crs_encoder *encoder, crs_backend *backend,
                                 crs_classifier **classifier, crs_error *error);

/* One safetensors file: the weights as F32 with PyTorch's names and layouts (bias_hh is written as zeros, and added to
 * bias_ih when read, since one bias suffices), everything else as metadata strings: "format" ("pt"),
 * "carousel.version", "carousel.model", "carousel.config" (JSON of the settings that belong to a model),
 * "carousel.training" (JSON of the others, a record that is not read back), "carousel.encoder" (JSON). Written beside,
 * synced, renamed; an existing file is refused unless overwrite is set. */
crs_status crs_classifier_save(crs_classifier *classifier, const char *path, int overwrite, crs_error *error);
crs_status crs_classifier_load(const char *path, crs_backend *backend, crs_classifier **classifier, crs_error *error);
void crs_classifier_free(crs_classifier *classifier); /* not the backend */

/* Class probabilities of count texts (UTF-8, terminated): probabilities [count, classes]; two classes also where the
 * network has one output. logits [count, crs_model_outputs] or NULL. */
crs_status crs_classifier_predict(crs_classifier *classifier, const char *const *texts, size_t count,
                                  float *probabilities, float *logits, crs_error *error);

#ifdef __cplusplus
}
#endif
#endif
