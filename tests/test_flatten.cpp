/* Flattening: time goes in front of features, and dead steps are zeros. */
#include "live.hpp"
#include "operation.hpp"

namespace crs {
namespace {

struct Shape {
    int64_t T, B, F;
    Live live;
    std::string text() const {
        return format("T %lld B %lld F %lld live %d", static_cast<long long>(T), static_cast<long long>(B),
                      static_cast<long long>(F), static_cast<int>(live));
    }
};

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.T * 1009 + s.B * 101 + s.F));
    Numbers in;
    add_live(s.live, s.T, s.B, random, &in);
    in["x"] = random.reals(s.T * s.B * s.F);
    in["dy"] = random.reals(s.B * s.T * s.F);
    return in;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_flatten a = {};
    a.steps = steps_of(bench, s.T, s.B, in);
    a.F = s.F;
    a.x = bench.input("x", in.at("x"));
    a.y = bench.output("y", s.B * s.T * s.F);
    bench.call("forward", device.ops().flatten_forward, a);
    a.dy = bench.input("dy", in.at("dy"));
    a.dx = bench.output("dx", s.T * s.B * s.F);
    bench.call("backward", device.ops().flatten_backward, a);
    return bench.finish(result);
}

Numbers reference(const Shape &s, const Numbers &in) {
    std::vector<double> y(in.at("dy").size()), dx(y.size());
    for (int64_t t = 0; t < s.T; t++)
        for (int64_t b = 0; b < s.B; b++)
            for (int64_t f = 0; f < s.F && is_live(in, s.T, t, b); f++) {
                const size_t apart = static_cast<size_t>((t * s.B + b) * s.F + f);
                const size_t flat = static_cast<size_t>(b * (s.T * s.F) + t * s.F + f);
                y[flat] = in.at("x")[apart];
                dx[apart] = in.at("dy")[flat];
            }
    return {{"y", y}, {"dx", dx}};
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    for (const Live live : {Live::middle, Live::all, Live::ragged, Live::left, Live::start}) {
        operation.shapes.push_back({7, 6, 5, live});
        operation.shapes.push_back({1, 5, 3, live});
        operation.shapes.push_back({9, 5, 1, live});
    }
    for (const int64_t F : {31, 32, 33, 65})
        operation.shapes.push_back({6, 4, F, Live::ragged});
    operation.shapes.push_back({1, 1, 1, Live::all});
    operation.shapes.push_back({8, 1, 4, Live::left});
    operation.shapes.push_back({37, 33, 24, Live::middle}); /* enough for several threads */
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &) { return 1.0; };
    CRS_TRY(check_shapes(operation, under_test, oracle));
    return check_gradients(operation, under_test, {{3, 4, 2, Live::middle}}, {{"y", "dy"}}, {{"dx", "x"}});
}

} // namespace crs
