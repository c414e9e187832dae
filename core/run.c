/* Running a network: the walk over the layers forward and backward, a training step, a prediction. */
#include "fail.h"
#include "network.h"

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

crs_status crs_model_gradient(crs_model *model, const crs_batch *batch, int hold) {
    if (!model->gradients || !batch->labels || batch->T < 1 || batch->B < 1 || batch->T > model->training_T ||
        batch->B > model->training_B)
        return CRS_ERR_ARGUMENT;
    /* Prepared, but a prediction that ran out of memory may have given the room up since. */
    CRS_TRY(crs__model_make_room(model, batch->T, batch->B, NULL));
    crs__run run;
    int32_t *labels;
    void *outputs[CRS__LAYERS_MAX] = {NULL};
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

crs_status crs_model_step(crs_model *model, const crs_batch *batch) {
    CRS_TRY(crs_model_gradient(model, batch, 0));
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
