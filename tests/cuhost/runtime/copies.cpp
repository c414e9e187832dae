/* Copies and fills. When a copy reads the host's memory is the point: pageable memory at the call, as the driver does,
 * pinned memory when the work runs, so that to use a pinned buffer again before its copy ran gives wrong results. What
 * goes to the host arrives when the work runs. */
#include "handles.hpp"
#include "memory.hpp"
#include "queue.hpp"

#include <cstring>

namespace cuhost {

static bool on_device(const void *address) {
    const Allocation *allocation = allocation_at(address);
    return allocation && allocation->kind == MemoryKind::device;
}

/* Whether the range stays inside of an allocation, if it begins in one. */
static bool stays_inside(const void *address, size_t bytes) {
    return !allocation_at(address) || allocation_of(address, bytes);
}

static cudaError_t check_copy(const void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    static const struct {
        cudaMemcpyKind kind;
        bool to_device, from_device;
        const char *name;
    } kinds[] = {{cudaMemcpyHostToHost, false, false, "host to host"},
                 {cudaMemcpyHostToDevice, true, false, "host to device"},
                 {cudaMemcpyDeviceToHost, false, true, "device to host"},
                 {cudaMemcpyDeviceToDevice, true, true, "device to device"}};
    for (const auto &one : kinds)
        if (one.kind == kind && (one.to_device != on_device(to) || one.from_device != on_device(from)))
            return misuse(cudaErrorInvalidValue, "a copy %s, from %s memory to %s memory", one.name,
                          on_device(from) ? "device" : "host", on_device(to) ? "device" : "host");
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault)
        return failed(cudaErrorInvalidMemcpyDirection);
    if (!stays_inside(to, bytes) || !stays_inside(from, bytes))
        return misuse(cudaErrorInvalidValue, "a copy of %zu bytes leaves its allocation", bytes);
    return cudaSuccess;
}

static cudaError_t enqueue_copy(void *to, const void *from, size_t bytes, cudaStream_t handle) {
    CUstream_st *stream = stream_of(handle);
    const bool pageable = !allocation_at(from);
    if (!pageable || !stream || stream->capture)
        return enqueue(handle, [=] {
            memcpy(to, from, bytes);
            state().statistics.copies++;
        });
    const char *begin = static_cast<const char *>(from);
    return enqueue(handle, [to, staged = std::vector<char>(begin, begin + bytes)] {
        memcpy(to, staged.data(), staged.size());
        state().statistics.copies++;
    });
}

} // namespace cuhost

using namespace cuhost;

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    const Call call(cudaErrorInvalidValue);
    if (call.error)
        return call.error;
    if (bytes == 0)
        return cudaSuccess;
    const cudaError_t error = check_copy(to, from, bytes, kind);
    return error ? error : enqueue_copy(to, from, bytes, stream);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind) {
    const Call call(cudaErrorInvalidValue);
    if (call.error)
        return call.error;
    if (capture_refuses())
        return failed(cudaErrorStreamCaptureUnsupported);
    if (bytes == 0)
        return cudaSuccess;
    if (const cudaError_t error = check_copy(to, from, bytes, kind))
        return error;
    state().statistics.synchronizations++;
    const cudaError_t error = enqueue_copy(to, from, bytes, nullptr);
    wait_for(stream_of(nullptr)->last);
    return error;
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream) {
    const Call call(cudaErrorInvalidValue);
    if (call.error)
        return call.error;
    if (bytes == 0)
        return cudaSuccess;
    if (!is_device_memory(memory, bytes))
        return misuse(cudaErrorInvalidValue, "a fill of %zu bytes that are not device memory", bytes);
    return enqueue(stream, [=] {
        memset(memory, value, bytes);
        state().statistics.copies++;
    });
}

cudaError_t cudaMemset(void *memory, int value, size_t bytes) {
    const Call call;
    if (capture_refuses())
        return failed(cudaErrorStreamCaptureUnsupported);
    return cudaMemsetAsync(memory, value, bytes, nullptr);
}

/* A symbol is a variable of the program. Its size is known to the typed overload only. */
cudaError_t cudaMemcpyToSymbol(const void *symbol, const void *from, size_t bytes, size_t offset, cudaMemcpyKind kind) {
    const Call call(cudaErrorInvalidSymbol);
    if (call.error)
        return call.error;
    if (capture_refuses())
        return failed(cudaErrorStreamCaptureUnsupported);
    if (kind != cudaMemcpyHostToDevice || on_device(from))
        return misuse(cudaErrorInvalidMemcpyDirection, "cudaMemcpyToSymbol is emulated from the host only");
    char *to = static_cast<char *>(const_cast<void *>(symbol)) + offset;
    const cudaError_t error = enqueue_copy(to, from, bytes, nullptr);
    wait_for(stream_of(nullptr)->last);
    return error;
}
