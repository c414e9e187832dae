/* Bias and activation behind a product, and their backward. */
#include "activation.h"

#include "clones.h"
#include "elementary.h"

#include <string.h>

#define PARALLEL_FROM 16384 /* elements; below it waking threads costs more than they save */
#define TILE 16384          /* elements that a thread takes at a time: what it reads twice stays in its cache */
#define ROWS 32             /* a tile has at least so many rows, or the sums would be nearly as many as the elements */
#define WIDTH 64            /* columns that narrow rows are summed in side by side */

CPU_CLONES
void cpu_activate(crs_activation activation, int64_t n, const real *restrict b, real *restrict y) {
    switch (activation) {
    case CRS_LINEAR:
        for (int64_t j = 0; j < n; j++)
            y[j] += b[j];
        break;
    case CRS_RELU:
        for (int64_t j = 0; j < n; j++) {
            const real z = y[j] + b[j];
            y[j] = z < 0 ? 0 : z;
        }
        break;
    case CRS_TANH:
        for (int64_t j = 0; j < n; j++)
            y[j] = cpu_tanh(y[j] + b[j]);
        break;
    case CRS_SIGMOID:
        for (int64_t j = 0; j < n; j++)
            y[j] = cpu_sigmoid(y[j] + b[j]);
        break;
    }
}

void cpu_activate_rows(const crs_device *device, crs_activation activation, int64_t N, int64_t O, const real *b,
                       real *y) {
#pragma omp parallel for schedule(static) num_threads(device->threads) if (N * O >= PARALLEL_FROM)
    for (int64_t i = 0; i < N; i++)
        cpu_activate(activation, O, b, y + i * O);
}

/* dy becomes the gradient before the activation; every derivative can be had from y. */
CPU_CLONES
static void derive(crs_activation activation, int64_t n, const real *restrict y, real *restrict dy) {
    switch (activation) {
    case CRS_LINEAR:
        break;
    case CRS_RELU:
        for (int64_t j = 0; j < n; j++)
            dy[j] = y[j] > 0 ? dy[j] : 0;
        break;
    case CRS_TANH:
        for (int64_t j = 0; j < n; j++)
            dy[j] *= 1 - y[j] * y[j];
        break;
    case CRS_SIGMOID:
        for (int64_t j = 0; j < n; j++)
            dy[j] *= y[j] * (1 - y[j]);
        break;
    }
}

/* sums[j] = sum over i of dy[i*width+j], for n elements. */
CPU_CLONES
static void sum_columns(int64_t n, int64_t width, const real *restrict dy, double *restrict sums) {
    memset(sums, 0, (size_t)width * sizeof *sums);
    for (int64_t i = 0; i < n; i += width) {
        const int64_t columns = n - i < width ? n - i : width;
        for (int64_t j = 0; j < columns; j++)
            sums[j] += (double)dy[i + j];
    }
}

/* Narrow rows are taken several at a time, as one of about WIDTH columns. Each tile leaves its own sums, in double;
 * tiles follow from the sizes alone and are added up in their order. */
crs_status cpu_activate_backward(crs_device *device, crs_activation activation, int64_t N, int64_t O, const real *y,
                                 real *dy, real *db) {
    const int64_t width = O < WIDTH ? WIDTH / O * O : O;
    const int64_t rows = TILE / width > ROWS ? TILE / width : ROWS, tile = rows * width;
    const int64_t tiles = (N * O + tile - 1) / tile;
    double *sums = cpu_scratch(device, (size_t)tiles * (size_t)width * sizeof *sums);
    if (!sums)
        return CRS_ERR_MEMORY;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (N * O >= PARALLEL_FROM)
    for (int64_t k = 0; k < tiles; k++) {
        const int64_t first = k * tile, n = N * O - first < tile ? N * O - first : tile;
        derive(activation, n, y + first, dy + first);
        sum_columns(n, width, dy + first, sums + k * width);
    }
    for (int64_t j = 0; j < O; j++) {
        double sum = 0;
        for (int64_t k = j; k < tiles * width; k += O)
            sum += sums[k];
        db[j] += (real)sum;
    }
    return CRS_OK;
}
