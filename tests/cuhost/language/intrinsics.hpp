/* Mathematics that only device code has. The fast variants are exact here: a GPU's are not, so that results are
 * compared with a tolerance. */
#ifndef CUHOST_LANGUAGE_INTRINSICS_HPP
#define CUHOST_LANGUAGE_INTRINSICS_HPP

#include "bits.hpp"

#include <cmath>
#include <type_traits>

/* Macros, because glibc declares functions of the same names. */
#define __expf(x) ::expf(x)
#define __exp10f(x) ::powf(10.0f, (x))
#define __logf(x) ::logf(x)
#define __log2f(x) ::log2f(x)
#define __sinf(x) ::sinf(x)
#define __cosf(x) ::cosf(x)
#define __tanf(x) ::tanf(x)
#define __powf(x, y) ::powf((x), (y))

inline float __fdividef(float a, float b) {
    return a / b;
}
inline float __frcp_rn(float a) {
    return 1.0f / a;
}
inline float __fsqrt_rn(float a) {
    return sqrtf(a);
}
inline float __fmaf_rn(float a, float b, float c) {
    return fmaf(a, b, c);
}
inline float __fadd_rn(float a, float b) {
    return a + b;
}
inline float __fmul_rn(float a, float b) {
    return a * b;
}
inline float __saturatef(float a) {
    return a > 0 ? fminf(a, 1.0f) : 0.0f; /* a NaN becomes 0, as on a GPU */
}
inline float rsqrtf(float a) {
    return 1.0f / sqrtf(a);
}

inline unsigned __float_as_uint(float value) {
    return cuhost::from_bits<unsigned>(cuhost::to_bits(value));
}
inline int __float_as_int(float value) {
    return cuhost::from_bits<int>(cuhost::to_bits(value));
}
inline float __uint_as_float(unsigned value) {
    return cuhost::from_bits<float>(cuhost::to_bits(value));
}
inline float __int_as_float(int value) {
    return cuhost::from_bits<float>(cuhost::to_bits(value));
}

inline int __popc(unsigned value) {
    return __builtin_popcount(value);
}
inline int __ffs(int value) {
    return __builtin_ffs(value);
}
inline int __clz(int value) {
    return value ? __builtin_clz(static_cast<unsigned>(value)) : 32;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}

/* Of two values of one type: nvcc also takes two types, and says for each pair what it becomes. */
template <class T> std::enable_if_t<std::is_arithmetic_v<T>, T> min(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
        return std::fmin(a, b); /* the number, if one is a NaN */
    else
        return a < b ? a : b;
}
template <class T> std::enable_if_t<std::is_arithmetic_v<T>, T> max(T a, T b) {
    if constexpr (std::is_floating_point_v<T>)
        return std::fmax(a, b);
    else
        return a > b ? a : b;
}

#endif
