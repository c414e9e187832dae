/* Where the window of a convolution lies: what conv, its blocked variant and onehot have in common. Axis 0 is time,
 * axis 1 positions. */
#ifndef CRS_CPU_CONV_H
#define CRS_CPU_CONV_H

#include "cpu.h"
#include "live.h"

/* The input that an output sees through a tap of the window; -1: it would lie beyond the edges. */
static inline int64_t seen_input(const crs_window *w, int axis, int64_t output, int64_t tap, int64_t inputs) {
    const int64_t input = output * w->stride[axis] + tap * w->dilation[axis] - w->before[axis];
    return input >= 0 && input < inputs ? input : -1;
}

/* The output that sees an input through a tap of the window; -1: none does. */
static inline int64_t seeing_output(const crs_window *w, int axis, int64_t input, int64_t tap, int64_t outputs) {
    const int64_t distance = input + w->before[axis] - tap * w->dilation[axis], stride = w->stride[axis];
    if (distance < 0)
        return -1;
    const int64_t output = stride == 1 ? distance : distance % stride == 0 ? distance / stride : -1;
    return output < outputs ? output : -1;
}

/* The tap of the window through which an output sees an input; -1: through none. */
static inline int64_t tap_between(const crs_window *w, int axis, int64_t output, int64_t input) {
    const int64_t distance = input + w->before[axis] - output * w->stride[axis], dilation = w->dilation[axis];
    if (distance < 0)
        return -1;
    const int64_t tap = dilation == 1 ? distance : distance % dilation == 0 ? distance / dilation : -1;
    return tap < w->size[axis] ? tap : -1;
}

/* A row for every position of a [T,B,P], and what it sees through the taps of the window: rows of the source. Either
 * rows are outputs and the source is x; or rows are inputs, which see the gradients of those outputs that see them. */
typedef struct conv_view {
    const crs_conv *a;
    int of_outputs;
    int64_t T, P;               /* of the rows */
    int64_t source_T, source_P; /* of the source */
    int64_t width;              /* of the source's rows */
    int64_t taps, rows;
    const real *source;
} conv_view;

static inline conv_view conv_outputs(const crs_conv *a) {
    return (conv_view){.a = a,
                       .of_outputs = 1,
                       .T = a->T_out,
                       .P = a->P_out,
                       .source_T = a->steps.T,
                       .source_P = a->P,
                       .width = a->I,
                       .taps = a->window.size[0] * a->window.size[1],
                       .rows = a->T_out * a->steps.B * a->P_out,
                       .source = a->x};
}

static inline conv_view conv_inputs(const crs_conv *a) {
    return (conv_view){.a = a,
                       .T = a->steps.T,
                       .P = a->P,
                       .source_T = a->T_out,
                       .source_P = a->P_out,
                       .width = a->O,
                       .taps = a->window.size[0] * a->window.size[1],
                       .rows = a->steps.T * a->steps.B * a->P,
                       .source = a->dy};
}

/* What row (t,b,p) sees through tap (i,j), -1: nothing. The step may be dead. */
static inline int64_t conv_step(const conv_view *v, int64_t t, int64_t i) {
    const crs_window *w = &v->a->window;
    return v->of_outputs ? seen_input(w, 0, t, i, v->source_T) : seeing_output(w, 0, t, i, v->source_T);
}

static inline int64_t conv_position(const conv_view *v, int64_t p, int64_t j) {
    const crs_window *w = &v->a->window;
    return v->of_outputs ? seen_input(w, 1, p, j, v->source_P) : seeing_output(w, 1, p, j, v->source_P);
}

/* The source's row at such a step and position; NULL: nothing is there, or it is dead. */
static inline const real *conv_source(const conv_view *v, int64_t t, int64_t b, int64_t source_t, int64_t source_p) {
    const live_range live = row_live(&v->a->steps, b);
    if (source_t < 0 || source_p < 0 || !is_live(live, v->of_outputs ? source_t : t))
        return NULL;
    return v->source + ((source_t * v->a->steps.B + b) * v->source_P + source_p) * v->width;
}

#endif
