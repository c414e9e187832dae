/* The products with R at a step of the variant "persistent": each thread keeps its share of the weights in registers
 * for all steps. How the share is cut makes each float4 that is read from shared memory serve as many sums as it can,
 * and leaves few sums to be added up over lanes. */
#ifndef CRS_CUDA_PERSISTENT_WEIGHTS_CUH
#define CRS_CUDA_PERSISTENT_WEIGHTS_CUH

#include "persistent.cuh"

/* ---- cells of several gates: four lanes for each unit ---- */

/* Lane `lane` of a unit holds the weights from a quarter of the units, which it is the lane's turn to read from shared
 * memory, to all gates of its unit. */
template <int UNITS, int GATES> struct forward_weights {
    float weights[GATES][UNITS / 4];

    __device__ __forceinline__ forward_weights(const recurrence &r, const persistent_thread<4> &thread) {
        const int64_t H = r.a.H;
#pragma unroll
        for (int g = 0; g < GATES; g++)
#pragma unroll
            for (int i = 0; i < UNITS / 4; i++) {
                const int from = i / 4 * 16 + thread.lane * 4 + i % 4;
                weights[g][i] =
                    thread.exists && from < H ? ((const float *)r.a.R)[(g * H + thread.unit) * H + from] : 0;
            }
    }
    /* R h for gate number `lane`; zero in the fourth lane of three gates. h: UNITS floats in shared memory. */
    __device__ __forceinline__ float product(const float4 *h, int lane) const {
        float sums[4] = {};
#pragma unroll
        for (int i = 0; i < UNITS / 16; i++) {
            const float4 from = h[i * 4 + lane];
#pragma unroll
            for (int g = 0; g < GATES; g++) {
                sums[g] += weights[g][i * 4] * from.x;
                sums[g] += weights[g][i * 4 + 1] * from.y;
                sums[g] += weights[g][i * 4 + 2] * from.z;
                sums[g] += weights[g][i * 4 + 3] * from.w;
            }
        }
        return sum_lanes(sums, lane, 1);
    }
};

/* For this product the threads are dealt out anew: sixteen serve four units, and each holds the weights to those from
 * all gates of every sixteenth unit. */
template <int UNITS, int GATES> struct backward_weights {
    float weights[UNITS / 16][GATES][4];

    __device__ __forceinline__ explicit backward_weights(const recurrence &r) {
        const int64_t H = r.a.H;
        const int lane = (int)threadIdx.x % 16, to = (int)threadIdx.x / 16 * 4;
#pragma unroll
        for (int i = 0; i < UNITS / 16; i++)
#pragma unroll
            for (int g = 0; g < GATES; g++)
#pragma unroll
                for (int q = 0; q < 4; q++) {
                    const int from = i * 16 + lane;
                    weights[i][g][q] = from < H && to + q < H ? ((const float *)r.a.R)[(g * H + from) * H + to + q] : 0;
                }
    }
    /* dz R for the thread's unit, in each of its lanes. dz: four floats of each of UNITS units in shared memory, the
     * gradients of its gates first. */
    __device__ __forceinline__ float product(const float4 *dz) const {
        const int lane = (int)threadIdx.x % 16;
        float sums[4] = {};
#pragma unroll
        for (int i = 0; i < UNITS / 16; i++) {
            const float4 from = dz[i * 16 + lane];
#pragma unroll
            for (int q = 0; q < 4; q++) {
                sums[q] += weights[i][0][q] * from.x;
                sums[q] += weights[i][1][q] * from.y;
                sums[q] += weights[i][2][q] * from.z;
                if constexpr (GATES == 4)
                    sums[q] += weights[i][3][q] * from.w;
            }
        }
        return sum_unit<4>(sum_lanes(sums, lane, 4));
    }
};

/* ---- cells of one gate: two lanes for each unit ---- */

/* A lane holds the weights between its unit and half of the units: those that R has from them to it or, TRANSPOSED,
 * from it to them. Four sums side by side keep the chain of additions short. */
template <int UNITS, bool TRANSPOSED> struct unit_weights {
    float weights[UNITS / 2];

    __device__ __forceinline__ unit_weights(const recurrence &r, const persistent_thread<2> &thread) {
        const int64_t H = r.a.H;
#pragma unroll
        for (int i = 0; i < UNITS / 2; i++) {
            const int other = i / 4 * 8 + thread.lane * 4 + i % 4;
            const int64_t place = TRANSPOSED ? other * H + thread.unit : thread.unit * H + other;
            weights[i] = thread.exists && other < H ? ((const float *)r.a.R)[place] : 0;
        }
    }
    /* R v for the thread's unit, or R^T v, in both of its lanes. v: UNITS floats in shared memory. */
    __device__ __forceinline__ float product(const float4 *v, int lane) const {
        float sums[4] = {};
#pragma unroll
        for (int i = 0; i < UNITS / 8; i++) {
            const float4 from = v[i * 2 + lane];
            sums[0] += weights[i * 4] * from.x;
            sums[1] += weights[i * 4 + 1] * from.y;
            sums[2] += weights[i * 4 + 2] * from.z;
            sums[3] += weights[i * 4 + 3] * from.w;
        }
        return sum_unit<2>((sums[0] + sums[1]) + (sums[2] + sums[3]));
    }
};

#endif
