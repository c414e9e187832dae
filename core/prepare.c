/* The memory a network runs in: gradients, moments and a batch's activations, sized before the first step. */
#include "fail.h"
#include "network.h"

#include <math.h>
#include <stdlib.h>

void crs__model_release_training(crs_model *model) {
    model->ops->free(model->device, model->gradients);
    model->ops->free(model->device, model->m);
    model->ops->free(model->device, model->v);
    model->ops->free(model->device, model->class_weight);
    model->gradients = model->m = model->v = model->class_weight = NULL;
    model->training_T = model->training_B = 0;
}

void crs__model_release_batch(crs_model *model) {
    for (size_t i = 0; i < model->layer_count; i++)
        for (size_t k = 0; k < CRS__BUFFERS_MAX; k++) {
            model->ops->free(model->device, model->layers[i].buffers[k]);
            model->layers[i].buffers[k] = NULL;
        }
    void **const device_memory[] = {&model->inputs, &model->probabilities, &model->row_loss,
                                    &model->dy[0],  &model->dy[1],         &model->scratch};
    for (size_t i = 0; i < sizeof device_memory / sizeof *device_memory; i++) {
        model->ops->free(model->device, *device_memory[i]);
        *device_memory[i] = NULL;
    }
    free(model->staging);
    free(model->results);
    model->staging = NULL;
    model->results = NULL;
    model->T = model->B = 0;
}

/* No product of sizes may overflow; whatever is as large as this is too large anyway. And the places of a window over a
 * picture are numbered in 32 bits. */
static crs_status check_size(const crs__layer *layer, int64_t T, int64_t B, crs_error *error) {
    const int64_t positions = layer->in_positions > layer->out_positions ? layer->in_positions : layer->out_positions;
    if (T * B <= (INT64_C(1) << 56) / layer->out && (!layer->out_positions || T <= INT32_MAX / (positions + layer->in)))
        return CRS_OK;
    return crs__fail(error, CRS_ERR_MEMORY, "%lld steps and %lld rows of %lld values behind \"%.100s\" are too many",
                     "use a smaller batch or length", (long long)T, (long long)B, (long long)layer->out, layer->text);
}

static crs_status allocate_layers(crs_model *model, int64_t T, int64_t B, crs_error *error) {
    size_t scratch = 0, widest = 0;
    for (size_t i = 0; i < model->layer_count; i++) {
        crs__layer *layer = &model->layers[i];
        crs__plan plan = {.ops = model->ops,
                          .device = model->device,
                          .T = T,
                          .B = B,
                          .T_out = crs__layer_steps(layer, T),
                          .training = model->gradients != NULL};
        CRS_TRY(check_size(layer, T, B, error));
        T = plan.T_out;
        layer->type->plan(layer, &plan);
        for (size_t k = 0; k < CRS__BUFFERS_MAX; k++)
            CRS_TRY(crs__device_alloc(model, plan.buffers[k], layer->text, &layer->buffers[k], error));
        scratch = plan.scratch > scratch ? plan.scratch : scratch;
        /* The layers whose output nobody differentiates need no gradient of it. */
        const size_t output = i >= model->first_trained ? crs__output_bytes(&plan, layer) : 0;
        widest = output > widest ? output : widest;
    }
    CRS_TRY(crs__device_alloc(model, scratch, "the layers' scratch", &model->scratch, error));
    for (int i = 0; i < 2 && model->gradients; i++)
        CRS_TRY(crs__device_alloc(model, widest, "the layers' gradients", &model->dy[i], error));
    return CRS_OK;
}

/* Pairs of start [B] and len [B] that a batch may need: its own, and one behind each window over time. */
static size_t live_lists(const crs_model *model) {
    size_t count = 1;
    for (size_t i = 0; i < model->layer_count; i++)
        count += model->layers[i].geometry.size[0] > 0;
    return count;
}

static crs_status allocate_batch(crs_model *model, int64_t T, int64_t B, crs_error *error) {
    const size_t real_size = model->ops->real_size;
    const size_t inputs = ((size_t)T + 1 + 2 * live_lists(model)) * (size_t)B * sizeof(int32_t);
    const size_t outputs = (size_t)B * (size_t)model->outputs * real_size;
    model->staging = malloc(inputs);
    model->results = malloc(outputs);
    if (!model->staging || !model->results)
        return crs__fail_memory(error, inputs + outputs, "a batch");
    CRS_TRY(crs__device_alloc(model, inputs, "a batch", &model->inputs, error));
    CRS_TRY(crs__device_alloc(model, outputs, "probabilities", &model->probabilities, error));
    CRS_TRY(crs__device_alloc(model, (size_t)B * real_size, "losses", &model->row_loss, error));
    return allocate_layers(model, T, B, error);
}

crs_status crs__model_make_room(crs_model *model, int64_t T, int64_t B, crs_error *error) {
    if (T < 1 || B < 1 || T > model->task.length)
        return crs__fail(error, CRS_ERR_ARGUMENT, "a batch of %lld steps and %lld rows",
                         "give 1 to %lld steps, and a row at least", (long long)T, (long long)B,
                         (long long)model->task.length);
    if (model->full_length && T != model->task.length)
        return crs__fail(error, CRS_ERR_ARGUMENT, "a batch of %lld steps for a model that takes each step for itself",
                         "pad it to %lld steps", (long long)T, (long long)model->task.length);
    if (T <= model->T && B <= model->B)
        return CRS_OK;
    T = T > model->T ? T : model->T;
    B = B > model->B ? B : model->B;
    if (B > CRS__STEPS_TIMES_ROWS_MAX / T)
        return crs__fail(error, CRS_ERR_MEMORY, "a batch of %lld steps and %lld rows is too large",
                         "use a smaller batch or length", (long long)T, (long long)B);
    crs__model_release_batch(model);
    const crs_status status = allocate_batch(model, T, B, error);
    if (status == CRS_OK) {
        model->T = T;
        model->B = B;
    } else {
        crs__model_release_batch(model);
    }
    return status;
}

static crs_status upload_class_weight(crs_model *model, const double *weights, crs_error *error) {
    const int64_t n = model->task.classes;
    const size_t real_size = model->ops->real_size;
    CRS_TRY(crs__device_alloc(model, (size_t)n * real_size, "class weights", &model->class_weight, error));
    for (int64_t i = 0; i < n; i++) {
        if (!(weights[i] >= 0 && isfinite(weights[i])))
            return crs__fail(error, CRS_ERR_ARGUMENT, "class weight %g", "give a finite number of 0 or more",
                             weights[i]);
        const float narrow = (float)weights[i];
        CRS_TRY(model->ops->upload(model->device, (char *)model->class_weight + (size_t)i * real_size,
                                   real_size == sizeof narrow ? (const void *)&narrow : &weights[i], real_size));
    }
    return CRS_OK;
}

static crs_status zeroed(crs_model *model, int wanted, const char *purpose, void **memory, crs_error *error) {
    const size_t bytes = wanted ? (size_t)model->trainable * model->ops->real_size : 0;
    CRS_TRY(crs__device_alloc(model, bytes, purpose, memory, error));
    return bytes ? model->ops->fill(model->device, *memory, 0, bytes) : CRS_OK;
}

static crs_status prepare(crs_model *model, int64_t T, int64_t B, crs_error *error) {
    const crs_optimizer *optimizer = &model->training.optimizer;
    const int moments = optimizer->kind == CRS_ADAM || optimizer->kind == CRS_ADAMW;
    CRS_TRY(zeroed(model, 1, "gradients", &model->gradients, error));
    CRS_TRY(zeroed(model, moments || optimizer->momentum != 0, "the optimizer's mean", &model->m, error));
    CRS_TRY(zeroed(model, moments || optimizer->kind == CRS_RMSPROP, "the optimizer's mean square", &model->v, error));
    if (model->training.class_weight)
        CRS_TRY(upload_class_weight(model, model->training.class_weight, error));
    model->training.class_weight = NULL; /* the caller's memory; copied */
    CRS_TRY(model->ops->fill(model->device, model->state, 0, sizeof(crs_step_state)));
    return crs__model_make_room(model, T, B, error);
}

crs_status crs_model_prepare(crs_model *model, int64_t T, int64_t B, const crs_training *training, crs_error *error) {
    crs__model_release_training(model);
    crs__model_release_batch(model);
    model->training = *training;
    if (error)
        *error = (crs_error){.offset = -1};
    const crs_status status = prepare(model, T, B, error);
    if (status == CRS_OK) {
        model->training_T = T;
        model->training_B = B;
        return CRS_OK;
    }
    crs__model_release_training(model);
    crs__model_release_batch(model);
    if (error && error->status == CRS_OK)
        crs__fail(error, status, "preparing to train failed: %s", NULL, crs_backend_failure(model->backend, status));
    return status;
}
