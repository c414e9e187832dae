/* How far a correct backend may be off where the network itself is not well behaved: in a sum that nearly cancels, a
 * maximum that two steps nearly share, a recurrence that blows small things up. Rounding is like a change of the
 * numbers that are computed with, so these are changed by a few roundings, and what moves in the oracle then is no
 * fault in another. Changed are the weights, and the weights of the classes: what cancels in a sum over rows is the
 * gradients of rows of different classes. */
#include "fail.h"
#include "gradcheck.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>

enum { NUDGES = 4 };
#define NUDGE 0.05 /* of the tolerance: about 4 epsilons */
#define MARGIN 2   /* what moves least and most differs from one nudge to the next */

/* What is computed with in place of the check's own. */
typedef struct nudged {
    double *parameters;   /* [parameters] */
    double *class_weight; /* [classes] */
} nudged;

/* Every second nudge is the opposite of the one before: of two values that are nearly equal, one nudge or the other
 * then changes the order. */
static void nudge(const crs__check *c, uint64_t number, double reach, const nudged *to) {
    const uint64_t pair = number / 2;
    crs__random random = crs__random_of(c->options->config->seed, CRS__RANDOM_CHECK, CRS__CHECK_NUDGE, pair);
    reach = number % 2 ? -reach : reach;
    for (int64_t i = 0; i < c->oracle->parameters; i++)
        to->parameters[i] = c->parameters[i] * (crs__random_next(&random) >> 63 ? 1 + reach : 1 - reach);
    for (int64_t k = 0; k < c->options->classes; k++) {
        const double weight = c->training.class_weight ? c->training.class_weight[k] : 1;
        to->class_weight[k] = weight * ((uint64_t)k >> pair & 1 ? 1 + reach : 1 - reach);
    }
}

/* Takes the distance over where it is the largest so far, tensor by tensor. */
static void widen(const crs_model *model, int trained_only, const double *values, const double *moved, double *slack) {
    for (size_t i = 0; i < model->tensor_count; i++) {
        const crs__tensor *tensor = &model->tensors[i];
        double sum = 0;
        if (trained_only && !tensor->trainable)
            continue;
        for (int64_t k = tensor->offset; k < tensor->offset + tensor->size; k++)
            sum += (moved[k] - values[k]) * (moved[k] - values[k]);
        slack[i] = fmax(slack[i], MARGIN * sqrt(sum));
    }
}

static crs_status measure(crs__check *c, double reach, const nudged *to) {
    for (uint64_t n = 0; n < NUDGES; n++) {
        double loss;
        const double *class_weight = c->training.class_weight;
        nudge(c, n, reach, to);
        c->training.class_weight = to->class_weight;
        crs_status status = crs__check_take_gradient(c, c->oracle, to->parameters, c->got, &loss);
        if (status == CRS_OK)
            widen(c->oracle, 1, c->gradient, c->got, c->gradient_slack);
        if (status == CRS_OK && c->options->train > 0)
            status = crs__check_take_training(c, c->oracle, to->parameters, c->got, c->got_losses);
        if (status == CRS_OK && c->options->train > 0)
            widen(c->oracle, 0, c->movement, c->got, c->movement_slack);
        c->training.class_weight = class_weight;
        CRS_TRY(status);
    }
    return CRS_OK;
}

crs_status crs__check_measure_slack(crs__check *c, double tolerance) {
    if (c->slack_for == tolerance)
        return CRS_OK;
    const size_t parameters = (size_t)c->oracle->parameters, classes = (size_t)c->options->classes;
    const nudged to = {malloc(parameters * sizeof(double)), malloc(classes * sizeof(double))};
    crs_status status;
    for (size_t i = 0; i < c->oracle->tensor_count; i++)
        c->gradient_slack[i] = c->movement_slack[i] = 0;
    if (to.parameters && to.class_weight)
        status = measure(c, NUDGE * tolerance, &to);
    else
        status = crs__fail_memory(c->error, (parameters + classes) * sizeof(double), "nudged weights");
    free(to.parameters);
    free(to.class_weight);
    c->slack_for = tolerance;
    return status;
}
