/* Pooling over the live steps: the last, the mean, the maximum. */
#include "live.hpp"
#include "operation.hpp"

#include <cmath>

namespace crs {
namespace {

struct Shape {
    int64_t T, B, F;
    crs_pool_kind kind;
    Live live;
    bool ties = false; /* few different values, so that maxima come more than once */
    std::string text() const {
        return format("T %lld B %lld F %lld kind %d live %d ties %d", static_cast<long long>(T),
                      static_cast<long long>(B), static_cast<long long>(F), kind, static_cast<int>(live), ties);
    }
};

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.T * 1009 + s.B * 101 + s.F));
    Numbers in;
    add_live(s.live, s.T, s.B, random, &in);
    in["x"] = random.reals(s.T * s.B * s.F);
    in["dy"] = random.reals(s.B * s.F);
    for (int64_t k = 0; k < s.T * s.B * s.F; k++) {
        double &x = in["x"][k];
        if (s.ties)
            x = static_cast<double>(random.below(3)) - 3; /* all negative: zero is no maximum */
        if (!is_live(in, s.T, k / s.F / s.B, k / s.F % s.B))
            x = 1e6; /* would be seen at once */
    }
    return in;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_pool a = {};
    a.steps = steps_of(bench, s.T, s.B, in);
    a.F = s.F;
    a.kind = s.kind;
    a.x = bench.input("x", in.at("x"));
    a.y = bench.output("y", s.B * s.F);
    a.argmax = bench.int_output("argmax", s.B * s.F); /* all -1, and to stay so unless the maximum is wanted */
    bench.call("forward", device.ops().pool_forward, a);
    a.dy = bench.input("dy", in.at("dy"));
    a.dx = bench.output("dx", s.T * s.B * s.F);
    bench.call("backward", device.ops().pool_backward, a);
    return bench.finish(result);
}

Numbers reference(const Shape &s, const Numbers &in) {
    const size_t outputs = static_cast<size_t>(s.B * s.F);
    const std::vector<double> &x = in.at("x");
    std::vector<double> y(outputs), dx(x.size()), argmax(outputs, -1.0);
    for (int64_t k = 0; k < s.B * s.F; k++) {
        const int64_t b = k / s.F, across = s.B * s.F;
        std::vector<int64_t> live;
        for (int64_t t = 0; t < s.T; t++)
            if (is_live(in, s.T, t, b))
                live.push_back(t);
        if (live.empty())
            continue;
        int64_t chosen = live.back();
        if (s.kind == CRS_POOL_MAX) {
            chosen = live.front();
            for (const int64_t t : live)
                chosen = x[t * across + k] > x[chosen * across + k] ? t : chosen;
            argmax[k] = static_cast<double>(chosen);
        }
        for (const int64_t t : live) {
            const double share = s.kind == CRS_POOL_MEAN ? 1.0 / static_cast<double>(live.size()) : t == chosen;
            y[k] += share * x[t * across + k];
            dx[t * across + k] = share * in.at("dy")[k];
        }
    }
    return {{"y", y}, {"argmax", argmax}, {"dx", dx}};
}

/* A NaN is the maximum, the first of several is, and a dead one is nobody's. */
Verdict check_nan(const Backend &under_test) {
    const Device device(under_test, 2);
    const Shape s = {40, 3, 2, CRS_POOL_MAX, Live::middle};
    const double nan = std::nan("");
    Numbers in = inputs_of(s);
    in["start"] = {2, 0, 3};
    in["len"] = {37, 40, 30};
    const auto at = [&](int64_t t, int64_t b, int64_t f) -> double & { return in["x"][(t * s.B + b) * s.F + f]; };
    for (double &x : in["x"])
        x = 1;
    at(2, 0, 0) = at(38, 0, 0) = nan;
    at(17, 1, 1) = at(16, 1, 1) = nan;
    at(2, 2, 0) = at(33, 2, 0) = nan;
    Result result;
    CRS_TRY(run(device, s, in, &result));
    const std::vector<double> want = {2, 2, 0, 16, 3, 3}, &got = result.at("argmax").values;
    for (size_t k = 0; k < want.size(); k++)
        if (got[k] != want[k] || std::isnan(result.at("y").values[k]) != (k == 0 || k == 3))
            return Verdict::fail(format("output %zu: maximum %g of step %g, want step %g", k, result.at("y").values[k],
                                        got[k], want[k]));
    return Verdict::pass();
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    std::vector<Shape> small;
    for (const crs_pool_kind kind : {CRS_POOL_MAX, CRS_POOL_MEAN, CRS_POOL_LAST}) {
        for (const Live live : {Live::middle, Live::all, Live::ragged, Live::left, Live::start}) {
            operation.shapes.push_back({7, 6, 5, kind, live});
            operation.shapes.push_back({9, 5, 3, kind, live, true});
            operation.shapes.push_back({1, 5, 3, kind, live});
            small.push_back({3, 4, 2, kind, live});
        }
        for (const int64_t F : {1, 31, 32, 33, 65})
            operation.shapes.push_back({6, 9, F, kind, Live::ragged});
        operation.shapes.push_back({1, 1, 1, kind, Live::all});
        operation.shapes.push_back({8, 1, 4, kind, Live::left});
        operation.shapes.push_back({60, 41, 24, kind, Live::middle});
        operation.shapes.push_back({700, 2, 1, kind, Live::ragged});
    }
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &s) { return static_cast<double>(s.T); };
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    CRS_TRY(check_nan(under_test));
    return check_gradients(operation, under_test, small, {{"y", "dy"}}, {{"dx", "x"}});
}

} // namespace crs
