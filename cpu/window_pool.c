/* Pooling by windows over time and positions: the maximum or the mean of what is there. */
#include "clones.h"
#include "cpu.h"
#include "live.h"

#include <string.h>

#define LANES 8             /* features of a narrow position worked on at once, in registers */
#define COLUMNS 64          /* features of a wide one whose sums are kept at once */
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

/* The first n features. A NaN counts as the maximum, so that it is not lost here but found in the loss. */
CPU_INLINE void find_max(const inputs *in, int64_t n, real *restrict best, int32_t *restrict where) {
#pragma omp simd
    for (int64_t f = 0; f < n; f++) {
        best[f] = in->x[f];
        where[f] = (int32_t)in->number;
    }
    for (int64_t i = 0; i < in->steps; i++) {
        for (int64_t j = i == 0; j < in->positions; j++) {
            const real *x = in->x + i * in->step_size + j * in->position_size;
            const int32_t number = (int32_t)(in->number + i * in->step_numbers + j * in->position_numbers);
#pragma omp simd
            for (int64_t f = 0; f < n; f++) {
                const int greater = !(x[f] <= best[f]) & (best[f] == best[f]);
                best[f] = greater ? x[f] : best[f];
                where[f] = greater ? number : where[f];
            }
        }
    }
}

/* Of the n features from the f-th on. The sum is kept in double: a window of thousands would cost a float sum its last
 * digits. */
CPU_INLINE void find_mean(const inputs *in, int64_t f, int64_t n, real *restrict mean) {
    const double count = (double)(in->steps * in->positions);
    double sum[COLUMNS] = {0};
    for (int64_t i = 0; i < in->steps; i++) {
        for (int64_t j = 0; j < in->positions; j++) {
            const real *x = in->x + i * in->step_size + j * in->position_size + f;
#pragma omp simd
            for (int64_t k = 0; k < n; k++)
                sum[k] += (double)x[k];
        }
    }
#pragma omp simd
    for (int64_t k = 0; k < n; k++)
        mean[k] = (real)(sum[k] / count);
}

/* Fewer than LANES features are taken as LANES where so many elements are left to the ends of the rows that are read
 * and written: those behind belong to the next position, which is written later. */
CPU_INLINE int fits_lanes(int64_t F, int64_t left_in, int64_t left_out) {
    return F < LANES && left_in >= LANES && left_out >= LANES;
}

/* `room`: elements from y to the end of its row. */
CPU_INLINE void max_output(const inputs *in, int64_t F, int64_t room, real *restrict y, int32_t *restrict argmax) {
    if (!fits_lanes(F, in->left, room)) {
        find_max(in, F, y, argmax);
        return;
    }
    real best[LANES];
    int32_t where[LANES];
    find_max(in, LANES, best, where);
    memcpy(y, best, sizeof best);
    memcpy(argmax, where, sizeof where);
}

CPU_INLINE void mean_output(const inputs *in, int64_t F, int64_t room, real *restrict y) {
    if (fits_lanes(F, in->left, room)) {
        find_mean(in, 0, LANES, y);
        return;
    }
    for (int64_t f = 0; f < F; f += COLUMNS)
        find_mean(in, f, F - f < COLUMNS ? F - f : COLUMNS, y + f);
}

static void nothing_there(const crs_window_pool *a, int64_t at) {
    memset((real *)a->y + at, 0, (size_t)a->F * sizeof(real));
    for (int64_t f = 0; !a->mean && f < a->F; f++)
        a->argmax[at + f] = -1;
}

/* Rows are made on copies of the arguments: the compiler then knows that writing results leaves them as they are. */
CPU_CLONES
static void pool_row(const crs_window_pool *args, int64_t t, int64_t b) {
    const crs_window_pool copy = *args, *a = &copy;
    const int64_t F = a->F, row = (t * a->steps.B + b) * a->P_out * F;
    const seen steps = seen_steps(a, t, b);
    for (int64_t p = 0; p < a->P_out; p++) {
        const int64_t at = row + p * F, room = (a->P_out - p) * F;
        const seen positions = seen_along(&a->window, POSITIONS, p, 0, a->P);
        if (!steps.count || !positions.count) {
            nothing_there(a, at);
            continue;
        }
        const inputs in = inputs_of(a, steps, positions, b);
        if (a->mean)
            mean_output(&in, F, room, (real *)a->y + at);
        else
            max_output(&in, F, room, (real *)a->y + at, a->argmax + at);
    }
}

crs_status CPU_NAME(window_pool_forward)(crs_device *device, const crs_window_pool *a) {
    const int64_t B = a->steps.B, rows = a->T_out * B;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows * a->P_out * a->F >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        pool_row(a, r / B, r % B);
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
    int side_by_side;      /* windows cover positions without gap or overlap, from the first on, and do not go beyond */
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
    found->side_by_side = a->window.dilation[POSITIONS] == 1 && a->window.before[POSITIONS] == 0 &&
                          a->window.stride[POSITIONS] == a->window.size[POSITIONS] &&
                          a->P_out * a->window.size[POSITIONS] <= P;
    holders_find(&a->window, TIME, a->T_out, T, found->steps);
    holders_find(&a->window, POSITIONS, a->P_out, P, found->positions);
    for (int64_t p = 0; p < a->P_out; p++)
        found->position_counts[p] = (real)seen_along(&a->window, POSITIONS, p, 0, P).count;
    return CRS_OK;
}

/* The gradient that n features of the input of that number get from the window whose output is `at`, which sees `count`
 * inputs: the first window's overwrites, the others' join. */
CPU_INLINE void take(const crs_window_pool *a, int first, int64_t n, int64_t number, real count, int64_t at,
                     real *restrict dx) {
    const real *dy = (const real *)a->dy + at;
    const int32_t *argmax = a->mean ? NULL : a->argmax + at;
    if (a->mean && first)
        for (int64_t f = 0; f < n; f++)
            dx[f] = dy[f] / count;
    else if (a->mean)
        for (int64_t f = 0; f < n; f++)
            dx[f] += dy[f] / count;
    else if (first)
        for (int64_t f = 0; f < n; f++)
            dx[f] = argmax[f] == (int32_t)number ? dy[f] : 0;
    else
        for (int64_t f = 0; f < n; f++)
            dx[f] += argmax[f] == (int32_t)number ? dy[f] : 0;
}

/* The first n features of the input (t, p) of row b. `row`: the elements before the row of the first output. */
CPU_INLINE void input_backward(const crs_window_pool *a, const sources *from, int64_t t, int64_t b, int64_t p,
                               int64_t row, int64_t n, real *restrict dx) {
    const holders steps = from->steps[t], positions = from->positions[p];
    const int64_t F = a->F, step_size = from->step_pace * a->steps.B * a->P_out * F;
    for (int64_t i = 0; i < steps.count; i++) {
        const real step_count = a->mean ? (real)seen_steps(a, steps.first + i * from->step_pace, b).count : 0;
        for (int64_t j = 0; j < positions.count; j++) {
            const int64_t output = positions.first + j * from->position_pace, at = row + i * step_size + output * F;
            take(a, i + j == 0, n, t * a->P + p, step_count * from->position_counts[output], at, dx);
        }
    }
}

/* The same of all its positions, where one window at most holds each of them: they are written in one go, window by
 * window. */
CPU_INLINE void row_apart_backward(const crs_window_pool *a, const sources *from, int64_t t, int64_t b, int64_t row,
                                   real *restrict dx) {
    const int64_t F = a->F, P = a->P, P_out = a->P_out, size = a->window.size[POSITIONS];
    const real count = (real)(size * seen_steps(a, from->steps[t].first, b).count);
    for (int64_t output = 0; output < P_out; output++) {
        const int64_t at = row + output * F, first = output * size;
        const int lanes = fits_lanes(F, (P_out - output) * F, (P - first - size + 1) * F);
        for (int64_t p = first; p < first + size; p++)
            take(a, 1, lanes ? LANES : F, t * P + p, count, at, dx + p * F);
    }
    memset(dx + P_out * size * F, 0, (size_t)((P - P_out * size) * F) * sizeof *dx);
}

CPU_CLONES
static void pool_row_backward(const crs_window_pool *args, const sources *found, int64_t t, int64_t b) {
    const crs_window_pool copy = *args, *a = &copy;
    const sources sources_copy = *found, *from = &sources_copy;
    const int64_t P = a->P, P_out = a->P_out, F = a->F, row = (from->steps[t].first * a->steps.B + b) * P_out * F;
    real *dx = (real *)a->dx + (t * a->steps.B + b) * P * F;
    if (from->side_by_side && from->steps[t].count == 1) {
        row_apart_backward(a, from, t, b, row, dx);
        return;
    }
    for (int64_t p = 0; p < P; p++) {
        const holders positions = from->positions[p];
        const int64_t last = positions.first + (positions.count - 1) * from->position_pace;
        if (positions.count == 0)
            memset(dx + p * F, 0, (size_t)F * sizeof *dx);
        else if (fits_lanes(F, (P_out - last) * F, (P - p) * F))
            input_backward(a, from, t, b, p, row, LANES, dx + p * F);
        else
            input_backward(a, from, t, b, p, row, F, dx + p * F);
    }
}

static void row_backward(const crs_window_pool *a, const sources *from, int64_t t, int64_t b) {
    const int64_t row = a->P * a->F;
    if (from->steps[t].count == 0 || !is_live(row_live(&a->steps, b), t))
        memset((real *)a->dx + (t * a->steps.B + b) * row, 0, (size_t)row * sizeof(real));
    else
        pool_row_backward(a, from, t, b);
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
