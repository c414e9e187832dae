/* Pooling over time: the last live step, the mean or the maximum of the live steps. */
#include "clones.h"
#include "cpu.h"
#include "live.h"

#include <string.h>

#define COLUMNS 64          /* features worked on at once: their accumulators stay in the first-level cache */
#define PARALLEL_FROM 16384 /* elements; below it waking threads costs more than they save */

/* x and y point at the first of n <= COLUMNS features of a row; `step` is the distance between its steps. The sum is
 * kept in double: thousands of steps would cost a float sum its last digits. */
CPU_CLONES
static void mean_columns(live_range live, int64_t step, int64_t n, const real *x, real *restrict y) {
    double sum[COLUMNS] = {0};
    for (int64_t t = live.first; t < live.end; t++)
        for (int64_t f = 0; f < n; f++)
            sum[f] += (double)x[t * step + f];
    for (int64_t f = 0; f < n; f++)
        y[f] = (real)(sum[f] / (double)(live.end - live.first));
}

/* A NaN counts as the maximum, so that it is not lost here but found in the loss. */
CPU_CLONES
static void max_columns(live_range live, int64_t step, int64_t n, const real *x, real *restrict y,
                        int32_t *restrict argmax) {
    for (int64_t f = 0; f < n; f++) {
        y[f] = x[live.first * step + f];
        argmax[f] = (int32_t)live.first;
    }
    for (int64_t t = live.first + 1; t < live.end; t++) {
        for (int64_t f = 0; f < n; f++) {
            const real value = x[t * step + f], best = y[f];
            const int greater = (value > best) | ((value != value) & (best == best));
            y[f] = greater ? value : best;
            argmax[f] = greater ? (int32_t)t : argmax[f];
        }
    }
}

static void pool_row(const crs_pool *a, int64_t b) {
    const int64_t F = a->F, step = a->steps.B * F;
    const live_range live = row_live(&a->steps, b);
    const real *x = (const real *)a->x + b * F;
    real *y = (real *)a->y + b * F;
    if (live.first == live.end) {
        memset(y, 0, (size_t)F * sizeof(real));
        for (int64_t f = 0; a->kind == CRS_POOL_MAX && f < F; f++)
            a->argmax[b * F + f] = -1;
        return;
    }
    if (a->kind == CRS_POOL_LAST) {
        memcpy(y, x + (live.end - 1) * step, (size_t)F * sizeof(real));
        return;
    }
    for (int64_t f = 0; f < F; f += COLUMNS) {
        const int64_t n = F - f < COLUMNS ? F - f : COLUMNS;
        if (a->kind == CRS_POOL_MEAN)
            mean_columns(live, step, n, x + f, y + f);
        else
            max_columns(live, step, n, x + f, y + f, a->argmax + b * F + f);
    }
}

crs_status CPU_NAME(pool_forward)(crs_device *device, const crs_pool *a) {
    const int64_t B = a->steps.B;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (a->steps.T * B * a->F >= PARALLEL_FROM)
    for (int64_t b = 0; b < B; b++)
        pool_row(a, b);
    return CRS_OK;
}

/* The gradient of one step of one row. */
CPU_CLONES
static void pool_step_backward(const crs_pool *a, int64_t t, int64_t b) {
    const int64_t F = a->F;
    const live_range live = row_live(&a->steps, b);
    const real *dy = (const real *)a->dy + b * F;
    real *restrict dx = (real *)a->dx + (t * a->steps.B + b) * F;
    if (!is_live(live, t) || (a->kind == CRS_POOL_LAST && t + 1 < live.end)) {
        memset(dx, 0, (size_t)F * sizeof(real));
    } else if (a->kind == CRS_POOL_LAST) {
        memcpy(dx, dy, (size_t)F * sizeof(real));
    } else if (a->kind == CRS_POOL_MEAN) {
        const real count = (real)(live.end - live.first);
        for (int64_t f = 0; f < F; f++)
            dx[f] = dy[f] / count;
    } else {
        const int32_t *argmax = a->argmax + b * F;
        for (int64_t f = 0; f < F; f++)
            dx[f] = argmax[f] == t ? dy[f] : 0;
    }
}

crs_status CPU_NAME(pool_backward)(crs_device *device, const crs_pool *a) {
    const int64_t B = a->steps.B, rows = a->steps.T * B;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows * a->F >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        pool_step_backward(a, r / B, r % B);
    return CRS_OK;
}
