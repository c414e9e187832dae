/* What a backend makes of the network, against what the oracle made of it. */
#include "fail.h"
#include "gradcheck.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define SLACK_MOST 0.5 /* of the norm */

/* In units of its own precision, every backend is held to the same. */
static double tolerance_of(const crs_gradcheck_backend *backend) {
    if (backend->tolerance > 0)
        return backend->tolerance;
    const int is_double = crs_backend_ops(backend->backend)->real_size == sizeof(double);
    return is_double ? CRS_GRADCHECK_FLOAT / FLT_EPSILON * DBL_EPSILON : CRS_GRADCHECK_FLOAT;
}

/* Below it numbers lose their last digits, and products of them vanish. */
static double underflow_of(const crs_model *model, const crs__tensor *tensor) {
    const int is_double = model->ops->real_size == sizeof(double);
    return sqrt((double)tensor->size) * (is_double ? DBL_MIN / DBL_EPSILON : FLT_MIN / FLT_EPSILON);
}

/* Falsifies the largest element, by ten times the allowed error of the tensor. */
static void inject(const crs__check *c, const crs__tensor *tensor, double tolerance, double slack) {
    double *values = c->got + tensor->offset;
    const double allowed = tolerance * crs__check_norm(c->gradient + tensor->offset, tensor->size) + slack;
    int64_t largest = 0;
    for (int64_t i = 0; i < tensor->size; i++)
        largest = fabs(values[i]) > fabs(values[largest]) ? i : largest;
    values[largest] += 10 * allowed;
}

/* A slack as large as what is compared would let everything pass. */
static double limited(double slack, const double *wanted, int64_t size) {
    return fmin(slack, SLACK_MOST * crs__check_norm(wanted, size));
}

size_t crs__check_trained_tensors(const crs_model *model) {
    size_t count = 0;
    for (size_t i = 0; i < model->tensor_count; i++)
        count += model->tensors[i].trainable != 0;
    return count;
}

static crs_status check_gradient(crs__check *c, const crs_gradcheck_backend *backend, crs_model *model) {
    const double tolerance = tolerance_of(backend);
    double loss;
    CRS_TRY(crs__check_take_gradient(c, model, c->parameters, c->got, &loss));
    crs_gradcheck_part *part = crs__check_add_part(c->report, CRS_GRADCHECK_OF_GRADIENT, backend->name,
                                                   backend->backend, 1, crs__check_trained_tensors(model), c->error);
    if (!part)
        return CRS_ERR_MEMORY;
    part->losses[0] = crs__check_compare_loss(loss, c->loss, tolerance);
    part->passed = part->losses[0].passed;
    size_t at = 0;
    for (size_t i = 0; i < model->tensor_count; i++) {
        const crs__tensor *tensor = &model->tensors[i];
        if (!tensor->trainable)
            continue;
        const double *wanted = c->gradient + tensor->offset;
        const double slack = underflow_of(model, tensor) + limited(c->gradient_slack[i], wanted, tensor->size);
        if (c->options->inject && strcmp(tensor->name, c->options->inject) == 0)
            inject(c, tensor, tolerance, slack);
        crs__check_compare(tensor, c->got + tensor->offset, wanted, NULL, tensor->size, tolerance, slack,
                           &part->tensors[at]);
        part->passed &= part->tensors[at++].passed;
    }
    return CRS_OK;
}

/* See crs_gradcheck_part. */
static crs_status check_training(crs__check *c, const crs_gradcheck_backend *backend, crs_model *model) {
    const double gradient_tolerance = tolerance_of(backend), steps = (double)c->options->train;
    const double epsilon = model->ops->real_size == sizeof(double) ? DBL_EPSILON : FLT_EPSILON;
    CRS_TRY(crs__check_take_training(c, model, c->parameters, c->got, c->got_losses));
    crs_gradcheck_part *part =
        crs__check_add_part(c->report, CRS_GRADCHECK_OF_TRAINING, backend->name, backend->backend,
                            (size_t)c->options->train, model->tensor_count, c->error);
    if (!part)
        return CRS_ERR_MEMORY;
    part->passed = 1;
    for (size_t k = 0; k < part->loss_count; k++) {
        part->losses[k] = crs__check_compare_loss(c->got_losses[k], c->losses[k], (double)(k + 1) * gradient_tolerance);
        part->passed &= part->losses[k].passed;
    }
    for (size_t i = 0; i < model->tensor_count; i++) {
        const crs__tensor *tensor = &model->tensors[i];
        const double *wanted = c->movement + tensor->offset;
        /* What does not move at all is not rounded. */
        const double rounding = steps * epsilon / 2 * crs__check_norm(c->parameters + tensor->offset, tensor->size);
        const double slack = crs__check_norm(wanted, tensor->size) == 0
                                 ? 0
                                 : rounding + limited(c->movement_slack[i], wanted, tensor->size);
        crs__check_compare(tensor, c->got + tensor->offset, wanted, NULL, tensor->size, steps * gradient_tolerance,
                           slack, &part->tensors[i]);
        part->passed &= part->tensors[i].passed;
    }
    return CRS_OK;
}

crs_status crs__check_backend(crs__check *c, const crs_gradcheck_backend *backend) {
    crs_model *model;
    CRS_TRY(crs__check_measure_slack(c, tolerance_of(backend)));
    CRS_TRY(crs__check_build(c, backend->backend, &model));
    crs_status status = check_gradient(c, backend, model);
    if (status == CRS_OK && c->options->train > 0)
        status = check_training(c, backend, model);
    crs_model_free(model);
    return status;
}
