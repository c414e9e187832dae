/* The kernels of one step of the march, for a cell that rnn.cu, lstm.cu and gru.cu give: what a cell computes is
 * theirs, how dead rows, masks and the final state are dealt with is the same for all and stands here.
 *
 * A Cell has the constants of recurrent_kind, and of a recurrent_unit's numbers
 *   forward(unit)         makes gates, c and h; where there is an inner state, only the gates that see it
 *   backward(unit)        makes the gates' gradients, dh and dc, but for what hangs on the inner state
 *   forward_inner(unit)   where there is an inner state, makes it and the other gates
 *   backward_inner(unit)  makes what hangs on it */
#ifndef CRS_CUDA_RECURRENT_STEP_CUH
#define CRS_CUDA_RECURRENT_STEP_CUH

#include "live.cuh"
#include "recurrent.cuh"

/* One unit of one row at a step, as a cell sees it. What its kind does not have is zero. */
template <int GATES> struct recurrent_unit {
    crs_activation activation;
    float z[GATES];       /* forward: in W x + R h + b, out the gates; backward: in the gates, out their gradient */
    float product[GATES]; /* of a kind that separates, whose z lacks it. Forward: in R h + b_hh, out whatever backward
                             needs; backward: out its gradient */
    float c_before, c;    /* forward: out c */
    float h_before, h;    /* forward: out h */
    float h_masked;       /* forward_inner, backward_inner: h_before through the mask of the recurrence */
    float inner;          /* forward_inner: out the inner state */
    float dh;             /* backward: in the gradient of h, out what of it goes to h_before other than through R */
    float dc;             /* backward: in the gradient of c, out that of c_before */
    float d_inner;        /* backward_inner: in the gradient of the inner state */
    float dh_masked;      /* backward_inner: out what of it goes to h_masked */
};

static __device__ __forceinline__ float cuda_sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

/* At most 64 registers. A warp takes 32 units of a row, so that reads are whole lines; blocks are as march.cu launches
 * them. */
template <class Cell> static __global__ void recurrent_step_forward(recurrent_step s) {
    const int64_t unit = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    constexpr int first = Cell::inner_gates ? Cell::gates - Cell::inner_gates : 0; /* those before it are made */
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; unit < s.H && row < s.steps.B;
         row += (int64_t)gridDim.y * blockDim.y) {
        const int64_t e = row * s.H + unit, in_row = row * s.ldy + unit, in_gates = row * Cell::gates * s.H + unit;
        recurrent_unit<Cell::gates> u = {};
        u.activation = s.activation;
        u.c_before = u.c = Cell::has_cell_state && s.c_before ? s.c_before[e] : 0;
        u.h_before = u.h = s.h_before ? s.h_before[in_row] : 0;
        if (live_steps(s.steps, row).contains(s.t)) {
            for (int g = 0; g < Cell::gates; g++)
                u.z[g] = s.z[in_gates + g * s.H] + (g < first ? 0 : s.b[g * s.H + unit]);
            for (int g = 0; Cell::separates && g < Cell::gates; g++)
                u.product[g] = (s.h_before ? s.product[in_gates + g * s.H] : 0) + s.b_hh[g * s.H + unit];
            Cell::forward(u);
            for (int g = first; g < Cell::gates; g++)
                s.z[in_gates + g * s.H] = u.z[g];
            for (int g = 0; Cell::separates && g < Cell::gates; g++)
                s.product[in_gates + g * s.H] = u.product[g];
        }
        if (Cell::has_cell_state)
            s.c[e] = u.c;
        s.h[in_row] = u.h;
        if (s.h_last)
            s.h_last[in_row] = u.h;
        if (s.h_masked)
            s.h_masked[e] = u.h * s.mask[e];
    }
}

/* At most 64 registers. Blocks as above. The inner state of dead rows is zero. */
template <class Cell> static __global__ void recurrent_step_forward_inner(recurrent_step s) {
    const int64_t unit = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    constexpr int outer = Cell::gates - Cell::inner_gates;
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; unit < s.H && row < s.steps.B;
         row += (int64_t)gridDim.y * blockDim.y) {
        const int64_t e = row * s.H + unit, in_row = row * s.ldy + unit, in_gates = row * Cell::gates * s.H + unit;
        recurrent_unit<Cell::gates> u = {};
        if (live_steps(s.steps, row).contains(s.t)) {
            u.h_before = s.h_before ? s.h_before[in_row] : 0;
            u.h_masked = s.mask ? u.h_before * s.mask[e] : u.h_before;
            for (int g = 0; g < outer; g++)
                u.z[g] = s.z[in_gates + g * s.H] + s.b[g * s.H + unit];
            Cell::forward_inner(u);
            for (int g = 0; g < outer; g++)
                s.z[in_gates + g * s.H] = u.z[g];
        }
        s.inner[e] = u.inner;
    }
}

/* At most 64 registers. Blocks as above. The step after this one has left in dh what goes by R, or all there is; in
 * dh_masked R's share where that goes through the mask. This one leaves the former, and room for the latter. */
template <class Cell> static __global__ void recurrent_step_backward(recurrent_step s) {
    const int64_t unit = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; unit < s.H && row < s.steps.B;
         row += (int64_t)gridDim.y * blockDim.y) {
        const int64_t e = row * s.H + unit, in_row = row * s.ldy + unit, in_gates = row * Cell::gates * s.H + unit;
        recurrent_unit<Cell::gates> u = {};
        u.activation = s.activation;
        if (s.t_after < 0) {
            u.dh = s.dh_last ? s.dh_last[in_row] : 0;
        } else {
            u.dh = s.dh_masked ? s.dh[e] + s.dh_masked[e] * s.mask[e] : s.dh[e];
            u.dc = Cell::has_cell_state ? s.dc[e] : 0;
        }
        if (s.dy)
            u.dh += s.dy[in_row];
        if (live_steps(s.steps, row).contains(s.t)) {
            for (int g = 0; g < Cell::gates; g++)
                u.z[g] = s.z[in_gates + g * s.H];
            for (int g = 0; Cell::separates && g < Cell::gates; g++)
                u.product[g] = s.product[in_gates + g * s.H];
            u.c_before = Cell::has_cell_state && s.c_before ? s.c_before[e] : 0;
            u.c = Cell::has_cell_state ? s.c[e] : 0;
            u.h_before = s.h_before ? s.h_before[in_row] : 0;
            u.h = s.h[in_row];
            Cell::backward(u);
        }
        for (int g = 0; g < Cell::gates; g++)
            s.z[in_gates + g * s.H] = u.z[g];
        for (int g = 0; Cell::separates && g < Cell::gates; g++)
            s.product[in_gates + g * s.H] = u.product[g];
        s.dh[e] = u.dh;
        if (s.dh_masked)
            s.dh_masked[e] = 0;
        if (Cell::has_cell_state)
            s.dc[e] = u.dc;
    }
}

/* At most 64 registers. Blocks as above. Dead rows are left alone: the gradients of their gates are zero already. */
template <class Cell> static __global__ void recurrent_step_backward_inner(recurrent_step s) {
    const int64_t unit = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    constexpr int outer = Cell::gates - Cell::inner_gates;
    for (int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y; unit < s.H && row < s.steps.B;
         row += (int64_t)gridDim.y * blockDim.y) {
        if (!live_steps(s.steps, row).contains(s.t))
            continue;
        const int64_t e = row * s.H + unit, in_row = row * s.ldy + unit, in_gates = row * Cell::gates * s.H + unit;
        recurrent_unit<Cell::gates> u = {};
        u.h_before = s.h_before ? s.h_before[in_row] : 0;
        u.h_masked = s.mask ? u.h_before * s.mask[e] : u.h_before;
        u.d_inner = s.d_inner[e];
        for (int g = 0; g < outer; g++)
            u.z[g] = s.z[in_gates + g * s.H];
        Cell::backward_inner(u);
        for (int g = 0; g < outer; g++)
            s.z[in_gates + g * s.H] = u.z[g];
        float *const dh = s.dh_masked ? s.dh_masked : s.dh;
        dh[e] += u.dh_masked;
    }
}

template <class Cell> static constexpr recurrent_cell recurrent_cell_of() {
    recurrent_cell cell = {};
    cell.kind = {Cell::gates, Cell::inner_gates, Cell::has_cell_state, Cell::separates};
    cell.forward = recurrent_step_forward<Cell>;
    cell.backward = recurrent_step_backward<Cell>;
    if constexpr (Cell::inner_gates > 0) {
        cell.forward_inner = recurrent_step_forward_inner<Cell>;
        cell.backward_inner = recurrent_step_backward_inner<Cell>;
    }
    return cell;
}

#endif
