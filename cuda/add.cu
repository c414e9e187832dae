/* Elementwise sum in place, scaled: of the two directions of a bidirectional layer, or their mean. */
#include "cuda.cuh"

/* At most 32 registers. x may be NULL. */
static __global__ void add(int64_t n, float scale, const float *__restrict__ x, float *__restrict__ y) {
    for (int64_t i = cuda_first(); i < n; i += cuda_stride())
        y[i] = scale * (x ? y[i] + x[i] : y[i]);
}

crs_status cuda_add(crs_device *device, const crs_add *a) {
    return cuda_launch_over(device, a->n, add, a->n, a->scale, (const float *)a->x, (float *)a->y);
}
