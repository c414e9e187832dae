/* The plain recurrent layer, with tanh or relu. Variant "steps" stands here, the plain twin that
 * rnn_persistent.cu is tested against; its march over time is march.cu's. */
#include "recurrent_step.cuh"
#include "variant.cuh"

struct rnn_cell {
    static constexpr int gates = 1, inner_gates = 0;
    static constexpr bool has_cell_state = false, separates = false;

    static __device__ __forceinline__ void forward(recurrent_unit<gates> &u) {
        if (u.activation == CRS_TANH)
            u.h = tanhf(u.z[0]);
        else
            u.h = u.z[0] < 0 ? 0 : u.z[0]; /* a NaN stays one */
    }

    /* Both derivatives can be had from h. */
    static __device__ __forceinline__ void backward(recurrent_unit<gates> &u) {
        if (u.activation == CRS_TANH)
            u.z[0] = u.dh * (1 - u.h * u.h);
        else
            u.z[0] = u.h > 0 ? u.dh : 0;
        u.dh = 0;
    }
};

static size_t steps_reserve(const crs_recurrent *a) {
    return cuda_march_reserve(a, recurrent_cell_of<rnn_cell>());
}

static crs_status steps_forward(crs_device *device, const crs_recurrent *a) {
    return cuda_march_forward(device, a, recurrent_cell_of<rnn_cell>());
}

static crs_status steps_backward(crs_device *device, const crs_recurrent *a) {
    return cuda_march_backward(device, a, recurrent_cell_of<rnn_cell>());
}

static const recurrent_slots steps = {steps_reserve, steps_forward, steps_backward};
static const recurrent_variants variants = {&steps, &cuda_rnn_persistent};

static bool activation_is_known(const crs_recurrent *a) {
    return a->activation == CRS_TANH || a->activation == CRS_RELU;
}

size_t cuda_rnn_reserve(const crs_device *device, const crs_recurrent *a) {
    return cuda_variant_reserve(device, a, variants);
}

crs_status cuda_rnn_forward(crs_device *device, const crs_recurrent *a) {
    return activation_is_known(a) ? cuda_variant_forward(device, a, variants) : CRS_ERR_ARGUMENT;
}

crs_status cuda_rnn_backward(crs_device *device, const crs_recurrent *a) {
    return activation_is_known(a) ? cuda_variant_backward(device, a, variants) : CRS_ERR_ARGUMENT;
}
