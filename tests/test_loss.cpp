/* The losses with their gradients, and what they do to the step state. */
#include "operation.hpp"

#include <cmath>
#include <limits>

namespace crs {
namespace {

struct Shape {
    int64_t B, C;
    crs_loss_kind kind;
    double smoothing = 0;
    bool weights = false;
    double scale = 3;   /* of the logits */
    bool wanted = true; /* probabilities, row_loss and dlogits; without: only the state */
    bool labelled = true;
    uint64_t bad_step = 0; /* as the state has it before */
    std::string text() const {
        return format("B %lld C %lld kind %d smoothing %g weights %d scale %g wanted %d labelled %d",
                      static_cast<long long>(B), static_cast<long long>(C), kind, smoothing, weights, scale, wanted,
                      labelled);
    }
};

Numbers inputs_of(const Shape &s) {
    Random random(static_cast<uint64_t>(s.B * 101 + s.C));
    Numbers in = {{"logits", random.reals(s.B * s.C, s.scale)}, {"mean", {1 / static_cast<double>(s.B)}}};
    for (int64_t b = 0; b < s.B; b++)
        in["labels"].push_back(
            static_cast<double>(b < 2 ? b % std::max<int64_t>(2, s.C) : random.below(std::max<int64_t>(2, s.C))));
    for (int64_t c = 0; c < std::max<int64_t>(2, s.C); c++)
        in["weights"].push_back(random.uniform(0.25, 4));
    return in;
}

crs_step_state state_before(const Shape &s) {
    crs_step_state state = {};
    state.step = 9;
    state.lr = 0.5;
    state.loss_sum = 2.25;
    state.rows = 3;
    state.correct = 1;
    state.grad_norm = 4;
    state.grad_scale = 0.75;
    state.bad_step = s.bad_step;
    return state;
}

Verdict run(const Device &device, const Shape &s, const Numbers &in, Result *result) {
    Bench bench(device);
    crs_loss a = {};
    a.B = s.B;
    a.C = s.C;
    a.kind = s.kind;
    a.label_smoothing = s.smoothing;
    a.logits = bench.input("logits", in.at("logits"));
    a.labels = s.labelled ? bench.labels("labels", in.at("labels")) : nullptr;
    a.class_weight = s.weights ? bench.input("weights", in.at("weights")) : nullptr;
    a.probabilities = s.wanted ? bench.output("probabilities", s.B * s.C) : nullptr;
    a.row_loss = s.wanted && s.labelled ? bench.output("row_loss", s.B) : nullptr;
    a.dlogits = s.wanted && s.labelled ? bench.output("dlogits", s.B * s.C) : nullptr;
    a.state = s.labelled ? bench.state_updated(state_before(s)) : nullptr;
    bench.call("loss", device.ops().loss, a);
    return bench.finish(result);
}

/* log(1 + exp(z)) without overflow. */
double softplus(double z) {
    return std::fmax(z, 0) + std::log1p(std::exp(-std::fabs(z)));
}

struct Row {
    std::vector<double> p, gradient;
    double loss = 0;
    bool correct = false;
};

Row row_of(const Shape &s, const double *z, int64_t label) {
    Row row;
    const double top = *std::max_element(z, z + s.C), C = static_cast<double>(s.C);
    double sum = 0;
    for (int64_t c = 0; c < s.C; c++)
        sum += std::exp(z[c] - top);
    for (int64_t c = 0; c < s.C; c++) {
        const double target = s.C > 1 ? c == label : static_cast<double>(label);
        if (s.kind == CRS_SOFTMAX_CROSS_ENTROPY) {
            const double q = (1 - s.smoothing) * target + s.smoothing / C, log_p = z[c] - top - std::log(sum);
            row.p.push_back(std::exp(log_p));
            row.loss -= q * log_p;
            row.gradient.push_back(s.C > 1 ? row.p.back() - q : 0); /* a single class is always certain */
        } else if (s.kind == CRS_SIGMOID_CROSS_ENTROPY) {
            const double q = (1 - s.smoothing) * target + s.smoothing / 2;
            row.p.push_back(std::exp(-softplus(-z[c])));
            row.loss += (q * softplus(-z[c]) + (1 - q) * softplus(z[c])) / C;
            row.gradient.push_back((row.p.back() - q) / C);
        } else {
            row.p.push_back(z[c]);
            row.loss += (z[c] - target) * (z[c] - target) / C;
            row.gradient.push_back(2 * (z[c] - target) / C);
        }
    }
    const int64_t best =
        std::max_element(z, z + s.C) - z; /* the first of equals; p rises with z, where it does not round to 1 */
    row.correct = label == (s.C > 1 ? best : row.p[0] > 0.5);
    return row;
}

Numbers reference(const Shape &s, const Numbers &in) {
    std::vector<double> p, losses, gradient;
    double sum = 0, correct = 0;
    for (int64_t b = 0; b < s.B; b++) {
        const int64_t label = static_cast<int64_t>(in.at("labels")[b]);
        const double weight = s.weights ? in.at("weights")[label] : 1;
        const Row row = row_of(s, &in.at("logits")[b * s.C], label);
        p.insert(p.end(), row.p.begin(), row.p.end());
        losses.push_back(weight * row.loss);
        sum += losses.back();
        correct += row.correct;
        for (const double g : row.gradient)
            gradient.push_back(weight * g / static_cast<double>(s.B));
    }
    Numbers out;
    if (s.wanted)
        out["probabilities"] = p;
    if (s.wanted && s.labelled) {
        out["row_loss"] = losses;
        out["dlogits"] = gradient;
    }
    if (s.labelled) {
        const crs_step_state before = state_before(s);
        out["state.loss_sum"] = {before.loss_sum + sum};
        out["state.rows"] = {static_cast<double>(before.rows) + static_cast<double>(s.B)};
        out["state.correct"] = {static_cast<double>(before.correct) + correct};
        out["state.bad_step"] = {static_cast<double>(before.bad_step)};
        out["state.step"] = {static_cast<double>(before.step)};
        out["state.lr"] = {before.lr};
        out["state.grad_norm"] = {before.grad_norm};
        out["state.grad_scale"] = {before.grad_scale};
    }
    return out;
}

/* Equal probabilities: the lowest class; exactly one half: class 0. */
Verdict check_ties(const Backend &under_test) {
    const Device device(under_test, 1);
    Result result;
    for (const crs_loss_kind kind : {CRS_SOFTMAX_CROSS_ENTROPY, CRS_SIGMOID_CROSS_ENTROPY, CRS_MEAN_SQUARED_ERROR}) {
        Numbers in = {{"logits", {1, 2, 2, 2, 2, 2, 0, 0, 0}}, {"labels", {1, 0, 2}}};
        CRS_TRY(run(device, {3, 3, kind}, in, &result));
        if (result.at("state.correct").values[0] != 1 + 2)
            return Verdict::fail("a tie is not the lowest class");
        if (kind == CRS_SOFTMAX_CROSS_ENTROPY) {
            std::vector<double> wide(2 * 100, 0);
            wide[41] = wide[97] = wide[100 + 99] = 2;
            CRS_TRY(run(device, {2, 100, kind}, {{"logits", wide}, {"labels", {41, 99}}}, &result));
            if (result.at("state.correct").values[0] != 1 + 2)
                return Verdict::fail("a tie of a wide row is not the lowest class");
            continue;
        }
        const double half = kind == CRS_MEAN_SQUARED_ERROR ? 0.5 : 0;
        in = {{"logits", {half, half, half + 1, half - 1}}, {"labels", {0, 1, 1, 0}}};
        CRS_TRY(run(device, {4, 1, kind}, in, &result));
        if (result.at("state.correct").values[0] != 1 + 3)
            return Verdict::fail("a probability of one half is not class 0");
    }
    return Verdict::pass();
}

/* A row that is nearly sure of its label: the label's gradient is the difference of two numbers that are nearly alike,
 * and has to be right as itself, not beside the largest one of its tensor. */
Verdict check_nearly_sure(const Backend &under_test) {
    const Device device(under_test, 1);
    for (const int64_t C : {2, 63, 64, 300})
        for (const double gap : {10.0, 22.0}) {
            std::vector<double> logits(static_cast<size_t>(C), 0);
            logits[1] = gap;
            Result result;
            CRS_TRY(run(device, {1, C, CRS_SOFTMAX_CROSS_ENTROPY}, {{"logits", logits}, {"labels", {1}}}, &result));
            const double others = static_cast<double>(C - 1) * std::exp(-gap), want = -others / (1 + others);
            const double got = result.at("dlogits").values[1];
            if (!(std::fabs(got - want) <= 1e-5 * std::fabs(want)))
                return Verdict::fail(
                    format("%lld classes, %g ahead: dlogits %.9g, want %.9g", (long long)C, gap, got, want));
        }
    return Verdict::pass();
}

/* A loss that is not finite sets bad_step to the running step, and never again. Outputs that may be NaN are not asked
 * for. */
Verdict check_bad_step(const Backend &under_test) {
    const Device device(under_test, 2);
    const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
    for (const crs_loss_kind kind : {CRS_SOFTMAX_CROSS_ENTROPY, CRS_SIGMOID_CROSS_ENTROPY, CRS_MEAN_SQUARED_ERROR})
        for (const double bad : {nan, infinity, -infinity})
            for (const auto &[C, before] : {std::pair<int64_t, uint64_t>{3, 0}, {3, 4}, {1, 0}, {70, 0}}) {
                Shape s = {5, C, kind};
                s.wanted = false;
                s.bad_step = before;
                Numbers in = inputs_of(s);
                in["labels"] = C > 1 ? std::vector<double>{0, 1, 2, 0, 1} : std::vector<double>{0, 1, 1, 0, 0};
                const int64_t on_label = C > 1 ? 1 : 0;
                in["logits"][4 * C + (bad > 0 ? 0 : on_label)] = bad; /* +inf beside the label, -inf on it */
                Result result;
                CRS_TRY(run(device, s, in, &result));
                if (result.at("state.bad_step").values[0] != static_cast<double>(before ? before : 9))
                    return Verdict::fail(
                        format("kind %d, logit %g: bad_step is %g", kind, bad, result.at("state.bad_step").values[0]));
            }
    return Verdict::pass();
}

} // namespace

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    Operation<Shape> operation;
    std::vector<Shape> small;
    for (const crs_loss_kind kind : {CRS_SOFTMAX_CROSS_ENTROPY, CRS_SIGMOID_CROSS_ENTROPY, CRS_MEAN_SQUARED_ERROR})
        for (const int64_t C : {3, 2, 1, 5}) {
            const double smoothing = kind == CRS_MEAN_SQUARED_ERROR ? 0 : 0.1;
            operation.shapes.push_back({6, C, kind, smoothing, true});
            operation.shapes.push_back({7, C, kind});
            operation.shapes.push_back({1, C, kind, smoothing});
            operation.shapes.push_back({33, C, kind, 0, true});
            operation.shapes.push_back({1000, C, kind, smoothing, true, 1});
            operation.shapes.push_back({5, C, kind, 0, false, kind == CRS_MEAN_SQUARED_ERROR ? 100.0 : 1e4});
            operation.shapes.push_back({5, C, kind, 0, false, 3, true, false});
            operation.shapes.push_back({5, C, kind, 0, true, 3, false, true, 4});
            small.push_back({4, C, kind, smoothing, true});
        }
    for (const int64_t C : {31, 32, 33, 65, 1000})
        operation.shapes.push_back({9, C, CRS_SOFTMAX_CROSS_ENTROPY, 0.2, true});
    for (const int64_t C : {63, 64, 65, 1001}) {
        operation.shapes.push_back({6, C, CRS_SOFTMAX_CROSS_ENTROPY, 0.1, true});
        operation.shapes.push_back({33, C, CRS_SOFTMAX_CROSS_ENTROPY});
        operation.shapes.push_back({5, C, CRS_SOFTMAX_CROSS_ENTROPY, 0.1, false, 1e4});
        operation.shapes.push_back({5, C, CRS_SOFTMAX_CROSS_ENTROPY, 0, false, 3, true, false});
        operation.shapes.push_back({5, C, CRS_SOFTMAX_CROSS_ENTROPY, 0, true, 3, false, true, 4});
    }
    operation.shapes.push_back({4, 3, CRS_SOFTMAX_CROSS_ENTROPY, 0, false, 1e30});
    operation.shapes.push_back({4, 3, CRS_SIGMOID_CROSS_ENTROPY, 0, false, 1e30});
    operation.inputs = inputs_of;
    operation.run = run;
    operation.reference = reference;
    operation.terms = [](const Shape &s) { return static_cast<double>(s.B * s.C); };
    operation.backward = true;
    CRS_TRY(check_shapes(operation, under_test, oracle));
    CRS_TRY(check_ties(under_test));
    CRS_TRY(check_nearly_sure(under_test));
    CRS_TRY(check_bad_step(under_test));
    return check_gradients(operation, under_test, small, {{"state.loss_sum", "mean"}}, {{"dlogits", "logits"}});
}

} // namespace crs
