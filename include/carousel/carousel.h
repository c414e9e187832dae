/* Carousel: trains sequence classifiers. This header brings everything a user of the library calls.
 *
 *     crs_config config;           crs_config_init(&config);
 *     crs_backend *backend;        crs_backend_open("auto", 0, NULL, &backend, &error);
 *     crs_encoder *encoder;        crs_dataset *data;
 *     crs_dataset_read("train.tsv", &config, NULL, &encoder, &data, &error);
 *     crs_classifier *classifier;  crs_classifier_create(&config, encoder, backend, &classifier, &error);
 *     crs_train(classifier->model, &config, data, NULL, 0, NULL, NULL, 0, NULL, &history, &error);
 *     crs_classifier_save(classifier, "model.safetensors", 0, &error);
 */
#ifndef CAROUSEL_CAROUSEL_H
#define CAROUSEL_CAROUSEL_H

#include <carousel/backend.h>
#include <carousel/classifier.h>
#include <carousel/config.h>
#include <carousel/dataset.h>
#include <carousel/gradcheck.h>
#include <carousel/model.h>
#include <carousel/ops.h>
#include <carousel/status.h>
#include <carousel/trainer.h>
#include <carousel/vectors.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0" */
const char *crs_version(void);

#ifdef __cplusplus
}
#endif
#endif
