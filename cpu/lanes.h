/* Vectors of floats as wide as the instruction set that a source is compiled for, and the cells' functions on them.
 * Only for the sources that are compiled once per instruction set (blocked_kernels.c, conv_kernels.c); the readable
 * loops have elementary.h. Errors: tanh below 4e-7 relative, down to zero; sigmoid below 4e-7 of 1. NaN stays NaN. */
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

/* Such stores are in order with nothing that follows until then, not even with what tells another thread of them. */
static inline void vector_stream_settle(void) {
#if LANES == 16
    _mm_sfence();
#endif
}

/* What no expression in vectors is compiled to: bounds, which keep a NaN of x, and a fast 1/x for 2^-126 <= x <= 2^126.
 */
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

/* 2^y = scale 2^r, |r| <= 1/2, where y is -x / ln 2 for the first `sigmoids` of n vectors and 2 x / ln 2 for the
 * others; x becomes r. The bounds keep products of three exponentials finite; sigmoid and tanh are at their limits
 * there. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits; the exponent's bias is added with it. */
LANES_INLINE void vectors_reduce(int n, int sigmoids, vector *x, vector *scale) {
    const float shift = 12582912.0F + 127.0F, of_sigmoid = -1.44269504F, of_tanh = 2.88539008F;
    UNROLLED
    for (int v = 0; v < n; v++) {
        const float bound = v < sigmoids ? 33.0F : 9.7F;
        x[v] = vector_at_most(bound, vector_at_least(-bound, x[v]));
    }
    UNROLLED
    for (int v = 0; v < n; v++)
        scale[v] = x[v] * (v < sigmoids ? of_sigmoid : of_tanh) + shift;
    UNROLLED
    for (int v = 0; v < n; v++)
        x[v] = x[v] * (v < sigmoids ? of_sigmoid : of_tanh) - (scale[v] - shift);
    UNROLLED
    for (int v = 0; v < n; v++)
        scale[v] = (vector)((vector_bits)scale[v] << 23);
}

/* The first `sigmoids` of n vectors become 1 + e^-x, of which sigmoid x is the inverse; the others e^2x - 1 free of
 * cancellation, which is tanh x once it is divided by itself and 2. At most 2^48 and 2^28. The polynomials are minimax
 * fits to 2^r and, for the others, to (2^r - 1) / r. */
LANES_INLINE void vectors_exponentials(int n, int sigmoids, vector *x) {
    static const float of_sigmoid[] = {0x1.5c08e6p-10F, 0x1.3d0c52p-7F, 0x1.c6b6e4p-5F,
                                       0x1.ebf918p-3F,  0x1.62e428p-1F, 0x1.000002p+0F};
    static const float of_tanh[] = {0x1.4308fap-13F, 0x1.5f07b4p-10F, 0x1.3b2ba0p-7F,
                                    0x1.c6af6ep-5F,  0x1.ebfbdep-3F,  0x1.62e430p-1F};
    vector scale[BLOCK_VECTORS], q[BLOCK_VECTORS];
    vectors_reduce(n, sigmoids, x, scale);
    UNROLLED
    for (int v = 0; v < n; v++)
        q[v] = x[v] * (v < sigmoids ? of_sigmoid[0] : of_tanh[0]) + (v < sigmoids ? of_sigmoid[1] : of_tanh[1]);
    UNROLLED
    for (int k = 2; k < 6; k++) {
        UNROLLED
        for (int v = 0; v < n; v++)
            q[v] = q[v] * x[v] + (v < sigmoids ? of_sigmoid[k] : of_tanh[k]);
    }
    UNROLLED
    for (int v = 0; v < n; v++)
        x[v] = v < sigmoids ? scale[v] * q[v] + 1.0F : scale[v] * (q[v] * x[v]) + (scale[v] - 1.0F);
}

/* The first `sigmoids` of n vectors become sigmoid x, the others tanh x. */
LANES_INLINE void vectors_activate(int n, int sigmoids, vector *x) {
    vectors_exponentials(n, sigmoids, x);
    UNROLLED
    for (int v = 0; v < n; v++)
        x[v] = v < sigmoids ? vector_inverse(x[v]) : x[v] * vector_inverse(x[v] + 2.0F);
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
