/* Sums over the rows of a matrix, column by column, in two stages: each block takes a slice of the rows and some
 * neighbouring columns, and a second kernel puts the slices together. How rows are sliced follows from the sizes alone,
 * and with it the order of the sums. */
#ifndef CRS_CUDA_COLUMN_SLICES_CUH
#define CRS_CUDA_COLUMN_SLICES_CUH

#include "matrix.cuh"

/* A thread adds up this many rows in single precision; from there on sums are doubles. */
static constexpr int SLICE_CHUNK = 16;

struct column_slices {
    int64_t rows, columns;
    int64_t slices, height; /* height: rows of a slice */

    /* Enough slices to fill a device, few enough that the second stage is short. */
    column_slices(int64_t rows_, int64_t columns_) : rows(rows_), columns(columns_) {
        const int64_t most = 256, least = (int64_t)block().y * SLICE_CHUNK, even = (rows + most - 1) / most;
        height = (even + least - 1) / least * least;
        slices = (rows + height - 1) / height;
    }
    /* threadIdx.x is the column; threadIdx.y takes every blockDim.y-th row, or slice. A power of two of each. */
    dim3 block() const {
        return dim3(cuda_lanes(columns), CUDA_BLOCK / cuda_lanes(columns));
    }
    unsigned tiles() const {
        return (unsigned)((columns + block().x - 1) / block().x);
    }
    dim3 slice_grid() const {
        return dim3(tiles(), (unsigned)slices);
    }
    dim3 finish_grid() const {
        return dim3(tiles());
    }

    /* What the calling thread works on. */
    static __device__ __forceinline__ int64_t column() {
        return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    }
    __device__ __forceinline__ int64_t first_row() const {
        return blockIdx.y * height + threadIdx.y;
    }
    __device__ __forceinline__ int64_t end_row() const {
        return (blockIdx.y + 1) * height < rows ? (blockIdx.y + 1) * height : rows;
    }
};

/* Puts together what the threads of each column of a block have, into that of its first thread. `shared` has room for
 * CUDA_BLOCK parts; a part has include(). All threads of the block call it. */
template <class Part> static __device__ __forceinline__ void join_columns(Part &part, Part *shared) {
    shared[threadIdx.y * blockDim.x + threadIdx.x] = part;
    for (unsigned other = blockDim.y / 2; other > 0; other /= 2) {
        __syncthreads();
        if (threadIdx.y < other) {
            part.include(shared[(threadIdx.y + other) * blockDim.x + threadIdx.x]);
            shared[threadIdx.y * blockDim.x + threadIdx.x] = part;
        }
    }
}

#endif
