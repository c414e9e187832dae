/* Several classifiers that answer as one: the mean of their class probabilities. Each reads the texts in its own way,
 * with its own vocabulary; what they share is the set of labels.
 * Hansen and Salamon, "Neural network ensembles", 1990. */
#ifndef CRS_ENSEMBLE_H
#define CRS_ENSEMBLE_H

#include "command.h"

typedef struct ensemble {
    size_t count, capacity;
    crs_classifier **members; /* [count] */
    crs_backend *backend;     /* opened by ensemble_open, else NULL */
} ensemble;

/* Loads one more. An error: its labels are not those of the first. */
crs_status ensemble_add(ensemble *e, const char *path, crs_backend *backend, crs_error *error);
/* The model named first on the command line and those of --with, on a backend opened for them, with the settings given
 * there. 0: failed, and said. */
int ensemble_open(const invocation *in, ensemble *e);
void ensemble_clear(ensemble *e);

/* Mean probabilities [count, classes]. logits [count, outputs] are
 * the first member's; NULL: not wanted. */
crs_status ensemble_predict(const ensemble *e, const char *const *texts, size_t count, float *probabilities,
                            float *logits, crs_error *error);

/* Metrics of the mean probabilities on a file's rows. The loss is their cross-entropy, whatever loss the members were
 * trained with. rows: the file as the first member reads it, by its config; the others read it again. */
crs_status ensemble_evaluate(const ensemble *e, const char *path, const crs_dataset *rows, crs_metrics **metrics,
                             crs_error *error);

#endif
