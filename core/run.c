/* Running a network: the walk over the layers forward and backward, a training step, a prediction. */
#include "fail.h"
#include "network.h"

#include <string.h>

/* ---- a batch ---- */

/* What ops.h asks of the caller: every id, label and live step in range. */
static crs_status check_batch(const crs_model *model, const crs_batch *batch) {
    for (int64_t i = 0; i < batch->T * batch->B; i++)
        if (batch->ids[i] < 0 || batch->ids[i] >= model->task.vocabulary)
            return CRS_ERR_ARGUMENT;
    for (int64_t b = 0; b < batch->B; b++) {
        const int64_t start = batch->start ? batch->start[b] : 0, len = batch->len ? batch->len[b] : batch->T;
        if (start < 0 || len < 0 || start > batch->T || len > batch->T - start)
            return CRS_ERR_ARGUMENT;
        if (batch->labels && (batch->labels[b] < 0 || batch->labels[b] >= model->task.classes))
            return CRS_ERR_ARGUMENT;
    }
    return CRS_OK;
}

/* What a batch brings to the device, put together in model->staging and uploaded in one piece. */
typedef struct parcel {
    crs_model *model;
    size_t used;
} parcel;

/* Appends a copy of n numbers, or room for them; returns where they will be on the device, NULL for none. */
static int32_t *pack(parcel *p, const int32_t *numbers, size_t n) {
    if (!numbers)
        return NULL;
    memmove(p->model->staging + p->used, numbers, n * sizeof *numbers);
    p->used += n;
    return (int32_t *)p->model->inputs + (p->used - n);
}

/* The live steps behind a layer with a window, from those before it: a start and a len for each row. */
static void pack_window(parcel *p, const crs__layer *layer, const int32_t *live[2], crs_steps *steps) {
    const size_t B = (size_t)steps->B;
    int32_t *start = p->model->staging + p->used, *len = start + B;
    for (size_t b = 0; b < B; b++) {
        start[b] = live[0] ? live[0][b] : 0;
        len[b] = live[1][b];
        crs__window_live(&layer->geometry, steps->T, &start[b], &len[b]);
    }
    live[0] = start;
    live[1] = len;
    steps->start = pack(p, start, B);
    steps->len = pack(p, len, B);
}

/* The steps between layers: where a layer has a window there are others behind it than before it. */
static void pack_steps(parcel *p, const crs_batch *batch, crs__run *run) {
    const crs_model *model = p->model;
    const int32_t *live[2] = {batch->start, batch->len};
    run->steps[0] = (crs_steps){.T = batch->T,
                                .B = batch->B,
                                .start = pack(p, batch->start, (size_t)batch->B),
                                .len = pack(p, batch->len, (size_t)batch->B)};
    for (size_t i = 0; i < model->layer_count; i++) {
        const crs__layer *layer = &model->layers[i];
        crs_steps *steps = &run->steps[i + 1];
        *steps = run->steps[i];
        if (!layer->out_time)
            *steps = (crs_steps){.T = 1, .B = batch->B};
        else if (layer->geometry.size[0] > 0 && batch->len)
            pack_window(p, layer, live, steps);
        steps->T = crs__layer_steps(layer, steps->T);
    }
}

/* Checks the batch, queues its upload, and describes the pass over it. */
static crs_status begin(crs_model *model, const crs_batch *batch, int training, crs__run *run, int32_t **labels) {
    CRS_TRY(check_batch(model, batch));
    parcel p = {.model = model};
    *run = (crs__run){.ops = model->ops,
                      .device = model->device,
                      .ids = pack(&p, batch->ids, (size_t)batch->T * (size_t)batch->B),
                      .training = training,
                      .seed = model->task.seed,
                      .state = model->state,
                      .tensors = model->tensors,
                      .weights = model->weights,
                      .gradients = model->gradients,
                      .scratch = model->scratch};
    *labels = pack(&p, batch->labels, (size_t)batch->B);
    pack_steps(&p, batch, run);
    return model->ops->upload(model->device, model->inputs, model->staging, p.used * sizeof(int32_t));
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

static void *at(const crs_model *model, void *block, const crs__tensor *tensor) {
    return (char *)block + (size_t)tensor->offset * model->ops->real_size;
}

static crs_status penalise(crs_model *model, int64_t rows) {
    for (size_t i = 0; i < model->tensor_count; i++) {
        const crs__tensor *tensor = &model->tensors[i];
        if (tensor->l1 == 0 && tensor->l2 == 0)
            continue;
        const crs_penalty penalty = {.n = tensor->size,
                                     .l1 = tensor->l1,
                                     .l2 = tensor->l2,
                                     .rows = rows,
                                     .w = at(model, model->weights, tensor),
                                     .g = at(model, model->gradients, tensor),
                                     .state = model->state};
        CRS_TRY(model->ops->penalty(model->device, &penalty));
    }
    return CRS_OK;
}

static crs_status bound(crs_model *model) {
    for (size_t i = 0; i < model->tensor_count; i++) {
        const crs__tensor *tensor = &model->tensors[i];
        if (tensor->max_norm == 0)
            continue;
        const crs_max_norm max_norm = {.N = tensor->shape[0],
                                       .F = tensor->size / tensor->shape[0],
                                       .limit = tensor->max_norm,
                                       .w = at(model, model->weights, tensor),
                                       .state = model->state};
        CRS_TRY(model->ops->max_norm(model->device, &max_norm));
    }
    return CRS_OK;
}

/* How much of a step is wanted. */
typedef enum pass_extent {
    GRADIENT,      /* of the running step, which goes on */
    NEXT_GRADIENT, /* of a step that begins here */
    WHOLE_STEP     /* with the update of the weights */
} pass_extent;

/* A pass over one batch. What it queues depends on nothing but the fields of `key`, since all else is the model's: its
 * memory, and settings that do not change before crs_model_prepare has freed some of that. */
typedef struct pass {
    struct {
        const crs_model *model;
        int64_t T, B, extent, has_start, has_len;
    } key;
    crs_model *model;
    crs__run run;
    int32_t *labels;
} pass;

static crs_status queue_gradient(const pass *p) {
    crs_model *model = p->model;
    void *outputs[CRS__LAYERS_MAX] = {NULL};
    if (p->key.extent != GRADIENT) {
        crs_schedule schedule = model->training.schedule;
        schedule.state = model->state;
        CRS_TRY(model->ops->schedule(model->device, &schedule));
    }
    CRS_TRY(model->ops->fill(model->device, model->gradients, 0, (size_t)model->trainable * model->ops->real_size));
    CRS_TRY(walk_forward(model, &p->run, outputs));
    const crs_loss loss = {.B = p->key.B,
                           .C = model->outputs,
                           .kind = model->loss,
                           .label_smoothing = model->task.label_smoothing,
                           .logits = outputs[model->layer_count - 1],
                           .labels = p->labels,
                           .class_weight = model->class_weight,
                           .dlogits = model->dy[0],
                           .state = model->state};
    CRS_TRY(model->ops->loss(model->device, &loss));
    CRS_TRY(walk_backward(model, &p->run, outputs));
    return penalise(model, p->key.B);
}

static crs_status queue_update(crs_model *model) {
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
    CRS_TRY(model->ops->optimizer(model->device, &optimizer));
    return bound(model);
}

static crs_status queue_pass(void *work) {
    const pass *p = work;
    CRS_TRY(queue_gradient(p));
    return p->key.extent == WHOLE_STEP ? queue_update(p->model) : CRS_OK;
}

/* The batch is uploaded here, outside of what the device may record. */
static crs_status run_pass(crs_model *model, const crs_batch *batch, pass_extent extent) {
    if (!model->gradients || !batch->labels || batch->T < 1 || batch->B < 1 || batch->T > model->training_T ||
        batch->B > model->training_B)
        return CRS_ERR_ARGUMENT;
    /* Prepared, but a prediction that ran out of memory may have given the room up since. */
    CRS_TRY(crs__model_make_room(model, batch->T, batch->B, NULL));
    pass p = {.key = {.model = model,
                      .T = batch->T,
                      .B = batch->B,
                      .extent = extent,
                      .has_start = batch->start != NULL,
                      .has_len = batch->len != NULL},
              .model = model};
    _Static_assert(sizeof p.key <= CRS_REPEAT_KEY, "a longer key than devices take");
    CRS_TRY(begin(model, batch, 1, &p.run, &p.labels));
    return model->ops->repeat(model->device, &p.key, sizeof p.key, queue_pass, &p);
}

crs_status crs_model_gradient(crs_model *model, const crs_batch *batch, int hold) {
    return run_pass(model, batch, hold ? GRADIENT : NEXT_GRADIENT);
}

crs_status crs_model_step(crs_model *model, const crs_batch *batch) {
    return run_pass(model, batch, WHOLE_STEP);
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
    CRS_TRY(crs__model_make_room(model, batch->T, batch->B, NULL));
    crs__run run;
    int32_t *labels;
    void *outputs[CRS__LAYERS_MAX] = {NULL};
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
