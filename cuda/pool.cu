/* Pooling over time: the last live step, the mean or the maximum of the live steps. */
#include "live.cuh"
#include "matrix.cuh"

/* Mean and maximum: a block takes some neighbouring features of one row of the batch. threadIdx.x is the feature;
 * threadIdx.y is one of the shares, equal and in order, into which the live steps are cut. */
struct pool_share {
    int64_t from, to; /* steps */

    __device__ __forceinline__ explicit pool_share(const live_steps &live) {
        const int64_t size = (live.end - live.first + blockDim.y - 1) / blockDim.y;
        from = live.first + threadIdx.y * size;
        to = from + size < live.end ? from + size : live.end;
    }
};

/* The sum is kept in double: thousands of steps would cost a float sum its last digits. At most 56 registers. */
static __global__ void pool_mean(crs_pool a) {
    CUDA_SHARED_ARRAY(double, sums, CUDA_BLOCK);
    const int64_t F = a.F, B = a.steps.B, tiles = (F + blockDim.x - 1) / blockDim.x;
    const float *x = (const float *)a.x;
    for (int64_t block = blockIdx.x; block < B * tiles; block += gridDim.x) {
        const int64_t b = block / tiles, f = block % tiles * blockDim.x + threadIdx.x;
        const live_steps live(a.steps, b);
        const pool_share share(live);
        double sum = 0;
        for (int64_t t = share.from; f < F && t < share.to; t++)
            sum += (double)x[(t * B + b) * F + f];
        sums[threadIdx.y * blockDim.x + threadIdx.x] = sum;
        __syncthreads();
        if (threadIdx.y == 0 && f < F) {
            for (unsigned k = 1; k < blockDim.y; k++)
                sum += sums[k * blockDim.x + threadIdx.x];
            ((float *)a.y)[b * F + f] = live.first == live.end ? 0 : (float)(sum / (double)(live.end - live.first));
        }
        __syncthreads();
    }
}

/* The largest of some steps so far. A NaN counts as the maximum, so that it is not lost here but found in the loss. */
struct pool_maximum {
    float value;
    int32_t step; /* -1: of none */

    /* Takes in what comes later in time: on a tie, the earlier one stays. */
    __device__ __forceinline__ void include(float later, int32_t later_step) {
        const bool greater = later > value || (later != later && value == value);
        if (later_step >= 0 && (step < 0 || greater)) {
            value = later;
            step = later_step;
        }
    }
};

/* At most 64 registers. */
static __global__ void pool_max(crs_pool a) {
    CUDA_SHARED_ARRAY(float, values, CUDA_BLOCK);
    CUDA_SHARED_ARRAY(int32_t, steps, CUDA_BLOCK);
    const int64_t F = a.F, B = a.steps.B, tiles = (F + blockDim.x - 1) / blockDim.x;
    const float *x = (const float *)a.x;
    for (int64_t block = blockIdx.x; block < B * tiles; block += gridDim.x) {
        const int64_t b = block / tiles, f = block % tiles * blockDim.x + threadIdx.x;
        const pool_share share(live_steps(a.steps, b));
        pool_maximum best = {0, -1};
        for (int64_t t = share.from; f < F && t < share.to; t++)
            best.include(x[(t * B + b) * F + f], (int32_t)t);
        values[threadIdx.y * blockDim.x + threadIdx.x] = best.value;
        steps[threadIdx.y * blockDim.x + threadIdx.x] = best.step;
        __syncthreads();
        if (threadIdx.y == 0 && f < F) {
            for (unsigned k = 1; k < blockDim.y; k++)
                best.include(values[k * blockDim.x + threadIdx.x], steps[k * blockDim.x + threadIdx.x]);
            ((float *)a.y)[b * F + f] = best.value;
            a.argmax[b * F + f] = best.step;
        }
        __syncthreads();
    }
}

/* At most 48 registers. */
static __global__ void pool_last(crs_pool a) {
    for (int64_t b = matrix_walk::first_row(); b < a.steps.B; b += matrix_walk::row_stride()) {
        const live_steps live(a.steps, b);
        const float *x = (const float *)a.x + ((live.end - 1) * a.steps.B + b) * a.F;
        for (int64_t f = matrix_walk::first_column(); f < a.F; f += matrix_walk::column_stride())
            ((float *)a.y)[b * a.F + f] = live.first == live.end ? 0 : x[f];
    }
}

crs_status cuda_pool_forward(crs_device *device, const crs_pool *a) {
    if (a->kind == CRS_POOL_LAST)
        return cuda_launch_matrix(device, a->steps.B, a->F, pool_last, *a);
    const dim3 block(cuda_lanes(a->F), CUDA_BLOCK / cuda_lanes(a->F));
    const int64_t tiles = (a->F + block.x - 1) / block.x;
    const dim3 grid(cuda_grid(device, a->steps.B * tiles * CUDA_BLOCK));
    return cuda_launch(device, a->kind == CRS_POOL_MEAN ? pool_mean : pool_max, grid, block, 0, *a);
}

/* The share of one live step in the gradient dy of a pooled feature. */
static __device__ __forceinline__ float step_gradient(const crs_pool &a, const live_steps &live, int64_t t,
                                                      int64_t feature, float dy) {
    if (a.kind == CRS_POOL_MEAN)
        return dy / (float)(live.end - live.first);
    const bool chosen = a.kind == CRS_POOL_LAST ? t == live.end - 1 : t == a.argmax[feature];
    return chosen ? dy : 0;
}

/* At most 48 registers. */
static __global__ void pool_backward(crs_pool a) {
    const int64_t F = a.F, B = a.steps.B;
    for (int64_t row = matrix_walk::first_row(); row < a.steps.T * B; row += matrix_walk::row_stride()) {
        const int64_t t = row / B, b = row % B;
        const live_steps live(a.steps, b);
        const bool is_live = live.contains(t);
        for (int64_t f = matrix_walk::first_column(); f < F; f += matrix_walk::column_stride())
            ((float *)a.dx)[row * F + f] =
                is_live ? step_gradient(a, live, t, b * F + f, ((const float *)a.dy)[b * F + f]) : 0;
    }
}

crs_status cuda_pool_backward(crs_device *device, const crs_pool *a) {
    return cuda_launch_matrix(device, a->steps.T * a->steps.B, a->F, pool_backward, *a);
}
