/* The forced include (-include) with which CUDA sources are compiled as C++ for the CPU. NVIDIA's own headers give
 * types, enumerations and prototypes; without __CUDACC__ they define __global__, __device__ and the like as nothing.
 * The folder language/ gives what only a CUDA compiler knows. Not for C++ that holds no device code: that includes
 * cuda_runtime.h. */
#ifndef CUHOST_H
#define CUHOST_H

#define CUHOST 1

#include <cuda_runtime.h>

/* What has no meaning here, or none yet, is a compile error that says so. */
#undef __shared__
#undef __launch_bounds__
#undef __cluster_dims__
#define __shared__ CUHOST_ERROR_declare_shared_memory_with_CUDA_SHARED_ARRAY_or_dynamic_shared_memory
#define __launch_bounds__(...)
#define __cluster_dims__(...) CUHOST_ERROR_clusters_are_not_emulated

/* The built-in variables: constant for a thread, and changed by the scheduler when it goes from one to another. */
extern const uint3 threadIdx, blockIdx;
extern const dim3 blockDim, gridDim;
constexpr int warpSize = 32;

#include "language/atomics.hpp"
#include "language/intrinsics.hpp"
#include "language/launch.hpp"
#include "language/memory.hpp"
#include "language/runtime_overloads.hpp"
#include "language/synchronization.hpp"
#include "language/warps.hpp"

#endif
