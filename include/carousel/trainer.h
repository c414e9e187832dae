/* Training and evaluating a model on a dataset. */
#ifndef CAROUSEL_TRAINER_H
#define CAROUSEL_TRAINER_H

#include <carousel/dataset.h>
#include <carousel/model.h>

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- metrics ---- */

typedef struct crs_class_metrics {
    int64_t support;              /* rows of this class */
    double precision, recall, f1; /* 0 where undefined, as scikit-learn */
} crs_class_metrics;

/* Classes for which the confusion matrix is kept at most: it grows with their square. */
#define CRS_CONFUSION_CLASSES 1000

/* Everything that is reported about predictions. Made by crs_metrics_create, filled row by row, closed by finish. */
typedef struct crs_metrics {
    int64_t classes, rows;
    double loss; /* mean row loss: no class weights, no label smoothing */
    double accuracy;
    double macro_precision, macro_recall, macro_f1;
    double auc; /* area under the ROC curve for class 1 of two; NaN otherwise or where one class lacks */
    crs_class_metrics *per_class; /* [classes] */
    int64_t *confusion; /* [classes, classes]: row the true class, column the predicted one; NULL where there are more
                           than CRS_CONFUSION_CLASSES */
    struct crs__scores *scores; /* collected until finish */
} crs_metrics;

crs_status crs_metrics_create(int64_t classes, crs_metrics **metrics);
/* probabilities [classes]: one row's; the predicted class is the largest (ties: the lowest class). */
crs_status crs_metrics_add(crs_metrics *metrics, int64_t label, const float *probabilities, double row_loss);
void crs_metrics_finish(crs_metrics *metrics);
void crs_metrics_free(crs_metrics *metrics);

/* ---- training ---- */

/* One line of the history. Validation fields are NaN where there is no validation set. */
typedef struct crs_epoch {
    int64_t epoch;         /* 1-based */
    int64_t steps;         /* in this epoch */
    double loss, accuracy; /* running means over the training batches, masks on */
    double val_loss, val_accuracy;
    double val_macro_f1;
    double lr;        /* of the epoch's last step */
    double grad_norm; /* of the epoch's last step, before clipping */
    double seconds;   /* training and validation */
    int64_t tokens;   /* live tokens trained on */
    int best;         /* 1: the best so far by the monitor; 0 in every epoch without a validation set */
} crs_epoch;

typedef struct crs_history {
    size_t count;
    crs_epoch *epochs; /* [count] */
    size_t best;       /* index of the epoch whose weights the model has now */
    int stopped_early; /* patience ran out */
    int interrupted;   /* hooks.stop was seen */
} crs_history;

/* Where a running epoch is. Filled from the device every few steps, so loss and accuracy lag a little. */
typedef struct crs_progress {
    int64_t epoch, epochs, step, steps, rows; /* step of the epoch; rows done in it */
    double loss, accuracy;                    /* running means of the epoch */
    double rows_per_second, seconds_left;     /* of the epoch */
} crs_progress;

/* Any of these may be NULL. Callbacks run on the caller's thread. */
typedef struct crs_train_hooks {
    void (*on_progress)(void *user, const crs_progress *progress); /* about ten times a second */
    void (*on_epoch)(void *user, const crs_epoch *epoch);
    void *user;
    const volatile sig_atomic_t *stop; /* non-zero: end after the running step, keep what was learned */
} crs_train_hooks;

/* Splits a dataset's rows as config asks: the last fraction, or a seeded random one with each class's share (at least
 * one row of each class stays for training). Row numbers go to train and validation (malloc, the caller frees). */
crs_status crs_split_rows(const crs_dataset *dataset, const crs_config *config, int64_t **train, int64_t *train_count,
                          int64_t **validation, int64_t *validation_count, crs_error *error);

/* Trains on the given rows of `dataset` (train_rows NULL: all) and validates each epoch on rows of `validation_set`
 * (NULL: none). On CRS_OK, and also after an interruption or an early stop, the model has the best weights where
 * keep_best and a validation set are given, else the last; patience too means nothing without one. An interrupted
 * epoch is validated and stands in the history like any other. CRS_ERR_NOT_FINITE: the error names epoch, step and
 * batch and says what to try; the history so far is filled, and the model has the weights of the last step whose loss
 * and gradient were finite (themselves not finite only where that one update overflowed). */
crs_status crs_train(crs_model *model, const crs_config *config, const crs_dataset *dataset, const int64_t *train_rows,
                     int64_t train_count, const crs_dataset *validation_set, const int64_t *validation_rows,
                     int64_t validation_count, const crs_train_hooks *hooks, crs_history *history, crs_error *error);
void crs_history_clear(crs_history *history);
/* The history as CSV with a header line, one line an epoch; written beside and renamed. */
crs_status crs_history_write(const crs_history *history, const char *path, int overwrite, crs_error *error);

/* Class probabilities of all rows, in their order: probabilities [rows, classes]; two classes also where the network
 * has one output. logits [rows, crs_model_outputs] or NULL. The labels are not looked at. */
crs_status crs_predict(crs_model *model, const crs_config *config, const crs_dataset *dataset, float *probabilities,
                       float *logits, crs_error *error);

/* Evaluates on the given rows (NULL: all). */
crs_status crs_evaluate(crs_model *model, const crs_config *config, const crs_dataset *dataset, const int64_t *rows,
                        int64_t count, crs_metrics **metrics, crs_error *error);

#ifdef __cplusplus
}
#endif
#endif
