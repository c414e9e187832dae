/* Dropout. The backward is the forward applied to the gradient: the mask is drawn again, not kept. */
#include "philox.h"

#include <string.h>

#define CHUNK 1024         /* mask factors at a time: they stay in the first-level cache */
#define ROUND (16 * CHUNK) /* elements that a chunk drawn once is applied to */

/* Factors n from the m-th on, applied to where they stand in each of the periods first..end-1. */
static void apply(const crs_dropout *a, const real *factor, int64_t m, int64_t n, int64_t first, int64_t end) {
    const real *x = a->x;
    real *y = a->y;
    for (int64_t k = first; k < end; k++) {
        const int64_t at = k * a->period + m, left = a->n - at < n ? a->n - at : n; /* the last period may be cut off */
        for (int64_t i = 0; i < left; i++)
            y[at + i] = x[at + i] * factor[i];
    }
}

crs_status CPU_NAME(dropout)(crs_device *device, const crs_dropout *a) {
    if (!(a->mask.rate > 0)) {
        if (a->x != a->y)
            memcpy(a->y, a->x, (size_t)a->n * sizeof(real));
        return CRS_OK;
    }
    const uint64_t step = a->state->step;
    const int64_t size = a->period < a->n ? a->period : a->n;
    const int64_t chunks = (size + CHUNK - 1) / CHUNK, periods = (a->n + size - 1) / size;
    const int64_t at_once = ROUND / (size < CHUNK ? size : CHUNK), rounds = (periods + at_once - 1) / at_once;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (a->n > 4 * CHUNK)
    for (int64_t c = 0; c < chunks * rounds; c++) {
        const int64_t m = c % chunks * CHUNK, n = size - m < CHUNK ? size - m : CHUNK;
        const int64_t first = c / chunks * at_once, end = first + at_once < periods ? first + at_once : periods;
        real factor[CHUNK];
        cpu_mask(&a->mask, step, m, n, factor);
        apply(a, factor, m, n, first, end);
    }
    return CRS_OK;
}
