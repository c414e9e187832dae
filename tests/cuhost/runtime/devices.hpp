/* The devices that the layer can pretend to have. */
#ifndef CUHOST_RUNTIME_DEVICES_HPP
#define CUHOST_RUNTIME_DEVICES_HPP

#include <cuda_runtime.h>

#include <string>

namespace cuhost {

bool known_compute(int compute);
std::string known_computes(); /* " 60 70 ..." */

/* The device of the calling OS thread; all have the same properties. */
int current_device();
cudaDeviceProp current_properties();

/* Blocks of that size that a multiprocessor holds at a time: registers are not counted. */
int resident_blocks(const cudaDeviceProp &properties, int threads, size_t dynamic_shared);

} // namespace cuhost

#endif
