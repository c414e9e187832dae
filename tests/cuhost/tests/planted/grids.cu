/* Planted bugs in what orders the blocks of a grid, and kernels that are right: the controls. */
#include "planted.cuh"

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

__global__ static void write_own(float *out) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = 1;
}

__global__ static void write_of_other_blocks(float *out) {
    out[threadIdx.x] = 1; /* bug, although all write the same */
}

/* After much that was right: what the sanitizer remembers of it must not keep it from seeing the bug. */
static void block_conflict_after_others() {
    for (unsigned threads : {32u, 70u, 96u, 256u, 512u}) {
        const DeviceArray<float> out(zeros(512));
        launch({1, threads}, write_own, out.get());
        launch({1, 32}, write_own, out.get());
        launch({2, 32}, write_own, out.get());
    }
    const DeviceArray<float> out(zeros(512));
    launch({1, 256}, write_own, out.get());
    launch({1, 32}, write_own, out.get());
    launch({2, 32}, write_of_other_blocks, out.get());
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

const std::vector<Planted> planted_in_grids = {
    {"missing_atomic", missing_atomic},
    {"block_dependency", block_dependency},
    {"block_conflict_after_others", block_conflict_after_others},
    {"spin_barrier_not_cooperative", spin_barrier_not_cooperative},
    {"grid_barrier_not_cooperative", grid_barrier_not_cooperative},
    {"control_spin_barrier", control_spin_barrier},
    {"control_last_block", control_last_block},
};
