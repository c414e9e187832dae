/* Convolution over one-hot inputs, and its backward, without the inputs: for what a window sees of them, rows of W are
 * gathered. Where a one falls into a window decides everything: the outputs of a picture (I = 1) that see none are all
 * act(b). */
#include "activation.cuh"
#include "conv.cuh"
#include "live.cuh"
#include "matrix.cuh"
#include "sort.cuh"

/* Columns of W: the taps of the window times the features. */
static __host__ __device__ __forceinline__ int64_t columns_of(const crs_conv &a) {
    return a.window.size[0] * a.window.size[1] * a.I;
}

/* The place of the one in x[t,b], position times I plus feature; -1: there is none, or the step is dead. */
static __device__ __forceinline__ int64_t one_at(const crs_conv &a, int64_t t, int64_t b) {
    if (t < 0 || !live_steps(a.steps, b).contains(t))
        return -1;
    return (int64_t)a.ids[t * a.steps.B + b] - 1;
}

static __device__ __forceinline__ int64_t position_of(const crs_conv &a, int64_t one) {
    return a.P == 1 ? 0 : one;
}

static __device__ __forceinline__ int64_t feature_of(const crs_conv &a, int64_t one) {
    return a.P == 1 ? one : 0;
}

/* The column of W through which output (t,b,p) sees the one in its window's i-th step; -1: it sees none. */
static __device__ __forceinline__ int64_t column_seen(const crs_conv &a, int64_t t, int64_t b, int64_t p, int64_t i) {
    const int64_t one = one_at(a, seen_input(a.window, 0, t, i, a.steps.T), b);
    const int64_t j = one < 0 ? -1 : tap_between(a.window, 1, p, position_of(a, one));
    return j < 0 ? -1 : (i * a.window.size[1] + j) * a.I + feature_of(a, one);
}

/* ---- forward ---- */

/* to[column,o] = W[o,column]. At most 56 registers. */
static __global__ void turn_columns(int64_t O, int64_t columns, const float *__restrict__ W, float *__restrict__ to) {
    for (int64_t c = matrix_walk::first_row(); c < columns; c += matrix_walk::row_stride())
        for (int64_t o = matrix_walk::first_column(); o < O; o += matrix_walk::column_stride())
            to[c * O + o] = W[o * columns + c];
}

/* Output (t,b,p,o), given what W's rows [columns,O] are. */
static __device__ __forceinline__ float output_at(const crs_conv &a, const float *W, int64_t t, int64_t b, int64_t p,
                                                  int64_t o) {
    float sum = 0;
    for (int64_t i = 0; i < a.window.size[0]; i++) {
        const int64_t column = column_seen(a, t, b, p, i);
        if (column >= 0)
            sum += W[column * a.O + o];
    }
    return cuda_activation(a.activation, sum + ((const float *)a.b)[o]);
}

/* Inputs of one position: every output on its own. At most 64 registers. */
static __global__ void write_outputs(crs_conv a, const float *W) {
    const int64_t rows = a.T_out * a.steps.B * a.P_out, O = a.O;
    for (int64_t r = matrix_walk::first_row(); r < rows; r += matrix_walk::row_stride()) {
        const int64_t step = r / a.P_out, p = r - step * a.P_out, t = step / a.steps.B, b = step - t * a.steps.B;
        for (int64_t o = matrix_walk::first_column(); o < O; o += matrix_walk::column_stride())
            ((float *)a.y)[r * O + o] = output_at(a, W, t, b, p, o);
    }
}

/* Inputs of many positions: a block takes all outputs of one step of one row, first as if there were no ones, then
 * again those that see one. At most 80 registers. */
static __global__ void write_positions(crs_conv a, const float *W) {
    const int64_t B = a.steps.B, O = a.O, width = a.P_out * O, taps = a.window.size[0] * a.window.size[1];
    const int64_t hop = blockDim.x % O;
    for (int64_t row = blockIdx.x; row < a.T_out * B; row += gridDim.x) {
        const int64_t t = row / B, b = row - t * B;
        float *y = (float *)a.y + row * width;
        int64_t o = threadIdx.x % O;
        for (int64_t e = threadIdx.x; e < width; e += blockDim.x) {
            y[e] = cuda_activation(a.activation, ((const float *)a.b)[o]);
            o = o + hop < O ? o + hop : o + hop - O;
        }
        __syncthreads();
        for (int64_t k = threadIdx.x; k < taps * O; k += blockDim.x) {
            const int64_t tap = k / O, i = tap / a.window.size[1], j = tap - i * a.window.size[1];
            const int64_t one = one_at(a, seen_input(a.window, 0, t, i, a.steps.T), b);
            const int64_t p = one < 0 ? -1 : seeing_output(a.window, 1, one, j, a.P_out);
            bool is_first = p >= 0; /* of the window's steps whose one the output sees */
            for (int64_t earlier = 0; is_first && earlier < i; earlier++)
                is_first = column_seen(a, t, b, p, earlier) < 0;
            if (is_first)
                y[p * O + k - tap * O] = output_at(a, W, t, b, p, k - tap * O);
        }
    }
}

crs_status cuda_onehot_forward(crs_device *device, const crs_conv *a) {
    const int64_t columns = columns_of(*a), rows = a->T_out * a->steps.B;
    float *W = (float *)a->reserve;
    CRS_TRY(cuda_launch_matrix(device, columns, a->O, turn_columns, a->O, columns, (const float *)a->W, W));
    if (a->P == 1)
        return cuda_launch_matrix(device, rows * a->P_out, a->O, write_outputs, *a, (const float *)W);
    return cuda_launch(device, write_positions, dim3(cuda_grid(device, rows * CUDA_BLOCK)), dim3(CUDA_BLOCK), 0, *a,
                       (const float *)W);
}

/* ---- backward ---- */

/* The ids, in order and in equal slices, whose ones may have been seen through a column of W. */
struct id_range {
    int64_t from, to;
};

/* The first of the sorted ids that is not below `id`. */
static __device__ __forceinline__ int64_t first_of(const cuda_sorted &sorted, int64_t n, int64_t id) {
    int64_t from = 0, to = n;
    while (from < to) {
        const int64_t middle = (from + to) / 2;
        if (sorted.ids[middle] < id)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* The part of a range that is number `part` of `parts`. */
static __device__ __forceinline__ id_range part_of(const id_range &range, int64_t part, int64_t parts) {
    const int64_t size = (range.to - range.from + parts - 1) / parts, from = range.from + part * size;
    return {from, from + size < range.to ? from + size : range.to};
}

/* partial[slice,column,o] = sum of dy[t,b,p,o] over the outputs that see a one of the slice through the column. A block
 * takes a column: threadIdx.x is the output, threadIdx.y a share of the slice, the shares being added in their order.
 * Which ids have the feature the sorted list tells; without one there is one feature and a slice of all ids.
 * At most 80 registers. */
static __global__ void sum_columns(crs_conv a, cuda_sorted sorted, int64_t slices, double *__restrict__ partial) {
    CUDA_SHARED_ARRAY(double, sums, CUDA_BLOCK);
    const int64_t B = a.steps.B, O = a.O, columns = columns_of(a), tiles = (O + blockDim.x - 1) / blockDim.x;
    const float *dy = (const float *)a.dy;
    for (int64_t block = blockIdx.x; block < slices * columns * tiles; block += gridDim.x) {
        const int64_t o = block % tiles * blockDim.x + threadIdx.x, slice = block / tiles / columns;
        const int64_t column = block / tiles % columns, tap = column / a.I, feature = column % a.I;
        const int64_t i = tap / a.window.size[1], j = tap % a.window.size[1];
        id_range range = {0, a.steps.T * B};
        if (sorted.ids)
            range = {first_of(sorted, range.to, feature + 1), first_of(sorted, range.to, feature + 2)};
        const id_range share = part_of(part_of(range, slice, slices), threadIdx.y, blockDim.y);
        double sum = 0;
        for (int64_t k = share.from; k < share.to; k++) {
            const int64_t at = sorted.ids ? sorted.positions[k] : k, input = at / B, b = at - input * B;
            const int64_t one = one_at(a, input, b);
            const int64_t t = seeing_output(a.window, 0, input, i, a.T_out);
            const int64_t p = one < 0 ? -1 : seeing_output(a.window, 1, position_of(a, one), j, a.P_out);
            if (t >= 0 && p >= 0 && o < O)
                sum += (double)dy[((t * B + b) * a.P_out + p) * O + o];
        }
        sums[threadIdx.y * blockDim.x + threadIdx.x] = sum;
        __syncthreads();
        if (threadIdx.y == 0 && o < O) {
            for (unsigned k = 1; k < blockDim.y; k++)
                sum += sums[k * blockDim.x + threadIdx.x];
            partial[(slice * columns + column) * O + o] = sum;
        }
        __syncthreads();
    }
}

/* dW[o,column] += sum over slices of partial[slice,column,o]. At most 64 registers. */
static __global__ void add_weight_slices(int64_t slices, int64_t O, int64_t columns, const double *__restrict__ partial,
                                         float *__restrict__ dW) {
    for (int64_t c = matrix_walk::first_row(); c < columns; c += matrix_walk::row_stride())
        for (int64_t o = matrix_walk::first_column(); o < O; o += matrix_walk::column_stride()) {
            double sum = 0;
            for (int64_t slice = 0; slice < slices; slice++)
                sum += partial[(slice * columns + c) * O + o];
            dW[o * columns + c] += (float)sum;
        }
}

/* One feature: all ids belong to every column, so they are cut, as far as the sums of the slices stay few. */
static constexpr int64_t SLICE = 512, MOST_SUMS = 1 << 18;

static int64_t slices_of(const crs_conv *a) {
    const int64_t wanted = (a->steps.T * a->steps.B + SLICE - 1) / SLICE, sums = columns_of(*a) * a->O;
    const int64_t most = MOST_SUMS > sums ? MOST_SUMS / sums : 1;
    return a->P == 1 ? 1 : wanted < most ? wanted : most;
}

/* Holds W in the forward, the sums of the slices in the backward. W is in memory, so that nothing of its order can
 * overflow. */
size_t cuda_onehot_reserve(const crs_device *, const crs_conv *a) {
    return (size_t)(slices_of(a) * columns_of(*a) * a->O) * sizeof(double);
}

crs_status cuda_onehot_backward(crs_device *device, const crs_conv *a) {
    const int64_t O = a->O, columns = columns_of(*a), slices = slices_of(a);
    double *partial = (double *)a->reserve;
    cuda_sorted sorted = {};
    CRS_TRY(cuda_activate_backward(device, a->activation, a->T_out * a->steps.B * a->P_out, O, (const float *)a->y,
                                   (float *)a->dy, (float *)a->db));
    if (a->P == 1) {
        const int64_t n = a->steps.T * a->steps.B;
        void *scratch;
        CRS_TRY(cuda_scratch(device, cuda_sort_size(n), &scratch));
        CRS_TRY(cuda_sort(device, n, a->ids, a->I + 1, scratch, &sorted));
    }
    const dim3 block(cuda_lanes(O), CUDA_BLOCK / cuda_lanes(O));
    const int64_t blocks = slices * columns * ((O + block.x - 1) / block.x);
    CRS_TRY(cuda_launch(device, sum_columns, dim3(cuda_grid(device, blocks * CUDA_BLOCK)), block, 0, *a, sorted, slices,
                        partial));
    return cuda_launch_matrix(device, columns, O, add_weight_slices, slices, O, columns, (const double *)partial,
                              (float *)a->dW);
}
