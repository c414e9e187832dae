/* Whole networks against Keras: from the same weights over the same batch, the logits and losses of a prediction, the
 * loss and the gradients of a training step, and the weights after three steps (tests/fixtures/keras; its README says
 * where the numbers come from). The same for networks of published size: CRS_KERAS_FIXTURES names the folder that
 * tools/bench/keras/record.py wrote. Parameters are counted at full size. */
#include "fixture.hpp"
#include "network.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ostream>

extern "C" {
extern const crs_ops cpu_f32_ops;
crs_status crs__model_create(const char *line, const crs_model_task *task, crs_backend *backend, int initialise,
                             crs_model **model, crs_error *error);
}

namespace {

using crs::FixtureCase;
using crs::Verdict;

/* What is asked of every float backend; in double the error is that of a few thousand roundings. Logits are handed out
 * as float. */
constexpr double FLOAT_TOLERANCE = 1e-5, DOUBLE_TOLERANCE = 1e-11, LOGITS_TOLERANCE = 1e-6;
enum { STEPS = 3 };

struct Network {
    const char *file, *name;
};

std::ostream &operator<<(std::ostream &out, const Network &network) {
    return out << network.file << "_" << network.name;
}

const Network networks[] = {
    {"amazon", "lstm"},          {"amazon", "rnn"},
    {"korean", "lstm"},          {"korean", "lstm_dropout"},
    {"korean", "bilstm"},        {"emoji", "rnn_sgd"},
    {"emoji", "lstm_sgd"},       {"emoji", "lstm_adam"},
    {"emoji", "lstm_sgd_100d"},  {"emoji", "lstm_sgd_dropout"},
    {"phrases", "keras"},        {"layers", "masked_lstm"},
    {"layers", "masked_bilstm"}, {"amazon", "cnn_lstm"},
    {"amazon", "cnn"},           {"imdb", "conv2d"},
    {"phrases", "scratch"},      {"layers", "masked_gru"},
    {"layers", "gru_before"},    {"layers", "bigru"},
    {"layers", "conv_same"},     {"layers", "conv_causal"},
    {"layers", "conv2d_same"},   {"layers", "penalties"},
};

/* ---- reading ---- */

std::vector<FixtureCase> load(const std::string &file) {
    const char *folder = std::getenv("CRS_KERAS_FIXTURES");
    return crs::fixture_load((folder ? std::string(folder) : std::string(CRS_FIXTURES) + "/keras") + "/" + file +
                             ".txt");
}

FixtureCase load(const Network &network) {
    for (FixtureCase &c : load(std::string(network.file)))
        if (c.name() == network.name)
            return c;
    throw crs::FixtureError(network.file, 0, std::string("no case ") + network.name);
}

std::vector<int32_t> integers(const FixtureCase &c, const std::string &name, const std::vector<int64_t> &shape) {
    const std::vector<double> &values = c.array(name, shape);
    return {values.begin(), values.end()};
}

class Batch {
  public:
    explicit Batch(const FixtureCase &c)
        : T_(c.size("T")), B_(c.size("B")), ids_(integers(c, "ids", {T_, B_})), labels_(integers(c, "labels", {B_})) {
        if (!c.has("start"))
            return;
        start_ = integers(c, "start", {B_});
        len_ = integers(c, "len", {B_});
    }
    crs_batch get() const {
        const bool masked = !len_.empty();
        return {T_, B_, ids_.data(), masked ? start_.data() : nullptr, masked ? len_.data() : nullptr, labels_.data()};
    }

  private:
    int64_t T_, B_;
    std::vector<int32_t> ids_, labels_, start_, len_;
};

crs_model_task task_of(const FixtureCase &c) {
    return crs::task_of(c.size("classes"), c.size("V"), c.size("T"));
}

/* The optimizer with Carousel's own defaults, which have to be Keras'. */
crs_training training_of(const FixtureCase &c) {
    crs_config config;
    crs_config_init(&config);
    EXPECT_EQ(crs_config_set(&config, "optimizer", c.word("optimizer").c_str(), nullptr), CRS_OK);
    const double rate = c.scalar("learning_rate");
    EXPECT_TRUE(c.scalar("rate_is_default") == 0 || crs_config_learning_rate(&config) == rate) << "Keras': " << rate;
    crs_training training = crs::training_of(static_cast<crs_optimizer_kind>(config.optimizer), rate);
    crs_optimizer &optimizer = training.optimizer;
    const struct {
        const char *name;
        double *field, value;
    } settings[] = {{"momentum", &optimizer.momentum, config.momentum},
                    {"rho", &optimizer.rho, config.rho},
                    {"beta1", &optimizer.beta1, config.beta1},
                    {"beta2", &optimizer.beta2, config.beta2},
                    {"epsilon", &optimizer.epsilon, config.epsilon}};
    for (const auto &setting : settings) {
        *setting.field = setting.value;
        const double keras = c.has(setting.name) ? c.scalar(setting.name) : setting.value;
        EXPECT_EQ(setting.value, keras) << setting.name;
    }
    return training;
}

/* ---- tensors ---- */

std::vector<crs_tensor_info> tensors_of(const crs::Model &model, bool trainable_only) {
    std::vector<crs_tensor_info> tensors;
    for (size_t i = 0; i < crs_model_tensors(model.get()); i++)
        if (const crs_tensor_info tensor = crs_model_tensor(model.get(), i); tensor.trainable || !trainable_only)
            tensors.push_back(tensor);
    return tensors;
}

/* The block of parameters, put together from the case's tensors of that prefix. Each side has what the other has. */
Verdict take_block(const FixtureCase &c, const std::string &prefix, const crs::Model &model,
                   std::vector<double> *block) {
    block->assign(static_cast<size_t>(crs_model_parameters(model.get())), NAN);
    const std::vector<crs_tensor_info> tensors = tensors_of(model, false);
    if (c.arrays(prefix).size() != tensors.size())
        return Verdict::fail(
            crs::format("Keras has %zu tensors, Carousel %zu", c.arrays(prefix).size(), tensors.size()));
    for (const crs_tensor_info &tensor : tensors) {
        if (!c.has(prefix + tensor.name))
            return Verdict::fail(std::string("Keras has no ") + tensor.name);
        const std::vector<double> &values = c.array(prefix + tensor.name, {tensor.size});
        std::copy(values.begin(), values.end(), block->begin() + tensor.offset);
    }
    return Verdict::pass();
}

/* Every tensor of a block by itself: a small one must not hide behind a large one. */
Verdict compare_block(const FixtureCase &c, const std::string &prefix, const crs::Model &model,
                      const std::vector<double> &block, double tolerance, bool trainable_only) {
    const std::vector<crs_tensor_info> tensors = tensors_of(model, trainable_only);
    if (c.arrays(prefix).size() != tensors.size())
        return Verdict::fail(
            crs::format("Keras has %zu tensors, Carousel %zu", c.arrays(prefix).size(), tensors.size()));
    for (const crs_tensor_info &tensor : tensors) {
        const auto first = block.begin() + tensor.offset;
        CRS_TRY(crs::compare(prefix + tensor.name, {first, first + tensor.size},
                             c.array(prefix + tensor.name, {tensor.size}), {tolerance, 0}));
    }
    return Verdict::pass();
}

/* ---- one network on one backend ---- */

Verdict compare_prediction(const FixtureCase &c, const crs::Model &model, const crs_batch &batch, double tolerance) {
    const int64_t C = c.size("outputs");
    std::vector<float> logits(static_cast<size_t>(batch.B * C), NAN);
    std::vector<double> losses(static_cast<size_t>(batch.B), NAN);
    if (crs_model_predict(model.get(), &batch, logits.data(), nullptr, losses.data()) != CRS_OK)
        return Verdict::fail("predict failed");
    CRS_TRY(crs::compare("logits", {logits.begin(), logits.end()}, c.array("logits", {batch.B, C}),
                         {std::max(tolerance, LOGITS_TOLERANCE), 0}));
    return crs::compare("row losses", losses, c.array("row_loss", {batch.B}), {tolerance, 0});
}

/* Mean loss of the batch since the state was last reset. */
Verdict compare_loss(const crs::Model &model, double want, double tolerance) {
    crs_step_state state;
    if (crs_model_state(model.get(), 1, &state) != CRS_OK || state.bad_step != 0 || state.rows == 0)
        return Verdict::fail("the step failed");
    return crs::compare("loss", {state.loss_sum / static_cast<double>(state.rows)}, {want}, {tolerance, 0});
}

Verdict compare_gradients(const FixtureCase &c, const crs::Model &model, const crs_batch &batch, double tolerance) {
    std::vector<double> gradients(static_cast<size_t>(crs_model_trainable(model.get())), NAN);
    if (crs_model_gradient(model.get(), &batch, 1) != CRS_OK ||
        crs_model_get_gradients(model.get(), gradients.data()) != CRS_OK)
        return Verdict::fail("gradient failed");
    CRS_TRY(compare_loss(model, c.array("losses", {STEPS})[0], tolerance));
    return compare_block(c, "gradient.", model, gradients, tolerance, true);
}

/* From `weights` on: a gradient has moved the running statistics. */
Verdict compare_steps(const FixtureCase &c, const crs::Model &model, const crs_batch &batch,
                      const std::vector<double> &weights, double tolerance) {
    if (crs_model_set_parameters(model.get(), weights.data()) != CRS_OK)
        return Verdict::fail("set_parameters failed");
    for (size_t step = 0; step < STEPS; step++) {
        if (crs_model_step(model.get(), &batch) != CRS_OK)
            return Verdict::fail("step failed");
        CRS_TRY(compare_loss(model, c.array("losses", {STEPS})[step], tolerance).in(crs::format("step %zu", step + 1)));
    }
    return compare_block(c, "after.", model, crs::parameters_of(model), tolerance, false);
}

Verdict compare_network(const FixtureCase &c, const crs::BackendHandle &backend, double tolerance) {
    crs_error error = {};
    const crs::Model model = crs::build_model(c.text("line"), task_of(c), backend, &error);
    if (!model)
        return Verdict::fail("\"" + c.text("line") + "\": " + error.what);
    if (crs_model_outputs(model.get()) != c.size("outputs") ||
        crs_model_parameters(model.get()) != c.size("parameters") ||
        crs_model_trainable(model.get()) != c.size("trainable"))
        return Verdict::fail("outputs or parameters are not as many as in Keras");
    const Batch input(c);
    const crs_batch batch = input.get();
    const crs_training training = training_of(c);
    std::vector<double> weights;
    CRS_TRY(take_block(c, "first.", model, &weights));
    if (crs_model_prepare(model.get(), batch.T, batch.B, &training, &error) != CRS_OK ||
        crs_model_set_parameters(model.get(), weights.data()) != CRS_OK)
        return Verdict::fail(std::string("preparing: ") + error.what);
    CRS_TRY(compare_prediction(c, model, batch, tolerance));
    CRS_TRY(compare_gradients(c, model, batch, tolerance));
    CRS_TRY(compare_steps(c, model, batch, weights, tolerance));
    return c.unread().empty() ? Verdict::pass() : Verdict::fail("the test reads no " + c.unread());
}

class Keras : public testing::TestWithParam<std::pair<Network, crs::Backend>> {};

TEST_P(Keras, ComputesTheSame) {
    const auto &[network, backend] = GetParam();
    CRS_SKIP_WITHOUT_DEVICE(crs::Device(backend, 1));
    const double tolerance = backend.ops->real_size == sizeof(double) ? DOUBLE_TOLERANCE : FLOAT_TOLERANCE;
    const Verdict verdict = compare_network(load(network), crs::open_backend(backend), tolerance);
    EXPECT_TRUE(verdict.ok()) << verdict.why();
}

std::vector<std::pair<Network, crs::Backend>> networks_and_backends() {
    std::vector<std::pair<Network, crs::Backend>> all;
    for (const crs::Backend &backend : crs::backends_for(""))
        for (const Network &network : networks)
            all.emplace_back(network, backend);
    return all;
}

INSTANTIATE_TEST_SUITE_P(Networks, Keras, testing::ValuesIn(networks_and_backends()), [](const auto &param) {
    return param.param.second.name + "_" + param.param.first.file + "_" + param.param.first.name;
});

TEST(KerasFixtures, AreAllRead) {
    size_t cases = 0;
    for (const char *file : {"amazon", "imdb", "korean", "emoji", "phrases", "layers"})
        cases += load(std::string(file)).size();
    EXPECT_EQ(cases, 24u);
    EXPECT_EQ(cases, std::size(networks));
}

/* ---- the published sizes ---- */

const char *const counted[] = {
    "amazon_lstm",   "amazon_rnn",      "korean_lstm",     "korean_lstm_dropout", "korean_bilstm",
    "emoji_rnn_sgd", "emoji_lstm_sgd",  "emoji_lstm_adam", "emoji_lstm_sgd_100d", "emoji_lstm_sgd_dropout",
    "phrases_keras", "amazon_cnn_lstm", "amazon_cnn",      "imdb_conv2d",         "phrases_scratch",
};

/* Weights are not drawn, so that the system gives no page for those of the largest network, which are 634 MB: memory
 * that nobody touches is only reserved. */
TEST(KerasParameters, AreAsManyAtFullSize) {
    const crs::BackendHandle backend = crs::open_table(&cpu_f32_ops);
    const std::vector<FixtureCase> cases = crs::fixture_load(std::string(CRS_FIXTURES) + "/keras/parameters.txt");
    EXPECT_EQ(cases.size(), 15u);
    for (const char *name : counted) {
        const auto c =
            std::find_if(cases.begin(), cases.end(), [&](const auto &found) { return found.name() == name; });
        ASSERT_NE(c, cases.end()) << name;
        const crs_model_task task = task_of(*c);
        crs_model *made = nullptr;
        crs_error error = {};
        ASSERT_EQ(crs__model_create(c->text("line").c_str(), &task, backend.get(), 0, &made, &error), CRS_OK)
            << name << ": " << error.what;
        const crs::Model model(made);
        EXPECT_EQ(crs_model_parameters(made), c->size("parameters")) << name;
        EXPECT_EQ(crs_model_trainable(made), c->size("trainable")) << name;
        EXPECT_EQ(c->unread(), "") << name;
    }
}

} // namespace
