/* Matrix products by CBLAS, and column sums: the only callers of the BLAS. */
#ifndef CRS_CPU_GEMM_H
#define CRS_CPU_GEMM_H

#include "cpu.h"

/* C = op(A) op(B) + beta C, row-major. op(A) is [M,K], op(B) is [K,N], C is [M,N]; a transposed operand is stored the
 * other way round. ld*: elements between stored rows. beta 0 does not read C. M, N, K >= 1. C aliases nothing. */
typedef struct cpu_product {
    int64_t M, N, K;
    int transpose_A, transpose_B;
    const real *A;
    int64_t lda;
    const real *B;
    int64_t ldb;
    real beta;
    real *C;
    int64_t ldc;
} cpu_product;

/* One product on the calling thread, for use inside a parallel region. Every size and ld must fit an int: the caller
 * has seen to that. */
#define cpu_gemm_tile CPU_NAME(gemm_tile)
void cpu_gemm_tile(const cpu_product *p);

/* One product by all threads. How it is cut depends on the sizes only, so the bits do not depend on the number of
 * threads. Sizes may exceed an int, ld may not: CRS_ERR_UNSUPPORTED. Uses cpu_scratch. */
#define cpu_gemm CPU_NAME(gemm)
crs_status cpu_gemm(crs_device *device, const cpu_product *p);

/* sums[j] += sum over rows of a[row,j], j < columns; on the calling thread. */
#define cpu_column_sums CPU_NAME(column_sums)
void cpu_column_sums(int64_t rows, int64_t columns, const real *a, int64_t lda, real *sums);

#endif
