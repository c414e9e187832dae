/* The gradient check as a program calls it: that it passes what is right, and sees whatever is wrong. The command is
 * test_gradcheck_cli.cpp. */
#include "mutants.hpp"
#include "network.hpp"
#include "rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace {

using crs::BackendHandle;

const std::string everything = "embedding 3 | dropout 0.2 | bilstm 2 seq sum dropout=0.2 recurrent_dropout=0.2 | "
                               "birnn 2 seq | rnn 3 seq relu | lstm 2 seq reverse | max | dense 3 tanh | dense";

crs_config settings(const std::string &line) {
    crs_config config;
    crs_config_init(&config);
    std::snprintf(config.model, sizeof config.model, "%s", line.c_str());
    config.length = 5;
    config.batch = 5;
    return config;
}

crs_gradcheck_options options_of(const crs_config &config, int64_t train = 0) {
    crs_gradcheck_options options = {};
    options.config = &config;
    options.vocabulary = 7;
    options.classes = 3;
    options.samples = 1000;
    options.train = train;
    return options;
}

struct FreeReport {
    void operator()(crs_gradcheck_report *report) const {
        crs_gradcheck_free(report);
    }
};
using Report = std::unique_ptr<crs_gradcheck_report, FreeReport>;

/* NULL, and why in error, where the check could not run. */
Report check(const crs_gradcheck_options &options, const BackendHandle &oracle, const BackendHandle &backend,
             crs_error *error = nullptr) {
    const crs_gradcheck_backend under_check = {"checked", backend.get(), 0};
    crs_gradcheck_report *report = nullptr;
    crs_error own = {};
    const crs_status status = crs_gradcheck(&options, oracle.get(), &under_check, 1, &report, error ? error : &own);
    EXPECT_EQ(status == CRS_OK, report != nullptr);
    if (!error) {
        EXPECT_EQ(status, CRS_OK) << own.what << "; " << own.mend;
    }
    return Report(report);
}

Report check(const crs_gradcheck_options &options, const BackendHandle &backend) {
    return check(options, crs::open_backend("cpu-double"), backend);
}

const crs_gradcheck_part *part_of(const Report &report, crs_gradcheck_kind kind) {
    for (size_t i = 0; i < report->count; i++)
        if (report->parts[i].kind == kind)
            return &report->parts[i];
    return nullptr;
}

std::vector<crs_gradcheck_tensor> tensors_of(const crs_gradcheck_part *part) {
    return {part->tensors, part->tensors + part->tensor_count};
}

std::vector<std::string> failures(const crs_gradcheck_part *part) {
    std::vector<std::string> names;
    for (const crs_gradcheck_tensor &tensor : tensors_of(part))
        if (!tensor.passed)
            names.push_back(tensor.name);
    return names;
}

crs::Backend float_cpu() {
    for (const crs::Backend &backend : crs::backends_for(""))
        if (backend.name == "cpu")
            return backend;
    return {};
}

/* ---- what is right passes ---- */

class Backends : public testing::TestWithParam<crs::Backend> {};

TEST_P(Backends, PassOnEveryLayer) {
    const crs::Device device(GetParam(), 1);
    if (device.status() == CRS_ERR_NO_DEVICE)
        GTEST_SKIP() << device.opened().why();
    crs_backend *opened = nullptr;
    ASSERT_EQ(crs__backend_open_ops(GetParam().ops, &GetParam().options, nullptr, &opened, nullptr), CRS_OK);
    const BackendHandle backend(opened);
    for (const std::string &line : {everything, std::string("embedding 4 frozen | bilstm 3 | dense 4 relu | dense"),
                                    std::string("embedding 3 | lstm 3 seq | mean | dense 3 sigmoid | dense"),
                                    std::string("embedding 3 | birnn 3 seq sum | last | dense")}) {
        const crs_config config = settings(line);
        const Report report = check(options_of(config, 4), backend);
        ASSERT_TRUE(report);
        EXPECT_TRUE(report->passed) << line;
        ASSERT_EQ(report->count, 3U);
        EXPECT_LT(report->tokens, report->T * report->B);
        const crs_gradcheck_part *differences = part_of(report, CRS_GRADCHECK_OF_DIFFERENCES);
        for (const crs_gradcheck_tensor &tensor : tensors_of(differences)) {
            EXPECT_TRUE(tensor.zero || tensor.relative <= 1e-6) << line << " " << tensor.name;
            EXPECT_EQ(tensor.compared, tensor.shape[0] * tensor.shape[1]) << tensor.name;
            EXPECT_EQ(tensor.tolerance, CRS_GRADCHECK_DIFFERENCES);
        }
        const bool is_double = GetParam().ops->real_size == sizeof(double);
        for (const crs_gradcheck_tensor &tensor : tensors_of(part_of(report, CRS_GRADCHECK_OF_GRADIENT)))
            EXPECT_TRUE(tensor.zero || tensor.relative <= (is_double ? 1e-13 : 1e-5)) << line << " " << tensor.name;
        const crs_gradcheck_part *training = part_of(report, CRS_GRADCHECK_OF_TRAINING);
        EXPECT_EQ(training->loss_count, 4U);
        EXPECT_NE(training->losses[0].got, training->losses[3].got);
    }
}

std::string backend_name(const testing::TestParamInfo<crs::Backend> &info) {
    return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(All, Backends, testing::ValuesIn(crs::backends_for("lstm")), backend_name);

/* Optimizers, losses and clipping; and biases that no gradient reaches, at a length of one step. */
TEST(Settings, AllPass) {
    const BackendHandle cpu = crs::open_backend("cpu");
    crs_config config = settings("embedding 3 | lstm 3 | dense");
    for (const int optimizer : {CRS_SGD, CRS_RMSPROP, CRS_ADAM, CRS_ADAMW}) {
        config.optimizer = optimizer;
        config.momentum = optimizer == CRS_SGD ? 0.9 : 0;
        config.nesterov = optimizer == CRS_SGD;
        config.weight_decay = 0.01;
        config.clip_norm = 0.1;
        config.schedule = CRS_COSINE;
        EXPECT_TRUE(check(options_of(config, 20), cpu)->passed) << optimizer;
    }
    for (const int loss : {CRS_LOSS_SOFTMAX, CRS_LOSS_SIGMOID, CRS_LOSS_MSE}) {
        config.loss = loss;
        config.label_smoothing = loss == CRS_LOSS_MSE ? 0 : 0.1;
        config.class_weight = CRS_CLASS_WEIGHT_BALANCED;
        config.pad = loss == CRS_LOSS_MSE ? CRS_SIDE_PRE : CRS_SIDE_POST;
        config.mask = loss != CRS_LOSS_SIGMOID;
        EXPECT_TRUE(check(options_of(config, 3), cpu)->passed) << loss;
    }
}

/* What is told is a maximum that changes hands within the first step of a difference: 16 rows and 16 steps of 16 units
 * have many. */
TEST(Differences, AreRightBesideABend) {
    for (const char *line : {"embedding 4 | bilstm 8 seq | max | dense", "embedding 4 | dense 16 relu | max | dense"}) {
        crs_config config = settings(line);
        config.length = config.batch = 16;
        crs_gradcheck_options options = options_of(config);
        options.samples = 64;
        EXPECT_TRUE(check(options, crs::open_backend("cpu"))->passed) << line;
    }
}

/* ---- what is compared ---- */

TEST(Tensors, WithoutAGradientAreZero) {
    crs_config config = settings("embedding 3 | lstm 3 | dense");
    config.length = 1; /* the state before the only step is zero */
    const BackendHandle cpu = crs::open_backend("cpu");
    crs_gradcheck_options options = options_of(config);
    const Report report = check(options, cpu);
    EXPECT_TRUE(report->passed);
    for (size_t i = 0; i < report->count; i++)
        for (const crs_gradcheck_tensor &tensor : tensors_of(&report->parts[i])) {
            const bool recurrent = std::string(tensor.name) == "layers.1.weight_hh_l0";
            EXPECT_EQ(tensor.zero != 0, recurrent) << tensor.name;
            EXPECT_EQ(std::isnan(tensor.cosine), recurrent) << tensor.name;
            EXPECT_EQ(tensor.norm == 0, recurrent) << tensor.name;
        }
    options.inject = "layers.1.weight_hh_l0";
    const Report injected = check(options, cpu);
    EXPECT_FALSE(injected->passed);
    EXPECT_EQ(failures(part_of(injected, CRS_GRADCHECK_OF_GRADIENT)),
              std::vector<std::string>{"layers.1.weight_hh_l0"});
}

TEST(Tensors, OfTrainingAreAllAndFrozenOnesStay) {
    const crs_config config = settings("embedding 3 frozen | lstm 3 | dense");
    const Report report = check(options_of(config, 3), crs::open_backend("cpu"));
    EXPECT_EQ(part_of(report, CRS_GRADCHECK_OF_GRADIENT)->tensor_count, 5U);
    const crs_gradcheck_part *training = part_of(report, CRS_GRADCHECK_OF_TRAINING);
    ASSERT_EQ(training->tensor_count, 6U);
    EXPECT_STREQ(training->tensors[0].name, "layers.0.weight");
    EXPECT_TRUE(training->tensors[0].zero);
    EXPECT_EQ(training->tensors[0].slack, 0);
    EXPECT_FALSE(training->tensors[1].zero);
}

TEST(Samples, HoldTheLargestAndAreRepeatable) {
    const crs_config config = settings("embedding 8 | lstm 8 | dense");
    crs_gradcheck_options options = options_of(config);
    options.vocabulary = 500;
    const BackendHandle cpu = crs::open_backend("cpu");
    const Report all = check(options, cpu);
    options.samples = 12;
    const Report some = check(options, cpu), again = check(options, cpu);
    const crs_gradcheck_part *full = part_of(all, CRS_GRADCHECK_OF_DIFFERENCES);
    const crs_gradcheck_part *sampled = part_of(some, CRS_GRADCHECK_OF_DIFFERENCES);
    for (size_t i = 0; i < sampled->tensor_count; i++) {
        const crs_gradcheck_tensor &tensor = sampled->tensors[i];
        EXPECT_EQ(tensor.compared, std::min<int64_t>(tensor.shape[0] * tensor.shape[1], 12)) << tensor.name;
        EXPECT_TRUE(tensor.passed);
        /* Of an embedding nearly all is zero, but not of the sample; and its largest quarter has most of the norm. */
        EXPECT_GE(tensor.norm, 0.2 * full->tensors[i].norm) << tensor.name;
        EXPECT_EQ(tensor.relative, part_of(again, CRS_GRADCHECK_OF_DIFFERENCES)->tensors[i].relative);
    }
}

TEST(Progress, ComesToItsEnd) {
    const crs_config config = settings("embedding 3 | lstm 3 | dense");
    crs_gradcheck_options options = options_of(config, 2);
    std::map<std::string, std::pair<int64_t, int64_t>> seen;
    options.user = &seen;
    options.on_progress = [](void *user, const char *what, int64_t done, int64_t all) {
        (*static_cast<std::map<std::string, std::pair<int64_t, int64_t>> *>(user))[what] = {done, all};
    };
    ASSERT_TRUE(check(options, crs::open_backend("cpu")));
    EXPECT_EQ(seen.size(), 2U);
    for (const auto &[what, at] : seen)
        EXPECT_EQ(at.first, at.second) << what;
}

/* ---- rows of a dataset, weights of a model ---- */

TEST(Rows, AreBatchedAsInTraining) {
    crs_config config = settings("embedding 3 | lstm 3 | dense");
    config.length = 8;
    config.batch = 4;
    config.word_dropout = 0.2;
    crs::Texts texts;
    for (int i = 0; i < 10; i++)
        texts.emplace_back(i % 4 == 3 ? "" : std::string("a b ") + (i % 2 ? "c d e" : "f"), i % 3 ? "yes" : "no");
    const crs::Rows rows = crs::rows_of(config, texts);
    crs_gradcheck_options options = options_of(config, 7); /* three batches an epoch */
    options.dataset = rows.get();
    options.vocabulary = crs_encoder_vocabulary(rows.encoder.get());
    options.classes = crs_encoder_classes(rows.encoder.get());
    const Report report = check(options, crs::open_backend("cpu"));
    EXPECT_TRUE(report->passed);
    EXPECT_LE(report->B, 4);
    EXPECT_LE(report->T, 5);
    EXPECT_LE(report->tokens, report->B * report->T);
    /* Weights that stand still show that the second epoch is shuffled anew. */
    config.lr = 1e-30;
    const Report still = check(options, crs::open_backend("cpu"));
    const crs_gradcheck_loss *losses = part_of(still, CRS_GRADCHECK_OF_TRAINING)->losses;
    EXPECT_TRUE(still->passed);
    EXPECT_FALSE(losses[0].wanted == losses[3].wanted && losses[1].wanted == losses[4].wanted);
}

TEST(Parameters, OfAModelAreTakenAsTheyAre) {
    const crs_config config = settings("embedding 3 | lstm 3 | dense");
    const BackendHandle cpu = crs::open_backend("cpu");
    crs_gradcheck_options options = options_of(config);
    crs_model_task task = crs::task_of(3, 7, 5);
    const crs::Model model = crs::build_model(config.model, task, cpu);
    std::vector<double> weights = crs::parameters_of(model);
    options.parameters = weights.data();
    const Report report = check(options, cpu);
    EXPECT_TRUE(report->passed);
    const double loss = part_of(report, CRS_GRADCHECK_OF_GRADIENT)->losses[0].got;
    std::fill(weights.begin(), weights.end(), 0.0);
    const double of_zeros = part_of(check(options, cpu), CRS_GRADCHECK_OF_GRADIENT)->losses[0].got;
    EXPECT_NEAR(of_zeros, std::log(3.0), 1e-6);
    EXPECT_GT(std::fabs(loss - of_zeros), 1e-3);
}

/* As many rows of one class as of the other, and a network that hardly tells them apart: the gradient of the last bias
 * is the difference of two sums that are a thousand times as large. What float loses there is nobody's fault. */
TEST(Slack, IsWhatANearlyCancelledSumNeeds) {
    crs_config config = settings("embedding 2 | mean | dense");
    config.batch = 8;
    crs::Texts texts;
    for (int i = 0; i < 8; i++)
        texts.emplace_back(std::string(i < 4 ? "a b" : "c") + (i % 2 ? " d" : " e"), i % 2 ? "yes" : "no");
    const crs::Rows rows = crs::rows_of(config, texts);
    crs_gradcheck_options options = options_of(config);
    options.dataset = rows.get();
    options.vocabulary = crs_encoder_vocabulary(rows.encoder.get());
    options.classes = 2;
    const BackendHandle cpu = crs::open_backend("cpu");
    const crs::Model model = crs::build_model(config.model, crs::task_of(2, options.vocabulary, 5), cpu);
    std::vector<double> weights = crs::Random(8).reals(crs_model_parameters(model.get()), 0.01);
    std::fill(weights.end() - 2, weights.end(), 0.0); /* the bias */
    options.parameters = weights.data();
    const Report report = check(options, cpu);
    const crs_gradcheck_tensor bias = tensors_of(part_of(report, CRS_GRADCHECK_OF_GRADIENT)).back();
    EXPECT_GT(bias.relative, CRS_GRADCHECK_FLOAT);
    EXPECT_GT(bias.slack, bias.relative * bias.norm);
    EXPECT_LT(bias.slack, 0.1 * bias.norm);
    EXPECT_TRUE(report->passed);
}

/* ---- what is wrong is seen ---- */

TEST(Inject, FailsThatTensorAlone) {
    const crs_config config = settings(everything);
    crs_gradcheck_options options = options_of(config);
    options.samples = 1;
    const BackendHandle cpu = crs::open_backend("cpu");
    const Report right = check(options, cpu);
    EXPECT_TRUE(right->passed);
    for (const crs_gradcheck_tensor &tensor : tensors_of(part_of(right, CRS_GRADCHECK_OF_GRADIENT))) {
        options.inject = tensor.name;
        const Report report = check(options, cpu);
        const crs_gradcheck_part *part = part_of(report, CRS_GRADCHECK_OF_GRADIENT);
        EXPECT_FALSE(report->passed);
        EXPECT_FALSE(part->passed);
        EXPECT_TRUE(part_of(report, CRS_GRADCHECK_OF_DIFFERENCES)->passed);
        EXPECT_EQ(failures(part), std::vector<std::string>{tensor.name});
    }
}

TEST(Inject, OfAnUnknownTensorNamesThoseThereAre) {
    const crs_config config = settings("embedding 3 frozen | lstm 3 | dense");
    crs_gradcheck_options options = options_of(config);
    for (const char *name : {"layers.9.weight", "layers.0.weight", ""}) {
        crs_error error = {};
        options.inject = name;
        EXPECT_FALSE(check(options, crs::open_backend("cpu-double"), crs::open_backend("cpu"), &error));
        EXPECT_EQ(error.status, CRS_ERR_ARGUMENT);
        EXPECT_NE(std::string(error.what).find(name), std::string::npos) << error.what;
        EXPECT_STREQ(error.mend, "take one of layers.1.weight_ih_l0, layers.1.weight_hh_l0, layers.1.bias_ih_l0, "
                                 "layers.2.weight, layers.2.bias");
    }
}

TEST(Arguments, OutOfRangeAreErrors) {
    const crs_config config = settings("embedding 3 | lstm 3 | dense");
    const BackendHandle cpu = crs::open_backend("cpu"), oracle = crs::open_backend("cpu-double");
    crs_error error = {};
    EXPECT_FALSE(check(options_of(config), cpu, cpu, &error));
    EXPECT_NE(std::string(error.mend).find("cpu-double"), std::string::npos);
    for (const auto &spoil :
         std::vector<void (*)(crs_gradcheck_options *)>{[](crs_gradcheck_options *options) { options->samples = 0; },
                                                        [](crs_gradcheck_options *options) { options->train = -1; },
                                                        [](crs_gradcheck_options *options) { options->vocabulary = 1; },
                                                        [](crs_gradcheck_options *options) { options->classes = 1; }}) {
        crs_gradcheck_options options = options_of(config);
        spoil(&options);
        EXPECT_FALSE(check(options, oracle, cpu, &error));
        EXPECT_EQ(error.status, CRS_ERR_ARGUMENT) << error.what;
    }
    const crs_config wrong = settings("embedding 3 | lstn 3 | dense");
    EXPECT_FALSE(check(options_of(wrong), oracle, cpu, &error));
    EXPECT_EQ(error.status, CRS_ERR_MODEL);
}

/* ---- what cannot run says why ---- */

/* A CPU whose memory ends with a certain allocation, and one whose LSTM cannot go back. */
int64_t allocations_left;

crs_status alloc_some(crs_device *device, size_t bytes, void **memory) {
    return allocations_left-- > 0 ? crs::oracle().ops->alloc(device, bytes, memory) : CRS_ERR_MEMORY;
}

TEST(Device, OutOfMemoryIsAnErrorWhereverItHappens) {
    const crs_config config = settings("embedding 3 | lstm 3 | dense");
    crs_gradcheck_options options = options_of(config, 1);
    options.samples = 1;
    crs_ops ops = *crs::oracle().ops;
    ops.alloc = alloc_some;
    const BackendHandle limited = crs::open_table(&ops), cpu = crs::open_backend("cpu");
    const BackendHandle oracle = crs::open_backend("cpu-double");
    for (const bool as_oracle : {false, true}) {
        int64_t failed = 0;
        crs_error error = {};
        for (allocations_left = 0;; allocations_left = ++failed) {
            const Report report =
                as_oracle ? check(options, limited, cpu, &error) : check(options, oracle, limited, &error);
            if (report)
                break;
            ASSERT_EQ(error.status, CRS_ERR_MEMORY) << error.what;
            EXPECT_NE(error.what[0], 0);
        }
        EXPECT_GE(failed, 20);
    }
}

TEST(Device, ThatFailsIsNamed) {
    const crs_config config = settings("embedding 3 | lstm 3 | dense");
    crs_ops ops = *float_cpu().ops;
    ops.lstm_backward = [](crs_device *, const crs_recurrent *) { return CRS_ERR_BACKEND; };
    crs_error error = {};
    EXPECT_FALSE(check(options_of(config), crs::open_backend("cpu-double"), crs::open_table(&ops), &error));
    EXPECT_EQ(error.status, CRS_ERR_BACKEND);
    EXPECT_NE(std::string(error.what).find("the gradient on cpu: "), std::string::npos) << error.what;
}

/* ---- faults of a backend's table ---- */

/* Every slot and output is reached by one of these; the last two have a last row that is full. */
const struct {
    const char *line;
    int mask;
} mutant_cases[] = {
    {"embedding 3 | dropout 0.2 | bilstm 2 seq sum dropout=0.2 | birnn 2 seq | lstm 2 | dense 3 tanh | dense", 1},
    {"embedding 3 | dense 2 | rnn 2 seq | mean | dense", 1},
    {"embedding 3 | lstm 2 seq | rnn 2 | dense", 1},
    {"embedding 3 | bilstm 2 seq | max | dense", 1},
    {"embedding 3 | bilstm 2 seq sum | mean | dense", 0},
    {"embedding 3 | lstm 2 | dropout 0.2 | dense", 0},
    {"embedding 3 | rnn 2 seq | mean | dense", 0}, /* no dead steps, at which nobody may look */
    {"embedding 3 | bigru 2 seq | gru 2 before | dense l2=0.1 max_norm=0.1", 1},
    {"embedding 4 | conv 3 2 tanh | conv2d 2 2x2 tanh | maxpool2d 2x1 stride=1 | batchnorm | layernorm | flatten | "
     "dense",
     0},
    {"onehot | conv 3 2 tanh | mean | dense", 0},
};

bool caught(const crs::Backend &backend, bool as_oracle, int64_t train) {
    const BackendHandle spoilt = crs::open_table(backend.ops);
    const BackendHandle right = crs::open_backend(as_oracle ? "cpu" : "cpu-double");
    for (const auto &c : mutant_cases) {
        crs_config config = settings(c.line);
        config.mask = c.mask;
        config.clip_norm = 0.05;
        config.schedule = CRS_STEP;
        crs_gradcheck_options options = options_of(config, train);
        options.samples = as_oracle ? 1000 : 1;
        const Report report = as_oracle ? check(options, spoilt, right) : check(options, right, spoilt);
        if (!report)
            return false;
        const crs_gradcheck_kind kind = as_oracle   ? CRS_GRADCHECK_OF_DIFFERENCES
                                        : train > 0 ? CRS_GRADCHECK_OF_TRAINING
                                                    : CRS_GRADCHECK_OF_GRADIENT;
        if (!part_of(report, kind)->passed)
            return true;
    }
    return false;
}

/* Not what nobody reads here (probabilities, row losses, the count of hits, running statistics, a dy that is scratch),
 * nor what does not change a number: a last bit, an element beyond the end, a gradient that is zeroed first and then
 * overwritten instead of added to. */
bool shows_in_gradients(const crs::Mutant &mutant) {
    const bool of_training =
        mutant.slot == "norm" || mutant.slot == "optimizer" || mutant.slot == "max_norm" || mutant.slot == "schedule";
    const bool unread = mutant.output == "probabilities" || mutant.output == "row_loss" || mutant.output == "correct" ||
                        mutant.output == "bad_step" || mutant.output == "dy" || mutant.output == "running_mean" ||
                        mutant.output == "running_var";
    return !of_training && !unread && mutant.fault != crs::Fault::unstable && mutant.fault != crs::Fault::overrun &&
           mutant.fault != crs::Fault::overwrite;
}

template <class Shows, class Seen> int try_mutants(const crs::Backend &backend, Shows shows, Seen seen) {
    int tried = 0;
#define CRS_TRY_SLOT(slot, args)                                                                                       \
    for (const crs::Mutant &mutant : crs::mutants_of(#slot)) {                                                         \
        if (!shows(mutant))                                                                                            \
            continue;                                                                                                  \
        const crs::MutantTable table(backend, mutant);                                                                 \
        EXPECT_TRUE(seen(table.backend())) << mutant.text();                                                           \
        tried++;                                                                                                       \
    }
    CRS_COMPUTE_SLOTS(CRS_TRY_SLOT)
#undef CRS_TRY_SLOT
    return tried;
}

TEST(Mutants, OfABackendAreCaughtInItsGradient) {
    EXPECT_FALSE(caught(float_cpu(), false, 0));
    const int tried = try_mutants(float_cpu(), shows_in_gradients,
                                  [](const crs::Backend &backend) { return caught(backend, false, 0); });
    EXPECT_GE(tried, 80);
}

/* The oracle is no exception: differences do not believe it. Faults that change loss and gradient alike do not count:
 * the forward pass of another network has right differences, dropout is its own backward pass, and a loss in other
 * units has a gradient in them. */
TEST(Mutants, OfTheOracleAreCaughtByDifferences) {
    EXPECT_FALSE(caught(crs::oracle(), true, 0));
    const int tried = try_mutants(
        crs::oracle(),
        [](const crs::Mutant &mutant) {
            return shows_in_gradients(mutant) && mutant.slot.find("_backward") != std::string::npos &&
                   mutant.fault != crs::Fault::poison;
        },
        [](const crs::Backend &backend) { return caught(backend, true, 0); });
    EXPECT_GE(tried, 50);
}

TEST(Mutants, OfTheOptimizerAreCaughtInTraining) {
    EXPECT_FALSE(caught(float_cpu(), false, 3));
    const int tried = try_mutants(
        float_cpu(),
        [](const crs::Mutant &mutant) {
            return (mutant.slot == "norm" || mutant.slot == "optimizer" || mutant.slot == "max_norm" ||
                    mutant.slot == "schedule") &&
                   mutant.output != "grad_norm" && mutant.output != "bad_step" && mutant.output != "step" &&
                   mutant.fault != crs::Fault::unstable && mutant.fault != crs::Fault::overrun;
        },
        [](const crs::Backend &backend) { return caught(backend, false, 3); });
    EXPECT_GE(tried, 15);
}

TEST(NotFinite, FailsAndIsPointedAt) {
    const crs_config config = settings("embedding 3 | lstm 3 | dense");
    crs_gradcheck_options options = options_of(config, 2);
    options.samples = 1;
    const crs::MutantTable table(float_cpu(), {"lstm_backward", "dR", crs::Fault::poison});
    const Report report = check(options, crs::open_table(table.backend().ops));
    const crs_gradcheck_part *part = part_of(report, CRS_GRADCHECK_OF_GRADIENT);
    EXPECT_FALSE(report->passed);
    EXPECT_EQ(failures(part), std::vector<std::string>{"layers.1.weight_hh_l0"});
    const crs_gradcheck_tensor &tensor = part->tensors[2];
    EXPECT_FALSE(tensor.finite);
    EXPECT_FALSE(std::isfinite(tensor.got));
    EXPECT_TRUE(std::isfinite(tensor.wanted));
    EXPECT_FALSE(part_of(report, CRS_GRADCHECK_OF_TRAINING)->passed);
}

/* Weights so large that the loss overflows on both sides: nothing is equal to nothing. */
TEST(NotFinite, OnBothSidesFailsToo) {
    const crs_config config = settings("embedding 3 | mean | dense");
    const BackendHandle cpu = crs::open_backend("cpu"), oracle = crs::open_backend("cpu-double");
    crs_gradcheck_options options = options_of(config);
    const crs::Model model = crs::build_model(config.model, crs::task_of(3, 7, 5), oracle);
    std::vector<double> weights = crs::parameters_of(model);
    for (double &weight : weights)
        weight = NAN;
    options.parameters = weights.data();
    const Report report = check(options, oracle, cpu);
    for (size_t i = 0; i < report->count; i++)
        EXPECT_FALSE(report->parts[i].passed) << i;
    EXPECT_FALSE(part_of(report, CRS_GRADCHECK_OF_GRADIENT)->losses[0].passed);
}

/* A step size at which training is chaos: what rounding becomes there is not taken for right. */
TEST(Training, ThatTearsRoundingApartFails) {
    crs_config config = settings("embedding 8 | rnn 16 seq | rnn 16 | dense");
    config.optimizer = CRS_SGD;
    config.lr = 300;
    const Report report = check(options_of(config, 40), crs::open_backend("cpu"));
    EXPECT_TRUE(part_of(report, CRS_GRADCHECK_OF_GRADIENT)->passed);
    EXPECT_FALSE(failures(part_of(report, CRS_GRADCHECK_OF_TRAINING)).empty());
}

} // namespace
