/* GRU that resets after the product, variant "persistent": all steps of a sequence in one kernel, one block for each
 * row of the batch, as lstm_persistent.cu has it. The one that resets before needs two products a step, one behind the
 * other, and is not here.
 *
 * Four threads serve a unit: those of r and z, and two for n, whose R_n h + b_hh_n is apart from its W_n x + b_n: the
 * third has the former, the fourth the latter. Of the products that the reserve has room for, forward keeps n's alone.
 */
#include "persistent_march.cuh"

struct gru_layer {
    static constexpr int gates = 3, lanes = 4;
    static constexpr bool cell_state = false, separates = true, keeps = true, copies_state = true;

    static __device__ __forceinline__ int gate_of(int lane) {
        return lane < 3 ? lane : 2;
    }
};

/* ---- forward ---- */

template <int UNITS> struct gru_forward : gru_layer {
    const forward_weights<UNITS, gates> R;
    const int lane;
    float bias = 0;
    float h = 0, c = 0;

    __device__ __forceinline__ gru_forward(const recurrence &r, const persistent_thread<lanes> &thread)
        : R(r, thread), lane(thread.lane) {
        const int64_t place = gate_of(lane) * r.a.H + thread.unit;
        if (thread.exists && lane != 2)
            bias += ((const float *)r.a.b)[place];
        if (thread.exists && lane != 3)
            bias += ((const float *)r.a.b_hh)[place];
    }

    /* n in all lanes, so that nobody waits for it to come from another one. */
    __device__ __forceinline__ float step(const float4 *h_shared, float input) {
        const float sum = R.product(h_shared, lane) + (input + bias);
        const float4 sums = lanes_of_unit(sum), gate = lanes_of_unit(activate(sum, false));
        const float n = activate(sums.w + gate.x * sums.z, true);
        h = n + gate.y * (h - n);
        return lane == 0 ? gate.x : lane == 1 ? gate.y : lane == 2 ? sum : n;
    }
};

/* At most 128 registers. With 64 units: 256 threads, two blocks to a multiprocessor, 512 bytes of shared memory. A step
 * is 12288 multiply-adds (96 cycles for 128 lanes), 2 KiB from and to memory in training (W x; the gates, n's share of
 * R h, and h), and a chain of shared memory, two shuffles, sigmoid, shuffle, tanh and the barrier: some 245 cycles more
 * if nothing hides it, an estimate. */
template <int UNITS>
static __global__ void __launch_bounds__(4 * UNITS, 128 / UNITS) gru_persistent_forward(recurrence r) {
    persistent_forward<gru_forward<UNITS>, UNITS>(r);
}

/* ---- backward ---- */

template <int UNITS> struct gru_backward : gru_layer {
    static constexpr int dz_floats = 4;
    const backward_weights<UNITS, gates> R;
    const int lane;
    float copied = 0;

    __device__ __forceinline__ gru_backward(const recurrence &r, const persistent_thread<lanes> &thread)
        : R(r), lane(thread.lane) {}

    __device__ __forceinline__ float product(const float4 *dz) const {
        return R.product(dz);
    }
    /* Every lane's gradient is a multiple of dh; by how much does not wait for it. */
    __device__ __forceinline__ float step(float dh, const persistent_inputs &now, float) {
        const float4 kept = lanes_of_unit(now.kept);
        const float r = kept.x, z = kept.y, product_n = kept.z, n = kept.w;
        const float of_n = (1 - z) * (1 - n * n);
        const float multiple = lane == 0   ? of_n * product_n * r * (1 - r)
                               : lane == 1 ? (now.before - n) * z * (1 - z)
                               : lane == 2 ? of_n * r
                                           : of_n;
        copied = dh * z;
        return dh * multiple;
    }
};

/* At most 128 registers. With 64 units: 256 threads, two blocks to a multiprocessor, 2 KiB of shared memory. A step is
 * 12288 multiply-adds (96 cycles for 128 lanes), 3 KiB from and to memory (the gates, n's share of R h, h, dy; the
 * gradients of W x and of R h), and a chain of shared memory, four shuffles, one product and the barrier: some 185
 * cycles more, an estimate. */
template <int UNITS>
static __global__ void __launch_bounds__(4 * UNITS, 128 / UNITS) gru_persistent_backward(recurrence r) {
    persistent_backward<gru_backward<UNITS>, UNITS>(r);
}

/* ---- the slots ---- */

static constexpr recurrent_kind gru_kind = {gru_layer::gates, 0, gru_layer::cell_state, gru_layer::separates};

static size_t reserve(const crs_recurrent *a) {
    recurrence r;
    return cuda_recurrent_lay_out(a, gru_kind, false, &r);
}

static crs_status forward(crs_device *device, const crs_recurrent *a) {
    recurrence r;
    cuda_recurrent_lay_out(a, gru_kind, false, &r);
    CRS_TRY(cuda_recurrent_inputs(device, r));
    return cuda_persistent_launch(device, r, gru_layer::lanes, gru_persistent_forward<16>, gru_persistent_forward<32>,
                                  gru_persistent_forward<64>);
}

static crs_status backward(crs_device *device, const crs_recurrent *a) {
    recurrence r;
    cuda_recurrent_lay_out(a, gru_kind, false, &r);
    CRS_TRY(cuda_persistent_launch(device, r, gru_layer::lanes, gru_persistent_backward<16>,
                                   gru_persistent_backward<32>, gru_persistent_backward<64>));
    return cuda_recurrent_gradients(device, r);
}

const recurrent_slots cuda_gru_persistent = {reserve, forward, backward};
