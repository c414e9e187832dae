/* Dropout. The backward is the forward applied to the gradient: the mask is drawn again, not kept. */
#include "memory.cuh"
#include "philox.cuh"

/* A thread takes the four mask elements that share a counter of the generator, in every `shares`-th period. x and y may
 * be the same. At most 40 registers. */
static __global__ void drop(crs_dropout a, int64_t groups, int64_t shares) {
    const mask_generator generator(a.mask, a.state);
    const float *x = (const float *)a.x;
    float *y = (float *)a.y;
    for (int64_t k = cuda_first(); k < groups * shares; k += cuda_stride()) {
        const int64_t group = k % groups, left = a.period - group * 4;
        const float4 four = generator.factors((uint64_t)group);
        const float factors[] = {four.x, four.y, four.z, four.w};
        for (int64_t first = k / groups * a.period; first < a.n; first += shares * a.period)
            for (int i = 0; i < 4; i++)
                if (i < left && first + group * 4 + i < a.n)
                    y[first + group * 4 + i] = x[first + group * 4 + i] * factors[i];
    }
}

crs_status cuda_dropout(crs_device *device, const crs_dropout *a) {
    if (!(a->mask.rate > 0))
        return a->x == a->y ? CRS_OK : cuda_memory_copy(device, a->y, a->x, (size_t)a->n * sizeof(float));
    /* Periods are shared among as many threads as the device takes, so that few of a short mask are not left to do all.
     */
    const int64_t size = a->period < a->n ? a->period : a->n, groups = (size + 3) / 4;
    const int64_t periods = (a->n + size - 1) / size;
    const int64_t room = (int64_t)device->multiprocessors * 16 * CUDA_BLOCK / groups;
    const int64_t shares = room < 1 ? 1 : room < periods ? room : periods;
    return cuda_launch_over(device, groups * shares, drop, *a, groups, shares);
}
