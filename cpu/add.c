/* Elementwise sum in place, scaled: of the two directions of a bidirectional layer, or their mean. */
#include "clones.h"
#include "cpu.h"

#define CHUNK 16384 /* elements a thread takes at a time */

CPU_CLONES
static void add(int64_t n, real scale, const real *restrict x, real *restrict y) {
    for (int64_t i = 0; i < n; i++)
        y[i] = scale * (y[i] + x[i]);
}

CPU_CLONES
static void multiply(int64_t n, real scale, real *y) {
    for (int64_t i = 0; i < n; i++)
        y[i] *= scale;
}

crs_status CPU_NAME(add)(crs_device *device, const crs_add *a) {
    const int64_t chunks = (a->n + CHUNK - 1) / CHUNK;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (chunks > 4)
    for (int64_t c = 0; c < chunks; c++) {
        const int64_t first = c * CHUNK, n = a->n - first < CHUNK ? a->n - first : CHUNK;
        if (a->x)
            add(n, (real)a->scale, (const real *)a->x + first, (real *)a->y + first);
        else
            multiply(n, (real)a->scale, (real *)a->y + first);
    }
    return CRS_OK;
}
