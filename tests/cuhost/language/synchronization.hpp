/* Barriers, fences and cooperative groups. What a barrier orders for the thread sanitizer is said in execution/. */
#ifndef CUHOST_LANGUAGE_SYNCHRONIZATION_HPP
#define CUHOST_LANGUAGE_SYNCHRONIZATION_HPP

#include "hooks.hpp"

inline void __syncthreads(cuhost::Place place = cuhost::here()) {
    cuhost::synchronize_block(false, place);
}
inline int __syncthreads_count(int predicate, cuhost::Place place = cuhost::here()) {
    return cuhost::synchronize_block(predicate != 0, place);
}
inline int __syncthreads_or(int predicate, cuhost::Place place = cuhost::here()) {
    return cuhost::synchronize_block(predicate != 0, place) != 0;
}
inline int __syncthreads_and(int predicate, cuhost::Place place = cuhost::here()) {
    return cuhost::synchronize_block(predicate == 0, place) == 0;
}
inline void __syncwarp(unsigned mask = cuhost::full_mask, cuhost::Place place = cuhost::here()) {
    cuhost::synchronize_warp(mask, place);
}

/* One OS thread runs all CUDA threads, and atomics acquire and release: there is nothing left for a fence to order. A
 * missing fence is therefore not found. */
inline void __threadfence_block() {}
inline void __threadfence() {}
inline void __threadfence_system() {}

inline void __nanosleep(unsigned, cuhost::Place place = cuhost::here()) {
    cuhost::pause(place);
}

namespace cooperative_groups { /* NVIDIA's header is empty without __CUDACC__ */

struct thread_block {
    void sync(cuhost::Place place = cuhost::here()) const {
        cuhost::synchronize_block(false, place);
    }
    unsigned thread_rank() const {
        return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    }
    unsigned size() const {
        return blockDim.x * blockDim.y * blockDim.z;
    }
};

struct grid_group {
    void sync(cuhost::Place place = cuhost::here()) const {
        cuhost::synchronize_grid(place);
    }
    unsigned long long thread_rank() const {
        const unsigned long long block = blockIdx.x + gridDim.x * (blockIdx.y + 1ull * gridDim.y * blockIdx.z);
        return block * thread_block().size() + thread_block().thread_rank();
    }
    unsigned long long size() const {
        return 1ull * gridDim.x * gridDim.y * gridDim.z * thread_block().size();
    }
};

inline thread_block this_thread_block() {
    return {};
}
inline grid_group this_grid() {
    return {};
}

} // namespace cooperative_groups

#endif
