/* Sorting of a batch's ids together with where they stand. */
#ifndef CRS_CUDA_SORT_CUH
#define CRS_CUDA_SORT_CUH

#include "cuda.cuh"

/* The result: ids in ascending order; of equal ids, the positions they were found at in ascending order too. */
struct cuda_sorted {
    const int32_t *ids;       /* [n] */
    const int32_t *positions; /* [n] */
};

/* Bytes of scratch that sorting n ids needs: a multiple of 256. */
size_t cuda_sort_size(int64_t n);

/* Queues the sorting of ids[n], each in 0..V-1. The result stands in `scratch` (cuda_sort_size bytes, 256-byte
 * aligned). n >= 1; CRS_ERR_UNSUPPORTED: n exceeds an int32_t. */
crs_status cuda_sort(crs_device *device, int64_t n, const int32_t *ids, int64_t V, void *scratch, cuda_sorted *sorted);

#endif
