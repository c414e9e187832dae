/* Bias and activation behind a product, and their backward: what dense, conv and onehot have in common. */
#ifndef CRS_CUDA_ACTIVATION_CUH
#define CRS_CUDA_ACTIVATION_CUH

#include "cuda.cuh"

#include <math.h>

static __device__ __forceinline__ float cuda_activation(crs_activation activation, float z) {
    if (activation == CRS_RELU)
        return z < 0 ? 0 : z; /* a NaN stays one */
    if (activation == CRS_TANH)
        return tanhf(z);
    return activation == CRS_SIGMOID ? 1 / (1 + expf(-z)) : z;
}

/* y = act(y + b) for each row of y [N,O]. */
crs_status cuda_activate(crs_device *device, crs_activation activation, int64_t N, int64_t O, const float *b, float *y);

/* dy [N,O] becomes the gradient before the activation, and its column sums are added to db [O]: one pass over y and dy.
 * The sums keep their digits over any number of rows. Uses cuda_scratch. */
crs_status cuda_activate_backward(crs_device *device, crs_activation activation, int64_t N, int64_t O, const float *y,
                                  float *dy, float *db);

#endif
