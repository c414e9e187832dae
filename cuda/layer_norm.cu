/* Layer normalisation: every row by its own mean and variance, and its backward. */
#include "normal.cuh"
#include "row_group.cuh"

#include <math.h>

/* The mean is taken from differences to the row's first number, and the variance from differences to the mean: what
 * numbers have in common cancels before anything is rounded. At most 64 registers. */
template <bool wide>
static __global__ void normalise_rows(unsigned lanes, int64_t rows, crs_layer_norm a, normal_map *__restrict__ maps) {
    const float *__restrict__ gamma = (const float *)a.gamma, *__restrict__ beta = (const float *)a.beta;
    for (row_group<wide> group(lanes, rows); group.more(); group.next()) {
        const int64_t F = group.columns(a.F);
        const float *__restrict__ x = (const float *)a.x + group.row() * a.F;
        float *__restrict__ y = (float *)a.y + group.row() * a.F;
        const float pivot = x[0], share = 1 / (float)a.F;
        float sum = 0, squares = 0;
        for (int64_t f = group.lane; f < F; f += group.lanes)
            sum += x[f] - pivot;
        const float offset = group.sum(sum) * share;
        normal_map map = {pivot + offset, 0, 0, share};
        map.rest = (pivot - map.mean) + offset;
        for (int64_t f = group.lane; f < F; f += group.lanes)
            squares += map.centred(x[f]) * map.centred(x[f]);
        map.scale = 1 / sqrtf(group.sum(squares) * share + (float)a.epsilon);
        for (int64_t f = group.lane; f < F; f += group.lanes)
            y[f] = map.normal(x[f]) * gamma[f] + beta[f];
        if (F > 0 && group.lane == 0)
            maps[group.row()] = map;
    }
}

size_t cuda_layer_norm_reserve(const crs_device *device, const crs_layer_norm *a) {
    (void)device;
    return (size_t)a->N * sizeof(normal_map);
}

crs_status cuda_layer_norm_forward(crs_device *device, const crs_layer_norm *a) {
    return cuda_launch_rows(device, a->N, a->F, normalise_rows<false>, normalise_rows<true>, *a,
                            (normal_map *)a->reserve);
}

/* dx = scale (d - mean of d - normal x times mean of d normal x), d being gamma dy: mean and variance depend on x as
 * well. At most 56 registers. */
template <bool wide>
static __global__ void input_rows(unsigned lanes, int64_t rows, crs_layer_norm a, const normal_map *__restrict__ maps) {
    const float *__restrict__ gamma = (const float *)a.gamma;
    for (row_group<wide> group(lanes, rows); group.more(); group.next()) {
        const int64_t F = group.columns(a.F), at = group.row() * a.F;
        const float *__restrict__ x = (const float *)a.x + at, *__restrict__ dy = (const float *)a.dy + at;
        const normal_map map = maps[group.row()];
        float sum = 0, product = 0;
        for (int64_t f = group.lane; f < F; f += group.lanes) {
            const float d = gamma[f] * dy[f];
            sum += d;
            product += d * map.normal(x[f]);
        }
        const float mean = group.sum(sum) * map.share, slope = group.sum(product) * map.share;
        for (int64_t f = group.lane; f < F; f += group.lanes)
            ((float *)a.dx)[at + f] = map.scale * (gamma[f] * dy[f] - mean - map.normal(x[f]) * slope);
    }
}

/* Every row counts, and has its own map. */
struct layer_rows {
    const normal_map *maps; /* [N] */

    struct walk {
        const normal_map *at;
        int64_t stride;

        __device__ __forceinline__ walk(const layer_rows &rows, int64_t, int64_t row, int64_t stride_)
            : at(rows.maps + row), stride(stride_) {}
        __device__ __forceinline__ void next() {
            at += stride;
        }
        __device__ __forceinline__ bool counts() const {
            return true;
        }
        __device__ __forceinline__ normal_map map() const {
            return *at;
        }
    };
};

crs_status cuda_layer_norm_backward(crs_device *device, const crs_layer_norm *a) {
    const column_slices slices(a->N, a->F);
    const normal_map *maps = (const normal_map *)a->reserve;
    void *scratch;
    CRS_TRY(cuda_scratch(device, normal_scratch(slices), &scratch));
    CRS_TRY(
        cuda_normal_gradients(device, layer_rows{maps}, slices, a->x, a->dy, a->dgamma, a->dbeta, NULL, scratch, NULL));
    if (!a->dx)
        return CRS_OK;
    return cuda_launch_rows(device, a->N, a->F, input_rows<false>, input_rows<true>, *a, maps);
}
