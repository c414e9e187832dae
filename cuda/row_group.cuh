/* Kernels in which a group of threads takes a row: some neighbouring lanes of a warp where rows are short, all threads
 * of a block where they are long. Which of the two follows from the row's length alone, and with it the order of sums.
 */
#ifndef CRS_CUDA_ROW_GROUP_CUH
#define CRS_CUDA_ROW_GROUP_CUH

#include "matrix.cuh"
#include "reduce.cuh"

/* Rows longer than this are worth a block. */
static constexpr int64_t LONG_ROW = 1024;

/* The group of the calling thread. Every thread of a block makes the same number of turns, also one that has no row
 * left, since sums need all threads: it stands at the last row and finds no columns in it.
 *
 *     for (row_group<wide> group(lanes, rows); group.more(); group.next()) ... */
template <bool wide> struct row_group {
    int64_t rows, base;     /* base: first row of the block in this turn */
    unsigned lane, lanes;   /* of the group */
    unsigned place, groups; /* of the group in the block */

    __device__ __forceinline__ row_group(unsigned lanes_, int64_t rows_) : rows(rows_) {
        lanes = wide ? (unsigned)CUDA_BLOCK : lanes_;
        groups = CUDA_BLOCK / lanes;
        lane = threadIdx.x % lanes;
        place = threadIdx.x / lanes;
        base = (int64_t)blockIdx.x * groups;
    }
    __device__ __forceinline__ bool more() const {
        return base < rows;
    }
    __device__ __forceinline__ void next() {
        base += (int64_t)gridDim.x * groups;
    }
    __device__ __forceinline__ int64_t row() const {
        return base + place < rows ? base + place : rows - 1;
    }
    /* How many of a row's columns there are for the group. */
    __device__ __forceinline__ int64_t columns(int64_t all) const {
        return base + place < rows ? all : 0;
    }
    /* The sum over the group, in each of its threads. */
    template <class Number> __device__ __forceinline__ Number sum(Number value) const {
        return wide ? cuda_block_sum(value) : cuda_lanes_sum(value, (int)lanes);
    }
};

/* Queues the one of a kernel's two versions that suits rows >= 1 rows of `columns` numbers. The kernel's first two
 * arguments are those of row_group. */
template <class... Parameters, class... Arguments>
static crs_status cuda_launch_rows(crs_device *device, int64_t rows, int64_t columns,
                                   void (*narrow)(unsigned, int64_t, Parameters...),
                                   void (*wide)(unsigned, int64_t, Parameters...), Arguments... arguments) {
    const bool is_wide = columns > LONG_ROW;
    const unsigned lanes = is_wide ? (unsigned)CUDA_BLOCK : cuda_lanes(columns);
    return cuda_launch_over(device, rows * lanes, is_wide ? wide : narrow, lanes, rows, arguments...);
}

#endif
