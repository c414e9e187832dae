/* LSTM, variant "persistent": all steps of a sequence in one kernel, one block for each row of the batch. The recurrent
 * weights stay in registers for the whole sequence, the state goes from step to step through shared memory behind one
 * barrier, and a block runs its own live steps only. Products over all steps (inputs, weight gradients) are
 * recurrent.cu's, and precision TF32 is theirs alone: in here everything is single precision.
 *
 * Four threads serve a unit, one for each gate. */
#include "persistent_march.cuh"

struct lstm_layer {
    static constexpr int gates = 4, lanes = 4;
    static constexpr bool cell_state = true, separates = false, keeps = true, copies_state = false;

    static __device__ __forceinline__ int gate_of(int lane) {
        return lane;
    }
};

/* ---- forward ---- */

template <int UNITS> struct lstm_forward : lstm_layer {
    const forward_weights<UNITS, gates> R;
    const int lane;
    const float bias;
    float h = 0, c = 0;

    __device__ __forceinline__ lstm_forward(const recurrence &r, const persistent_thread<lanes> &thread)
        : R(r, thread), lane(thread.lane),
          bias(thread.exists ? ((const float *)r.a.b)[lane * r.a.H + thread.unit] : 0) {}

    __device__ __forceinline__ float step(const float4 *h_shared, float input) {
        const float state = R.product(h_shared, lane);
        const float activated = activate(state + (input + bias), lane == 2);
        const float4 ifgo = lanes_of_unit(activated);
        c = ifgo.y * c + ifgo.x * ifgo.z;
        h = ifgo.w * activate(c, true);
        return activated;
    }
};

/* At most 128 registers. With 64 units: 256 threads, two blocks to a multiprocessor, 512 bytes of shared memory. A step
 * is 16384 multiply-adds (128 cycles for 128 lanes), 2.5 KiB from and to memory in training (W x; the gates, c and h),
 * and a chain of shared memory, two shuffles, sigmoid, shuffle, c, tanh and the barrier: some 255 cycles more if
 * nothing hides it, an estimate. */
template <int UNITS>
static __global__ void __launch_bounds__(4 * UNITS, 128 / UNITS) lstm_persistent_forward(recurrence r) {
    persistent_forward<lstm_forward<UNITS>, UNITS>(r);
}

/* ---- backward ---- */

template <int UNITS> struct lstm_backward : lstm_layer {
    static constexpr int dz_floats = 4;
    const backward_weights<UNITS, gates> R;
    const int lane;
    float dc = 0;

    __device__ __forceinline__ lstm_backward(const recurrence &r, const persistent_thread<lanes> &thread)
        : R(r), lane(thread.lane) {}

    __device__ __forceinline__ float product(const float4 *dz) const {
        return R.product(dz);
    }
    /* tanh(c) is computed again, which is cheaper than to store it and read it back. */
    __device__ __forceinline__ float step(float dh, const persistent_inputs &now, float c) {
        const float4 ifgo = lanes_of_unit(now.kept);
        const float tanh_c = activate(c, true), d = dc + dh * ifgo.w * (1 - tanh_c * tanh_c);
        const float dgate = lane == 0 ? d * ifgo.z : lane == 1 ? d * now.before : lane == 2 ? d * ifgo.x : dh * tanh_c;
        dc = d * ifgo.y;
        return dgate * (lane == 2 ? 1 - now.kept * now.kept : now.kept * (1 - now.kept));
    }
};

/* At most 128 registers. With 64 units: 256 threads, two blocks to a multiprocessor, 2 KiB of shared memory. A step is
 * 16384 multiply-adds (128 cycles for 128 lanes), 2.5 KiB from and to memory (the gates, c, dy; the gates' gradients),
 * and a chain of shared memory, four shuffles, a few products and the barrier: some 200 cycles more, an estimate. */
template <int UNITS>
static __global__ void __launch_bounds__(4 * UNITS, 128 / UNITS) lstm_persistent_backward(recurrence r) {
    persistent_backward<lstm_backward<UNITS>, UNITS>(r);
}

/* ---- the slots ---- */

static constexpr recurrent_kind lstm_kind = {lstm_layer::gates, 0, lstm_layer::cell_state, lstm_layer::separates};

static size_t reserve(const crs_recurrent *a) {
    recurrence r;
    return cuda_recurrent_lay_out(a, lstm_kind, false, &r);
}

static crs_status forward(crs_device *device, const crs_recurrent *a) {
    recurrence r;
    cuda_recurrent_lay_out(a, lstm_kind, false, &r);
    CRS_TRY(cuda_recurrent_inputs(device, r));
    return cuda_persistent_launch(device, r, lstm_layer::lanes, lstm_persistent_forward<16>,
                                  lstm_persistent_forward<32>, lstm_persistent_forward<64>);
}

static crs_status backward(crs_device *device, const crs_recurrent *a) {
    recurrence r;
    cuda_recurrent_lay_out(a, lstm_kind, false, &r);
    CRS_TRY(cuda_persistent_launch(device, r, lstm_layer::lanes, lstm_persistent_backward<16>,
                                   lstm_persistent_backward<32>, lstm_persistent_backward<64>));
    return cuda_recurrent_gradients(device, r);
}

const recurrent_slots cuda_lstm_persistent = {reserve, forward, backward};
