/* Elementwise sum in place, of the two directions of a bidirectional layer. */
#include "cpu.h"

#define PARALLEL_FROM 65536 /* elements; below it waking threads costs more than they save */

crs_status CPU_NAME(add)(crs_device *device, const crs_add *a) {
    const int64_t n = a->n;
    const real *restrict x = a->x;
    real *restrict y = a->y;

#pragma omp parallel for simd schedule(static) num_threads(device->threads) if (parallel : n >= PARALLEL_FROM)
    for (int64_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
    return CRS_OK;
}
