/* Seeded random numbers of the host side: shuffles, splits, replaced tokens, first weights. Not the masks, which
 * are Philox on every backend (ops.h). splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number
 * generators", OOPSLA 2014. */
#ifndef CRS_RANDOM_H
#define CRS_RANDOM_H

#include <stdint.h>

typedef struct crs__random {
    uint64_t state;
} crs__random;

/* Streams of one seed that must not resemble each other have their own purpose. */
enum { CRS__RANDOM_SHUFFLE = 1, CRS__RANDOM_WORDS, CRS__RANDOM_SPLIT, CRS__RANDOM_WEIGHTS };

static inline uint64_t crs__random_next(crs__random *random) {
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A stream that depends on all four numbers: each one is mixed in through the output function, so that neighbouring
 * seeds, epochs or rows do not give shifted copies of the same stream. */
static inline crs__random crs__random_of(uint64_t seed, uint64_t purpose, uint64_t a, uint64_t b) {
    crs__random random = {seed};
    random.state = crs__random_next(&random) ^ purpose;
    random.state = crs__random_next(&random) ^ a;
    random.state = crs__random_next(&random) ^ b;
    random.state = crs__random_next(&random);
    return random;
}

/* Evenly in [0, 1). */
static inline double crs__random_unit(crs__random *random) {
    return (double)(crs__random_next(random) >> 11) * 0x1p-53;
}

/* Evenly in 0..n-1, n >= 1: the numbers left over by 2^64 mod n are thrown away. */
static inline int64_t crs__random_below(crs__random *random, int64_t n) {
    const uint64_t range = (uint64_t)n, surplus = (UINT64_MAX - range + 1) % range;
    uint64_t bits;
    do
        bits = crs__random_next(random);
    while (bits < surplus);
    return (int64_t)(bits % range);
}

/* Fisher and Yates' shuffle. */
static inline void crs__random_shuffle(crs__random *random, int64_t *values, int64_t count) {
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t j = crs__random_below(random, i + 1), value = values[i];
        values[i] = values[j];
        values[j] = value;
    }
}

#endif
