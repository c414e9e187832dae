/* LSTM, variant "steps": every step is a product and a kernel, for any number of units. It is the plain twin that
 * "persistent" is tested against. The march over time is recurrent.cu's. */
#include "lstm.cuh"
#include "recurrent_step.cuh"

static __device__ __forceinline__ float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

struct lstm_cell {
    static constexpr int gates = 4;
    static constexpr bool has_cell_state = true;

    static __device__ __forceinline__ float forward(crs_activation, float (&z)[gates], float &c) {
        const float i = sigmoid(z[0]), f = sigmoid(z[1]), g = tanhf(z[2]), o = sigmoid(z[3]);
        z[0] = i;
        z[1] = f;
        z[2] = g;
        z[3] = o;
        c = f * c + i * g;
        return o * tanhf(c);
    }

    /* tanh(c) is computed again, which is cheaper than to store it and read it back. */
    static __device__ __forceinline__ void backward(crs_activation, float (&z)[gates], float c_before, float c, float,
                                                    float dh, float &dc) {
        const float i = z[0], f = z[1], g = z[2], o = z[3], tanh_c = tanhf(c);
        const float d = dc + dh * o * (1 - tanh_c * tanh_c);
        z[0] = d * g * i * (1 - i);
        z[1] = d * c_before * f * (1 - f);
        z[2] = d * i * (1 - g * g);
        z[3] = dh * tanh_c * o * (1 - o);
        dc = d * f;
    }
};

size_t cuda_lstm_steps_reserve(const crs_recurrent *a) {
    return cuda_march_reserve(a, recurrent_cell_of<lstm_cell>);
}

crs_status cuda_lstm_steps_forward(crs_device *device, const crs_recurrent *a) {
    return cuda_march_forward(device, a, recurrent_cell_of<lstm_cell>);
}

crs_status cuda_lstm_steps_backward(crs_device *device, const crs_recurrent *a) {
    return cuda_march_backward(device, a, recurrent_cell_of<lstm_cell>);
}
