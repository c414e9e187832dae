/* The kernels of one step of the march, for a cell that rnn.cu and lstm_steps.cu give: what a cell computes is theirs,
 * how dead rows, masks and the final state are dealt with is the same for all and stands here.
 *
 * A Cell has
 *   gates, has_cell_state   constants
 *   forward(activation, z, c)
 *       z [gates]: in W x + R h + b, out the gates; c: in the state before, out the state. Returns h.
 *   backward(activation, z, c_before, c, h, dh, dc)
 *       z [gates]: in the gates, out their gradient; dc: in the gradient of c, out that of c_before.
 * Cells without a cell state are given zeros. */
#ifndef CRS_CUDA_RECURRENT_STEP_CUH
#define CRS_CUDA_RECURRENT_STEP_CUH

#include "live.cuh"
#include "recurrent.cuh"

/* At most 64 registers. A warp takes 32 units of a row, so that reads are whole lines; blocks are as recurrent.cu
 * launches them. */
template <class Cell> static __global__ void recurrent_step_forward(recurrent_step s) {
    const int64_t unit = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; unit < s.H && row < s.steps.B;
         row += (int64_t)gridDim.y * blockDim.y) {
        const int64_t e = row * s.H + unit, in_row = row * s.ldy + unit;
        float c = Cell::has_cell_state && s.c_before ? s.c_before[e] : 0, h;
        if (live_steps(s.steps, row).contains(s.t)) {
            float *gates = s.z + row * Cell::gates * s.H + unit, z[Cell::gates];
            for (int g = 0; g < Cell::gates; g++)
                z[g] = gates[g * s.H] + s.b[g * s.H + unit];
            h = Cell::forward(s.activation, z, c);
            for (int g = 0; g < Cell::gates; g++)
                gates[g * s.H] = z[g];
        } else {
            h = s.h_before ? s.h_before[in_row] : 0;
        }
        if (Cell::has_cell_state)
            s.c[e] = c;
        s.h[in_row] = h;
        if (s.h_last)
            s.h_last[in_row] = h;
        if (s.h_masked)
            s.h_masked[e] = h * s.mask[e];
    }
}

/* At most 64 registers. Blocks as forward. The step after this one has left in dh what dead rows passed by, or R's
 * share, which goes through the mask now. */
template <class Cell> static __global__ void recurrent_step_backward(recurrent_step s) {
    const int64_t unit = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; unit < s.H && row < s.steps.B;
         row += (int64_t)gridDim.y * blockDim.y) {
        const int64_t e = row * s.H + unit, in_row = row * s.ldy + unit;
        const live_steps live(s.steps, row);
        float *gates = s.z + row * Cell::gates * s.H + unit, z[Cell::gates] = {}, dh = 0, dc = 0;
        if (s.t_after < 0) {
            dh = s.dh_last ? s.dh_last[in_row] : 0;
        } else {
            dh = s.mask && live.contains(s.t_after) ? s.dh[e] * s.mask[e] : s.dh[e];
            dc = Cell::has_cell_state ? s.dc[e] : 0;
        }
        if (s.dy)
            dh += s.dy[in_row];
        if (live.contains(s.t)) {
            for (int g = 0; g < Cell::gates; g++)
                z[g] = gates[g * s.H];
            Cell::backward(s.activation, z, Cell::has_cell_state && s.c_before ? s.c_before[e] : 0,
                           Cell::has_cell_state ? s.c[e] : 0, s.h[in_row], dh, dc);
            dh = 0; /* R's share is added by the product */
        }
        for (int g = 0; g < Cell::gates; g++)
            gates[g * s.H] = z[g];
        s.dh[e] = dh;
        if (Cell::has_cell_state)
            s.dc[e] = dc;
    }
}

template <class Cell>
static constexpr recurrent_cell recurrent_cell_of = {Cell::gates, Cell::has_cell_state, recurrent_step_forward<Cell>,
                                                     recurrent_step_backward<Cell>};

#endif
