/* The random masks of ops.h ("Randomness"): Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2,
 * 3", SC 2011). Counter-based: an element's number is computed from its index, so that masks need not be kept. */
#ifndef CRS_CUDA_PHILOX_CUH
#define CRS_CUDA_PHILOX_CUH

#include "port.cuh"

#include <carousel/ops.h>

/* One mask at the running step. Made by the kernel, since the step is known on the device only. */
struct mask_generator {
    uint32_t key_low, key_high, step, site, threshold;
    float scale;

    __device__ __forceinline__ mask_generator(const crs_mask &mask, const crs_step_state *state) {
        key_low = (uint32_t)mask.seed;
        key_high = (uint32_t)(mask.seed >> 32);
        step = (uint32_t)state->step;
        site = mask.site;
        threshold = (uint32_t)(mask.rate * 4294967296.0);
        scale = (float)(1 / (1 - mask.rate));
    }

    /* Factors of the elements 4 * group ... 4 * group + 3. */
    __device__ __forceinline__ float4 factors(uint64_t group) const {
        uint32_t c0 = (uint32_t)group, c1 = (uint32_t)(group >> 32), c2 = step, c3 = site;
        uint32_t k0 = key_low, k1 = key_high;
        for (int round = 0; round < 10; round++) {
            const uint64_t p0 = (uint64_t)c0 * 0xD2511F53u, p1 = (uint64_t)c2 * 0xCD9E8D57u;
            c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
            c1 = (uint32_t)p1;
            c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
            c3 = (uint32_t)p0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        return make_float4(factor(c0), factor(c1), factor(c2), factor(c3));
    }

    /* Factor of one element: 0 or 1 / (1 - rate). */
    __device__ __forceinline__ float operator()(int64_t element) const {
        const float4 four = factors((uint64_t)element / 4);
        const int64_t which = element % 4;
        return which == 0 ? four.x : which == 1 ? four.y : which == 2 ? four.z : four.w;
    }

  private:
    __device__ __forceinline__ float factor(uint32_t number) const {
        return number >= threshold ? scale : 0;
    }
};

#endif
