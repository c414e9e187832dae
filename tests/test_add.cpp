/* y = scale (y + x). */
#include "operation.hpp"

namespace crs {
namespace {

struct Shape {
    int64_t n;
    double scale = 1;
    bool x = true;
    std::string text() const {
        return format("n %lld scale %g x %d", static_cast<long long>(n), scale, x);
    }
};

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.n));
    return {{"x", random.reals(s.n)}, {"y", random.reals(s.n)}};
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_add a = {};
    a.n = s.n;
    a.scale = s.scale;
    a.x = s.x ? bench.input("x", in.at("x")) : nullptr;
    a.y = bench.updated("y", in.at("y"));
    bench.call("add", device.ops().add, a);
    return bench.finish(result);
}

Numbers reference(const Shape &s, const Numbers &in) {
    Numbers out = {{"y", in.at("y")}};
    for (size_t i = 0; i < out["y"].size(); i++)
        out["y"][i] = s.scale * (out["y"][i] + (s.x ? in.at("x")[i] : 0));
    return out;
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    for (const int64_t n : {7, 1, 31, 32, 33, 1000, 100003})
        for (const bool x : {true, false})
            for (const double scale : {0.5, 1.0, -0.3})
                operation.shapes.push_back({n, scale, x});
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &) { return 2.0; };
    return check_shapes(operation, under_test, oracle);
}

} // namespace crs
