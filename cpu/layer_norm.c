/* Layer normalisation: every row by its own mean and variance, and its backward. Sums are kept in double. */
#include "clones.h"
#include "cpu.h"

#include <math.h>

#define TILE_ROWS 64        /* rows whose shares in dgamma and dbeta are summed before they join the total */
#define COLUMNS 64          /* features of which a thread adds up those shares */
#define PARALLEL_FROM 16384 /* elements; below it waking threads costs more than they save */

/* The reserve, cut up. */
typedef struct statistics {
    double *mean;  /* [N] */
    double *scale; /* [N] 1 / sqrt(var + epsilon) */
} statistics;

static statistics statistics_of(const crs_layer_norm *a) {
    double *mean = a->reserve;
    return (statistics){mean, mean + a->N};
}

/* The variance is taken from deviations: large means cancel before squaring. */
CPU_CLONES
static void row_forward(int64_t F, double epsilon, const real *restrict gamma, const real *restrict beta,
                        const real *restrict x, real *restrict y, double *restrict mean, double *restrict scale) {
    double sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t f = 0; f < F; f++)
        sum += (double)x[f];
    const double centre = sum / (double)F;
#pragma omp simd reduction(+ : squares)
    for (int64_t f = 0; f < F; f++)
        squares += ((double)x[f] - centre) * ((double)x[f] - centre);
    const double factor = 1 / sqrt(squares / (double)F + epsilon);
    for (int64_t f = 0; f < F; f++)
        y[f] = (real)(((double)x[f] - centre) * factor * (double)gamma[f] + (double)beta[f]);
    *mean = centre;
    *scale = factor;
}

size_t CPU_NAME(layer_norm_reserve)(const crs_device *device, const crs_layer_norm *a) {
    (void)device;
    return 2 * (size_t)a->N * sizeof(double);
}

crs_status CPU_NAME(layer_norm_forward)(crs_device *device, const crs_layer_norm *a) {
    const int64_t F = a->F;
    const statistics s = statistics_of(a);
#pragma omp parallel for schedule(static) num_threads(device->threads) if (a->N * F >= PARALLEL_FROM)
    for (int64_t i = 0; i < a->N; i++)
        row_forward(F, a->epsilon, a->gamma, a->beta, (const real *)a->x + i * F, (real *)a->y + i * F, s.mean + i,
                    s.scale + i);
    return CRS_OK;
}

/* Adds a row's share to the sums of dy and of dy xhat, xhat being (x - mean) scale. */
CPU_CLONES
static void row_weights(int64_t F, double mean, double scale, const real *restrict x, const real *restrict dy,
                        double *restrict dbeta, double *restrict dgamma) {
    for (int64_t f = 0; f < F; f++) {
        dbeta[f] += (double)dy[f];
        dgamma[f] += (double)dy[f] * (((double)x[f] - mean) * scale);
    }
}

/* dx = scale (d - mean of d - xhat times mean of d xhat), d being gamma dy: mean and variance depend on x as well. */
CPU_CLONES
static void row_inputs(int64_t F, double mean, double scale, const real *restrict gamma, const real *restrict x,
                       const real *restrict dy, real *restrict dx) {
    double sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
    for (int64_t f = 0; f < F; f++) {
        const double d = (double)gamma[f] * (double)dy[f];
        sum += d;
        product += d * (((double)x[f] - mean) * scale);
    }
    for (int64_t f = 0; f < F; f++) {
        const double d = (double)gamma[f] * (double)dy[f], normal = ((double)x[f] - mean) * scale;
        dx[f] = (real)(scale * (d - (sum + normal * product) / (double)F));
    }
}

/* The rows first..end-1; partial: [2,F], their sums. */
static void tile_backward(const crs_layer_norm *a, int64_t first, int64_t end, double *partial) {
    const int64_t F = a->F;
    const statistics s = statistics_of(a);
    for (int64_t f = 0; f < 2 * F; f++)
        partial[f] = 0;
    for (int64_t i = first; i < end; i++) {
        const real *x = (const real *)a->x + i * F, *dy = (const real *)a->dy + i * F;
        row_weights(F, s.mean[i], s.scale[i], x, dy, partial, partial + F);
        if (a->dx)
            row_inputs(F, s.mean[i], s.scale[i], a->gamma, x, dy, (real *)a->dx + i * F);
    }
}

/* The features first..end-1 of all tiles, in their order. */
static void finish_weights(const crs_layer_norm *a, int64_t tiles, int64_t first, int64_t end, const double *partial) {
    const int64_t F = a->F;
    double dbeta[COLUMNS] = {0}, dgamma[COLUMNS] = {0};
    for (int64_t i = 0; i < tiles; i++)
        for (int64_t f = first; f < end; f++) {
            dbeta[f - first] += partial[2 * i * F + f];
            dgamma[f - first] += partial[(2 * i + 1) * F + f];
        }
    for (int64_t f = first; f < end; f++) {
        ((real *)a->dbeta)[f] += (real)dbeta[f - first];
        ((real *)a->dgamma)[f] += (real)dgamma[f - first];
    }
}

crs_status CPU_NAME(layer_norm_backward)(crs_device *device, const crs_layer_norm *a) {
    const int64_t N = a->N, F = a->F, tiles = (N + TILE_ROWS - 1) / TILE_ROWS;
    double *partial = cpu_scratch(device, (size_t)tiles * 2 * (size_t)F * sizeof(double));
    if (!partial)
        return CRS_ERR_MEMORY;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (N * F >= PARALLEL_FROM)
    for (int64_t i = 0; i < tiles; i++)
        tile_backward(a, i * TILE_ROWS, N - i * TILE_ROWS < TILE_ROWS ? N : (i + 1) * TILE_ROWS, partial + 2 * i * F);
#pragma omp parallel for schedule(static) num_threads(device->threads) if (tiles * F >= PARALLEL_FROM)
    for (int64_t f = 0; f < F; f += COLUMNS)
        finish_weights(a, tiles, f, F - f < COLUMNS ? F : f + COLUMNS, partial);
    return CRS_OK;
}
