/* Batch normalisation: statistics of each feature over the live steps, the map that follows from them, and its
 * backward. Sums are kept in double, in tiles that are put together in their order: neither many rows nor a large mean
 * cost digits, and the number of threads does not matter. */
#include "clones.h"
#include "cpu.h"
#include "live.h"

#include <math.h>
#include <string.h>

#define TILE_ROWS 128       /* rows of a partial sum */
#define COLUMNS 64          /* features worked on at once: a tile of them stays in the first-level cache */
#define PARALLEL_FROM 16384 /* elements; below it waking threads costs more than they save */

/* The reserve, cut up. */
typedef struct statistics {
    double *live;  /* [1] number of live rows */
    double *mean;  /* [F] */
    double *scale; /* [F] 1 / sqrt(var + epsilon); 0 where nothing is live */
} statistics;

/* A part of the rows and features, and where its partial sums are. */
typedef struct tile {
    int64_t rows[TILE_ROWS]; /* the live ones among them */
    int64_t n;
    int64_t f, columns; /* features f..f+columns-1 */
    double *partial;    /* [2,F] */
} tile;

static int64_t rows_of(const crs_batch_norm *a) {
    return a->steps.T * a->steps.B * a->P;
}

static int64_t tiles_of(const crs_batch_norm *a) {
    return (rows_of(a) + TILE_ROWS - 1) / TILE_ROWS;
}

static int64_t tile_end(const crs_batch_norm *a, int64_t i) {
    const int64_t rows = rows_of(a);
    return rows - i * TILE_ROWS < TILE_ROWS ? rows : (i + 1) * TILE_ROWS;
}

static int64_t columns_from(const crs_batch_norm *a, int64_t f) {
    return a->F - f < COLUMNS ? a->F - f : COLUMNS;
}

static statistics statistics_of(const crs_batch_norm *a) {
    double *live = a->reserve;
    return (statistics){live, live + 1, live + 1 + a->F};
}

/* The live rows of tile i; returns how many. Steps and positions are counted along, since a division costs more than
 * the sums of a narrow row. */
static int64_t live_rows(const crs_batch_norm *a, int64_t i, int64_t *live) {
    const int64_t first = i * TILE_ROWS, end = tile_end(a, i), B = a->steps.B;
    int64_t t = first / a->P / B, b = first / a->P % B, p = first % a->P, n = 0;
    for (int64_t row = first; row < end; row++) {
        if (is_live(row_live(&a->steps, b), t))
            live[n++] = row;
        if (++p < a->P)
            continue;
        p = 0;
        if (++b == B) {
            b = 0;
            t++;
        }
    }
    return n;
}

static void tile_cut(const crs_batch_norm *a, int64_t i, int64_t f, double *partial, tile *cut) {
    cut->n = live_rows(a, i, cut->rows);
    cut->f = f;
    cut->columns = columns_from(a, f);
    cut->partial = partial + 2 * i * a->F;
}

/* ---- forward ---- */

/* Mean and sum of squared deviations of a tile, the latter from the former: large means cancel before squaring. */
CPU_CLONES
static void tile_moments(const tile *cut, int64_t F, const real *x) {
    double *restrict mean = cut->partial + cut->f, *restrict deviations = mean + F;
    double sum[COLUMNS] = {0}, squares[COLUMNS] = {0};
    for (int64_t i = 0; i < cut->n; i++) {
        const real *row = x + cut->rows[i] * F + cut->f;
        for (int64_t j = 0; j < cut->columns; j++)
            sum[j] += (double)row[j];
    }
    for (int64_t j = 0; j < cut->columns; j++)
        mean[j] = cut->n > 0 ? sum[j] / (double)cut->n : 0;
    for (int64_t i = 0; i < cut->n; i++) {
        const real *row = x + cut->rows[i] * F + cut->f;
        for (int64_t j = 0; j < cut->columns; j++) {
            const double deviation = (double)row[j] - mean[j];
            squares[j] += deviation * deviation;
        }
    }
    for (int64_t j = 0; j < cut->columns; j++)
        deviations[j] = squares[j];
}

/* The moments of `joining` rows join those of `n` rows (Chan, Golub and LeVeque 1979). */
CPU_CLONES
static void join_moments(double n, double joining, int64_t columns, const double *restrict other_mean,
                         const double *restrict other_deviations, double *restrict mean, double *restrict deviations) {
    const double share = joining / (n + joining);
    for (int64_t j = 0; j < columns; j++) {
        const double apart = other_mean[j] - mean[j];
        mean[j] += apart * share;
        deviations[j] += other_deviations[j] + apart * apart * n * share;
    }
}

/* All tiles of some features together: their statistics, and the running ones. */
static void finish_columns(const crs_batch_norm *a, int64_t f, const double *partial, const double *counts) {
    const int64_t F = a->F, columns = columns_from(a, f), tiles = tiles_of(a);
    const statistics s = statistics_of(a);
    real *running_mean = a->running_mean, *running_var = a->running_var;
    double mean[COLUMNS] = {0}, deviations[COLUMNS] = {0}, live = 0;
    for (int64_t i = 0; i < tiles; i++) {
        const double *other = partial + 2 * i * F + f;
        if (counts[i] > 0)
            join_moments(live, counts[i], columns, other, other + F, mean, deviations);
        live += counts[i];
    }
    if (f == 0)
        *s.live = live;
    for (int64_t j = 0; j < columns; j++) {
        s.mean[f + j] = mean[j];
        s.scale[f + j] = 0;
        if (live == 0)
            continue;
        const double variance = deviations[j] / live, fresh = 1 - a->momentum;
        s.scale[f + j] = 1 / sqrt(variance + a->epsilon);
        if (!isfinite((real)variance)) /* a batch gone wrong is no reason to forget the good ones */
            continue;
        running_mean[f + j] = (real)(a->momentum * (double)running_mean[f + j] + fresh * mean[j]);
        running_var[f + j] = (real)(a->momentum * (double)running_var[f + j] + fresh * variance);
    }
}

static void batch_statistics(const crs_device *device, const crs_batch_norm *a, double *partial) {
    const int64_t F = a->F, tiles = tiles_of(a);
    double *counts = partial + 2 * tiles * F;
#pragma omp parallel for collapse(2) schedule(static) num_threads(device->threads) if (rows_of(a) * F >= PARALLEL_FROM)
    for (int64_t i = 0; i < tiles; i++) {
        for (int64_t f = 0; f < F; f += COLUMNS) {
            tile cut;
            tile_cut(a, i, f, partial, &cut);
            tile_moments(&cut, F, a->x);
            if (f == 0)
                counts[i] = (double)cut.n;
        }
    }
#pragma omp parallel for schedule(static) num_threads(device->threads) if (tiles * F >= PARALLEL_FROM)
    for (int64_t f = 0; f < F; f += COLUMNS)
        finish_columns(a, f, partial, counts);
}

static void running_statistics(const crs_batch_norm *a) {
    const statistics s = statistics_of(a);
    for (int64_t f = 0; f < a->F; f++) {
        s.mean[f] = (double)((const real *)a->running_mean)[f];
        s.scale[f] = 1 / sqrt((double)((const real *)a->running_var)[f] + a->epsilon);
    }
}

CPU_CLONES
static void normalise(int64_t rows, int64_t F, const double *restrict mean, const double *restrict scale,
                      const real *restrict gamma, const real *restrict beta, const real *restrict x, real *restrict y) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t f = 0; f < F; f++)
            y[i * F + f] = (real)(((double)x[i * F + f] - mean[f]) * scale[f] * (double)gamma[f] + (double)beta[f]);
}

size_t CPU_NAME(batch_norm_reserve)(const crs_device *device, const crs_batch_norm *a) {
    (void)device;
    return (2 * (size_t)a->F + 1) * sizeof(double);
}

crs_status CPU_NAME(batch_norm_forward)(crs_device *device, const crs_batch_norm *a) {
    const int64_t F = a->F, tiles = tiles_of(a);
    const statistics s = statistics_of(a);
    if (a->training) {
        double *partial = cpu_scratch(device, (size_t)tiles * (2 * (size_t)F + 1) * sizeof(double));
        if (!partial)
            return CRS_ERR_MEMORY;
        batch_statistics(device, a, partial);
    } else {
        running_statistics(a);
    }
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows_of(a) * F >= PARALLEL_FROM)
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t first = i * TILE_ROWS;
        normalise(tile_end(a, i) - first, F, s.mean, s.scale, a->gamma, a->beta, (const real *)a->x + first * F,
                  (real *)a->y + first * F);
    }
    return CRS_OK;
}

/* ---- backward ---- */

/* Sums of dy and of dy xhat over a tile, xhat being (x - mean) scale. */
CPU_CLONES
static void tile_gradients(const tile *cut, int64_t F, const double *restrict mean, const double *restrict scale,
                           const real *x, const real *dy) {
    double *restrict dbeta = cut->partial + cut->f, *restrict dgamma = dbeta + F;
    double sum[COLUMNS] = {0}, product[COLUMNS] = {0};
    for (int64_t i = 0; i < cut->n; i++) {
        const int64_t at = cut->rows[i] * F + cut->f;
        for (int64_t j = 0; j < cut->columns; j++) {
            const double gradient = (double)dy[at + j];
            sum[j] += gradient;
            product[j] += gradient * (((double)x[at + j] - mean[cut->f + j]) * scale[cut->f + j]);
        }
    }
    for (int64_t j = 0; j < cut->columns; j++) {
        dbeta[j] = sum[j];
        dgamma[j] = product[j];
    }
}

/* Adds all tiles up into the first one's sums, and these to the gradients of the weights. */
static void finish_gradients(const crs_batch_norm *a, int64_t f, double *partial) {
    const int64_t F = a->F, end = f + columns_from(a, f), tiles = tiles_of(a);
    double *restrict dbeta = partial, *restrict dgamma = partial + F;
    for (int64_t i = 1; i < tiles; i++) {
        const double *restrict other = partial + 2 * i * F;
        for (int64_t j = f; j < end; j++) {
            dbeta[j] += other[j];
            dgamma[j] += other[F + j];
        }
    }
    for (int64_t j = f; j < end; j++) {
        ((real *)a->dbeta)[j] += (real)dbeta[j];
        ((real *)a->dgamma)[j] += (real)dgamma[j];
    }
}

/* dx = gamma scale (dy - mean of dy - xhat times mean of dy xhat): mean and variance depend on x as well. */
CPU_CLONES
static void tile_inputs(const tile *cut, int64_t F, double live, const double *restrict mean,
                        const double *restrict scale, const real *restrict gamma, const double *restrict sums,
                        const real *restrict x, const real *restrict dy, real *restrict dx) {
    for (int64_t i = 0; i < cut->n; i++) {
        const int64_t at = cut->rows[i] * F;
        for (int64_t f = 0; f < F; f++) {
            const double normal = ((double)x[at + f] - mean[f]) * scale[f];
            const double inner = (double)dy[at + f] - (sums[f] + normal * sums[F + f]) / live;
            dx[at + f] = (real)((double)gamma[f] * scale[f] * inner);
        }
    }
}

crs_status CPU_NAME(batch_norm_backward)(crs_device *device, const crs_batch_norm *a) {
    const int64_t F = a->F, tiles = tiles_of(a);
    const statistics s = statistics_of(a);
    double *partial = cpu_scratch(device, (size_t)tiles * 2 * (size_t)F * sizeof(double));
    if (!partial)
        return CRS_ERR_MEMORY;
#pragma omp parallel for collapse(2) schedule(static) num_threads(device->threads) if (rows_of(a) * F >= PARALLEL_FROM)
    for (int64_t i = 0; i < tiles; i++) {
        for (int64_t f = 0; f < F; f += COLUMNS) {
            tile cut;
            tile_cut(a, i, f, partial, &cut);
            tile_gradients(&cut, F, s.mean, s.scale, a->x, a->dy);
        }
    }
#pragma omp parallel for schedule(static) num_threads(device->threads) if (tiles * F >= PARALLEL_FROM)
    for (int64_t f = 0; f < F; f += COLUMNS)
        finish_gradients(a, f, partial);
    if (!a->dx)
        return CRS_OK;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows_of(a) * F >= PARALLEL_FROM)
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t first = i * TILE_ROWS, rows = tile_end(a, i) - first;
        tile cut;
        cut.n = live_rows(a, i, cut.rows);
        if (cut.n < rows)
            memset((real *)a->dx + first * F, 0, (size_t)(rows * F) * sizeof(real));
        tile_inputs(&cut, F, *s.live, s.mean, s.scale, a->gamma, partial, a->x, a->dy, a->dx);
    }
    return CRS_OK;
}
