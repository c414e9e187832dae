/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) and the masks made of it.
 * Counter-based: an element's number is computed from its index, so that there is no generator state to keep. */
#include "philox.h"
#include "clones.h"

#define ROUNDS 10
#define WORDS 4  /* numbers per counter */
#define LANES 16 /* counters worked on at once, for the vectoriser */
#define BLOCK ((int64_t)LANES * WORDS)

typedef struct philox_key {
    uint32_t low, high;
} philox_key;

/* One block of mask factors, for the counters index..index+LANES-1 of the lower counter words. */
CPU_CLONES
static void mask_block(uint64_t index, uint32_t step, uint32_t site, philox_key key, uint32_t threshold, real scale,
                       real *out) {
    uint32_t c0[LANES], c1[LANES], c2[LANES], c3[LANES];

    for (int l = 0; l < LANES; l++) {
        c0[l] = (uint32_t)(index + (uint64_t)l);
        c1[l] = (uint32_t)((index + (uint64_t)l) >> 32);
        c2[l] = step;
        c3[l] = site;
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int l = 0; l < LANES; l++) {
            uint64_t p0 = (uint64_t)c0[l] * 0xD2511F53u;
            uint64_t p1 = (uint64_t)c2[l] * 0xCD9E8D57u;

            c0[l] = (uint32_t)(p1 >> 32) ^ c1[l] ^ key.low;
            c1[l] = (uint32_t)p1;
            c2[l] = (uint32_t)(p0 >> 32) ^ c3[l] ^ key.high;
            c3[l] = (uint32_t)p0;
        }
        key.low += 0x9E3779B9u;
        key.high += 0xBB67AE85u;
    }
    for (int l = 0; l < LANES; l++) {
        out[l * WORDS] = c0[l] >= threshold ? scale : 0;
        out[l * WORDS + 1] = c1[l] >= threshold ? scale : 0;
        out[l * WORDS + 2] = c2[l] >= threshold ? scale : 0;
        out[l * WORDS + 3] = c3[l] >= threshold ? scale : 0;
    }
}

void cpu_mask(const crs_mask *mask, uint64_t step, int64_t first, int64_t n, real *out) {
    if (!(mask->rate > 0)) {
        for (int64_t i = 0; i < n; i++) {
            out[i] = 1;
        }
        return;
    }

    philox_key key = {(uint32_t)mask->seed, (uint32_t)(mask->seed >> 32)};
    uint32_t threshold = (uint32_t)(mask->rate * 4294967296.0);
    real scale = (real)(1 / (1 - mask->rate));

    for (int64_t i = 0; i < n;) {
        uint64_t index = (uint64_t)(first + i) / WORDS;
        int64_t skip = (first + i) % WORDS; /* not 0 at most once: afterwards whole counters follow */

        if (skip == 0 && n - i >= BLOCK) {
            mask_block(index, (uint32_t)step, mask->site, key, threshold, scale, out + i);
            i += BLOCK;
        } else {
            real block[BLOCK];

            mask_block(index, (uint32_t)step, mask->site, key, threshold, scale, block);
            for (int64_t j = skip; j < BLOCK && i < n; j++) {
                out[i++] = block[j];
            }
        }
    }
}
