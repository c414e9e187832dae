/* A penalty on weights: its gradient, and its value in the state. */
#include "operation.hpp"

#include <cmath>
#include <limits>

namespace crs {
namespace {

struct Shape {
    int64_t n;
    double l1, l2, scale = 1;
    int64_t rows = 5;
    uint64_t bad_step = 0;
    std::string text() const {
        return format("n %lld l1 %g l2 %g scale %g rows %lld bad_step %llu", static_cast<long long>(n), l1, l2, scale,
                      static_cast<long long>(rows), static_cast<unsigned long long>(bad_step));
    }
};

/* Some weights are zero, of either sign: the gradient of |w| is zero there. "rows" is how the loss counts its sum. */
Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.n));
    Numbers in = {{"w", random.reals(s.n, s.scale)}, {"g", random.reals(s.n)}};
    in["mean"] = {1 / static_cast<double>(s.rows)};
    for (int64_t i = 3; i < s.n; i += 7)
        in["w"][i] = i % 2 ? 0.0 : -0.0;
    return in;
}

crs_step_state state_before(const Shape &s) {
    crs_step_state state = {};
    state.step = 9;
    state.lr = 0.5;
    state.loss_sum = 2.25;
    state.rows = 3;
    state.correct = 1;
    state.grad_norm = 4;
    state.grad_scale = 0.75;
    state.bad_step = s.bad_step;
    return state;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_penalty a = {};
    a.n = s.n;
    a.l1 = s.l1;
    a.l2 = s.l2;
    a.rows = s.rows;
    a.w = bench.input("w", in.at("w"));
    a.g = bench.added("g", in.at("g"));
    a.state = bench.state_updated(state_before(s));
    bench.call("penalty", device.ops().penalty, a);
    return bench.finish(result);
}

Numbers reference(const Shape &s, const Numbers &in) {
    const crs_step_state before = state_before(s);
    std::vector<double> g;
    long double value = 0;
    for (const double w : in.at("w")) {
        g.push_back(s.l1 * (w > 0 ? 1 : w < 0 ? -1 : 0) + 2 * s.l2 * w);
        value += s.l1 * std::fabs(static_cast<long double>(w)) + s.l2 * static_cast<long double>(w) * w;
    }
    return {{"g", g},
            {"state.loss_sum", {static_cast<double>(before.loss_sum + static_cast<long double>(s.rows) * value)}},
            {"state.bad_step", {static_cast<double>(before.bad_step)}},
            {"state.rows", {static_cast<double>(before.rows)}},
            {"state.correct", {static_cast<double>(before.correct)}},
            {"state.step", {static_cast<double>(before.step)}},
            {"state.lr", {before.lr}},
            {"state.grad_norm", {before.grad_norm}},
            {"state.grad_scale", {before.grad_scale}}};
}

/* The sum is a double on every backend, and so is its bound. */
Verdict check_sums(const Operation<Shape> &operation, const Backend &under_test) {
    const Device device(under_test, 3);
    for (const Shape &s : operation.shapes) {
        const Numbers in = inputs_of(s);
        Result result;
        CRS_TRY(run(device, s, in, &result));
        const Numbers want = {{"state.loss_sum", reference(s, in).at("state.loss_sum")}};
        const double tolerance = tolerance_of(sizeof(double), static_cast<double>(s.n), false);
        CRS_TRY(compare_expected(result, want, tolerance).in(s.text() + " (in double)"));
    }
    return Verdict::pass();
}

/* A penalty that is not finite sets bad_step to the running step, and never again. */
Verdict check_bad_step(const Backend &under_test) {
    const Device device(under_test, 2);
    const double infinity = std::numeric_limits<double>::infinity();
    for (const int64_t n : {1, 20011})
        for (const double bad : {std::nan(""), infinity, -infinity})
            for (const auto &[l1, l2] : {std::pair{0.5, 0.0}, {0.0, 0.5}})
                for (const uint64_t before : {0, 4}) {
                    const Shape s = {n, l1, l2, 1, 5, before};
                    Numbers in = inputs_of(s);
                    in["w"].back() = bad;
                    Result result;
                    CRS_TRY(run(device, s, in, &result));
                    if (result.at("state.bad_step").values[0] != static_cast<double>(before ? before : 9))
                        return Verdict::fail(s.text() +
                                             format(": bad_step is %g", result.at("state.bad_step").values[0]));
                }
    return Verdict::pass();
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    for (const int64_t n : {7, 1, 31, 32, 33, 1000, 8191, 8193, 100003})
        for (const auto &[l1, l2] : {std::pair{0.5, 0.25}, {0.125, 0.0}, {0.0, 0.0625}})
            operation.shapes.push_back({n, l1, l2});
    operation.shapes.push_back({33, 0.5, 0.25, 1, 1, 4});
    operation.shapes.push_back({1000, 0.01, 0.01, 100, 4096});
    operation.shapes.push_back({1000, 0.5, 1, 1e20}); /* the squares are no longer floats */
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &s) { return static_cast<double>(s.n); };
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    CRS_TRY(check_sums(operation, under_test));
    CRS_TRY(check_bad_step(under_test));
    /* Not at 0, where |w| has no gradient: n is less than 4. */
    return check_gradients(operation, under_test, {{3, 0.5, 0.25}}, {{"state.loss_sum", "mean"}}, {{"g", "w"}});
}

} // namespace crs
