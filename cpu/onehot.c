/* Convolution over one-hot inputs, and its backward, without the inputs: for what a window sees of them, rows of W are
 * gathered. Where a one falls into a window decides everything: the outputs of a picture (I = 1) that see none are all
 * act(b). */
#include "activation.h"
#include "clones.h"
#include "conv.h"
#include "live.h"

#include <string.h>

#define PARALLEL_FROM 16384 /* elements; below it waking threads costs more than they save */
#define BLOCK 32            /* W is transposed in squares of this size, which stay in the first-level cache */

/* Columns of W: the taps of the window times the features. */
static int64_t columns_of(const crs_conv *a) {
    return a->window.size[0] * a->window.size[1] * a->I;
}

/* The place of the one in x[t,b], position times I plus feature; -1: there is none, or the step is dead. */
static int64_t one_at(const crs_conv *a, int64_t t, int64_t b) {
    return t >= 0 && is_live(row_live(&a->steps, b), t) ? (int64_t)a->ids[t * a->steps.B + b] - 1 : -1;
}

static int64_t position_of(const crs_conv *a, int64_t one) {
    return a->P == 1 ? 0 : one;
}

static int64_t feature_of(const crs_conv *a, int64_t one) {
    return a->P == 1 ? one : 0;
}

/* The column of W through which output (t,b,p) sees the one in its window's i-th step; -1: it sees none. */
static int64_t column_seen(const crs_conv *a, int64_t t, int64_t b, int64_t p, int64_t i) {
    const int64_t one = one_at(a, seen_input(&a->window, 0, t, i, a->steps.T), b);
    const int64_t j = one < 0 ? -1 : tap_between(&a->window, 1, p, position_of(a, one));
    return j < 0 ? -1 : (i * a->window.size[1] + j) * a->I + feature_of(a, one);
}

/* ---- forward ---- */

/* The reserve of the forward: W with its outputs behind its columns, and what an output is that sees nothing. */
typedef struct forward_state {
    const crs_conv *a;
    real *W;     /* [columns,O] */
    real *quiet; /* [O] */
} forward_state;

CPU_CLONES
static void add_to(int64_t n, const real *restrict x, real *restrict y) {
    for (int64_t j = 0; j < n; j++)
        y[j] += x[j];
}

/* What output (t,b,p) is, into y [O]. */
static void write_output(const forward_state *s, int64_t t, int64_t b, int64_t p, real *y) {
    const crs_conv *a = s->a;
    memset(y, 0, (size_t)a->O * sizeof(real));
    for (int64_t i = 0; i < a->window.size[0]; i++) {
        const int64_t column = column_seen(a, t, b, p, i);
        if (column >= 0)
            add_to(a->O, s->W + column * a->O, y);
    }
    cpu_activate(a->activation, a->O, a->b, y);
}

/* All of y [n] is the first `period` elements again and again. */
static void repeat(int64_t n, int64_t period, real *y) {
    for (int64_t done = period; done < n; done *= 2)
        memcpy(y + done, y, (size_t)(n - done < done ? n - done : done) * sizeof(real));
}

/* The outputs of one step of one row, where inputs have many positions: first as if there were no ones, then again
 * those that see one. */
static void write_positions(const forward_state *s, int64_t t, int64_t b, real *y) {
    const crs_conv *a = s->a;
    memcpy(y, s->quiet, (size_t)a->O * sizeof(real));
    repeat(a->P_out * a->O, a->O, y);
    for (int64_t i = 0; i < a->window.size[0]; i++) {
        const int64_t one = one_at(a, seen_input(&a->window, 0, t, i, a->steps.T), b);
        for (int64_t j = 0; one >= 0 && j < a->window.size[1]; j++) {
            const int64_t p = seeing_output(&a->window, 1, one, j, a->P_out);
            int is_new = p >= 0;
            for (int64_t k = 0; is_new && k < i; k++)
                is_new = column_seen(a, t, b, p, k) < 0;
            if (is_new)
                write_output(s, t, b, p, y + p * a->O);
        }
    }
}

/* to[c,r] = from[r,c] of [rows,columns]; the squares of BLOCK rows from `row` on. */
CPU_CLONES
static void transpose_rows(int64_t row, int64_t rows, int64_t columns, const real *restrict from, real *restrict to) {
    const int64_t end = row + BLOCK < rows ? row + BLOCK : rows;
    for (int64_t c = 0; c < columns; c++)
        for (int64_t r = row; r < end; r++)
            to[c * rows + r] = from[r * columns + c];
}

crs_status CPU_NAME(onehot_forward)(crs_device *device, const crs_conv *a) {
    const int64_t O = a->O, B = a->steps.B, columns = columns_of(a), rows = a->T_out * B, width = a->P_out * O;
    const forward_state s = {a, a->reserve, (real *)a->reserve + columns * O};
    real *y = a->y;
    memset(s.quiet, 0, (size_t)O * sizeof(real));
    cpu_activate(a->activation, O, a->b, s.quiet);
#pragma omp parallel num_threads(device->threads) if (columns * O >= PARALLEL_FROM || rows * width >= PARALLEL_FROM)
    {
#pragma omp for schedule(static)
        for (int64_t o = 0; o < O; o += BLOCK)
            transpose_rows(o, O, columns, a->W, s.W);
#pragma omp for schedule(static)
        for (int64_t r = 0; r < rows; r++) {
            if (a->P > 1)
                write_positions(&s, r / B, r % B, y + r * width);
            else
                for (int64_t p = 0; p < a->P_out; p++)
                    write_output(&s, r / B, r % B, p, y + r * width + p * O);
        }
    }
    return CRS_OK;
}

/* ---- backward ---- */

CPU_CLONES
static void add_to_double(int64_t n, const real *restrict x, double *restrict y) {
    for (int64_t j = 0; j < n; j++)
        y[j] += (double)x[j];
}

/* A share of the columns of W: one tap of the window, and every parts-th feature from `part` on. */
typedef struct share {
    int64_t i, j;
    int64_t part, parts;
} share;

/* sums[column,:] = sum of dy[t,b,p,:] over the outputs that see a one through the column, for the share's columns. */
static void sum_share(const crs_conv *a, const share *s, double *sums) {
    const int64_t O = a->O, B = a->steps.B;
    const real *dy = a->dy;
    double *tap_sums = sums + (s->i * a->window.size[1] + s->j) * a->I * O;
    for (int64_t f = s->part; f < a->I; f += s->parts)
        memset(tap_sums + f * O, 0, (size_t)O * sizeof *sums);
    for (int64_t input = 0; input < a->steps.T; input++) {
        const int64_t t = seeing_output(&a->window, 0, input, s->i, a->T_out);
        for (int64_t b = 0; t >= 0 && b < B; b++) {
            const int64_t one = one_at(a, input, b), feature = feature_of(a, one);
            if (one < 0 || feature % s->parts != s->part)
                continue;
            const int64_t p = seeing_output(&a->window, 1, position_of(a, one), s->j, a->P_out);
            if (p >= 0)
                add_to_double(O, dy + ((t * B + b) * a->P_out + p) * O, tap_sums + feature * O);
        }
    }
}

/* dW[o,c] += sums[c,o] for one o. */
CPU_CLONES
static void add_transposed(int64_t o, int64_t O, int64_t columns, const double *restrict sums, real *restrict dW) {
    for (int64_t c = 0; c < columns; c++)
        dW[o * columns + c] += (real)sums[c * O + o];
}

/* Every column belongs to one thread, which walks the ids in order: sums do not depend on how columns are dealt out. */
crs_status CPU_NAME(onehot_backward)(crs_device *device, const crs_conv *a) {
    const int64_t O = a->O, columns = columns_of(a), taps = columns / a->I;
    const int64_t parts = device->threads < a->I ? device->threads : a->I;
    const int64_t ids = a->steps.T * a->steps.B;
    double *sums = a->reserve;
    const crs_status status =
        cpu_activate_backward(device, a->activation, a->T_out * a->steps.B * a->P_out, O, a->y, a->dy, a->db);
    if (status != CRS_OK)
        return status;
#pragma omp parallel num_threads(device->threads) if ((ids * taps + columns) * O >= PARALLEL_FROM)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t k = 0; k < taps * parts; k++) {
            const int64_t tap = k / parts, width = a->window.size[1];
            sum_share(a, &(share){tap / width, tap % width, k % parts, parts}, sums);
        }
#pragma omp for schedule(static)
        for (int64_t o = 0; o < O; o++)
            add_transposed(o, O, columns, sums, a->dW);
    }
    return CRS_OK;
}

/* Holds what forward needs, and the sums of the backward: of the order of W, which is in memory, so that nothing here
 * can overflow. */
size_t CPU_NAME(onehot_reserve)(const crs_device *device, const crs_conv *a) {
    (void)device;
    return (size_t)(columns_of(a) * a->O) * sizeof(double) + (size_t)a->O * sizeof(real);
}
