/* Gradients of whole networks: against finite differences in double, with masks on; float against double; and a check
 * that the check would notice. */
#include "mutants.hpp"
#include "network.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace {

using crs::Padding;
using crs::Verdict;

struct Case {
    const char *line;
    Padding padding = Padding::post;
    int64_t classes = 3;
    int loss = CRS_LOSS_AUTO;
    double smoothing = 0;
    bool weighted = false;
};

const double class_weights[] = {0.5, 1.75, 1.25};

/* A network with biases that are not zero, prepared, and after one step so that masks have a step number. */
struct Experiment {
    Experiment(const Case &c, const crs::BackendHandle &backend, int64_t T = 5, int64_t B = 5)
        : task(crs::task_of(c.classes)), batch((task.loss = c.loss, T), B, task, c.padding, 3) {
        task.label_smoothing = c.smoothing;
        task.length = T; /* what "flatten" wants every batch to have */
        model = crs::build_model(c.line, task, backend);
        if (!model)
            return;
        crs_training training = crs::training_of();
        training.class_weight = c.weighted ? class_weights : nullptr;
        parameters = crs::parameters_of(model);
        crs::Random random(5);
        for (double &p : parameters)
            p = static_cast<float>(p + random.uniform(-0.3, 0.3));
        ready = crs_model_prepare(model.get(), T, B, &training, nullptr) == CRS_OK &&
                crs_model_set_parameters(model.get(), parameters.data()) == CRS_OK;
        const crs_batch input = batch.get();
        ready = ready && crs_model_gradient(model.get(), &input, 0) == CRS_OK;
    }
    /* Mean loss over the batch with the same masks each time; NaN: something failed. */
    double loss(const std::vector<double> &at) {
        const crs_batch input = batch.get();
        crs_step_state state;
        if (crs_model_set_parameters(model.get(), at.data()) != CRS_OK ||
            crs_model_state(model.get(), 1, &state) != CRS_OK || crs_model_gradient(model.get(), &input, 1) != CRS_OK ||
            crs_model_state(model.get(), 0, &state) != CRS_OK)
            return NAN;
        return state.loss_sum / static_cast<double>(state.rows);
    }
    std::vector<double> gradient() {
        std::vector<double> values(static_cast<size_t>(crs_model_trainable(model.get())), NAN);
        if (std::isfinite(loss(parameters)))
            crs_model_get_gradients(model.get(), values.data());
        return values;
    }
    crs_model_task task;
    crs::RandomBatch batch;
    crs::Model model;
    std::vector<double> parameters;
    bool ready = false;
};

std::vector<double> part(const std::vector<double> &all, const crs_tensor_info &tensor) {
    return {all.begin() + tensor.offset, all.begin() + tensor.offset + tensor.size};
}

/* Every trained tensor for itself, so that a small one cannot hide behind a large one. */
Verdict compare_tensors(const crs_model *model, const std::vector<double> &got, const std::vector<double> &want,
                        double relative) {
    for (size_t i = 0; i < crs_model_tensors(model); i++) {
        const crs_tensor_info tensor = crs_model_tensor(model, i);
        if (!tensor.trainable)
            continue;
        const std::vector<double> reference = part(want, tensor);
        double largest = 0;
        for (const double value : reference)
            largest = std::fmax(largest, std::fabs(value));
        if (!(largest > 1e-6))
            return Verdict::fail(crs::format("%s: the reference gradient is nothing (%g)", tensor.name, largest));
        CRS_TRY(crs::compare(tensor.name, part(got, tensor), reference, {relative, 0}));
    }
    return Verdict::pass();
}

/* Central differences of the second order with step h: the error of the formula falls with h^2, that of rounding grows
 * with epsilon / h; taking two steps and extrapolating removes the h^2 term. */
Verdict check_differences(const Case &c, const crs_ops *ops) {
    const crs::BackendHandle backend = crs::open_table(ops);
    if (!backend)
        return Verdict::fail("no backend");
    Experiment experiment(c, backend);
    if (!experiment.ready)
        return Verdict::fail("not built");
    const std::vector<double> got = experiment.gradient();
    std::vector<double> at = experiment.parameters, want(got.size());
    for (size_t i = 0; i < got.size(); i++) {
        const auto slope = [&](double h) {
            at[i] = experiment.parameters[i] + h;
            const double above = experiment.loss(at);
            at[i] = experiment.parameters[i] - h;
            const double below = experiment.loss(at);
            at[i] = experiment.parameters[i];
            return (above - below) / (2 * h);
        };
        want[i] = (4 * slope(1e-4) - slope(2e-4)) / 3;
    }
    return compare_tensors(experiment.model.get(), got, want, 1e-6);
}

const Case cases[] = {
    {"embedding 3 | last | dense"},
    {"embedding 3 | mean | dense", Padding::pre},
    {"embedding 3 | max | dense"},
    {"embedding 3 | mean | dense 4 tanh | dense 5 sigmoid | dense"},
    {"embedding 3 | dense 4 relu | mean | dense", Padding::none},
    {"embedding 3 | rnn 3 | dense"},
    {"embedding 3 | rnn 3 relu reverse | dense", Padding::pre},
    {"embedding 3 | rnn 3 seq | rnn 2 seq reverse | mean | dense"},
    {"embedding 3 | lstm 3 | dense"},
    {"embedding 3 | lstm 3 | dense", Padding::pre},
    {"embedding 3 | lstm 3 | dense", Padding::counted},
    {"embedding 3 | lstm 3 reverse | dense", Padding::none},
    {"embedding 3 | birnn 2 | dense"},
    {"embedding 3 | birnn 2 merge=sum | dense", Padding::pre},
    {"embedding 3 | birnn 2 seq relu sum | max | dense"},
    {"embedding 3 | bilstm 2 | dense"},
    {"embedding 3 | bilstm 2 sum | dense"},
    {"embedding 3 | bilstm 2 seq | bilstm 2 seq merge=sum | lstm 2 | dense"},
    {"embedding 3 frozen | lstm 3 seq | mean | dense"},
    {"embedding 3 frozen | dropout 0.3 | bilstm 2 | dense", Padding::pre},
    {"embedding 3 | dropout 0.3 | dense 4 | dropout 0.25 | mean | dropout 0.2 | dense"},
    {"embedding 3 | rnn 4 seq dropout=0.3 recurrent_dropout=0.25 | rnn 4 dropout=0.2 | dense", Padding::pre},
    {"embedding 3 | lstm 4 dropout=0.3 recurrent_dropout=0.25 | dense"},
    {"embedding 4 | dropout 0.2 | bilstm 3 seq dropout=0.3 recurrent_dropout=0.25 | lstm 3 dropout=0.3 | dense"},
    {"embedding 3 | gru 3 | dense"},
    {"embedding 3 | gru 3 before reverse | dense", Padding::pre},
    {"embedding 3 | bigru 2 seq mean dropout=0.3 recurrent_dropout=0.25 | gru 3 before recurrent_dropout=0.2 | dense"},
    {"embedding 3 | bilstm 2 mean | dense", Padding::pre},
    {"embedding 3 | conv 4 2 | max | dense"},
    {"embedding 3 | conv 4 3 same tanh | conv 3 2 causal dilation=2 sigmoid | mean | dense", Padding::pre},
    {"embedding 3 | conv 4 2 stride=2 l1=0.01 l2=0.02 | last | dense", Padding::none},
    {"embedding 3 | conv 3 7 tanh | mean | dense"},
    {"embedding 4 | conv2d 3 2x2 relu | maxpool2d 2 | flatten | dense"},
    {"embedding 4 | conv2d 2 2x3 same stride=1x2 tanh | avgpool2d 2x1 stride=1 same | mean | dense", Padding::pre},
    {"embedding 3 | conv 4 2 | maxpool 2 stride=1 | avgpool 2 | flatten | dense", Padding::counted},
    {"onehot | conv 4 2 tanh | maxpool 2 | flatten | dense 4 tanh | dense"},
    {"onehot | conv2d 2 2x3 sigmoid | avgpool2d 2 | flatten | dense", Padding::counted},
    {"onehot | rnn 3 | dense"},
    {"onehot | bilstm 2 seq sum | gru 2 | dense", Padding::pre},
    {"onehot | bigru 2 recurrent_dropout=0.2 | dense", Padding::none},
    {"embedding 3 | batchnorm | lstm 3 | batchnorm epsilon=0.01 momentum=0.9 | dense"},
    {"embedding 3 | layernorm | lstm 3 | layernorm epsilon=0.01 | dense", Padding::pre},
    {"embedding 4 | conv2d 2 2x2 tanh | batchnorm | layernorm | max | dense"},
    {"embedding 3 frozen | spatial_dropout 0.3 | lstm 3 l2=0.01 | dense l1=0.01 max_norm=1", Padding::pre},
    {"embedding 3 l2=0.1 | spatial_dropout 0.3 | rnn 3 | dense", Padding::counted},
    {"embedding 3 | lstm 3 | dense", Padding::post, 3, CRS_LOSS_SOFTMAX, 0.1, true},
    {"embedding 3 | lstm 3 | dense", Padding::post, 3, CRS_LOSS_SIGMOID, 0.1, true},
    {"embedding 3 | lstm 3 | dense", Padding::post, 3, CRS_LOSS_MSE, 0, true},
    {"embedding 3 | lstm 3 | dense 1", Padding::post, 2, CRS_LOSS_AUTO, 0.1, true},
    {"embedding 3 | lstm 3 | dense 1", Padding::pre, 2, CRS_LOSS_MSE, 0, true},
    {"embedding 3 | lstm 3 | dense 2", Padding::pre, 2},
};

class Gradients : public testing::TestWithParam<Case> {};

TEST_P(Gradients, AgreeWithFiniteDifferences) {
    const Verdict verdict = check_differences(GetParam(), crs::oracle().ops);
    EXPECT_TRUE(verdict.ok()) << verdict.why();
}

std::string name_of(size_t index) {
    std::string name = std::to_string(index);
    for (const char *c = cases[index].line; *c; c++)
        name += isalnum(static_cast<unsigned char>(*c)) ? *c : '_';
    return name;
}
INSTANTIATE_TEST_SUITE_P(Lines, Gradients, testing::ValuesIn(cases),
                         [](const auto &param) { return name_of(param.index); });

/* Every float backend, and every variant of its recurrent layers. */
class FloatGradients : public testing::TestWithParam<std::pair<size_t, crs::Backend>> {};

/* The same parameters (representable as float), batch and masks: all that differs is rounding. */
TEST_P(FloatGradients, AgreeWithDouble) {
    const auto &[index, backend] = GetParam();
    CRS_SKIP_WITHOUT_DEVICE(crs::Device(backend, 1));
    const crs::BackendHandle narrow = crs::open_backend(backend), wide = crs::open_backend("cpu-double");
    Experiment got(cases[index], narrow), want(cases[index], wide);
    ASSERT_TRUE(got.ready && want.ready);
    const Verdict verdict = compare_tensors(got.model.get(), got.gradient(), want.gradient(), 1e-5);
    EXPECT_TRUE(verdict.ok()) << verdict.why();
}

std::vector<std::pair<size_t, crs::Backend>> lines_and_backends() {
    std::vector<std::pair<size_t, crs::Backend>> all;
    for (const crs::Backend &backend : crs::backends_for("lstm"))
        for (size_t i = 0; i < std::size(cases) && backend.ops->real_size == sizeof(float); i++)
            all.emplace_back(i, backend);
    return all;
}
INSTANTIATE_TEST_SUITE_P(Lines, FloatGradients, testing::ValuesIn(lines_and_backends()),
                         [](const auto &param) { return param.param.second.name + "_" + name_of(param.param.first); });

void PrintTo(const Case &c, std::ostream *out) {
    *out << c.line;
}

/* ---- would it be noticed? ---- */

/* Lines that reach every operation that has a gradient, with every way its outputs are used. */
const Case mutant_cases[] = {
    {"embedding 3 | bilstm 2 seq sum | birnn 2 seq | lstm 2 | dense 3 tanh | dense"},
    {"embedding 3 | dense 2 | rnn 2 seq | mean | dense"},
    {"embedding 3 | lstm 2 seq | rnn 2 | dense"},
    {"embedding 3 | bigru 2 seq | gru 2 before | dense l2=0.1"},
    {"embedding 4 | conv 3 2 tanh | conv2d 2 2x2 tanh | maxpool2d 2x1 stride=1 | batchnorm | layernorm | flatten | "
     "dense"},
    {"onehot | conv 3 2 tanh | mean | dense"},
};

bool seen_by_gradients(const crs::Mutant &mutant) {
    /* Not dropout: it is its own backward pass, so that a factor on its output is in the gradient as well. Not dense's
     * dy, which is scratch that nobody reads, nor the loss's outputs that are not asked for or not differentiated. */
    for (const char *output :
         {"y", "h_last", "dx", "dW", "dR", "db", "db_hh", "dgamma", "dbeta", "dtable", "dlogits", "loss_sum", "g"})
        if (mutant.output == output)
            return mutant.slot != "dropout" &&
                   (mutant.fault == crs::Fault::scale || mutant.fault == crs::Fault::negate);
    return false;
}

TEST(GradientMutants, AreCaught) {
    int tried = 0;
#define CRS_TRY_SLOT(slot, args)                                                                                       \
    for (const crs::Mutant &mutant : crs::mutants_of(#slot)) {                                                         \
        if (!seen_by_gradients(mutant))                                                                                \
            continue;                                                                                                  \
        const crs::MutantTable table(crs::oracle(), mutant);                                                           \
        bool caught = false;                                                                                           \
        for (const Case &c : mutant_cases)                                                                             \
            caught = caught || !check_differences(c, table.backend().ops).ok();                                        \
        EXPECT_TRUE(caught) << mutant.text();                                                                          \
        tried++;                                                                                                       \
    }
    CRS_COMPUTE_SLOTS(CRS_TRY_SLOT)
#undef CRS_TRY_SLOT
    EXPECT_GE(tried, 40);
    for (const Case &c : mutant_cases) {
        const Verdict verdict = check_differences(c, crs::oracle().ops);
        EXPECT_TRUE(verdict.ok()) << c.line << ": " << verdict.why();
    }
}

/* A batch of other masks gives another gradient: the comparisons above had them on. */
TEST(GradientMasks, ChangeWithTheStepOnly) {
    const crs::BackendHandle backend = crs::open_backend("cpu-double");
    for (const char *line : {"embedding 3 | dropout 0.3 | mean | dense", "embedding 3 | lstm 4 dropout=0.3 | dense",
                             "embedding 3 | rnn 4 recurrent_dropout=0.3 | dense"}) {
        Experiment experiment({line}, backend);
        ASSERT_TRUE(experiment.ready);
        const std::vector<double> held = experiment.gradient();
        EXPECT_EQ(held, experiment.gradient()) << line;
        const crs_batch input = experiment.batch.get();
        ASSERT_EQ(crs_model_gradient(experiment.model.get(), &input, 0), CRS_OK);
        EXPECT_NE(held, experiment.gradient()) << line;
    }
}

} // namespace
