/* The checks of a recurrent layer: shapes, a scalar reference written from the formulas in ops.h, and what is special
 * to time (dead steps, reserves, masks). */
#include "recurrent.hpp"

#include "philox.hpp"

#include <algorithm>
#include <cmath>

namespace crs {
namespace {

struct Shape {
    int64_t T, B, I, H;
    Live live = Live::all;
    bool reverse = false;
    int64_t ldy = 0, first = 0; /* ldy 0: H; first: column of this direction */
    double input_rate = 0, recurrent_rate = 0;
    bool training = true, dy = true, dh_last = true, dx = true, h_last = true;
    double scale = 1; /* of the inputs; a small one is the biases' too */
    Cell::Variant variant = {CRS_TANH, false};

    int64_t row() const {
        return ldy ? ldy : H;
    }
    std::string text() const {
        return format("T %lld B %lld I %lld H %lld live %d reverse %d ldy %lld+%lld masks %g %g training %d "
                      "dy %d dh_last %d dx %d h_last %d act %d reset_after %d scale %g",
                      static_cast<long long>(T), static_cast<long long>(B), static_cast<long long>(I),
                      static_cast<long long>(H), static_cast<int>(live), reverse, static_cast<long long>(row()),
                      static_cast<long long>(first), input_rate, recurrent_rate, training, dy, dh_last, dx, h_last,
                      variant.activation, variant.reset_after, scale);
    }
};

crs_recurrent sizes_of(const Shape &s) {
    crs_recurrent a = {};
    a.steps.T = s.T;
    a.steps.B = s.B;
    a.I = s.I;
    a.H = s.H;
    a.reverse = s.reverse;
    a.activation = s.variant.activation;
    a.reset_after = s.variant.reset_after;
    a.training = s.training;
    a.input_mask = {s.input_rate, 0x123456789abcdef1u, 3};
    a.recurrent_mask = {s.recurrent_rate, 0x123456789abcdef1u, 4};
    a.ldy = s.row();
    return a;
}

const uint64_t step_number = 11;

Numbers inputs_of(const Cell &cell, const Shape &s) {
    Random random(static_cast<uint64_t>(s.T * 1000003 + s.B * 10007 + s.I * 101 + s.H));
    const int64_t rows = cell.gates * s.H;
    Numbers in;
    add_live(s.live, s.T, s.B, random, &in);
    in["x"] = random.reals(s.T * s.B * s.I, s.scale);
    in["W"] = random.reals(rows * s.I, 1.5 / std::sqrt(static_cast<double>(s.I)));
    in["R"] = random.reals(rows * s.H, 1.5 / std::sqrt(static_cast<double>(s.H)));
    in["b"] = random.reals(rows, 0.5 * std::min(1.0, s.scale));
    in["dy"] = random.reals(s.T * s.B * s.H);
    in["dh_last"] = random.reals(s.B * s.H);
    in["dW"] = random.reals(rows * s.I);
    in["dR"] = random.reals(rows * s.H);
    in["db"] = random.reals(rows);
    if (s.variant.reset_after) {
        in["b_hh"] = random.reals(rows, 0.5 * std::min(1.0, s.scale));
        in["db_hh"] = random.reals(rows);
    }
    return in;
}

/* The arguments of forward, with their memory. */
crs_recurrent place_forward(const Cell &cell, const Device &device, const Shape &s, const Numbers &in, Bench *bench) {
    const int64_t ld = s.row();
    crs_step_state state = {};
    state.step = step_number;
    crs_recurrent a = sizes_of(s);
    a.steps = steps_of(*bench, s.T, s.B, in);
    a.state = bench->state_input(state);
    a.x = bench->input("x", in.at("x"));
    a.W = bench->input("W", in.at("W"));
    a.R = bench->input("R", in.at("R"));
    a.b = bench->input("b", in.at("b"));
    if (s.variant.reset_after)
        a.b_hh = bench->input("b_hh", in.at("b_hh"));
    a.y = bench->output("y", Layout(s.T * s.B, s.H, ld, s.first));
    a.h_last = s.h_last ? bench->output("h_last", Layout(s.B, s.H, ld, s.first)) : nullptr;
    a.reserve = bench->scratch("reserve", (device.ops().*cell.reserve)(device.handle(), &a));
    return a;
}

/* What backward needs besides. */
void place_backward(const Shape &s, const Numbers &in, Bench *bench, crs_recurrent *a) {
    const int64_t ld = s.row(), steps = s.T * s.B;
    a->dy = s.dy ? bench->input("dy", in.at("dy"), Layout(steps, s.H, ld, s.first)) : nullptr;
    a->dh_last = s.dh_last ? bench->input("dh_last", in.at("dh_last"), Layout(s.B, s.H, ld, s.first)) : nullptr;
    a->dx = s.dx ? bench->output("dx", steps * s.I) : nullptr;
    a->dW = bench->added("dW", in.at("dW"));
    a->dR = bench->added("dR", in.at("dR"));
    a->db = bench->added("db", in.at("db"));
    if (s.variant.reset_after)
        a->db_hh = bench->added("db_hh", in.at("db_hh"));
}

Verdict run(const Cell &cell, const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_recurrent a = place_forward(cell, device, s, in, &bench);
    bench.call("forward", device.ops().*cell.forward, a);
    if (s.training) {
        place_backward(s, in, &bench, &a);
        bench.call("backward", device.ops().*cell.backward, a);
    }
    CRS_TRY(bench.finish(result));
    for (int64_t k = 0; s.training && s.dx && k < s.T * s.B * s.I; k++)
        if (!is_live(in, s.T, k / s.I / s.B, k / s.I % s.B) && result->at("dx").values[static_cast<size_t>(k)] != 0)
            return Verdict::fail(format("dx[%lld] is of a dead step and not zero", static_cast<long long>(k)));
    return Verdict::pass();
}

double dot(const double *weights, const std::vector<double> &values) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); i++)
        sum += weights[i] * values[i];
    return sum;
}

/* `n` elements of all, through the mask. */
std::vector<double> masked(const double *all, const double *mask, int64_t n) {
    std::vector<double> values(all, all + n);
    for (size_t i = 0; i < values.size(); i++)
        values[i] *= mask[i];
    return values;
}

/* The forward pass one row, one step, one unit at a time. */
Numbers reference(const Cell &cell, const Shape &s, const Numbers &in) {
    const crs_recurrent a = sizes_of(s);
    const crs_mask none = {};
    const std::vector<double> x_mask = mask_factors(s.training ? a.input_mask : none, step_number, s.B * s.I);
    const std::vector<double> h_mask = mask_factors(s.training ? a.recurrent_mask : none, step_number, s.B * s.H);
    const double *x = in.at("x").data(), *W = in.at("W").data(), *R = in.at("R").data();
    RecurrentStep step = {};
    step.H = s.H;
    step.activation = s.variant.activation;
    step.reset_after = s.variant.reset_after;
    step.recurrent = [&](int64_t row, const std::vector<double> &state) {
        return dot(R + row * s.H, state) + (s.variant.reset_after ? in.at("b_hh")[row] : 0);
    };
    Numbers out;
    out["y"].resize(static_cast<size_t>(s.T * s.B * s.H));
    for (int64_t r = 0; r < s.B; r++) {
        std::vector<double> h(static_cast<size_t>(s.H)), c(h);
        for (int64_t k = 0; k < s.T; k++) {
            const int64_t t = s.reverse ? s.T - 1 - k : k;
            if (is_live(in, s.T, t, r)) {
                const std::vector<double> xt = masked(x + (t * s.B + r) * s.I, &x_mask[r * s.I], s.I);
                step.input = in.at("b");
                for (int64_t row = 0; row < cell.gates * s.H; row++)
                    step.input[row] += dot(W + row * s.I, xt);
                step.h_before = h;
                step.h_masked = masked(h.data(), &h_mask[r * s.H], s.H);
                h = cell.step(step, &c);
            }
            std::copy(h.begin(), h.end(), out["y"].begin() + (t * s.B + r) * s.H);
        }
        if (s.h_last)
            out["h_last"].insert(out["h_last"].end(), h.begin(), h.end());
    }
    return out;
}

std::vector<Shape> shapes_of(const Cell::Variant &variant) {
    Shape all_on = {5, 6, 3, 4, Live::middle};
    all_on.input_rate = 0.25;
    all_on.recurrent_rate = 0.25;
    all_on.ldy = 8;
    std::vector<Shape> shapes = {all_on};
    for (const Live live : {Live::all, Live::ragged, Live::left, Live::start})
        for (const bool reverse : {false, true})
            shapes.push_back({7, 5, 5, 3, live, reverse});
    shapes.push_back({1, 5, 3, 4, Live::ragged});
    shapes.push_back({1, 1, 1, 1});
    shapes.push_back({6, 1, 2, 3, Live::left, true});
    shapes.push_back({4, 3, 7, 1, Live::ragged});
    shapes.push_back({3, 4, 1, 9, Live::middle, true});
    for (const int64_t H : {16, 17, 31, 32, 33, 64, 65})
        shapes.push_back({4, 5, H % 2 ? 20 : H, H, Live::ragged, H % 2 == 0});
    shapes.push_back({66, 17, 9, 48, Live::ragged}); /* many rows in all: sums long enough to be cut */

    Shape odd = {5, 6, 4, 3, Live::ragged, true, 9, 6};
    odd.recurrent_rate = 0.5;
    shapes.push_back(odd);
    odd.recurrent_rate = 0;
    odd.input_rate = 0.5;
    odd.dy = false;
    shapes.push_back(odd);
    odd.dy = true;
    odd.dh_last = odd.dx = false;
    shapes.push_back(odd);
    odd.dx = true;
    odd.h_last = false;
    shapes.push_back(odd);
    odd.training = false; /* the masks' rates stay, and must not be read */
    shapes.push_back(odd);
    odd.h_last = true;
    odd.live = Live::all;
    shapes.push_back(odd);
    Shape wide = {3, 40, 6, 5, Live::middle}; /* more rows than threads, not a multiple of any */
    wide.recurrent_rate = 0.3;
    shapes.push_back(wide);
    Shape saturated = {6, 4, 5, 4, Live::ragged};
    saturated.scale = 100; /* sigmoid and tanh at their ends; ReLU has none */
    if (variant.activation == CRS_TANH)
        shapes.push_back(saturated);
    Shape quiet = {4, 4, 5, 6, Live::ragged};
    quiet.scale = 1e-3; /* near zero tanh must keep its relative error */
    shapes.push_back(quiet);
    for (Shape &shape : shapes)
        shape.variant = variant;
    return shapes;
}

/* Small shapes: every element of every input is moved twice. */
std::vector<Shape> small_shapes_of(const Cell::Variant &variant) {
    std::vector<Shape> shapes = {{4, 4, 3, 2, Live::middle}, {3, 4, 2, 3, Live::ragged, true}, {4, 2, 2, 3}};
    shapes[0].input_rate = shapes[0].recurrent_rate = 0.4;
    shapes[0].ldy = 5;
    shapes[1].recurrent_rate = 0.3;
    for (Shape &shape : shapes)
        shape.variant = variant;
    return shapes;
}

/* "An upper bound for any smaller T and B": what lets a caller keep one reserve for batches of all lengths. */
Verdict check_reserve(const Cell &cell, const Cell::Variant &variant, const Backend &under_test) {
    const Device device(under_test, 2);
    CRS_TRY(device.opened());
    for (const bool training : {false, true}) {
        Shape small = {3, 3, 5, 7};
        small.variant = variant;
        small.training = training;
        small.input_rate = small.recurrent_rate = 0.5;
        Shape longer = small, wider = small;
        longer.T = 20;
        wider.B = 20;
        const auto bytes = [&](const Shape &shape) {
            const crs_recurrent a = sizes_of(shape);
            return (device.ops().*cell.reserve)(device.handle(), &a);
        };
        if (bytes(longer) < bytes(small) || bytes(wider) < bytes(small))
            return Verdict::fail("a larger T or B has a smaller reserve");
    }
    return Verdict::pass();
}

/* A forced variant is not replaced by another one where it cannot run: it refuses, and says how many units are too
 * many.
 */
Verdict check_refusal(const Cell &cell, const Cell::Variant &variant, const Backend &under_test) {
    if (under_test.largest_H == 0)
        return Verdict::pass();
    const Device device(under_test, 1);
    Shape s = {2, 3, 2, under_test.largest_H + 1};
    s.variant = variant;
    const Numbers in = inputs_of(cell, s);
    Bench bench(device);
    Result result;
    crs_recurrent a = place_forward(cell, device, s, in, &bench);
    place_backward(s, in, &bench, &a);
    CRS_TRY(bench.finish(&result));
    for (const auto slot : {cell.forward, cell.backward}) {
        const crs_status status = (device.ops().*slot)(device.handle(), &a);
        const std::string why = device.ops().explain(device.handle());
        if (status != CRS_ERR_UNSUPPORTED || why.find(std::to_string(s.H)) == std::string::npos)
            return Verdict::fail(format("%s: not refused: status %d, '%s'", s.text().c_str(), status, why.c_str()));
    }
    return Verdict::pass();
}

std::vector<Shape> held_by(const Backend &backend, const std::vector<Shape> &shapes) {
    std::vector<Shape> held;
    for (const Shape &shape : shapes)
        if (backend.largest_H == 0 || shape.H <= backend.largest_H)
            held.push_back(shape);
    return held;
}

} // namespace

Verdict check_recurrent(const Cell &cell, const Backend &under_test, const Backend &oracle) {
    for (const Cell::Variant &variant : cell.variants) {
        Operation<Shape> operation;
        operation.shapes = held_by(under_test, shapes_of(variant));
        operation.inputs = [&cell](const Shape &s) { return inputs_of(cell, s); };
        operation.run = [&cell](const Device &device, const Shape &s, const Numbers &in, Result *result) {
            return run(cell, device, s, in, result);
        };
        operation.reference = [&cell](const Shape &s, const Numbers &in) { return reference(cell, s, in); };
        operation.terms = [](const Shape &s) { return static_cast<double>((s.I + s.H) * s.T * s.B); };
        operation.backward = true;
        CRS_TRY(check_shapes(operation, under_test, oracle));
        Pairs gradients = {{"dx", "x"}, {"dW", "W"}, {"dR", "R"}, {"db", "b"}};
        if (variant.reset_after)
            gradients.emplace_back("db_hh", "b_hh");
        CRS_TRY(check_gradients(operation, under_test, small_shapes_of(variant), {{"y", "dy"}, {"h_last", "dh_last"}},
                                gradients));
        CRS_TRY(check_refusal(cell, variant, under_test));
        CRS_TRY(check_reserve(cell, variant, under_test));
    }
    return Verdict::pass();
}

} // namespace crs
