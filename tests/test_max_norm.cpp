/* The bound on the norm of each row of weights. */
#include "operation.hpp"

#include <cmath>

namespace crs {
namespace {

struct Shape {
    int64_t N, F;
    double limit, scale = 1;
    uint64_t bad_step = 0;
    std::string text() const {
        return format("N %lld F %lld limit %g scale %g bad_step %llu", static_cast<long long>(N),
                      static_cast<long long>(F), limit, scale, static_cast<unsigned long long>(bad_step));
    }
};

/* Rows of very different norms, on both sides of the limit; every fifth is zero. */
Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.N * 1009 + s.F));
    Numbers in = {{"w", random.reals(s.N * s.F, s.scale)}};
    for (int64_t k = 0; k < s.N * s.F; k++) {
        const int64_t row = k / s.F;
        in["w"][k] *= row % 5 == 4 ? 0 : std::ldexp(1, static_cast<int>(row % 5) - 2);
    }
    return in;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_step_state state = {};
    state.step = 9;
    state.bad_step = s.bad_step;
    crs_max_norm a = {};
    a.N = s.N;
    a.F = s.F;
    a.limit = s.limit;
    a.w = bench.updated("w", in.at("w"));
    a.state = bench.state_input(state);
    bench.call("max_norm", device.ops().max_norm, a);
    return bench.finish(result);
}

Numbers reference(const Shape &s, const Numbers &in) {
    Numbers out = {{"w", in.at("w")}};
    for (int64_t row = 0; row < s.N && !s.bad_step; row++) {
        long double square = 0;
        for (int64_t f = 0; f < s.F; f++)
            square += static_cast<long double>(in.at("w")[row * s.F + f]) * in.at("w")[row * s.F + f];
        const long double norm = std::sqrt(square);
        for (int64_t f = 0; f < s.F; f++)
            out["w"][row * s.F + f] *=
                static_cast<double>(std::fmin(norm, static_cast<long double>(s.limit)) / (1e-7L + norm));
    }
    return out;
}

/* Each row on its own scale: in the norm of all rows a short one would not count. */
Verdict check_rows(const Operation<Shape> &operation, const Backend &under_test) {
    const Device device(under_test, 3);
    for (const Shape &s : operation.shapes) {
        const Numbers in = inputs_of(s), want = reference(s, in);
        Result result;
        CRS_TRY(run(device, s, in, &result));
        const double tolerance = tolerance_of(under_test.ops->real_size, operation.terms(s), false);
        for (int64_t row = 0; row < s.N; row++) {
            const auto cut = [&](const std::vector<double> &all) {
                return std::vector<double>(all.begin() + row * s.F, all.begin() + (row + 1) * s.F);
            };
            CRS_TRY(compare("w", cut(result.at("w").values), cut(want.at("w")), {tolerance, 0})
                        .in(s.text() + format(" row %lld", static_cast<long long>(row))));
        }
    }
    return Verdict::pass();
}

/* After a bad step not one bit changes. A row that is not finite stays so, and its neighbours are not touched by it. */
Verdict check_not_finite(const Backend &under_test) {
    const Device device(under_test, 2);
    const Shape bad = {6, 9, 0.5, 1, 3};
    Result result;
    CRS_TRY(run(device, bad, inputs_of(bad), &result));
    CRS_TRY(compare_expected(result, {{"w", inputs_of(bad).at("w")}}, 0).in("after a bad step"));

    const Shape s = {3, 5, 0.5};
    Numbers in = inputs_of(s);
    in["w"][7] = std::nan("");
    CRS_TRY(run(device, s, in, &result));
    for (int64_t k = 0; k < 15; k++)
        if (std::isnan(result.at("w").values[k]) != (k / 5 == 1))
            return Verdict::fail(
                format("a NaN in row 1 makes element %lld %g", static_cast<long long>(k), result.at("w").values[k]));
    return Verdict::pass();
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    operation.shapes = {{6, 7, 1.5}, {1, 1, 0.25}, {1, 300, 2}, {400, 1, 0.5}, {5, 4, 1e6}, {37, 20, 1}, {260, 90, 2}};
    for (const int64_t F : {31, 32, 33, 1023, 1024, 1025, 3000})
        operation.shapes.push_back({6, F, 2});
    operation.shapes.push_back({7, 5, 1.5, 1e25}); /* the squares are no longer floats */
    operation.shapes.push_back({7, 5, 1.5, 1e-7}); /* the epsilon counts */
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &s) { return static_cast<double>(s.F); };
    CRS_TRY(check_shapes(operation, under_test, oracle));
    CRS_TRY(check_rows(operation, under_test));
    return check_not_finite(under_test);
}

} // namespace crs
