/* Live steps of a row of the batch (ops.h, "Live steps"), as kernels see them. */
#ifndef CRS_CUDA_LIVE_CUH
#define CRS_CUDA_LIVE_CUH

#include "port.cuh"

#include <carousel/ops.h>

/* The steps [first, end) in which a row is live. */
struct live_steps {
    int64_t first, end;

    __device__ __forceinline__ live_steps(const crs_steps &steps, int64_t row) {
        first = steps.start ? steps.start[row] : 0;
        end = first + (steps.len ? steps.len[row] : steps.T);
    }
    __device__ __forceinline__ bool contains(int64_t t) const {
        return first <= t && t < end;
    }
};

#endif
