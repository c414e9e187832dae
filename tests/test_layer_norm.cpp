/* Layer normalisation against the formulas in long double. */
#include "operation.hpp"

#include <cmath>

namespace crs {
namespace {

struct Shape {
    int64_t N, F;
    double epsilon = 0.125;
    bool dx = true;
    double mean = 0, spread = 1; /* of x */
    std::string text() const {
        return format("N %lld F %lld epsilon %g dx %d mean %g spread %g", static_cast<long long>(N),
                      static_cast<long long>(F), epsilon, dx, mean, spread);
    }
};

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.N * 1009 + s.F));
    Numbers in = {{"x", random.reals(s.N * s.F, s.spread)},
                  {"dy", random.reals(s.N * s.F)},
                  {"gamma", random.reals(s.F)},
                  {"beta", random.reals(s.F)}};
    for (double &x : in["x"])
        x = static_cast<float>(x + s.mean);
    return in;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_layer_norm a = {};
    a.N = s.N;
    a.F = s.F;
    a.epsilon = s.epsilon;
    a.gamma = bench.input("gamma", in.at("gamma"));
    a.beta = bench.input("beta", in.at("beta"));
    a.x = bench.input("x", in.at("x"));
    a.y = bench.output("y", s.N * s.F);
    a.reserve = bench.scratch("reserve", device.ops().layer_norm_reserve(device.handle(), &a));
    bench.call("forward", device.ops().layer_norm_forward, a);
    a.dy = bench.input("dy", in.at("dy"));
    a.dx = s.dx ? bench.output("dx", s.N * s.F) : nullptr;
    a.dgamma = bench.added("dgamma", Random(3).reals(s.F));
    a.dbeta = bench.added("dbeta", Random(4).reals(s.F));
    bench.call("backward", device.ops().layer_norm_backward, a);
    return bench.finish(result);
}

/* One row; dgamma and dbeta are added to. */
void row_reference(const Shape &s, const Numbers &in, int64_t row, std::vector<long double> *dgamma,
                   std::vector<long double> *dbeta, Numbers *out) {
    const double *x = &in.at("x")[row * s.F], *dy = &in.at("dy")[row * s.F];
    const std::vector<double> &gamma = in.at("gamma"), &beta = in.at("beta");
    const long double F = static_cast<long double>(s.F);
    long double mean = 0, var = 0, sum = 0, product = 0;
    for (int64_t f = 0; f < s.F; f++)
        mean += x[f] / F;
    for (int64_t f = 0; f < s.F; f++)
        var += (x[f] - mean) * (x[f] - mean) / F;
    const long double scale = 1 / std::sqrt(var + s.epsilon);
    for (int64_t f = 0; f < s.F; f++) {
        const long double normal = (x[f] - mean) * scale, d = static_cast<long double>(gamma[f]) * dy[f];
        (*out)["y"][row * s.F + f] = static_cast<double>(gamma[f] * normal + beta[f]);
        (*dgamma)[f] += dy[f] * normal;
        (*dbeta)[f] += dy[f];
        sum += d;
        product += d * normal;
    }
    for (int64_t f = 0; s.dx && f < s.F; f++) {
        const long double normal = (x[f] - mean) * scale, d = static_cast<long double>(gamma[f]) * dy[f];
        (*out)["dx"][row * s.F + f] = static_cast<double>(scale * (d - sum / F - normal * product / F));
    }
}

Numbers reference(const Shape &s, const Numbers &in) {
    std::vector<long double> dgamma(static_cast<size_t>(s.F)), dbeta(static_cast<size_t>(s.F));
    const std::vector<double> zeros(in.at("x").size());
    Numbers out = {{"y", zeros}};
    if (s.dx)
        out["dx"] = zeros;
    for (int64_t row = 0; row < s.N; row++)
        row_reference(s, in, row, &dgamma, &dbeta, &out);
    out["dgamma"].assign(dgamma.begin(), dgamma.end());
    out["dbeta"].assign(dbeta.begin(), dbeta.end());
    return out;
}

/* Numbers far from zero that hardly differ. Their mean has to be known to more digits than a float has: whatever the
 * real type, no more may be lost than in double. */
Verdict check_large_means(const Backend &under_test) {
    const Device device(under_test, 3);
    for (const Shape &shape : {Shape{40, 9, 1e-5}, Shape{70, 33, 1e-5}, Shape{3, 2100, 1e-5}}) {
        Shape s = shape;
        s.mean = 1000;
        s.spread = 0.01;
        const double terms = static_cast<double>(s.N + s.F), condition = s.mean / s.spread;
        const double tolerance = tolerance_of(under_test.ops->real_size, terms, true) +
                                 condition * tolerance_of(sizeof(double), terms, true);
        const Numbers in = inputs_of(s);
        Result result;
        CRS_TRY(run(device, s, in, &result));
        CRS_TRY(compare_expected(result, reference(s, in), tolerance).in(s.text()));
    }
    return Verdict::pass();
}

/* Rows that are constant, at numbers that are no round ones: they are what rows of zeros are. Sums of a float's digits
 * are exact in a double, so that nothing is left of the mean in y and dgamma. */
Verdict check_constants(const Backend &under_test) {
    const Device device(under_test, 2);
    for (const int64_t F : {1, 29, 1500}) {
        const Shape s = {7, F, 1e-3};
        Numbers in = inputs_of(s);
        in["x"].assign(in["x"].size(), 0);
        const Numbers want = reference(s, in);
        const double tolerance = tolerance_of(under_test.ops->real_size, static_cast<double>(s.N + s.F), true);
        for (const float constant : {0.1F, -1234.567F, 0.0F}) {
            in["x"].assign(in["x"].size(), constant);
            Result result;
            CRS_TRY(run(device, s, in, &result));
            CRS_TRY(compare_expected(result, want, tolerance).in(s.text() + format(" all %g", constant)));
        }
    }
    return Verdict::pass();
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    operation.shapes = {{6, 5},    {7, 4, 1e-3}, {5, 3, 0.125, false}, {1, 1}, {1, 7}, {9, 1}, {700, 3},
                        {2500, 2}, {300, 40}};
    for (const int64_t F : {31, 32, 33, 65, 130, 1023, 1024, 1025, 2500})
        operation.shapes.push_back({3, F, 1e-3});
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &s) { return static_cast<double>(s.N + s.F); };
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    CRS_TRY(check_constants(under_test));
    CRS_TRY(check_large_means(under_test));
    return check_gradients(operation, under_test, {{3, 4}, {2, 1}}, {{"y", "dy"}},
                           {{"dx", "x"}, {"dgamma", "gamma"}, {"dbeta", "beta"}});
}

} // namespace crs
