/* Fully connected layer: y = act(x W^T + b), and its backward. */
#include "activation.cuh"
#include "gemm.cuh"

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
    return cuda_activate(device, a->activation, a->N, a->O, (const float *)a->b, (float *)a->y);
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
    CRS_TRY(
        cuda_activate_backward(device, a->activation, a->N, a->O, (const float *)a->y, (float *)a->dy, (float *)a->db));
    CRS_TRY(weights_backward(device, a));
    return a->dx ? input_backward(device, a) : CRS_OK;
}
