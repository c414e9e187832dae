/* L2 norm of the gradient and the clipping factor that follows from it. */
#include "clones.h"
#include "cpu.h"
#include "step_state.h"

#define CHUNK 8192 /* elements of a partial sum: fixed, so that the order of the sum is too */

/* Its four quarters side by side: memory that is read in one place only comes slower. */
CPU_CLONES
static double sum_of_squares(const real *g, int64_t n) {
    const int64_t quarter = n / 4;
    const real *second = g + quarter, *third = second + quarter, *last = third + quarter;
    double sum = 0, rest = 0;
#pragma omp simd reduction(+ : sum, rest)
    for (int64_t i = 0; i < quarter; i++) {
        sum += (double)g[i] * (double)g[i] + (double)second[i] * (double)second[i];
        rest += (double)third[i] * (double)third[i] + (double)last[i] * (double)last[i];
    }
    for (int64_t i = 4 * quarter; i < n; i++)
        rest += (double)g[i] * (double)g[i];
    return sum + rest;
}

crs_status CPU_NAME(norm)(crs_device *device, const crs_norm *a) {
    const int64_t chunks = (a->n + CHUNK - 1) / CHUNK;
    const real *g = a->g;
    double *partial = cpu_scratch(device, (size_t)chunks * sizeof(double));
    double sum = 0;
    if (!partial)
        return CRS_ERR_MEMORY;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (chunks > 4)
    for (int64_t c = 0; c < chunks; c++) {
        const int64_t first = c * CHUNK;
        partial[c] = sum_of_squares(g + first, a->n - first < CHUNK ? a->n - first : CHUNK);
    }
    for (int64_t c = 0; c < chunks; c++)
        sum += partial[c];
    const double norm = sqrt(sum);
    a->state->grad_norm = norm;
    a->state->grad_scale = a->max_norm > 0 && norm > a->max_norm ? a->max_norm / norm : 1;
    cpu_note_bad_step(a->state, norm);
    return CRS_OK;
}
