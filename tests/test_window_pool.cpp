/* Pooling by windows over time and positions: the maximum or the mean of what is there. */
#include "live.hpp"
#include "operation.hpp"

#include <cmath>
#include <limits>

namespace crs {
namespace {

struct Shape {
    int64_t T, B, P, F;
    crs_window window; /* size, stride, dilation, before: each over time, then over positions */
    int64_t T_out, P_out;
    Live live = Live::all;
    bool mean = false;
    bool ties = false; /* few different values, so that maxima come more than once */

    std::string text() const {
        std::string text;
        for (const auto &[name, axes] : {std::pair("size", window.size), std::pair("stride", window.stride),
                                         std::pair("dilation", window.dilation), std::pair("before", window.before)})
            text += format(" %s %lld,%lld", name, static_cast<long long>(axes[0]), static_cast<long long>(axes[1]));
        return format("T %lld B %lld P %lld F %lld T_out %lld P_out %lld%s live %d mean %d ties %d",
                      static_cast<long long>(T), static_cast<long long>(B), static_cast<long long>(P),
                      static_cast<long long>(F), static_cast<long long>(T_out), static_cast<long long>(P_out),
                      text.c_str(), static_cast<int>(live), mean, ties);
    }
};

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.T * 1009 + s.B * 101 + s.P * 11 + s.F));
    Numbers in;
    add_live(s.live, s.T, s.B, random, &in);
    in["x"] = random.reals(s.T * s.B * s.P * s.F);
    in["dy"] = random.reals(s.T_out * s.B * s.P_out * s.F);
    for (size_t k = 0; k < in["x"].size(); k++) {
        const int64_t row = static_cast<int64_t>(k) / s.F / s.P;
        if (s.ties)
            in["x"][k] = static_cast<double>(random.below(3)) - 3; /* all negative: zero is no maximum */
        if (!is_live(in, s.T, row / s.B, row % s.B))
            in["x"][k] = 1e6; /* would be seen at once */
    }
    return in;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    const int64_t outputs = s.T_out * s.B * s.P_out * s.F;
    crs_window_pool a = {};
    a.steps = steps_of(bench, s.T, s.B, in);
    a.P = s.P;
    a.F = s.F;
    a.T_out = s.T_out;
    a.P_out = s.P_out;
    a.window = s.window;
    a.mean = s.mean;
    a.x = bench.input("x", in.at("x"));
    a.y = bench.output("y", outputs);
    a.argmax = s.mean ? nullptr : bench.int_output("argmax", outputs);
    bench.call("forward", device.ops().window_pool_forward, a);
    a.dy = bench.input("dy", in.at("dy"));
    a.dx = bench.output("dx", s.T * s.B * s.P * s.F);
    bench.call("backward", device.ops().window_pool_backward, a);
    return bench.finish(result);
}

/* The elements of x that the window of an output sees, step by step and in each from the lowest position on. */
std::vector<int64_t> seen_by(const Shape &s, const Numbers &in, int64_t t_out, int64_t b, int64_t p_out, int64_t f) {
    std::vector<int64_t> seen;
    for (int64_t i = 0; i < s.window.size[0]; i++)
        for (int64_t j = 0; j < s.window.size[1]; j++) {
            const int64_t t = t_out * s.window.stride[0] + i * s.window.dilation[0] - s.window.before[0];
            const int64_t p = p_out * s.window.stride[1] + j * s.window.dilation[1] - s.window.before[1];
            if (t >= 0 && t < s.T && p >= 0 && p < s.P && is_live(in, s.T, t, b))
                seen.push_back(((t * s.B + b) * s.P + p) * s.F + f);
        }
    return seen;
}

Numbers reference(const Shape &s, const Numbers &in) {
    const std::vector<double> &x = in.at("x"), &dy = in.at("dy");
    std::vector<double> y(dy.size()), argmax(dy.size(), -1.0), dx(x.size());
    for (size_t k = 0; k < dy.size(); k++) {
        const int64_t n = static_cast<int64_t>(k), f = n % s.F, p_out = n / s.F % s.P_out;
        const int64_t b = n / s.F / s.P_out % s.B, t_out = n / s.F / s.P_out / s.B;
        const std::vector<int64_t> seen = seen_by(s, in, t_out, b, p_out, f);
        if (seen.empty())
            continue;
        int64_t chosen = seen.front();
        for (const int64_t at : seen)
            chosen = x[at] > x[chosen] ? at : chosen;
        argmax[k] = static_cast<double>(chosen / s.F / s.P / s.B * s.P + chosen / s.F % s.P);
        for (const int64_t at : seen) {
            const double share = s.mean ? 1.0 / static_cast<double>(seen.size()) : at == chosen;
            y[k] += share * x[at];
            dx[at] += share * dy[k];
        }
    }
    Numbers want = {{"y", y}, {"dx", dx}};
    if (!s.mean)
        want["argmax"] = argmax;
    return want;
}

/* A NaN is the maximum, the first of several is, and a dead one is nobody's; where all is minus infinity, the first is.
 */
Verdict check_not_finite(const Backend &under_test) {
    const Device device(under_test, 2);
    const Shape s = {6, 2, 4, 9, {{2, 2}, {2, 2}, {1, 1}, {0, 0}}, 3, 2, Live::middle};
    const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
    Numbers in = inputs_of(s);
    in["start"] = {0, 1};
    in["len"] = {6, 3};
    for (double &x : in["x"])
        x = 1;
    std::vector<double> want;
    for (const int64_t t : {0, 2, 4})
        for (const int64_t b : {0, 1})
            for (const int64_t p : {0, 2})
                for (int64_t f = 0; f < s.F; f++) {
                    const int64_t first = b == 0 ? t : t == 0 ? 1 : t; /* of row 1, steps 0, 4 and 5 are dead */
                    want.push_back(b == 1 && t == 4 ? -1.0 : static_cast<double>(first * s.P + p));
                }
    std::vector<double> want_y;
    for (const double number : want)
        want_y.push_back(number < 0 ? 0.0 : 1.0);
    const auto at = [&](int64_t t, int64_t b, int64_t p, int64_t f) -> double & {
        return in["x"][((t * s.B + b) * s.P + p) * s.F + f];
    };
    /* Of row 0, the window that begins at step t and position p. */
    const auto expect = [&](int64_t t, int64_t p, int64_t f, double value, int64_t step, int64_t position) {
        const size_t k = static_cast<size_t>((t / 2 * s.B * s.P_out + p / 2) * s.F + f);
        want[k] = static_cast<double>(step * s.P + position);
        want_y[k] = value;
    };
    for (const int64_t f : {0, 7, 8}) {
        at(0, 0, 1, f) = nan, expect(0, 0, f, nan, 0, 1);
        at(1, 0, 0, f) = nan; /* later than the one above, though at a lower position */
        at(3, 0, 3, f) = nan, expect(2, 2, f, nan, 3, 3);
        at(2, 0, 2, f) = infinity;
        at(0, 1, 0, f) = at(4, 1, 2, f) = nan; /* dead */
    }
    for (const int64_t p : {0, 1})
        at(4, 0, p, 1) = at(5, 0, p, 1) = -infinity;
    expect(4, 0, 1, -infinity, 4, 0);
    Result result;
    CRS_TRY(run(device, s, in, &result));
    const std::vector<double> &y = result.at("y").values, &argmax = result.at("argmax").values;
    for (size_t k = 0; k < want.size(); k++)
        if (argmax[k] != want[k] || !(y[k] == want_y[k] || (std::isnan(y[k]) && std::isnan(want_y[k]))))
            return Verdict::fail(format("output %zu: maximum %g of number %g, want %g of number %g", k, y[k], argmax[k],
                                        want_y[k], want[k]));
    return Verdict::pass();
}

/* size, stride, dilation, before; T and P, T_out and P_out. */
struct Case {
    crs_window window;
    int64_t T, P, T_out, P_out;
};

const Case cases[] = {
    {{{2, 2}, {2, 2}, {1, 1}, {0, 0}}, 7, 9, 3, 4},    /* side by side, the last step and position in none */
    {{{3, 1}, {1, 1}, {1, 1}, {1, 0}}, 7, 1, 7, 1},    /* over time alone, as many steps as before */
    {{{3, 4}, {1, 2}, {1, 1}, {1, 2}}, 8, 7, 8, 5},    /* overlapping, beyond the edges on both sides */
    {{{2, 1}, {3, 4}, {1, 1}, {0, 1}}, 8, 10, 3, 3},   /* with gaps */
    {{{3, 2}, {2, 3}, {2, 4}, {2, 1}}, 11, 9, 6, 4},   /* dilated: an input lies in every so many windows */
    {{{2, 3}, {2, 6}, {6, 4}, {1, 5}}, 12, 20, 4, 5},  /* dilation and stride with a common factor */
    {{{2, 2}, {2, 2}, {1, 1}, {4, 3}}, 5, 4, 6, 6},    /* some windows lie wholly beyond the edges, on both sides */
    {{{9, 9}, {1, 1}, {1, 1}, {4, 4}}, 3, 3, 3, 3},    /* wider than the input */
    {{{1, 1}, {1, 1}, {1, 1}, {0, 0}}, 4, 3, 4, 3},    /* the input itself */
    {{{1, 3}, {1, 2}, {1, 1}, {0, 0}}, 3, 9, 3, 3},    /* of a step, over positions: overlapping */
    {{{2, 2}, {2, 2}, {1, 1}, {0, 1}}, 4, 8, 2, 4},    /* side by side, from before the first position on */
    {{{2, 2}, {2, 2}, {1, 2}, {0, 0}}, 4, 9, 2, 4},    /* side by side, positions with gaps */
    {{{2, 2}, {2, 2}, {1, 1}, {0, 0}}, 4, 5, 2, 3},    /* side by side, the last one partly beyond the edge */
    {{{1, 2}, {1, 2}, {1, 1}, {0, 0}}, 1, 5, 1, 2},    /* one step */
    {{{40, 1}, {3, 1}, {1, 1}, {39, 0}}, 60, 1, 20, 1} /* long, and before every step that it ends at */
};

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    std::vector<Shape> small;
    for (const bool mean : {false, true}) {
        for (const Case &c : cases) {
            for (const Live live : {Live::middle, Live::all, Live::ragged, Live::left, Live::start})
                operation.shapes.push_back({c.T, 5, c.P, 3, c.window, c.T_out, c.P_out, live, mean});
            operation.shapes.push_back({c.T, 1, c.P, 8, c.window, c.T_out, c.P_out, Live::all, mean});
            operation.shapes.push_back({c.T, 2, c.P, 11, c.window, c.T_out, c.P_out, Live::all, mean, true});
            if (c.T * c.P < 80)
                small.push_back({c.T, 3, c.P, 1, c.window, c.T_out, c.P_out, Live::middle, mean});
        }
        const crs_window pairs = {{2, 2}, {2, 2}, {1, 1}, {0, 0}}, triples = {{3, 1}, {1, 1}, {1, 1}, {1, 0}};
        for (const int64_t F : {1, 7, 9, 31, 32, 33, 65})
            operation.shapes.push_back({6, 4, 5, F, pairs, 3, 2, Live::ragged, mean});
        operation.shapes.push_back({1, 1, 1, 1, triples, 1, 1, Live::all, mean});
        operation.shapes.push_back({40, 7, 37, 6, pairs, 20, 18, Live::middle, mean}); /* enough for several threads */
        operation.shapes.push_back({40, 16, 1, 64, triples, 40, 1, Live::middle, mean, true});
    }
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &s) { return static_cast<double>(s.window.size[0] * s.window.size[1]); };
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    CRS_TRY(check_not_finite(under_test));
    return check_gradients(operation, under_test, small, {{"y", "dy"}}, {{"dx", "x"}});
}

} // namespace crs
