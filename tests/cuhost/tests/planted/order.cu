/* Planted bugs in what orders the threads of a block, and kernels that are right: the controls. */
#include "planted.cuh"

/* n-1, n-2, ... 0, times factor. */
static std::vector<float> countdown(int n, float factor = 1) {
    std::vector<float> numbers;
    for (int i = n - 1; i >= 0; i--)
        numbers.push_back(factor * static_cast<float>(i));
    return numbers;
}

__global__ static void read_too_early(float *out) {
    CUDA_SHARED_ARRAY(float, values, 64);
    values[threadIdx.x] = static_cast<float>(threadIdx.x);
    /* bug: no __syncthreads */
    out[threadIdx.x] = values[63 - threadIdx.x];
}

static void missing_barrier_after_write() {
    const DeviceArray<float> out(zeros(64));
    launch({1, 64}, read_too_early, out.get());
    expect_same(out.host(), countdown(64));
}

__global__ static void write_too_early(float *out) {
    CUDA_SHARED_ARRAY(float, values, 64);
    values[threadIdx.x] = static_cast<float>(threadIdx.x);
    __syncthreads();
    const float mirrored = values[63 - threadIdx.x];
    /* bug: no __syncthreads */
    values[threadIdx.x] = 2 * mirrored;
    __syncthreads();
    out[threadIdx.x] = values[threadIdx.x];
}

static void missing_barrier_after_read() {
    const DeviceArray<float> out(zeros(64));
    launch({1, 64}, write_too_early, out.get());
    expect_same(out.host(), countdown(64, 2));
}

__global__ static void read_in_warp(float *out) {
    CUDA_SHARED_ARRAY(float, values, 32);
    values[threadIdx.x] = static_cast<float>(threadIdx.x);
    /* bug: no __syncwarp */
    out[threadIdx.x] = values[31 - threadIdx.x];
}

static void missing_warp_barrier() {
    const DeviceArray<float> out(zeros(32));
    launch({1, 32}, read_in_warp, out.get());
    expect_same(out.host(), countdown(32));
}

/* A loop over steps as in a recurrence: each reads what the step before has written, with one barrier a step instead of
 * two buffers or two barriers. */
__global__ static void step_in_place(float *out, int steps) {
    CUDA_SHARED_ARRAY(float, state, 64);
    state[threadIdx.x] = static_cast<float>(threadIdx.x);
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        state[threadIdx.x] = state[(threadIdx.x + 1) % 64]; /* bug: while others still read */
        __syncthreads();
    }
    out[threadIdx.x] = state[threadIdx.x];
}

static void missing_barrier_in_recurrence() {
    const DeviceArray<float> out(zeros(64));
    launch({1, 64}, step_in_place, out.get(), 3);
    std::vector<float> expected;
    for (int i = 0; i < 64; i++)
        expected.push_back(static_cast<float>((i + 3) % 64));
    expect_same(out.host(), expected);
}

/* Many steps in large blocks, of which the last alone lacks a barrier: what came before must not hide it. */
__global__ static void average(float *out, int steps, bool right) {
    CUDA_SHARED_ARRAY(float, state, 512);
    state[threadIdx.x] = 1;
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        float sum = 0;
        for (unsigned i = 0; i < blockDim.x; i++)
            sum += state[i];
        if (right || step + 1 < steps)
            __syncthreads();
        state[threadIdx.x] = sum / static_cast<float>(blockDim.x);
        __syncthreads();
    }
    out[blockIdx.x * blockDim.x + threadIdx.x] = state[threadIdx.x];
}

static void run_large_blocks(bool right) {
    const DeviceArray<float> out(zeros(3 * 512));
    for (unsigned threads : {256u, 512u})
        launch({3, threads}, average, out.get(), 10, right);
    expect_same(out.host(), std::vector<float>(3 * 512, 1));
}

static void missing_barrier_in_large_blocks() {
    run_large_blocks(false);
}

static void control_large_blocks() {
    run_large_blocks(true);
}

__global__ static void barrier_for_half(float *out) {
    if (threadIdx.x < 32)
        __syncthreads(); /* bug */
    out[threadIdx.x] = 1;
}

static void divergent_barrier() {
    const DeviceArray<float> out(zeros(64));
    launch({1, 64}, barrier_for_half, out.get());
    check(cudaDeviceSynchronize());
}

__global__ static void two_barriers(float *out) {
    if (threadIdx.x < 32)
        __syncthreads(); /* bug: not the same one */
    else
        __syncthreads();
    out[threadIdx.x] = 1;
}

static void different_barriers() {
    const DeviceArray<float> out(zeros(64));
    launch({1, 64}, two_barriers, out.get());
    check(cudaDeviceSynchronize());
}

__global__ static void shuffle_half(float *out) {
    float value = 1;
    if (threadIdx.x < 16)
        value = __shfl_xor_sync(0xffffffffu, value, 1); /* bug: half of the mask does not come */
    out[threadIdx.x] = value;
}

static void wrong_shuffle_mask() {
    const DeviceArray<float> out(zeros(32));
    launch({1, 32}, shuffle_half, out.get());
    check(cudaDeviceSynchronize());
}

__global__ static void wait_for_flag(int *flag) {
    if (threadIdx.x == 0)
        while (atomicAdd(flag, 0) == 0)
            __nanosleep(20);
    else if (threadIdx.x == 63)
        atomicExch(flag, 1);
}

static void control_spin_flag() {
    const DeviceArray<int> flag(std::vector<int>(1));
    launch({1, 64}, wait_for_flag, flag.get());
    expect_same(flag.host(), {1});
}

/* Local arrays, of which other code gets to know the address: no two threads share them. */
__device__ static void __attribute__((noinline)) fill_array(volatile float *values, int n, float value) {
    for (int i = 0; i < n; i++)
        values[i] = value;
}

__global__ static void use_local_array(float *out) {
    volatile float values[8];
    const unsigned thread = blockIdx.x * blockDim.x + threadIdx.x;
    fill_array(values, 8, static_cast<float>(thread));
    __syncthreads();
    out[thread] = values[thread % 8];
}

static void control_local_arrays() {
    std::vector<float> expected;
    for (int i = 0; i < 8 * 256; i++)
        expected.push_back(static_cast<float>(i));
    for (unsigned threads : {32u, 256u, 512u}) {
        const DeviceArray<float> out(zeros(expected.size()));
        launch({static_cast<unsigned>(expected.size()) / threads, threads}, use_local_array, out.get());
        expect_same(out.host(), expected);
    }
}

const std::vector<Planted> planted_in_order = {
    {"missing_barrier_after_write", missing_barrier_after_write},
    {"missing_barrier_after_read", missing_barrier_after_read},
    {"missing_barrier_in_recurrence", missing_barrier_in_recurrence},
    {"missing_barrier_in_large_blocks", missing_barrier_in_large_blocks},
    {"missing_warp_barrier", missing_warp_barrier},
    {"divergent_barrier", divergent_barrier},
    {"different_barriers", different_barriers},
    {"wrong_shuffle_mask", wrong_shuffle_mask},
    {"control_spin_flag", control_spin_flag},
    {"control_large_blocks", control_large_blocks},
    {"control_local_arrays", control_local_arrays},
};
