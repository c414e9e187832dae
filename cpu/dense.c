/* Fully connected layer: y = act(x W^T + b), and its backward. */
#include "clones.h"
#include "cpu.h"
#include "elementary.h"
#include "gemm.h"

#include <string.h>

#define PARALLEL_FROM 16384 /* elements; below it waking threads costs more than they save */
#define BIAS_COLUMNS 64     /* a thread's share of the bias gradient */
#define BIAS_ROWS 64        /* rows summed before they join the total: keeps rounding errors from piling up */

CPU_CLONES
static void activate(crs_activation activation, int64_t n, const real *restrict b, real *restrict y) {
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

/* dy becomes the gradient before the activation; every derivative can be had from y. */
CPU_CLONES
static void activate_backward(crs_activation activation, int64_t n, const real *restrict y, real *restrict dy) {
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

static void bias_backward(const crs_device *device, const crs_dense *a) {
    const int64_t N = a->N, O = a->O;
    const real *dy = a->dy;
    real *db = a->db;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (N * O >= PARALLEL_FROM)
    for (int64_t j = 0; j < O; j += BIAS_COLUMNS) {
        for (int64_t i = 0; i < N; i += BIAS_ROWS) {
            cpu_column_sums(N - i < BIAS_ROWS ? N - i : BIAS_ROWS, O - j < BIAS_COLUMNS ? O - j : BIAS_COLUMNS,
                            dy + i * O + j, O, db + j);
        }
    }
}

crs_status CPU_NAME(dense_forward)(crs_device *device, const crs_dense *a) {
    const int64_t N = a->N, O = a->O;
    const cpu_product product = {.M = N,
                                 .N = O,
                                 .K = a->I,
                                 .A = a->x,
                                 .lda = a->I,
                                 .B = a->W,
                                 .ldb = a->I,
                                 .transpose_B = 1,
                                 .C = a->y,
                                 .ldc = O};
    const crs_status status = cpu_gemm(device, &product);
    if (status != CRS_OK)
        return status;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (N * O >= PARALLEL_FROM)
    for (int64_t i = 0; i < N; i++)
        activate(a->activation, O, a->b, (real *)a->y + i * O);
    return CRS_OK;
}

crs_status CPU_NAME(dense_backward)(crs_device *device, const crs_dense *a) {
    const int64_t N = a->N, I = a->I, O = a->O;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (N * O >= PARALLEL_FROM)
    for (int64_t i = 0; i < N; i++)
        activate_backward(a->activation, O, (const real *)a->y + i * O, (real *)a->dy + i * O);
    bias_backward(device, a);
    const cpu_product weights = {.M = O,
                                 .N = I,
                                 .K = N,
                                 .A = a->dy,
                                 .lda = O,
                                 .transpose_A = 1,
                                 .B = a->x,
                                 .ldb = I,
                                 .beta = 1,
                                 .C = a->dW,
                                 .ldc = I};
    const crs_status status = cpu_gemm(device, &weights);
    if (status != CRS_OK || !a->dx)
        return status;
    const cpu_product input = {.M = N, .N = I, .K = O, .A = a->dy, .lda = O, .B = a->W, .ldb = I, .C = a->dx, .ldc = I};
    return cpu_gemm(device, &input);
}
