/* The float CPU backend where numbers become too small: it makes zeros of them in the loops that meet many, since a
 * processor is slow with them, and leaves the caller's own arithmetic as it is. */
#include "bench.hpp"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

using namespace crs;

namespace {

const double smallest = static_cast<double>(std::numeric_limits<float>::min()); /* that is a normal number */

std::vector<Backend> float_backends() {
    std::vector<Backend> chosen;
    for (const Backend &backend : backends_for("lstm"))
        if (std::string(backend.ops->name) == "cpu")
            chosen.push_back(backend);
    return chosen;
}

bool is_subnormal(double value) {
    return value != 0 && std::fabs(value) < smallest;
}

/* Half of the smallest normal number, worked out by this thread now. */
float half_of_smallest() {
    volatile float value = std::numeric_limits<float>::min();
    value = value / 2;
    return value;
}

class Subnormal : public testing::TestWithParam<Backend> {
  protected:
    void SetUp() override {
#if !defined(__SSE__)
        GTEST_SKIP() << "only x86-64 is known to be slow with them";
#endif
        ASSERT_TRUE(device.opened().ok()) << device.opened().why();
    }
    Device device{GetParam(), 2};
};

/* Every forget gate is a half, and a gradient from the last step alone is halved at each step on its way back. */
TEST_P(Subnormal, GradientsThatVanishOnTheirWayBackBecomeZero) {
    const int64_t T = 64, B = 3, I = 2, H = 5;
    const auto constant = [](int64_t count, double value) { return std::vector<double>((size_t)count, value); };
    Bench bench(device);
    crs_step_state state = {};
    crs_recurrent a = {};
    a.steps = {T, B, nullptr, nullptr};
    a.I = I;
    a.H = a.ldy = H;
    a.training = 1;
    a.state = bench.state_input(state);
    a.x = bench.input("x", constant(T * B * I, 0.5));
    a.W = bench.input("W", constant(4 * H * I, 0.125));
    a.R = bench.input("R", constant(4 * H * H, 0));
    a.b = bench.input("b", constant(4 * H, -0.125));
    a.y = bench.output("y", T * B * H);
    a.reserve = bench.scratch("reserve", device.ops().lstm_reserve(device.handle(), &a));
    bench.call("lstm_forward", device.ops().lstm_forward, a);
    a.dh_last = bench.input("dh_last", constant(B * H, 1e-30));
    a.dx = bench.output("dx", T * B * I);
    a.dW = bench.updated("dW", constant(4 * H * I, 0));
    a.dR = bench.updated("dR", constant(4 * H * H, 0));
    a.db = bench.updated("db", constant(4 * H, 0));
    bench.call("lstm_backward", device.ops().lstm_backward, a);
    Result result;
    const Verdict verdict = bench.finish(&result);
    ASSERT_TRUE(verdict.ok()) << verdict.why();
    const std::vector<double> &dx = result.at("dx").values;
    EXPECT_EQ(dx.front(), 0);
    EXPECT_GT(dx.back(), smallest) << "nothing was left of the gradient at all";
    for (const double value : dx)
        ASSERT_FALSE(is_subnormal(value)) << value;
    EXPECT_GT(half_of_smallest(), 0) << "the caller's thread has been left with other arithmetic";
}

/* Adam's mean of a gradient that has long been zero, as of a word that does not come any more. */
TEST_P(Subnormal, AMeanThatFadesAwayBecomesZero) {
    const size_t n = 100000; /* more than one thread's share */
    Bench bench(device);
    crs_step_state state = {};
    state.step = 1000;
    state.lr = state.grad_scale = 1;
    crs_optimizer a = {};
    a.n = (int64_t)n;
    a.kind = CRS_ADAM;
    a.beta1 = a.beta2 = 0.5;
    a.epsilon = 1e-7;
    a.state = bench.state_input(state);
    a.w = bench.updated("w", std::vector<double>(n, 1));
    a.m = bench.updated("m", std::vector<double>(n, smallest * 1.5));
    a.v = bench.updated("v", std::vector<double>(n, smallest * 1.5));
    a.g = bench.input("g", std::vector<double>(n, 0));
    bench.call("optimizer", device.ops().optimizer, a);
    Result result;
    const Verdict verdict = bench.finish(&result);
    ASSERT_TRUE(verdict.ok()) << verdict.why();
    for (const char *name : {"m", "v"})
        for (const double value : result.at(name).values)
            ASSERT_EQ(value, 0) << name;
    for (const double value : result.at("w").values)
        ASSERT_EQ(value, 1);
    EXPECT_GT(half_of_smallest(), 0) << "the caller's thread has been left with other arithmetic";
}

INSTANTIATE_TEST_SUITE_P(Backend, Subnormal, testing::ValuesIn(float_backends()),
                         [](const auto &backend) { return backend.param.name; });

} // namespace
