/* A bound on the L2 norm of each row of weights. */
#include "clones.h"
#include "cpu.h"

#include <math.h>

#define PARALLEL_FROM 16384 /* weights; below it waking threads costs more than they save */

/* Keras' epsilon: it keeps a row of zeros from being divided by zero. */
static const double epsilon = 1e-7;

CPU_CLONES
static void bound_row(double limit, int64_t F, real *w) {
    double squares = 0;
#pragma omp simd reduction(+ : squares)
    for (int64_t f = 0; f < F; f++)
        squares += (double)w[f] * (double)w[f];
    const double norm = sqrt(squares), factor = (norm > limit ? limit : norm) / (epsilon + norm);
    for (int64_t f = 0; f < F; f++)
        w[f] = (real)((double)w[f] * factor);
}

crs_status CPU_NAME(max_norm)(crs_device *device, const crs_max_norm *a) {
    if (a->state->bad_step != 0)
        return CRS_OK;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (a->N * a->F >= PARALLEL_FROM)
    for (int64_t i = 0; i < a->N; i++)
        bound_row(a->limit, a->F, (real *)a->w + i * a->F);
    return CRS_OK;
}
