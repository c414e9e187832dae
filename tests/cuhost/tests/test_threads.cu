/* Several threads of the host: one after another each may use the layer, and others may do something else meanwhile. */
#include "schedules.cuh"
#include "threads.hpp"

#include <thread>

namespace {

__global__ void sum_block(const float *in, float *out) {
    CUDA_SHARED_ARRAY(float, values, 64);
    values[threadIdx.x] = in[threadIdx.x];
    for (unsigned half = 32; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half)
            values[threadIdx.x] += values[threadIdx.x + half];
    }
    if (threadIdx.x == 0)
        out[blockIdx.x] = values[0];
}

void work(float value) {
    const Stream stream;
    const DeviceArray<float> in(std::vector<float>(64, value)), out(4);
    launch({4, 64, 0, stream.get()}, sum_block, in.get(), out.get());
    check(cudaStreamSynchronize(stream.get()));
    EXPECT_EQ(out.host(), std::vector<float>(4, 64 * value));
}

TEST(Threads, OneAfterAnother) {
    work(1);
    for (int i = 0; i < 5; i++)
        std::thread(work, static_cast<float>(i)).join();
    work(2);
    EXPECT_EQ(cuhost_alive(), 0);
}

/* What one thread has queued, another one may wait for. */
TEST(Threads, WorkIsHandedOver) {
    const DeviceArray<float> in(std::vector<float>(64, 3)), out(4);
    const Stream stream;
    launch({4, 64, 0, stream.get()}, sum_block, in.get(), out.get());
    std::thread([&] { check(cudaStreamSynchronize(stream.get())); }).join();
    EXPECT_EQ(out.host(), std::vector<float>(4, 192));
}

TEST(Threads, AtTheSameTime) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; i++)
        threads.emplace_back([i] {
            for (int k = 0; k < 3; k++)
                work(static_cast<float>(i));
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(cuhost_alive(), 0);
}

TEST(Threads, EachHasItsDeviceAndItsLastError) {
    cuhost_devices(2, 80);
    check(cudaSetDevice(1));
    EXPECT_EQ(cudaSetDevice(7), cudaErrorInvalidDevice);
    std::thread([] {
        int device = -1;
        check(cudaGetDevice(&device));
        EXPECT_EQ(device, 0);
        EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    }).join();
    int device = -1;
    check(cudaGetDevice(&device));
    EXPECT_EQ(device, 1);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
    check(cudaSetDevice(0));
    cuhost_devices(1, 80);
}

/* As the CPU backend beside the CUDA backend: OpenMP's threads live on while kernels run. */
TEST(Threads, BesideOpenMP) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "gcc's OpenMP does not tell the thread sanitizer of its barriers; clang's does";
#endif
    for (int round = 0; round < 3; round++) {
        EXPECT_EQ(sum_in_parallel(1000), 499500);
        work(4);
    }
}

} // namespace
