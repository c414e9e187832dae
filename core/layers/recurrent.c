/* The recurrent layers: simple RNN and LSTM, in one direction or both. `rnn H`, `lstm H`, `birnn H`, `bilstm H`, with
 * `seq` to hand on every step instead of the final state. One file, since they differ only in the operation called, the
 * number of gates and directions, and the options. A layer of two directions is two calls of the same operation. */
#include "../layer.h"

#include "../fail.h"

#include <stdio.h>

/* The options of all kinds; each kind's table is made of those it has, in this order. */
enum { SEQ, DROPOUT, RECURRENT_DROPOUT, DIRECTION, ACTIVATION };
enum { W, R, B, TENSORS }; /* of one direction */
enum { STATES, STATES_REVERSE, OUTPUT, FINAL_REVERSE, RESERVE, RESERVE_REVERSE };

#define SHARED_OPTIONS                                                                                                 \
    [SEQ] = {"seq", CRS__OPTION_FLAG, NULL}, [DROPOUT] = {"dropout", CRS__OPTION_RATE, NULL},                          \
    [RECURRENT_DROPOUT] = {"recurrent_dropout", CRS__OPTION_RATE, NULL}
#define REVERSE_OPTION [DIRECTION] = {"reverse", CRS__OPTION_FLAG, NULL}
#define MERGE_OPTION [DIRECTION] = {"merge", CRS__OPTION_CHOICE, "concat|sum"}
#define ACTIVATION_OPTION [ACTIVATION] = {"activation", CRS__OPTION_CHOICE, "tanh|relu"}

static const crs__option rnn_options[] = {SHARED_OPTIONS, REVERSE_OPTION, ACTIVATION_OPTION};
static const crs__option lstm_options[] = {SHARED_OPTIONS, REVERSE_OPTION};
static const crs__option birnn_options[] = {SHARED_OPTIONS, MERGE_OPTION, ACTIVATION_OPTION};
static const crs__option bilstm_options[] = {SHARED_OPTIONS, MERGE_OPTION};

static int is_lstm(const crs__layer *layer) {
    return layer->type == &crs__layer_lstm || layer->type == &crs__layer_bilstm;
}

static int directions(const crs__layer *layer) {
    return layer->type == &crs__layer_birnn || layer->type == &crs__layer_bilstm ? 2 : 1;
}

static int sums(const crs__layer *layer) {
    return directions(layer) == 2 && layer->spec.options[DIRECTION] != 0;
}

static int64_t units(const crs__layer *layer) {
    return (int64_t)layer->spec.number;
}

static crs_status build(crs__builder *builder, crs__layer *layer) {
    CRS_TRY(crs__need_time(builder, layer));
    const int64_t H = units(layer), rows = (is_lstm(layer) ? 4 : 1) * H;
    layer->out = directions(layer) == 2 && !sums(layer) ? 2 * H : H;
    layer->out_time = layer->spec.options[SEQ] != 0;
    for (int d = 0; d < directions(layer); d++) {
        char name[32];
        const char *suffix = d ? "_reverse" : "";
        snprintf(name, sizeof name, "weight_ih_l0%s", suffix);
        CRS_TRY(crs__add_tensor(builder, layer, name, rows, layer->in, CRS__INIT_GLOROT, 1));
        snprintf(name, sizeof name, "weight_hh_l0%s", suffix);
        CRS_TRY(crs__add_tensor(builder, layer, name, rows, H, CRS__INIT_ORTHOGONAL, 1));
        snprintf(name, sizeof name, "bias_ih_l0%s", suffix);
        CRS_TRY(crs__add_tensor(builder, layer, name, rows, 0, is_lstm(layer) ? CRS__INIT_FORGET : CRS__INIT_ZEROS, 1));
    }
    return CRS_OK;
}

/* Everything about one direction that forward, backward and reserve share. */
static crs_recurrent arguments(const crs__layer *layer, crs_steps steps, int training, int direction) {
    return (crs_recurrent){
        .steps = steps,
        .I = layer->in,
        .H = units(layer),
        .reverse = directions(layer) == 2 ? direction : layer->spec.options[DIRECTION] != 0,
        .activation = !is_lstm(layer) && layer->spec.options[ACTIVATION] != 0 ? CRS_RELU : CRS_TANH,
        .training = training,
        .input_mask.rate = layer->spec.options[DROPOUT],
        .recurrent_mask.rate = layer->spec.options[RECURRENT_DROPOUT],
        .ldy = layer->out,
    };
}

static crs_recurrent run_arguments(const crs__run *run, const crs__layer *layer, int d, const void *x) {
    crs_recurrent a = arguments(layer, run->steps, run->training, d);
    a.input_mask = crs__mask(run, layer, d, CRS__MASK_INPUT, a.input_mask.rate);
    a.recurrent_mask = crs__mask(run, layer, d, CRS__MASK_RECURRENT, a.recurrent_mask.rate);
    a.state = run->state;
    a.x = x;
    a.W = crs__weight(run, layer, (size_t)d * TENSORS + W);
    a.R = crs__weight(run, layer, (size_t)d * TENSORS + R);
    a.b = crs__weight(run, layer, (size_t)d * TENSORS + B);
    a.reserve = layer->buffers[RESERVE + d];
    return a;
}

/* A layer that sums keeps the states of both directions apart, one that concatenates interleaves them in one buffer.
 * With `seq` and no sum the states are the output. */
static void plan(const crs__layer *layer, crs__plan *plan) {
    const size_t row = (size_t)layer->out * plan->ops->real_size;
    const size_t states = crs__rows(1, plan->T, plan->B) * row;
    plan->buffers[STATES] = states;
    if (sums(layer))
        plan->buffers[STATES_REVERSE] = states;
    if (!layer->out_time || sums(layer))
        plan->buffers[OUTPUT] = crs__rows(layer->out_time, plan->T, plan->B) * row;
    if (sums(layer) && !layer->out_time)
        plan->buffers[FINAL_REVERSE] = (size_t)plan->B * row;
    for (int d = 0; d < directions(layer); d++)
        for (int training = 0; training <= plan->training; training++) {
            const crs_recurrent a = arguments(layer, (crs_steps){.T = plan->T, .B = plan->B}, training, d);
            const size_t bytes =
                is_lstm(layer) ? plan->ops->lstm_reserve(plan->device, &a) : plan->ops->rnn_reserve(plan->device, &a);
            if (plan->buffers[RESERVE + d] < bytes)
                plan->buffers[RESERVE + d] = bytes;
        }
    if (plan->training && directions(layer) == 2)
        plan->scratch = crs__rows(1, plan->T, plan->B) * (size_t)layer->in * plan->ops->real_size;
}

static crs_status add(const crs__run *run, size_t n, const void *x, void *y) {
    const crs_add a = {.n = (int64_t)n, .scale = 1, .x = x, .y = y};
    return run->ops->add(run->device, &a);
}

/* The reverse direction's part of a row that both directions write. */
static void *second_half(const crs__run *run, const crs__layer *layer, const void *interleaved) {
    return (char *)interleaved + (size_t)units(layer) * run->ops->real_size;
}

static crs_status forward(const crs__run *run, const crs__layer *layer, const void *x, void **y) {
    void *const *buffers = layer->buffers;
    const int sum = sums(layer);
    for (int d = 0; d < directions(layer); d++) {
        crs_recurrent a = run_arguments(run, layer, d, x);
        a.y = !d ? buffers[STATES] : sum ? buffers[STATES_REVERSE] : second_half(run, layer, buffers[STATES]);
        if (!layer->out_time)
            a.h_last = !d ? buffers[OUTPUT] : sum ? buffers[FINAL_REVERSE] : second_half(run, layer, buffers[OUTPUT]);
        CRS_TRY(is_lstm(layer) ? run->ops->lstm_forward(run->device, &a) : run->ops->rnn_forward(run->device, &a));
    }
    *y = sum || !layer->out_time ? buffers[OUTPUT] : buffers[STATES];
    if (!sum)
        return CRS_OK;
    const size_t n = crs__rows(layer->out_time, run->steps.T, run->steps.B) * (size_t)layer->out;
    if (!layer->out_time)
        return add(run, n, buffers[FINAL_REVERSE], *y);
    CRS_TRY(run->ops->copy(run->device, *y, buffers[STATES], n * run->ops->real_size));
    return add(run, n, buffers[STATES_REVERSE], *y);
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    (void)y;
    void *const *buffers = layer->buffers;
    const int sum = sums(layer);
    for (int d = 0; d < directions(layer); d++) {
        crs_recurrent a = run_arguments(run, layer, d, x);
        a.y = !d ? buffers[STATES] : sum ? buffers[STATES_REVERSE] : second_half(run, layer, buffers[STATES]);
        const void *incoming = d && !sum ? second_half(run, layer, dy) : dy;
        if (layer->out_time)
            a.dy = incoming;
        else
            a.dh_last = incoming;
        a.dx = dx && d ? run->scratch : dx;
        a.dW = crs__gradient(run, layer, (size_t)d * TENSORS + W);
        a.dR = crs__gradient(run, layer, (size_t)d * TENSORS + R);
        a.db = crs__gradient(run, layer, (size_t)d * TENSORS + B);
        CRS_TRY(is_lstm(layer) ? run->ops->lstm_backward(run->device, &a) : run->ops->rnn_backward(run->device, &a));
    }
    if (!dx || directions(layer) == 1)
        return CRS_OK;
    return add(run, crs__rows(1, run->steps.T, run->steps.B) * (size_t)layer->in, run->scratch, dx);
}

#define RECURRENT_TYPE(name)                                                                                           \
    const crs__layer_type crs__layer_##name = {.kind = #name,                                                          \
                                               .number = CRS__NUMBER_UNITS,                                            \
                                               .options = name##_options,                                              \
                                               .option_count = sizeof name##_options / sizeof *name##_options,         \
                                               .build = build,                                                         \
                                               .plan = plan,                                                           \
                                               .forward = forward,                                                     \
                                               .backward = backward};
RECURRENT_TYPE(rnn)
RECURRENT_TYPE(lstm)
RECURRENT_TYPE(birnn)
RECURRENT_TYPE(bilstm)
