/* Atomics, intrinsics and the small floats. */
#include "schedules.cuh"

#include <cmath>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace {

class Arithmetic : public Schedules {};
ALL_SCHEDULES(Arithmetic);

struct Atomics {
    int sum, difference, largest, smallest, exchanged, swapped;
    unsigned any, every, odd, wrapped, down;
    unsigned long long wide;
    float real;
    double precise;
};

__global__ void use_atomics(Atomics *a) {
    const int i = static_cast<int>(threadIdx.x);
    const unsigned bit = 1u << (threadIdx.x % 32);
    atomicAdd(&a->sum, i);
    atomicSub(&a->difference, i);
    atomicMax(&a->largest, i);
    atomicMin(&a->smallest, -i);
    if (i == 5)
        atomicExch(&a->exchanged, 77);
    atomicCAS(&a->swapped, 0, i + 1);
    atomicOr(&a->any, bit);
    atomicAnd(&a->every, ~bit);
    atomicXor(&a->odd, bit);
    atomicInc(&a->wrapped, 9);
    atomicDec(&a->down, 9);
    atomicAdd(&a->wide, 1ull << 33);
    atomicAdd(&a->real, 0.5f);
    atomicAdd(&a->precise, 0.25);
}

TEST_P(Arithmetic, Atomics) {
    Atomics begin = {};
    begin.every = 0xffffffffu;
    const DeviceArray<Atomics> a(std::vector<Atomics>{begin});
    launch({1, 64}, use_atomics, a.get());
    const Atomics end = a.host()[0];
    EXPECT_EQ(end.sum, 2016);
    EXPECT_EQ(end.difference, -2016);
    EXPECT_EQ(end.largest, 63);
    EXPECT_EQ(end.smallest, -63);
    EXPECT_EQ(end.exchanged, 77);
    EXPECT_TRUE(end.swapped >= 1 && end.swapped <= 64) << end.swapped;
    EXPECT_EQ(end.any, 0xffffffffu);
    EXPECT_EQ(end.every, 0u);
    EXPECT_EQ(end.odd, 0u); /* every bit twice */
    EXPECT_EQ(end.wrapped, 4u);
    EXPECT_EQ(end.down, 6u);
    EXPECT_EQ(end.wide, 1ull << 39);
    EXPECT_EQ(end.real, 32.0f);
    EXPECT_EQ(end.precise, 16.0);
}

__global__ void use_floats(const float *x, float *out) {
    const float a = x[threadIdx.x];
    const float results[] = {__expf(a),
                             __logf(a),
                             __powf(a, 1.5f),
                             __sinf(a),
                             __cosf(a),
                             __fdividef(1.0f, a),
                             __frcp_rn(a),
                             __fmaf_rn(a, a, 1.0f),
                             rsqrtf(a),
                             __saturatef(a - 1.0f),
                             __uint_as_float(__float_as_uint(a) ^ 0x80000000u),
                             __int_as_float(__float_as_int(a)),
                             fmaxf(a, 2.0f),
                             min(a, 2.0f),
                             tanhf(a)};
    for (int k = 0; k < 15; k++)
        out[threadIdx.x * 15 + k] = results[k];
}

TEST_P(Arithmetic, FloatIntrinsics) {
    std::vector<float> x;
    for (int i = 0; i < 32; i++)
        x.push_back(0.125f * static_cast<float>(i + 1));
    const DeviceArray<float> in(x), out(32 * 15);
    launch({1, 32}, use_floats, in.get(), out.get());
    const std::vector<float> got = out.host();
    for (int i = 0; i < 32; i++) {
        const double a = x[i];
        const double expected[] = {exp(a), log(a), pow(a, 1.5),   sin(a),        cos(a),
                                   1 / a,  1 / a,  a * a + 1,     1 / sqrt(a),   a < 1 ? 0 : a < 2 ? a - 1 : 1,
                                   -a,     a,      a > 2 ? a : 2, a < 2 ? a : 2, tanh(a)};
        for (int k = 0; k < 15; k++)
            EXPECT_NEAR(got[i * 15 + k], expected[k], 1e-6 * (1 + fabs(expected[k]))) << "number " << k << " of " << a;
    }
}

__global__ void use_integers(int *out) {
    out[0] = __popc(0xf0f0u);
    out[1] = __ffs(8);
    out[2] = __ffs(0);
    out[3] = __clz(1);
    out[4] = __clz(0);
    out[5] = static_cast<int>(__umulhi(0x80000000u, 6));
    out[6] = max(-3, 2);
    out[7] = static_cast<int>(min(3u, 4u));
}

TEST_P(Arithmetic, IntegerIntrinsics) {
    const DeviceArray<int> out(8);
    launch({1, 1}, use_integers, out.get());
    EXPECT_EQ(out.host(), (std::vector<int>{8, 4, 0, 31, 32, 3, 2, 3}));
}

__global__ void use_halves(const __half *in, __half *out, __nv_bfloat16 *brief) {
    const unsigned i = threadIdx.x;
    const float doubled = __half2float(in[i]) * 2.0f;
    __half2 pair = __floats2half2_rn(doubled, doubled);
    pair = __hadd2(pair, pair);
    out[i] = __float2half(doubled) + __float2half(1.0f) + __low2half(pair);
    brief[i] = __float2bfloat16(doubled);
}

TEST_P(Arithmetic, HalfAndBfloat16) {
    std::vector<__half> numbers;
    for (int i = 0; i < 32; i++)
        numbers.push_back(__float2half(static_cast<float>(i)));
    const DeviceArray<__half> in(numbers), out(32);
    const DeviceArray<__nv_bfloat16> brief(32);
    launch({1, 32}, use_halves, in.get(), out.get(), brief.get());
    for (int i = 0; i < 32; i++) {
        EXPECT_EQ(__half2float(out.host()[i]), static_cast<float>(6 * i + 1));
        EXPECT_EQ(__bfloat162float(brief.host()[i]), static_cast<float>(2 * i));
    }
}

} // namespace
