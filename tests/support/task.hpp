/* Small tasks that a network can learn in a second, and a model to learn them. */
#ifndef CRS_TESTS_TASK_HPP
#define CRS_TESTS_TASK_HPP

#include "rows.hpp"
#include "verdict.hpp"

#include <algorithm>

namespace crs {

/* Texts of 3 to 8 words of ten; "yes" where the word w5 is among them. */
inline Texts word_occurs(size_t count, uint64_t seed) {
    Random random(seed);
    Texts texts;
    for (size_t r = 0; r < count; r++) {
        std::string text;
        const bool occurs = random.below(2) == 1;
        const int64_t words = 3 + random.below(6), at = random.below(words);
        for (int64_t i = 0; i < words; i++) {
            const int64_t word = random.below(9);
            text += "w" + std::to_string(occurs && i == at ? 5 : word < 5 ? word : word + 1) + " ";
        }
        texts.emplace_back(text, occurs ? "yes" : "no");
    }
    return texts;
}

/* Both "a" and "b" stand once among three other words, up to 6 in all; the label is the one that comes first. */
inline Texts which_comes_first(size_t count, uint64_t seed) {
    Random random(seed);
    Texts texts;
    for (size_t r = 0; r < count; r++) {
        std::vector<std::string> words = {"a", "b"};
        for (int64_t i = 0, n = random.below(5); i < n; i++)
            words.push_back("f" + std::to_string(random.below(3)));
        for (size_t i = words.size() - 1; i > 0; i--)
            std::swap(words[i], words[(size_t)random.below((int64_t)i + 1)]);
        std::string text, label;
        for (const std::string &word : words) {
            text += word + " ";
            if (label.empty() && word.size() == 1)
                label = word;
        }
        texts.emplace_back(text, label);
    }
    return texts;
}

/* The same texts with labels that say nothing about them. */
inline Texts shuffled_labels(Texts texts, uint64_t seed) {
    Random random(seed);
    for (auto &row : texts)
        row.second = random.below(2) ? "yes" : "no";
    return texts;
}

/* A model of config's line for the classes and vocabulary of an encoder, on a backend of its own. */
class Model {
  public:
    Model(const crs_config &config, const crs_encoder *encoder, int threads = 1) {
        crs_error error = {};
        EXPECT_EQ(crs_backend_open("cpu", threads, nullptr, &backend_, &error), CRS_OK) << error.what;
        crs_model_task task = {};
        task.vocabulary = crs_encoder_vocabulary(encoder);
        task.classes = crs_encoder_classes(encoder);
        task.length = config.length;
        task.loss = config.loss;
        task.seed = config.seed;
        EXPECT_EQ(crs_model_create(config.model, &task, backend_, &model_, &error), CRS_OK) << error.what;
    }
    Model(const Model &) = delete;
    ~Model() {
        crs_model_free(model_);
        crs_backend_close(backend_);
    }
    crs_model *get() const {
        return model_;
    }
    std::vector<double> weights() const {
        std::vector<double> all((size_t)crs_model_parameters(model_));
        EXPECT_EQ(crs_model_get_parameters(model_, all.data()), CRS_OK);
        return all;
    }

  private:
    crs_backend *backend_ = nullptr;
    crs_model *model_ = nullptr;
};

} // namespace crs
#endif
