/* Rows set aside for validation: how many, which, and that nothing is lost or used twice. */
#include "rows.hpp"
#include "verdict.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

namespace {

using Place = std::vector<int64_t>;

struct Split {
    crs_status status = CRS_OK;
    crs_error error = {};
    Place train, validation;
};

Split split(const crs::Rows &rows, const crs_config &config) {
    int64_t *train, *validation, train_count, validation_count;
    Split made;
    made.status =
        crs_split_rows(rows.get(), &config, &train, &train_count, &validation, &validation_count, &made.error);
    made.train.assign(train, train + train_count);
    made.validation.assign(validation, validation + validation_count);
    std::free(train);
    std::free(validation);
    return made;
}

/* labels[r] is a letter. */
crs::Rows rows_of_labels(const std::string &labels) {
    crs::Texts texts;
    for (size_t r = 0; r < labels.size(); r++)
        texts.emplace_back("word" + std::to_string(r), std::string(1, labels[r]));
    return crs::rows_of(crs::every_word(4), texts);
}

crs_config splitting(double fraction, int how, uint64_t seed = 1) {
    crs_config config = crs::every_word(4);
    config.validation = fraction;
    config.validation_split = how;
    config.seed = seed;
    return config;
}

/* Both sides together are every row once, each side in the rows' order. */
void expect_partition(const Split &made, const crs::Rows &rows) {
    Place all(made.train), every((size_t)crs_dataset_rows(rows.get()));
    all.insert(all.end(), made.validation.begin(), made.validation.end());
    std::sort(all.begin(), all.end());
    std::iota(every.begin(), every.end(), 0);
    EXPECT_EQ(all, every);
    EXPECT_TRUE(std::is_sorted(made.train.begin(), made.train.end()));
    EXPECT_TRUE(std::is_sorted(made.validation.begin(), made.validation.end()));
}

int64_t of_class(const Place &side, const crs::Rows &rows, int64_t class_) {
    return std::count_if(side.begin(), side.end(),
                         [&](int64_t row) { return crs_dataset_label(rows.get(), row) == class_; });
}

std::string letters(size_t a, size_t b, size_t c) {
    return std::string(a, 'a') + std::string(b, 'b') + std::string(c, 'c');
}

TEST(Split, EachClassGivesItsShare) {
    const crs::Rows rows = rows_of_labels(letters(100, 47, 3));
    const Split made = split(rows, splitting(0.2, CRS_SPLIT_STRATIFIED));
    ASSERT_EQ(made.status, CRS_OK) << made.error.what;
    expect_partition(made, rows);
    EXPECT_EQ(of_class(made.validation, rows, 0), 20);
    EXPECT_EQ(of_class(made.validation, rows, 1), 9) << "9.4, to the nearest";
    EXPECT_EQ(of_class(made.validation, rows, 2), 1) << "0.6, to the nearest";
}

TEST(Split, DependsOnTheSeed) {
    const crs::Rows rows = rows_of_labels(letters(50, 50, 0));
    const Split one = split(rows, splitting(0.3, CRS_SPLIT_STRATIFIED, 1));
    const Split again = split(rows, splitting(0.3, CRS_SPLIT_STRATIFIED, 1));
    const Split other = split(rows, splitting(0.3, CRS_SPLIT_STRATIFIED, 2));
    EXPECT_EQ(one.validation, again.validation);
    EXPECT_NE(one.validation, other.validation);
    /* Classes are drawn apart from each other: not the same places in each. */
    Place first, second;
    for (const int64_t row : one.validation)
        (row < 50 ? first : second).push_back(row % 50);
    EXPECT_NE(first, second);
}

TEST(Split, EveryRowIsAsLikely) {
    const crs::Rows rows = rows_of_labels(letters(6, 4, 0));
    std::vector<int> times(10);
    const int draws = 4000;
    for (uint64_t seed = 0; seed < (uint64_t)draws; seed++)
        for (const int64_t row : split(rows, splitting(0.5, CRS_SPLIT_STRATIFIED, seed)).validation)
            times[(size_t)row]++;
    for (const int count : times)
        EXPECT_NEAR(count, draws / 2, 5 * std::sqrt(draws / 4));
}

TEST(Split, EveryClassKeepsARowForTraining) {
    const crs::Rows rows = rows_of_labels(letters(9, 2, 1));
    const Split made = split(rows, splitting(0.9, CRS_SPLIT_STRATIFIED));
    ASSERT_EQ(made.status, CRS_OK) << made.error.what;
    expect_partition(made, rows);
    for (int64_t c = 0; c < 3; c++)
        EXPECT_EQ(of_class(made.train, rows, c), 1) << "class " << c;
}

TEST(Split, ASmallFractionTakesOneRowOfTheLargestClass) {
    const crs::Rows rows = rows_of_labels(letters(3, 5, 2));
    const Split made = split(rows, splitting(0.01, CRS_SPLIT_STRATIFIED));
    ASSERT_EQ(made.status, CRS_OK) << made.error.what;
    expect_partition(made, rows);
    EXPECT_EQ(made.validation.size(), 1U);
    EXPECT_EQ(of_class(made.validation, rows, 1), 1);
}

/* Where int(n * (1 - fraction)) of Python cuts. */
TEST(Split, LastRowsAsKeras) {
    const struct {
        size_t rows;
        double fraction;
        size_t train;
    } cases[] = {{10, 0.1, 9}, {7, 0.25, 5}, {100, 0.33, 67}, {3, 0.5, 1}, {50, 0.07, 46}, {1000, 0.3, 700}};
    for (const auto &c : cases) {
        SCOPED_TRACE(crs::format("%zu rows, %g", c.rows, c.fraction));
        const crs::Rows rows = rows_of_labels(letters(1, c.rows - 1, 0));
        const Split made = split(rows, splitting(c.fraction, CRS_SPLIT_LAST));
        ASSERT_EQ(made.status, CRS_OK) << made.error.what;
        expect_partition(made, rows);
        EXPECT_EQ(made.train.size(), c.train);
        EXPECT_EQ(made.train.back(), (int64_t)c.train - 1);
    }
}

void expect_refused(const crs::Rows &rows, const crs_config &config, const std::string &what) {
    const Split made = split(rows, config);
    EXPECT_EQ(made.status, CRS_ERR_CONFIG);
    EXPECT_NE(std::string(made.error.what).find(what), std::string::npos) << made.error.what;
    EXPECT_STRNE(made.error.mend, "");
    EXPECT_TRUE(made.train.empty() && made.validation.empty());
}

TEST(Split, NothingForOneSideIsRefused) {
    const crs::Rows rows = rows_of_labels("ab");
    expect_refused(rows, splitting(0.5, CRS_SPLIT_STRATIFIED), "no row for validation");
    expect_refused(rows, splitting(0.9, CRS_SPLIT_LAST), "no row for training");
    for (const double fraction : {0.0, 1.0, -0.5, std::nan("")})
        expect_refused(rows, splitting(fraction, CRS_SPLIT_STRATIFIED), "splits nothing");
}

} // namespace
