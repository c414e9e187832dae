/* Settings of a user made into settings of a training step. */
#include "training.h"

#include <math.h>

/* A time in epochs as steps, rounded to the nearest; whatever is too long to matter becomes 2^52. */
static int64_t steps_in(double epochs, int64_t steps_per_epoch) {
    const double steps = epochs * (double)steps_per_epoch;
    return steps < 0x1p52 ? llround(steps) : INT64_C(1) << 52;
}

crs_training crs__training_of(const crs_config *config, int64_t steps_per_epoch, const double *class_weight) {
    const double lr = crs_config_learning_rate(config);
    const int64_t warmup = steps_in(config->warmup, steps_per_epoch);
    const int64_t every = steps_in(config->decay_every, steps_per_epoch);
    const int64_t total = steps_in((double)config->epochs, steps_per_epoch);
    return (crs_training){.optimizer = {.kind = (crs_optimizer_kind)config->optimizer,
                                        .momentum = config->momentum,
                                        .rho = config->rho,
                                        .beta1 = config->beta1,
                                        .beta2 = config->beta2,
                                        .epsilon = config->epsilon,
                                        .weight_decay = config->weight_decay,
                                        .nesterov = config->nesterov},
                          .schedule = {.kind = (crs_schedule_kind)config->schedule,
                                       .base_lr = lr,
                                       .floor_lr = lr * config->final_lr,
                                       .rate = config->decay_rate,
                                       .warmup = warmup,
                                       .every = every > 1 ? every : 1,
                                       .total = total > warmup ? total : warmup + 1},
                          .clip_norm = config->clip_norm,
                          .class_weight = class_weight};
}

void crs__balanced_weights(const crs__batches *batches, int64_t classes, double *weights) {
    for (int64_t c = 0; c < classes; c++)
        weights[c] = 0;
    for (int64_t i = 0; i < batches->count; i++)
        weights[crs_dataset_label(batches->dataset, batches->chosen[i])] += 1;
    for (int64_t c = 0; c < classes; c++)
        weights[c] = weights[c] > 0 ? (double)batches->count / ((double)classes * weights[c]) : 1;
}
