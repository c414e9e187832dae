/* What is spelled differently under nvcc and where the tests run these sources on the CPU (tests/cuhost, which defines
 * CUHOST and its own versions of the names below). Nothing else in this folder may depend on the compiler. */
#ifndef CRS_CUDA_PORT_CUH
#define CRS_CUDA_PORT_CUH

#include <cuda_runtime.h>

#ifndef CUHOST

/* An array in the block's shared memory. T must not contain a comma. */
#define CUDA_SHARED_ARRAY(T, name, n) __shared__ T name[n]

/* Cuts the shared memory whose size is given at launch. All threads take the same pieces in the same order. */
struct dynamic_shared_memory {
    unsigned char *next;

    __device__ dynamic_shared_memory() {
        extern __shared__ __align__(16) unsigned char cuda_dynamic_shared[];
        next = cuda_dynamic_shared;
    }
    template <class T> __device__ T *take(size_t n) {
        T *piece = reinterpret_cast<T *>(next);
        next += (n * sizeof(T) + 15) / 16 * 16;
        return piece;
    }
};

#endif

/* Bytes that take<T>(n) uses up: for the size given at launch. */
template <class T> static inline size_t dynamic_shared_size(size_t n) {
    return (n * sizeof(T) + 15) / 16 * 16;
}

#endif
