/* What the kernels of the variant "persistent" share: arithmetic over the lanes of a warp, what a thread works on, and
 * the launch. The march itself is persistent_march.cuh's, the products with R are persistent_weights.cuh's, and what a
 * cell computes stands in lstm_persistent.cu, gru_persistent.cu and rnn_persistent.cu.
 *
 * One block takes one row of the batch through all of its live steps; a few neighbouring threads, its lanes, serve a
 * unit. H is padded to UNITS: a unit that is not there has no weights and no inputs, which makes its state and its
 * gradients zeros. */
#ifndef CRS_CUDA_PERSISTENT_CUH
#define CRS_CUDA_PERSISTENT_CUH

#include "live.cuh"
#include "philox.cuh"
#include "recurrent.cuh"
#include "variant.cuh"

static constexpr unsigned ALL_LANES = 0xffffffff;

/* ---- arithmetic ---- */

/* tanh(x) or sigmoid(x) by the same instructions, so that the lanes of a warp need not wait for each other. From
 * e = exp(-2|x|) or exp(-|x|), which cannot overflow; tanh near zero, where 1 - e would lose digits, by a minimax fit
 * to (tanh(x) / x - 1) / x^2. No fast exponential: expf is good to 1 ulp, and __fdividef to 2 ulp for denominators such
 * as these, in 1..2; the result is within 4e-7 of the truth, relatively, also where it is small. A NaN stays one. */
static __device__ __forceinline__ float activate(float x, bool is_tanh) {
    const float size = fabsf(x), e = expf(is_tanh ? -2 * size : -size);
    const float y = __fdividef(is_tanh ? 1 - e : x < 0 ? e : 1, 1 + e);
    const float s = size * size;
    const float p = ((0.017241491f * s - 0.053045493f) * s + 0.13325879f) * s - 0.33333144f;
    return is_tanh ? copysignf(size < 0.5f ? size + size * s * p : y, x) : y;
}

/* Sums over lanes: of the four lanes that differ in the bits `distance` and 2 * distance of their number, the first
 * gets the sum of all sums[0], the second that of all sums[1], and so on. */
static __device__ __forceinline__ float sum_lanes(const float (&sums)[4], int lane, int distance) {
    const bool odd = lane & distance, high = lane & (2 * distance);
    float a = high ? sums[2] : sums[0], b = high ? sums[3] : sums[1];
    a += __shfl_xor_sync(ALL_LANES, high ? sums[0] : sums[2], 2 * distance);
    b += __shfl_xor_sync(ALL_LANES, high ? sums[1] : sums[3], 2 * distance);
    return (odd ? b : a) + __shfl_xor_sync(ALL_LANES, odd ? a : b, distance);
}

/* The sum over the lanes of a unit, in each of them. */
template <int LANES> static __device__ __forceinline__ float sum_unit(float value) {
#pragma unroll
    for (int distance = LANES / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(ALL_LANES, value, distance);
    return value;
}

/* What the four lanes of a unit have, in each of them. */
static __device__ __forceinline__ float4 lanes_of_unit(float value) {
    float4 all;
    all.x = __shfl_sync(ALL_LANES, value, 0, 4);
    all.y = __shfl_sync(ALL_LANES, value, 1, 4);
    all.z = __shfl_sync(ALL_LANES, value, 2, 4);
    all.w = __shfl_sync(ALL_LANES, value, 3, 4);
    return all;
}

/* ---- what a thread works on ---- */

template <int LANES> struct persistent_thread {
    int unit, lane;
    bool exists; /* unit < H */
    int64_t row;
    live_steps live;
    int n;                    /* live steps: variant.cu has seen that T fits */
    int64_t first, direction; /* the first one in running order, and from one to the next */
    int64_t before, before_n; /* dead steps before the live ones in running order: the state is zero */
    int64_t behind, behind_n; /* dead steps after them: the state is the last live one */
    float recurrent_factor;   /* of the recurrent mask; 1: no mask */

    __device__ __forceinline__ explicit persistent_thread(const recurrence &r)
        : unit((int)threadIdx.x / LANES), lane((int)threadIdx.x % LANES), exists(unit < (int)r.a.H), row(blockIdx.x),
          live(r.a.steps, row), n((int)(live.end - live.first)) {
        const bool reverse = r.a.reverse != 0;
        const int64_t T = r.a.steps.T;
        first = reverse ? live.end - 1 : live.first;
        direction = reverse ? -1 : 1;
        before = reverse ? live.end : 0;
        before_n = reverse ? T - live.end : live.first;
        behind = reverse ? 0 : live.end;
        behind_n = reverse ? live.first : T - live.end;
        recurrent_factor = 1;
        if (r.h_masked && exists)
            recurrent_factor = mask_generator(r.a.recurrent_mask, r.a.state)(row * r.a.H + unit);
    }
    /* Which of the T*B rows of memory step t is. */
    __device__ __forceinline__ int64_t at(const recurrence &r, int64_t t) const {
        return t * r.a.steps.B + row;
    }
};

/* ---- the launch ---- */

/* Queues the kernel of the narrowest width that holds the layer; the variant's choice has seen that one does. */
static inline crs_status cuda_persistent_launch(crs_device *device, const recurrence &r, int lanes,
                                                void (*units_16)(recurrence), void (*units_32)(recurrence),
                                                void (*units_64)(recurrence)) {
    const int units = r.a.H <= 16 ? 16 : r.a.H <= 32 ? 32 : PERSISTENT_UNITS;
    const auto kernel = units == 16 ? units_16 : units == 32 ? units_32 : units_64;
    return cuda_launch(device, kernel, dim3((unsigned)r.a.steps.B), dim3((unsigned)(lanes * units)), 0, r);
}

#endif
