/* Training: that networks learn, that the best epoch's weights come back, and how a training ends. */
#include "task.hpp"

#include <cmath>
#include <csignal>
#include <cstdio>
#include <limits>

namespace {

using namespace crs;

/* ---- learning ---- */

class Learns : public testing::TestWithParam<const char *> {};

TEST_P(Learns, WhetherAWordOccurs) {
    const crs_config config = settings(GetParam(), 0.02, 15);
    const Data data = occurs(config);
    const Model model(config, data.train.encoder.get());
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
    const Data data(config, which_comes_first(300, 1), which_comes_first(100, 2));
    for (const int mask : {1, 0}) {
        config.mask = mask;
        config.pad = CRS_SIDE_PRE;
        const Model model(config, data.train.encoder.get());
        Trained trained;
        train(trained, model, config, data.train, &data.validation);
        ASSERT_EQ(trained.status, CRS_OK) << trained.error.what;
        EXPECT_GE(evaluate(model, config, data.validation)->accuracy, 0.99) << "mask " << mask;
    }
}

INSTANTIATE_TEST_SUITE_P(Networks, LearnsOrder,
                         testing::Values("embedding 8 | lstm 16 | dense 2", "embedding 8 | bilstm 8 | dense 2"));

/* ---- the best epoch ---- */

/* Index of the smallest value, the first of equals. */
size_t smallest(const Trained &trained, double (*value)(const crs_epoch &)) {
    size_t best = 0;
    for (size_t i = 1; i < trained.history.count; i++)
        if (value(trained.epoch(i)) < value(trained.epoch(best)))
            best = i;
    return best;
}

void expect_weights_of(const Trained &trained, size_t epoch, const Model &model, const crs_config &config,
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
    const Model model(config, data.train.encoder.get());
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
    const Model model(config, data.train.encoder.get());
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
    const Model model(config, data.train.encoder.get());
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
    const Model model(config, data.train.encoder.get());
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
    const Model model(config, data.train.encoder.get());
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
    const Model model(config, data.train.encoder.get());
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
    const Model model(config, data.train.encoder.get());
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
    const Model model(config, data.train.encoder.get());
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
        const Model model(config, data.train.encoder.get());
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
    const Model model(config, data.train.encoder.get());
    std::vector<double> weights = model.weights();
    weights[(size_t)crs_model_trainable(model.get()) - 1] = std::nan("");
    ASSERT_EQ(crs_model_set_parameters(model.get(), weights.data()), CRS_OK);
    crs_metrics *metrics = nullptr;
    crs_error error = {};
    EXPECT_EQ(crs_evaluate(model.get(), &config, data.train.get(), nullptr, 0, &metrics, &error), CRS_ERR_NOT_FINITE);
    EXPECT_EQ(metrics, nullptr);
    int64_t shortest = 0; /* which an evaluation begins with */
    for (int64_t row = 1; row < crs_dataset_rows(data.train.get()); row++)
        if (crs_dataset_length(data.train.get(), row) < crs_dataset_length(data.train.get(), shortest))
            shortest = row;
    const std::string what = "row " + std::to_string(shortest) + " is not finite";
    EXPECT_NE(std::string(error.what).find(what), std::string::npos) << error.what;
}

} // namespace
