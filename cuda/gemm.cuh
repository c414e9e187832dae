/* Matrix products by cuBLAS, and column sums: the only callers of the BLAS. */
#ifndef CRS_CUDA_GEMM_CUH
#define CRS_CUDA_GEMM_CUH

#include "cuda.cuh"

/* C = op(A) op(B) + beta C, row-major. op(A) is [M,K], op(B) is [K,N], C is [M,N]; a transposed operand is stored the
 * other way round. ld*: elements between stored rows. beta 0 does not read C. M, N, K >= 1. C aliases nothing. */
struct cuda_product {
    int64_t M, N, K;
    bool transpose_A, transpose_B;
    const float *A;
    int64_t lda;
    const float *B;
    int64_t ldb;
    float beta;
    float *C;
    int64_t ldc;
};

/* CRS_ERR_UNSUPPORTED: a size exceeds an int. */
crs_status cuda_gemm(crs_device *device, const cuda_product &product);

/* sums[j] += sum over rows of a[row,j], j < columns, in a fixed order. rows, columns >= 1. Uses cuda_scratch. */
crs_status cuda_column_sums(crs_device *device, int64_t rows, int64_t columns, const float *a, int64_t lda,
                            float *sums);

#endif
