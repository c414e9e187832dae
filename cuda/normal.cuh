/* What batch and layer normalisation share: how a number is normalised, and the gradients of gamma and beta. */
#ifndef CRS_CUDA_NORMAL_CUH
#define CRS_CUDA_NORMAL_CUH

#include "column_slices.cuh"

/* A number's way to mean 0 and variance 1. A float alone has too few digits for a mean that is large against what
 * differs from it: the mean is the sum of two, of which the first leaves an exact difference where it matters. */
struct __align__(16) normal_map {
    float mean, rest;
    float scale; /* 1 / sqrt(var + epsilon) */
    float share; /* 1 / how many numbers are behind the mean */

    __device__ __forceinline__ float centred(float x) const {
        return (x - mean) - rest;
    }
    __device__ __forceinline__ float normal(float x) const {
        return centred(x) * scale;
    }
};

/* Sums of dy and of dy times the normalised x: the gradients of beta and gamma. */
struct normal_sums {
    double dbeta, dgamma;

    __device__ __forceinline__ void include(const normal_sums &other) {
        dbeta += other.dbeta;
        dgamma += other.dgamma;
    }
};

/* partial[slice,column]. Rows::walk goes over the rows of a column: whether one counts, and its map.
 * At most 72 registers. */
template <class Rows>
static __global__ void sum_gradients(Rows source, column_slices slices, const float *__restrict__ x,
                                     const float *__restrict__ dy, normal_sums *__restrict__ partial) {
    CUDA_SHARED_ARRAY(normal_sums, shared, CUDA_BLOCK);
    const int64_t j = column_slices::column(), columns = slices.columns, end = slices.end_row();
    normal_sums sums = {0, 0};
    if (j < columns) {
        typename Rows::walk walk(source, j, slices.first_row(), blockDim.y);
        for (int64_t row = slices.first_row(); row < end;) {
            float sum = 0, product = 0;
            for (int k = 0; k < SLICE_CHUNK && row < end; k++, row += blockDim.y, walk.next()) {
                if (!walk.counts())
                    continue;
                const float gradient = dy[row * columns + j];
                sum += gradient;
                product += gradient * walk.map().normal(x[row * columns + j]);
            }
            sums.include({(double)sum, (double)product});
        }
    }
    join_columns(sums, shared);
    if (threadIdx.y == 0 && j < columns)
        partial[blockIdx.y * columns + j] = sums;
}

/* Adds the slices up, and their sums to dgamma and dbeta. means, unless NULL: [columns] both sums times the map's
 * share. At most 48 registers. */
static __global__ void add_gradients(column_slices slices, const normal_sums *__restrict__ partial,
                                     float *__restrict__ dgamma, float *__restrict__ dbeta,
                                     const normal_map *__restrict__ maps, float2 *__restrict__ means) {
    CUDA_SHARED_ARRAY(normal_sums, shared, CUDA_BLOCK);
    const int64_t j = column_slices::column();
    normal_sums sums = {0, 0};
    for (int64_t slice = threadIdx.y; j < slices.columns && slice < slices.slices; slice += blockDim.y)
        sums.include(partial[slice * slices.columns + j]);
    join_columns(sums, shared);
    if (threadIdx.y > 0 || j >= slices.columns)
        return;
    dgamma[j] += (float)sums.dgamma;
    dbeta[j] += (float)sums.dbeta;
    if (means)
        means[j] =
            make_float2((float)(sums.dbeta * (double)maps[j].share), (float)(sums.dgamma * (double)maps[j].share));
}

/* Bytes of cuda_scratch that the two take, up to where means may begin. */
static inline size_t normal_scratch(const column_slices &slices) {
    return (size_t)slices.slices * (size_t)slices.columns * sizeof(normal_sums);
}

template <class Rows>
static crs_status cuda_normal_gradients(crs_device *device, const Rows &source, const column_slices &slices,
                                        const void *x, const void *dy, void *dgamma, void *dbeta,
                                        const normal_map *maps, void *scratch, float2 *means) {
    CRS_TRY(cuda_launch(device, sum_gradients<Rows>, slices.slice_grid(), slices.block(), 0, source, slices,
                        (const float *)x, (const float *)dy, (normal_sums *)scratch));
    return cuda_launch(device, add_gradients, slices.finish_grid(), slices.block(), 0, slices,
                       (const normal_sums *)scratch, (float *)dgamma, (float *)dbeta, maps, means);
}

#endif
