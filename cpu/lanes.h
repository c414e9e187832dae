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

#define BLOCK_VECTORS 8 /* most vectors that a function here takes at once */
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

/* Past the caches, to an aligned place: for what is not read for long. A vector that is less than a line of the caches
 * gains nothing. */
LANES_INLINE void vector_stream(float *to, vector x) {
#if LANES == 16
    _mm512_stream_ps(to, x);
#else
    *(vector *)to = x;
#endif
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

/* The loops over a few vectors: all of them, or the vectors would live in memory. */
#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif

/* What follows works on n vectors at once, n a constant: a chain of dependent operations takes long, and the processor
 * overlaps those that stand close together. */

/* 2^y = scale (p + 1): y becomes p = 2^r - 1, scale = 2^m, with y = m + r, |r| <= 1/2. Needs |y| <= 126. Adding
 * 1.5 * 2^23 rounds to an integer and leaves it in the low bits; the exponent's bias is added with it. The polynomial
 * is a minimax fit to (2^r - 1) / r. */
LANES_INLINE void vectors_exp2(int n, vector *y, vector *scale) {
    const float shift = 12582912.0F + 127.0F;
    static const float coefficients[] = {0x1.5f07b4p-10F, 0x1.3b2ba0p-7F, 0x1.c6af6ep-5F, 0x1.ebfbdep-3F,
                                         0x1.62e430p-1F};
    vector q[BLOCK_VECTORS];
    UNROLLED
    for (int v = 0; v < n; v++)
        scale[v] = y[v] + shift;
    UNROLLED
    for (int v = 0; v < n; v++)
        y[v] -= scale[v] - shift;
    UNROLLED
    for (int v = 0; v < n; v++)
        scale[v] = (vector)((vector_bits)scale[v] << 23);
    UNROLLED
    for (int v = 0; v < n; v++)
        q[v] = y[v] * 0x1.4308fap-13F + coefficients[0];
    UNROLLED
    for (int k = 1; k < 5; k++) {
        UNROLLED
        for (int v = 0; v < n; v++)
            q[v] = q[v] * y[v] + coefficients[k];
    }
    UNROLLED
    for (int v = 0; v < n; v++)
        y[v] *= q[v];
}

/* The bounds keep 2^|y| and its sum with 1 finite and normal; sigmoid and tanh are at their limits there. */
LANES_INLINE vector sigmoid_exponent(vector x) {
    return vector_at_most(125.0F, vector_at_least(-125.0F, x * -1.44269504F));
}

LANES_INLINE vector tanh_exponent(vector x) {
    return vector_at_most(28.0F, (vector)((vector_bits)x & 0x7FFFFFFFU) * 2.88539008F);
}

/* x becomes tanh x from 2^y = scale (p + 1): (2^y - 1) / (2^y + 1), with 2^y - 1 free of cancellation. */
LANES_INLINE vector tanh_from(vector x, vector p, vector scale) {
    const vector less_one = scale * p + (scale - 1.0F);
    const vector magnitude = less_one * vector_inverse(less_one + 2.0F);
    return (vector)((vector_bits)magnitude | ((vector_bits)x & 0x80000000U));
}

/* The first `sigmoids` of n vectors become sigmoid x, the others tanh x. */
LANES_INLINE void vectors_activate(int n, int sigmoids, vector *x) {
    vector y[BLOCK_VECTORS], scale[BLOCK_VECTORS];
    UNROLLED
    for (int v = 0; v < n; v++)
        y[v] = v < sigmoids ? sigmoid_exponent(x[v]) : tanh_exponent(x[v]);
    vectors_exp2(n, y, scale);
    UNROLLED
    for (int v = 0; v < n; v++)
        x[v] = v < sigmoids ? vector_inverse(scale[v] * y[v] + (scale[v] + 1.0F)) : tanh_from(x[v], y[v], scale[v]);
}

LANES_INLINE vector vector_tanh(vector x) {
    vectors_activate(1, 0, &x);
    return x;
}

LANES_INLINE vector vector_sigmoid(vector x) {
    vectors_activate(1, 1, &x);
    return x;
}

#endif
