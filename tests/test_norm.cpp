/* The gradient's norm and the clipping factor. */
#include "operation.hpp"

#include <cmath>
#include <limits>

namespace crs {
namespace {

struct Shape {
    int64_t n;
    double scale, max_norm;
    uint64_t bad_step = 0;
    std::string text() const {
        return format("n %lld scale %g max_norm %g bad_step %llu", static_cast<long long>(n), scale, max_norm,
                      static_cast<unsigned long long>(bad_step));
    }
};

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.n));
    return {{"g", random.reals(s.n, s.scale)}};
}

crs_step_state state_before(const Shape &s) {
    crs_step_state state = {};
    state.step = 9;
    state.lr = 0.5;
    state.loss_sum = 2.25;
    state.rows = 3;
    state.correct = 1;
    state.grad_norm = state.grad_scale = std::nan("");
    state.bad_step = s.bad_step;
    return state;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_norm a = {};
    a.n = s.n;
    a.g = bench.input("g", in.at("g"));
    a.max_norm = s.max_norm;
    a.state = bench.state_updated(state_before(s));
    bench.call("norm", device.ops().norm, a);
    return bench.finish(result);
}

Numbers reference(const Shape &s, const Numbers &in) {
    long double square = 0; /* the sum of 100003 squares in order would err more than the backend may */
    for (const long double g : in.at("g"))
        square += g * g;
    const double norm = static_cast<double>(std::sqrt(square));
    const crs_step_state before = state_before(s);
    return {{"state.grad_norm", {norm}},
            {"state.grad_scale", {s.max_norm > 0 && norm > s.max_norm ? s.max_norm / norm : 1}},
            {"state.bad_step", {static_cast<double>(before.bad_step)}},
            {"state.step", {static_cast<double>(before.step)}},
            {"state.lr", {before.lr}},
            {"state.loss_sum", {before.loss_sum}},
            {"state.rows", {static_cast<double>(before.rows)}},
            {"state.correct", {static_cast<double>(before.correct)}}};
}

Verdict check_bad_step(const Backend &under_test) {
    const Device device(under_test, 3);
    for (const int64_t n : {1, 70001})
        for (const double bad :
             {std::nan(""), std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()})
            for (const uint64_t before : {0, 4}) {
                const Shape s = {n, 1, 1, before};
                Numbers in = inputs_of(s);
                in["g"].back() = bad;
                Result result;
                CRS_TRY(run(device, s, in, &result));
                if (result.at("state.bad_step").values[0] != static_cast<double>(before ? before : 9))
                    return Verdict::fail(s.text() + format(": bad_step is %g", result.at("state.bad_step").values[0]));
            }
    return Verdict::pass();
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    for (const int64_t n : {7, 1, 31, 32, 33, 1000, 100003})
        for (const double max_norm : {0.25, 0.0, 1e9})
            operation.shapes.push_back({n, 1, max_norm});
    operation.shapes.push_back({5, 0, 1}); /* no gradient at all */
    operation.shapes.push_back({5, 0, 0, 4});
    operation.shapes.push_back({1000, 1e25, 1}); /* the squares are no longer floats, the norm is */
    operation.shapes.push_back({1000, 1e-30, 1});
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &s) { return static_cast<double>(s.n); };
    CRS_TRY(check_shapes(operation, under_test, oracle));
    return check_bad_step(under_test);
}

} // namespace crs
