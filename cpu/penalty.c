/* A penalty on weights: its value joins the loss, its gradient the gradient. */
#include "clones.h"
#include "cpu.h"
#include "step_state.h"

#define CHUNK 8192 /* weights of a partial sum: fixed, so that the order of the sum is too */

/* Returns the value, without the rows, of n weights. */
CPU_CLONES
static double penalise(double l1, double l2, int64_t n, const real *restrict w, real *restrict g) {
    const real step = (real)l1, slope = (real)(2 * l2);
    double magnitudes = 0, squares = 0;
#pragma omp simd reduction(+ : magnitudes, squares)
    for (int64_t i = 0; i < n; i++) {
        const real sign = (real)((w[i] > 0) - (w[i] < 0));
        magnitudes += fabs((double)w[i]);
        squares += (double)w[i] * (double)w[i];
        g[i] += step * sign + slope * w[i];
    }
    return l1 * magnitudes + l2 * squares;
}

crs_status CPU_NAME(penalty)(crs_device *device, const crs_penalty *a) {
    const int64_t chunks = (a->n + CHUNK - 1) / CHUNK;
    double *partial = cpu_scratch(device, (size_t)chunks * sizeof(double));
    double sum = 0;
    if (!partial)
        return CRS_ERR_MEMORY;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (chunks > 1)
    for (int64_t c = 0; c < chunks; c++) {
        const int64_t first = c * CHUNK;
        partial[c] = penalise(a->l1, a->l2, a->n - first < CHUNK ? a->n - first : CHUNK, (const real *)a->w + first,
                              (real *)a->g + first);
    }
    for (int64_t c = 0; c < chunks; c++)
        sum += partial[c];
    a->state->loss_sum += (double)a->rows * sum;
    cpu_note_bad_step(a->state, sum);
    return CRS_OK;
}
