/* Convolution over time and positions with each activation. */
#include "operation.hpp"
#include "window.hpp"

namespace crs {
namespace {

Numbers inputs_of(const ConvShape &s) {
    Random random(static_cast<uint64_t>(s.T * 10007 + s.P * 1009 + s.I * 101 + s.O * 11 + s.B));
    Numbers in = {
        {"x", random.reals(s.T * s.B * s.P * s.I)}, {"W", random.reals(s.O * s.columns())},  {"b", random.reals(s.O)},
        {"dy", random.reals(s.outputs())},          {"dW", random.reals(s.O * s.columns())}, {"db", random.reals(s.O)}};
    add_live(s.live, s.T, s.B, random, &in);
    const int64_t row = s.P * s.I;
    for (int64_t k = 0; k < s.T * s.B * row; k++)
        if (!is_live(in, s.T, k / row / s.B, k / row % s.B))
            in["x"][k] = 1e30; /* would be seen at once */
    return in;
}

Verdict run(const Device &device, const ConvShape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_conv a = {};
    a.steps = {s.T, s.B, nullptr, nullptr};
    a.P = s.P;
    a.I = s.I;
    a.T_out = s.T_out;
    a.P_out = s.P_out;
    a.O = s.O;
    a.window = s.window;
    a.activation = s.activation;
    a.reserve = bench.scratch("reserve", device.ops().conv_reserve(device.handle(), &a));
    a.steps = steps_of(bench, s.T, s.B, in);
    a.x = bench.input("x", in.at("x"));
    a.W = bench.input("W", in.at("W"));
    a.b = bench.input("b", in.at("b"));
    a.y = bench.output("y", s.outputs());
    bench.call("forward", device.ops().conv_forward, a);
    a.dy = bench.updated("dy", in.at("dy"));
    a.dx = s.dx ? bench.output("dx", s.T * s.B * s.P * s.I) : nullptr;
    a.dW = bench.added("dW", in.at("dW"));
    a.db = bench.added("db", in.at("db"));
    bench.call("backward", device.ops().conv_backward, a);
    return bench.finish(result);
}

ConvShape with(ConvShape shape, crs_activation activation, Live live, bool dx = true) {
    shape.activation = activation;
    shape.live = live;
    shape.dx = dx;
    return shape;
}

const crs_window pointwise = {{1, 1}, {1, 1}, {1, 1}, {0, 0}};
const crs_window causal = {{3, 1}, {1, 1}, {2, 1}, {4, 0}};  /* over time: each output sees what came before */
const crs_window strided = {{2, 1}, {3, 1}, {1, 1}, {0, 0}}; /* inputs that no output sees */
const crs_window picture = {{3, 2}, {1, 1}, {1, 1}, {1, 0}};
const crs_window all_at_once = {{2, 3}, {2, 3}, {2, 2}, {1, 2}}; /* stride, dilation and edges on both axes */
const crs_window longer = {{9, 5}, {1, 1}, {1, 1}, {2, 1}};      /* than the inputs it is used on */

/* More columns than any backend has in one chunk, of outputs and of inputs. */
const ConvShape chunks = conv_shape(300, 10, 1, 8, 8, {{180, 1}, {1, 1}, {1, 1}, {90, 0}}, 89);

/* What is not a number stays in sight, in the outputs that see it and in no other. */
Verdict check_nan(crs_activation activation, const Backend &under_test) {
    const Device device(under_test, 1);
    const ConvShape s =
        with(conv_shape(4, 3, 1, 2, 17, {{2, 1}, {1, 1}, {1, 1}, {0, 0}}), activation, Live::all, false);
    const Numbers clean = inputs_of(s);
    Numbers spoilt = clean;
    spoilt["x"][(2 * s.B + 1) * s.I] = std::nan("");
    Result expected, found;
    CRS_TRY(run(device, s, clean, &expected));
    CRS_TRY(run(device, s, spoilt, &found));
    const std::vector<double> &y = found.at("y").values, &unspoilt = expected.at("y").values;
    for (int64_t k = 0; k < s.outputs(); k++) {
        const int64_t t = k / s.O / s.B, b = k / s.O % s.B;
        const bool reached = b == 1 && (t == 1 || t == 2);
        if (reached ? !std::isnan(y[k]) : y[k] != unspoilt[k])
            return Verdict::fail(format("step %lld, row %lld: %g, with a NaN in x", static_cast<long long>(t),
                                        static_cast<long long>(b), y[k]));
    }
    return Verdict::pass();
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<ConvShape> operation;
    std::vector<ConvShape> small;
    operation.shapes.push_back(with(conv_shape(7, 5, 6, 3, 4, all_at_once, 2, 3), CRS_TANH, Live::middle));
    for (const crs_activation activation : {CRS_LINEAR, CRS_RELU, CRS_TANH, CRS_SIGMOID}) {
        operation.shapes.push_back(with(conv_shape(6, 4, 5, 2, 3, picture, 1), activation, Live::ragged));
        operation.shapes.push_back(with(conv_shape(6, 3, 1, 5, 4, causal), activation, Live::all, false));
        small.push_back(with(conv_shape(4, 2, 3, 2, 2, picture, 1), activation, Live::left));
    }
    for (const Live live : {Live::all, Live::ragged, Live::left, Live::middle, Live::start})
        for (const crs_window &window : {pointwise, causal, strided, picture, all_at_once, longer})
            operation.shapes.push_back(
                with(conv_shape(5, 6, window.size[1] > 1 ? 4 : 1, 3, 2, window, 1, 1), CRS_TANH, live));
    for (const int64_t size : {1, 31, 32, 33, 65}) {
        operation.shapes.push_back(with(conv_shape(5, 2, 1, size, 3, causal), CRS_RELU, Live::ragged));
        operation.shapes.push_back(with(conv_shape(5, 2, 2, 3, size, picture), CRS_SIGMOID, Live::ragged));
    }
    for (const int64_t outputs : {12, 24, 48}) /* groups of three vectors, whatever their width */
        operation.shapes.push_back(with(conv_shape(5, 3, 1, 5, outputs, strided), CRS_RELU, Live::middle));
    operation.shapes.push_back(with(conv_shape(5, 3, 1, 150, 20, causal), CRS_TANH, Live::all));  /* long rows */
    operation.shapes.push_back(with(conv_shape(3, 2, 1, 300, 300, causal), CRS_RELU, Live::all)); /* large W */
    operation.shapes.push_back(with(conv_shape(1, 1, 1, 1, 1, pointwise), CRS_TANH, Live::all));
    operation.shapes.push_back(with(conv_shape(1, 1, 1, 1, 1, longer), CRS_TANH, Live::all));
    operation.shapes.push_back(with(conv_shape(40, 30, 9, 1, 6, picture), CRS_RELU, Live::ragged)); /* many outputs */
    operation.shapes.push_back(with(conv_shape(40, 30, 1, 5, 32, causal), CRS_RELU, Live::ragged)); /* whole vectors */
    operation.shapes.push_back(with(chunks, CRS_LINEAR, Live::ragged));
    operation.shapes.push_back(with(conv_shape(120, 100, 1, 90, 3, pointwise), CRS_LINEAR, Live::all)); /* no columns */
    small.push_back(with(conv_shape(4, 3, 3, 2, 2, all_at_once, 1, 2), CRS_SIGMOID, Live::middle));
    small.push_back(with(conv_shape(3, 2, 2, 2, 3, pointwise), CRS_TANH, Live::all));
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = [](const ConvShape &s, const Numbers &in) { return conv_reference(s, in, in.at("x")); };
    operation.terms = conv_terms;
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    for (const crs_activation activation : {CRS_LINEAR, CRS_RELU, CRS_TANH, CRS_SIGMOID})
        CRS_TRY(check_nan(activation, under_test));
    return check_gradients(operation, under_test, small, {{"y", "dy"}}, {{"dx", "x"}, {"dW", "W"}, {"db", "b"}});
}

} // namespace crs
