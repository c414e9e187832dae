/* Elementwise sum in place, of the two directions of a bidirectional layer. */
#include "cuda.cuh"

/* At most 32 registers. */
static __global__ void add(int64_t n, const float *__restrict__ x, float *__restrict__ y) {
    for (int64_t i = cuda_first(); i < n; i += cuda_stride())
        y[i] += x[i];
}

crs_status cuda_add(crs_device *device, const crs_add *a) {
    return cuda_launch_over(device, a->n, add, a->n, (const float *)a->x, (float *)a->y);
}
