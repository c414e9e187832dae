/* Batches: every row once, padded where asked, in an order that the seed and the epoch decide. */
#include "rows.hpp"
#include "verdict.hpp"

extern "C" {
#include "../core/batch.h"
}

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace {

using Place = std::vector<int64_t>;

/* Row r is the word "rR" again and again, so that every cell of a batch tells which row it is of. */
crs::Rows rows_of_lengths(const crs_config &config, const std::vector<int64_t> &lengths) {
    crs::Texts texts;
    for (size_t r = 0; r < lengths.size(); r++) {
        std::string text;
        for (int64_t i = 0; i < lengths[r]; i++)
            text += "r" + std::to_string(r) + " ";
        texts.emplace_back(text, r % 3 == 0 ? "a" : "b");
    }
    return crs::rows_of(config, texts);
}

std::vector<int64_t> random_lengths(size_t count, int64_t most, uint64_t seed) {
    crs::Random random(seed);
    std::vector<int64_t> lengths(count);
    for (int64_t &length : lengths)
        length = random.below(most + 1);
    lengths[0] = most;
    return lengths;
}

/* Frees what it planned. */
class Batches {
  public:
    Batches(const crs::Rows &rows, const crs_config &config, const Place *chosen = nullptr, int64_t per_batch = 0) {
        crs_error error = {};
        EXPECT_EQ(crs__batches_create(rows.get(), &config, chosen ? chosen->data() : nullptr,
                                      chosen ? (int64_t)chosen->size() : 0, 2, per_batch ? per_batch : config.batch, 0,
                                      &batches, &error),
                  CRS_OK)
            << error.what;
    }
    Batches(const Batches &) = delete;
    ~Batches() {
        crs__batches_free(&batches);
    }
    /* The places of each batch as planned. */
    std::vector<Place> plan() const {
        std::vector<Place> all;
        for (int64_t i = 0; i < batches.batches; i++) {
            const int64_t *places = crs__batches_places(&batches, i);
            all.emplace_back(places, places + (batches.first[i + 1] - batches.first[i]));
        }
        return all;
    }
    Place order() const {
        Place all;
        for (const Place &batch : plan())
            all.insert(all.end(), batch.begin(), batch.end());
        return all;
    }
    crs__batches batches;
};

/* Every cell of every batch of the plan, against the rows it should hold. */
void expect_cells(Batches &plan, const crs::Rows &rows, const crs_config &config) {
    const std::vector<Place> places = plan.plan();
    for (size_t i = 0; i < places.size(); i++) {
        SCOPED_TRACE("batch " + std::to_string(i));
        const crs_batch batch = crs__batches_get(&plan.batches, (int64_t)i);
        ASSERT_EQ(batch.B, (int64_t)places[i].size());
        int64_t longest = 1, tokens = 0;
        for (const int64_t place : places[i])
            longest = std::max(longest, rows.length(plan.batches.chosen[place]));
        ASSERT_EQ(batch.T, config.mask ? longest : config.length);
        ASSERT_EQ(batch.len != nullptr, config.mask != 0);
        ASSERT_EQ(batch.start != nullptr, config.mask != 0);
        for (int64_t b = 0; b < batch.B; b++) {
            const int64_t row = plan.batches.chosen[places[i][(size_t)b]];
            const std::vector<int32_t> ids = rows.ids(row);
            const int64_t length = (int64_t)ids.size(), start = config.pad == CRS_SIDE_PRE ? batch.T - length : 0;
            ASSERT_EQ(batch.labels[b], crs_dataset_label(rows.get(), row));
            if (config.mask) {
                ASSERT_EQ(batch.start[b], start);
                ASSERT_EQ(batch.len[b], length);
            }
            for (int64_t t = 0; t < batch.T; t++) {
                const bool live = t >= start && t < start + length;
                ASSERT_EQ(batch.ids[t * batch.B + b], live ? ids[(size_t)(t - start)] : 0)
                    << "row " << row << ", " << t;
            }
            tokens += config.mask ? length : batch.T;
        }
        ASSERT_EQ(crs__batch_tokens(&batch), tokens);
    }
}

TEST(Batch, EveryRowOnceAnEpochAndPaddedAsAsked) {
    crs_config config = crs::every_word(9);
    config.batch = 8;
    for (const size_t count : {1, 8, 9, 1000}) {
        const crs::Rows rows = rows_of_lengths(config, random_lengths(std::max<size_t>(count, 2), 9, 5));
        Place all(count);
        std::iota(all.begin(), all.end(), 0);
        for (int choice = 0; choice < 8; choice++) {
            config.bucket = choice & 1;
            config.mask = choice >> 1 & 1;
            config.pad = choice & 4 ? CRS_SIDE_PRE : CRS_SIDE_POST;
            SCOPED_TRACE(
                crs::format("%zu rows, bucket %d, mask %d, pad %d", count, config.bucket, config.mask, config.pad));
            Batches plan(rows, config, &all);
            for (int64_t epoch = 1; epoch <= 2; epoch++) {
                crs__batches_shuffle(&plan.batches, epoch);
                EXPECT_EQ(plan.plan().size(), (count + 7) / 8);
                Place seen = plan.order();
                std::sort(seen.begin(), seen.end());
                EXPECT_EQ(seen, all);
                expect_cells(plan, rows, config);
            }
        }
    }
}

TEST(Batch, OnlyChosenRowsInAnyOrderAndAnyNumber) {
    crs_config config = crs::every_word(6);
    config.batch = 2;
    const crs::Rows rows = rows_of_lengths(config, {6, 1, 2, 3, 4, 5});
    const Place chosen = {4, 1, 1, 5};
    Batches plan(rows, config, &chosen);
    EXPECT_EQ(plan.batches.T, 5) << "the longest of the chosen";
    crs__batches_shuffle(&plan.batches, 1);
    Place seen = plan.order();
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, (Place{0, 1, 2, 3}));
    expect_cells(plan, rows, config);
}

TEST(Batch, RowsWithoutTokensTakeOneStepOfPadding) {
    crs_config config = crs::every_word(6);
    config.pad = CRS_SIDE_PRE;
    const crs::Rows rows = rows_of_lengths(config, {3, 0, 0});
    const Place empty = {1, 2};
    Batches plan(rows, config, &empty);
    crs__batches_shuffle(&plan.batches, 1);
    expect_cells(plan, rows, config);
    const crs_batch batch = crs__batches_get(&plan.batches, 0);
    EXPECT_EQ(batch.T, 1);
    EXPECT_EQ(batch.start[0], 1);
    EXPECT_EQ(batch.len[0], 0);
}

/* The windows are those of the order without buckets, which comes of the same shuffle. */
TEST(Batch, BucketsAreWindowsOfTheShuffleSortedByLength) {
    crs_config config = crs::every_word(12);
    config.batch = 4;
    const size_t count = 2 * 64 * 4 + 101;
    const std::vector<int64_t> lengths = random_lengths(count, 12, 6);
    const crs::Rows rows = rows_of_lengths(config, lengths);
    config.bucket = 0;
    Batches plain(rows, config);
    crs__batches_shuffle(&plain.batches, 3);
    config.bucket = 1;
    Batches bucketed(rows, config);
    crs__batches_shuffle(&bucketed.batches, 3);

    Place order = plain.order();
    std::vector<Place> expected;
    for (size_t window = 0; window < count; window += 256) {
        const auto begin = order.begin() + (ptrdiff_t)window;
        const auto end = order.begin() + (ptrdiff_t)std::min(count, window + 256);
        std::stable_sort(begin, end, [&](int64_t a, int64_t b) { return lengths[(size_t)a] < lengths[(size_t)b]; });
        for (auto at = begin; at != end; at += std::min<ptrdiff_t>(4, end - at))
            expected.emplace_back(at, at + std::min<ptrdiff_t>(4, end - at));
    }
    std::vector<Place> got = bucketed.plan();
    EXPECT_NE(got, expected) << "the batches of the epoch are shuffled, short and long ones mixed";
    std::sort(expected.begin(), expected.end());
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, expected);
}

TEST(Batch, WithoutTheMaskThereAreNoBuckets) {
    crs_config config = crs::every_word(12);
    config.mask = 0;
    const crs::Rows rows = rows_of_lengths(config, random_lengths(300, 12, 7));
    config.bucket = 0;
    Batches plain(rows, config);
    crs__batches_shuffle(&plain.batches, 1);
    config.bucket = 1;
    Batches bucketed(rows, config);
    crs__batches_shuffle(&bucketed.batches, 1);
    EXPECT_EQ(bucketed.order(), plain.order());
}

TEST(Batch, OrderDependsOnSeedAndEpochAlone) {
    crs_config config = crs::every_word(12);
    config.seed = 4;
    const crs::Rows rows = rows_of_lengths(config, random_lengths(300, 12, 8));
    Batches one(rows, config), other(rows, config);
    crs__batches_shuffle(&one.batches, 1);
    const Place first = one.order();
    crs__batches_shuffle(&one.batches, 2);
    EXPECT_NE(one.order(), first) << "another epoch";
    crs__batches_shuffle(&other.batches, 2);
    EXPECT_EQ(other.order(), one.order()) << "epoch 2 must not depend on epoch 1 having been planned";
    config.seed = 5;
    crs__batches_shuffle(&other.batches, 2);
    EXPECT_NE(other.order(), one.order()) << "another seed";
}

TEST(Batch, EveryOrderIsAsLikely) {
    crs_config config = crs::every_word(4);
    config.bucket = 0;
    const crs::Rows rows = rows_of_lengths(config, {1, 2, 3, 4});
    Batches plan(rows, config);
    std::map<Place, int> seen;
    const int draws = 24000;
    for (int64_t epoch = 1; epoch <= draws; epoch++) {
        crs__batches_shuffle(&plan.batches, epoch);
        seen[plan.order()]++;
    }
    ASSERT_EQ(seen.size(), 24U);
    for (const auto &[order, times] : seen)
        EXPECT_NEAR(times, draws / 24.0, 5 * std::sqrt(draws / 24.0));
}

TEST(Batch, EvaluationGoesByLengthThenByPlace) {
    crs_config config = crs::every_word(5);
    config.word_dropout = 0.9;
    const std::vector<int64_t> lengths = random_lengths(200, 5, 9);
    const crs::Rows rows = rows_of_lengths(config, lengths);
    Batches plan(rows, config, nullptr, 7);
    crs__batches_shuffle(&plan.batches, 1); /* must leave no trace */
    crs__batches_sort(&plan.batches);
    Place expected(200);
    std::iota(expected.begin(), expected.end(), 0);
    std::stable_sort(expected.begin(), expected.end(),
                     [&](int64_t a, int64_t b) { return lengths[(size_t)a] < lengths[(size_t)b]; });
    EXPECT_EQ(plan.order(), expected);
    EXPECT_EQ(plan.plan().size(), 29U);
    expect_cells(plan, rows, config); /* and no word is dropped */
}

/* The dropped tokens of an epoch, by row and position. Padding must be left alone. */
std::set<std::pair<int64_t, int64_t>> dropped(const crs::Rows &rows, const crs_config &config, int64_t epoch,
                                              int64_t per_batch) {
    Batches plan(rows, config, nullptr, per_batch);
    crs__batches_shuffle(&plan.batches, epoch);
    const std::vector<Place> places = plan.plan();
    std::set<std::pair<int64_t, int64_t>> all;
    for (size_t i = 0; i < places.size(); i++) {
        const crs_batch batch = crs__batches_get(&plan.batches, (int64_t)i);
        for (int64_t cell = 0; cell < batch.T * batch.B; cell++) {
            const int64_t t = cell / batch.B, b = cell % batch.B, row = places[i][(size_t)b];
            const std::vector<int32_t> ids = rows.ids(row);
            const int64_t at = t - batch.start[b];
            const bool live = at >= 0 && at < batch.len[b];
            if (live && batch.ids[cell] == CRS_ID_OOV)
                all.emplace(row, at);
            else
                EXPECT_EQ(batch.ids[cell], live ? ids[(size_t)at] : 0);
        }
    }
    return all;
}

TEST(Batch, WordsAreDroppedAtTheRateAndTheSameOnesAgain) {
    crs_config config = crs::every_word(40);
    config.word_dropout = 0.3;
    config.batch = 16;
    const std::vector<int64_t> lengths = random_lengths(600, 40, 10);
    const crs::Rows rows = rows_of_lengths(config, lengths);
    const double tokens = (double)std::accumulate(lengths.begin(), lengths.end(), (int64_t)0);
    const auto first = dropped(rows, config, 1, 16), second = dropped(rows, config, 2, 16);
    EXPECT_NEAR((double)first.size(), 0.3 * tokens, 5 * std::sqrt(0.21 * tokens));
    EXPECT_NEAR((double)second.size(), 0.3 * tokens, 5 * std::sqrt(0.21 * tokens));
    EXPECT_EQ(dropped(rows, config, 1, 5), first) << "however the rows are batched";
    std::vector<std::pair<int64_t, int64_t>> both;
    std::set_intersection(first.begin(), first.end(), second.begin(), second.end(), std::back_inserter(both));
    EXPECT_NEAR((double)both.size(), 0.09 * tokens, 5 * std::sqrt(0.09 * 0.91 * tokens)) << "epochs are independent";
    /* Neighbouring rows must not share their pattern. */
    int64_t alike = 0, pairs = 0;
    for (int64_t row = 0; row + 1 < 600; row++)
        for (int64_t t = 0; t < std::min(rows.length(row), rows.length(row + 1)); t++, pairs++)
            alike += first.count({row, t}) && first.count({row + 1, t});
    EXPECT_NEAR((double)alike, 0.09 * (double)pairs, 5 * std::sqrt(0.09 * 0.91 * (double)pairs));
    config.seed++;
    EXPECT_NE(dropped(rows, config, 1, 16), first);
    config.word_dropout = 0;
    EXPECT_TRUE(dropped(rows, config, 1, 16).empty());
}

void expect_refused(const crs::Rows &rows, const crs_config &config, Place chosen, int64_t classes, int64_t per_batch,
                    crs_status status, const std::string &what) {
    crs__batches batches;
    chosen.reserve(1); /* an empty choice is not NULL, which would be all rows */
    crs_error error = {};
    EXPECT_EQ(crs__batches_create(rows.get(), &config, chosen.data(), (int64_t)chosen.size(), classes, per_batch, 0,
                                  &batches, &error),
              status);
    EXPECT_NE(std::string(error.what).find(what), std::string::npos) << error.what;
    EXPECT_STRNE(error.mend, "");
}

TEST(Batch, RowsThatDoNotFitAreRefused) {
    crs_config config = crs::every_word(6);
    const crs::Rows rows = rows_of_lengths(config, {6, 1, 2, 3});
    expect_refused(rows, config, {}, 2, 4, CRS_ERR_ARGUMENT, "no rows");
    expect_refused(rows, config, {0, 4}, 2, 4, CRS_ERR_ARGUMENT, "row 4 is not");
    expect_refused(rows, config, {-1}, 2, 4, CRS_ERR_ARGUMENT, "row -1 is not");
    expect_refused(rows, config, {0, 1}, 1, 4, CRS_ERR_ARGUMENT, "row 1 is of class 1, but the model has 1");
    expect_refused(rows, config, {0, 1}, 2, 0, CRS_ERR_CONFIG, "batch of 0 rows");
    config.length = 5;
    expect_refused(rows, config, {1, 0}, 2, 4, CRS_ERR_ARGUMENT, "row 0 has 6 tokens, but the length is 5");
}

} // namespace
