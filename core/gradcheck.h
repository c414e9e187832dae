/* What the files of the gradient check share: where batches come from, what a run of a network gives, and comparing. */
#ifndef CRS_GRADCHECK_H
#define CRS_GRADCHECK_H

#include "batch.h"
#include "network.h"

#include <carousel/gradcheck.h>

/* Purpose of the check's random numbers, beside those of random.h; the stream's second number says what for. */
enum { CRS__RANDOM_CHECK = 1000, CRS__CHECK_BATCH = 1, CRS__CHECK_WEIGHTS, CRS__CHECK_SAMPLE, CRS__CHECK_NUDGE };

/* ---- gradcheck_batches.c ---- */

/* The batches of a check, made anew whenever they are asked for, so that any number takes the room of one. */
typedef struct crs__check_source {
    const crs_gradcheck_options *options;
    crs__batches rows;                   /* of a dataset; its count is 0 where data are random */
    int64_t T, B;                        /* no batch is larger */
    int64_t steps_per_epoch;             /* batches in the dataset; of random data 1 */
    int32_t *ids, *start, *len, *labels; /* random data: [T,B], [B], [B], [B] */
} crs__check_source;

crs_status crs__check_source_create(const crs_gradcheck_options *options, int full_length, crs__check_source *source,
                                    crs_error *error);
void crs__check_source_free(crs__check_source *source);
/* The batch of a step (0, 1, ...). Its pointers stay good until the next call. */
crs_batch crs__check_source_get(crs__check_source *source, int64_t step);

/* One check: what every backend starts from, and what the oracle made of it. */
typedef struct crs__check {
    const crs_gradcheck_options *options;
    crs_error *error;
    crs__check_source source;
    crs_training training;
    double *class_weight; /* [classes] or NULL */
    crs_model *oracle;
    double *parameters;        /* [parameters] */
    double *gradient, loss;    /* [trainable] the oracle's */
    double *losses, *movement; /* [train], [parameters] the oracle's training */
    double *got, *got_losses;  /* [parameters], [train] another backend's gradient or movement, and its losses */
    double slack_for;          /* tolerance that the slacks were measured for; 0: none yet */
    double *gradient_slack, *movement_slack; /* [tensors of the model] */
    crs_gradcheck_report *report;
} crs__check;

/* ---- gradcheck_network.c ---- */

crs_status crs__check_build(const crs__check *check, crs_backend *backend, crs_model **model);
/* Loss and gradient of the first batch at these parameters, with the masks of step 1. */
crs_status crs__check_take_gradient(crs__check *check, crs_model *model, const double *parameters, double *gradient,
                                    double *loss);
/* Losses [train] of the steps, and how far they moved the parameters. */
crs_status crs__check_take_training(crs__check *check, crs_model *model, const double *parameters, double *movement,
                                    double *losses);
crs_status crs__check_failed(const crs__check *check, crs_status status, const char *what, const crs_model *model);

/* ---- gradcheck_slack.c ---- */

/* Fills the slacks of what is held to that tolerance. */
crs_status crs__check_measure_slack(crs__check *check, double tolerance);

/* ---- gradcheck_backend.c ---- */

/* Adds to the report what a backend makes of the network. */
crs_status crs__check_backend(crs__check *check, const crs_gradcheck_backend *backend);
size_t crs__check_trained_tensors(const crs_model *model);

/* ---- gradcheck_compare.c ---- */

/* Compares elements of a tensor; got and wanted [count] hold those numbered `chosen` (NULL: all, in order). */
void crs__check_compare(const crs__tensor *tensor, const double *got, const double *wanted, const int64_t *chosen,
                        int64_t count, double tolerance, double slack, crs_gradcheck_tensor *result);
/* L2 norm. */
double crs__check_norm(const double *values, int64_t size);
crs_gradcheck_loss crs__check_compare_loss(double got, double wanted, double tolerance);
/* Adds a part to the report, with room for so many losses and tensors; NULL: out of memory, and error says so. */
crs_gradcheck_part *crs__check_add_part(crs_gradcheck_report *report, crs_gradcheck_kind kind, const char *name,
                                        const crs_backend *backend, size_t losses, size_t tensors, crs_error *error);

/* ---- gradcheck_differences.c ---- */

/* Differences of the loss at the parameters the oracle has, against its gradient. The model's masks are those of its
 * running step. */
crs_status crs__check_differences(const crs_gradcheck_options *options, crs_model *oracle, const crs_batch *batch,
                                  const double *parameters, const double *gradient, double loss,
                                  crs_gradcheck_part *part, crs_error *error);

#endif
