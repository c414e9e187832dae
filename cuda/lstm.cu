/* The long short-term memory, and its variant "steps", the plain twin that lstm_persistent.cu is tested against. The
 * march over time is march.cu's.
 * Hochreiter and Schmidhuber, "Long short-term memory", 1997; forget gate: Gers, Schmidhuber and Cummins, 2000. */
#include "recurrent_step.cuh"
#include "variant.cuh"

struct lstm_cell {
    static constexpr int gates = 4, inner_gates = 0;
    static constexpr bool has_cell_state = true, separates = false;

    static __device__ __forceinline__ void forward(recurrent_unit<gates> &u) {
        const float i = cuda_sigmoid(u.z[0]), f = cuda_sigmoid(u.z[1]), g = tanhf(u.z[2]), o = cuda_sigmoid(u.z[3]);
        u.z[0] = i;
        u.z[1] = f;
        u.z[2] = g;
        u.z[3] = o;
        u.c = f * u.c_before + i * g;
        u.h = o * tanhf(u.c);
    }

    /* tanh(c) is computed again, which is cheaper than to store it and read it back. */
    static __device__ __forceinline__ void backward(recurrent_unit<gates> &u) {
        const float i = u.z[0], f = u.z[1], g = u.z[2], o = u.z[3], tanh_c = tanhf(u.c);
        const float d = u.dc + u.dh * o * (1 - tanh_c * tanh_c);
        u.z[0] = d * g * i * (1 - i);
        u.z[1] = d * u.c_before * f * (1 - f);
        u.z[2] = d * i * (1 - g * g);
        u.z[3] = u.dh * tanh_c * o * (1 - o);
        u.dc = d * f;
        u.dh = 0;
    }
};

static size_t steps_reserve(const crs_recurrent *a) {
    return cuda_march_reserve(a, recurrent_cell_of<lstm_cell>());
}

static crs_status steps_forward(crs_device *device, const crs_recurrent *a) {
    return cuda_march_forward(device, a, recurrent_cell_of<lstm_cell>());
}

static crs_status steps_backward(crs_device *device, const crs_recurrent *a) {
    return cuda_march_backward(device, a, recurrent_cell_of<lstm_cell>());
}

static const recurrent_slots steps = {steps_reserve, steps_forward, steps_backward};
static const recurrent_variants variants = {&steps, &cuda_lstm_persistent};

size_t cuda_lstm_reserve(const crs_device *device, const crs_recurrent *a) {
    return cuda_variant_reserve(device, a, variants);
}

crs_status cuda_lstm_forward(crs_device *device, const crs_recurrent *a) {
    return cuda_variant_forward(device, a, variants);
}

crs_status cuda_lstm_backward(crs_device *device, const crs_recurrent *a) {
    return cuda_variant_backward(device, a, variants);
}
