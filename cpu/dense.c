/* Fully connected layer: y = act(x W^T + b), and its backward. */
#include "activation.h"
#include "gemm.h"

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
    cpu_activate_rows(device, a->activation, N, O, a->b, a->y);
    return CRS_OK;
}

crs_status CPU_NAME(dense_backward)(crs_device *device, const crs_dense *a) {
    const int64_t N = a->N, I = a->I, O = a->O;
    crs_status status = cpu_activate_backward(device, a->activation, N, O, a->y, a->dy, a->db);
    if (status != CRS_OK)
        return status;
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
    status = cpu_gemm(device, &weights);
    if (status != CRS_OK || !a->dx)
        return status;
    const cpu_product input = {.M = N, .N = I, .K = O, .A = a->dy, .lda = O, .B = a->W, .ldb = I, .C = a->dx, .ldc = I};
    return cpu_gemm(device, &input);
}
