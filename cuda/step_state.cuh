/* What the operations that watch over a step share about its state. */
#ifndef CRS_CUDA_STEP_STATE_CUH
#define CRS_CUDA_STEP_STATE_CUH

#include "port.cuh"

#include <carousel/ops.h>

/* Notes the running step as the first bad one if `value`, its loss or gradient norm, is not finite. Before the first
 * step (evaluation only) the step is 0, which would say that nothing is bad: 1 stands for it then. For one thread. */
static __device__ __forceinline__ void cuda_note_bad_step(crs_step_state *state, double value) {
    const bool finite = value - value == 0; /* else it is a NaN */
    if (!finite && state->bad_step == 0)
        state->bad_step = state->step > 0 ? state->step : 1;
}

#endif
