/* Training: that networks learn, that the history tells the truth, and how a training ends. */
#include "task.hpp"

extern "C" {
#include "../core/training.h"
}

#include <cmath>
#include <csignal>
#include <cstdio>
#include <limits>

namespace {

/* What crs_train gave. */
struct Trained {
    crs_status status = CRS_OK;
    crs_error error = {};
    crs_history history = {};
    Trained() = default;
    Trained(const Trained &) = delete;
    ~Trained() {
        crs_history_clear(&history);
    }
    const crs_epoch &epoch(size_t i) const {
        return history.epochs[i];
    }
    const crs_epoch &last() const {
        return history.epochs[history.count - 1];
    }
};

void train(Trained &trained, const crs::Model &model, const crs_config &config, const crs::Rows &rows,
           const crs::Rows *validation = nullptr, const crs_train_hooks *hooks = nullptr) {
    trained.status = crs_train(model.get(), &config, rows.get(), nullptr, 0, validation ? validation->get() : nullptr,
                               nullptr, 0, hooks, &trained.history, &trained.error);
}

struct FreeMetrics {
    void operator()(crs_metrics *metrics) const {
        crs_metrics_free(metrics);
    }
};
using Metrics = std::unique_ptr<crs_metrics, FreeMetrics>;

Metrics evaluate(const crs::Model &model, const crs_config &config, const crs::Rows &rows,
                 const std::vector<int64_t> *chosen = nullptr) {
    crs_metrics *metrics = nullptr;
    crs_error error = {};
    EXPECT_EQ(crs_evaluate(model.get(), &config, rows.get(), chosen ? chosen->data() : nullptr,
                           chosen ? (int64_t)chosen->size() : 0, &metrics, &error),
              CRS_OK)
        << error.what;
    return Metrics(metrics);
}

crs_config settings(const char *line, double lr = 0.01, int64_t epochs = 4) {
    crs_config config = crs::every_word(8);
    std::snprintf(config.model, sizeof config.model, "%s", line);
    config.optimizer = CRS_ADAM;
    config.lr = lr;
    config.epochs = epochs;
    config.batch = 16;
    config.seed = 7;
    config.patience = 0;
    return config;
}

/* Rows to train on, and others of the same encoder. */
struct Data {
    crs::Rows train, validation;
    Data(const crs_config &config, const crs::Texts &texts, const crs::Texts &others)
        : train(crs::rows_of(config, texts)), validation(crs::rows_of(config, others, train.encoder.get())) {}
};

Data occurs(const crs_config &config) {
    return Data(config, crs::word_occurs(200, 1), crs::word_occurs(100, 2));
}

/* Nothing to be learnt: what fits the training rows makes the others worse. */
Data noise(const crs_config &config) {
    return Data(config, crs::shuffled_labels(crs::word_occurs(60, 1), 3),
                crs::shuffled_labels(crs::word_occurs(60, 2), 4));
}

/* ---- learning ---- */

class Learns : public testing::TestWithParam<const char *> {};

TEST_P(Learns, WhetherAWordOccurs) {
    const crs_config config = settings(GetParam(), 0.02, 15);
    const Data data = occurs(config);
    const crs::Model model(config, data.train.encoder.get());
    EXPECT_LT(evaluate(model, config, data.validation)->accuracy, 0.8) << "not before training";
    Trained trained;
    train(trained, model, config, data.train, &data.validation);
    ASSERT_EQ(trained.status, CRS_OK) << trained.error.what;
    EXPECT_GE(trained.last().accuracy, 0.99);
    EXPECT_GE(evaluate(model, config, data.validation)->accuracy, 0.99);
}

INSTANTIATE_TEST_SUITE_P(Networks, Learns,
                         testing::Values("embedding 8 | rnn 16 | dense 2", "embedding 8 | lstm 16 | dense 2",
                                         "embedding 8 | bilstm 8 | dense 2", "embedding 8 | lstm 16 | dense 1",
                                         "embedding 8 | bilstm 8 seq | lstm 8 | dense 2"));

class LearnsOrder : public testing::TestWithParam<const char *> {};

TEST_P(LearnsOrder, WhichOfTwoWordsComesFirst) {
    crs_config config = settings(GetParam(), 0.02, 15);
    const Data data(config, crs::which_comes_first(300, 1), crs::which_comes_first(100, 2));
    for (const int mask : {1, 0}) {
        config.mask = mask;
        config.pad = CRS_SIDE_PRE;
        const crs::Model model(config, data.train.encoder.get());
        Trained trained;
        train(trained, model, config, data.train, &data.validation);
        ASSERT_EQ(trained.status, CRS_OK) << trained.error.what;
        EXPECT_GE(evaluate(model, config, data.validation)->accuracy, 0.99) << "mask " << mask;
    }
}

INSTANTIATE_TEST_SUITE_P(Networks, LearnsOrder,
                         testing::Values("embedding 8 | lstm 16 | dense 2", "embedding 8 | bilstm 8 | dense 2"));

/* ---- what the history says ---- */

const char *const LSTM = "embedding 6 | lstm 8 | dense 2";

TEST(History, LossAndAccuracyAreMeansOverTheRows) {
    crs_config config = settings(LSTM, 1e-9, 1); /* so that the weights stay as they are */
    const Data data = occurs(config);
    const crs::Model model(config, data.train.encoder.get());
    const Metrics before = evaluate(model, config, data.train);
    Trained trained;
    train(trained, model, config, data.train);
    ASSERT_EQ(trained.status, CRS_OK) << trained.error.what;
    ASSERT_EQ(trained.history.count, 1U);
    const crs_epoch &epoch = trained.epoch(0);
    EXPECT_NEAR(epoch.loss, before->loss, 1e-5);
    EXPECT_DOUBLE_EQ(epoch.accuracy, before->accuracy);
    EXPECT_EQ(epoch.epoch, 1);
    EXPECT_EQ(epoch.steps, 13);
    int64_t tokens = 0;
    for (int64_t r = 0; r < 200; r++)
        tokens += data.train.length(r);
    EXPECT_EQ(epoch.tokens, tokens);
    EXPECT_DOUBLE_EQ(epoch.lr, 1e-9);
    EXPECT_GT(epoch.grad_norm, 0);
    EXPECT_GT(epoch.seconds, 0);
    EXPECT_TRUE(std::isnan(epoch.val_loss) && std::isnan(epoch.val_accuracy) && std::isnan(epoch.val_macro_f1));
}

TEST(History, EachEpochStartsItsMeansAnew) {
    const crs_config config = settings(LSTM, 1e-9, 3);
    const Data data = occurs(config);
    const crs::Model model(config, data.train.encoder.get());
    Trained trained;
    train(trained, model, config, data.train, &data.validation);
    ASSERT_EQ(trained.history.count, 3U);
    for (size_t i = 1; i < 3; i++) {
        EXPECT_EQ(trained.epoch(i).epoch, (int64_t)i + 1);
        EXPECT_NEAR(trained.epoch(i).loss, trained.epoch(0).loss, 1e-5);
        EXPECT_DOUBLE_EQ(trained.epoch(i).accuracy, trained.epoch(0).accuracy);
        EXPECT_EQ(trained.epoch(i).tokens, trained.epoch(0).tokens);
        EXPECT_GT(std::fabs(trained.epoch(i).grad_norm / trained.epoch(0).grad_norm - 1), 1e-3)
            << "another batch is the last one";
    }
}

TEST(History, BalancedClassWeightsWeighTheLoss) {
    crs_config config = settings(LSTM, 1e-9, 1);
    crs::Texts texts = crs::word_occurs(200, 1);
    int64_t kept = 0;
    texts.erase(std::remove_if(texts.begin(), texts.end(),
                               [&](const auto &row) { return row.second == "yes" && kept++ % 4 != 0; }),
                texts.end());
    const crs::Rows rows = crs::rows_of(config, texts);
    std::vector<int64_t> of_class[2];
    for (int64_t r = 0; r < crs_dataset_rows(rows.get()); r++)
        of_class[crs_dataset_label(rows.get(), r)].push_back(r);
    const crs::Model model(config, rows.encoder.get());
    /* Each class has half of the weight. */
    const double expected =
        (evaluate(model, config, rows, &of_class[0])->loss + evaluate(model, config, rows, &of_class[1])->loss) / 2;
    const double plain = evaluate(model, config, rows)->loss;
    ASSERT_GT(std::fabs(plain - expected), 1e-4);
    config.class_weight = CRS_CLASS_WEIGHT_BALANCED;
    Trained trained;
    train(trained, model, config, rows);
    ASSERT_EQ(trained.status, CRS_OK) << trained.error.what;
    EXPECT_NEAR(trained.epoch(0).loss, expected, 1e-5);
}

TEST(History, SameSeedSameBitsWhateverTheThreads) {
    crs_config config = settings("embedding 6 | dropout 0.2 | lstm 8 dropout=0.1 recurrent_dropout=0.1 | dense 2");
    config.word_dropout = 0.1;
    const Data data = occurs(config);
    std::vector<double> weights[4];
    Trained trained[4];
    for (int i = 0; i < 4; i++) {
        config.seed = i < 3 ? 7 : 8;
        const crs::Model model(config, data.train.encoder.get(), i == 1 ? 2 : 1);
        train(trained[i], model, config, data.train, &data.validation);
        ASSERT_EQ(trained[i].status, CRS_OK) << trained[i].error.what;
        weights[i] = model.weights();
    }
    for (int i = 1; i < 3; i++) {
        SCOPED_TRACE(i == 1 ? "two threads" : "again");
        EXPECT_EQ(weights[i], weights[0]);
        for (size_t e = 0; e < trained[0].history.count; e++) {
            EXPECT_EQ(trained[i].epoch(e).loss, trained[0].epoch(e).loss);
            EXPECT_EQ(trained[i].epoch(e).val_loss, trained[0].epoch(e).val_loss);
            EXPECT_EQ(trained[i].epoch(e).grad_norm, trained[0].epoch(e).grad_norm);
        }
    }
    EXPECT_NE(weights[3], weights[0]) << "another seed";
    EXPECT_NE(trained[3].epoch(0).loss, trained[0].epoch(0).loss);
}

TEST(History, ValidationLeavesTrainingAlone) {
    crs_config config = settings(LSTM);
    config.keep_best = 0;
    const Data data = occurs(config);
    const crs::Model with(config, data.train.encoder.get()), without(config, data.train.encoder.get());
    Trained one, other;
    train(one, with, config, data.train, &data.validation);
    train(other, without, config, data.train);
    EXPECT_EQ(with.weights(), without.weights());
    for (size_t e = 0; e < 4; e++)
        EXPECT_EQ(one.epoch(e).loss, other.epoch(e).loss);
}

/* ---- the best epoch ---- */

/* Index of the smallest value, the first of equals. */
size_t smallest(const Trained &trained, double (*value)(const crs_epoch &)) {
    size_t best = 0;
    for (size_t i = 1; i < trained.history.count; i++)
        if (value(trained.epoch(i)) < value(trained.epoch(best)))
            best = i;
    return best;
}

void expect_weights_of(const Trained &trained, size_t epoch, const crs::Model &model, const crs_config &config,
                       const Data &data) {
    EXPECT_EQ(trained.history.best, epoch);
    const Metrics now = evaluate(model, config, data.validation);
    EXPECT_EQ(now->loss, trained.epoch(epoch).val_loss);
    EXPECT_EQ(now->accuracy, trained.epoch(epoch).val_accuracy);
    EXPECT_EQ(now->macro_f1, trained.epoch(epoch).val_macro_f1);
}

TEST(Best, PatienceStopsAndTheBestWeightsComeBack) {
    crs_config config = settings(LSTM, 0.03, 60);
    config.patience = 3;
    const Data data = noise(config);
    const crs::Model model(config, data.train.encoder.get());
    Trained trained;
    train(trained, model, config, data.train, &data.validation);
    ASSERT_EQ(trained.status, CRS_OK) << trained.error.what;
    ASSERT_LT(trained.history.count, 60U);
    EXPECT_TRUE(trained.history.stopped_early);
    EXPECT_FALSE(trained.history.interrupted);
    const size_t best = smallest(trained, [](const crs_epoch &epoch) { return epoch.val_loss; });
    EXPECT_EQ(trained.history.count - 1 - best, 3U);
    expect_weights_of(trained, best, model, config, data);
    double lowest = std::numeric_limits<double>::infinity();
    for (size_t i = 0; i < trained.history.count; i++) {
        EXPECT_EQ(trained.epoch(i).best, trained.epoch(i).val_loss < lowest) << "epoch " << i + 1;
        lowest = std::min(lowest, trained.epoch(i).val_loss);
    }
}

TEST(Best, ByAccuracy) {
    crs_config config = settings(LSTM, 0.03, 12);
    config.monitor = CRS_MONITOR_ACCURACY;
    const Data data = noise(config);
    const crs::Model model(config, data.train.encoder.get());
    Trained trained;
    train(trained, model, config, data.train, &data.validation);
    ASSERT_EQ(trained.history.count, 12U);
    EXPECT_FALSE(trained.history.stopped_early);
    const size_t best = smallest(trained, [](const crs_epoch &epoch) { return -epoch.val_accuracy; });
    ASSERT_NE(best, smallest(trained, [](const crs_epoch &epoch) { return epoch.val_loss; })) << "a telling example";
    expect_weights_of(trained, best, model, config, data);
}

TEST(Best, NotKeptTheLastWeightsStay) {
    crs_config config = settings(LSTM, 0.03, 12);
    config.keep_best = 0;
    const Data data = noise(config);
    const crs::Model model(config, data.train.encoder.get());
    Trained trained;
    train(trained, model, config, data.train, &data.validation);
    ASSERT_NE(smallest(trained, [](const crs_epoch &epoch) { return epoch.val_loss; }), 11U) << "a telling example";
    expect_weights_of(trained, 11, model, config, data);
}

TEST(Best, WithoutValidationThereIsNone) {
    crs_config config = settings(LSTM, 0.03, 6);
    config.patience = 1;
    config.keep_best = 1;
    const Data data = noise(config);
    const crs::Model model(config, data.train.encoder.get());
    Trained trained;
    train(trained, model, config, data.train);
    EXPECT_EQ(trained.status, CRS_OK) << trained.error.what;
    ASSERT_EQ(trained.history.count, 6U);
    EXPECT_EQ(trained.history.best, 5U);
    for (size_t i = 0; i < 6; i++)
        EXPECT_EQ(trained.epoch(i).best, 0);
}

/* ---- hooks and interruption ---- */

struct Watch {
    volatile std::sig_atomic_t stop = 0;
    int64_t stop_in_epoch = 0; /* 0: never */
    bool from_progress = false;
    std::vector<crs_progress> reports;
    std::vector<crs_epoch> epochs;

    crs_train_hooks hooks() {
        return {[](void *user, const crs_progress *progress) {
                    Watch *watch = static_cast<Watch *>(user);
                    watch->reports.push_back(*progress);
                    if (watch->from_progress && progress->epoch == watch->stop_in_epoch)
                        watch->stop = 1;
                },
                [](void *user, const crs_epoch *epoch) {
                    Watch *watch = static_cast<Watch *>(user);
                    watch->epochs.push_back(*epoch);
                    watch->stop = !watch->from_progress && epoch->epoch == watch->stop_in_epoch;
                },
                this, &stop};
    }
};

TEST(Hooks, ProgressAndEpochsAreTold) {
    const crs_config config = settings(LSTM);
    const Data data = occurs(config);
    const crs::Model model(config, data.train.encoder.get());
    Watch watch;
    const crs_train_hooks hooks = watch.hooks();
    Trained trained;
    train(trained, model, config, data.train, &data.validation, &hooks);
    ASSERT_EQ(trained.status, CRS_OK) << trained.error.what;
    ASSERT_EQ(watch.epochs.size(), 4U);
    ASSERT_GE(watch.reports.size(), 4U);
    int64_t done = 0;
    for (const crs_progress &progress : watch.reports) {
        EXPECT_EQ(progress.steps, 13);
        EXPECT_EQ(progress.epochs, 4);
        EXPECT_EQ(progress.rows, std::min<int64_t>(200, progress.step * 16));
        EXPECT_GT(progress.rows_per_second, 0);
        EXPECT_GE(progress.seconds_left, 0);
        if (progress.step < 13)
            continue;
        const crs_epoch &epoch = watch.epochs[(size_t)done++];
        EXPECT_EQ(progress.epoch, epoch.epoch);
        EXPECT_EQ(progress.loss, epoch.loss);
        EXPECT_EQ(progress.accuracy, epoch.accuracy);
        EXPECT_EQ(progress.seconds_left, 0);
    }
    EXPECT_EQ(done, 4) << "the end of each epoch is told";
    for (size_t i = 0; i < 4; i++)
        EXPECT_EQ(watch.epochs[i].val_loss, trained.epoch(i).val_loss);
}

TEST(Hooks, StopWithinAnEpochKeepsWhatWasDone) {
    crs_config config = settings(LSTM, 0.01, 5);
    config.batch = 2; /* 100 steps: the first look is before the last */
    const Data data = occurs(config);
    const crs::Model model(config, data.train.encoder.get());
    Watch watch;
    watch.from_progress = true;
    watch.stop_in_epoch = 1;
    const crs_train_hooks hooks = watch.hooks();
    Trained trained;
    train(trained, model, config, data.train, &data.validation, &hooks);
    EXPECT_EQ(trained.status, CRS_OK) << trained.error.what;
    EXPECT_TRUE(trained.history.interrupted) << "although the flag is down again";
    EXPECT_FALSE(trained.history.stopped_early);
    ASSERT_EQ(trained.history.count, 1U);
    EXPECT_EQ(trained.epoch(0).steps, watch.reports[0].step) << "ends after the running step";
    EXPECT_LT(trained.epoch(0).steps, 100);
    EXPECT_EQ(trained.epoch(0).loss, watch.reports[0].loss) << "means are over the rows done";
    EXPECT_EQ(watch.epochs.size(), 1U) << "the unfinished epoch is told as well";
    expect_weights_of(trained, 0, model, config, data);
}

TEST(Hooks, StopBetweenEpochsRunsNoFurtherStep) {
    const crs_config config = settings(LSTM, 0.03, 12);
    const Data data = noise(config);
    const crs::Model model(config, data.train.encoder.get());
    Watch watch;
    watch.stop_in_epoch = 9;
    const crs_train_hooks hooks = watch.hooks();
    Trained trained;
    train(trained, model, config, data.train, &data.validation, &hooks);
    EXPECT_EQ(trained.status, CRS_OK) << trained.error.what;
    EXPECT_TRUE(trained.history.interrupted);
    ASSERT_EQ(trained.history.count, 9U);
    const size_t best = smallest(trained, [](const crs_epoch &epoch) { return epoch.val_loss; });
    ASSERT_NE(best, 8U) << "a telling example";
    expect_weights_of(trained, best, model, config, data);
}

/* ---- what is not finite ---- */

void expect_finite(const std::vector<double> &weights) {
    for (const double weight : weights)
        ASSERT_TRUE(std::isfinite(weight));
}

TEST(NotFinite, StopsWithPlaceAndMendAndTheLastGoodWeights) {
    crs_config config = settings("embedding 6 | rnn 8 relu seq | rnn 8 relu | dense 2", 1e9, 3);
    config.optimizer = CRS_SGD;
    config.momentum = 0;
    const Data data = occurs(config);
    const crs::Model model(config, data.train.encoder.get());
    Trained trained;
    train(trained, model, config, data.train, &data.validation);
    EXPECT_EQ(trained.status, CRS_ERR_NOT_FINITE);
    EXPECT_EQ(trained.error.status, CRS_ERR_NOT_FINITE);
    const std::string what = trained.error.what, mend = trained.error.mend;
    EXPECT_EQ(what.rfind("epoch 1, step ", 0), 0U) << what;
    EXPECT_NE(what.find(" is not finite (batch of 16 rows, the first is row "), std::string::npos) << what;
    EXPECT_NE(mend.find("--learning-rate below 1e+09"), std::string::npos) << mend;
    EXPECT_NE(mend.find("--clip-norm 1"), std::string::npos) << mend;
    int step = 0;
    ASSERT_EQ(std::sscanf(what.c_str(), "epoch 1, step %d of 13:", &step), 1);
    EXPECT_GT(step, 1);
    EXPECT_LT(step, 13) << "the step at fault, not the one at which it was noticed";
    EXPECT_EQ(trained.history.count, 0U);
    expect_finite(model.weights());
}

/* One step an epoch: the first update spoils the weights, and no further step notices. */
TEST(NotFinite, SpoiltWeightsAreSeenAfterTheLastStep) {
    crs_config config = settings("embedding 6 | rnn 8 relu | dense 2", 1e38, 1);
    config.optimizer = CRS_SGD;
    config.momentum = 0;
    config.clip_norm = 30;
    config.batch = 1000;
    const Data data = occurs(config);
    for (const bool validated : {true, false}) {
        const crs::Model model(config, data.train.encoder.get());
        Trained trained;
        train(trained, model, config, data.train, validated ? &data.validation : nullptr);
        EXPECT_EQ(trained.status, CRS_ERR_NOT_FINITE);
        const std::string what = trained.error.what, mend = trained.error.mend;
        EXPECT_EQ(what.rfind(std::string("epoch 1, step 1 of 1: the ") + (validated ? "validation loss" : "loss") +
                                 " after it is not finite",
                             0),
                  0U)
            << what;
        EXPECT_NE(mend.find("--clip-norm below 30"), std::string::npos) << mend;
        EXPECT_EQ(trained.history.count, 0U);
    }
}

TEST(NotFinite, EvaluationSaysWhichRow) {
    const crs_config config = settings(LSTM);
    const Data data = occurs(config);
    const crs::Model model(config, data.train.encoder.get());
    std::vector<double> weights = model.weights();
    weights[(size_t)crs_model_trainable(model.get()) - 1] = std::nan("");
    ASSERT_EQ(crs_model_set_parameters(model.get(), weights.data()), CRS_OK);
    crs_metrics *metrics = nullptr;
    crs_error error = {};
    EXPECT_EQ(crs_evaluate(model.get(), &config, data.train.get(), nullptr, 0, &metrics, &error), CRS_ERR_NOT_FINITE);
    EXPECT_EQ(metrics, nullptr);
    EXPECT_NE(std::string(error.what).find("row 0 is not finite"), std::string::npos) << error.what;
}

/* ---- evaluating ---- */

/* Against one row at a time, whatever the batches: so that no row's result may land at another's place. */
TEST(Evaluate, IsTheSumOfItsRows) {
    for (const char *line : {"embedding 6 | lstm 8 | dense 2", "embedding 6 | lstm 8 | dense 1"}) {
        SCOPED_TRACE(line);
        crs_config config = settings(line, 0.01, 1);
        config.word_dropout = 0.5; /* of training, none here */
        const Data data(config, crs::word_occurs(700, 1), crs::word_occurs(600, 2));
        const crs::Model model(config, data.train.encoder.get());
        Trained trained;
        train(trained, model, config, data.train);
        ASSERT_EQ(trained.status, CRS_OK) << trained.error.what;
        const bool one = crs_model_outputs(model.get()) == 1;
        std::vector<int64_t> chosen;
        int64_t confusion[4] = {};
        double loss = 0;
        for (int64_t row = 599; row >= 0; row -= 2) {
            chosen.push_back(row);
            const std::vector<int32_t> ids = data.validation.ids(row);
            const int32_t label = (int32_t)crs_dataset_label(data.validation.get(), row);
            const crs_batch batch = {(int64_t)ids.size(), 1, ids.data(), nullptr, nullptr, &label};
            float probabilities[2];
            double row_loss;
            ASSERT_EQ(crs_model_predict(model.get(), &batch, nullptr, probabilities, &row_loss), CRS_OK);
            const float p = one ? probabilities[0] : probabilities[1];
            EXPECT_NEAR(row_loss, -std::log(label ? p : 1 - p), 1e-5);
            confusion[label * 2 + (p > 0.5f)]++;
            loss += row_loss;
        }
        const Metrics metrics = evaluate(model, config, data.validation, &chosen);
        EXPECT_EQ(metrics->rows, 300);
        EXPECT_NEAR(metrics->loss, loss / 300, 1e-6);
        for (int i = 0; i < 4; i++)
            EXPECT_EQ(metrics->confusion[i], confusion[i]) << i;
        EXPECT_GT(metrics->auc, 0.5);
        EXPECT_EQ(evaluate(model, config, data.validation, &chosen)->loss, metrics->loss) << "same bits";
    }
}

/* ---- settings ---- */

TEST(Settings, EpochsBecomeSteps) {
    crs_config config = settings(LSTM, 0.5, 10);
    config.schedule = CRS_COSINE;
    config.warmup = 0.5;
    config.decay_every = 2;
    config.decay_rate = 0.25;
    config.final_lr = 0.1;
    config.clip_norm = 3;
    const crs_training training = crs__training_of(&config, 13, nullptr);
    EXPECT_EQ(training.schedule.kind, CRS_COSINE);
    EXPECT_EQ(training.schedule.base_lr, 0.5);
    EXPECT_DOUBLE_EQ(training.schedule.floor_lr, 0.05);
    EXPECT_EQ(training.schedule.rate, 0.25);
    EXPECT_EQ(training.schedule.warmup, 7) << "6.5, to the nearest";
    EXPECT_EQ(training.schedule.every, 26);
    EXPECT_EQ(training.schedule.total, 130);
    EXPECT_EQ(training.clip_norm, 3);
    EXPECT_EQ(training.class_weight, nullptr);
}

TEST(Settings, AScheduleIsNeverEmpty) {
    crs_config config = settings(LSTM, 0, 2);
    config.warmup = 5;
    config.decay_every = 0.01;
    const crs_training training = crs__training_of(&config, 10, nullptr);
    EXPECT_EQ(training.schedule.base_lr, 0.001) << "Adam's own";
    EXPECT_EQ(training.schedule.warmup, 50);
    EXPECT_EQ(training.schedule.total, 51);
    EXPECT_EQ(training.schedule.every, 1);
    config.decay_every = 1e300;
    EXPECT_GT(crs__training_of(&config, 10, nullptr).schedule.every, INT64_C(1) << 50);
}

TEST(Settings, OptimizerIsHandedOver) {
    crs_config config = settings(LSTM);
    config.optimizer = CRS_ADAMW;
    config.momentum = 0.1;
    config.rho = 0.2;
    config.beta1 = 0.3;
    config.beta2 = 0.4;
    config.epsilon = 0.5;
    config.weight_decay = 0.6;
    config.nesterov = 1;
    const crs_optimizer optimizer = crs__training_of(&config, 1, nullptr).optimizer;
    EXPECT_EQ(optimizer.kind, CRS_ADAMW);
    EXPECT_EQ(optimizer.momentum, 0.1);
    EXPECT_EQ(optimizer.rho, 0.2);
    EXPECT_EQ(optimizer.beta1, 0.3);
    EXPECT_EQ(optimizer.beta2, 0.4);
    EXPECT_EQ(optimizer.epsilon, 0.5);
    EXPECT_EQ(optimizer.weight_decay, 0.6);
    EXPECT_EQ(optimizer.nesterov, 1);
}

TEST(Settings, ScheduleReachesTheSteps) {
    crs_config config = settings(LSTM, 0.02, 3);
    config.schedule = CRS_STEP;
    config.warmup = 1;
    config.decay_every = 1;
    config.decay_rate = 0.5;
    const Data data = occurs(config);
    const crs::Model model(config, data.train.encoder.get());
    Trained trained;
    train(trained, model, config, data.train);
    ASSERT_EQ(trained.history.count, 3U);
    EXPECT_DOUBLE_EQ(trained.epoch(0).lr, 0.02) << "the last step of the warm-up";
    EXPECT_DOUBLE_EQ(trained.epoch(1).lr, 0.02);
    EXPECT_DOUBLE_EQ(trained.epoch(2).lr, 0.01);
}

TEST(Settings, BalancedWeights) {
    const crs_config config = settings(LSTM);
    crs::Texts texts = {{"x", "c"}, {"x", "c"}, {"x", "a"}, {"x", "b"}, {"x", "b"}, {"x", "b"}};
    const crs::Rows rows = crs::rows_of(config, texts);
    const int64_t chosen[] = {2, 3, 4, 5};
    crs__batches batches;
    double weights[3];
    ASSERT_EQ(crs__batches_create(rows.get(), &config, chosen, 4, 3, 2, &batches, nullptr), CRS_OK);
    crs__balanced_weights(&batches, 3, weights);
    crs__batches_free(&batches);
    EXPECT_DOUBLE_EQ(weights[0], 4.0 / 3);
    EXPECT_DOUBLE_EQ(weights[1], 4.0 / 9);
    EXPECT_DOUBLE_EQ(weights[2], 1) << "no rows of it";
}

TEST(Settings, WhatCannotTrainIsRefusedBeforeTheFirstStep) {
    crs_config config = settings(LSTM);
    const Data data = occurs(config);
    const crs::Model model(config, data.train.encoder.get());
    const std::vector<double> before = model.weights();
    const crs::Rows three = crs::rows_of(config, {{"w1", "a"}, {"w2", "b"}, {"w3", "c"}});
    const int64_t outside[] = {100};
    Trained epochs, classes, validation, rows;
    config.epochs = 0;
    train(epochs, model, config, data.train);
    EXPECT_EQ(epochs.status, CRS_ERR_CONFIG);
    config.epochs = 1;
    train(classes, model, config, three);
    EXPECT_EQ(classes.status, CRS_ERR_ARGUMENT);
    train(validation, model, config, data.train, &three);
    EXPECT_EQ(validation.status, CRS_ERR_ARGUMENT);
    rows.status = crs_train(model.get(), &config, data.train.get(), nullptr, 0, data.validation.get(), outside, 1,
                            nullptr, &rows.history, &rows.error);
    EXPECT_EQ(rows.status, CRS_ERR_ARGUMENT);
    EXPECT_NE(std::string(rows.error.what).find("row 100"), std::string::npos) << rows.error.what;
    EXPECT_EQ(model.weights(), before);
}

} // namespace
