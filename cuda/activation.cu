/* Bias and activation behind a product, and their backward. */
#include "activation.cuh"

#include "matrix.cuh"
#include "reduce.cuh"

/* At most 56 registers. */
static __global__ void activate(crs_activation activation, int64_t rows, int64_t columns, const float *__restrict__ b,
                                float *__restrict__ y) {
    for (int64_t i = matrix_walk::first_row(); i < rows; i += matrix_walk::row_stride())
        for (int64_t j = matrix_walk::first_column(); j < columns; j += matrix_walk::column_stride())
            y[i * columns + j] = cuda_activation(activation, y[i * columns + j] + b[j]);
}

crs_status cuda_activate(crs_device *device, crs_activation activation, int64_t N, int64_t O, const float *b,
                         float *y) {
    return cuda_launch_matrix(device, N, O, activate, activation, N, O, b, y);
}

/* ---- backward ---- */

static constexpr int64_t ROUNDS = 16; /* rows that a thread takes of a slice */

/* Every derivative can be had from y. */
static __device__ __forceinline__ float derive(crs_activation activation, float y, float dy) {
    if (activation == CRS_RELU)
        return y > 0 ? dy : 0;
    if (activation == CRS_TANH)
        return dy * (1 - y * y);
    return activation == CRS_SIGMOID ? dy * (y * (1 - y)) : dy;
}

/* A block takes a slice of neighbouring rows and at most a block's width of columns. Where columns are fewer, several
 * rows stand side by side, so that threads next to each other are numbers next to each other, and a thread keeps to its
 * column. partial[slice,j]: the column's sum over the slice. At most 72 registers. */
static __global__ void derive_slices(crs_activation activation, int64_t rows, int64_t columns,
                                     const float *__restrict__ y, float *__restrict__ dy,
                                     double *__restrict__ partial) {
    CUDA_SHARED_ARRAY(double, sums, CUDA_BLOCK);
    const int width = columns < CUDA_BLOCK ? (int)columns : (int)CUDA_BLOCK, side_by_side = CUDA_BLOCK / width;
    const int row = (int)threadIdx.x / width;
    const int64_t across = (columns + width - 1) / width, slice_rows = side_by_side * ROUNDS;
    for (int64_t block = blockIdx.x; block / across * slice_rows < rows; block += gridDim.x) {
        const int64_t slice = block / across, j = block % across * width + threadIdx.x % width;
        const bool is_mine = row < side_by_side && j < columns;
        double sum = 0;
#pragma unroll 4
        for (int64_t k = 0; k < ROUNDS; k++) {
            const int64_t i = slice * slice_rows + k * side_by_side + row, e = i * columns + j;
            if (is_mine && i < rows) {
                float value = dy[e];
                if (activation != CRS_LINEAR) {
                    value = derive(activation, y[e], value);
                    dy[e] = value;
                }
                sum += (double)value;
            }
        }
        sums[threadIdx.x] = sum;
        __syncthreads();
        if (row == 0 && j < columns) {
            for (int k = 1; k < side_by_side; k++)
                sum += sums[k * width + (int)threadIdx.x];
            partial[slice * columns + j] = sum;
        }
        __syncthreads();
    }
}

/* A block per column. At most 64 registers. */
static __global__ void add_bias_slices(int64_t slices, int64_t columns, const double *__restrict__ partial,
                                       float *__restrict__ db) {
    for (int64_t j = blockIdx.x; j < columns; j += gridDim.x) {
        double sum = 0;
        for (int64_t slice = threadIdx.x; slice < slices; slice += CUDA_BLOCK)
            sum += partial[slice * columns + j];
        sum = cuda_block_sum(sum);
        if (threadIdx.x == 0)
            db[j] += (float)sum;
    }
}

crs_status cuda_activate_backward(crs_device *device, crs_activation activation, int64_t N, int64_t O, const float *y,
                                  float *dy, float *db) {
    const int64_t width = O < CUDA_BLOCK ? O : (int64_t)CUDA_BLOCK, across = (O + width - 1) / width;
    const int64_t slice_rows = CUDA_BLOCK / width * ROUNDS, slices = (N + slice_rows - 1) / slice_rows;
    void *partial;
    CRS_TRY(cuda_scratch(device, (size_t)slices * (size_t)O * sizeof(double), &partial));
    CRS_TRY(cuda_launch(device, derive_slices, dim3(cuda_grid(device, slices * across * CUDA_BLOCK)), dim3(CUDA_BLOCK),
                        0, activation, N, O, y, dy, (double *)partial));
    return cuda_launch(device, add_bias_slices, dim3(cuda_grid(device, O * CUDA_BLOCK)), dim3(CUDA_BLOCK), 0, slices, O,
                       (const double *)partial, db);
}
