/* What training reports, and what becomes of its settings; evaluating. */
#include "task.hpp"

extern "C" {
#include "../core/training.h"
}

#include <cmath>

namespace {

using namespace crs;

/* ---- what the history says ---- */

TEST(History, LossAndAccuracyAreMeansOverTheRows) {
    crs_config config = settings(LSTM, 1e-9, 1); /* so that the weights stay as they are */
    const Data data = occurs(config);
    const Model model(config, data.train.encoder.get());
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
    const Model model(config, data.train.encoder.get());
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
    Texts texts = word_occurs(200, 1);
    int64_t kept = 0;
    texts.erase(std::remove_if(texts.begin(), texts.end(),
                               [&](const auto &row) { return row.second == "yes" && kept++ % 4 != 0; }),
                texts.end());
    const Rows rows = rows_of(config, texts);
    std::vector<int64_t> of_class[2];
    for (int64_t r = 0; r < crs_dataset_rows(rows.get()); r++)
        of_class[crs_dataset_label(rows.get(), r)].push_back(r);
    const Model model(config, rows.encoder.get());
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
        const Model model(config, data.train.encoder.get(), i == 1 ? 2 : 1);
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
    const Model with(config, data.train.encoder.get()), without(config, data.train.encoder.get());
    Trained one, other;
    train(one, with, config, data.train, &data.validation);
    train(other, without, config, data.train);
    EXPECT_EQ(with.weights(), without.weights());
    for (size_t e = 0; e < 4; e++)
        EXPECT_EQ(one.epoch(e).loss, other.epoch(e).loss);
}

/* ---- evaluating ---- */

/* Against one row at a time, whatever the batches: so that no row's result may land at another's place. */
TEST(Evaluate, IsTheSumOfItsRows) {
    for (const char *line : {"embedding 6 | lstm 8 | dense 2", "embedding 6 | lstm 8 | dense 1"}) {
        SCOPED_TRACE(line);
        crs_config config = settings(line, 0.01, 1);
        config.word_dropout = 0.5; /* of training, none here */
        const Data data(config, word_occurs(700, 1), word_occurs(600, 2));
        const Model model(config, data.train.encoder.get());
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
    const Model model(config, data.train.encoder.get());
    Trained trained;
    train(trained, model, config, data.train);
    ASSERT_EQ(trained.history.count, 3U);
    EXPECT_DOUBLE_EQ(trained.epoch(0).lr, 0.02) << "the last step of the warm-up";
    EXPECT_DOUBLE_EQ(trained.epoch(1).lr, 0.02);
    EXPECT_DOUBLE_EQ(trained.epoch(2).lr, 0.01);
}

TEST(Settings, BalancedWeights) {
    const crs_config config = settings(LSTM);
    Texts texts = {{"x", "c"}, {"x", "c"}, {"x", "a"}, {"x", "b"}, {"x", "b"}, {"x", "b"}};
    const Rows rows = rows_of(config, texts);
    const int64_t chosen[] = {2, 3, 4, 5};
    crs__batches batches;
    double weights[3];
    ASSERT_EQ(crs__batches_create(rows.get(), &config, chosen, 4, 3, 2, 0, &batches, nullptr), CRS_OK);
    crs__balanced_weights(&batches, 3, weights);
    crs__batches_free(&batches);
    EXPECT_DOUBLE_EQ(weights[0], 4.0 / 3);
    EXPECT_DOUBLE_EQ(weights[1], 4.0 / 9);
    EXPECT_DOUBLE_EQ(weights[2], 1) << "no rows of it";
}

TEST(Settings, WhatCannotTrainIsRefusedBeforeTheFirstStep) {
    crs_config config = settings(LSTM);
    const Data data = occurs(config);
    const Model model(config, data.train.encoder.get());
    const std::vector<double> before = model.weights();
    const Rows three = rows_of(config, {{"w1", "a"}, {"w2", "b"}, {"w3", "c"}});
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
