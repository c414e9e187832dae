/* The plain recurrent layer, with tanh or relu. The march over time is recurrent.cu's. */
#include "recurrent_step.cuh"

struct rnn_cell {
    static constexpr int gates = 1;
    static constexpr bool has_cell_state = false;

    static __device__ __forceinline__ float forward(crs_activation activation, float (&z)[gates], float &) {
        if (activation == CRS_TANH)
            return tanhf(z[0]);
        return z[0] < 0 ? 0 : z[0]; /* a NaN stays one */
    }

    /* Both derivatives can be had from h. */
    static __device__ __forceinline__ void backward(crs_activation activation, float (&z)[gates], float, float, float h,
                                                    float dh, float &) {
        if (activation == CRS_TANH)
            z[0] = dh * (1 - h * h);
        else
            z[0] = h > 0 ? dh : 0;
    }
};

static bool activation_is_known(const crs_recurrent *a) {
    return a->activation == CRS_TANH || a->activation == CRS_RELU;
}

size_t cuda_rnn_reserve(const crs_device *, const crs_recurrent *a) {
    return cuda_march_reserve(a, recurrent_cell_of<rnn_cell>);
}

crs_status cuda_rnn_forward(crs_device *device, const crs_recurrent *a) {
    return activation_is_known(a) ? cuda_march_forward(device, a, recurrent_cell_of<rnn_cell>) : CRS_ERR_ARGUMENT;
}

crs_status cuda_rnn_backward(crs_device *device, const crs_recurrent *a) {
    return activation_is_known(a) ? cuda_march_backward(device, a, recurrent_cell_of<rnn_cell>) : CRS_ERR_ARGUMENT;
}
