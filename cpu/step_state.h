/* What the operations that watch over a step share about its state. */
#ifndef CRS_CPU_STEP_STATE_H
#define CRS_CPU_STEP_STATE_H

#include <carousel/ops.h>
#include <math.h>

/* Notes the running step as the first bad one if `value`, its loss or gradient norm, is not finite. Before the first
 * step (evaluation only) the step is 0, which would say that nothing is bad: 1 stands for it then. */
static inline void cpu_note_bad_step(crs_step_state *state, double value) {
    if (!isfinite(value) && state->bad_step == 0)
        state->bad_step = state->step > 0 ? state->step : 1;
}

#endif
