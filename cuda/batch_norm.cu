/* Batch normalisation: statistics of each feature over the live steps, the map that follows from them, and its
 * backward. */
#include "live.cuh"
#include "normal.cuh"

#include <math.h>

/* The rows [T,B,P], and each feature's map. */
struct batch_rows {
    crs_steps steps;
    int64_t P;
    const normal_map *maps; /* [F] */

    /* Goes over the rows of one feature in equal strides. Steps and positions are counted along, and not at all where
     * everything is live: dividing each row's number would cost more than what is done with the row. */
    struct walk {
        crs_steps steps;
        int64_t P;
        bool ragged;
        int64_t t, b, p;                      /* of the row */
        int64_t t_stride, b_stride, p_stride; /* of the stride */
        const normal_map *of_feature;

        __device__ __forceinline__ walk(const batch_rows &rows, int64_t feature, int64_t row, int64_t stride)
            : steps(rows.steps), P(rows.P), ragged(steps.start || steps.len), t(0), b(0), p(0), t_stride(0),
              b_stride(0), p_stride(0), of_feature(rows.maps + feature) {
            if (!ragged)
                return;
            split(row, t, b, p);
            split(stride, t_stride, b_stride, p_stride);
        }
        __device__ __forceinline__ void split(int64_t row, int64_t &step, int64_t &batch_row, int64_t &position) const {
            step = row / P / steps.B;
            batch_row = row / P % steps.B;
            position = row % P;
        }
        __device__ __forceinline__ void next() {
            if (!ragged)
                return;
            p += p_stride;
            b += b_stride + (p >= P);
            p -= p >= P ? P : 0;
            t += t_stride + (b >= steps.B);
            b -= b >= steps.B ? steps.B : 0;
        }
        /* t may lie behind the end. */
        __device__ __forceinline__ bool counts() const {
            return !ragged || live_steps(steps, b).contains(t);
        }
        __device__ __forceinline__ normal_map map() const {
            return *of_feature;
        }
    };
};

static batch_rows rows_of(const crs_batch_norm *a) {
    return {a->steps, a->P, (const normal_map *)a->reserve};
}

static column_slices slices_of(const crs_batch_norm *a) {
    return column_slices(a->steps.T * a->steps.B * a->P, a->F);
}

/* ---- forward ---- */

/* Of some numbers: how many they are, their mean, and the sum of their squared deviations from it. */
struct batch_moments {
    double count, mean, deviations;

    /* Chan, Golub and LeVeque 1979. The share is a float: most GPUs divide doubles slowly, and it only weighs how far
     * two means are apart. */
    __device__ __forceinline__ void include(const batch_moments &other) {
        const double apart = other.mean - mean, total = count + other.count;
        const double share = total > 0 ? (double)((float)other.count / (float)total) : 0;
        mean += apart * share;
        deviations += other.deviations + apart * apart * count * share;
        count = total;
    }
};

/* The moments of up to SLICE_CHUNK rows, which the walk leaves behind. They are kept in registers: the mean is taken
 * from differences to the first live one, and the deviations from the mean, so that what numbers have in common cancels
 * before anything is rounded. */
static __device__ __forceinline__ batch_moments chunk_moments(const float *__restrict__ x, int64_t F, int64_t row,
                                                              int64_t end, batch_rows::walk &walk) {
    float values[SLICE_CHUNK], pivot = 0, sum = 0, squares = 0;
    unsigned live = 0;
#pragma unroll 1
    for (int k = 0; k < SLICE_CHUNK; k++, walk.next())
        live |= (unsigned)(row + k * blockDim.y < end && walk.counts()) << k;
    x += row * F;
#pragma unroll
    for (int k = 0; k < SLICE_CHUNK; k++, x += blockDim.y * F)
        values[k] = live >> k & 1 ? *x : 0;
#pragma unroll
    for (int k = SLICE_CHUNK - 1; k >= 0; k--)
        pivot = live >> k & 1 ? values[k] : pivot;
    const float count = (float)__popc(live);
#pragma unroll
    for (int k = 0; k < SLICE_CHUNK; k++)
        sum += live >> k & 1 ? values[k] - pivot : 0;
    const float offset = live ? sum / count : 0;
#pragma unroll
    for (int k = 0; k < SLICE_CHUNK; k++) {
        const float deviation = live >> k & 1 ? (values[k] - pivot) - offset : 0;
        squares += deviation * deviation;
    }
    return {(double)count, (double)pivot + (double)offset, (double)squares};
}

/* partial[slice,feature]. At most 80 registers. */
static __global__ void slice_moments(batch_rows rows, column_slices slices, const float *__restrict__ x,
                                     batch_moments *__restrict__ partial) {
    CUDA_SHARED_ARRAY(batch_moments, shared, CUDA_BLOCK);
    const int64_t f = column_slices::column(), F = slices.columns, end = slices.end_row();
    batch_moments moments = {0, 0, 0};
    if (f < F) {
        batch_rows::walk walk(rows, f, slices.first_row(), blockDim.y);
        for (int64_t row = slices.first_row(); row < end; row += SLICE_CHUNK * blockDim.y)
            moments.include(chunk_moments(x + f, F, row, end, walk));
    }
    join_columns(moments, shared);
    if (threadIdx.y == 0 && f < F)
        partial[blockIdx.y * F + f] = moments;
}

/* Where nothing is live, the map takes everything to 0. At most 64 registers. */
static __global__ void finish_moments(crs_batch_norm a, column_slices slices, const batch_moments *__restrict__ partial,
                                      normal_map *__restrict__ maps) {
    CUDA_SHARED_ARRAY(batch_moments, shared, CUDA_BLOCK);
    const int64_t f = column_slices::column(), F = slices.columns;
    batch_moments moments = {0, 0, 0};
    for (int64_t slice = threadIdx.y; f < F && slice < slices.slices; slice += blockDim.y)
        moments.include(partial[slice * F + f]);
    join_columns(moments, shared);
    if (threadIdx.y > 0 || f >= F)
        return;
    normal_map map = {0, 0, 0, 0};
    if (moments.count > 0) {
        const double variance = moments.deviations / moments.count, fresh = 1 - a.momentum;
        float *running_mean = (float *)a.running_mean + f, *running_var = (float *)a.running_var + f;
        map.mean = (float)moments.mean;
        map.rest = (float)(moments.mean - (double)map.mean);
        map.scale = (float)(1 / sqrt(variance + a.epsilon));
        map.share = (float)(1 / moments.count);
        if (isfinite((float)variance)) { /* a batch gone wrong is no reason to forget the good ones */
            *running_mean = (float)(a.momentum * (double)*running_mean + fresh * moments.mean);
            *running_var = (float)(a.momentum * (double)*running_var + fresh * variance);
        }
    }
    maps[f] = map;
}

/* Not training: the map of the running statistics. At most 40 registers. */
static __global__ void running_maps(crs_batch_norm a, normal_map *__restrict__ maps) {
    for (int64_t f = cuda_first(); f < a.F; f += cuda_stride()) {
        const double variance = (double)((const float *)a.running_var)[f];
        maps[f] = {((const float *)a.running_mean)[f], 0, (float)(1 / sqrt(variance + a.epsilon)), 0};
    }
}

/* At most 56 registers. */
static __global__ void normalise(int64_t rows, crs_batch_norm a, const normal_map *__restrict__ maps) {
    const float *__restrict__ x = (const float *)a.x;
    float *__restrict__ y = (float *)a.y;
    for (int64_t f = matrix_walk::first_column(); f < a.F; f += matrix_walk::column_stride()) {
        const normal_map map = maps[f];
        const float gamma = ((const float *)a.gamma)[f], beta = ((const float *)a.beta)[f];
        for (int64_t row = matrix_walk::first_row(); row < rows; row += matrix_walk::row_stride())
            y[row * a.F + f] = map.normal(x[row * a.F + f]) * gamma + beta;
    }
}

size_t cuda_batch_norm_reserve(const crs_device *device, const crs_batch_norm *a) {
    (void)device;
    return (size_t)a->F * sizeof(normal_map);
}

static crs_status batch_statistics(crs_device *device, const crs_batch_norm *a) {
    const column_slices slices = slices_of(a);
    void *partial;
    CRS_TRY(cuda_scratch(device, (size_t)slices.slices * (size_t)a->F * sizeof(batch_moments), &partial));
    CRS_TRY(cuda_launch(device, slice_moments, slices.slice_grid(), slices.block(), 0, rows_of(a), slices,
                        (const float *)a->x, (batch_moments *)partial));
    return cuda_launch(device, finish_moments, slices.finish_grid(), slices.block(), 0, *a, slices,
                       (const batch_moments *)partial, (normal_map *)a->reserve);
}

crs_status cuda_batch_norm_forward(crs_device *device, const crs_batch_norm *a) {
    const int64_t rows = slices_of(a).rows;
    if (a->training)
        CRS_TRY(batch_statistics(device, a));
    else
        CRS_TRY(cuda_launch_over(device, a->F, running_maps, *a, (normal_map *)a->reserve));
    return cuda_launch_matrix(device, rows, a->F, normalise, rows, *a, (const normal_map *)a->reserve);
}

/* ---- backward ---- */

/* dx = gamma scale (dy - mean of dy - normal x times mean of dy normal x): mean and variance depend on x as well.
 * At most 80 registers. */
static __global__ void input_gradients(int64_t rows, batch_rows source, crs_batch_norm a,
                                       const float2 *__restrict__ means) {
    const float *__restrict__ x = (const float *)a.x, *__restrict__ dy = (const float *)a.dy;
    for (int64_t f = matrix_walk::first_column(); f < a.F; f += matrix_walk::column_stride()) {
        batch_rows::walk walk(source, f, matrix_walk::first_row(), matrix_walk::row_stride());
        const normal_map map = walk.map();
        const float factor = ((const float *)a.gamma)[f] * map.scale;
        const float2 mean = means[f];
        for (int64_t row = matrix_walk::first_row(); row < rows; row += matrix_walk::row_stride(), walk.next()) {
            const int64_t at = row * a.F + f;
            ((float *)a.dx)[at] = walk.counts() ? factor * (dy[at] - mean.x - map.normal(x[at]) * mean.y) : 0;
        }
    }
}

crs_status cuda_batch_norm_backward(crs_device *device, const crs_batch_norm *a) {
    const column_slices slices = slices_of(a);
    const batch_rows rows = rows_of(a);
    const size_t sums = normal_scratch(slices);
    void *scratch;
    CRS_TRY(cuda_scratch(device, sums + (size_t)a->F * sizeof(float2), &scratch));
    float2 *means = (float2 *)((char *)scratch + sums);
    CRS_TRY(cuda_normal_gradients(device, rows, slices, a->x, a->dy, a->dgamma, a->dbeta, rows.maps, scratch, means));
    if (!a->dx)
        return CRS_OK;
    return cuda_launch_matrix(device, slices.rows, a->F, input_gradients, slices.rows, rows, *a, (const float2 *)means);
}
