/* Metrics against values worked out by hand, and against slow definitions written here. */
#include "verdict.hpp"

#include <carousel/carousel.h>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <memory>

namespace {

struct Free {
    void operator()(crs_metrics *metrics) const {
        crs_metrics_free(metrics);
    }
};
using Metrics = std::unique_ptr<crs_metrics, Free>;

Metrics of_classes(int64_t classes) {
    crs_metrics *metrics = nullptr;
    EXPECT_EQ(crs_metrics_create(classes, &metrics), CRS_OK);
    return Metrics(metrics);
}

struct Row {
    int64_t label;
    std::vector<float> probabilities;
    double loss;
};

Metrics of_rows(int64_t classes, const std::vector<Row> &rows) {
    Metrics metrics = of_classes(classes);
    for (const Row &row : rows)
        EXPECT_EQ(crs_metrics_add(metrics.get(), row.label, row.probabilities.data(), row.loss), CRS_OK);
    crs_metrics_finish(metrics.get());
    return metrics;
}

/* Two classes, scored by the probability of class 1. */
double auc_of(const std::vector<std::pair<int64_t, float>> &rows) {
    std::vector<Row> all;
    for (const auto &[label, score] : rows)
        all.push_back({label, {1 - score, score}, 0});
    return of_rows(2, all)->auc;
}

/* Every pair of a row of class 1 and one of class 0. */
double slow_auc(const std::vector<std::pair<int64_t, float>> &rows) {
    double won = 0, pairs = 0;
    for (const auto &one : rows)
        for (const auto &zero : rows) {
            if (one.first != 1 || zero.first != 0)
                continue;
            pairs += 1;
            won += one.second > zero.second ? 1 : one.second == zero.second ? 0.5 : 0;
        }
    return won / pairs;
}

/* Six rows of three classes: predicted 0 0 1 1 2 0, of classes 0 0 1 0 2 2. */
std::vector<Row> six_rows() {
    return {{0, {0.8f, 0.1f, 0.1f}, 0.5}, {0, {0.5f, 0.3f, 0.2f}, 1.0}, {1, {0.2f, 0.7f, 0.1f}, 0.25},
            {0, {0.3f, 0.6f, 0.1f}, 1.5}, {2, {0.1f, 0.2f, 0.7f}, 0.5}, {2, {0.6f, 0.1f, 0.3f}, 2.25}};
}

TEST(Metrics, CountsThreeClasses) {
    const Metrics m = of_rows(3, six_rows());
    EXPECT_EQ(m->rows, 6);
    EXPECT_DOUBLE_EQ(m->loss, 1.0);
    EXPECT_DOUBLE_EQ(m->accuracy, 4.0 / 6);
    const int64_t confusion[9] = {2, 1, 0, 0, 1, 0, 1, 0, 1};
    for (int i = 0; i < 9; i++)
        EXPECT_EQ(m->confusion[i], confusion[i]) << "true " << i / 3 << ", predicted " << i % 3;
    const double precision[3] = {2.0 / 3, 1.0 / 2, 1}, recall[3] = {2.0 / 3, 1, 1.0 / 2};
    const double f1[3] = {2.0 / 3, 2.0 / 3, 2.0 / 3};
    const int64_t support[3] = {3, 1, 2};
    for (int c = 0; c < 3; c++) {
        EXPECT_EQ(m->per_class[c].support, support[c]);
        EXPECT_DOUBLE_EQ(m->per_class[c].precision, precision[c]);
        EXPECT_DOUBLE_EQ(m->per_class[c].recall, recall[c]);
        EXPECT_DOUBLE_EQ(m->per_class[c].f1, f1[c]);
    }
    EXPECT_DOUBLE_EQ(m->macro_precision, (2.0 / 3 + 1.0 / 2 + 1) / 3);
    EXPECT_DOUBLE_EQ(m->macro_recall, (2.0 / 3 + 1 + 1.0 / 2) / 3);
    EXPECT_DOUBLE_EQ(m->macro_f1, 2.0 / 3);
    EXPECT_TRUE(std::isnan(m->auc)) << "three classes have no single ROC curve";
}

TEST(Metrics, AClassThatNeverOccursAndIsNeverPredictedCountsAsZeroInTheMeans) {
    const Metrics m = of_rows(3, {{0, {0.9f, 0.1f, 0}, 0.1}, {1, {0.2f, 0.8f, 0}, 0.1}});
    EXPECT_EQ(m->per_class[2].support, 0);
    EXPECT_EQ(m->per_class[2].precision, 0);
    EXPECT_EQ(m->per_class[2].recall, 0);
    EXPECT_EQ(m->per_class[2].f1, 0);
    EXPECT_DOUBLE_EQ(m->macro_f1, 2.0 / 3);
    EXPECT_DOUBLE_EQ(m->accuracy, 1);
}

/* The same rows among few classes and among as many more as make the matrix too large. */
TEST(Metrics, ManyClassesHaveEveryFigureButTheMatrix) {
    const int64_t many = 100000;
    const Metrics few = of_rows(3, six_rows());
    std::vector<Row> rows = six_rows();
    for (Row &row : rows)
        row.probabilities.resize((size_t)many);
    const Metrics m = of_rows(many, rows);
    EXPECT_EQ(m->confusion, nullptr);
    EXPECT_EQ(m->rows, few->rows);
    EXPECT_EQ(m->loss, few->loss);
    EXPECT_EQ(m->accuracy, few->accuracy);
    for (int c = 0; c < 3; c++) {
        EXPECT_EQ(m->per_class[c].support, few->per_class[c].support);
        EXPECT_EQ(m->per_class[c].precision, few->per_class[c].precision);
        EXPECT_EQ(m->per_class[c].recall, few->per_class[c].recall);
        EXPECT_EQ(m->per_class[c].f1, few->per_class[c].f1);
    }
    EXPECT_NEAR(m->macro_f1, few->macro_f1 * 3 / (double)many, 1e-15);
    EXPECT_EQ(m->per_class[many - 1].support, 0);
}

TEST(Metrics, TheMatrixIsKeptUpToTheStatedNumberOfClasses) {
    EXPECT_NE(of_classes(CRS_CONFUSION_CLASSES)->confusion, nullptr);
    EXPECT_EQ(of_classes(CRS_CONFUSION_CLASSES + 1)->confusion, nullptr);
}

TEST(Metrics, EqualProbabilitiesPredictTheLowestClass) {
    const Metrics m = of_rows(3, {{1, {0.2f, 0.4f, 0.4f}, 0}, {2, {0.2f, 0.4f, 0.4f}, 0}});
    EXPECT_EQ(m->confusion[1 * 3 + 1], 1);
    EXPECT_EQ(m->confusion[2 * 3 + 1], 1);
}

TEST(Metrics, AreaByHand) {
    EXPECT_DOUBLE_EQ(auc_of({{0, 0.1f}, {0, 0.2f}, {1, 0.3f}, {1, 0.9f}}), 1);
    EXPECT_DOUBLE_EQ(auc_of({{1, 0.1f}, {0, 0.9f}}), 0);
    /* Pairs (1, 0): 0.35 > 0.1, 0.35 < 0.4, 0.8 > 0.1, 0.8 > 0.4. */
    EXPECT_DOUBLE_EQ(auc_of({{0, 0.1f}, {0, 0.4f}, {1, 0.35f}, {1, 0.8f}}), 0.75);
    /* A tie of a one with a zero is half a win; one of three pairs of two ones and a half. */
    EXPECT_DOUBLE_EQ(auc_of({{0, 0.5f}, {1, 0.5f}}), 0.5);
    EXPECT_DOUBLE_EQ(auc_of({{0, 0.5f}, {0, 0.5f}, {1, 0.5f}, {1, 0.7f}}), 0.75);
}

TEST(Metrics, AreaIsTheShareOfPairsWonWithManyTies) {
    crs::Random random(11);
    for (int round = 0; round < 20; round++) {
        std::vector<std::pair<int64_t, float>> rows = {{0, 0.25f}, {1, 0.25f}};
        for (int64_t i = 0, n = random.below(200); i < n; i++)
            rows.emplace_back(random.below(2), (float)random.below(1 + round) / 32);
        EXPECT_NEAR(auc_of(rows), slow_auc(rows), 1e-12) << "round " << round;
    }
}

TEST(Metrics, AreaNeedsBothClasses) {
    EXPECT_TRUE(std::isnan(auc_of({{1, 0.1f}, {1, 0.7f}})));
    EXPECT_TRUE(std::isnan(auc_of({{0, 0.1f}})));
}

TEST(Metrics, WithoutRowsThereIsNoMean) {
    const Metrics m = of_rows(2, {});
    EXPECT_EQ(m->rows, 0);
    EXPECT_TRUE(std::isnan(m->loss));
    EXPECT_TRUE(std::isnan(m->accuracy));
    EXPECT_TRUE(std::isnan(m->auc));
}

TEST(Metrics, WhatIsNotFiniteIsRefusedAndNotCounted) {
    const Metrics m = of_classes(2);
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    const float good[2] = {0.25f, 0.75f}, first[2] = {nan, 0.5f}, second[2] = {0.5f, nan}, huge[2] = {infinity, 0};
    EXPECT_EQ(crs_metrics_add(m.get(), 1, good, (double)nan), CRS_ERR_NOT_FINITE);
    EXPECT_EQ(crs_metrics_add(m.get(), 1, good, (double)infinity), CRS_ERR_NOT_FINITE);
    EXPECT_EQ(crs_metrics_add(m.get(), 1, first, 0.1), CRS_ERR_NOT_FINITE);
    EXPECT_EQ(crs_metrics_add(m.get(), 1, second, 0.1), CRS_ERR_NOT_FINITE);
    EXPECT_EQ(crs_metrics_add(m.get(), 1, huge, 0.1), CRS_ERR_NOT_FINITE);
    EXPECT_EQ(crs_metrics_add(m.get(), 1, good, 0.5), CRS_OK);
    crs_metrics_finish(m.get());
    EXPECT_EQ(m->rows, 1);
    EXPECT_EQ(m->loss, 0.5);
    EXPECT_EQ(m->accuracy, 1);
}

TEST(Metrics, WhatDoesNotFitIsRefused) {
    crs_metrics *none = nullptr;
    EXPECT_EQ(crs_metrics_create(1, &none), CRS_ERR_ARGUMENT);
    EXPECT_EQ(none, nullptr);
    EXPECT_EQ(crs_metrics_create(INT64_MAX, &none), CRS_ERR_MEMORY);
    EXPECT_EQ(none, nullptr);
    crs_metrics_free(none);
    const Metrics m = of_classes(2);
    const float good[2] = {0.25f, 0.75f};
    EXPECT_EQ(crs_metrics_add(m.get(), -1, good, 0), CRS_ERR_ARGUMENT);
    EXPECT_EQ(crs_metrics_add(m.get(), 2, good, 0), CRS_ERR_ARGUMENT);
    EXPECT_EQ(crs_metrics_add(m.get(), 0, good, 0), CRS_OK);
    crs_metrics_finish(m.get());
    EXPECT_EQ(crs_metrics_add(m.get(), 0, good, 0), CRS_ERR_ARGUMENT) << "closed";
    crs_metrics_finish(m.get());
    EXPECT_EQ(m->macro_recall, 0) << "finishing twice must not add twice";
    EXPECT_EQ(m->rows, 1);
}

} // namespace
