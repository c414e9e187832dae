/* The network under check on one backend: its gradient, its training, and how both compare with the oracle's. */
#include "fail.h"
#include "gradcheck.h"
#include "training.h"

#include <float.h>
#include <math.h>
#include <string.h>

crs_status crs__check_failed(const crs__check *c, crs_status status, const char *what, const crs_model *model) {
    return crs__fail(c->error, status, "%s on %s: %s", NULL, what, model->ops->name,
                     crs_backend_failure(model->backend, status));
}

/* ---- one network ---- */

crs_status crs__check_build(const crs__check *c, crs_backend *backend, crs_model **model) {
    const crs_config *config = c->options->config;
    const crs_model_task task = {.vocabulary = c->options->vocabulary,
                                 .classes = c->options->classes,
                                 .length = config->length,
                                 .loss = config->loss,
                                 .label_smoothing = config->label_smoothing,
                                 .seed = config->seed};
    return crs_model_create(config->model, &task, backend, model, c->error);
}

/* Memory and first weights of a training that begins. */
static crs_status begin(const crs__check *c, crs_model *model) {
    CRS_TRY(crs_model_prepare(model, c->source.T, c->source.B, &c->training, c->error));
    const crs_status status = crs_model_set_parameters(model, c->parameters);
    return status == CRS_OK ? CRS_OK : crs__check_failed(c, status, "writing the weights", model);
}

static crs_status take_loss(crs_model *model, double *loss) {
    crs_step_state state;
    CRS_TRY(crs_model_state(model, 1, &state));
    *loss = state.loss_sum / (double)state.rows;
    return CRS_OK;
}

crs_status crs__check_take_gradient(crs__check *c, crs_model *model, double *gradient, double *loss) {
    CRS_TRY(begin(c, model));
    const crs_batch batch = crs__check_source_get(&c->source, 0);
    crs_status status = crs_model_gradient(model, &batch, 0);
    if (status == CRS_OK)
        status = take_loss(model, loss);
    if (status == CRS_OK)
        status = crs_model_get_gradients(model, gradient);
    return status == CRS_OK ? CRS_OK : crs__check_failed(c, status, "the gradient", model);
}

crs_status crs__check_take_training(crs__check *c, crs_model *model, double *movement, double *losses) {
    CRS_TRY(begin(c, model));
    crs_status status = CRS_OK;
    for (int64_t step = 0; step < c->options->train && status == CRS_OK; step++) {
        const crs_batch batch = crs__check_source_get(&c->source, step);
        status = crs_model_step(model, &batch);
        if (status == CRS_OK)
            status = take_loss(model, &losses[step]);
        if (c->options->on_progress)
            c->options->on_progress(c->options->user, "training steps", step + 1, c->options->train);
    }
    if (status == CRS_OK)
        status = crs_model_get_parameters(model, movement);
    for (int64_t i = 0; i < model->parameters && status == CRS_OK; i++)
        movement[i] -= c->parameters[i];
    return status == CRS_OK ? CRS_OK : crs__check_failed(c, status, "training", model);
}

/* ---- a backend against the oracle ---- */

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

static double norm_of(const double *values, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++)
        sum += values[i] * values[i];
    return sqrt(sum);
}

/* Falsifies the largest element: by ten times the allowed error of the tensor, or by 1 where the tensor is zero. */
static void inject(const crs__check *c, const crs__tensor *tensor, double tolerance) {
    double *values = c->got + tensor->offset;
    const double norm = norm_of(c->gradient + tensor->offset, tensor->size);
    int64_t largest = 0;
    for (int64_t i = 0; i < tensor->size; i++)
        largest = fabs(values[i]) > fabs(values[largest]) ? i : largest;
    values[largest] += norm > 0 ? 10 * tolerance * norm : 1;
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
    CRS_TRY(crs__check_take_gradient(c, model, c->got, &loss));
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
        if (c->options->inject && strcmp(tensor->name, c->options->inject) == 0)
            inject(c, tensor, tolerance);
        crs__check_compare(tensor, c->got + tensor->offset, c->gradient + tensor->offset, NULL, tensor->size, tolerance,
                           underflow_of(model, tensor), &part->tensors[at]);
        part->passed &= part->tensors[at++].passed;
    }
    return CRS_OK;
}

/* See crs_gradcheck_part. */
static crs_status check_training(crs__check *c, const crs_gradcheck_backend *backend, crs_model *model) {
    const double gradient_tolerance = tolerance_of(backend), steps = (double)c->options->train;
    const double epsilon = model->ops->real_size == sizeof(double) ? DBL_EPSILON : FLT_EPSILON;
    const double tolerance =
        steps * gradient_tolerance + (c->training.optimizer.kind == CRS_SGD ? 0 : sqrt(4 * gradient_tolerance));
    CRS_TRY(crs__check_take_training(c, model, c->got, c->got_losses));
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
        const double rounding = steps * epsilon / 2 * norm_of(c->parameters + tensor->offset, tensor->size);
        const double slack = norm_of(wanted, tensor->size) == 0 ? 0 : rounding;
        crs__check_compare(tensor, c->got + tensor->offset, wanted, NULL, tensor->size, tolerance, slack,
                           &part->tensors[i]);
        part->passed &= part->tensors[i].passed;
    }
    return CRS_OK;
}

crs_status crs__check_backend(crs__check *c, const crs_gradcheck_backend *backend) {
    crs_model *model;
    CRS_TRY(crs__check_build(c, backend->backend, &model));
    crs_status status = check_gradient(c, backend, model);
    if (status == CRS_OK && c->options->train > 0)
        status = check_training(c, backend, model);
    crs_model_free(model);
    return status;
}
