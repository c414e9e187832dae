/* What training and evaluating share inside the library. */
#ifndef CRS_TRAINING_H
#define CRS_TRAINING_H

#include "batch.h"

#include <carousel/trainer.h>

/* Classes of the labels a model learns: two also where it has one output. */
static inline int64_t crs__model_classes(const crs_model *model) {
    const int64_t outputs = crs_model_outputs(model);
    return outputs == 1 ? 2 : outputs;
}

/* The settings of a step, those that count epochs turned into steps. */
crs_training crs__training_of(const crs_config *config, int64_t steps_per_epoch, const double *class_weight);

/* weights [classes] = rows / (classes * rows of the class), 1 for a class without rows (scikit-learn's "balanced"). */
void crs__balanced_weights(const crs__batches *batches, int64_t classes, double *weights);

/* Batches as an evaluation wants them, and an evaluation over them. */
crs_status crs__evaluation_batches(const crs_model *model, const crs_config *config, const crs_dataset *dataset,
                                   const int64_t *rows, int64_t count, crs__batches *batches, crs_error *error);
crs_status crs__evaluate(crs_model *model, crs__batches *batches, crs_metrics **metrics, crs_error *error);

#endif
