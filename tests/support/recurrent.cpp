/* The checks of a recurrent layer, and what is special to time: dead steps, reserves, masks. */
#include "recurrent_case.hpp"

#include <algorithm>
#include <cmath>

namespace crs {
namespace {

/* The arguments of forward, with their memory. */
crs_recurrent place_forward(const Cell &cell, const Device &device, const RecurrentShape &s, const Numbers &in,
                            Bench *bench) {
    const int64_t ld = s.row();
    crs_step_state state = {};
    state.step = recurrent_step_number;
    crs_recurrent a = recurrent_sizes(s);
    a.steps = steps_of(*bench, s.T, s.B, in);
    a.state = bench->state_input(state);
    a.x = bench->input("x", in.at("x"));
    if (!s.projected)
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
void place_backward(const Cell &cell, const RecurrentShape &s, const Numbers &in, Bench *bench, crs_recurrent *a) {
    const int64_t ld = s.row(), steps = s.T * s.B;
    a->dy = s.dy ? bench->input("dy", in.at("dy"), Layout(steps, s.H, ld, s.first)) : nullptr;
    a->dh_last = s.dh_last ? bench->input("dh_last", in.at("dh_last"), Layout(s.B, s.H, ld, s.first)) : nullptr;
    a->dx = s.dx ? bench->output("dx", steps * recurrent_input_width(cell, s)) : nullptr;
    if (!s.projected)
        a->dW = bench->added("dW", in.at("dW"));
    a->dR = bench->added("dR", in.at("dR"));
    a->db = bench->added("db", in.at("db"));
    if (s.variant.reset_after)
        a->db_hh = bench->added("db_hh", in.at("db_hh"));
}

Verdict run(const Cell &cell, const Device &device, const RecurrentShape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_recurrent a = place_forward(cell, device, s, in, &bench);
    bench.call("forward", device.ops().*cell.forward, a);
    if (s.training) {
        place_backward(cell, s, in, &bench, &a);
        bench.call("backward", device.ops().*cell.backward, a);
    }
    CRS_TRY(bench.finish(result));
    const int64_t I = recurrent_input_width(cell, s);
    for (int64_t k = 0; s.training && s.dx && k < s.T * s.B * I; k++)
        if (!is_live(in, s.T, k / I / s.B, k / I % s.B) && result->at("dx").values[static_cast<size_t>(k)] != 0)
            return Verdict::fail(format("dx[%lld] is of a dead step and not zero", static_cast<long long>(k)));
    return Verdict::pass();
}

/* Full batches whose rows a backend may take at once, 16 or 12 of them, without a copy. */
void add_whole_shapes(std::vector<RecurrentShape> *shapes) {
    RecurrentShape whole = {6, 48, 32, 16};
    shapes->push_back(whole);
    whole.training = false;
    shapes->push_back(whole);
    whole.training = true;
    whole.input_rate = 0.25;
    shapes->push_back(whole);
    whole.recurrent_rate = 0.25;
    whole.input_rate = 0;
    shapes->push_back(whole);
    shapes->push_back({5, 48, 7, 5, Live::all, true, 11, 6});
    shapes->push_back({9, 48, 16, 5, Live::nearly});
    shapes->push_back({9, 48, 5, 17, Live::nearly, true});
    RecurrentShape large = {2, 17, 380, 380}; /* the weights of one gate outgrow a cache */
    shapes->push_back(large);
    large.training = false;
    shapes->push_back(large);
}

std::vector<RecurrentShape> shapes_of(const Cell::Variant &variant) {
    RecurrentShape all_on = {5, 6, 3, 4, Live::middle};
    all_on.input_rate = 0.25;
    all_on.recurrent_rate = 0.25;
    all_on.ldy = 8;
    std::vector<RecurrentShape> shapes = {all_on};
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
    shapes.push_back({70, 3, 40, 100, Live::start, true});
    RecurrentShape large = {3, 18, 300, 300,
                            Live::ragged}; /* weights that outgrow a cache: ways of their own on the CPU */
    large.input_rate = large.recurrent_rate = 0.25;
    shapes.push_back(large);
    shapes.push_back({32, 17, 9, 128, Live::ragged}); /* activations that outgrow one */
    shapes.push_back({2, 530, 2, 3, Live::ragged});   /* more tiles of rows than are summed up apart */
    large = {2, 3, 1, 530, Live::middle, true, 531};
    large.projected = true;
    shapes.push_back(large);

    RecurrentShape odd = {5, 6, 4, 3, Live::ragged, true, 9, 6};
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
    add_whole_shapes(&shapes);
    RecurrentShape wide = {3, 40, 6, 5, Live::middle}; /* more rows than threads, not a multiple of any */
    wide.recurrent_rate = 0.3;
    shapes.push_back(wide);
    RecurrentShape projected = {5, 6, 1, 4, Live::middle, false, 7, 2};
    projected.projected = true;
    projected.recurrent_rate = 0.25;
    shapes.push_back(projected);
    for (const Live live : {Live::all, Live::ragged, Live::left}) {
        projected = {6, 5, 1, 17, live, live == Live::ragged};
        projected.projected = true;
        shapes.push_back(projected);
    }
    projected.dx = false;
    shapes.push_back(projected);
    projected.training = false;
    projected.input_rate = 0.5; /* not read */
    shapes.push_back(projected);
    RecurrentShape saturated = {6, 4, 5, 4, Live::ragged};
    saturated.scale = 100; /* sigmoid and tanh at their ends; ReLU has none */
    if (variant.activation == CRS_TANH)
        shapes.push_back(saturated);
    RecurrentShape quiet = {4, 4, 5, 6, Live::ragged};
    quiet.scale = 1e-3; /* near zero tanh must keep its relative error */
    shapes.push_back(quiet);
    for (RecurrentShape &shape : shapes)
        shape.variant = variant;
    return shapes;
}

/* Small shapes: every element of every input is moved twice. */
std::vector<RecurrentShape> small_shapes_of(const Cell::Variant &variant) {
    std::vector<RecurrentShape> shapes = {{4, 4, 3, 2, Live::middle}, {3, 4, 2, 3, Live::ragged, true}, {4, 2, 2, 3}};
    shapes[0].input_rate = shapes[0].recurrent_rate = 0.4;
    shapes[0].ldy = 5;
    shapes[1].recurrent_rate = 0.3;
    RecurrentShape tall = {2, 18, 1, 2, Live::start}; /* more rows than a backend may take at once */
    tall.input_rate = tall.recurrent_rate = 0.5;
    shapes.push_back(tall);
    for (RecurrentShape &shape : shapes)
        shape.variant = variant;
    return shapes;
}

/* Without W there is no input mask. */
Verdict check_projected_mask(const Cell &cell, const Cell::Variant &variant, const Backend &under_test) {
    const Device device(under_test, 1);
    RecurrentShape s = {2, 3, 2, 3};
    s.variant = variant;
    s.projected = true;
    s.input_rate = 0.5;
    const Numbers in = recurrent_inputs(cell, s);
    Bench bench(device);
    Result result;
    const crs_recurrent a = place_forward(cell, device, s, in, &bench);
    CRS_TRY(bench.finish(&result));
    const crs_status status = (device.ops().*cell.forward)(device.handle(), &a);
    return status == CRS_ERR_ARGUMENT ? Verdict::pass()
                                      : Verdict::fail(format("%s: status %d", s.text().c_str(), status));
}

/* "An upper bound for any smaller T and B": what lets a caller keep one reserve for batches of all lengths. */
Verdict check_reserve(const Cell &cell, const Cell::Variant &variant, const Backend &under_test) {
    const Device device(under_test, 2);
    CRS_TRY(device.opened());
    for (const bool training : {false, true}) {
        RecurrentShape small = {3, 3, 5, 7};
        small.variant = variant;
        small.training = training;
        small.input_rate = small.recurrent_rate = 0.5;
        RecurrentShape longer = small, wider = small;
        longer.T = 20;
        wider.B = 20;
        const auto bytes = [&](const RecurrentShape &shape) {
            const crs_recurrent a = recurrent_sizes(shape);
            return (device.ops().*cell.reserve)(device.handle(), &a);
        };
        if (bytes(longer) < bytes(small) || bytes(wider) < bytes(small))
            return Verdict::fail("a larger T or B has a smaller reserve");
    }
    return Verdict::pass();
}

/* Forward on inputs of which one element is not a number: `y` [T,B,H]. */
Verdict forward_with_nan(const Cell &cell, const Device &device, const RecurrentShape &s, const char *name, size_t at,
                         std::vector<double> *y) {
    Numbers in = recurrent_inputs(cell, s);
    if (name)
        in.at(name)[at] = NAN;
    Bench bench(device);
    const crs_recurrent a = place_forward(cell, device, s, in, &bench);
    bench.call("forward", device.ops().*cell.forward, a);
    Result result;
    CRS_TRY(bench.finish(&result));
    *y = result.at("y").values;
    return Verdict::pass();
}

/* What is not a number stays in sight: from its step on in its row, and in no other; one in R in every row, from the
 * second step on. Bounds within exp and tanh would turn it into a number where their operands are the wrong way round.
 */
Verdict check_nan_in(const RecurrentShape &s, const Cell &cell, const Device &device) {
    std::vector<double> clean, of_x, of_R;
    CRS_TRY(forward_with_nan(cell, device, s, nullptr, 0, &clean));
    CRS_TRY(forward_with_nan(cell, device, s, "x", static_cast<size_t>((1 * s.B + 1) * s.I), &of_x));
    CRS_TRY(forward_with_nan(cell, device, s, "R", 0, &of_R));
    for (int64_t t = 0; t < s.T; t++)
        for (int64_t b = 0; b < s.B; b++)
            for (int64_t j = 0; j < s.H; j++) {
                const size_t at = static_cast<size_t>((t * s.B + b) * s.H + j);
                const bool reached = b == 1 && t >= 1;
                if (reached ? !std::isnan(of_x[at]) : of_x[at] != clean[at])
                    return Verdict::fail(format("step %lld, row %lld, unit %lld: %g, with a NaN in x", (long long)t,
                                                (long long)b, (long long)j, of_x[at]));
                if (t >= 1 && j == 0 && !std::isnan(of_R[at]))
                    return Verdict::fail(
                        format("step %lld, row %lld: %g, with a NaN in R", (long long)t, (long long)b, of_R[at]));
            }
    return Verdict::pass();
}

/* A few rows in a prediction; and in training whole tiles of them, which may be read where they lie. */
Verdict check_nan(const Cell &cell, const Cell::Variant &variant, const Backend &under_test) {
    const Device device(under_test, 1);
    RecurrentShape few = {4, 3, 2, 17}, whole = {3, 48, 2, 17};
    few.variant = whole.variant = variant;
    few.training = false;
    CRS_TRY(check_nan_in(few, cell, device));
    return check_nan_in(whole, cell, device);
}

Verdict check_refused(const Cell &cell, const Device &device, const crs_recurrent &a, const std::string &reason) {
    for (const auto slot : {cell.forward, cell.backward}) {
        const crs_status status = (device.ops().*slot)(device.handle(), &a);
        const std::string why = device.ops().explain(device.handle());
        if (status != CRS_ERR_UNSUPPORTED || why.find(reason) == std::string::npos)
            return Verdict::fail(format("not refused for '%s': status %d, '%s'", reason.c_str(), status, why.c_str()));
    }
    return Verdict::pass();
}

/* A forced variant is not replaced by another one where it cannot run: it refuses, and says how many units or steps are
 * too many. */
Verdict check_refusal(const Cell &cell, const Cell::Variant &variant, const Backend &under_test) {
    if (under_test.largest_H == 0 || variant.one_way)
        return Verdict::pass();
    const Device device(under_test, 1);
    RecurrentShape s = {2, 3, 2, under_test.largest_H + 1};
    s.variant = variant;
    const Numbers in = recurrent_inputs(cell, s);
    Bench bench(device);
    Result result;
    crs_recurrent a = place_forward(cell, device, s, in, &bench);
    place_backward(cell, s, in, &bench, &a);
    CRS_TRY(bench.finish(&result));
    CRS_TRY(check_refused(cell, device, a, std::to_string(s.H)));
    a.H = under_test.largest_H;
    a.steps.T = static_cast<int64_t>(1) << 31; /* told before anything is read */
    return check_refused(cell, device, a, std::to_string(a.steps.T));
}

/* The largest shapes are for the CPU, which goes other ways there; an emulated GPU would take very long over them. */
std::vector<RecurrentShape> held_by(const Backend &backend, const std::vector<RecurrentShape> &shapes) {
    const bool is_cpu = std::string(backend.ops->name).compare(0, 3, "cpu") == 0;
    std::vector<RecurrentShape> held;
    for (const RecurrentShape &shape : shapes)
        if ((backend.largest_H == 0 || shape.H <= backend.largest_H) && (is_cpu || (shape.H < 128 && shape.B < 128)))
            held.push_back(shape);
    return held;
}

} // namespace

Verdict check_recurrent(const Cell &cell, const Backend &under_test, const Backend &oracle) {
    for (const Cell::Variant &variant : cell.variants) {
        Operation<RecurrentShape> operation;
        operation.shapes = held_by(under_test, shapes_of(variant));
        operation.inputs = [&cell](const RecurrentShape &s) { return recurrent_inputs(cell, s); };
        operation.run = [&cell](const Device &device, const RecurrentShape &s, const Numbers &in, Result *result) {
            return run(cell, device, s, in, result);
        };
        operation.reference = [&cell](const RecurrentShape &s, const Numbers &in) {
            return recurrent_reference(cell, s, in);
        };
        operation.terms = [](const RecurrentShape &s) { return static_cast<double>((s.I + s.H) * s.T * s.B); };
        operation.backward = true;
        CRS_TRY(check_shapes(operation, under_test, oracle));
        Pairs gradients = {{"dx", "x"}, {"dR", "R"}, {"db", "b"}};
        if (variant.reset_after)
            gradients.emplace_back("db_hh", "b_hh");
        const std::vector<RecurrentShape> shapes = small_shapes_of(variant);
        const Pairs seeds = {{"y", "dy"}, {"h_last", "dh_last"}};
        RecurrentShape projected = shapes[1];
        projected.projected = true;
        CRS_TRY(check_gradients(operation, under_test, {projected}, seeds, gradients));
        gradients.emplace_back("dW", "W");
        CRS_TRY(check_gradients(operation, under_test, shapes, seeds, gradients));
        CRS_TRY(check_projected_mask(cell, variant, under_test));
        CRS_TRY(check_nan(cell, variant, under_test));
        CRS_TRY(check_refusal(cell, variant, under_test));
        CRS_TRY(check_reserve(cell, variant, under_test));
    }
    return Verdict::pass();
}

} // namespace crs
