/* Device memory, its limit and its poison, and pinned host memory. */
#include "memory.hpp"

#include "../execution/sanitizers.hpp"
#include "devices.hpp"
#include "handles.hpp"
#include "queue.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>

namespace cuhost {

/* By hidden address, so from the highest to the lowest. */
using Allocations = std::map<uintptr_t, Allocation>;

static Allocations &allocations() {
    static Allocations *all = new Allocations;
    return *all;
}

static size_t room_from(const void *address, const Allocation **allocation) {
    const auto found = allocations().lower_bound(hidden(address));
    *allocation = nullptr;
    if (found == allocations().end())
        return 0;
    const size_t offset = reinterpret_cast<uintptr_t>(address) - ~found->first;
    if (offset > found->second.bytes)
        return 0;
    *allocation = &found->second;
    return found->second.bytes - offset;
}

const Allocation *allocation_of(const void *address, size_t bytes) {
    const Allocation *allocation;
    return bytes <= room_from(address, &allocation) ? allocation : nullptr;
}

const Allocation *allocation_at(const void *address) {
    return allocation_of(address, 0);
}

bool is_device_memory(const void *address, size_t bytes) {
    const Allocation *allocation = allocation_of(address, bytes);
    return allocation && allocation->kind == MemoryKind::device;
}

/* How much of an allocation is closed to the host: its beginning, since to close and open megabytes of workspace at
 * every wait would take most of the time there is. */
static size_t watched(size_t bytes) {
    return std::min(bytes, size_t{64} << 10);
}

static int accesses;

static void poison_device_memory(bool on) {
    if (!CUHOST_ADDRESS_SANITIZER)
        return;
    for (const auto &[address, allocation] : allocations())
        if (allocation.kind == MemoryKind::device)
            (on ? poison : unpoison)(shown(address), watched(allocation.bytes));
}

DeviceAccess::DeviceAccess() {
    if (accesses++ == 0)
        poison_device_memory(false);
}

DeviceAccess::~DeviceAccess() {
    if (--accesses == 0)
        poison_device_memory(true);
}

static size_t used_on(int device) {
    size_t used = 0;
    for (const auto &[address, allocation] : allocations())
        if (allocation.kind == MemoryKind::device && allocation.device == device)
            used += allocation.bytes;
    return used;
}

static size_t free_on(int device) {
    const size_t used = used_on(device), all = state().settings.memory;
    return used < all ? all - used : 0;
}

void count_memory(cuhost_statistics &statistics) {
    for (const auto &[address, allocation] : allocations())
        if (allocation.kind == MemoryKind::pinned) {
            statistics.pinned_blocks++;
        } else {
            statistics.device_blocks++;
            statistics.device_bytes += allocation.bytes;
        }
}

static void note_peak() {
    cuhost_statistics now{};
    count_memory(now);
    if (now.device_bytes > state().statistics.peak_device_bytes)
        state().statistics.peak_device_bytes = now.device_bytes;
}

/* New memory is 0xFF throughout: a float that is read before it was written is a NaN. */
static cudaError_t allocate(void **memory, size_t bytes, MemoryKind kind) {
    const Call call(cudaErrorMemoryAllocation);
    if (call.error)
        return call.error;
    if (!memory)
        return failed(cudaErrorInvalidValue);
    if (capture_refuses())
        return failed(cudaErrorStreamCaptureUnsupported);
    *memory = nullptr;
    if (bytes == 0)
        return cudaSuccess;
    const int device = current_device();
    if (kind == MemoryKind::device && bytes > free_on(device))
        return failed(cudaErrorMemoryAllocation);
    /* One byte more than asked for: the end of an allocation is then not the beginning of somebody else's. (The address
     * sanitizer keeps them apart, and must see the first byte that is too many.) */
    if (posix_memalign(memory, 256, bytes + !CUHOST_ADDRESS_SANITIZER))
        return failed(cudaErrorMemoryAllocation);
    memset(*memory, 0xFF, bytes);
    allocations()[hidden(*memory)] = {bytes, kind, device};
    if (kind == MemoryKind::device) {
        poison(*memory, watched(bytes));
        note_peak();
    }
    return cudaSuccess;
}

/* As the real ones do, it waits until no work can use the memory any more. */
static cudaError_t deallocate(void *memory, MemoryKind kind) {
    const Call call;
    if (!memory)
        return cudaSuccess;
    if (capture_refuses())
        return failed(cudaErrorStreamCaptureUnsupported);
    wait_for_all();
    const auto found = allocations().find(hidden(memory));
    if (found == allocations().end() || found->second.kind != kind)
        return misuse(cudaErrorInvalidValue, "%p is freed and is no %s allocation", memory,
                      kind == MemoryKind::device ? "device" : "pinned");
    unpoison(memory, watched(found->second.bytes));
    allocations().erase(found);
    free(memory);
    return cudaSuccess;
}

} // namespace cuhost

using namespace cuhost;

cudaError_t cudaMalloc(void **memory, size_t bytes) {
    return allocate(memory, bytes, MemoryKind::device);
}

cudaError_t cudaFree(void *memory) {
    return deallocate(memory, MemoryKind::device);
}

cudaError_t cudaMallocHost(void **memory, size_t bytes) {
    return allocate(memory, bytes, MemoryKind::pinned);
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned) {
    return allocate(memory, bytes, MemoryKind::pinned);
}

cudaError_t cudaFreeHost(void *memory) {
    return deallocate(memory, MemoryKind::pinned);
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
    const Call call(cudaErrorInitializationError);
    if (call.error)
        return call.error;
    *free = free_on(current_device());
    *total = state().settings.memory;
    return cudaSuccess;
}
