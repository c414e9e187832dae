/* The dense layer with each activation. */
#include "operation.hpp"

#include <cmath>

namespace crs {
namespace {

struct Shape {
    int64_t N, I, O;
    crs_activation activation;
    bool dx = true;
    double scale = 1;
    std::string text() const {
        return format("N %lld I %lld O %lld act %d dx %d scale %g", static_cast<long long>(N),
                      static_cast<long long>(I), static_cast<long long>(O), activation, dx, scale);
    }
};

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.N * 10007 + s.I * 101 + s.O));
    return {{"x", random.reals(s.N * s.I, s.scale)}, {"W", random.reals(s.O * s.I)},  {"b", random.reals(s.O)},
            {"dy", random.reals(s.N * s.O)},         {"dW", random.reals(s.O * s.I)}, {"db", random.reals(s.O)}};
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_dense a = {};
    a.N = s.N;
    a.I = s.I;
    a.O = s.O;
    a.activation = s.activation;
    a.x = bench.input("x", in.at("x"));
    a.W = bench.input("W", in.at("W"));
    a.b = bench.input("b", in.at("b"));
    a.y = bench.output("y", s.N * s.O);
    bench.call("forward", device.ops().dense_forward, a);
    a.dy = bench.updated("dy", in.at("dy"));
    a.dx = s.dx ? bench.output("dx", s.N * s.I) : nullptr;
    a.dW = bench.added("dW", in.at("dW"));
    a.db = bench.added("db", in.at("db"));
    bench.call("backward", device.ops().dense_backward, a);
    return bench.finish(result);
}

double activate(crs_activation activation, double z) {
    switch (activation) {
    case CRS_LINEAR:
        return z;
    case CRS_RELU:
        return std::fmax(0, z);
    case CRS_TANH:
        return std::tanh(z);
    case CRS_SIGMOID:
        return 1 / (1 + std::exp(-z));
    }
    return std::nan("");
}

double slope(crs_activation activation, double z) {
    switch (activation) {
    case CRS_LINEAR:
        return 1;
    case CRS_RELU:
        return z > 0;
    case CRS_TANH:
        return 1 / (std::cosh(z) * std::cosh(z));
    case CRS_SIGMOID:
        return 1 / ((1 + std::exp(-z)) * (1 + std::exp(z)));
    }
    return std::nan("");
}

Numbers reference(const Shape &s, const Numbers &in) {
    const std::vector<double> &x = in.at("x"), &W = in.at("W"), &b = in.at("b");
    std::vector<double> y, dz, dx(x.size()), dW(W.size()), db(b.size());
    for (int64_t n = 0; n < s.N; n++)
        for (int64_t o = 0; o < s.O; o++) {
            double z = b[o];
            for (int64_t i = 0; i < s.I; i++)
                z += W[o * s.I + i] * x[n * s.I + i];
            y.push_back(activate(s.activation, z));
            dz.push_back(in.at("dy")[n * s.O + o] * slope(s.activation, z));
            db[o] += dz.back();
            for (int64_t i = 0; i < s.I; i++) {
                dx[n * s.I + i] += dz.back() * W[o * s.I + i];
                dW[o * s.I + i] += dz.back() * x[n * s.I + i];
            }
        }
    Numbers out = {{"y", y}, {"dy", dz}, {"dW", dW}, {"db", db}};
    if (s.dx)
        out["dx"] = dx;
    return out;
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    std::vector<Shape> small;
    for (const crs_activation activation : {CRS_LINEAR, CRS_RELU, CRS_TANH, CRS_SIGMOID}) {
        small.push_back({4, 3, 5, activation});
        operation.shapes.push_back({4, 3, 5, activation});
        operation.shapes.push_back({37, 31, 33, activation});
        operation.shapes.push_back({5, 4, 3, activation, false});
    }
    for (const Shape &shape :
         {Shape{1, 1, 1, CRS_TANH}, Shape{1, 65, 32, CRS_SIGMOID}, Shape{64, 1, 2, CRS_RELU},
          Shape{33, 64, 1, CRS_SIGMOID}, Shape{130, 66, 65, CRS_TANH}, Shape{6, 7, 5, CRS_SIGMOID, true, 100},
          Shape{1100, 20, 30, CRS_TANH}, Shape{20, 1100, 16, CRS_LINEAR}, Shape{300, 8, 520, CRS_RELU}})
        operation.shapes.push_back(shape);
    /* The last three are long in one dimension each: products and sums that a backend may cut into pieces. */
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &s) { return static_cast<double>(s.N + s.I + s.O); };
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    return check_gradients(operation, under_test, small, {{"y", "dy"}}, {{"dx", "x"}, {"dW", "W"}, {"db", "b"}});
}

} // namespace crs
