/* A penalty on weights: its value joins the loss, its gradient the gradient. */
#include "clones.h"
#include "cpu.h"
#include "step_state.h"

#define CHUNK 8192 /* weights of a partial sum: fixed, so that the order of the sum is too */
#define LANES 16

/* Returns the value, without the rows, of n weights. As many sums side by side as any vector has lanes: one sum of all
 * would lose digits wherever the compiler does not vectorise. */
CPU_CLONES
static double penalise(double l1, double l2, int64_t n, const real *restrict w, real *restrict g) {
    const real step = (real)l1, slope = (real)(2 * l2);
    double magnitudes[LANES] = {0}, squares[LANES] = {0}, sum = 0;
    for (int64_t first = 0; first < n; first += LANES) {
        const int64_t lanes = n - first < LANES ? n - first : LANES;
        for (int64_t k = 0; k < lanes; k++) {
            const real weight = w[first + k], sign = (real)((weight > 0) - (weight < 0));
            magnitudes[k] += fabs((double)weight);
            squares[k] += (double)weight * (double)weight;
            g[first + k] += step * sign + slope * weight;
        }
    }
    for (int64_t k = 0; k < LANES; k++)
        sum += l1 * magnitudes[k] + l2 * squares[k];
    return sum;
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
