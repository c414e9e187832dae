/* Batch normalisation, in training and after it, against the formulas in long double. */
#include "live.hpp"
#include "operation.hpp"

#include <cmath>

namespace crs {
namespace {

struct Shape {
    int64_t T, B, P, F;
    Live live = Live::all;
    double epsilon = 0.125;
    bool training = true, dx = true;
    double mean = 0, spread = 1; /* of x */
    std::string text() const {
        return format("T %lld B %lld P %lld F %lld live %d epsilon %g training %d dx %d mean %g spread %g",
                      static_cast<long long>(T), static_cast<long long>(B), static_cast<long long>(P),
                      static_cast<long long>(F), static_cast<int>(live), epsilon, training, dx, mean, spread);
    }
    int64_t rows() const {
        return T * B * P;
    }
};

const double momentum = 0.75;

/* Whether a row, of the T*B*P of them, is live. */
bool live_row(const Shape &s, const Numbers &in, int64_t row) {
    return is_live(in, s.T, row / s.P / s.B, row / s.P % s.B);
}

/* x stands out at dead steps, so that it would be seen in the statistics; dy is a NaN there, which must go nowhere.
 * "seed" is dy as the loss of finite differences counts it. */
Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.T * 1009 + s.B * 101 + s.P * 11 + s.F));
    Numbers in;
    add_live(s.live, s.T, s.B, random, &in);
    in["x"] = random.reals(s.rows() * s.F, s.spread);
    in["dy"] = in["seed"] = random.reals(s.rows() * s.F);
    in["gamma"] = random.reals(s.F);
    in["beta"] = random.reals(s.F);
    in["running_mean"] = random.reals(s.F);
    for (int64_t f = 0; f < s.F; f++)
        in["running_var"].push_back(random.uniform(0.5, 2));
    for (int64_t k = 0; k < s.rows() * s.F; k++) {
        double &x = in["x"][k];
        const bool live = live_row(s, in, k / s.F);
        x = static_cast<float>(x + s.mean + (live ? 0 : 8 * s.spread));
        in["dy"][k] = live ? in["dy"][k] : std::nan("");
        in["seed"][k] = live ? in["seed"][k] : 0;
    }
    return in;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    const int64_t n = s.rows() * s.F;
    crs_batch_norm a = {};
    a.steps = steps_of(bench, s.T, s.B, in);
    a.P = s.P;
    a.F = s.F;
    a.training = s.training;
    a.momentum = momentum;
    a.epsilon = s.epsilon;
    a.gamma = bench.input("gamma", in.at("gamma"));
    a.beta = bench.input("beta", in.at("beta"));
    a.running_mean = bench.updated("running_mean", in.at("running_mean"));
    a.running_var = bench.updated("running_var", in.at("running_var"));
    a.x = bench.input("x", in.at("x"));
    a.y = bench.output("y", n);
    a.reserve = bench.scratch("reserve", device.ops().batch_norm_reserve(device.handle(), &a));
    bench.call("forward", device.ops().batch_norm_forward, a);
    if (!s.training)
        return bench.finish(result);
    a.dy = bench.input("dy", in.at("dy"));
    a.dx = s.dx ? bench.output("dx", n) : nullptr;
    a.dgamma = bench.added("dgamma", Random(3).reals(s.F));
    a.dbeta = bench.added("dbeta", Random(4).reals(s.F));
    bench.call("backward", device.ops().batch_norm_backward, a);
    return bench.finish(result);
}

/* What the live rows of a feature give. */
struct Statistics {
    long double mean = 0, var = 0;
};

Statistics statistics_of(const Shape &s, const Numbers &in, const std::vector<int64_t> &live, int64_t f) {
    const size_t at = static_cast<size_t>(f);
    if (!s.training)
        return {in.at("running_mean")[at], in.at("running_var")[at]};
    const std::vector<double> &x = in.at("x");
    const long double n = static_cast<long double>(live.size());
    Statistics found;
    for (const int64_t row : live)
        found.mean += x[row * s.F + f] / n;
    for (const int64_t row : live) {
        const long double deviation = x[row * s.F + f] - found.mean;
        found.var += deviation * deviation / n;
    }
    return found;
}

/* Backward of one feature. */
void feature_backward(const Shape &s, const Numbers &in, const std::vector<int64_t> &live, int64_t f,
                      const Statistics &found, Numbers *out) {
    const std::vector<double> &x = in.at("x"), &dy = in.at("dy");
    const long double scale = 1 / std::sqrt(found.var + s.epsilon), n = static_cast<long double>(live.size());
    long double sum = 0, product = 0;
    const auto normal = [&](int64_t at) { return (x[at] - found.mean) * scale; };
    for (const int64_t row : live) {
        sum += dy[row * s.F + f];
        product += dy[row * s.F + f] * normal(row * s.F + f);
    }
    (*out)["dbeta"][f] = static_cast<double>(sum);
    (*out)["dgamma"][f] = static_cast<double>(product);
    if (!s.dx)
        return;
    std::vector<double> &dx = (*out)["dx"];
    for (const int64_t row : live) {
        const int64_t at = row * s.F + f;
        dx[at] = static_cast<double>(in.at("gamma")[f] * scale * (dy[at] - sum / n - normal(at) * product / n));
    }
}

Numbers reference(const Shape &s, const Numbers &in) {
    std::vector<int64_t> live;
    for (int64_t row = 0; row < s.rows(); row++)
        if (live_row(s, in, row))
            live.push_back(row);
    const std::vector<double> zeros(in.at("x").size()), no_weights(static_cast<size_t>(s.F));
    Numbers out = {{"y", zeros}, {"running_mean", in.at("running_mean")}, {"running_var", in.at("running_var")}};
    if (s.training)
        out["dgamma"] = out["dbeta"] = no_weights;
    if (s.training && s.dx)
        out["dx"] = zeros;
    const std::vector<double> &x = in.at("x");
    std::vector<double> &y = out["y"];
    for (int64_t f = 0; f < s.F; f++) {
        const double gamma = in.at("gamma")[f], beta = in.at("beta")[f];
        if (s.training && live.empty()) {
            for (int64_t row = 0; row < s.rows(); row++)
                y[row * s.F + f] = beta;
            continue;
        }
        const Statistics found = statistics_of(s, in, live, f);
        const long double scale = 1 / std::sqrt(found.var + s.epsilon);
        for (int64_t row = 0; row < s.rows(); row++)
            y[row * s.F + f] = static_cast<double>(gamma * (x[row * s.F + f] - found.mean) * scale + beta);
        if (!s.training)
            continue;
        for (const auto &[name, value] : {std::pair{"running_mean", found.mean}, {"running_var", found.var}})
            out[name][f] = static_cast<double>(momentum * in.at(name)[f] + (1 - momentum) * value);
        feature_backward(s, in, live, f, found, &out);
    }
    return out;
}

/* Numbers far from zero that hardly differ. Their mean has to be known to more digits than a float has: whatever the
 * real type, no more may be lost than in double. */
Verdict check_large_means(const Backend &under_test) {
    for (const int threads : {1, 3}) {
        const Device device(under_test, threads);
        for (const Shape &shape : {Shape{40, 9, 1, 5, Live::all, 1e-5}, Shape{50, 30, 3, 33, Live::middle, 1e-5}}) {
            Shape s = shape;
            s.mean = 1000;
            s.spread = 0.01;
            const double terms = static_cast<double>(s.rows()), condition = s.mean / s.spread;
            const double tolerance = tolerance_of(under_test.ops->real_size, terms, true) +
                                     condition * tolerance_of(sizeof(double), terms, true);
            const Numbers in = inputs_of(s);
            Result result;
            CRS_TRY(run(device, s, in, &result));
            CRS_TRY(compare_expected(result, reference(s, in), tolerance).in(s.text()));
        }
    }
    return Verdict::pass();
}

/* A feature that never changes, at numbers that are no round ones: it is what a feature of zeros is, but for its mean.
 * Sums of a float's digits are exact in a double, so that nothing is left of it in y and dgamma. */
Verdict check_constants(const Backend &under_test) {
    const Device device(under_test, 2);
    const Shape s = {37, 20, 1, 3, Live::ragged, 1e-3};
    Numbers in = inputs_of(s);
    in["x"].assign(in["x"].size(), 0);
    Numbers want = reference(s, in);
    const double tolerance = tolerance_of(under_test.ops->real_size, static_cast<double>(s.rows()), true);
    for (const float constant : {0.1F, -1234.567F, 0.0F}) {
        in["x"].assign(in["x"].size(), constant);
        for (size_t f = 0; f < 3; f++)
            want["running_mean"][f] = momentum * in["running_mean"][f] + (1 - momentum) * constant;
        Result result;
        CRS_TRY(run(device, s, in, &result));
        CRS_TRY(compare_expected(result, want, tolerance).in(s.text() + format(" all %g", constant)));
    }
    return Verdict::pass();
}

/* So many rows that a thread of a GPU takes more than a few of them. */
Verdict check_many_rows(const Backend &under_test) {
    const Device device(under_test, 2);
    const Shape s = {131, 63, 4, 17, Live::middle, 1e-3};
    const Numbers in = inputs_of(s);
    const double tolerance = tolerance_of(under_test.ops->real_size, static_cast<double>(s.rows()), true);
    Result result;
    CRS_TRY(run(device, s, in, &result));
    return compare_expected(result, reference(s, in), tolerance).in(s.text());
}

/* Nothing is live: the running statistics and the gradients of the weights stay, bit for bit. */
Verdict check_nothing_live(const Backend &under_test) {
    const Device device(under_test, 2);
    const Shape s = {3, 2, 2, 5, Live::ragged};
    Numbers in = inputs_of(s);
    in["len"] = {0, 0};
    in["dy"].assign(in["dy"].size(), std::nan(""));
    Result result;
    CRS_TRY(run(device, s, in, &result));
    for (const auto &[name, values] : result)
        for (const double value : values.values)
            if ((name == "dgamma" || name == "dbeta" || name == "dx") && !(value == 0))
                return Verdict::fail(name + format(" is %g where nothing is live", value));
    return compare_expected(result, reference(s, in), 0).in(s.text() + " nothing live");
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    std::vector<Shape> small;
    operation.shapes.push_back({7, 6, 2, 5, Live::all});
    for (const Live live : {Live::middle, Live::all, Live::ragged, Live::left, Live::start}) {
        operation.shapes.push_back({6, 7, 1, 5, live});
        operation.shapes.push_back({5, 4, 3, 4, live, 1e-3});
        operation.shapes.push_back({7, 5, 1, 3, live, 0.125, true, false});
        operation.shapes.push_back({7, 5, 2, 3, live, 0.125, false});
    }
    small.push_back({3, 4, 1, 2, Live::middle});
    small.push_back({2, 3, 2, 2, Live::all});
    for (const int64_t F : {1, 31, 32, 33, 65, 130})
        operation.shapes.push_back({6, 9, 1, F, Live::ragged});
    for (const Shape &shape :
         {Shape{1, 1, 1, 1}, Shape{1, 1, 1, 33}, Shape{8, 1, 1, 4, Live::left}, Shape{1, 6, 1, 3, Live::ragged},
          Shape{1, 1, 9, 7}, Shape{60, 41, 1, 3, Live::middle, 1e-3}, Shape{700, 2, 1, 1, Live::ragged, 1e-3},
          Shape{9, 5, 31, 40, Live::start, 1e-3}, Shape{3, 2, 1, 1100}, Shape{90, 70, 3, 2, Live::all, 1e-5}})
        operation.shapes.push_back(shape);
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &s) { return static_cast<double>(s.rows()); };
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    CRS_TRY(check_nothing_live(under_test));
    CRS_TRY(check_constants(under_test));
    CRS_TRY(check_many_rows(under_test));
    CRS_TRY(check_large_means(under_test));
    return check_gradients(operation, under_test, small, {{"y", "seed"}},
                           {{"dx", "x"}, {"dgamma", "gamma"}, {"dbeta", "beta"}});
}

} // namespace crs
