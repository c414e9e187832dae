/* Matrix products: CBLAS, which runs one thread per call (backend.c sees to that), on tiles that OpenMP hands out. */
#include "gemm.h"

#include "clones.h"
#include "subnormal.h"

#include <cblas.h>
#include <limits.h>
#include <string.h>

#define TILE_ROWS 256
#define TILE_COLUMNS 512
#define CHUNK_STEPS 512   /* shortest stretch of K worth a partial product of its own */
#define ENOUGH_TILES 32   /* with this many tiles K is not cut */
#define SMALL (64 * 4096) /* multiplications below which waking threads costs more than it saves */
#define COLUMNS 64        /* columns summed at once: their sums stay in registers or the first-level cache */

void cpu_gemm_tile(const cpu_product *p) {
    const enum CBLAS_TRANSPOSE ta = p->transpose_A ? CblasTrans : CblasNoTrans;
    const enum CBLAS_TRANSPOSE tb = p->transpose_B ? CblasTrans : CblasNoTrans;
    const int M = (int)p->M, N = (int)p->N, K = (int)p->K;
#if CRS_CPU_DOUBLE
    cblas_dgemm(CblasRowMajor, ta, tb, M, N, K, 1, p->A, (int)p->lda, p->B, (int)p->ldb, p->beta, p->C, (int)p->ldc);
#else
    cblas_sgemm(CblasRowMajor, ta, tb, M, N, K, 1, p->A, (int)p->lda, p->B, (int)p->ldb, p->beta, p->C, (int)p->ldc);
#endif
}

/* A dimension cut into pieces of `size`; the last may be shorter. */
typedef struct cut {
    int64_t total, size, pieces;
} cut;

/* Nearly equal pieces of at most `largest`, a multiple of 16 so that the BLAS kernels stay full. */
static cut cut_evenly(int64_t total, int64_t largest) {
    const int64_t pieces = (total + largest - 1) / largest;
    const int64_t size = ((total + pieces - 1) / pieces + 15) / 16 * 16;
    return (cut){total, size, (total + size - 1) / size};
}

static int64_t piece_size(const cut *c, int64_t piece) {
    const int64_t left = c->total - piece * c->size;
    return left < c->size ? left : c->size;
}

/* Depends on the sizes only; the number of threads must not enter. K is cut where C alone gives too few tiles, as in a
 * weight gradient, whose C is small and whose K runs over all rows of all steps. */
static cut cut_steps(const cpu_product *p, int64_t tiles) {
    int64_t pieces = p->K / CHUNK_STEPS;
    if (pieces > ENOUGH_TILES / tiles)
        pieces = ENOUGH_TILES / tiles;
    if (pieces < 1)
        pieces = 1;
    /* Where the pieces would outgrow an int, more of them. */
    const int64_t size = (p->K + pieces - 1) / pieces;
    return cut_evenly(p->K, size < INT_MAX / 2 ? size : INT_MAX / 2);
}

/* The part of p at rows `i`, columns `j` and steps `k` of the cuts. */
static cpu_product part(const cpu_product *p, const cut *rows, int64_t i, const cut *columns, int64_t j,
                        const cut *steps, int64_t k) {
    const int64_t row = i * rows->size, column = j * columns->size, step = k * steps->size;
    cpu_product tile = *p;
    tile.M = piece_size(rows, i);
    tile.N = piece_size(columns, j);
    tile.K = piece_size(steps, k);
    tile.A += p->transpose_A ? step * p->lda + row : row * p->lda + step;
    tile.B += p->transpose_B ? column * p->ldb + step : step * p->ldb + column;
    tile.C += row * p->ldc + column;
    return tile;
}

static void add_row(int64_t n, const real *restrict x, real *restrict y) {
    for (int64_t j = 0; j < n; j++)
        y[j] += x[j];
}

/* Adds the partial products behind the first, each [M,N], onto C in their order. */
static void add_partials(const cpu_product *p, int64_t pieces, const real *partial, int threads) {
    const int64_t M = p->M, N = p->N;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < M; i++)
        for (int64_t k = 1; k < pieces; k++)
            add_row(N, partial + ((k - 1) * M + i) * N, p->C + i * p->ldc);
}

crs_status cpu_gemm(crs_device *device, const cpu_product *p) {
    if (p->lda > INT_MAX || p->ldb > INT_MAX || p->ldc > INT_MAX)
        return CRS_ERR_UNSUPPORTED;
    const cut rows = cut_evenly(p->M, TILE_ROWS), columns = cut_evenly(p->N, TILE_COLUMNS);
    const int64_t tiles = rows.pieces * columns.pieces;
    const cut steps = cut_steps(p, tiles);
    real *partial = NULL;
    if (steps.pieces > 1) {
        partial = cpu_scratch(device, (size_t)(steps.pieces - 1) * (size_t)p->M * (size_t)p->N * sizeof *partial);
        if (!partial)
            return CRS_ERR_MEMORY;
    }
    const int64_t parts = tiles * steps.pieces;
    const int threads = (double)p->M * (double)p->N * (double)p->K < SMALL ? 1 : device->threads;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int64_t n = 0; n < parts; n++) {
        const int64_t k = n / tiles, i = n % tiles / columns.pieces, j = n % columns.pieces;
        cpu_product tile = part(p, &rows, i, &columns, j, &steps, k);
        if (k > 0) {
            tile.C = partial + ((k - 1) * p->M + i * rows.size) * p->N + j * columns.size;
            tile.ldc = p->N;
            tile.beta = 0;
        }
        const unsigned before = cpu_subnormals_flush();
        cpu_gemm_tile(&tile);
        cpu_subnormals_restore(before);
    }
    if (steps.pieces > 1)
        add_partials(p, steps.pieces, partial, threads);
    return CRS_OK;
}

/* The rows' own sum is made first and then added: many small terms are not lost one by one in a large total. */
CPU_CLONES
static void sum_columns(int64_t rows, int64_t columns, const real *a, int64_t lda, real *sums) {
    real sum[COLUMNS] = {0};
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            sum[j] += a[i * lda + j];
    for (int64_t j = 0; j < columns; j++)
        sums[j] += sum[j];
}

void cpu_column_sums(int64_t rows, int64_t columns, const real *a, int64_t lda, real *sums) {
    for (int64_t j = 0; j < columns; j += COLUMNS)
        sum_columns(rows, columns - j < COLUMNS ? columns - j : COLUMNS, a + j, lda, sums + j);
}
