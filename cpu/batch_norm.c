/* Batch normalisation: statistics of each feature over the live steps, the map that follows from them, and its
 * backward. Sums are kept in double, in tiles that are put together in their order: neither many rows nor a large mean
 * cost digits, and the number of threads does not matter. */
#include "batch_norm_tiles.h"
#include "clones.h"

#include <math.h>
#include <string.h>

#define PARALLEL_FROM 16384 /* elements; below it waking threads costs more than they save */

/* The reserve, cut up: per feature, repeated where a piece of several rows wants it (widen). */
typedef struct statistics {
    double *live;  /* [1] number of live rows */
    double *mean;  /* [width_of] */
    double *scale; /* [width_of] 1 / sqrt(var + epsilon); 0 where nothing is live */
} statistics;

static statistics statistics_of(const crs_batch_norm *a) {
    double *live = a->reserve;
    return (statistics){live, live + 1, live + 1 + width_of(a)};
}

/* ---- forward ---- */

/* Deviations of a tile from the features' first values, and their squares, in one pass. A value of the tile's own is
 * no further from its mean than sqrt(rows) standard deviations, so that subtracting the squared mean of the deviations
 * costs two digits of a double's sixteen at most. Four pieces at a time: the sums are in memory. */
CPU_CLONES
static void sum_deviations(const tile *cut, int64_t f, int64_t columns, const real *x, const double *restrict shift,
                           double *restrict sum, double *restrict squares) {
    int64_t i = 0;
    for (; i + 4 <= cut->pieces; i += 4) {
        const real *x0 = x + cut->at[i] + f, *x1 = x + cut->at[i + 1] + f;
        const real *x2 = x + cut->at[i + 2] + f, *x3 = x + cut->at[i + 3] + f;
        for (int64_t j = 0; j < columns; j++) {
            const double d0 = (double)x0[j] - shift[j], d1 = (double)x1[j] - shift[j];
            const double d2 = (double)x2[j] - shift[j], d3 = (double)x3[j] - shift[j];
            sum[j] += (d0 + d1) + (d2 + d3);
            squares[j] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; i < cut->pieces; i++) {
        const real *row = x + cut->at[i] + f;
        for (int64_t j = 0; j < columns; j++) {
            const double deviation = (double)row[j] - shift[j];
            sum[j] += deviation;
            squares[j] += deviation * deviation;
        }
    }
}

/* Mean and sum of squared deviations of the features from the f-th on; partial: [2,F] of a tile that is not empty. */
static void tile_moments(const crs_batch_norm *a, const tile *cut, int64_t f, double *partial) {
    const int64_t F = a->F, features = columns_from(a, f), columns = columns_of(a, cut, f);
    const real *x = a->x;
    double *mean = partial + f, *deviations = mean + F;
    double shift[COLUMNS] = {0}, sum[COLUMNS] = {0}, squares[COLUMNS] = {0};
    for (int64_t j = 0; j < columns; j++)
        shift[j] = (double)x[cut->at[0] + f + j % features];
    sum_deviations(cut, f, columns, x, shift, sum, squares);
    fold(features, columns, sum);
    fold(features, columns, squares);
    for (int64_t j = 0; j < features; j++) {
        const double rest = squares[j] - sum[j] * sum[j] / (double)cut->rows;
        mean[j] = shift[j] + sum[j] / (double)cut->rows;
        deviations[j] = rest < 0 ? 0 : rest; /* a NaN stays */
    }
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
            cpu_tile_live(a, i, &cut);
            if (cut.rows > 0)
                tile_moments(a, &cut, f, partial + 2 * i * F);
            if (f == 0)
                counts[i] = (double)cut.rows;
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

/* factor: gamma scale. The mean is not put into beta: large ones would cost what their difference from x keeps. */
CPU_CLONES
static void normalise(const tile *cut, const double *restrict mean, const double *restrict factor,
                      const double *restrict beta, const real *restrict x, real *restrict y) {
    for (int64_t i = 0; i < cut->pieces; i++) {
        const int64_t at = cut->at[i];
        for (int64_t j = 0; j < cut->columns; j++)
            y[at + j] = (real)(((double)x[at + j] - mean[j]) * factor[j] + beta[j]);
    }
}

size_t CPU_NAME(batch_norm_reserve)(const crs_device *device, const crs_batch_norm *a) {
    (void)device;
    return (2 * (size_t)width_of(a) + 1) * sizeof(double);
}

crs_status CPU_NAME(batch_norm_forward)(crs_device *device, const crs_batch_norm *a) {
    const int64_t F = a->F, tiles = tiles_of(a), width = width_of(a);
    const size_t sums = a->training ? (size_t)tiles * (2 * (size_t)F + 1) : 0;
    double *factor = cpu_scratch(device, (sums + 2 * (size_t)width) * sizeof(double)), *beta = factor + width;
    const statistics s = statistics_of(a);
    if (!factor)
        return CRS_ERR_MEMORY;
    if (a->training)
        batch_statistics(device, a, beta + width);
    else
        running_statistics(a);
    for (int64_t f = 0; f < F; f++) {
        factor[f] = (double)((const real *)a->gamma)[f] * s.scale[f];
        beta[f] = (double)((const real *)a->beta)[f];
    }
    widen(a, s.mean);
    widen(a, s.scale);
    widen(a, factor);
    widen(a, beta);
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows_of(a) * F >= PARALLEL_FROM)
    for (int64_t i = 0; i < tiles; i++) {
        tile cut;
        cpu_tile_all(a, i, &cut);
        normalise(&cut, s.mean, factor, beta, a->x, a->y);
    }
    return CRS_OK;
}

/* ---- backward ---- */

/* Adds up dy and dy (x - mean), four pieces at a time. */
CPU_CLONES
static void sum_gradients(const tile *cut, int64_t f, int64_t columns, const double *restrict mean, const real *x,
                          const real *dy, double *restrict sum, double *restrict product) {
    int64_t i = 0;
    for (; i + 4 <= cut->pieces; i += 4) {
        const int64_t at0 = cut->at[i] + f, at1 = cut->at[i + 1] + f, at2 = cut->at[i + 2] + f,
                      at3 = cut->at[i + 3] + f;
        const real *x0 = x + at0, *x1 = x + at1, *x2 = x + at2, *x3 = x + at3;
        const real *dy0 = dy + at0, *dy1 = dy + at1, *dy2 = dy + at2, *dy3 = dy + at3;
        for (int64_t j = 0; j < columns; j++) {
            const double g0 = (double)dy0[j], g1 = (double)dy1[j], g2 = (double)dy2[j], g3 = (double)dy3[j];
            sum[j] += (g0 + g1) + (g2 + g3);
            product[j] += (g0 * ((double)x0[j] - mean[j]) + g1 * ((double)x1[j] - mean[j])) +
                          (g2 * ((double)x2[j] - mean[j]) + g3 * ((double)x3[j] - mean[j]));
        }
    }
    for (; i < cut->pieces; i++) {
        const real *row = x + cut->at[i] + f, *gradient = dy + cut->at[i] + f;
        for (int64_t j = 0; j < columns; j++) {
            sum[j] += (double)gradient[j];
            product[j] += (double)gradient[j] * ((double)row[j] - mean[j]);
        }
    }
}

/* Sums of dy and of dy xhat over a tile, xhat being (x - mean) scale; partial: [2,F]. */
static void tile_gradients(const crs_batch_norm *a, const tile *cut, int64_t f, double *partial) {
    const int64_t F = a->F, features = columns_from(a, f), columns = columns_of(a, cut, f);
    const statistics s = statistics_of(a);
    double *dbeta = partial + f, *dgamma = dbeta + F;
    double sum[COLUMNS] = {0}, product[COLUMNS] = {0};
    sum_gradients(cut, f, columns, s.mean + f, a->x, a->dy, sum, product);
    fold(features, columns, sum);
    fold(features, columns, product);
    for (int64_t j = 0; j < features; j++) {
        dbeta[j] = sum[j];
        dgamma[j] = product[j] * s.scale[f + j];
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

/* dx = gamma scale (dy - mean of dy - xhat times mean of dy xhat), since mean and variance depend on x as well; here as
 * factor (dy - mean of dy) - slope (x - mean), which is exactly zero where a single row is live. Each is [width_of]. */
typedef struct inputs_map {
    double *factor, *mean_dy, *slope;
} inputs_map;

static void map_inputs(const crs_batch_norm *a, const double *sums, const inputs_map *map) {
    const statistics s = statistics_of(a);
    for (int64_t f = 0; f < a->F; f++) {
        map->factor[f] = (double)((const real *)a->gamma)[f] * s.scale[f];
        map->mean_dy[f] = sums[f] / *s.live;
        map->slope[f] = map->factor[f] * s.scale[f] * sums[a->F + f] / *s.live;
    }
    widen(a, map->factor);
    widen(a, map->mean_dy);
    widen(a, map->slope);
}

CPU_CLONES
static void tile_inputs(const tile *cut, const double *restrict mean, const double *restrict factor,
                        const double *restrict mean_dy, const double *restrict slope, const real *restrict x,
                        const real *restrict dy, real *restrict dx) {
    for (int64_t i = 0; i < cut->pieces; i++) {
        const int64_t at = cut->at[i];
        for (int64_t j = 0; j < cut->columns; j++) {
            const double deviation = (double)x[at + j] - mean[j];
            dx[at + j] = (real)(factor[j] * ((double)dy[at + j] - mean_dy[j]) - slope[j] * deviation);
        }
    }
}

static void inputs_backward(const crs_device *device, const crs_batch_norm *a, const inputs_map *map) {
    const int64_t F = a->F, tiles = tiles_of(a);
    const statistics s = statistics_of(a);
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows_of(a) * F >= PARALLEL_FROM)
    for (int64_t i = 0; i < tiles; i++) {
        const int64_t first = i * TILE_ROWS, left = rows_of(a) - first, rows = left < TILE_ROWS ? left : TILE_ROWS;
        tile cut;
        cpu_tile_live(a, i, &cut);
        if (cut.rows < rows)
            memset((real *)a->dx + first * F, 0, (size_t)(rows * F) * sizeof(real));
        tile_inputs(&cut, s.mean, map->factor, map->mean_dy, map->slope, a->x, a->dy, a->dx);
    }
}

crs_status CPU_NAME(batch_norm_backward)(crs_device *device, const crs_batch_norm *a) {
    const int64_t F = a->F, tiles = tiles_of(a), width = width_of(a);
    double *partial = cpu_scratch(device, ((size_t)tiles * 2 * (size_t)F + 3 * (size_t)width) * sizeof(double));
    if (!partial)
        return CRS_ERR_MEMORY;
#pragma omp parallel for collapse(2) schedule(static) num_threads(device->threads) if (rows_of(a) * F >= PARALLEL_FROM)
    for (int64_t i = 0; i < tiles; i++) {
        for (int64_t f = 0; f < F; f += COLUMNS) {
            tile cut;
            cpu_tile_live(a, i, &cut);
            tile_gradients(a, &cut, f, partial + 2 * i * F);
        }
    }
#pragma omp parallel for schedule(static) num_threads(device->threads) if (tiles * F >= PARALLEL_FROM)
    for (int64_t f = 0; f < F; f += COLUMNS)
        finish_gradients(a, f, partial);
    if (!a->dx)
        return CRS_OK;
    double *factor = partial + 2 * tiles * F;
    const inputs_map map = {factor, factor + width, factor + 2 * width};
    map_inputs(a, partial, &map);
    inputs_backward(device, a, &map);
    return CRS_OK;
}
