/* Planted bugs in the use of memory. */
#include "planted.cuh"

#include "cuhost_test.h"

__global__ void fill(float *out, int n, float value) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < n)
        out[i] = value;
}

__global__ static void write_beyond_array(float *out) {
    CUDA_SHARED_ARRAY(float, values, 64);
    values[threadIdx.x + 1] = 1; /* bug: one too far in the last thread */
    __syncthreads();
    out[threadIdx.x] = values[threadIdx.x];
}

static void shared_array_overrun() {
    const DeviceArray<float> out(zeros(64));
    launch({1, 64}, write_beyond_array, out.get());
    check(cudaDeviceSynchronize());
}

/* Two pieces, so that what is beyond the one would be the other. */
__global__ static void write_beyond_piece(float *out, int n) {
    dynamic_shared_memory shared;
    float *first = shared.take<float>(static_cast<size_t>(n));
    float *second = shared.take<float>(static_cast<size_t>(n));
    second[threadIdx.x] = 2;
    __syncthreads();
    first[threadIdx.x + 1] = 1; /* bug */
    __syncthreads();
    out[threadIdx.x] = first[threadIdx.x] + second[threadIdx.x];
}

static void shared_piece_overrun() {
    const DeviceArray<float> out(zeros(64));
    launch({1, 64, 512}, write_beyond_piece, out.get(), 64);
    check(cudaDeviceSynchronize());
}

__global__ static void write_beyond_global(float *out, int n) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i <= n) /* bug: < */
        out[i] = 1;
}

static void global_overrun() {
    const DeviceArray<float> out(zeros(64));
    launch({2, 64}, write_beyond_global, out.get(), 64);
    check(cudaDeviceSynchronize());
}

__global__ static void read_unwritten(float *out) {
    CUDA_SHARED_ARRAY(float, values, 64);
    if (threadIdx.x > 0) /* bug: nobody writes the first, as if it were 0 by itself */
        values[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = values[63 - threadIdx.x];
}

static void uninitialized_shared() {
    const DeviceArray<float> out(zeros(64));
    launch({1, 64}, read_unwritten, out.get());
    std::vector<float> expected(64, 1);
    expected[63] = 0;
    expect_same(out.host(), expected);
}

static void uninitialized_global() {
    const DeviceArray<float> out(64); /* bug: the same */
    expect_same(out.host(), zeros(64));
}

__global__ static void store_four(float *out) {
    *reinterpret_cast<float4 *>(out + 1) = make_float4(0, 0, 0, 0); /* bug: not a multiple of 16 bytes */
}

static void misaligned_vector() {
    const DeviceArray<float> out(zeros(64));
    launch({1, 1}, store_four, out.get());
    check(cudaDeviceSynchronize());
}

__device__ static float descend(int depth) { /* bug: there is not that much stack */
    volatile float frame[512];
    frame[depth % 512] = static_cast<float>(depth);
    return depth == 0 ? frame[0] : descend(depth - 1) + frame[depth % 512];
}

__global__ static void recurse(float *out, int depth) {
    *out = descend(depth);
}

static void stack_overflow() {
    const DeviceArray<float> out(zeros(64));
    launch({1, 1}, recurse, out.get(), 100000);
    check(cudaDeviceSynchronize());
}

static void host_pointer_argument() {
    float host[64];
    launch({1, 64}, fill, host, 64, 1.0f);
}

static void freed_pointer_argument() {
    float *freed = nullptr;
    check(cudaMalloc(&freed, 64 * sizeof(float)));
    check(cudaFree(freed));
    launch({1, 64}, fill, freed, 64, 1.0f);
}

static void other_devices_pointer() {
    cuhost_devices(2, 90);
    check(cudaSetDevice(1));
    const DeviceArray<float> out(zeros(64));
    check(cudaSetDevice(0));
    launch({1, 64}, fill, out.get(), 64, 1.0f);
}

static void host_dereference() {
    const DeviceArray<float> out(zeros(64));
    volatile float *device = out.get();
    device[0] = 1;
}

static void leaked_memory() {
    float *forgotten = nullptr;
    check(cudaMalloc(&forgotten, 64));
    check(cudaMemset(forgotten, 0, 64));
}

static void leaked_event() {
    cudaEvent_t forgotten = nullptr;
    check(cudaEventCreateWithFlags(&forgotten, cudaEventDisableTiming));
}

const std::vector<Planted> planted_in_memory = {
    {"shared_array_overrun", shared_array_overrun},
    {"shared_piece_overrun", shared_piece_overrun},
    {"global_overrun", global_overrun},
    {"uninitialized_shared", uninitialized_shared},
    {"uninitialized_global", uninitialized_global},
    {"misaligned_vector", misaligned_vector},
    {"stack_overflow", stack_overflow},
    {"host_pointer_argument", host_pointer_argument},
    {"freed_pointer_argument", freed_pointer_argument},
    {"other_devices_pointer", other_devices_pointer},
    {"host_dereference", host_dereference},
    {"leaked_memory", leaked_memory},
    {"leaked_event", leaked_event},
};
