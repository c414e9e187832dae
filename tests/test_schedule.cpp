/* Counting steps, and the learning rate of each. */
#include "operation.hpp"

#include <algorithm>
#include <cmath>

namespace crs {
namespace {

struct Shape {
    crs_schedule_kind kind;
    int64_t warmup, every, total;
    uint64_t before; /* steps done */
    std::string text() const {
        return format("kind %d warmup %lld every %lld total %lld after %llu steps", kind,
                      static_cast<long long>(warmup), static_cast<long long>(every), static_cast<long long>(total),
                      static_cast<unsigned long long>(before));
    }
};

const double base_lr = 0.3, floor_lr = 0.01, rate = 0.5;

Verdict run(const Device &device, const Shape &s, const Numbers &, Result *result) {
    Bench bench(device);
    crs_step_state state = {};
    state.step = s.before;
    state.lr = std::nan("");
    state.loss_sum = 2.25;
    state.rows = 3;
    state.correct = 1;
    state.grad_norm = 4;
    state.grad_scale = 0.75;
    state.bad_step = 2;
    crs_schedule a = {};
    a.kind = s.kind;
    a.base_lr = base_lr;
    a.floor_lr = floor_lr;
    a.rate = rate;
    a.warmup = s.warmup;
    a.every = s.every;
    a.total = s.total;
    a.state = bench.state_updated(state);
    bench.call("schedule", device.ops().schedule, a);
    return bench.finish(result);
}

Numbers reference(const Shape &s, const Numbers &) {
    const double done = static_cast<double>(s.before), past = done - static_cast<double>(s.warmup);
    double lr = base_lr;
    if (past < 0)
        lr = base_lr * (done + 1) / static_cast<double>(s.warmup);
    else if (s.kind == CRS_STEP)
        lr = base_lr * std::pow(rate, std::floor(past / static_cast<double>(s.every)));
    else if (s.kind == CRS_COSINE)
        lr = floor_lr +
             (base_lr - floor_lr) *
                 (1 + std::cos(std::acos(-1.0) * std::min(1.0, past / static_cast<double>(s.total - s.warmup)))) / 2;
    return {{"state.step", {done + 1}},   {"state.lr", {lr}},     {"state.loss_sum", {2.25}},
            {"state.rows", {3}},          {"state.correct", {1}}, {"state.grad_norm", {4}},
            {"state.grad_scale", {0.75}}, {"state.bad_step", {2}}};
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    for (uint64_t before = 0; before < 26; before++) /* past the end of the cosine */
        for (const int64_t warmup : {0, 1, 5}) {
            operation.shapes.push_back({CRS_CONSTANT, warmup, 0, 0, before});
            operation.shapes.push_back({CRS_STEP, warmup, 4, 0, before});
            operation.shapes.push_back({CRS_STEP, warmup, 1, 0, before});
            operation.shapes.push_back({CRS_COSINE, warmup, 0, 20, before});
        }
    operation.inputs = [](const Shape &) { return Numbers(); };
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &) { return 4.0; }; /* the roundings in two ways to a cosine, each its own */
    operation.always_double = true;
    return check_shapes(operation, under_test, oracle);
}

} // namespace crs
