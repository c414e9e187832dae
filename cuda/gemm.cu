/* Matrix products by cuBLAS, and column sums by kernels of our own. */
#include "gemm.cuh"

#include <limits.h>
#include <stdio.h>

/* cuBLAS is column-major: to it, our row-major matrices are their transposes, so it is asked for C^T = B^T A^T. */
crs_status cuda_gemm(crs_device *device, const cuda_product &p) {
    for (const int64_t size : {p.M, p.N, p.K, p.lda, p.ldb, p.ldc})
        if (size > INT_MAX) {
            snprintf(device->explanation, sizeof device->explanation,
                     "cuBLAS counts in int: a product of %lld x %lld x %lld is too large", (long long)p.M,
                     (long long)p.N, (long long)p.K);
            return CRS_ERR_UNSUPPORTED;
        }
    const float one = 1;
    CUDA_BLAS_TRY(device, cublasSgemm(device->blas, p.transpose_B ? CUBLAS_OP_T : CUBLAS_OP_N,
                                      p.transpose_A ? CUBLAS_OP_T : CUBLAS_OP_N, (int)p.N, (int)p.M, (int)p.K, &one,
                                      p.B, (int)p.ldb, p.A, (int)p.lda, &p.beta, p.C, (int)p.ldc));
    return CRS_OK;
}

/* ---- column sums ---- */

/* What one block sums: a warp wide, so that reads are whole lines. */
static constexpr int64_t SUM_ROWS = 128, SUM_COLUMNS = 32;

/* partial[slice,j] = sum of a[row,j] over the rows of a slice. Threads: SUM_COLUMNS x 8; the eight partial sums of a
 * column are then added in their order. At most 48 registers. */
static __global__ void sum_slices(int64_t rows, int64_t columns, const float *__restrict__ a, int64_t lda,
                                  float *__restrict__ partial) {
    CUDA_SHARED_ARRAY(float, sums, 8 * SUM_COLUMNS);
    const int64_t j = (int64_t)blockIdx.x * SUM_COLUMNS + threadIdx.x;
    for (int64_t slice = blockIdx.y; slice * SUM_ROWS < rows; slice += gridDim.y) {
        const int64_t left = rows - slice * SUM_ROWS, height = left < SUM_ROWS ? left : SUM_ROWS;
        float sum = 0;
        for (int64_t i = threadIdx.y; j < columns && i < height; i += 8)
            sum += a[(slice * SUM_ROWS + i) * lda + j];
        sums[threadIdx.y * SUM_COLUMNS + threadIdx.x] = sum;
        __syncthreads();
        if (threadIdx.y == 0 && j < columns) {
            for (int k = 1; k < 8; k++)
                sum += sums[k * SUM_COLUMNS + threadIdx.x];
            partial[slice * columns + j] = sum;
        }
        __syncthreads();
    }
}

/* At most 40 registers. */
static __global__ void add_slices(int64_t slices, int64_t columns, const float *__restrict__ partial,
                                  float *__restrict__ sums) {
    for (int64_t j = cuda_first(); j < columns; j += cuda_stride()) {
        float sum = 0;
        for (int64_t slice = 0; slice < slices; slice++)
            sum += partial[slice * columns + j];
        sums[j] += sum;
    }
}

crs_status cuda_column_sums(crs_device *device, int64_t rows, int64_t columns, const float *a, int64_t lda,
                            float *sums) {
    const int64_t slices = (rows + SUM_ROWS - 1) / SUM_ROWS;
    void *partial;
    CRS_TRY(cuda_scratch(device, (size_t)slices * (size_t)columns * sizeof(float), &partial));
    const dim3 grid((unsigned)((columns + SUM_COLUMNS - 1) / SUM_COLUMNS), (unsigned)(slices < 65535 ? slices : 65535));
    CRS_TRY(cuda_launch(device, sum_slices, grid, dim3(SUM_COLUMNS, 8), 0, rows, columns, a, lda, (float *)partial));
    return cuda_launch_over(device, columns, add_slices, slices, columns, (const float *)partial, sums);
}
