/* Pooling by windows over time and positions: the maximum or the mean of what is there. */
#include "clones.h"
#include "cpu.h"
#include "live.h"

#include <math.h>
#include <string.h>

#define LANES 8             /* features worked on at once, in registers */
#define PARALLEL_FROM 16384 /* elements; below it waking threads costs more than they save */

enum { TIME, POSITIONS }; /* the axes of crs_window */

/* What is there of a window along one axis: `count` inputs, the first one and those that follow a dilation apart. */
typedef struct seen {
    int64_t first, count;
} seen;

/* Of the window of an output, where the inputs from..to-1 are there. */
static inline seen seen_along(const crs_window *window, int axis, int64_t output, int64_t from, int64_t to) {
    const int64_t size = window->size[axis], dilation = window->dilation[axis];
    const int64_t at = output * window->stride[axis] - window->before[axis];
    int64_t skipped = 0, end = size;
    if (at < from)
        skipped = (from - at + dilation - 1) / dilation;
    if (at + (size - 1) * dilation >= to)
        end = at < to ? (to - at + dilation - 1) / dilation : 0;
    return (seen){at + skipped * dilation, end > skipped ? end - skipped : 0};
}

static inline seen seen_steps(const crs_window_pool *a, int64_t t, int64_t b) {
    const live_range live = row_live(&a->steps, b);
    return seen_along(&a->window, TIME, t, live.first, live.end);
}

/* The inputs of a window: x is the first one, `number` its step and position in one. */
typedef struct inputs {
    const real *x;
    int64_t steps, positions;         /* how many */
    int64_t step_size, position_size; /* elements from one to the next */
    int64_t number, step_numbers, position_numbers;
    int64_t left; /* elements from the last position to the end of its row */
} inputs;

static inline inputs inputs_of(const crs_window_pool *a, seen steps, seen positions, int64_t b) {
    const int64_t *dilation = a->window.dilation, B = a->steps.B, P = a->P, F = a->F;
    return (inputs){.x = (const real *)a->x + ((steps.first * B + b) * P + positions.first) * F,
                    .steps = steps.count,
                    .positions = positions.count,
                    .step_size = dilation[TIME] * B * P * F,
                    .position_size = dilation[POSITIONS] * F,
                    .number = steps.first * P + positions.first,
                    .step_numbers = dilation[TIME] * P,
                    .position_numbers = dilation[POSITIONS],
                    .left = (P - positions.first - (positions.count - 1) * dilation[POSITIONS]) * F};
}

/* n features from the f-th on. A NaN counts as the maximum, so that it is not lost here but found in the loss. */
static inline void max_lanes(const inputs *in, int64_t f, int n, real *restrict y, int32_t *restrict argmax) {
    real best[LANES];
    int32_t where[LANES];
    for (int l = 0; l < n; l++) {
        best[l] = -INFINITY;
        where[l] = (int32_t)in->number;
    }
    for (int64_t i = 0; i < in->steps; i++) {
        for (int64_t j = 0; j < in->positions; j++) {
            const real *x = in->x + i * in->step_size + j * in->position_size + f;
            const int32_t number = (int32_t)(in->number + i * in->step_numbers + j * in->position_numbers);
#pragma omp simd
            for (int l = 0; l < n; l++) {
                const int greater = (x[l] > best[l]) | ((x[l] != x[l]) & (best[l] == best[l]));
                best[l] = greater ? x[l] : best[l];
                where[l] = greater ? number : where[l];
            }
        }
    }
    memcpy(y + f, best, (size_t)n * sizeof *y);
    memcpy(argmax + f, where, (size_t)n * sizeof *argmax);
}

/* The sum is kept in double: a window of thousands would cost a float sum its last digits. */
static inline void mean_lanes(const inputs *in, int64_t f, int n, real *restrict y) {
    double sum[LANES] = {0};
    for (int64_t i = 0; i < in->steps; i++) {
        for (int64_t j = 0; j < in->positions; j++) {
            const real *x = in->x + i * in->step_size + j * in->position_size + f;
#pragma omp simd
            for (int l = 0; l < n; l++)
                sum[l] += (double)x[l];
        }
    }
#pragma omp simd
    for (int l = 0; l < n; l++)
        y[f + l] = (real)(sum[l] / (double)(in->steps * in->positions));
}

/* How many features to take at once from the f-th on, with so many elements left to the ends of the rows that are read
 * and written. LANES may be more than the position has: those behind belong to the next one, which is written later. */
static inline int lanes_that_fit(int64_t f, int64_t left_in, int64_t left_out) {
    return f + LANES <= left_in && f + LANES <= left_out ? LANES : 1;
}

static void nothing_there(const crs_window_pool *a, int64_t at) {
    memset((real *)a->y + at, 0, (size_t)a->F * sizeof(real));
    for (int64_t f = 0; !a->mean && f < a->F; f++)
        a->argmax[at + f] = -1;
}

/* Rows are made on copies of the arguments: the compiler then knows that writing results leaves them as they are. */
CPU_CLONES
static void max_row(const crs_window_pool *args, int64_t t, int64_t b) {
    const crs_window_pool copy = *args, *a = &copy;
    const int64_t F = a->F, row = (t * a->steps.B + b) * a->P_out * F;
    const seen steps = seen_steps(a, t, b);
    for (int64_t p = 0; p < a->P_out; p++) {
        const seen positions = seen_along(&a->window, POSITIONS, p, 0, a->P);
        if (!steps.count || !positions.count) {
            nothing_there(a, row + p * F);
            continue;
        }
        const inputs in = inputs_of(a, steps, positions, b);
        real *y = (real *)a->y + row + p * F;
        int32_t *argmax = a->argmax + row + p * F;
        for (int64_t f = 0, n; f < F; f += n) {
            n = lanes_that_fit(f, in.left, (a->P_out - p) * F);
            if (n == LANES)
                max_lanes(&in, f, LANES, y, argmax);
            else
                max_lanes(&in, f, 1, y, argmax);
        }
    }
}

CPU_CLONES
static void mean_row(const crs_window_pool *args, int64_t t, int64_t b) {
    const crs_window_pool copy = *args, *a = &copy;
    const int64_t F = a->F, row = (t * a->steps.B + b) * a->P_out * F;
    const seen steps = seen_steps(a, t, b);
    for (int64_t p = 0; p < a->P_out; p++) {
        const seen positions = seen_along(&a->window, POSITIONS, p, 0, a->P);
        if (!steps.count || !positions.count) {
            nothing_there(a, row + p * F);
            continue;
        }
        const inputs in = inputs_of(a, steps, positions, b);
        real *y = (real *)a->y + row + p * F;
        for (int64_t f = 0, n; f < F; f += n) {
            n = lanes_that_fit(f, in.left, (a->P_out - p) * F);
            if (n == LANES)
                mean_lanes(&in, f, LANES, y);
            else
                mean_lanes(&in, f, 1, y);
        }
    }
}

crs_status CPU_NAME(window_pool_forward)(crs_device *device, const crs_window_pool *a) {
    const int64_t B = a->steps.B, rows = a->T_out * B;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows * a->P_out * a->F >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        (a->mean ? mean_row : max_row)(a, r / B, r % B);
    return CRS_OK;
}

/* The windows that an input lies in, along one axis: `count` of them, the first one and those that follow a pace apart.
 */
typedef struct holders {
    int64_t first, count;
} holders;

/* Where the gradients of all inputs come from: found once, so that no row has to search. */
typedef struct sources {
    holders *steps, *positions; /* [T], [P] */
    int64_t step_pace, position_pace;
    real *position_counts; /* [P_out] how many positions a window sees; mean */
} sources;

/* The pace: windows that hold the same input start whole strides and whole dilations apart. */
static int64_t holders_pace(const crs_window *window, int axis) {
    int64_t divisor = window->dilation[axis], rest = window->stride[axis];
    while (rest) {
        const int64_t next = divisor % rest;
        divisor = rest;
        rest = next;
    }
    return window->dilation[axis] / divisor;
}

static void holders_find(const crs_window *window, int axis, int64_t outputs, int64_t n, holders *found) {
    memset(found, 0, (size_t)n * sizeof *found);
    for (int64_t output = 0; output < outputs; output++) {
        const seen there = seen_along(window, axis, output, 0, n);
        for (int64_t i = 0; i < there.count; i++) {
            holders *input = &found[there.first + i * window->dilation[axis]];
            if (input->count++ == 0)
                input->first = output;
        }
    }
}

static crs_status sources_find(crs_device *device, const crs_window_pool *a, sources *found) {
    const int64_t T = a->steps.T, P = a->P;
    found->steps = cpu_scratch(device, (size_t)(T + P) * sizeof(holders) + (size_t)a->P_out * sizeof(real));
    if (!found->steps)
        return CRS_ERR_MEMORY;
    found->positions = found->steps + T;
    found->position_counts = (real *)(found->positions + P);
    found->step_pace = holders_pace(&a->window, TIME);
    found->position_pace = holders_pace(&a->window, POSITIONS);
    holders_find(&a->window, TIME, a->T_out, T, found->steps);
    holders_find(&a->window, POSITIONS, a->P_out, P, found->positions);
    for (int64_t p = 0; p < a->P_out; p++)
        found->position_counts[p] = (real)seen_along(&a->window, POSITIONS, p, 0, P).count;
    return CRS_OK;
}

/* n features from the f-th on, of the input (t, p). `row`: the elements before the row of the first output. */
static inline void max_lanes_backward(const crs_window_pool *a, const sources *from, int64_t t, int64_t p, int64_t row,
                                      int64_t f, int n, real *restrict dx) {
    const holders steps = from->steps[t], positions = from->positions[p];
    const int64_t F = a->F, step_size = from->step_pace * a->steps.B * a->P_out * F;
    const int32_t number = (int32_t)(t * a->P + p);
    real sum[LANES] = {0};
    for (int64_t i = 0; i < steps.count; i++) {
        for (int64_t j = 0; j < positions.count; j++) {
            const int64_t at = row + i * step_size + (positions.first + j * from->position_pace) * F + f;
            const real *dy = (const real *)a->dy + at;
            const int32_t *argmax = a->argmax + at;
#pragma omp simd
            for (int l = 0; l < n; l++)
                sum[l] += argmax[l] == number ? dy[l] : 0;
        }
    }
    memcpy(dx + f, sum, (size_t)n * sizeof *dx);
}

static inline void mean_lanes_backward(const crs_window_pool *a, const sources *from, int64_t t, int64_t b, int64_t p,
                                       int64_t row, int64_t f, int n, real *restrict dx) {
    const holders steps = from->steps[t], positions = from->positions[p];
    const int64_t F = a->F, step_size = from->step_pace * a->steps.B * a->P_out * F;
    real sum[LANES] = {0};
    for (int64_t i = 0; i < steps.count; i++) {
        const real step_count = (real)seen_steps(a, steps.first + i * from->step_pace, b).count;
        for (int64_t j = 0; j < positions.count; j++) {
            const int64_t output = positions.first + j * from->position_pace;
            const real *dy = (const real *)a->dy + row + i * step_size + output * F + f;
            const real there = step_count * from->position_counts[output];
#pragma omp simd
            for (int l = 0; l < n; l++)
                sum[l] += dy[l] / there;
        }
    }
    memcpy(dx + f, sum, (size_t)n * sizeof *dx);
}

CPU_CLONES
static void max_row_backward(const crs_window_pool *args, const sources *found, int64_t t, int64_t b) {
    const crs_window_pool copy = *args, *a = &copy;
    const sources sources_copy = *found, *from = &sources_copy;
    const int64_t P = a->P, P_out = a->P_out, F = a->F, row = (from->steps[t].first * a->steps.B + b) * P_out * F;
    real *dx = (real *)a->dx + (t * a->steps.B + b) * P * F;
    for (int64_t p = 0; p < P; p++) {
        const holders positions = from->positions[p];
        const int64_t last = positions.first + (positions.count - 1) * from->position_pace;
        for (int64_t f = 0, n; f < F; f += n) {
            n = lanes_that_fit(f, (P_out - last) * F, (P - p) * F);
            if (n == LANES)
                max_lanes_backward(a, from, t, p, row, f, LANES, dx + p * F);
            else
                max_lanes_backward(a, from, t, p, row, f, 1, dx + p * F);
        }
    }
}

CPU_CLONES
static void mean_row_backward(const crs_window_pool *args, const sources *found, int64_t t, int64_t b) {
    const crs_window_pool copy = *args, *a = &copy;
    const sources sources_copy = *found, *from = &sources_copy;
    const int64_t P = a->P, P_out = a->P_out, F = a->F, row = (from->steps[t].first * a->steps.B + b) * P_out * F;
    real *dx = (real *)a->dx + (t * a->steps.B + b) * P * F;
    for (int64_t p = 0; p < P; p++) {
        const holders positions = from->positions[p];
        const int64_t last = positions.first + (positions.count - 1) * from->position_pace;
        for (int64_t f = 0, n; f < F; f += n) {
            n = lanes_that_fit(f, (P_out - last) * F, (P - p) * F);
            if (n == LANES)
                mean_lanes_backward(a, from, t, b, p, row, f, LANES, dx + p * F);
            else
                mean_lanes_backward(a, from, t, b, p, row, f, 1, dx + p * F);
        }
    }
}

static void row_backward(const crs_window_pool *a, const sources *from, int64_t t, int64_t b) {
    const int64_t row = a->P * a->F;
    if (from->steps[t].count == 0 || !is_live(row_live(&a->steps, b), t))
        memset((real *)a->dx + (t * a->steps.B + b) * row, 0, (size_t)row * sizeof(real));
    else
        (a->mean ? mean_row_backward : max_row_backward)(a, from, t, b);
}

crs_status CPU_NAME(window_pool_backward)(crs_device *device, const crs_window_pool *a) {
    const int64_t B = a->steps.B, rows = a->steps.T * B;
    sources found;
    const crs_status status = sources_find(device, a, &found);
    if (status != CRS_OK)
        return status;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows * a->P * a->F >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        row_backward(a, &found, r / B, r % B);
    return CRS_OK;
}
