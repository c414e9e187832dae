// Datasets read or built by a test, with what came of it. Says nothing about what is right.
#ifndef CRS_TEST_DATASETS_H
#define CRS_TEST_DATASETS_H

#include "text_files.hpp"

#include <memory>
#include <random>
#include <utility>

namespace crs_test {

using Ids = std::vector<int32_t>;

struct Made {
    crs_status status = CRS_OK;
    crs_error error = {};
    std::unique_ptr<crs_encoder, void (*)(crs_encoder *)> encoder{nullptr, crs_encoder_free};
    std::unique_ptr<crs_dataset, void (*)(crs_dataset *)> data{nullptr, crs_dataset_free};

    Ids ids(int64_t row) const {
        Ids all(static_cast<size_t>(crs_dataset_length(data.get(), row)));
        crs_dataset_ids(data.get(), row, all.data());
        return all;
    }
    const crs_dataset_stats &stats() const {
        return *crs_dataset_statistics(data.get());
    }
};

using Pairs = std::vector<std::pair<std::string, std::string>>; // label, text

inline Made build(const Pairs &rows, const crs_config &config, const crs_encoder *encoder = nullptr) {
    Made made;
    crs_dataset_builder *builder;
    EXPECT_EQ(crs_dataset_builder_create(&config, encoder, &builder), CRS_OK);
    for (const auto &[label, text] : rows) {
        made.status =
            crs_dataset_builder_add(builder, text.data(), text.size(), label.data(), label.size(), &made.error);
        if (made.status != CRS_OK) {
            crs_dataset_builder_free(builder);
            return made;
        }
    }
    crs_encoder *fitted;
    crs_dataset *data;
    made.status = crs_dataset_builder_finish(builder, &fitted, &data, &made.error);
    made.encoder.reset(fitted);
    made.data.reset(data);
    return made;
}

inline Made read(const std::string &path, const crs_config &config, const crs_encoder *encoder = nullptr) {
    Made made;
    crs_encoder *fitted;
    crs_dataset *data;
    made.status = crs_dataset_read(path.c_str(), &config, encoder, &fitted, &data, &made.error);
    made.encoder.reset(fitted);
    made.data.reset(data);
    return made;
}

inline std::vector<std::string> tokens_of(const Made &made) {
    std::vector<std::string> tokens;
    for (int64_t id = CRS_ID_FIRST; id < crs_encoder_vocabulary(made.encoder.get()); id++)
        tokens.emplace_back(crs_encoder_token(made.encoder.get(), id));
    return tokens;
}

inline std::vector<std::string> labels_of(const Made &made) {
    std::vector<std::string> labels;
    for (int64_t k = 0; k < crs_encoder_classes(made.encoder.get()); k++)
        labels.emplace_back(crs_encoder_label(made.encoder.get(), k));
    return labels;
}

// Lines of fastText in five classes with many words, some of them rare.
inline std::string many_rows(size_t rows, uint32_t seed) {
    std::mt19937 random(seed);
    std::string text;
    for (size_t r = 0; r < rows; r++) {
        text += "__label__" + std::to_string(random() % 5) + "x";
        for (size_t i = random() % 40; i > 0; i--)
            text += " Word" + std::to_string(random() % (1 + random() % 30000)) + (random() % 9 ? "" : "é,");
        text += "\n";
    }
    return text;
}

// Rows, classes, encoder and what was counted.
inline void expect_same(const Made &one, const Made &other) {
    ASSERT_EQ(one.status, CRS_OK) << one.error.what;
    ASSERT_EQ(other.status, CRS_OK) << other.error.what;
    const crs_dataset_stats &a = one.stats(), &b = other.stats();
    for (auto field : {&crs_dataset_stats::rows, &crs_dataset_stats::skipped, &crs_dataset_stats::tokens,
                       &crs_dataset_stats::cut_rows, &crs_dataset_stats::oov_tokens, &crs_dataset_stats::empty_rows,
                       &crs_dataset_stats::distinct_tokens, &crs_dataset_stats::longest})
        ASSERT_EQ(a.*field, b.*field);
    EXPECT_STREQ(a.note, b.note);
    for (int64_t row = 0; row < a.rows; row++) {
        ASSERT_EQ(one.ids(row), other.ids(row)) << row;
        ASSERT_EQ(crs_dataset_label(one.data.get(), row), crs_dataset_label(other.data.get(), row)) << row;
    }
    ASSERT_EQ(one.encoder == nullptr, other.encoder == nullptr);
    if (one.encoder) {
        EXPECT_EQ(tokens_of(one), tokens_of(other));
        EXPECT_EQ(labels_of(one), labels_of(other));
    }
}

} // namespace crs_test

#endif
