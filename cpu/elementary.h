/* exp, sigmoid and tanh for the loops of the CPU backend. In float they are branch-free polynomials in plain C, because
 * a call to libm would keep the compiler from vectorising the loop; in double, the oracle, they are libm's.
 * Float errors: exp and tanh below 3e-7 relative, over all of float (tanh keeps its relative error down to zero).
 * Limits at plus and minus infinity are exact, overflow gives infinity, and NaN stays NaN. */
#ifndef CRS_CPU_ELEMENTARY_H
#define CRS_CPU_ELEMENTARY_H

#include "cpu.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#if CRS_CPU_DOUBLE

static inline double cpu_exp(double x) {
    return exp(x);
}

static inline double cpu_sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static inline double cpu_tanh(double x) {
    return tanh(x);
}

#else

static inline uint32_t cpu_float_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float cpu_bits_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* e^x - 1 = 2^n (p + 1) - 1: returns p = e^r - 1 and sets n, with r = x - n ln 2, |r| <= ln 2 / 2. Needs |x| < 2^20.
 * Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits: no conversion that a NaN could upset. ln 2 is
 * taken in two parts, the first with so few bits that n times it is exact. The polynomial is a minimax fit to
 * (e^r - 1 - r - r^2/2) / r^3, weighted for the relative error of e^r - 1. */
static inline float cpu_exp_reduced(float x, uint32_t *n) {
    const float shift = 12582912.0F;
    float shifted = x * 1.44269504F + shift;
    float whole = shifted - shift;
    *n = cpu_float_bits(shifted) - cpu_float_bits(shift);
    float r = (x - whole * 0.693359375F) + whole * 2.12194440e-4F;
    float q = ((0x1.6c5574p-10F * r + 0x1.1223a8p-7F) * r + 0x1.5555bap-5F) * r + 0x1.5554b6p-3F;
    return r + r * r * (0.5F + r * q);
}

static inline float cpu_exp(float x) {
    float clamped = x < -110.0F ? -110.0F : x;
    clamped = clamped > 110.0F ? 110.0F : clamped;
    uint32_t n;
    float p = cpu_exp_reduced(clamped, &n);
    /* 2^n in two factors, each a normal number: results near the ends of the range overflow or go denormal by
     * themselves. The bias makes the halving one of positive numbers. */
    uint32_t half = (n + 512U) / 2 - 256U;
    float low = cpu_bits_float((half + 127U) << 23);
    float high = cpu_bits_float((n - half + 127U) << 23);
    return (1.0F + p) * low * high;
}

static inline float cpu_sigmoid(float x) {
    return 1.0F / (1.0F + cpu_exp(-x));
}

/* (e^2|x| - 1) / (e^2|x| + 1), with e^2|x| - 1 free of cancellation. At |x| = 10 the quotient is 1 exactly. */
static inline float cpu_tanh(float x) {
    float magnitude = fabsf(x);
    magnitude = magnitude > 10.0F ? 10.0F : magnitude;
    uint32_t n;
    float p = cpu_exp_reduced(2.0F * magnitude, &n);
    float scale = cpu_bits_float((n + 127U) << 23);
    float less_one = scale * p + (scale - 1.0F);
    return copysignf(less_one / (less_one + 2.0F), x);
}

#endif
#endif
