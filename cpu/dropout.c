/* Dropout. The backward is the forward applied to the gradient: the mask is drawn again, not kept. */
#include "philox.h"

#include <string.h>

#define CHUNK 1024 /* mask factors at a time: they stay in the first-level cache */

crs_status CPU_NAME(dropout)(crs_device *device, const crs_dropout *a) {
    const real *x = a->x;
    real *y = a->y;
    if (!(a->mask.rate > 0)) {
        if (x != y)
            memcpy(y, x, (size_t)a->n * sizeof(real));
        return CRS_OK;
    }
    const uint64_t step = a->state->step;
    const int64_t chunks = (a->n + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (chunks > 4)
    for (int64_t c = 0; c < chunks; c++) {
        const int64_t first = c * CHUNK, n = a->n - first < CHUNK ? a->n - first : CHUNK;
        real factor[CHUNK];
        cpu_mask(&a->mask, step, first, n, factor);
        for (int64_t i = 0; i < n; i++)
            y[first + i] = x[first + i] * factor[i];
    }
    return CRS_OK;
}
