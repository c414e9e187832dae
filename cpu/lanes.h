/* Vectors of floats as wide as the instruction set that a source is compiled for, and the cells' functions on them.
 * Only for the sources that are compiled once per instruction set (blocked_kernels.c); the readable loops have
 * elementary.h. Errors: tanh below 4e-7 relative, down to zero; sigmoid below 4e-7 of 1. NaN stays NaN. */
#ifndef CRS_CPU_LANES_H
#define CRS_CPU_LANES_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX2__) && defined(__FMA__)
#define LANES 8
#else
#define LANES 4
#endif

#if LANES > 4
#include <immintrin.h>
#endif

#define LANES_INLINE static inline __attribute__((always_inline))

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
typedef uint32_t vector_bits __attribute__((vector_size(LANES * sizeof(float))));
typedef vector vector_anywhere __attribute__((aligned(4), may_alias));

LANES_INLINE vector vector_of(float x) {
    return x - (vector){0};
}

/* The first n lanes, n >= 0; the others are zero, and what stands behind is not read. */
LANES_INLINE vector vector_load(const float *from, int64_t n) {
    if (n >= LANES)
        return *(const vector_anywhere *)from;
    vector loaded = {0};
    memcpy(&loaded, from, (size_t)n * sizeof *from);
    return loaded;
}

LANES_INLINE void vector_store(float *to, vector x, int64_t n) {
    if (n >= LANES)
        *(vector_anywhere *)to = x;
    else
        memcpy(to, &x, (size_t)n * sizeof *to);
}

/* What no expression in vectors is compiled to: bounds, which keep a NaN of x, and a fast 1/x for 1 <= x <= 2^126. */
#if LANES == 16
LANES_INLINE vector vector_at_most(float bound, vector x) {
    return _mm512_min_ps(_mm512_set1_ps(bound), x);
}

LANES_INLINE vector vector_at_least(float bound, vector x) {
    return _mm512_max_ps(_mm512_set1_ps(bound), x);
}

LANES_INLINE vector vector_inverse(vector x) {
    const vector guess = _mm512_rcp14_ps(x);
    return guess * (2.0F - x * guess);
}
#elif LANES == 8
LANES_INLINE vector vector_at_most(float bound, vector x) {
    return _mm256_min_ps(_mm256_set1_ps(bound), x);
}

LANES_INLINE vector vector_at_least(float bound, vector x) {
    return _mm256_max_ps(_mm256_set1_ps(bound), x);
}

LANES_INLINE vector vector_inverse(vector x) {
    const vector guess = _mm256_rcp_ps(x);
    return guess * (2.0F - x * guess);
}
#else
LANES_INLINE vector vector_at_most(float bound, vector x) {
    for (int l = 0; l < LANES; l++)
        x[l] = x[l] > bound ? bound : x[l];
    return x;
}

LANES_INLINE vector vector_at_least(float bound, vector x) {
    for (int l = 0; l < LANES; l++)
        x[l] = x[l] < bound ? bound : x[l];
    return x;
}

LANES_INLINE vector vector_inverse(vector x) {
    return 1.0F / x;
}
#endif

/* 2^y = scale (p + 1): returns p = 2^r - 1 and sets scale = 2^n, with y = n + r, |r| <= 1/2. Needs |y| <= 126. Adding
 * 1.5 * 2^23 rounds to an integer and leaves it in the low bits; the exponent's bias is added with it. The polynomial
 * is a minimax fit to (2^r - 1) / r. */
LANES_INLINE vector vector_exp2(vector y, vector *scale) {
    const float shift = 12582912.0F + 127.0F;
    const vector shifted = y + shift, r = y - (shifted - shift);
    *scale = (vector)((vector_bits)shifted << 23);
    vector q = r * 0x1.4308fap-13F + 0x1.5f07b4p-10F;
    q = q * r + 0x1.3b2ba0p-7F;
    q = q * r + 0x1.c6af6ep-5F;
    q = q * r + 0x1.ebfbdep-3F;
    return r * (q * r + 0x1.62e430p-1F);
}

LANES_INLINE vector vector_sigmoid(vector x) {
    vector scale;
    const vector p = vector_exp2(vector_at_most(125.0F, vector_at_least(-125.0F, x * -1.44269504F)), &scale);
    return vector_inverse(scale * p + scale + 1.0F);
}

/* (e^2|x| - 1) / (e^2|x| + 1), with e^2|x| - 1 free of cancellation. */
LANES_INLINE vector vector_tanh(vector x) {
    const vector_bits sign = (vector_bits)x & 0x80000000U;
    const vector magnitude = (vector)((vector_bits)x ^ sign);
    vector scale;
    const vector p = vector_exp2(vector_at_most(28.0F, magnitude * 2.88539008F), &scale);
    const vector less_one = scale * p + (scale - 1.0F);
    return (vector)((vector_bits)(less_one * vector_inverse(less_one + 2.0F)) | sign);
}

#endif
