/* Sums over the threads of a warp or a block, in an order that is always the same. */
#ifndef CRS_CUDA_REDUCE_CUH
#define CRS_CUDA_REDUCE_CUH

#include "cuda.cuh"

/* The sum over each group of `lanes` neighbouring lanes (a power of two, at most a warp), in every one of them. All
 * lanes of the warp call it. */
template <class Number> static __device__ __forceinline__ Number cuda_lanes_sum(Number value, int lanes) {
    for (int distance = lanes / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
}

/* The sum over a block of CUDA_BLOCK threads, in every one of them. All of them call it. */
template <class Number> static __device__ __forceinline__ Number cuda_block_sum(Number value) {
    CUDA_SHARED_ARRAY(Number, of_warps, CUDA_BLOCK / CUDA_WARP);
    const Number of_warp = cuda_lanes_sum(value, CUDA_WARP);
    if (threadIdx.x % CUDA_WARP == 0)
        of_warps[threadIdx.x / CUDA_WARP] = of_warp;
    __syncthreads();
    Number sum = 0;
    for (int warp = 0; warp < CUDA_BLOCK / CUDA_WARP; warp++)
        sum += of_warps[warp];
    __syncthreads(); /* the next call writes them again */
    return sum;
}

#endif
