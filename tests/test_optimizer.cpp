/* The optimizers, several steps of each, against Keras' formulas one number at a time. */
#include "operation.hpp"

#include <cmath>

namespace crs {
namespace {

struct Shape {
    int64_t n;
    crs_optimizer_kind kind;
    double momentum = 0, weight_decay = 0;
    bool nesterov = false;
    double grad_scale = 1;
    uint64_t first_step = 1, bad_step = 0;
    std::string text() const {
        return format("n %lld kind %d momentum %g decay %g nesterov %d scale %g step %llu", static_cast<long long>(n),
                      kind, momentum, weight_decay, nesterov, grad_scale, static_cast<unsigned long long>(first_step));
    }
    bool has_m() const {
        return kind == CRS_ADAM || kind == CRS_ADAMW || momentum != 0;
    }
    bool has_v() const {
        return kind != CRS_SGD;
    }
};

const int steps = 3;
/* Steps large enough that a wrong term shows above a float's rounding of w. */
const double lr = 0.0625, rho = 0.875, beta1 = 0.8125, beta2 = 0.96875, epsilon = 1e-3;

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.n));
    Numbers in = {{"w", random.reals(s.n)}, {"m", random.reals(s.n, 0.25)}, {"v", random.reals(s.n, 0.25)}};
    for (int k = 0; k < steps; k++)
        in[format("g%d", k)] = random.reals(s.n, 2);
    for (double &v : in["v"])
        v = std::fabs(v); /* a mean of squares */
    return in;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_optimizer a = {};
    a.n = s.n;
    a.kind = s.kind;
    a.momentum = s.momentum;
    a.rho = rho;
    a.beta1 = beta1;
    a.beta2 = beta2;
    a.epsilon = epsilon;
    a.weight_decay = s.weight_decay;
    a.nesterov = s.nesterov;
    a.w = bench.updated("w", in.at("w"));
    a.m = s.has_m() ? bench.updated("m", in.at("m")) : nullptr;
    a.v = s.has_v() ? bench.updated("v", in.at("v")) : nullptr;
    for (uint64_t k = 0; k < steps; k++) {
        crs_step_state state = {};
        state.step = s.first_step + k;
        state.lr = lr / static_cast<double>(k + 1);
        state.grad_scale = s.grad_scale;
        state.grad_norm = 3;
        state.bad_step = s.bad_step;
        a.state = bench.state_input(state);
        const std::string name = format("g%d", static_cast<int>(k));
        a.g = bench.input(name, in.at(name));
        bench.call("optimizer", device.ops().optimizer, a);
    }
    return bench.finish(result);
}

/* One number's step. */
void update(const Shape &s, double t, double rate, double g, double *w, double *m, double *v) {
    g *= s.grad_scale;
    if (s.kind == CRS_SGD || s.kind == CRS_RMSPROP || s.kind == CRS_ADAM)
        g += s.weight_decay * *w;
    if (s.kind == CRS_SGD) {
        const double velocity = s.momentum * *m - rate * g;
        *w += s.nesterov ? s.momentum * velocity - rate * g : velocity;
        *m = velocity;
    } else if (s.kind == CRS_RMSPROP) {
        *v = rho * *v + (1 - rho) * g * g;
        const double u = rate * g / std::sqrt(*v + epsilon);
        *m = s.momentum * *m + u;
        *w -= s.momentum == 0 ? u : *m;
    } else {
        if (s.kind == CRS_ADAMW)
            *w -= rate * s.weight_decay * *w;
        *m = beta1 * *m + (1 - beta1) * g;
        *v = beta2 * *v + (1 - beta2) * g * g;
        *w -= rate * std::sqrt(1 - std::pow(beta2, t)) / (1 - std::pow(beta1, t)) * *m / (std::sqrt(*v) + epsilon);
    }
}

Numbers reference(const Shape &s, const Numbers &in) {
    Numbers out = {{"w", in.at("w")}, {"m", in.at("m")}, {"v", in.at("v")}};
    for (int k = 0; k < steps && !s.bad_step; k++)
        for (size_t i = 0; i < out["w"].size(); i++)
            update(s, static_cast<double>(s.first_step) + k, lr / (k + 1), in.at(format("g%d", k))[i], &out["w"][i],
                   &out["m"][i], &out["v"][i]);
    if (!s.has_m())
        out.erase("m");
    if (!s.has_v())
        out.erase("v");
    return out;
}

/* A gradient of NaN behind a bad step must not reach the weights: not one bit changes. */
Verdict check_bad_step(const Backend &under_test) {
    const Device device(under_test, 2);
    for (const crs_optimizer_kind kind : {CRS_SGD, CRS_RMSPROP, CRS_ADAM, CRS_ADAMW})
        for (const uint64_t bad_step : {1, 900}) {
            Shape s = {33, kind, 0.9, 0.1};
            s.bad_step = bad_step;
            Numbers in = inputs_of(s);
            for (int k = 0; k < steps; k++)
                in[format("g%d", k)].assign(33, std::nan(""));
            Result result;
            CRS_TRY(run(device, s, in, &result));
            CRS_TRY(compare_expected(result, reference(s, in), 0).in(s.text() + " after a bad step"));
        }
    return Verdict::pass();
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    for (const crs_optimizer_kind kind : {CRS_SGD, CRS_RMSPROP, CRS_ADAM, CRS_ADAMW})
        for (const double momentum : {0.75, 0.0})
            for (const double decay : {0.125, 0.0})
                for (const double scale : {1.0, 0.25}) {
                    operation.shapes.push_back({33, kind, momentum, decay, false, scale});
                    if (kind == CRS_SGD && momentum != 0)
                        operation.shapes.push_back({31, kind, momentum, decay, true, scale});
                }
    for (const crs_optimizer_kind kind : {CRS_SGD, CRS_RMSPROP, CRS_ADAM, CRS_ADAMW})
        for (const int64_t n : {1, 7, 32, 65, 30011})
            operation.shapes.push_back({n, kind, 0.5, 0.0625, false, 0.5, 1000});
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &) { return 16.0; }; /* roundings of an element in `steps` steps */
    CRS_TRY(check_shapes(operation, under_test, oracle));
    return check_bad_step(under_test);
}

} // namespace crs
