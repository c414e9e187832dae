/* Fully connected layer: y = act(x W^T + b), and its backward. */
#include "gemm.cuh"
#include "matrix.cuh"

#include <math.h>

/* At most 56 registers. */
static __global__ void activate(crs_activation activation, int64_t rows, int64_t columns, const float *__restrict__ b,
                                float *__restrict__ y) {
    for (int64_t i = matrix_walk::first_row(); i < rows; i += matrix_walk::row_stride())
        for (int64_t j = matrix_walk::first_column(); j < columns; j += matrix_walk::column_stride()) {
            const float z = y[i * columns + j] + b[j];
            float value = z;
            if (activation == CRS_RELU)
                value = z < 0 ? 0 : z; /* a NaN stays one */
            else if (activation == CRS_TANH)
                value = tanhf(z);
            else if (activation == CRS_SIGMOID)
                value = 1 / (1 + expf(-z));
            y[i * columns + j] = value;
        }
}

crs_status cuda_dense_forward(crs_device *device, const crs_dense *a) {
    cuda_product product = {};
    product.M = a->N;
    product.N = a->O;
    product.K = a->I;
    product.A = (const float *)a->x;
    product.lda = a->I;
    product.B = (const float *)a->W;
    product.ldb = a->I;
    product.transpose_B = true;
    product.C = (float *)a->y;
    product.ldc = a->O;
    CRS_TRY(cuda_gemm(device, product));
    return cuda_launch_matrix(device, a->N, a->O, activate, a->activation, a->N, a->O, (const float *)a->b,
                              (float *)a->y);
}

/* dy becomes the gradient before the activation; every derivative can be had from y. At most 32 registers. */
static __global__ void activate_backward(crs_activation activation, int64_t n, const float *__restrict__ y,
                                         float *__restrict__ dy) {
    for (int64_t i = cuda_first(); i < n; i += cuda_stride()) {
        if (activation == CRS_RELU)
            dy[i] = y[i] > 0 ? dy[i] : 0;
        else if (activation == CRS_TANH)
            dy[i] *= 1 - y[i] * y[i];
        else
            dy[i] *= y[i] * (1 - y[i]);
    }
}

static crs_status weights_backward(crs_device *device, const crs_dense *a) {
    cuda_product product = {};
    product.M = a->O;
    product.N = a->I;
    product.K = a->N;
    product.A = (const float *)a->dy;
    product.lda = a->O;
    product.transpose_A = true;
    product.B = (const float *)a->x;
    product.ldb = a->I;
    product.beta = 1;
    product.C = (float *)a->dW;
    product.ldc = a->I;
    return cuda_gemm(device, product);
}

static crs_status input_backward(crs_device *device, const crs_dense *a) {
    cuda_product product = {};
    product.M = a->N;
    product.N = a->I;
    product.K = a->O;
    product.A = (const float *)a->dy;
    product.lda = a->O;
    product.B = (const float *)a->W;
    product.ldb = a->I;
    product.C = (float *)a->dx;
    product.ldc = a->I;
    return cuda_gemm(device, product);
}

crs_status cuda_dense_backward(crs_device *device, const crs_dense *a) {
    if (a->activation != CRS_LINEAR)
        CRS_TRY(cuda_launch_over(device, a->N * a->O, activate_backward, a->activation, a->N * a->O,
                                 (const float *)a->y, (float *)a->dy));
    CRS_TRY(cuda_column_sums(device, a->N, a->O, (const float *)a->dy, a->O, (float *)a->db));
    CRS_TRY(weights_backward(device, a));
    return a->dx ? input_backward(device, a) : CRS_OK;
}
