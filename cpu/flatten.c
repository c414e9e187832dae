/* Flattening: the steps of a row, one behind the other. */
#include "cpu.h"
#include "live.h"

#include <string.h>

#define PARALLEL_FROM 16384 /* elements; below it waking threads costs more than they save */

/* Step t of row b, where it stands in [T,B,F] and in [B,T*F]. */
static int64_t apart_at(const crs_flatten *a, int64_t t, int64_t b) {
    return (t * a->steps.B + b) * a->F;
}

static int64_t flat_at(const crs_flatten *a, int64_t t, int64_t b) {
    return (b * a->steps.T + t) * a->F;
}

static void step_copy(const crs_flatten *a, int64_t t, int64_t b, real *to, const real *from) {
    if (is_live(row_live(&a->steps, b), t))
        memcpy(to, from, (size_t)a->F * sizeof(real));
    else
        memset(to, 0, (size_t)a->F * sizeof(real));
}

crs_status CPU_NAME(flatten_forward)(crs_device *device, const crs_flatten *a) {
    const int64_t T = a->steps.T, rows = T * a->steps.B;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows * a->F >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const int64_t t = r % T, b = r / T;
        step_copy(a, t, b, (real *)a->y + flat_at(a, t, b), (const real *)a->x + apart_at(a, t, b));
    }
    return CRS_OK;
}

crs_status CPU_NAME(flatten_backward)(crs_device *device, const crs_flatten *a) {
    const int64_t T = a->steps.T, rows = T * a->steps.B;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows * a->F >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++) {
        const int64_t t = r % T, b = r / T;
        step_copy(a, t, b, (real *)a->dx + apart_at(a, t, b), (const real *)a->dy + flat_at(a, t, b));
    }
    return CRS_OK;
}
