/* A network on batches that were drawn, and the file of numbers that others check themselves against. */
#include "network.h"

#include <stdlib.h>
#include <string.h>

static void check(crs_backend *backend, crs_status status, const char *what) {
    if (status != CRS_OK)
        fail("%s: %s", what, crs_backend_failure(backend, status));
}

/* ---- batches ---- */

static void draw_batches(const network_case *c, network *n) {
    const size_t steps = (size_t)(c->T * c->B), rows = (size_t)c->B, count = (size_t)c->batches;
    const uint64_t seed = (uint64_t)c->seed << 8;
    n->count = c->batches;
    n->batches = host_memory(count, sizeof *n->batches);
    n->ids = draw_integers(count * steps, 1, (int32_t)c->V, seed + 1);
    n->labels = draw_integers(count * rows, 0, 2, seed + 2);
    n->len = host_memory(count * rows, sizeof *n->len);
    for (size_t k = 0; k < count; k++) {
        int32_t *drawn = draw_lengths(c->T, c->B, seed + 3 + k);
        for (size_t r = 0; r < rows; r++)
            n->len[k * rows + r] = c->ragged ? drawn[r] : (int32_t)c->T;
        free(drawn);
        for (size_t i = 0; i < steps; i++)
            if ((int32_t)(i / rows) >= n->len[k * rows + i % rows])
                n->ids[k * steps + i] = CRS_ID_PADDING;
        n->batches[k] = (crs_batch){.T = c->T,
                                    .B = c->B,
                                    .ids = n->ids + k * steps,
                                    .len = c->ragged ? n->len + k * rows : NULL,
                                    .labels = n->labels + k * rows};
    }
}

static int64_t live_steps(const network_case *c, const network *n) {
    int64_t live = 0;
    for (int64_t i = 0; i < c->batches * c->B; i++)
        live += n->len[i];
    return live / c->batches;
}

/* ---- numbers for others ---- */

static void write_tensors(FILE *file, const char *prefix, const crs_model *model, const double *values,
                          int trainable_only) {
    for (size_t i = 0; i < crs_model_tensors(model); i++) {
        const crs_tensor_info tensor = crs_model_tensor(model, i);
        if (trainable_only && !tensor.trainable)
            continue;
        char name[128];
        float *rounded = host_memory((size_t)tensor.size, sizeof *rounded);
        for (int64_t k = 0; k < tensor.size; k++)
            rounded[k] = (float)values[tensor.offset + k];
        snprintf(name, sizeof name, "%s%s", prefix, tensor.name);
        write_floats(file, name, rounded, (size_t)tensor.size);
        free(rounded);
    }
}

/* Weights; batches; of the first one the logits, the loss and all gradients. The weights are put back, since a forward
 * in training changes those of a batch normalisation. */
static void write_numbers(crs_backend *backend, const network_case *c, network *n) {
    FILE *file = numbers_open(c->numbers);
    const size_t rows = (size_t)(c->batches * c->B);
    double *weights = host_memory((size_t)crs_model_parameters(n->model), sizeof *weights);
    double *gradients = host_memory((size_t)crs_model_parameters(n->model), sizeof *gradients);
    write_integers(file, "ids", n->ids, rows * (size_t)c->T);
    write_integers(file, "len", n->len, rows);
    write_integers(file, "labels", n->labels, rows);
    check(backend, crs_model_get_parameters(n->model, weights), "the weights");
    write_tensors(file, "", n->model, weights, 0);
    check(backend, crs_model_predict(n->model, &n->batches[0], n->logits, NULL, NULL), "a prediction");
    write_floats(file, "logits", n->logits, (size_t)(c->B * crs_model_outputs(n->model)));
    check(backend, crs_model_gradient(n->model, &n->batches[0], 1), "the gradient");
    check(backend, crs_model_get_gradients(n->model, gradients), "the gradients");
    write_tensors(file, "d:", n->model, gradients, 1);
    const float loss = (float)network_loss(backend, n);
    write_floats(file, "loss", &loss, 1);
    check(backend, crs_model_set_parameters(n->model, weights), "the weights");
    numbers_close(file, c->numbers);
    free(weights);
    free(gradients);
}

void network_write_weights(crs_backend *backend, const network *n, const char *path) {
    FILE *file = numbers_open(path);
    double *weights = host_memory((size_t)crs_model_parameters(n->model), sizeof *weights);
    check(backend, crs_model_get_parameters(n->model, weights), "the weights");
    write_tensors(file, "", n->model, weights, 1);
    numbers_close(file, path);
    free(weights);
}

/* ---- the network ---- */

/* Every weight off its usual first value, biases too: one that went astray on the other side has to show. */
static void shift_weights(crs_backend *backend, const network_case *c, network *n) {
    const size_t count = (size_t)crs_model_parameters(n->model), trainable = (size_t)crs_model_trainable(n->model);
    double *weights = host_memory(count, sizeof *weights);
    float *shifts = draw_uniforms(trainable, 0.02, (uint64_t)c->seed << 8);
    check(backend, crs_model_get_parameters(n->model, weights), "the weights");
    for (size_t i = 0; i < trainable; i++)
        weights[i] += (double)shifts[i];
    check(backend, crs_model_set_parameters(n->model, weights), "the weights");
    free(shifts);
    free(weights);
}

void network_open(crs_backend *backend, const network_case *c, network *n) {
    const crs_model_task task = {.vocabulary = c->V, .classes = 2, .length = c->T, .seed = (uint64_t)c->seed};
    /* An epsilon that is nothing beside a gradient, as its place differs from library to library. */
    const crs_training training = {.optimizer = {.kind = CRS_RMSPROP, .rho = 0.9, .epsilon = 1e-30},
                                   .schedule = {.kind = CRS_CONSTANT, .base_lr = 1e-4, .every = 1, .total = 1}};
    crs_error error;
    if (crs_model_create(c->line, &task, backend, &n->model, &error) != CRS_OK ||
        crs_model_prepare(n->model, c->T, c->B, &training, &error) != CRS_OK)
        fail("%s: %s", c->line, error.what);
    shift_weights(backend, c, n);
    draw_batches(c, n);
    n->logits = host_memory((size_t)(c->B * crs_model_outputs(n->model)), sizeof *n->logits);
    n->flops = network_flops(n->model, c->T, c->B, live_steps(c, n));
    if (c->numbers[0])
        write_numbers(backend, c, n);
}

static const crs_batch *next_batch(network *n) {
    const crs_batch *batch = &n->batches[n->next];
    n->next = (n->next + 1) % n->count;
    return batch;
}

void network_train(crs_backend *backend, network *n) {
    check(backend, crs_model_step(n->model, next_batch(n)), "a training step");
}

void network_predict(crs_backend *backend, network *n) {
    check(backend, crs_model_predict(n->model, next_batch(n), n->logits, NULL, NULL), "a prediction");
}

double network_loss(crs_backend *backend, network *n) {
    crs_step_state state;
    check(backend, crs_model_state(n->model, 1, &state), "the loss");
    if (state.bad_step)
        fail("the loss of step %llu is not finite", (unsigned long long)state.bad_step);
    return state.loss_sum / (double)state.rows;
}

void network_close(network *n) {
    crs_model_free(n->model);
    free(n->batches);
    free(n->ids);
    free(n->len);
    free(n->labels);
    free(n->logits);
    memset(n, 0, sizeof *n);
}
