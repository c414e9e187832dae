/* A training step of a whole classifier, as crs_train takes it: upload, forward, loss, backward, update. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 1024 };

typedef struct network {
    crs_model *model;
    crs_batch batch;
    int32_t *ids, *len, *labels; /* what batch points to */
} network;

static void build_line(const bench_case *c, char *line) {
    int used = snprintf(line, LINE_SIZE, "embedding %lld", (long long)c->E);
    for (int64_t i = 0; i < c->layers; i++)
        used += snprintf(line + used, (size_t)(LINE_SIZE - used), " | lstm %lld%s", (long long)c->H,
                         i + 1 < c->layers ? " seq" : "");
    snprintf(line + used, (size_t)(LINE_SIZE - used), " | dense");
}

static network build_network(bench *b, const bench_case *c) {
    const crs_model_task task = {.vocabulary = c->V, .classes = c->C, .length = c->T, .seed = (uint64_t)c->seed};
    const crs_training training = {.optimizer = {.kind = CRS_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7},
                                   .schedule = {.kind = CRS_CONSTANT, .base_lr = 1e-3, .every = 1, .total = 1}};
    const uint64_t seed = (uint64_t)c->seed << 8;
    char line[LINE_SIZE];
    crs_error error;
    network n = {.ids = draw_integers((size_t)(c->T * c->B), 1, (int32_t)c->V, seed + 1),
                 .len = case_lengths(c),
                 .labels = draw_integers((size_t)c->B, 0, (int32_t)c->C, seed + 2)};
    n.batch = (crs_batch){.T = c->T, .B = c->B, .ids = n.ids, .len = n.len, .labels = n.labels};
    for (int64_t t = 0; t < c->T; t++)
        for (int64_t r = 0; r < c->B; r++)
            if (t >= n.len[r])
                n.ids[t * c->B + r] = 0;
    build_line(c, line);
    if (crs_model_create(line, &task, b->backend, &n.model, &error) != CRS_OK ||
        crs_model_prepare(n.model, c->T, c->B, &training, &error) != CRS_OK)
        fail("%s: %s", line, error.what);
    return n;
}

static void free_network(network *n) {
    crs_model_free(n->model);
    free(n->ids);
    free(n->len);
    free(n->labels);
}

static void run_training_step(bench *b, void *user) {
    const network *n = user;
    check(b, crs_model_step(n->model, &n->batch), "crs_model_step");
}

/* Tensor by tensor; values as double in the model's order. */
static void write_tensors(FILE *file, const char *prefix, const network *n, const double *values) {
    for (size_t i = 0; i < crs_model_tensors(n->model); i++) {
        const crs_tensor_info tensor = crs_model_tensor(n->model, i);
        char name[128];
        float *rounded = host_memory((size_t)tensor.size, sizeof *rounded);
        for (int64_t k = 0; k < tensor.size; k++)
            rounded[k] = (float)values[tensor.offset + k];
        snprintf(name, sizeof name, "%s%s", prefix, tensor.name);
        write_floats(file, name, rounded, (size_t)tensor.size);
        free(rounded);
    }
}

static void write_numbers(bench *b, const bench_case *c, const network *n) {
    FILE *file = numbers_open(c->numbers);
    double *values = host_memory((size_t)crs_model_parameters(n->model), sizeof *values);
    crs_step_state state;
    write_integers(file, "ids", n->ids, (size_t)(c->T * c->B));
    write_integers(file, "len", n->len, (size_t)c->B);
    write_integers(file, "labels", n->labels, (size_t)c->B);
    check(b, crs_model_get_parameters(n->model, values), "the weights");
    write_tensors(file, "", n, values);
    check(b, crs_model_gradient(n->model, &n->batch, 0), "crs_model_gradient");
    check(b, crs_model_get_gradients(n->model, values), "the gradients");
    write_tensors(file, "d:", n, values);
    check(b, crs_model_state(n->model, 0, &state), "the loss");
    const float loss = (float)(state.loss_sum / (double)state.rows);
    write_floats(file, "loss", &loss, 1);
    numbers_close(file, c->numbers);
    puts("{}");
    free(values);
}

void run_step(bench *b, const bench_case *c) {
    static const bench_call calls[] = {{"step", run_training_step}};
    network n = build_network(b, c);
    if (c->numbers[0])
        write_numbers(b, c, &n);
    else
        measure(b, c, calls, 1, NULL, &n);
    free_network(&n);
}
