/* Start of a step: its number and its learning rate. */
#include "cpu.h"

#include <math.h>

static double cosine(const crs_schedule *a, int64_t s) {
    const double pi = 3.14159265358979323846;
    const double done = fmin(1, (double)(s - a->warmup) / (double)(a->total - a->warmup));
    return a->floor_lr + (a->base_lr - a->floor_lr) * (1 + cos(pi * done)) / 2;
}

static double learning_rate(const crs_schedule *a, int64_t s) {
    if (s < a->warmup)
        return a->base_lr * (double)(s + 1) / (double)a->warmup;
    switch (a->kind) {
    case CRS_CONSTANT:
        break;
    case CRS_STEP: {
        const int64_t drops = (s - a->warmup) / a->every;
        return a->base_lr * pow(a->rate, (double)drops);
    }
    case CRS_COSINE:
        return cosine(a, s);
    }
    return a->base_lr;
}

crs_status CPU_NAME(schedule)(crs_device *device, const crs_schedule *a) {
    (void)device;
    a->state->lr = learning_rate(a, (int64_t)a->state->step);
    a->state->step++;
    return CRS_OK;
}
