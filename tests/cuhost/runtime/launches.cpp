/* Launching kernels: what a launch may ask for, and what a kernel may be told. */
#include "devices.hpp"
#include "handles.hpp"
#include "memory.hpp"
#include "queue.hpp"

#include <cstring>
#include <map>

namespace cuhost {

static constexpr size_t plain_shared_limit = 48 << 10; /* of dynamic shared memory, for who has not opted in to more */

static std::map<const void *, size_t> &opted_in() {
    static std::map<const void *, size_t> *limits = new std::map<const void *, size_t>;
    return *limits;
}

static size_t shared_limit(const void *function) {
    const auto found = opted_in().find(function);
    return found == opted_in().end() ? plain_shared_limit : found->second;
}

/* A build holds code for the devices its compiler knew: nvcc 13 begins at compute capability 7.5. */
static cudaError_t check_image() {
    return state().settings.compute < 75 ? failed(cudaErrorNoKernelImageForDevice) : cudaSuccess;
}

static cudaError_t read_attributes(const cudaLaunchConfig_t &configuration, bool *cooperative) {
    *cooperative = false;
    for (unsigned i = 0; i < configuration.numAttrs; i++) {
        const cudaLaunchAttribute &attribute = configuration.attrs[i];
        if (attribute.id != cudaLaunchAttributeCooperative)
            return misuse(cudaErrorNotSupported, "launch attribute %d is not emulated", attribute.id);
        *cooperative = attribute.val.cooperative != 0;
    }
    return cudaSuccess;
}

static cudaError_t check_sizes(const Grid &grid, const void *function) {
    const cudaDeviceProp limits = current_properties();
    const uint64_t threads = 1ull * grid.threads.x * grid.threads.y * grid.threads.z;
    const uint64_t blocks = 1ull * grid.blocks.x * grid.blocks.y * grid.blocks.z;
    if (threads < 1 || threads > static_cast<uint64_t>(limits.maxThreadsPerBlock) || grid.threads.z > 64 ||
        blocks < 1 || grid.blocks.x > 2147483647u || grid.blocks.y > 65535 || grid.blocks.z > 65535)
        return failed(cudaErrorInvalidConfiguration);
    if (grid.dynamic_shared > shared_limit(function))
        return failed(cudaErrorInvalidValue);
    const int resident = resident_blocks(limits, static_cast<int>(threads), grid.dynamic_shared);
    if (grid.cooperative &&
        blocks > static_cast<uint64_t>(resident) * static_cast<unsigned>(limits.multiProcessorCount))
        return failed(cudaErrorCooperativeLaunchTooLarge);
    return cudaSuccess;
}

/* A kernel that is given another pointer would fail when it runs, and the device with it. */
static cudaError_t check_pointers(const void *const *pointers, int n) {
    for (int i = 0; i < n; i++) {
        const Allocation *allocation = allocation_at(pointers[i]);
        if (!pointers[i] ||
            (allocation && (allocation->kind == MemoryKind::pinned || allocation->device == current_device())))
            continue;
        state().sticky = cudaErrorIllegalAddress;
        return misuse(cudaErrorIllegalAddress, "the kernel's pointer number %d (%p) is not memory of the device", i + 1,
                      pointers[i]);
    }
    return cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t *configuration, const void *function, std::shared_ptr<const Kernel> kernel,
                   const void *const *pointers, int n_pointers) {
    const Call call(cudaErrorLaunchOutOfResources);
    if (call.error)
        return call.error;
    if (const cudaError_t error = check_image())
        return error;
    Grid grid;
    grid.blocks = configuration->gridDim;
    grid.threads = configuration->blockDim;
    grid.dynamic_shared = configuration->dynamicSmemBytes;
    grid.shared_limit = std::max(plain_shared_limit, shared_limit(function));
    if (const cudaError_t error = read_attributes(*configuration, &grid.cooperative))
        return error;
    if (const cudaError_t error = check_sizes(grid, function))
        return error;
    const CUstream_st *stream = stream_of(configuration->stream);
    if (stream && configuration->stream && stream->device != current_device())
        return misuse(cudaErrorInvalidResourceHandle, "a launch into a stream of device %d while the thread is at %d",
                      stream->device, current_device());
    if (const cudaError_t error = check_pointers(pointers, n_pointers))
        return error;
    return enqueue(configuration->stream, [grid, kernel]() mutable {
        grid.kernel = kernel.get();
        grid.schedule = state().settings.schedule;
        grid.number = state().number++;
        run_grid(grid, state().work);
    });
}

} // namespace cuhost

using namespace cuhost;

cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value) {
    const Call call(cudaErrorInvalidDeviceFunction);
    if (call.error)
        return call.error;
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout)
        return value >= -1 && value <= 100 ? cudaSuccess : failed(cudaErrorInvalidValue);
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
        return misuse(cudaErrorNotSupported, "cudaFuncSetAttribute: attribute %d is not emulated", attribute);
    if (value < 0 || static_cast<size_t>(value) > current_properties().sharedMemPerBlockOptin)
        return failed(cudaErrorInvalidValue);
    opted_in()[function] = static_cast<size_t>(value);
    return cudaSuccess;
}

/* What a compiler would know of the kernel is not known here: registers, local and static shared memory are 0. */
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *function) {
    const Call call(cudaErrorInvalidDeviceFunction);
    if (call.error)
        return call.error;
    if (const cudaError_t error = check_image())
        return error;
    memset(attributes, 0, sizeof *attributes);
    attributes->maxThreadsPerBlock = current_properties().maxThreadsPerBlock;
    attributes->binaryVersion = attributes->ptxVersion = state().settings.compute;
    attributes->maxDynamicSharedSizeBytes = static_cast<int>(shared_limit(function));
    return cudaSuccess;
}
