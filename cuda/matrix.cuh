/* Kernels over the elements of a matrix [rows,columns]: a block is as many columns wide as fill a line of memory, and
 * the rest of its threads are rows, so that narrow matrices leave no thread idle and no element costs a division. */
#ifndef CRS_CUDA_MATRIX_CUH
#define CRS_CUDA_MATRIX_CUH

#include "cuda.cuh"

/* Threads side by side in a row of so many columns: a power of two, at most a warp. */
static inline unsigned cuda_lanes(int64_t columns) {
    unsigned lanes = 1;
    while (lanes < CUDA_WARP && lanes < columns)
        lanes *= 2;
    return lanes;
}

/* The elements of the calling thread: rows in steps of row_stride(), in each of them columns in steps of
 * column_stride(). */
struct matrix_walk {
    static __device__ __forceinline__ int64_t first_row() {
        return (int64_t)blockIdx.x * blockDim.y + threadIdx.y;
    }
    static __device__ __forceinline__ int64_t row_stride() {
        return (int64_t)gridDim.x * blockDim.y;
    }
    static __device__ __forceinline__ int64_t first_column() {
        return (int64_t)blockIdx.y * blockDim.x + threadIdx.x;
    }
    static __device__ __forceinline__ int64_t column_stride() {
        return (int64_t)gridDim.y * blockDim.x;
    }
};

/* Queues a kernel that walks over rows, columns >= 1 as above. */
template <class... Parameters, class... Arguments>
static crs_status cuda_launch_matrix(crs_device *device, int64_t rows, int64_t columns, void (*kernel)(Parameters...),
                                     Arguments... arguments) {
    const int64_t most = (int64_t)device->multiprocessors * 16;
    const dim3 block(cuda_lanes(columns), CUDA_BLOCK / cuda_lanes(columns));
    const int64_t down = (rows + block.y - 1) / block.y, across = (columns + block.x - 1) / block.x;
    const int64_t grid_rows = down < most ? down : most, room = most / grid_rows;
    const int64_t grid_columns = across < room ? across : room;
    return cuda_launch(device, kernel, dim3((unsigned)grid_rows, (unsigned)grid_columns), block, 0, arguments...);
}

#endif
