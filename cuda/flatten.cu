/* Flattening: the steps of a row, one behind the other. */
#include "live.cuh"
#include "matrix.cuh"

/* Between [T,B,F] and [B,T*F]. At most 48 registers. */
static __global__ void flatten(crs_steps steps, int64_t F, bool forward, const float *__restrict__ from,
                               float *__restrict__ to) {
    for (int64_t row = matrix_walk::first_row(); row < steps.T * steps.B; row += matrix_walk::row_stride()) {
        const int64_t t = row / steps.B, b = row % steps.B;
        const int64_t apart = row * F, flat = (b * steps.T + t) * F;
        const bool is_live = live_steps(steps, b).contains(t);
        for (int64_t f = matrix_walk::first_column(); f < F; f += matrix_walk::column_stride())
            to[(forward ? flat : apart) + f] = is_live ? from[(forward ? apart : flat) + f] : 0;
    }
}

crs_status cuda_flatten_forward(crs_device *device, const crs_flatten *a) {
    return cuda_launch_matrix(device, a->steps.T * a->steps.B, a->F, flatten, a->steps, a->F, true, (const float *)a->x,
                              (float *)a->y);
}

crs_status cuda_flatten_backward(crs_device *device, const crs_flatten *a) {
    return cuda_launch_matrix(device, a->steps.T * a->steps.B, a->F, flatten, a->steps, a->F, false,
                              (const float *)a->dy, (float *)a->dx);
}
