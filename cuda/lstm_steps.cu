/* LSTM, variant "steps": every step is a product and a kernel, for any number of units. It is the plain twin that
 * "persistent" is tested against. The march over time is march.cu's. */
#include "lstm.cuh"
#include "recurrent_step.cuh"

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

size_t cuda_lstm_steps_reserve(const crs_recurrent *a) {
    return cuda_march_reserve(a, recurrent_cell_of<lstm_cell>());
}

crs_status cuda_lstm_steps_forward(crs_device *device, const crs_recurrent *a) {
    return cuda_march_forward(device, a, recurrent_cell_of<lstm_cell>());
}

crs_status cuda_lstm_steps_backward(crs_device *device, const crs_recurrent *a) {
    return cuda_march_backward(device, a, recurrent_cell_of<lstm_cell>());
}
