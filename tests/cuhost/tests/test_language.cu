/* What kernels are written with, in both compilers: declarations, built-in variables, memory. */
#include "schedules.cuh"

#include <cassert>
#include <cstdio>

namespace {

class Language : public Schedules {};
ALL_SCHEDULES(Language);

__constant__ float table[4];
__device__ int counter;

template <int N, class T>
__global__ void __launch_bounds__(256, 2) reverse_block(const T *__restrict__ in, T *__restrict__ out, int n) {
    CUDA_SHARED_ARRAY(T, tile, N);
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    tile[threadIdx.x] = i < n ? in[i] : T(0);
    __syncthreads();
    if (i < n)
        out[i] = tile[N - 1 - threadIdx.x] * T(table[1]);
}

TEST_P(Language, TemplatesConstantsAndSharedArrays) {
    const float constants[4] = {0, 3, 0, 0};
    check(cudaMemcpyToSymbol(table, constants, sizeof constants));
    std::vector<double> numbers;
    for (int i = 0; i < 150; i++)
        numbers.push_back(i);
    const DeviceArray<double> in(numbers), out(150);
    launch({3, 64}, reverse_block<64, double>, in.get(), out.get(), 150);
    const std::vector<double> got = out.host();
    for (int i = 0; i < 150; i++) {
        const int mirrored = i / 64 * 64 + 63 - i % 64;
        EXPECT_EQ(got[i], mirrored < 150 ? 3 * mirrored : 0) << i;
    }
}

__global__ void write_coordinates(int *out) {
    const unsigned x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const unsigned z = blockIdx.z * blockDim.z + threadIdx.z;
    const unsigned width = gridDim.x * blockDim.x, height = gridDim.y * blockDim.y;
    out[(z * height + y) * width + x] = static_cast<int>(x + 100 * y + 10000 * z);
}

TEST_P(Language, ThreeDimensions) {
    const DeviceArray<int> out(6 * 4 * 6);
    launch({dim3(2, 2, 3), dim3(3, 2, 2)}, write_coordinates, out.get());
    const std::vector<int> got = out.host();
    for (int z = 0; z < 6; z++)
        for (int y = 0; y < 4; y++)
            for (int x = 0; x < 6; x++)
                EXPECT_EQ(got[(z * 4 + y) * 6 + x], x + 100 * y + 10000 * z);
}

__global__ void transpose(const float *in, float *out) {
    CUDA_SHARED_ARRAY(float, flat, 8 * 9);
    float(*tile)[9] = reinterpret_cast<float(*)[9]>(flat);
    tile[threadIdx.y][threadIdx.x] = in[threadIdx.y * 8 + threadIdx.x];
    __syncthreads();
    out[threadIdx.y * 8 + threadIdx.x] = tile[threadIdx.x][threadIdx.y];
}

TEST_P(Language, SharedArrayOfTwoDimensions) {
    std::vector<float> numbers;
    for (int i = 0; i < 64; i++)
        numbers.push_back(static_cast<float>(i));
    const DeviceArray<float> in(numbers), out(64);
    launch({1, dim3(8, 8)}, transpose, in.get(), out.get());
    const std::vector<float> got = out.host();
    for (int i = 0; i < 64; i++)
        EXPECT_EQ(got[i], numbers[i % 8 * 8 + i / 8]) << i;
}

/* Pieces of odd sizes; a second object sees the same memory as the first. */
__global__ void carve(int *out) {
    dynamic_shared_memory shared;
    char *letters = shared.take<char>(3);
    double *numbers = shared.take<double>(5);
    float4 *vectors = shared.take<float4>(2);
    if (threadIdx.x == 0) {
        letters[2] = 7;
        numbers[4] = 8;
        vectors[1].w = 9;
    }
    __syncthreads();
    dynamic_shared_memory again;
    const char *same = again.take<char>(3);
    out[blockIdx.x * 20 + threadIdx.x] = static_cast<int>(same[2] + numbers[4] + vectors[1].w) +
                                         static_cast<int>(reinterpret_cast<size_t>(vectors) % 16);
}

TEST_P(Language, DynamicSharedMemoryInPieces) {
    const DeviceArray<int> out(40);
    const size_t bytes = dynamic_shared_size<char>(3) + dynamic_shared_size<double>(5) + dynamic_shared_size<float4>(2);
    EXPECT_EQ(bytes, 16u + 48 + 32);
    launch({2, 20, bytes}, carve, out.get());
    EXPECT_EQ(out.host(), std::vector<int>(40, 24));
}

__global__ void use_locals(float *out, int n) {
    float values[4] = {1, 2, 3, 4};
#pragma unroll
    for (int i = 0; i < 4; i++)
        values[i] += static_cast<float>(n);
    assert(n < 100);
    if (n == 99)
        printf("thread %u\n", threadIdx.x);
    out[threadIdx.x] = values[0] + values[1] + values[2] + values[3];
}

TEST_P(Language, LocalArraysAssertAndPrintf) {
    const DeviceArray<float> out(32);
    launch({1, 32}, use_locals, out.get(), 2);
    EXPECT_EQ(out.host(), std::vector<float>(32, 18));
}

struct Arguments {
    const float *in;
    float *out;
    int n;
};

__global__ void add_one(const Arguments arguments) {
    for (unsigned i = threadIdx.x; i < static_cast<unsigned>(arguments.n); i += blockDim.x)
        arguments.out[i] = arguments.in[i] + 1;
}

TEST_P(Language, StructsAsParameters) {
    const DeviceArray<float> in(std::vector<float>(100, 4)), out(100);
    launch({1, 32}, add_one, Arguments{in.get(), out.get(), 100});
    EXPECT_EQ(out.host(), std::vector<float>(100, 5));
}

/* Parameters are a thread's own, and may be changed. */
__global__ void count_down(int *out, int n) {
    while (n > 0)
        n--;
    out[threadIdx.x] = n;
}

TEST_P(Language, ParametersAreCopies) {
    const DeviceArray<int> out(64);
    launch({1, 64}, count_down, out.get(), 5);
    EXPECT_EQ(out.host(), std::vector<int>(64, 0));
}

__global__ void sort_block(int *values) {
    CUDA_SHARED_ARRAY(int, sorted, 128);
    const int i = static_cast<int>(threadIdx.x);
    sorted[i] = values[i];
    __syncthreads();
    for (int size = 2; size <= 128; size *= 2)
        for (int distance = size / 2; distance; distance /= 2) {
            const int other = i ^ distance, mine = sorted[i], theirs = sorted[other];
            __syncthreads();
            sorted[i] = (other > i) == ((i & size) == 0) ? min(mine, theirs) : max(mine, theirs);
            __syncthreads();
        }
    values[i] = sorted[i];
}

TEST_P(Language, ManyBarriers) {
    std::vector<int> numbers, sorted;
    for (int i = 0; i < 128; i++) {
        numbers.push_back(i * 37 % 128);
        sorted.push_back(i);
    }
    const DeviceArray<int> values(numbers);
    launch({1, 128}, sort_block, values.get());
    EXPECT_EQ(values.host(), sorted);
}

/* A function with a shared array of its own, called twice: __device__ variables, and arrays by place of declaration. */
__device__ int sum_of_block(int value) {
    CUDA_SHARED_ARRAY(int, parts, 64);
    parts[threadIdx.x] = value;
    __syncthreads();
    int sum = 0;
    for (unsigned i = 0; i < blockDim.x; i++)
        sum += parts[i];
    __syncthreads();
    return sum;
}

__global__ void sum_twice(int *out) {
    const int first = sum_of_block(1), second = sum_of_block(static_cast<int>(threadIdx.x));
    if (threadIdx.x == 0) {
        atomicAdd(&counter, 1);
        out[blockIdx.x] = 1000 * first + second;
    }
}

TEST_P(Language, DeviceFunctionsAndVariables) {
    const int zero = 0;
    check(cudaMemcpyToSymbol(counter, &zero, sizeof zero));
    const DeviceArray<int> out(5);
    launch({5, 40}, sum_twice, out.get());
    EXPECT_EQ(out.host(), std::vector<int>(5, 40000 + 39 * 20));
    EXPECT_EQ(counter, 5);
}

__global__ void load_and_store(const float *in, float4 *out) {
    const unsigned i = threadIdx.x;
    const float4 whole = __ldg(reinterpret_cast<const float4 *>(in) + i);
    const float4 changed =
        make_float4(whole.x + __ldcg(in), whole.y + __ldca(in + 1), whole.z + __ldcs(in + 2), whole.w);
    if (i % 2)
        __stcg(out + i, changed);
    else
        __stcs(out + i, changed);
}

TEST_P(Language, VectorsAndCachedLoads) {
    std::vector<float> numbers;
    for (int i = 0; i < 64; i++)
        numbers.push_back(static_cast<float>(i));
    const DeviceArray<float> in(numbers), out(64);
    launch({1, 16}, load_and_store, in.get(), reinterpret_cast<float4 *>(out.get()));
    const std::vector<float> got = out.host();
    for (int i = 0; i < 64; i++)
        EXPECT_EQ(got[i], static_cast<float>(i + (i % 4 == 3 ? 0 : i % 4))) << i;
}

} // namespace
