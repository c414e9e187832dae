/* The recurrent layers: simple RNN, LSTM and GRU, in one direction or both. `rnn H`, `lstm H`, `gru H`, `birnn H`,
 * `bilstm H`, `bigru H`, with `seq` to hand on every step instead of the final state. One file, since they differ only
 * in the operation called, the number of gates and directions, and the options. A layer of two directions is two calls
 * of the same operation. Behind "onehot" the products W x are gathered from W by the ids, and the operation starts from
 * them. */
#include "../layer.h"

#include "../fail.h"

#include <stdio.h>

/* The options of all kinds; each kind's table is made of those it has, in this order. */
enum { SEQ, DROPOUT, RECURRENT_DROPOUT, DIRECTION, REGULARISERS, OWN = REGULARISERS + 3 };
enum { W, R, B, B_HH }; /* tensors of one direction */
enum { STATES, STATES_REVERSE, OUTPUT, FINAL_REVERSE, RESERVE, RESERVE_REVERSE, PRODUCTS, PRODUCTS_REVERSE, NO_BIAS };
enum { CONCAT, SUM, MEAN };

#define SHARED_OPTIONS                                                                                                 \
    [SEQ] = {"seq", CRS__OPTION_FLAG, NULL}, [DROPOUT] = {"dropout", CRS__OPTION_RATE, NULL},                          \
    [RECURRENT_DROPOUT] = {"recurrent_dropout", CRS__OPTION_RATE, NULL}, CRS__REGULARISERS(REGULARISERS)
#define REVERSE_OPTION [DIRECTION] = {"reverse", CRS__OPTION_FLAG, NULL}
#define MERGE_OPTION [DIRECTION] = {"merge", CRS__OPTION_CHOICE, "concat|sum|mean"}
#define ACTIVATION_OPTION [OWN] = {"activation", CRS__OPTION_CHOICE, "tanh|relu"}
#define RESET_OPTION [OWN] = {"reset", CRS__OPTION_CHOICE, "after|before"}

static const crs__option rnn_options[] = {SHARED_OPTIONS, REVERSE_OPTION, ACTIVATION_OPTION};
static const crs__option lstm_options[] = {SHARED_OPTIONS, REVERSE_OPTION};
static const crs__option gru_options[] = {SHARED_OPTIONS, REVERSE_OPTION, RESET_OPTION};
static const crs__option birnn_options[] = {SHARED_OPTIONS, MERGE_OPTION, ACTIVATION_OPTION};
static const crs__option bilstm_options[] = {SHARED_OPTIONS, MERGE_OPTION};
static const crs__option bigru_options[] = {SHARED_OPTIONS, MERGE_OPTION, RESET_OPTION};

static int is_lstm(const crs__layer *layer) {
    return layer->type == &crs__layer_lstm || layer->type == &crs__layer_bilstm;
}

static int is_gru(const crs__layer *layer) {
    return layer->type == &crs__layer_gru || layer->type == &crs__layer_bigru;
}

static int64_t gates(const crs__layer *layer) {
    return is_lstm(layer) ? 4 : is_gru(layer) ? 3 : 1;
}

static int directions(const crs__layer *layer) {
    return layer->type == &crs__layer_birnn || layer->type == &crs__layer_bilstm || layer->type == &crs__layer_bigru
               ? 2
               : 1;
}

static int merge_of(const crs__layer *layer) {
    return directions(layer) == 2 ? (int)layer->spec.options[DIRECTION] : CONCAT;
}

/* The directions' states are kept apart and added up. */
static int sums(const crs__layer *layer) {
    return merge_of(layer) != CONCAT;
}

static int resets_after(const crs__layer *layer) {
    return is_gru(layer) && layer->spec.options[OWN] == 0;
}

static size_t tensors_of_direction(const crs__layer *layer) {
    return resets_after(layer) ? 4 : 3;
}

static int64_t units(const crs__layer *layer) {
    return (int64_t)layer->spec.number;
}

static crs_status build(crs__builder *builder, crs__layer *layer) {
    static const char *const stems[] = {
        [W] = "weight_ih_l0", [R] = "weight_hh_l0", [B] = "bias_ih_l0", [B_HH] = "bias_hh_l0"};
    CRS_TRY(crs__need_time(builder, layer));
    if (crs__gets_ids(layer) && layer->spec.options[DROPOUT] > 0)
        return crs__model_error(builder->error, layer->spec.option_columns[DROPOUT], "\"dropout\" of one-hot vectors",
                                "leave it out, or begin with an embedding");
    const int64_t H = units(layer), rows = gates(layer) * H;
    layer->out = directions(layer) == 2 && !sums(layer) ? 2 * H : H;
    layer->out_time = layer->spec.options[SEQ] != 0;
    layer->out_positions = 0;
    for (int d = 0; d < directions(layer); d++)
        for (size_t i = 0; i < tensors_of_direction(layer); i++) {
            const crs__initialiser initialiser = i == W           ? CRS__INIT_GLOROT
                                                 : i == R         ? CRS__INIT_ORTHOGONAL
                                                 : is_lstm(layer) ? CRS__INIT_FORGET
                                                                  : CRS__INIT_ZEROS;
            char name[32];
            snprintf(name, sizeof name, "%s%s", stems[i], d ? "_reverse" : "");
            CRS_TRY(crs__add_tensor(builder, layer, name, rows, i == W ? layer->in : i == R ? H : 0, initialiser, 1));
            if (i == B && !resets_after(layer))
                crs__mark_hidden_bias(builder, layer);
        }
    return CRS_OK;
}

/* Everything about one direction that forward, backward and reserve share. */
static crs_recurrent arguments(const crs__layer *layer, crs_steps steps, int training, int direction) {
    return (crs_recurrent){
        .steps = steps,
        .I = crs__gets_ids(layer) ? gates(layer) * units(layer) : layer->in,
        .H = units(layer),
        .reverse = directions(layer) == 2 ? direction : layer->spec.options[DIRECTION] != 0,
        .activation = gates(layer) == 1 && layer->spec.options[OWN] != 0 ? CRS_RELU : CRS_TANH,
        .reset_after = resets_after(layer),
        .training = training,
        .input_mask.rate = layer->spec.options[DROPOUT],
        .recurrent_mask.rate = layer->spec.options[RECURRENT_DROPOUT],
        .ldy = layer->out,
    };
}

static crs_recurrent run_arguments(const crs__run *run, const crs__layer *layer, int d, const void *x) {
    const size_t first = (size_t)d * tensors_of_direction(layer);
    crs_recurrent a = arguments(layer, *crs__input_steps(run, layer), run->training, d);
    a.input_mask = crs__mask(run, layer, d, CRS__MASK_INPUT, a.input_mask.rate);
    a.recurrent_mask = crs__mask(run, layer, d, CRS__MASK_RECURRENT, a.recurrent_mask.rate);
    a.state = run->state;
    a.x = crs__gets_ids(layer) ? layer->buffers[PRODUCTS + d] : x;
    a.W = crs__gets_ids(layer) ? NULL : crs__weight(run, layer, first + W);
    a.R = crs__weight(run, layer, first + R);
    a.b = crs__weight(run, layer, first + B);
    a.b_hh = resets_after(layer) ? crs__weight(run, layer, first + B_HH) : NULL;
    a.reserve = layer->buffers[RESERVE + d];
    return a;
}

static size_t reserve_of(const crs__plan *plan, const crs__layer *layer, const crs_recurrent *a) {
    return is_lstm(layer)  ? plan->ops->lstm_reserve(plan->device, a)
           : is_gru(layer) ? plan->ops->gru_reserve(plan->device, a)
                           : plan->ops->rnn_reserve(plan->device, a);
}

static crs_status call_forward(const crs__run *run, const crs__layer *layer, const crs_recurrent *a) {
    return is_lstm(layer)  ? run->ops->lstm_forward(run->device, a)
           : is_gru(layer) ? run->ops->gru_forward(run->device, a)
                           : run->ops->rnn_forward(run->device, a);
}

static crs_status call_backward(const crs__run *run, const crs__layer *layer, const crs_recurrent *a) {
    return is_lstm(layer)  ? run->ops->lstm_backward(run->device, a)
           : is_gru(layer) ? run->ops->gru_backward(run->device, a)
                           : run->ops->rnn_backward(run->device, a);
}

/* ---- behind one-hot vectors ---- */

/* W x as the convolution of one step that it is. The bias is the recurrence's affair: here stand zeros, and behind them
 * room for their gradient, which nobody reads. */
static crs_conv product_of(const crs__layer *layer, crs_steps steps) {
    return (crs_conv){.steps = steps,
                      .P = 1,
                      .I = layer->in,
                      .T_out = steps.T,
                      .P_out = 1,
                      .O = gates(layer) * units(layer),
                      .window = {.size = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}},
                      .activation = CRS_LINEAR};
}

static size_t bias_bytes(const crs__layer *layer, const crs_ops *ops) {
    return 2 * (size_t)(gates(layer) * units(layer)) * ops->real_size;
}

static crs_conv run_product(const crs__run *run, const crs__layer *layer, int d) {
    crs_conv a = product_of(layer, *crs__input_steps(run, layer));
    a.ids = run->ids;
    a.W = crs__weight(run, layer, (size_t)d * tensors_of_direction(layer) + W);
    a.b = layer->buffers[NO_BIAS];
    a.db = (char *)layer->buffers[NO_BIAS] + (size_t)a.O * run->ops->real_size;
    a.y = layer->buffers[PRODUCTS + d];
    a.reserve = run->scratch;
    return a;
}

/* ---- memory ---- */

/* A layer that sums keeps the states of both directions apart, one that concatenates interleaves them in one buffer.
 * With `seq` and no sum the states are the output. Scratch holds the second direction's dx, or what the gathering of
 * one-hot products asks for; their gradients take the place of the products. */
static void plan(const crs__layer *layer, crs__plan *plan) {
    const crs_steps steps = {.T = plan->T, .B = plan->B};
    const size_t row = (size_t)layer->out * plan->ops->real_size;
    const size_t states = (size_t)plan->T * (size_t)plan->B * row;
    plan->buffers[STATES] = states;
    if (sums(layer))
        plan->buffers[STATES_REVERSE] = states;
    if (!layer->out_time || sums(layer))
        plan->buffers[OUTPUT] = crs__output_bytes(plan, layer);
    if (sums(layer) && !layer->out_time)
        plan->buffers[FINAL_REVERSE] = (size_t)plan->B * row;
    for (int d = 0; d < directions(layer); d++)
        for (int training = 0; training <= plan->training; training++) {
            const crs_recurrent a = arguments(layer, steps, training, d);
            const size_t bytes = reserve_of(plan, layer, &a);
            if (plan->buffers[RESERVE + d] < bytes)
                plan->buffers[RESERVE + d] = bytes;
        }
    if (crs__gets_ids(layer)) {
        const crs_conv product = product_of(layer, steps);
        const size_t bytes = (size_t)(steps.T * steps.B * product.O) * plan->ops->real_size;
        for (int d = 0; d < directions(layer); d++)
            plan->buffers[PRODUCTS + d] = bytes;
        plan->buffers[NO_BIAS] = bias_bytes(layer, plan->ops);
        plan->scratch = plan->ops->onehot_reserve(plan->device, &product);
    } else if (plan->training && directions(layer) == 2) {
        plan->scratch = crs__input_bytes(plan, layer);
    }
}

/* ---- forward and backward ---- */

/* y = scale (y + x); x NULL: only the scale. */
static crs_status merge(const crs__run *run, const crs__layer *layer, int64_t n, const void *x, void *y) {
    const crs_add a = {.n = n, .scale = merge_of(layer) == MEAN ? 0.5 : 1, .x = x, .y = y};
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
        if (crs__gets_ids(layer)) {
            const crs_conv product = run_product(run, layer, d);
            CRS_TRY(run->ops->fill(run->device, layer->buffers[NO_BIAS], 0, bias_bytes(layer, run->ops)));
            CRS_TRY(run->ops->onehot_forward(run->device, &product));
        }
        crs_recurrent a = run_arguments(run, layer, d, x);
        a.y = !d ? buffers[STATES] : sum ? buffers[STATES_REVERSE] : second_half(run, layer, buffers[STATES]);
        if (!layer->out_time)
            a.h_last = !d ? buffers[OUTPUT] : sum ? buffers[FINAL_REVERSE] : second_half(run, layer, buffers[OUTPUT]);
        CRS_TRY(call_forward(run, layer, &a));
    }
    *y = sum || !layer->out_time ? buffers[OUTPUT] : buffers[STATES];
    if (!sum)
        return CRS_OK;
    const int64_t n = crs__output_size(run, layer);
    if (!layer->out_time)
        return merge(run, layer, n, buffers[FINAL_REVERSE], *y);
    CRS_TRY(run->ops->copy(run->device, *y, buffers[STATES], (size_t)n * run->ops->real_size));
    return merge(run, layer, n, buffers[STATES_REVERSE], *y);
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    (void)y;
    void *const *buffers = layer->buffers;
    const int sum = sums(layer), ids = crs__gets_ids(layer);
    if (merge_of(layer) == MEAN)
        CRS_TRY(merge(run, layer, crs__output_size(run, layer), NULL, dy));
    for (int d = 0; d < directions(layer); d++) {
        const size_t first = (size_t)d * tensors_of_direction(layer);
        crs_recurrent a = run_arguments(run, layer, d, x);
        a.y = !d ? buffers[STATES] : sum ? buffers[STATES_REVERSE] : second_half(run, layer, buffers[STATES]);
        const void *incoming = d && !sum ? second_half(run, layer, dy) : dy;
        if (layer->out_time)
            a.dy = incoming;
        else
            a.dh_last = incoming;
        a.dx = ids ? buffers[PRODUCTS + d] : dx && d ? run->scratch : dx;
        a.dW = ids ? NULL : crs__gradient(run, layer, first + W);
        a.dR = crs__gradient(run, layer, first + R);
        a.db = crs__gradient(run, layer, first + B);
        a.db_hh = resets_after(layer) ? crs__gradient(run, layer, first + B_HH) : NULL;
        CRS_TRY(call_backward(run, layer, &a));
        if (ids) {
            crs_conv product = run_product(run, layer, d);
            product.dy = buffers[PRODUCTS + d];
            product.dW = crs__gradient(run, layer, first + W);
            CRS_TRY(run->ops->onehot_backward(run->device, &product));
        }
    }
    if (!dx || directions(layer) == 1)
        return CRS_OK;
    const crs_add both = {.n = crs__input_size(run, layer), .scale = 1, .x = run->scratch, .y = dx};
    return run->ops->add(run->device, &both);
}

#define RECURRENT_TYPE(name)                                                                                           \
    const crs__layer_type crs__layer_##name = {.kind = #name,                                                          \
                                               .number = CRS__NUMBER_UNITS,                                            \
                                               .options = name##_options,                                              \
                                               .option_count = sizeof name##_options / sizeof *name##_options,         \
                                               .takes_ids = 1,                                                         \
                                               .build = build,                                                         \
                                               .plan = plan,                                                           \
                                               .forward = forward,                                                     \
                                               .backward = backward};
RECURRENT_TYPE(rnn)
RECURRENT_TYPE(lstm)
RECURRENT_TYPE(gru)
RECURRENT_TYPE(birnn)
RECURRENT_TYPE(bilstm)
RECURRENT_TYPE(bigru)
