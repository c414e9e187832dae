/* A bound on the L2 norm of each row of weights. */
#include "row_group.cuh"

#include <math.h>

/* Keras' epsilon: it keeps a row of zeros from being divided by zero. */
static constexpr double EPSILON = 1e-7;

/* At most 56 registers. */
template <bool wide> static __global__ void bound_rows(unsigned lanes, int64_t rows, crs_max_norm a) {
    if (a.state->bad_step != 0)
        return;
    for (row_group<wide> group(lanes, rows); group.more(); group.next()) {
        const int64_t F = group.columns(a.F);
        float *w = (float *)a.w + group.row() * a.F;
        double squares = 0;
        for (int64_t f = group.lane; f < F; f += group.lanes)
            squares += (double)w[f] * (double)w[f];
        const double norm = sqrt(group.sum(squares));
        const double factor = (norm > a.limit ? a.limit : norm) / (EPSILON + norm);
        for (int64_t f = group.lane; f < F; f += group.lanes)
            w[f] = (float)((double)w[f] * factor);
    }
}

crs_status cuda_max_norm(crs_device *device, const crs_max_norm *a) {
    return cuda_launch_rows(device, a->N, a->F, bound_rows<false>, bound_rows<true>, *a);
}
