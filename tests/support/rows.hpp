/* Datasets of rows written down in a test. Not for reading files. */
#ifndef CRS_TESTS_ROWS_HPP
#define CRS_TESTS_ROWS_HPP

#include <carousel/carousel.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace crs {

using Texts = std::vector<std::pair<std::string, std::string>>; /* text, label */

struct FreeDataset {
    void operator()(crs_dataset *dataset) const {
        crs_dataset_free(dataset);
    }
    void operator()(crs_encoder *encoder) const {
        crs_encoder_free(encoder);
    }
};

/* A dataset, and the encoder where it was fitted. */
struct Rows {
    std::unique_ptr<crs_encoder, FreeDataset> encoder;
    std::unique_ptr<crs_dataset, FreeDataset> dataset;

    const crs_dataset *get() const {
        return dataset.get();
    }
    int64_t length(int64_t row) const {
        return crs_dataset_length(get(), row);
    }
    std::vector<int32_t> ids(int64_t row) const {
        std::vector<int32_t> all((size_t)length(row));
        crs_dataset_ids(get(), row, all.data());
        return all;
    }
};

/* Fits on the texts, or encodes them with the encoder given. */
inline Rows rows_of(const crs_config &config, const Texts &texts, const crs_encoder *encoder = nullptr) {
    crs_dataset_builder *builder = nullptr;
    crs_error error = {};
    Rows rows;
    EXPECT_EQ(crs_dataset_builder_create(&config, encoder, &builder), CRS_OK);
    for (const auto &[text, label] : texts)
        EXPECT_EQ(crs_dataset_builder_add(builder, text.data(), text.size(), label.data(), label.size(), &error),
                  CRS_OK)
            << error.what;
    crs_encoder *fitted = nullptr;
    crs_dataset *dataset = nullptr;
    EXPECT_EQ(crs_dataset_builder_finish(builder, &fitted, &dataset, &error), CRS_OK) << error.what;
    rows.encoder.reset(fitted);
    rows.dataset.reset(dataset);
    return rows;
}

/* Settings under which every word of a test is in the vocabulary. */
inline crs_config every_word(int64_t length) {
    crs_config config;
    crs_config_init(&config);
    config.vocabulary = 100000;
    config.min_count = 1;
    config.length = length;
    return config;
}

} // namespace crs
#endif
