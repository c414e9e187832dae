/* Dropout. The backward is the forward applied to the gradient: the mask is drawn again, not kept. */
#include "memory.cuh"
#include "philox.cuh"

/* A thread takes the four elements that share a counter of the generator. x and y may be the same.
 * At most 40 registers. */
static __global__ void drop(int64_t n, crs_mask mask, const crs_step_state *state, const float *x, float *y) {
    const mask_generator generator(mask, state);
    for (int64_t group = cuda_first(); group * 4 < n; group += cuda_stride()) {
        const float4 four = generator.factors((uint64_t)group);
        const float factors[] = {four.x, four.y, four.z, four.w};
        for (int k = 0; k < 4; k++)
            if (group * 4 + k < n)
                y[group * 4 + k] = x[group * 4 + k] * factors[k];
    }
}

crs_status cuda_dropout(crs_device *device, const crs_dropout *a) {
    if (!(a->mask.rate > 0))
        return a->x == a->y ? CRS_OK : cuda_memory_copy(device, a->y, a->x, (size_t)a->n * sizeof(float));
    return cuda_launch_over(device, (a->n + 3) / 4, drop, a->n, a->mask, a->state, (const float *)a->x, (float *)a->y);
}
