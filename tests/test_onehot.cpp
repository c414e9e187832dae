/* Convolution over one-hot inputs, against a reference that writes them out. */
#include "operation.hpp"
#include "window.hpp"

namespace crs {
namespace {

const int64_t very_wide = 40000; /* positions */

/* Some steps without a one, both ends of the range among the ids; any id at dead steps. */
Numbers inputs_of(const ConvShape &s) {
    Random random(static_cast<uint64_t>(s.T * 10007 + s.P * 1009 + s.I * 101 + s.O * 11 + s.B));
    Numbers in = {{"W", random.reals(s.O * s.columns(), 1 / std::sqrt(static_cast<double>(s.window.size[0])))},
                  {"b", random.reals(s.O)},
                  {"dy", random.reals(s.outputs())},
                  {"dW", random.reals(s.O * s.columns())},
                  {"db", random.reals(s.O)}};
    add_live(s.live, s.T, s.B, random, &in);
    if (s.P >= very_wide) /* each adds a little to a large sum, which must not lose it */
        in["dy"].assign(in["dy"].size(), static_cast<double>(0.1F));
    const int64_t largest = s.P * s.I;
    for (int64_t k = 0; k < s.T * s.B; k++) {
        const int64_t kind = random.below(6);
        in["ids"].push_back(static_cast<double>(kind == 0   ? 0
                                                : kind == 1 ? largest
                                                : kind == 2 ? 1
                                                            : random.below(largest + 1)));
    }
    return in;
}

Numbers reference(const ConvShape &s, const Numbers &in) {
    std::vector<double> x(static_cast<size_t>(s.T * s.B * s.P * s.I));
    for (int64_t k = 0; k < s.T * s.B; k++)
        if (in.at("ids")[k] > 0)
            x[k * s.P * s.I + static_cast<int64_t>(in.at("ids")[k]) - 1] = 1;
    return conv_reference(s, in, x);
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
    a.reserve = bench.scratch("reserve", device.ops().onehot_reserve(device.handle(), &a));
    a.steps = steps_of(bench, s.T, s.B, in);
    a.ids = bench.labels("ids", in.at("ids"));
    a.W = bench.input("W", in.at("W"));
    a.b = bench.input("b", in.at("b"));
    a.y = bench.output("y", s.outputs());
    bench.call("forward", device.ops().onehot_forward, a);
    a.dy = bench.updated("dy", in.at("dy"));
    a.dW = bench.added("dW", in.at("dW"));
    a.db = bench.added("db", in.at("db"));
    bench.call("backward", device.ops().onehot_backward, a);
    return bench.finish(result);
}

ConvShape with(ConvShape shape, crs_activation activation, Live live) {
    shape.activation = activation;
    shape.live = live;
    shape.dx = false;
    return shape;
}

const crs_window point = {{1, 1}, {1, 1}, {1, 1}, {0, 0}};
const crs_window causal = {{3, 1}, {1, 1}, {2, 1}, {4, 0}};
const crs_window strided = {{2, 1}, {3, 1}, {1, 1}, {0, 0}};  /* inputs that no output sees */
const crs_window long_ago = {{9, 1}, {1, 1}, {1, 1}, {2, 0}}; /* longer than the inputs */
const crs_window beside = {{2, 1}, {1, 1}, {1, 1}, {0, 2}};   /* positions around the only one there is */
const crs_window picture = {{3, 2}, {1, 1}, {1, 1}, {1, 0}};
const crs_window all_at_once = {{2, 3}, {2, 3}, {2, 2}, {1, 2}}; /* stride, dilation and edges on both axes */
const crs_window document = {{5, 3}, {1, 1}, {1, 1}, {0, 0}};
const crs_window longer = {{9, 7}, {1, 1}, {1, 1}, {2, 1}};

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<ConvShape> operation;
    std::vector<ConvShape> small;
    operation.shapes.push_back(with(conv_shape(7, 5, 1, 6, 4, causal, 1), CRS_TANH, Live::middle));
    operation.shapes.push_back(with(conv_shape(7, 5, 6, 1, 4, all_at_once, 2, 3), CRS_TANH, Live::middle));
    for (const crs_activation activation : {CRS_LINEAR, CRS_RELU, CRS_TANH, CRS_SIGMOID}) {
        operation.shapes.push_back(with(conv_shape(6, 4, 9, 1, 3, picture, 1, 1), activation, Live::ragged));
        operation.shapes.push_back(with(conv_shape(6, 4, 1, 9, 3, causal), activation, Live::ragged));
        small.push_back(with(conv_shape(4, 2, 3, 1, 2, picture, 1), activation, Live::left));
        small.push_back(with(conv_shape(4, 2, 1, 3, 2, causal), activation, Live::left));
    }
    for (const Live live : {Live::all, Live::ragged, Live::left, Live::middle, Live::start}) {
        for (const crs_window &window : {point, causal, strided, long_ago, beside})
            operation.shapes.push_back(with(conv_shape(5, 6, 1, 4, 3, window, 1, 1), CRS_TANH, live));
        for (const crs_window &window : {point, causal, strided, picture, all_at_once, document, longer})
            operation.shapes.push_back(with(conv_shape(5, 6, 5, 1, 3, window, 1, 1), CRS_TANH, live));
    }
    for (const int64_t size : {1, 32, 33}) {
        operation.shapes.push_back(with(conv_shape(4, 2, 1, size, 3, causal), CRS_SIGMOID, Live::ragged));
        operation.shapes.push_back(with(conv_shape(3, 1, size, 1, 3, picture, 1, 1), CRS_SIGMOID, Live::all));
        operation.shapes.push_back(with(conv_shape(4, 2, 1, 3, size, causal), CRS_SIGMOID, Live::ragged));
        operation.shapes.push_back(with(conv_shape(3, 1, 2, 1, size, picture, 1, 1), CRS_SIGMOID, Live::all));
    }
    /* More outputs than a block has threads. */
    operation.shapes.push_back(with(conv_shape(3, 1, 2, 1, 257, point), CRS_TANH, Live::all));
    operation.shapes.push_back(with(conv_shape(2, 1, 1, 2, 300, point), CRS_TANH, Live::all));
    operation.shapes.push_back(with(conv_shape(1, 1, 1, 1, 1, point), CRS_TANH, Live::all));
    operation.shapes.push_back(with(conv_shape(100, 11, 1, 5, 6, causal), CRS_RELU, Live::ragged)); /* long sums */
    operation.shapes.push_back(with(conv_shape(60, 11, 12, 1, 6, document), CRS_RELU, Live::ragged));
    operation.shapes.push_back(with(conv_shape(1, 2, very_wide, 1, 1, point), CRS_LINEAR, Live::all));
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = conv_terms;
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    return check_gradients(operation, under_test, small, {{"y", "dy"}}, {{"dW", "W"}, {"db", "b"}});
}

} // namespace crs
