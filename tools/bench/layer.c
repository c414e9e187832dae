/* One LSTM layer. A backward alone cannot be called again and again, since forward's reserve is used up by it: what it
 * takes is told by calling forward, and forward and backward, in turn. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>

/* Host arrays of a case. Seeds differ, so that no two arrays begin alike. */
typedef struct layer_inputs {
    size_t x_size, y_size, W_size, R_size, b_size;
    int32_t *len;
    float *x, *W, *R, *b, *dy;
} layer_inputs;

static layer_inputs draw_inputs(const bench_case *c) {
    const size_t steps = (size_t)(c->T * c->B), I = (size_t)c->I, H = (size_t)c->H;
    const double limit = 1 / sqrt((double)H); /* as PyTorch initialises */
    const uint64_t seed = (uint64_t)c->seed << 8;
    layer_inputs in = {
        .x_size = steps * I, .y_size = steps * H, .W_size = 4 * H * I, .R_size = 4 * H * H, .b_size = 4 * H};
    in.len = case_lengths(c);
    in.x = draw_uniforms(in.x_size, 1, seed + 1);
    in.W = draw_uniforms(in.W_size, limit, seed + 2);
    in.R = draw_uniforms(in.R_size, limit, seed + 3);
    in.b = draw_uniforms(in.b_size, limit, seed + 4);
    in.dy = draw_uniforms(in.y_size, 1, seed + 5);
    /* Steps behind the end repeat the state; others leave them out, so that nothing may flow back from them. */
    for (int64_t t = 0; t < c->T; t++)
        for (int64_t r = 0; r < c->B; r++)
            for (size_t j = 0; t >= in.len[r] && j < H; j++)
                in.dy[(size_t)(t * c->B + r) * H + j] = 0;
    return in;
}

static void free_inputs(layer_inputs *in) {
    free(in->len);
    free(in->x);
    free(in->W);
    free(in->R);
    free(in->b);
    free(in->dy);
}

static crs_recurrent place_layer(bench *b, const bench_case *c, const layer_inputs *in) {
    const crs_step_state first = {.step = 1};
    crs_step_state *state = device_alloc(b, sizeof first);
    check(b, b->ops->upload(b->device, state, &first, sizeof first), "upload");
    crs_recurrent a = {.steps = {.T = c->T, .B = c->B},
                       .I = c->I,
                       .H = c->H,
                       .activation = CRS_TANH,
                       .training = 1,
                       .recurrent_mask = {.rate = c->recurrent, .seed = (uint64_t)c->seed, .site = 1},
                       .state = state,
                       .ldy = c->H};
    if (c->ragged) {
        int32_t *len = device_alloc(b, (size_t)c->B * sizeof *len);
        check(b, b->ops->upload(b->device, len, in->len, (size_t)c->B * sizeof *len), "upload");
        a.steps.len = len;
    }
    a.x = device_floats(b, in->x, in->x_size);
    a.W = device_floats(b, in->W, in->W_size);
    a.R = device_floats(b, in->R, in->R_size);
    a.b = device_floats(b, in->b, in->b_size);
    a.dy = device_floats(b, in->dy, in->y_size);
    a.y = device_alloc(b, in->y_size * sizeof(float));
    a.dx = device_alloc(b, in->x_size * sizeof(float));
    a.dW = device_alloc(b, in->W_size * sizeof(float));
    a.dR = device_alloc(b, in->R_size * sizeof(float));
    a.db = device_alloc(b, in->b_size * sizeof(float));
    a.reserve = device_alloc(b, b->ops->lstm_reserve(b->device, &a));
    return a;
}

static void run_forward(bench *b, void *user) {
    check(b, b->ops->lstm_forward(b->device, user), "lstm_forward");
}

static void run_both(bench *b, void *user) {
    run_forward(b, user);
    check(b, b->ops->lstm_backward(b->device, user), "lstm_backward");
}

static void write_device(bench *b, FILE *file, const char *name, const void *from, size_t count) {
    float *values = host_memory(count, sizeof *values);
    check(b, b->ops->download(b->device, values, from, count * sizeof *values), name);
    write_floats(file, name, values, count);
    free(values);
}

/* The mask as a factor of every element: what dropout, whose masks are the same, makes of ones. */
static void write_mask(bench *b, FILE *file, const crs_recurrent *a) {
    const size_t count = (size_t)(a->steps.B * a->H);
    float *ones = host_memory(count, sizeof *ones);
    for (size_t i = 0; i < count; i++)
        ones[i] = 1;
    void *mask = device_floats(b, ones, count);
    const crs_dropout dropout = {.n = (int64_t)count,
                                 .period = (int64_t)count,
                                 .mask = a->recurrent_mask,
                                 .state = a->state,
                                 .x = mask,
                                 .y = mask};
    check(b, b->ops->dropout(b->device, &dropout), "dropout");
    write_device(b, file, "mask", mask, count);
    free(ones);
}

static void write_numbers(bench *b, const bench_case *c, const layer_inputs *in, crs_recurrent *a) {
    FILE *file = numbers_open(c->numbers);
    run_both(b, a);
    write_integers(file, "len", in->len, (size_t)c->B);
    write_floats(file, "x", in->x, in->x_size);
    write_floats(file, "W", in->W, in->W_size);
    write_floats(file, "R", in->R, in->R_size);
    write_floats(file, "b", in->b, in->b_size);
    write_floats(file, "dy", in->dy, in->y_size);
    write_mask(b, file, a);
    write_device(b, file, "y", a->y, in->y_size);
    write_device(b, file, "dx", a->dx, in->x_size);
    write_device(b, file, "dW", a->dW, in->W_size);
    write_device(b, file, "dR", a->dR, in->R_size);
    write_device(b, file, "db", a->db, in->b_size);
    numbers_close(file, c->numbers);
    puts("{}");
}

void run_layer(bench *b, const bench_case *c) {
    static const bench_call calls[] = {{"forward", run_forward}, {"both", run_both}};
    layer_inputs in = draw_inputs(c);
    crs_recurrent a = place_layer(b, c, &in);
    if (c->numbers[0])
        write_numbers(b, c, &in, &a);
    else
        measure(b, c, calls, sizeof calls / sizeof *calls, "backward", &a);
    free_inputs(&in);
}
