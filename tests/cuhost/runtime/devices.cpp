/* Devices: how many, which, and what they can do. */
#include "devices.hpp"

#include "state.hpp"

#include <cstdio>
#include <cstring>

namespace cuhost {

/* A real device has a hundred processors. This one has one: grids whose size follows from that are small, and loops
 * over a grid go round more than once. */
static constexpr int processors = 1;

/* Limits of a compute capability, from the CUDA C++ programming guide; cache of one device that has it. */
struct Device {
    int compute, threads_per_processor, blocks_per_processor;
    int shared_per_processor, shared_per_block; /* KiB; a block's is what it can opt in to */
    int cache;                                  /* MiB */
};

static const Device devices[] = {
    {60, 2048, 32, 64, 48, 4},    {70, 2048, 32, 96, 96, 6},      {75, 1024, 16, 64, 64, 4},
    {80, 2048, 32, 164, 163, 40}, {86, 1536, 16, 100, 99, 6},     {89, 1536, 24, 100, 99, 72},
    {90, 2048, 32, 228, 227, 50}, {100, 2048, 32, 228, 227, 126}, {120, 1536, 24, 100, 99, 96},
};

static const Device *device_of(int compute) {
    for (const Device &device : devices)
        if (device.compute == compute)
            return &device;
    return nullptr;
}

bool known_compute(int compute) {
    return device_of(compute) != nullptr;
}

std::string known_computes() {
    std::string all;
    for (const Device &device : devices)
        all += " " + std::to_string(device.compute);
    return all;
}

static thread_local int selected; /* each OS thread has its own, and starts with the first */

int current_device() {
    return selected;
}

cudaError_t machine_error() {
    const Settings &settings = state().settings;
    if (!settings.driver)
        return cudaErrorInsufficientDriver;
    return settings.devices ? cudaSuccess : cudaErrorNoDevice;
}

cudaDeviceProp current_properties() {
    const Device &device = *device_of(state().settings.compute);
    cudaDeviceProp p;
    memset(static_cast<void *>(&p), 0, sizeof p);
    p.major = device.compute / 10;
    p.minor = device.compute % 10;
    snprintf(p.name, sizeof p.name, "emulated device of compute capability %d.%d", p.major, p.minor);
    p.totalGlobalMem = state().settings.memory;
    p.totalConstMem = 64 << 10;
    p.l2CacheSize = device.cache << 20;
    p.warpSize = 32;
    p.multiProcessorCount = processors;
    p.maxThreadsPerBlock = 1024;
    p.maxThreadsPerMultiProcessor = device.threads_per_processor;
    p.maxBlocksPerMultiProcessor = device.blocks_per_processor;
    p.sharedMemPerBlock = 48 << 10;
    p.sharedMemPerBlockOptin = static_cast<size_t>(device.shared_per_block) << 10;
    p.sharedMemPerMultiprocessor = static_cast<size_t>(device.shared_per_processor) << 10;
    p.reservedSharedMemPerBlock = device.compute >= 80 ? 1 << 10 : 0;
    p.regsPerBlock = p.regsPerMultiprocessor = 65536;
    p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
    p.maxThreadsDim[2] = 64;
    p.maxGridSize[0] = 2147483647;
    p.maxGridSize[1] = p.maxGridSize[2] = 65535;
    p.cooperativeLaunch = p.concurrentKernels = p.unifiedAddressing = p.canMapHostMemory = 1;
    p.asyncEngineCount = 2;
    return p;
}

static bool attribute(const cudaDeviceProp &p, cudaDeviceAttr which, int *value) {
    switch (which) {
    case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        return true;
    case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        return true;
    case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        return true;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = p.maxThreadsPerMultiProcessor;
        return true;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
        *value = p.maxBlocksPerMultiProcessor;
        return true;
    case cudaDevAttrMaxThreadsPerBlock:
        *value = p.maxThreadsPerBlock;
        return true;
    case cudaDevAttrWarpSize:
        *value = p.warpSize;
        return true;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = static_cast<int>(p.sharedMemPerBlock);
        return true;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(p.sharedMemPerBlockOptin);
        return true;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        *value = static_cast<int>(p.sharedMemPerMultiprocessor);
        return true;
    case cudaDevAttrL2CacheSize:
        *value = p.l2CacheSize;
        return true;
    case cudaDevAttrCooperativeLaunch:
        *value = p.cooperativeLaunch;
        return true;
    default:
        return false;
    }
}

int resident_blocks(const cudaDeviceProp &p, int threads, size_t dynamic_shared) {
    const int rounded = (threads + p.warpSize - 1) / p.warpSize * p.warpSize;
    int blocks = p.maxThreadsPerMultiProcessor / rounded;
    if (blocks > p.maxBlocksPerMultiProcessor)
        blocks = p.maxBlocksPerMultiProcessor;
    const size_t shared = dynamic_shared + p.reservedSharedMemPerBlock;
    if (shared && static_cast<size_t>(blocks) > p.sharedMemPerMultiprocessor / shared)
        blocks = static_cast<int>(p.sharedMemPerMultiprocessor / shared);
    return blocks;
}

} // namespace cuhost

using namespace cuhost;

cudaError_t cudaGetDeviceCount(int *count) {
    const Call call(cudaErrorInitializationError);
    *count = call.error ? 0 : state().settings.devices;
    return call.error;
}

cudaError_t cudaGetDevice(int *device) {
    const Call call(cudaErrorInitializationError);
    *device = selected;
    return call.error;
}

cudaError_t cudaSetDevice(int device) {
    const Call call(cudaErrorInitializationError);
    if (call.error)
        return call.error;
    if (device < 0 || device >= state().settings.devices)
        return failed(cudaErrorInvalidDevice);
    selected = device;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

/* 0 where there is no driver. */
cudaError_t cudaDriverGetVersion(int *version) {
    const Call call;
    *version = state().settings.driver ? CUDART_VERSION : 0;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
    const Call call(cudaErrorInitializationError);
    if (call.error)
        return call.error;
    if (device < 0 || device >= state().settings.devices)
        return failed(cudaErrorInvalidDevice);
    *properties = current_properties();
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr which, int device) {
    const Call call(cudaErrorInitializationError);
    if (call.error)
        return call.error;
    if (device < 0 || device >= state().settings.devices)
        return failed(cudaErrorInvalidDevice);
    if (!attribute(current_properties(), which, value))
        return misuse(cudaErrorInvalidValue, "cudaDeviceGetAttribute: attribute %d is not emulated", which);
    return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *, int threads,
                                                          size_t dynamic_shared) {
    const Call call(cudaErrorInvalidDeviceFunction);
    if (call.error)
        return call.error;
    const cudaDeviceProp properties = current_properties();
    if (threads < 1 || threads > properties.maxThreadsPerBlock)
        return failed(cudaErrorInvalidValue);
    *blocks = resident_blocks(properties, threads, dynamic_shared);
    return cudaSuccess;
}
