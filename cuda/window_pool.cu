/* Pooling by windows over time and positions: the maximum or the mean of what is there. A thread takes an output, or in
 * the backward an input, and looks at all that belongs to it: nothing is added up by more than one. */
#include "live.cuh"
#include "matrix.cuh"

enum { TIME, POSITIONS }; /* the axes of crs_window */

/* What is there of a window along one axis: `count` inputs, the first one and those that follow a dilation apart. */
struct window_part {
    int64_t first, count;

    /* Of the window of an output, where the inputs from..to-1 are there. */
    __device__ __forceinline__ window_part(const crs_window &window, int axis, int64_t output, int64_t from,
                                           int64_t to) {
        const int64_t size = window.size[axis], dilation = window.dilation[axis];
        const int64_t at = output * window.stride[axis] - window.before[axis];
        const int64_t skipped = at < from ? (from - at + dilation - 1) / dilation : 0;
        int64_t end = size;
        if (at + (size - 1) * dilation >= to)
            end = at < to ? (to - at + dilation - 1) / dilation : 0;
        first = at + skipped * dilation;
        count = end > skipped ? end - skipped : 0;
    }
};

static __device__ __forceinline__ window_part steps_there(const crs_window_pool &a, int64_t t, int64_t b) {
    const live_steps live(a.steps, b);
    return window_part(a.window, TIME, t, live.first, live.end);
}

static __device__ __forceinline__ window_part positions_there(const crs_window_pool &a, int64_t p) {
    return window_part(a.window, POSITIONS, p, 0, a.P);
}

/* A NaN counts as the maximum, so that it is not lost here but found in the loss. */
static __device__ __forceinline__ void window_maximum(const crs_window_pool &a, const window_part &steps,
                                                      const window_part &positions, int64_t b, int64_t f,
                                                      int64_t output) {
    float best = 0;
    int32_t where = -1;
    for (int64_t i = 0; i < steps.count; i++) {
        const int64_t t = steps.first + i * a.window.dilation[TIME];
        const float *x = (const float *)a.x + (t * a.steps.B + b) * a.P * a.F + f;
        for (int64_t j = 0; j < positions.count; j++) {
            const int64_t p = positions.first + j * a.window.dilation[POSITIONS];
            const float value = x[p * a.F];
            if (where < 0 || value > best || (value != value && best == best)) {
                best = value;
                where = (int32_t)(t * a.P + p);
            }
        }
    }
    ((float *)a.y)[output] = best;
    a.argmax[output] = where;
}

/* The sum is kept in double: a window of thousands would cost a float sum its last digits. */
static __device__ __forceinline__ float window_mean(const crs_window_pool &a, const window_part &steps,
                                                    const window_part &positions, int64_t b, int64_t f) {
    double sum = 0;
    for (int64_t i = 0; i < steps.count; i++) {
        const int64_t t = steps.first + i * a.window.dilation[TIME];
        const float *x = (const float *)a.x + ((t * a.steps.B + b) * a.P + positions.first) * a.F + f;
        for (int64_t j = 0; j < positions.count; j++)
            sum += (double)x[j * a.window.dilation[POSITIONS] * a.F];
    }
    const int64_t count = steps.count * positions.count;
    return count ? (float)(sum / (double)count) : 0;
}

/* At most 104 registers. */
template <bool MEAN> static __global__ void window_pool_forward(crs_window_pool a) {
    const int64_t F = a.F, B = a.steps.B, columns = a.P_out * F;
    for (int64_t row = matrix_walk::first_row(); row < a.T_out * B; row += matrix_walk::row_stride()) {
        const int64_t b = row % B;
        const window_part steps = steps_there(a, row / B, b);
        for (int64_t c = matrix_walk::first_column(); c < columns; c += matrix_walk::column_stride()) {
            const window_part positions = positions_there(a, c / F);
            if (MEAN)
                ((float *)a.y)[row * columns + c] = window_mean(a, steps, positions, b, c % F);
            else
                window_maximum(a, steps, positions, b, c % F, row * columns + c);
        }
    }
}

crs_status cuda_window_pool_forward(crs_device *device, const crs_window_pool *a) {
    const auto kernel = a->mean ? window_pool_forward<true> : window_pool_forward<false>;
    return cuda_launch_matrix(device, a->T_out * a->steps.B, a->P_out * a->F, kernel, *a);
}

/* The windows that an input lies in, along one axis: `count` of them, the first one and those that follow a pace apart.
 */
struct window_holders {
    int64_t first, count;
};

/* One axis of a crs_window, of so many inputs and outputs. */
struct window_axis {
    int64_t size, stride, dilation, before, inputs, outputs;
};

/* Of all inputs of an axis. From one i to the next a window starts earlier: the last one found is the first.
 * At most 32 registers. */
static __global__ void find_holders(window_axis axis, window_holders *found) {
    for (int64_t input = cuda_first(); input < axis.inputs; input += cuda_stride()) {
        window_holders holders = {0, 0};
        int64_t start = input + axis.before;
        for (int64_t i = 0; i < axis.size && start >= 0; i++, start -= axis.dilation) {
            const int64_t output = start / axis.stride;
            if (output * axis.stride == start && output < axis.outputs) {
                holders.first = output;
                holders.count++;
            }
        }
        found[input] = holders;
    }
}

/* Where the gradients of all inputs come from. */
struct window_sources {
    const window_holders *steps, *positions; /* [T], [P] */
    int64_t step_pace, position_pace;
};

/* The gradient of feature f of the input (t, p) of row b. Windows come in the order of their steps, then positions. */
template <bool MEAN>
static __device__ __forceinline__ float input_gradient(const crs_window_pool &a, const window_sources &from, int64_t t,
                                                       int64_t b, int64_t p, int64_t f) {
    const window_holders steps = from.steps[t], positions = from.positions[p];
    const int32_t number = (int32_t)(t * a.P + p);
    float sum = 0;
    for (int64_t i = 0; i < steps.count; i++) {
        const int64_t u = steps.first + i * from.step_pace;
        const int64_t row = (u * a.steps.B + b) * a.P_out * a.F + f;
        for (int64_t j = 0; j < positions.count; j++) {
            const int64_t q = positions.first + j * from.position_pace;
            const float dy = ((const float *)a.dy)[row + q * a.F];
            if (MEAN)
                sum += dy / (float)(steps_there(a, u, b).count * positions_there(a, q).count);
            else if (a.argmax[row + q * a.F] == number)
                sum += dy;
        }
    }
    return sum;
}

/* At most 120 registers. */
template <bool MEAN> static __global__ void window_pool_backward(crs_window_pool a, window_sources from) {
    const int64_t F = a.F, B = a.steps.B, columns = a.P * F;
    for (int64_t row = matrix_walk::first_row(); row < a.steps.T * B; row += matrix_walk::row_stride()) {
        const int64_t t = row / B, b = row % B;
        const bool is_live = live_steps(a.steps, b).contains(t);
        for (int64_t c = matrix_walk::first_column(); c < columns; c += matrix_walk::column_stride())
            ((float *)a.dx)[row * columns + c] = is_live ? input_gradient<MEAN>(a, from, t, b, c / F, c % F) : 0;
    }
}

static window_axis axis_of(const crs_window &window, int axis, int64_t inputs, int64_t outputs) {
    return {window.size[axis], window.stride[axis], window.dilation[axis], window.before[axis], inputs, outputs};
}

/* Windows that hold the same input start whole strides and whole dilations apart. */
static int64_t holders_pace(const window_axis &axis) {
    int64_t divisor = axis.dilation, rest = axis.stride;
    while (rest) {
        const int64_t next = divisor % rest;
        divisor = rest;
        rest = next;
    }
    return axis.dilation / divisor;
}

crs_status cuda_window_pool_backward(crs_device *device, const crs_window_pool *a) {
    const int64_t T = a->steps.T, P = a->P;
    const window_axis time = axis_of(a->window, TIME, T, a->T_out);
    const window_axis positions = axis_of(a->window, POSITIONS, P, a->P_out);
    void *scratch;
    CRS_TRY(cuda_scratch(device, (size_t)(T + P) * sizeof(window_holders), &scratch));
    window_holders *found = (window_holders *)scratch;
    CRS_TRY(cuda_launch_over(device, T, find_holders, time, found));
    CRS_TRY(cuda_launch_over(device, P, find_holders, positions, found + T));
    const window_sources from = {found, found + T, holders_pace(time), holders_pace(positions)};
    const auto kernel = a->mean ? window_pool_backward<true> : window_pool_backward<false>;
    return cuda_launch_matrix(device, T * a->steps.B, P * a->F, kernel, *a, from);
}
