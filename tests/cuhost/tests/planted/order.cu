/* Planted bugs in what orders the threads of a kernel, and three kernels that are right: the controls. */
#include "planted.cuh"

/* Numbers 63, 62, ... 0, as the kernels with 64 threads should leave them. */
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

__global__ static void add_without_atomic(float *sum) {
    *sum = *sum + 1; /* bug */
}

static void missing_atomic() {
    const DeviceArray<float> sum(zeros(1));
    launch({2, 32}, add_without_atomic, sum.get());
    expect_same(sum.host(), {64});
}

__global__ static void use_block_before(float *out) {
    if (threadIdx.x == 0)
        out[blockIdx.x + 1] = out[blockIdx.x] + 1; /* bug: blocks run in any order */
}

static void block_dependency() {
    const DeviceArray<float> out(zeros(64));
    launch({63, 32}, use_block_before, out.get());
    expect_same({out.host()[63]}, std::vector<float>{63});
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

__global__ static void wait_for_grid(unsigned *arrived, float *out) {
    if (threadIdx.x == 0) {
        out[blockIdx.x] = 1;
        __threadfence();
        atomicAdd(arrived, 1u);
        while (atomicAdd(arrived, 0u) < gridDim.x)
            __nanosleep(20);
    }
    __syncthreads();
    float sum = 0;
    for (unsigned i = 0; i < gridDim.x; i++)
        sum += out[i];
    if (sum != static_cast<float>(gridDim.x))
        out[threadIdx.x] = -1;
}

static void run_wait_for_grid(bool cooperative) {
    const DeviceArray<unsigned> arrived(std::vector<unsigned>(1));
    const DeviceArray<float> out(zeros(64));
    launch({16, 64, 0, nullptr, cooperative}, wait_for_grid, arrived.get(), out.get());
    expect_same({out.host()[0]}, std::vector<float>{1});
}

/* Waits for blocks that need not be resident. */
static void spin_barrier_not_cooperative() {
    run_wait_for_grid(false);
}

static void control_spin_barrier() {
    run_wait_for_grid(true);
}

__global__ static void synchronize_grid(float *out) {
    cooperative_groups::this_grid().sync(); /* bug: the launch is not cooperative */
    out[threadIdx.x] = 1;
}

static void grid_barrier_not_cooperative() {
    const DeviceArray<float> out(zeros(32));
    launch({2, 32}, synchronize_grid, out.get());
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

/* The last block sums what all have written: "write, fence, count". */
__global__ static void sum_in_last_block(float *parts, float *sum, unsigned *count) {
    CUDA_SHARED_ARRAY(int, last, 1);
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = static_cast<float>(blockIdx.x);
        __threadfence();
        last[0] = atomicInc(count, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (last[0] && threadIdx.x == 0) {
        *sum = 0;
        for (unsigned i = 0; i < gridDim.x; i++)
            *sum += parts[i];
    }
}

static void control_last_block() {
    const DeviceArray<float> parts(zeros(32)), sum(zeros(1));
    const DeviceArray<unsigned> count(std::vector<unsigned>(1));
    launch({32, 64}, sum_in_last_block, parts.get(), sum.get(), count.get());
    expect_same(sum.host(), {31 * 32 / 2});
}

const std::vector<Planted> planted_in_order = {
    {"missing_barrier_after_write", missing_barrier_after_write},
    {"missing_barrier_after_read", missing_barrier_after_read},
    {"missing_barrier_in_recurrence", missing_barrier_in_recurrence},
    {"missing_warp_barrier", missing_warp_barrier},
    {"missing_atomic", missing_atomic},
    {"block_dependency", block_dependency},
    {"divergent_barrier", divergent_barrier},
    {"different_barriers", different_barriers},
    {"wrong_shuffle_mask", wrong_shuffle_mask},
    {"spin_barrier_not_cooperative", spin_barrier_not_cooperative},
    {"grid_barrier_not_cooperative", grid_barrier_not_cooperative},
    {"control_spin_barrier", control_spin_barrier},
    {"control_spin_flag", control_spin_flag},
    {"control_last_block", control_last_block},
};
