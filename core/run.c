/* Running a network: memory for batches, the walk over the layers forward and backward, a training step, a prediction.
 */
#include "fail.h"
#include "network.h"

#include <math.h>
#include <stdlib.h>

/* ---- memory ---- */

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

static crs_status allocate_layers(crs_model *model, int64_t T, int64_t B, crs_error *error) {
    size_t scratch = 0, widest = 0;
    for (size_t i = 0; i < model->layer_count; i++) {
        crs__layer *layer = &model->layers[i];
        crs__plan plan = {
            .ops = model->ops, .device = model->device, .T = T, .B = B, .training = model->gradients != NULL};
        layer->type->plan(layer, &plan);
        for (size_t k = 0; k < CRS__BUFFERS_MAX; k++)
            CRS_TRY(crs__device_alloc(model, plan.buffers[k], layer->text, &layer->buffers[k], error));
        scratch = plan.scratch > scratch ? plan.scratch : scratch;
        const size_t output = crs__rows(layer->out_time, T, B) * (size_t)layer->out * model->ops->real_size;
        widest = output > widest ? output : widest;
    }
    CRS_TRY(crs__device_alloc(model, scratch, "the layers' scratch", &model->scratch, error));
    for (int i = 0; i < 2 && model->gradients; i++)
        CRS_TRY(crs__device_alloc(model, widest, "the layers' gradients", &model->dy[i], error));
    return CRS_OK;
}

static crs_status allocate_batch(crs_model *model, int64_t T, int64_t B, crs_error *error) {
    const size_t real_size = model->ops->real_size, inputs = ((size_t)T * (size_t)B + 3 * (size_t)B) * sizeof(int32_t);
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

/* Room for batches up to (T, B), besides what there is room for already. */
static crs_status make_room(crs_model *model, int64_t T, int64_t B, crs_error *error) {
    if (T < 1 || B < 1 || T > model->task.length)
        return crs__fail(error, CRS_ERR_ARGUMENT, "a batch of %lld steps and %lld rows",
                         "give 1 to %lld steps, and a row at least", (long long)T, (long long)B,
                         (long long)model->task.length);
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
    return make_room(model, T, B, error);
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
        crs__fail(error, status, "the device failed while training was prepared", NULL);
    return status;
}

/* ---- a batch ---- */

/* What ops.h asks of the caller: every id, label and live step in range. */
static crs_status check_batch(const crs_model *model, const crs_batch *batch) {
    for (int64_t i = 0; i < batch->T * batch->B; i++)
        if (batch->ids[i] < 0 || batch->ids[i] >= model->task.vocabulary)
            return CRS_ERR_ARGUMENT;
    for (int64_t b = 0; b < batch->B; b++) {
        const int64_t start = batch->start ? batch->start[b] : 0, len = batch->len ? batch->len[b] : batch->T - start;
        if (start < 0 || len < 0 || start > batch->T || len > batch->T - start)
            return CRS_ERR_ARGUMENT;
        if (batch->labels && (batch->labels[b] < 0 || batch->labels[b] >= model->task.classes))
            return CRS_ERR_ARGUMENT;
    }
    return CRS_OK;
}

/* Checks the batch, queues its upload (in one piece), and describes the pass over it. */
static crs_status begin(crs_model *model, const crs_batch *batch, int training, crs__run *run, int32_t **labels) {
    CRS_TRY(check_batch(model, batch));
    const size_t cells = (size_t)batch->T * (size_t)batch->B, B = (size_t)batch->B;
    const int32_t *const sources[] = {batch->ids, batch->start, batch->len, batch->labels};
    int32_t *places[4];
    size_t used = 0;
    for (int i = 0; i < 4; i++) {
        const size_t n = i == 0 ? cells : B;
        places[i] = sources[i] ? (int32_t *)model->inputs + used : NULL;
        for (size_t k = 0; sources[i] && k < n; k++)
            model->staging[used + k] = sources[i][k];
        used += sources[i] ? n : 0;
    }
    CRS_TRY(model->ops->upload(model->device, model->inputs, model->staging, used * sizeof(int32_t)));
    *labels = places[3];
    *run = (crs__run){.ops = model->ops,
                      .device = model->device,
                      .steps = {.T = batch->T, .B = batch->B, .start = places[1], .len = places[2]},
                      .ids = places[0],
                      .training = training,
                      .seed = model->task.seed,
                      .state = model->state,
                      .tensors = model->tensors,
                      .weights = model->weights,
                      .gradients = model->gradients,
                      .scratch = model->scratch};
    return CRS_OK;
}

/* outputs[i]: of layer i. */
static crs_status walk_forward(crs_model *model, const crs__run *run, void *outputs[CRS__LAYERS_MAX]) {
    for (size_t i = 0; i < model->layer_count; i++) {
        const crs__layer *layer = &model->layers[i];
        CRS_TRY(layer->type->forward(run, layer, i > 0 ? outputs[i - 1] : NULL, &outputs[i]));
    }
    return CRS_OK;
}

/* dy[0] holds the gradient of the last layer's output; the two buffers then take turns. */
static crs_status walk_backward(crs_model *model, const crs__run *run, void *outputs[CRS__LAYERS_MAX]) {
    int turn = 0;
    for (size_t i = model->layer_count; i-- > model->first_trained; turn = !turn) {
        const crs__layer *layer = &model->layers[i];
        void *dx = i > model->first_trained ? model->dy[!turn] : NULL;
        CRS_TRY(layer->type->backward(run, layer, i > 0 ? outputs[i - 1] : NULL, outputs[i], model->dy[turn], dx));
    }
    return CRS_OK;
}

/* ---- training ---- */

static crs_status compute_gradient(crs_model *model, const crs_batch *batch, int hold) {
    if (!model->gradients || !batch->labels || batch->T < 1 || batch->B < 1 || batch->T > model->training_T ||
        batch->B > model->training_B)
        return CRS_ERR_ARGUMENT;
    crs__run run;
    int32_t *labels;
    void *outputs[CRS__LAYERS_MAX];
    CRS_TRY(begin(model, batch, 1, &run, &labels));
    if (!hold) {
        crs_schedule schedule = model->training.schedule;
        schedule.state = model->state;
        CRS_TRY(model->ops->schedule(model->device, &schedule));
    }
    CRS_TRY(model->ops->fill(model->device, model->gradients, 0, (size_t)model->trainable * model->ops->real_size));
    CRS_TRY(walk_forward(model, &run, outputs));
    const crs_loss loss = {.B = batch->B,
                           .C = model->outputs,
                           .kind = model->loss,
                           .label_smoothing = model->task.label_smoothing,
                           .logits = outputs[model->layer_count - 1],
                           .labels = labels,
                           .class_weight = model->class_weight,
                           .dlogits = model->dy[0],
                           .state = model->state};
    CRS_TRY(model->ops->loss(model->device, &loss));
    return walk_backward(model, &run, outputs);
}

crs_status crs_model_gradient(crs_model *model, const crs_batch *batch, int hold) {
    return compute_gradient(model, batch, hold);
}

crs_status crs_model_step(crs_model *model, const crs_batch *batch) {
    CRS_TRY(compute_gradient(model, batch, 0));
    const crs_norm norm = {
        .n = model->trainable, .g = model->gradients, .max_norm = model->training.clip_norm, .state = model->state};
    CRS_TRY(model->ops->norm(model->device, &norm));
    crs_optimizer optimizer = model->training.optimizer;
    optimizer.n = model->trainable;
    optimizer.state = model->state;
    optimizer.g = model->gradients;
    optimizer.w = model->weights;
    optimizer.m = model->m;
    optimizer.v = model->v;
    return model->ops->optimizer(model->device, &optimizer);
}

crs_status crs_model_state(crs_model *model, int reset, crs_step_state *state) {
    CRS_TRY(model->ops->download(model->device, state, model->state, sizeof *state));
    if (!reset)
        return CRS_OK;
    const size_t first = offsetof(crs_step_state, loss_sum), beyond = offsetof(crs_step_state, grad_norm);
    return model->ops->fill(model->device, (char *)model->state + first, 0, beyond - first);
}

/* ---- prediction ---- */

/* n reals of the device to the host, as float or as double. */
static crs_status fetch(crs_model *model, const void *from, int64_t n, float *floats, double *doubles) {
    CRS_TRY(model->ops->download(model->device, model->results, from, (size_t)n * model->ops->real_size));
    const float *narrow = model->results;
    const double *wide = model->results;
    const int is_double = model->ops->real_size == sizeof(double);
    for (int64_t i = 0; i < n; i++) {
        const double value = is_double ? wide[i] : narrow[i];
        if (floats)
            floats[i] = (float)value;
        else
            doubles[i] = value;
    }
    return CRS_OK;
}

crs_status crs_model_predict(crs_model *model, const crs_batch *batch, float *logits, float *probabilities,
                             double *row_loss) {
    if (row_loss && !batch->labels)
        return CRS_ERR_ARGUMENT;
    CRS_TRY(make_room(model, batch->T, batch->B, NULL));
    crs__run run;
    int32_t *labels;
    void *outputs[CRS__LAYERS_MAX];
    CRS_TRY(begin(model, batch, 0, &run, &labels));
    CRS_TRY(walk_forward(model, &run, outputs));
    const int64_t n = batch->B * model->outputs;
    const void *last = outputs[model->layer_count - 1];
    if (probabilities || row_loss) {
        /* Plain row losses: neither class weights nor label smoothing. */
        const crs_loss loss = {.B = batch->B,
                               .C = model->outputs,
                               .kind = model->loss,
                               .logits = last,
                               .labels = row_loss ? labels : NULL,
                               .probabilities = probabilities ? model->probabilities : NULL,
                               .row_loss = row_loss ? model->row_loss : NULL,
                               .state = row_loss ? model->prediction : NULL};
        CRS_TRY(model->ops->loss(model->device, &loss));
    }
    if (logits)
        CRS_TRY(fetch(model, last, n, logits, NULL));
    if (probabilities)
        CRS_TRY(fetch(model, model->probabilities, n, probabilities, NULL));
    return row_loss ? fetch(model, model->row_loss, batch->B, NULL, row_loss) : CRS_OK;
}
