/* Where the window of a convolution lies: what conv and onehot have in common. Axis 0 is time, axis 1 positions. */
#ifndef CRS_CUDA_CONV_CUH
#define CRS_CUDA_CONV_CUH

#include "cuda.cuh"

/* The input that an output sees through a tap of the window; -1: it would lie beyond the edges. */
static __device__ __forceinline__ int64_t seen_input(const crs_window &w, int axis, int64_t output, int64_t tap,
                                                     int64_t inputs) {
    const int64_t input = output * w.stride[axis] + tap * w.dilation[axis] - w.before[axis];
    return input >= 0 && input < inputs ? input : -1;
}

/* distance / step, or -1 where that is no whole number. Most steps are 1, and a division takes a hundred instructions.
 */
static __device__ __forceinline__ int64_t whole_steps(int64_t distance, int64_t step) {
    if (distance < 0 || step == 1)
        return distance < 0 ? -1 : distance;
    return distance % step == 0 ? distance / step : -1;
}

/* The output that sees an input through a tap of the window; -1: none does. */
static __device__ __forceinline__ int64_t seeing_output(const crs_window &w, int axis, int64_t input, int64_t tap,
                                                        int64_t outputs) {
    const int64_t output = whole_steps(input + w.before[axis] - tap * w.dilation[axis], w.stride[axis]);
    return output < outputs ? output : -1;
}

/* The tap of the window through which an output sees an input; -1: through none. */
static __device__ __forceinline__ int64_t tap_between(const crs_window &w, int axis, int64_t output, int64_t input) {
    const int64_t tap = whole_steps(input + w.before[axis] - output * w.stride[axis], w.dilation[axis]);
    return tap < w.size[axis] ? tap : -1;
}

#endif
