/* Dropout: the exact masks that the contract promises, and that they are random enough. */
#include "operation.hpp"
#include "philox.hpp"

#include <cmath>

namespace crs {
namespace {

struct Shape {
    int64_t n;
    double rate;
    uint64_t step = 7, seed = 0xfedcba9876543210u;
    uint32_t site = 5;
    bool in_place = false;
    int64_t period = 0; /* 0: n */
    int64_t mask_elements() const {
        return period ? period : n;
    }
    std::string text() const {
        return format("n %lld rate %g step %llu seed %llx site %u in place %d period %lld", static_cast<long long>(n),
                      rate, static_cast<unsigned long long>(step), static_cast<unsigned long long>(seed), site,
                      in_place, static_cast<long long>(mask_elements()));
    }
};

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.n));
    return {{"x", random.reals(s.n)}, {"dy", random.reals(s.n)}};
}

crs_mask mask_of(const Shape &s) {
    return {s.rate, s.seed, s.site};
}

std::vector<double> factors_of(const Shape &s) {
    const std::vector<double> mask = mask_factors(mask_of(s), s.step, s.mask_elements());
    std::vector<double> factors;
    for (int64_t e = 0; e < s.n; e++)
        factors.push_back(mask[static_cast<size_t>(e % s.mask_elements())]);
    return factors;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_step_state state = {};
    state.step = s.step;
    crs_dropout a = {};
    a.n = s.n;
    a.period = s.mask_elements();
    a.mask = mask_of(s);
    a.state = s.rate > 0 ? bench.state_input(state) : nullptr; /* "the other fields are not read" */
    const auto apply = [&](const char *x, const char *y) {
        a.y = s.in_place ? bench.updated(y, in.at(x)) : bench.output(y, s.n);
        a.x = s.in_place ? a.y : bench.input(x, in.at(x));
        bench.call("dropout", device.ops().dropout, a);
    };
    apply("x", "y");
    apply("dy", "dx");
    CRS_TRY(bench.finish(result));
    const std::vector<double> factors = factors_of(s);
    for (size_t i = 0; i < factors.size(); i++)
        if (result->at("y").values[i] != 0 && factors[i] == 0)
            return Verdict::fail(format("element %zu is kept, and should be dropped", i));
    return Verdict::pass();
}

Numbers reference(const Shape &s, const Numbers &in) {
    Numbers out = {{"y", factors_of(s)}};
    out["dx"] = out["y"];
    for (size_t i = 0; i < out["y"].size(); i++) {
        out["y"][i] *= in.at("x")[i];
        out["dx"][i] *= in.at("dy")[i];
    }
    return out;
}

/* How many of n ones are kept, by each of two masks and by both, against what independent coins would give: within five
 * standard deviations. */
Verdict check_statistics(const Backend &under_test) {
    const Device device(under_test, 2);
    const int64_t n = 40000;
    Numbers in = {{"x", std::vector<double>(n, 1.0)}, {"dy", std::vector<double>(n, 1.0)}};
    const auto within = [](double count, double p, const std::string &what) {
        const double mean = n * p, deviation = std::sqrt(n * p * (1 - p));
        return std::fabs(count - mean) <= 5 * deviation
                   ? Verdict::pass()
                   : Verdict::fail(
                         format("%s: %g of %g, want about %g", what.c_str(), count, static_cast<double>(n), mean));
    };
    for (const double rate : {0.1, 0.5, 0.9}) {
        const Shape base = {n, rate};
        Shape step = base, seed = base, low_seed = base, site = base;
        step.step++;
        seed.seed ^= uint64_t{1} << 40;
        low_seed.seed++;
        site.site++;
        Result first, second;
        CRS_TRY(run(device, base, in, &first));
        for (const Shape &other : {step, seed, low_seed, site}) {
            CRS_TRY(run(device, other, in, &second));
            double kept = 0, both = 0;
            for (int64_t i = 0; i < n; i++) {
                const bool is_kept = second.at("y").values[i] != 0;
                kept += is_kept;
                both += is_kept && first.at("y").values[i] != 0;
            }
            CRS_TRY(within(kept, 1 - rate, other.text() + " kept"));
            CRS_TRY(within(both, (1 - rate) * (1 - rate), other.text() + " kept by both"));
        }
    }
    return Verdict::pass();
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    operation.shapes = {{101, 0.3}, {1, 0.5},     {2, 0.5},     {3, 0.5},     {5, 0.5},
                        {33, 0},    {1000, 0.01}, {1000, 0.99}, {40003, 0.25}};
    operation.shapes.push_back({100, 0.3, (uint64_t{1} << 32) + 7}); /* only the low word of the step counts */
    operation.shapes.push_back({100, 0.3, 1, 0, 0});
    operation.shapes.push_back({100, 0.3, 1, 1, 0xffffffffu, true});
    operation.shapes.push_back({33, 0, 1, 1, 1, true});
    for (const int64_t period : {1, 2, 3, 4, 5, 7, 64, 99, 100, 101, 200, 1000})
        operation.shapes.push_back({400, 0.4, 3, 2, 1, period % 2 == 0, period});
    operation.shapes.push_back({401, 0.4, 3, 2, 1, false, 100}); /* the last period is cut off */
    operation.shapes.push_back({30000, 0.4, 3, 2, 1, false, 3});
    operation.shapes.push_back({30001, 0.4, 3, 2, 1, true, 1029}); /* more than a chunk, and no multiple of 4 */
    operation.shapes.push_back({40003, 0.4, 3, 2, 1, true, 20000});
    operation.shapes.push_back({33, 0, 1, 1, 1, false, 5});
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &) { return 2.0; };
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    CRS_TRY(check_gradients(operation, under_test, {{13, 0.4}, {13, 0.4, 1, 1, 1, false, 5}}, {{"y", "dy"}},
                            {{"dx", "x"}}));
    return check_statistics(under_test);
}

} // namespace crs
