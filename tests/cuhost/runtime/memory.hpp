/* Device memory and pinned host memory: who owns an address. */
#ifndef CUHOST_RUNTIME_MEMORY_HPP
#define CUHOST_RUNTIME_MEMORY_HPP

#include "state.hpp"

namespace cuhost {

enum class MemoryKind { device, pinned };

struct Allocation {
    size_t bytes;
    MemoryKind kind;
    int device;
};

/* The allocation that [address, address + bytes) lies in, or that its beginning lies in (the end counts as in). NULL:
 * none, or memory that the layer knows nothing of. */
const Allocation *allocation_of(const void *address, size_t bytes);
const Allocation *allocation_at(const void *address);

/* Whether that much device memory is there. */
bool is_device_memory(const void *address, size_t bytes);

/* While one lives, device work runs. At other times the address sanitizer takes device memory for poison, so that a
 * host which reads it is told. */
class DeviceAccess {
  public:
    DeviceAccess();
    ~DeviceAccess();
    DeviceAccess(const DeviceAccess &) = delete;
    DeviceAccess &operator=(const DeviceAccess &) = delete;
};

/* Adds what is alive. */
void count_memory(cuhost_statistics &statistics);

} // namespace cuhost

#endif
