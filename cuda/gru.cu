/* The gated recurrent unit, with the reset gate after the product R h or before it. Variant "steps" stands here, the
 * only one of reset before and the plain twin that gru_persistent.cu is tested against; its march over time is
 * march.cu's.
 * Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", 2014,
 * have it before; after is how it can be had in one product a step. */
#include "recurrent_step.cuh"
#include "variant.cuh"

/* R h stays apart from W x, since r gates its share of n; that share is kept for backward. */
struct gru_reset_after {
    static constexpr int gates = 3, inner_gates = 0;
    static constexpr bool has_cell_state = false, separates = true;

    static __device__ __forceinline__ void forward(recurrent_unit<gates> &u) {
        const float r = cuda_sigmoid(u.z[0] + u.product[0]), z = cuda_sigmoid(u.z[1] + u.product[1]);
        const float n = tanhf(u.z[2] + r * u.product[2]);
        u.z[0] = r;
        u.z[1] = z;
        u.z[2] = n;
        u.h = (1 - z) * n + z * u.h_before;
    }

    static __device__ __forceinline__ void backward(recurrent_unit<gates> &u) {
        const float r = u.z[0], z = u.z[1], n = u.z[2];
        const float dn = u.dh * (1 - z) * (1 - n * n);
        u.z[0] = u.product[0] = dn * u.product[2] * r * (1 - r);
        u.z[1] = u.product[1] = u.dh * (u.h_before - n) * z * (1 - z);
        u.z[2] = dn;
        u.product[2] = dn * r;
        u.dh *= z;
    }
};

/* The inner state is r h, which R_n multiplies. */
struct gru_reset_before {
    static constexpr int gates = 3, inner_gates = 1;
    static constexpr bool has_cell_state = false, separates = false;

    static __device__ __forceinline__ void forward_inner(recurrent_unit<gates> &u) {
        u.z[0] = cuda_sigmoid(u.z[0]);
        u.z[1] = cuda_sigmoid(u.z[1]);
        u.inner = u.z[0] * u.h_masked;
    }

    static __device__ __forceinline__ void backward_inner(recurrent_unit<gates> &u) {
        const float r = u.z[0];
        u.z[0] = u.d_inner * u.h_masked * r * (1 - r);
        u.dh_masked = u.d_inner * r;
    }

    static __device__ __forceinline__ void forward(recurrent_unit<gates> &u) {
        const float z = u.z[1], n = tanhf(u.z[2]);
        u.z[2] = n;
        u.h = (1 - z) * n + z * u.h_before;
    }

    static __device__ __forceinline__ void backward(recurrent_unit<gates> &u) {
        const float z = u.z[1], n = u.z[2];
        u.z[1] = u.dh * (u.h_before - n) * z * (1 - z);
        u.z[2] = u.dh * (1 - z) * (1 - n * n);
        u.dh *= z;
    }
};

static recurrent_cell cell_of(const crs_recurrent *a) {
    return a->reset_after ? recurrent_cell_of<gru_reset_after>() : recurrent_cell_of<gru_reset_before>();
}

static size_t steps_reserve(const crs_recurrent *a) {
    return cuda_march_reserve(a, cell_of(a));
}

static crs_status steps_forward(crs_device *device, const crs_recurrent *a) {
    return cuda_march_forward(device, a, cell_of(a));
}

static crs_status steps_backward(crs_device *device, const crs_recurrent *a) {
    return cuda_march_backward(device, a, cell_of(a));
}

static const recurrent_slots steps = {steps_reserve, steps_forward, steps_backward};

static recurrent_variants variants_of(const crs_recurrent *a) {
    return {&steps, a->reset_after ? &cuda_gru_persistent : NULL};
}

/* The second bias belongs to reset after. */
static bool biases_are_right(const crs_recurrent *a) {
    return (a->b_hh != NULL) == (a->reset_after != 0);
}

size_t cuda_gru_reserve(const crs_device *device, const crs_recurrent *a) {
    return cuda_variant_reserve(device, a, variants_of(a));
}

crs_status cuda_gru_forward(crs_device *device, const crs_recurrent *a) {
    return biases_are_right(a) ? cuda_variant_forward(device, a, variants_of(a)) : CRS_ERR_ARGUMENT;
}

crs_status cuda_gru_backward(crs_device *device, const crs_recurrent *a) {
    return biases_are_right(a) ? cuda_variant_backward(device, a, variants_of(a)) : CRS_ERR_ARGUMENT;
}
