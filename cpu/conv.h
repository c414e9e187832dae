/* Where the window of a convolution lies: what conv and onehot have in common. Axis 0 is time, axis 1 positions. */
#ifndef CRS_CPU_CONV_H
#define CRS_CPU_CONV_H

#include <carousel/ops.h>

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

#endif
