/* Memory, devices, launches and errors: what the runtime answers. */
#include "schedules.cuh"

#include <cmath>
#include <cstring>

namespace {

__global__ void set(float *out, float value) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = value;
}

class Runtime : public testing::Test {
  protected:
    void TearDown() override {
        cuhost_devices(1, 80);
        cuhost_driver(1);
        cuhost_memory(size_t{8} << 30);
        cudaSetDevice(0);
        cudaGetLastError();
        EXPECT_EQ(cuhost_alive(), 0);
    }
};

cuhost_statistics statistics() {
    cuhost_statistics now;
    cuhost_get_statistics(&now);
    return now;
}

TEST_F(Runtime, MemoryHasALimit) {
    cuhost_reset_statistics();
    cuhost_memory(1000);
    size_t free = 0, total = 0;
    char *first = nullptr, *second = nullptr;
    check(cudaMalloc(&first, 600));
    check(cudaMemGetInfo(&free, &total));
    EXPECT_EQ(free, 400u);
    EXPECT_EQ(total, 1000u);
    EXPECT_EQ(cudaMalloc(&second, 401), cudaErrorMemoryAllocation);
    EXPECT_EQ(second, nullptr);
    check(cudaMalloc(&second, 400));
    check(cudaFree(first));
    check(cudaMallocHost(&first, 5000)); /* the host's memory does not count */
    check(cudaFreeHost(first));
    EXPECT_EQ(statistics().device_bytes, 400u);
    EXPECT_EQ(statistics().peak_device_bytes, 1000u);
    check(cudaFree(second));
    check(cudaMalloc(&second, 0));
    EXPECT_EQ(second, nullptr);
    check(cudaFree(nullptr));
    check(cudaFreeHost(nullptr));
}

TEST_F(Runtime, NewMemoryIsNotANumber) {
    const DeviceArray<float> device(10);
    for (float value : device.host())
        EXPECT_TRUE(std::isnan(value));
}

TEST_F(Runtime, MemoryIsFreedAsWhatItIs) {
    float *device = nullptr, *pinned = nullptr;
    check(cudaMalloc(&device, 64));
    check(cudaMallocHost(&pinned, 64));
    EXPECT_EQ(cudaFreeHost(device), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFree(pinned), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFree(device + 1), cudaErrorInvalidValue);
    check(cudaFree(device));
    check(cudaFreeHost(pinned));
}

TEST_F(Runtime, CopiesKnowTheirSides) {
    const DeviceArray<float> a(std::vector<float>(8, 1)), b(8);
    std::vector<float> host(8, 2);
    float *pinned = nullptr;
    check(cudaMallocHost(&pinned, 32));
    const cudaMemcpyKind up = cudaMemcpyHostToDevice, down = cudaMemcpyDeviceToHost, over = cudaMemcpyDeviceToDevice;
    check(cudaMemcpy(b.get(), a.get(), 32, over));
    EXPECT_EQ(b.host(), std::vector<float>(8, 1));
    check(cudaMemcpy(pinned, host.data(), 32, cudaMemcpyHostToHost));
    check(cudaMemcpy(b.get(), pinned, 32, cudaMemcpyDefault));
    EXPECT_EQ(b.host(), host);
    EXPECT_EQ(cudaMemcpy(host.data(), pinned, 32, over), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(host.data(), a.get(), 32, up), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(a.get(), host.data(), 32, down), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(a.get(), b.get(), 32, up), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(a.get(), host.data(), 33, up), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(a.get() + 1, host.data(), 32, up), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpy(host.data(), pinned + 1, 32, cudaMemcpyHostToHost), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemset(a.get(), 0, 33), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemset(pinned, 0, 32), cudaErrorInvalidValue);
    check(cudaMemcpy(a.get(), host.data(), 0, up));
    check(cudaMemset(a.get(), 0, 32));
    EXPECT_EQ(a.host(), std::vector<float>(8, 0));
    check(cudaFreeHost(pinned));
}

__constant__ float constants[4];

TEST_F(Runtime, SymbolsHaveASize) {
    const float values[4] = {1, 2, 3, 4};
    check(cudaMemcpyToSymbol(constants, values, 8, 8));
    EXPECT_EQ(constants[3], 2);
    EXPECT_EQ(cudaMemcpyToSymbol(constants, values, 12, 8), cudaErrorInvalidValue);
    EXPECT_EQ(cudaMemcpyToSymbol(constants, values, 4, 20), cudaErrorInvalidValue);
}

TEST_F(Runtime, NoDeviceAndNoDriver) {
    int count = -1, version = -1;
    void *memory = nullptr;
    check(cudaDriverGetVersion(&version));
    EXPECT_EQ(version, CUDART_VERSION);
    cuhost_devices(0, 90);
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    EXPECT_EQ(count, 0);
    EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorNoDevice);
    EXPECT_EQ(cudaSetDevice(0), cudaErrorNoDevice);
    EXPECT_EQ(cudaGetLastError(), cudaErrorNoDevice);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    check(cudaRuntimeGetVersion(&version));
    EXPECT_EQ(version, CUDART_VERSION);
    cuhost_driver(0);
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorInsufficientDriver);
    check(cudaDriverGetVersion(&version));
    EXPECT_EQ(version, 0);
}

TEST_F(Runtime, DevicesHaveTheirProperties) {
    const struct {
        int compute, threads, shared;
    } known[] = {{75, 1024, 64 << 10}, {80, 2048, 163 << 10}, {90, 2048, 227 << 10}, {120, 1536, 99 << 10}};
    for (const auto &one : known) {
        cuhost_devices(2, one.compute);
        cudaDeviceProp properties;
        check(cudaGetDeviceProperties(&properties, 1));
        EXPECT_EQ(10 * properties.major + properties.minor, one.compute);
        EXPECT_EQ(properties.maxThreadsPerMultiProcessor, one.threads);
        int value = 0;
        check(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
        EXPECT_EQ(value, one.shared);
        check(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 0));
        EXPECT_EQ(value, one.compute / 10);
        EXPECT_EQ(cudaGetDeviceProperties(&properties, 2), cudaErrorInvalidDevice);
        EXPECT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrWarpSize, -1), cudaErrorInvalidDevice);
        EXPECT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrTextureAlignment, 0), cudaErrorInvalidValue);
    }
}

/* Memory, streams and kernels belong to the device that was current. */
TEST_F(Runtime, SeveralDevices) {
    cuhost_devices(2, 90);
    cuhost_memory(1000);
    int device = -1;
    const Stream stream;
    const DeviceArray<float> mine(250);
    check(cudaSetDevice(1));
    check(cudaGetDevice(&device));
    EXPECT_EQ(device, 1);
    EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
    const DeviceArray<float> other(250); /* the second device has memory of its own */
    EXPECT_EQ(try_launch({1, 32, 0, stream.get()}, set, other.get(), 1.0f), cudaErrorInvalidResourceHandle);
    check(cudaSetDevice(0));
    launch({1, 32, 0, stream.get()}, set, mine.get(), 1.0f);
    check(cudaStreamSynchronize(stream.get()));
}

TEST_F(Runtime, LaunchesAreChecked) {
    const DeviceArray<float> device(2048);
    const auto answer = [&](const Launch &how) {
        const cudaError_t error = try_launch(how, set, device.get(), 1.0f);
        cudaDeviceSynchronize();
        return error;
    };
    EXPECT_EQ(answer({1, 1024}), cudaSuccess);
    EXPECT_EQ(answer({1, 1025}), cudaErrorInvalidConfiguration);
    EXPECT_EQ(answer({1, dim3(1, 1, 65)}), cudaErrorInvalidConfiguration);
    EXPECT_EQ(answer({0, 32}), cudaErrorInvalidConfiguration);
    EXPECT_EQ(answer({1, 0}), cudaErrorInvalidConfiguration);
    EXPECT_EQ(answer({dim3(1, 65536), 1}), cudaErrorInvalidConfiguration);
    EXPECT_EQ(answer({dim3(1, 1, 65536), 1}), cudaErrorInvalidConfiguration);
    int processors = 0, resident = 0;
    check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, 0));
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, set, 512, 0));
    const unsigned most = static_cast<unsigned>(processors * resident);
    EXPECT_EQ(answer({most, 512, 0, nullptr, true}), cudaSuccess);
    EXPECT_EQ(answer({most + 1, 512, 0, nullptr, true}), cudaErrorCooperativeLaunchTooLarge);

    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeClusterDimension;
    cudaLaunchConfig_t configuration = {};
    configuration.gridDim = configuration.blockDim = dim3(1);
    configuration.attrs = &attribute;
    configuration.numAttrs = 1;
    EXPECT_EQ(cudaLaunchKernelEx(&configuration, set, device.get(), 1.0f), cudaErrorNotSupported);
}

__global__ void use_much(float *out, int n) {
    dynamic_shared_memory shared;
    float *values = shared.take<float>(static_cast<size_t>(n));
    for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x))
        values[i] = 1;
    __syncthreads();
    out[threadIdx.x] = values[n - 1];
}

/* More than 48 KiB must be asked for, and a device has only so much. */
TEST_F(Runtime, SharedMemoryIsOptedInTo) {
    const DeviceArray<float> device(32);
    const int n = 15000;
    const size_t bytes = n * sizeof(float);
    cudaFuncAttributes attributes;
    check(cudaFuncGetAttributes(&attributes, use_much));
    EXPECT_EQ(attributes.maxDynamicSharedSizeBytes, 48 << 10);
    EXPECT_EQ(try_launch({1, 32, bytes}, use_much, device.get(), n), cudaErrorInvalidValue);
    check(cudaFuncSetAttribute(use_much, cudaFuncAttributeMaxDynamicSharedMemorySize, 60000));
    check(cudaFuncGetAttributes(&attributes, use_much));
    EXPECT_EQ(attributes.maxDynamicSharedSizeBytes, 60000);
    launch({1, 32, bytes}, use_much, device.get(), n);
    EXPECT_EQ(device.host(), std::vector<float>(32, 1));
    EXPECT_EQ(try_launch({1, 32, bytes + 16}, use_much, device.get(), n), cudaErrorInvalidValue);
    cuhost_devices(1, 75);
    EXPECT_EQ(cudaFuncSetAttribute(use_much, cudaFuncAttributeMaxDynamicSharedMemorySize, (64 << 10) + 1),
              cudaErrorInvalidValue);
    check(cudaFuncSetAttribute(use_much, cudaFuncAttributePreferredSharedMemoryCarveout, 100));
}

TEST_F(Runtime, OccupancyFollowsTheLimits) {
    const auto blocks = [](int compute, int threads, size_t shared) {
        cuhost_devices(1, compute);
        int resident = -1;
        check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, set, threads, shared));
        return resident;
    };
    EXPECT_EQ(blocks(90, 1024, 0), 2);
    EXPECT_EQ(blocks(90, 33, 0), 32);
    EXPECT_EQ(blocks(90, 96, 0), 21);
    EXPECT_EQ(blocks(75, 256, 0), 4);
    EXPECT_EQ(blocks(90, 32, 100 << 10), 2);
    EXPECT_EQ(blocks(75, 32, 64 << 10), 1);
    int resident = 0;
    EXPECT_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, set, 0, 0), cudaErrorInvalidValue);
}

TEST_F(Runtime, ErrorsHaveNamesAndAreRemembered) {
    EXPECT_STREQ(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
    EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
    EXPECT_STREQ(cudaGetErrorString(cudaErrorNoDevice), "no CUDA-capable device is detected");
    EXPECT_STREQ(cudaGetErrorName(static_cast<cudaError_t>(12345)), "unrecognized error code");
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
    EXPECT_EQ(cudaSetDevice(9), cudaErrorInvalidDevice);
    EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidDevice);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
    EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
}

TEST_F(Runtime, WhatRanIsCounted) {
    cuhost_reset_statistics();
    const DeviceArray<float> device(64);
    const Stream stream;
    launch({2, 32, 0, stream.get()}, set, device.get(), 1.0f);
    EXPECT_EQ(statistics().launches, 0) << "it is only queued";
    check(cudaStreamSynchronize(stream.get()));
    device.host();
    const cuhost_statistics now = statistics();
    EXPECT_EQ(now.launches, 1);
    EXPECT_EQ(now.threads, 64);
    EXPECT_EQ(now.copies, 1);
    EXPECT_EQ(now.synchronizations, 2);
    EXPECT_EQ(now.device_blocks, 1);
    EXPECT_EQ(now.device_bytes, 256u);
    EXPECT_EQ(now.streams, 1);
    EXPECT_EQ(cuhost_alive(), 2);
}

} // namespace
