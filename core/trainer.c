/* Training: epochs of steps, validation after each, early stopping, the best weights, the history. What a step does is
 * the model's affair (run.c), what is in a batch that of batch.c. */
#include "fail.h"
#include "training.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

/* How often the step state is looked at, whichever comes first: rarely enough that a GPU is kept busy. */
enum { CRS_LOOK_STEPS = 20 };
static const double CRS_LOOK_SECONDS = 0.1;

typedef struct trainer {
    crs_model *model;
    const crs_config *config;
    const crs_train_hooks *hooks;
    crs_history *history;
    crs_error *error;
    crs__batches batches, validation; /* validation.count 0: none */
    double *row_loss;                 /* [batches.B] */
    int64_t steps_before;             /* steps of the epochs before this one */
    double begun;                     /* the running epoch, in seconds of the monotonic clock */
    double looked, reported;          /* last look at the state and last call of on_progress, likewise */
    int64_t rows_done;                /* in the running epoch */
    double best;                      /* of what is monitored, where best_known */
    int best_known;
} trainer;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int stop_wanted(const trainer *t) {
    return t->hooks && t->hooks->stop && *t->hooks->stop;
}

/* ---- what is not finite ---- */

static crs_status fail_diverged(const trainer *t, const char *what, int64_t epoch, int64_t step) {
    const int clipped = t->config->clip_norm > 0;
    const int64_t *places = crs__batches_places(&t->batches, step - 1);
    const int64_t rows = t->batches.first[step] - t->batches.first[step - 1];
    return crs__fail(t->error, CRS_ERR_NOT_FINITE,
                     "epoch %lld, step %lld of %lld: %s is not finite (batch of %lld rows, the first is row %lld)",
                     "try a --learning-rate below %g, or %s%g", (long long)epoch, (long long)step,
                     (long long)t->batches.batches, what, (long long)rows, (long long)t->batches.chosen[places[0]],
                     crs_config_learning_rate(t->config), clipped ? "a --clip-norm below " : "--clip-norm ",
                     clipped ? t->config->clip_norm : 1.0);
}

static crs_status check_state(const trainer *t, const crs_step_state *state, int64_t epoch, int64_t step) {
    if (state->bad_step == 0 && isfinite(state->loss_sum) && isfinite(state->grad_norm))
        return CRS_OK;
    if (state->bad_step > (uint64_t)t->steps_before && state->bad_step <= (uint64_t)(t->steps_before + step))
        step = (int64_t)state->bad_step - t->steps_before;
    return fail_diverged(t, isfinite(state->loss_sum) ? "the norm of the gradient" : "the loss", epoch, step);
}

/* ---- an epoch of steps ---- */

static void report(trainer *t, const crs_step_state *state, int64_t epoch, int64_t step) {
    if (!t->hooks || !t->hooks->on_progress)
        return;
    const double time = now(), spent = time - t->begun, rows = (double)t->rows_done;
    if (step < t->batches.batches && time - t->reported < CRS_LOOK_SECONDS)
        return;
    t->reported = time;
    const double rate = spent > 0 ? rows / spent : 0;
    const crs_progress progress = {.epoch = epoch,
                                   .epochs = t->config->epochs,
                                   .step = step,
                                   .steps = t->batches.batches,
                                   .rows = t->rows_done,
                                   .loss = state->loss_sum / (double)state->rows,
                                   .accuracy = (double)state->correct / (double)state->rows,
                                   .rows_per_second = rate,
                                   .seconds_left = rate > 0 ? ((double)t->batches.count - rows) / rate : 0};
    t->hooks->on_progress(t->hooks->user, &progress);
}

/* Downloads the state when it is time to, and reports it. */
static crs_status look(trainer *t, int64_t epoch, int64_t step) {
    if (step < t->batches.batches && step % CRS_LOOK_STEPS != 0 && now() - t->looked < CRS_LOOK_SECONDS)
        return CRS_OK;
    crs_step_state state;
    const crs_status status = crs_model_state(t->model, 0, &state);
    if (status != CRS_OK)
        return crs__fail(t->error, status, "epoch %lld, step %lld: reading the loss failed: %s", NULL, (long long)epoch,
                         (long long)step, crs_backend_failure(crs_model_backend(t->model), status));
    CRS_TRY(check_state(t, &state, epoch, step));
    report(t, &state, epoch, step);
    t->looked = now();
    return CRS_OK;
}

/* Closes the training part of an epoch: running means and the last step's values, from the device. */
static crs_status summarise(trainer *t, crs_epoch *epoch) {
    crs_step_state state;
    const crs_status status = crs_model_state(t->model, 1, &state);
    if (status != CRS_OK)
        return crs__fail(t->error, status, "epoch %lld: reading the loss failed: %s", NULL, (long long)epoch->epoch,
                         crs_backend_failure(crs_model_backend(t->model), status));
    CRS_TRY(check_state(t, &state, epoch->epoch, epoch->steps));
    epoch->loss = state.loss_sum / (double)state.rows;
    epoch->accuracy = (double)state.correct / (double)state.rows;
    epoch->lr = state.lr;
    epoch->grad_norm = state.grad_norm;
    return CRS_OK;
}

static crs_status run_steps(trainer *t, crs_epoch *epoch) {
    crs__batches_shuffle(&t->batches, epoch->epoch);
    t->rows_done = 0;
    do {
        const crs_batch batch = crs__batches_get(&t->batches, epoch->steps);
        const crs_status status = crs_model_step(t->model, &batch);
        if (status != CRS_OK)
            return crs__fail(t->error, status, "epoch %lld, step %lld (%lld rows, %lld time steps) failed: %s", NULL,
                             (long long)epoch->epoch, (long long)epoch->steps + 1, (long long)batch.B,
                             (long long)batch.T, crs_backend_failure(crs_model_backend(t->model), status));
        epoch->steps++;
        epoch->tokens += crs__batch_tokens(&batch);
        t->rows_done += batch.B;
        CRS_TRY(look(t, epoch->epoch, epoch->steps));
    } while (epoch->steps < t->batches.batches && !stop_wanted(t));
    return summarise(t, epoch);
}

/* ---- after the steps ---- */

static crs_status validate(trainer *t, crs_epoch *epoch) {
    crs_metrics *metrics;
    const crs_status status = crs__evaluate(t->model, &t->validation, &metrics, t->error);
    if (status == CRS_ERR_NOT_FINITE)
        return fail_diverged(t, "the validation loss after it", epoch->epoch, epoch->steps);
    if (status != CRS_OK)
        return status;
    epoch->val_loss = metrics->loss;
    epoch->val_accuracy = metrics->accuracy;
    epoch->val_macro_f1 = metrics->macro_f1;
    crs_metrics_free(metrics);
    return CRS_OK;
}

/* Without a validation set nobody would see that the last update spoilt the weights: the last batch is looked at. */
static crs_status probe(trainer *t, const crs_epoch *epoch) {
    const crs_batch batch = crs__batches_get(&t->batches, epoch->steps - 1);
    const crs_status status = crs_model_predict(t->model, &batch, NULL, NULL, t->row_loss);
    if (status != CRS_OK)
        return crs__fail(t->error, status, "epoch %lld: checking the weights failed: %s", NULL, (long long)epoch->epoch,
                         crs_backend_failure(crs_model_backend(t->model), status));
    for (int64_t b = 0; b < batch.B; b++)
        if (!isfinite(t->row_loss[b]))
            return fail_diverged(t, "the loss after it", epoch->epoch, epoch->steps);
    return CRS_OK;
}

/* Marks the epoch as the best so far if it is, and keeps its weights where asked. */
static crs_status compare_with_best(trainer *t, crs_epoch *epoch) {
    const int by_loss = t->config->monitor == CRS_MONITOR_LOSS;
    const double value = by_loss ? epoch->val_loss : epoch->val_accuracy;
    if (t->best_known && !(by_loss ? value < t->best : value > t->best))
        return CRS_OK;
    t->best = value;
    t->best_known = epoch->best = 1;
    const crs_status status = t->config->keep_best ? crs_model_keep(t->model) : CRS_OK;
    if (status != CRS_OK)
        return crs__fail(t->error, status, "epoch %lld: keeping the best weights failed: %s", NULL,
                         (long long)epoch->epoch, crs_backend_failure(crs_model_backend(t->model), status));
    return CRS_OK;
}

static crs_status append(trainer *t, const crs_epoch *epoch) {
    crs_history *history = t->history;
    crs_epoch *epochs = realloc(history->epochs, (history->count + 1) * sizeof *epochs);
    if (!epochs)
        return crs__fail_memory(t->error, (history->count + 1) * sizeof *epochs, "the history");
    history->epochs = epochs;
    epochs[history->count++] = *epoch;
    return CRS_OK;
}

static crs_status run_epoch(trainer *t, int64_t number) {
    crs_epoch epoch = {.epoch = number, .val_loss = NAN, .val_accuracy = NAN, .val_macro_f1 = NAN};
    t->begun = t->looked = now();
    CRS_TRY(run_steps(t, &epoch));
    if (t->validation.count > 0) {
        CRS_TRY(validate(t, &epoch));
        CRS_TRY(compare_with_best(t, &epoch));
    } else {
        CRS_TRY(probe(t, &epoch));
    }
    t->steps_before += epoch.steps;
    epoch.seconds = now() - t->begun;
    CRS_TRY(append(t, &epoch));
    if (!t->validation.count || !t->config->keep_best || epoch.best)
        t->history->best = t->history->count - 1;
    if (epoch.steps < t->batches.batches)
        t->history->interrupted = 1;
    if (t->hooks && t->hooks->on_epoch)
        t->hooks->on_epoch(t->hooks->user, &t->history->epochs[t->history->count - 1]);
    return CRS_OK;
}

static int patience_is_over(const trainer *t) {
    const crs_history *history = t->history;
    if (t->config->patience < 1 || !t->validation.count)
        return 0;
    int64_t waited = 0;
    while (!history->epochs[history->count - 1 - (size_t)waited].best)
        waited++;
    return waited >= t->config->patience;
}

static crs_status run_epochs(trainer *t) {
    for (int64_t number = 1; number <= t->config->epochs; number++) {
        CRS_TRY(run_epoch(t, number));
        if (t->history->interrupted || number == t->config->epochs)
            break;
        if ((t->history->interrupted = stop_wanted(t)) || (t->history->stopped_early = patience_is_over(t)))
            break;
    }
    if (t->history->best + 1 == t->history->count)
        return CRS_OK;
    const crs_status status = crs_model_restore(t->model);
    return status == CRS_OK ? CRS_OK
                            : crs__fail(t->error, status, "taking back the best weights failed: %s", NULL,
                                        crs_backend_failure(crs_model_backend(t->model), status));
}

/* ---- before the first ---- */

static crs_status prepare(trainer *t) {
    const int64_t classes = crs__model_classes(t->model), batch = t->batches.B;
    const int64_t steps = t->batches.count / batch + (t->batches.count % batch != 0);
    double *weights = NULL;
    t->row_loss = malloc((size_t)batch * sizeof *t->row_loss);
    if (!t->row_loss)
        return crs__fail_memory(t->error, (size_t)batch * sizeof *t->row_loss, "the losses of a batch");
    if (t->config->class_weight == CRS_CLASS_WEIGHT_BALANCED) {
        weights = malloc((size_t)classes * sizeof *weights);
        if (!weights)
            return crs__fail_memory(t->error, (size_t)classes * sizeof *weights, "class weights");
        crs__balanced_weights(&t->batches, classes, weights);
    }
    const crs_training training = crs__training_of(t->config, steps, weights);
    const crs_status status = crs_model_prepare(t->model, t->batches.T, batch, &training, t->error);
    free(weights);
    return status;
}

crs_status crs_train(crs_model *model, const crs_config *config, const crs_dataset *dataset, const int64_t *train_rows,
                     int64_t train_count, const crs_dataset *validation_set, const int64_t *validation_rows,
                     int64_t validation_count, const crs_train_hooks *hooks, crs_history *history, crs_error *error) {
    trainer t = {.model = model, .config = config, .hooks = hooks, .history = history, .error = error};
    *history = (crs_history){0};
    if (config->epochs < 1)
        return crs__fail(error, CRS_ERR_CONFIG, "%lld epochs train nothing", "set epochs to 1 or more",
                         (long long)config->epochs);
    crs_status status =
        crs__batches_create(dataset, config, train_rows, train_count, crs__model_classes(model), config->batch,
                            crs_model_needs_full_length(model, config->pad == CRS_SIDE_PRE), &t.batches, error);
    if (status == CRS_OK && validation_set)
        status = crs__evaluation_batches(model, config, validation_set, validation_rows, validation_count,
                                         &t.validation, error);
    if (status == CRS_OK)
        status = prepare(&t);
    if (status == CRS_OK)
        status = run_epochs(&t);
    free(t.row_loss);
    crs__batches_free(&t.batches);
    crs__batches_free(&t.validation);
    return status;
}
