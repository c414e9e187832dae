/* The march of the variant "persistent" through the live steps of a row, for a cell that lstm_persistent.cu,
 * gru_persistent.cu or rnn_persistent.cu gives: what a cell computes is theirs; fetching ahead, the state in shared
 * memory behind one barrier a step, dead steps, masks and the final state are the same for all and stand here.
 *
 * A turn of the loop is two steps, which makes the places in shared memory constants. What surrounds the products
 * counts: at 64 units of four gates eight warps share four schedulers, and half of their instructions are multiply-adds
 * (tools/bench/gpu/instructions.py counts them).
 *
 * A layer's constants
 *   gates            G
 *   lanes            threads of a unit: 4, or 2
 *   cell_state       there is a c, which forward keeps
 *   separates        W x and R h do not meet in a sum: lane 2 has the last gate's R h, lane 3 what else it has
 *   keeps            forward keeps, of each lane, a number that backward needs
 *   copies_state     a part of h goes into the next step as it is
 *   gate_of(lane)    the gate that a lane's numbers belong to
 * A cell of the way forward has these, is made of (recurrence, thread), and has
 *   h, c             the state before a step, then after it
 *   step(h, input)   takes a step from the masked h in shared memory; returns what is to be kept. input: W x
 * A cell of the way back has them too, and
 *   dz_floats            floats of a unit in shared memory: 4, or 1, in lane 0
 *   product(dz)          R's share of the gradient of h before a step, from the gradients in shared memory
 *   step(dh, now, after) returns the lane's gradient. after: c or h behind the step
 *   copied               of dh what goes to h before as it is, of a layer that copies */
#ifndef CRS_CUDA_PERSISTENT_MARCH_CUH
#define CRS_CUDA_PERSISTENT_MARCH_CUH

#include "persistent_weights.cuh"

/* The lane's number of its unit in row 0 of the T*B rows of memory; it has one in each, r.width further on. */
template <class Layer>
static __device__ __forceinline__ float *lane_numbers(const recurrence &r,
                                                      const persistent_thread<Layer::lanes> &thread) {
    float *const memory = Layer::separates && thread.lane == 2 ? r.products : r.gates;
    return memory + Layer::gate_of(thread.lane) * r.a.H + thread.unit;
}

/* ---- forward ---- */

/* Where a lane writes the state of its unit: lane 1 h, of four the third c and the fourth, of two the first, the masked
 * h before the step. */
template <class Layer> struct state_writer {
    float *at; /* of the first live step, and then of the next */
    int64_t stride;
    bool writes;

    __device__ __forceinline__ state_writer(const recurrence &r, const persistent_thread<Layer::lanes> &thread) {
        const bool of_c = Layer::cell_state && thread.lane == 2 && r.a.training;
        const bool of_masked = thread.lane == (Layer::lanes == 4 ? 3 : 0) && r.h_masked;
        const int64_t width = of_c || of_masked ? r.a.H : r.a.ldy;
        at = of_c ? r.cells : of_masked ? r.h_masked : (float *)r.a.y;
        at += thread.at(r, thread.first) * width + thread.unit;
        stride = thread.direction * r.a.steps.B * width;
        writes = (of_c || of_masked || thread.lane == 1) && thread.exists;
    }
};

/* Dead steps: every lane of a unit writes its share of them. h_masked is only there to be finite where the gradients of
 * the gates are zero. */
template <int LANES>
static __device__ __forceinline__ void fill_dead(const recurrence &r, const persistent_thread<LANES> &thread,
                                                 int64_t from, int64_t n, float h) {
    for (int64_t t = from + thread.lane; thread.exists && t < from + n; t += LANES) {
        ((float *)r.a.y)[thread.at(r, t) * r.a.ldy + thread.unit] = h;
        if (r.h_masked)
            r.h_masked[thread.at(r, t) * r.a.H + thread.unit] = 0;
    }
}

template <class Cell, int UNITS> static __device__ __forceinline__ void persistent_forward(const recurrence &r) {
    CUDA_SHARED_ARRAY(float4, h_shared,
                      UNITS / 2); /* UNITS floats, twice: h before a step is read, h after it written */
    const persistent_thread<Cell::lanes> thread(r);
    const int n = thread.n;
    const int64_t stride = thread.direction * r.a.steps.B * r.width;
    Cell cell(r, thread);

    /* Inputs are fetched two steps before they are needed. */
    float *kept = lane_numbers<Cell>(r, thread) + thread.at(r, thread.first) * r.width;
    const bool reads = thread.exists && !(Cell::separates && thread.lane == 2);
    const bool keeps = Cell::keeps && r.a.training && thread.exists;
    const float *ahead = kept;
    float input = reads && n > 0 ? *ahead : 0;
    ahead += stride;
    float next_input = reads && n > 1 ? *ahead : 0;

    state_writer<Cell> state(r, thread);
    float *const h_write = reinterpret_cast<float *>(h_shared) + thread.unit;
    float h_masked = 0;
    if (thread.lane == 0)
        h_write[0] = 0;
    __syncthreads();
#pragma unroll 2
    for (int k = 0; k < n; k++) {
        ahead += stride;
        const float far_input = reads && k < n - 2 ? *ahead : 0; /* k + 2 might not fit an int */
        const float number = cell.step(h_shared + k % 2 * (UNITS / 4), input);
        if (state.writes)
            *state.at = thread.lane == 1 ? cell.h : Cell::cell_state && thread.lane == 2 ? cell.c : h_masked;
        h_masked = cell.h * thread.recurrent_factor;
        if (thread.lane == 0)
            h_write[(k + 1) % 2 * UNITS] = h_masked;
        if (keeps)
            *kept = number;
        kept += stride;
        state.at += state.stride;
        input = next_input;
        next_input = far_input;
        __syncthreads();
    }
    fill_dead(r, thread, thread.before, thread.before_n, 0);
    fill_dead(r, thread, thread.behind, thread.behind_n, cell.h);
    if (r.a.h_last && thread.exists && thread.lane == 0)
        ((float *)r.a.h_last)[thread.row * r.a.ldy + thread.unit] = cell.h;
}

/* ---- backward ---- */

/* What a step needs from memory; fetched two steps before. */
struct persistent_inputs {
    float kept, before, dy; /* before: c or h before the step */
};

/* Fetches them, from the last live step to the first. */
template <class Layer> struct inputs_behind {
    const float *kept, *state, *dy;
    int64_t kept_stride, state_stride, dy_stride;
    bool exists, has_dy;

    __device__ __forceinline__ inputs_behind(const recurrence &r, const persistent_thread<Layer::lanes> &thread) {
        const int64_t last = thread.at(r, thread.first + (thread.n - 1) * thread.direction);
        const int64_t stride = -thread.direction * r.a.steps.B, state_width = Layer::cell_state ? r.a.H : r.a.ldy;
        kept = lane_numbers<Layer>(r, thread) + last * r.width;
        state = (Layer::cell_state ? r.cells : (const float *)r.a.y) + last * state_width + thread.unit;
        dy = (const float *)(r.a.dy ? r.a.dy : r.a.y) + last * r.a.ldy + thread.unit;
        kept_stride = stride * r.width;
        state_stride = stride * state_width;
        dy_stride = stride * r.a.ldy;
        exists = thread.exists;
        has_dy = r.a.dy && exists;
    }
    /* Of the next step; `left` live ones are left, this one included. */
    __device__ __forceinline__ persistent_inputs fetch(int left) {
        persistent_inputs inputs;
        state += state_stride;
        inputs.kept = Layer::keeps && exists && left > 0 ? *kept : 0;
        inputs.before = exists && left > 1 ? *state : 0;
        inputs.dy = has_dy && left > 0 ? *dy : 0;
        kept += kept_stride;
        dy += dy_stride;
        return inputs;
    }
};

/* The gradient that reaches the last live state from behind it: from the final state and from the dead steps, which
 * have copied it. */
template <int LANES>
static __device__ __forceinline__ float gradient_from_behind(const recurrence &r,
                                                             const persistent_thread<LANES> &thread) {
    const float *dy = (const float *)r.a.dy, *dh_last = (const float *)r.a.dh_last;
    float sum = 0;
    for (int64_t t = thread.behind + thread.lane; dy && thread.exists && t < thread.behind + thread.behind_n;
         t += LANES)
        sum += dy[thread.at(r, t) * r.a.ldy + thread.unit];
    sum = sum_unit<LANES>(sum);
    return dh_last && thread.exists ? sum + dh_last[thread.row * r.a.ldy + thread.unit] : sum;
}

/* Where a lane writes the gradient it has: of layers that separate, lanes 0 and 1 write it twice, since W x and R h
 * have the same. */
template <class Layer> struct gradient_writer {
    float *at, *twin; /* in some row of the T*B rows of memory; twin NULL where nothing is written twice */
    bool writes, writes_twin;

    __device__ __forceinline__ gradient_writer(const recurrence &r, const persistent_thread<Layer::lanes> &thread,
                                               int64_t row) {
        const int64_t place = row * r.width;
        at = lane_numbers<Layer>(r, thread) + place;
        twin = NULL;
        if constexpr (Layer::separates)
            twin = r.products + Layer::gate_of(thread.lane) * r.a.H + thread.unit + place;
        writes = thread.exists && (Layer::lanes == 4 || thread.lane == 1);
        writes_twin = Layer::separates && thread.exists && thread.lane < 2;
    }
    __device__ __forceinline__ void write(float dz, int64_t stride) {
        if (writes)
            *at = dz;
        at += stride;
        if constexpr (Layer::separates) {
            if (writes_twin)
                *twin = dz;
            twin += stride;
        }
    }
};

template <class Layer>
static __device__ __forceinline__ void clear_dead(const recurrence &r, const persistent_thread<Layer::lanes> &thread,
                                                  int64_t from, int64_t n) {
    gradient_writer<Layer> writer(r, thread, thread.at(r, from));
    for (int64_t t = 0; t < n; t++)
        writer.write(0, r.a.steps.B * r.width);
}

template <class Cell, int UNITS> static __device__ __forceinline__ void persistent_backward(const recurrence &r) {
    constexpr int SIZE = UNITS * Cell::dz_floats;   /* floats */
    CUDA_SHARED_ARRAY(float4, dz_shared, SIZE / 2); /* the gates' gradients of each unit, twice: read, and written */
    const persistent_thread<Cell::lanes> thread(r);
    const int n = thread.n;
    Cell cell(r, thread);

    const int64_t stride = -thread.direction * r.a.steps.B * r.width;
    gradient_writer<Cell> writer(r, thread, thread.at(r, thread.first + (n - 1) * thread.direction));
    inputs_behind<Cell> inputs(r, thread);
    float after = thread.exists && n > 0 ? *inputs.state : 0;
    persistent_inputs now = inputs.fetch(n), next = inputs.fetch(n - 1);
    now.dy += gradient_from_behind(r, thread);

    const bool shares = Cell::dz_floats == 4 || thread.lane == 0;
    float *const dz_write =
        reinterpret_cast<float *>(dz_shared) + (Cell::dz_floats == 4 ? (int)threadIdx.x : thread.unit);
    if (shares)
        dz_write[0] = 0;
    __syncthreads();
#pragma unroll 2
    for (int k = 0; k < n; k++) {
        const persistent_inputs far = inputs.fetch(n - k - 2);
        const float share = cell.product(dz_shared + k % 2 * (SIZE / 4));
        const float dz = cell.step(share * thread.recurrent_factor + now.dy, now, after);
        if (shares)
            dz_write[(k + 1) % 2 * SIZE] = dz;
        writer.write(dz, stride);
        after = now.before;
        now = next;
        if constexpr (Cell::copies_state)
            now.dy += cell.copied;
        next = far;
        __syncthreads();
    }
    clear_dead<Cell>(r, thread, thread.before, thread.before_n);
    clear_dead<Cell>(r, thread, thread.behind, thread.behind_n);
}

#endif
