/* The plain recurrent layer, variant "persistent": all steps of a sequence in one kernel, one block for each row of the
 * batch, as lstm_persistent.cu has it.
 *
 * Two threads serve a unit, with half of its product each: 64 units give every scheduler of a multiprocessor a warp. Of
 * a single thread the schedulers would half be idle; four would add a shuffle to every step, and multiply no faster. */
#include "persistent_march.cuh"

struct rnn_layer {
    static constexpr int gates = 1, lanes = 2;
    static constexpr bool cell_state = false, separates = false, keeps = false, copies_state = false;

    static __device__ __forceinline__ int gate_of(int) {
        return 0;
    }
};

/* ---- forward ---- */

template <int UNITS> struct rnn_forward : rnn_layer {
    const unit_weights<UNITS, false> R;
    const int lane;
    const bool is_tanh;
    const float bias;
    float h = 0, c = 0;

    __device__ __forceinline__ rnn_forward(const recurrence &r, const persistent_thread<lanes> &thread)
        : R(r, thread), lane(thread.lane), is_tanh(r.a.activation == CRS_TANH),
          bias(thread.exists ? ((const float *)r.a.b)[thread.unit] : 0) {}

    __device__ __forceinline__ float step(const float4 *h_shared, float input) {
        const float sum = R.product(h_shared, lane) + (input + bias);
        if (is_tanh)
            h = activate(sum, true);
        else
            h = sum < 0 ? 0 : sum; /* a NaN stays one */
        return h;
    }
};

/* At most 80 registers. With 64 units: 128 threads, six blocks to a multiprocessor, 512 bytes of shared memory. A step
 * is 4096 multiply-adds (32 cycles for 128 lanes), 512 bytes from and to memory (W x; h), and a chain of shared memory,
 * a shuffle, tanh and the barrier: some 160 cycles more if nothing hides it, an estimate. */
template <int UNITS> static __global__ void __launch_bounds__(2 * UNITS) rnn_persistent_forward(recurrence r) {
    persistent_forward<rnn_forward<UNITS>, UNITS>(r);
}

/* ---- backward ---- */

template <int UNITS> struct rnn_backward : rnn_layer {
    static constexpr int dz_floats = 1;
    const unit_weights<UNITS, true> R;
    const int lane;
    const bool is_tanh;

    __device__ __forceinline__ rnn_backward(const recurrence &r, const persistent_thread<lanes> &thread)
        : R(r, thread), lane(thread.lane), is_tanh(r.a.activation == CRS_TANH) {}

    __device__ __forceinline__ float product(const float4 *dz) const {
        return R.product(dz, lane);
    }
    /* Both derivatives can be had from h. */
    __device__ __forceinline__ float step(float dh, const persistent_inputs &, float h) const {
        if (is_tanh)
            return dh * (1 - h * h);
        return h > 0 ? dh : 0;
    }
};

/* At most 80 registers. With 64 units: 128 threads, six blocks to a multiprocessor, 512 bytes of shared memory. A step
 * is 4096 multiply-adds (32 cycles for 128 lanes), 768 bytes from and to memory (h, dy; the gradient of W x), and a
 * chain of shared memory, a shuffle, three products and the barrier: some 115 cycles more, an estimate. */
template <int UNITS> static __global__ void __launch_bounds__(2 * UNITS) rnn_persistent_backward(recurrence r) {
    persistent_backward<rnn_backward<UNITS>, UNITS>(r);
}

/* ---- the slots ---- */

static constexpr recurrent_kind rnn_kind = {rnn_layer::gates, 0, rnn_layer::cell_state, rnn_layer::separates};

static size_t reserve(const crs_recurrent *a) {
    recurrence r;
    return cuda_recurrent_lay_out(a, rnn_kind, false, &r);
}

static crs_status forward(crs_device *device, const crs_recurrent *a) {
    recurrence r;
    cuda_recurrent_lay_out(a, rnn_kind, false, &r);
    CRS_TRY(cuda_recurrent_inputs(device, r));
    return cuda_persistent_launch(device, r, rnn_layer::lanes, rnn_persistent_forward<16>, rnn_persistent_forward<32>,
                                  rnn_persistent_forward<64>);
}

static crs_status backward(crs_device *device, const crs_recurrent *a) {
    recurrence r;
    cuda_recurrent_lay_out(a, rnn_kind, false, &r);
    CRS_TRY(cuda_persistent_launch(device, r, rnn_layer::lanes, rnn_persistent_backward<16>,
                                   rnn_persistent_backward<32>, rnn_persistent_backward<64>));
    return cuda_recurrent_gradients(device, r);
}

const recurrent_slots cuda_rnn_persistent = {reserve, forward, backward};
