/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) and the masks made of it.
 * Counter-based: an element's number is computed from its index, so that there is no generator state to keep. */
#include "philox.h"

#include "clones.h"

#define WORDS 4  /* numbers per counter */
#define LANES 32 /* counters worked on at once, for the vectoriser */
#define BLOCK ((int64_t)LANES * WORDS)

typedef struct philox_key {
    uint32_t low, high;
} philox_key;

/* The mask factors of the counters index..index+LANES-1. */
CPU_CLONES
static void mask_block(uint64_t index, uint32_t step, uint32_t site, philox_key key, uint32_t threshold, real scale,
                       real *restrict out) {
    for (int l = 0; l < LANES; l++) {
        uint32_t c0 = (uint32_t)(index + (uint64_t)l), c1 = (uint32_t)((index + (uint64_t)l) >> 32);
        uint32_t c2 = step, c3 = site, k0 = key.low, k1 = key.high;
        for (int round = 0; round < 10; round++) {
            uint64_t p0 = (uint64_t)c0 * 0xD2511F53u, p1 = (uint64_t)c2 * 0xCD9E8D57u;
            c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
            c1 = (uint32_t)p1;
            c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
            c3 = (uint32_t)p0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        out[l * WORDS] = c0 >= threshold ? scale : 0;
        out[l * WORDS + 1] = c1 >= threshold ? scale : 0;
        out[l * WORDS + 2] = c2 >= threshold ? scale : 0;
        out[l * WORDS + 3] = c3 >= threshold ? scale : 0;
    }
}

void cpu_mask(const crs_mask *mask, uint64_t step, int64_t first, int64_t n, real *out) {
    if (!(mask->rate > 0)) {
        for (int64_t i = 0; i < n; i++)
            out[i] = 1;
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
            for (int64_t j = skip; j < BLOCK && i < n; j++)
                out[i++] = block[j];
        }
    }
}
