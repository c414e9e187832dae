/* Small tasks that a network can learn in a second, and a model to learn them. */
#ifndef CRS_TESTS_TASK_HPP
#define CRS_TESTS_TASK_HPP

#include "rows.hpp"
#include "verdict.hpp"

#include <algorithm>
#include <cstdio>

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
        const crs_device_options options = {-1, threads, nullptr, CRS_FLOAT32, CRS_GRAPHS_AUTO};
        EXPECT_EQ(crs_backend_open("cpu", &options, &backend_, &error), CRS_OK) << error.what;
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

inline void train(Trained &trained, const Model &model, const crs_config &config, const Rows &rows,
                  const Rows *validation = nullptr, const crs_train_hooks *hooks = nullptr) {
    trained.status = crs_train(model.get(), &config, rows.get(), nullptr, 0, validation ? validation->get() : nullptr,
                               nullptr, 0, hooks, &trained.history, &trained.error);
}

struct FreeMetrics {
    void operator()(crs_metrics *metrics) const {
        crs_metrics_free(metrics);
    }
};
using Metrics = std::unique_ptr<crs_metrics, FreeMetrics>;

inline Metrics evaluate(const Model &model, const crs_config &config, const Rows &rows,
                        const std::vector<int64_t> *chosen = nullptr) {
    crs_metrics *metrics = nullptr;
    crs_error error = {};
    EXPECT_EQ(crs_evaluate(model.get(), &config, rows.get(), chosen ? chosen->data() : nullptr,
                           chosen ? (int64_t)chosen->size() : 0, &metrics, &error),
              CRS_OK)
        << error.what;
    return Metrics(metrics);
}

inline crs_config settings(const char *line, double lr = 0.01, int64_t epochs = 4) {
    crs_config config = every_word(8);
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
    Rows train, validation;
    Data(const crs_config &config, const Texts &texts, const Texts &others)
        : train(rows_of(config, texts)), validation(rows_of(config, others, train.encoder.get())) {}
};

inline Data occurs(const crs_config &config) {
    return Data(config, word_occurs(200, 1), word_occurs(100, 2));
}

/* Nothing to be learnt: what fits the training rows makes the others worse. */
inline Data noise(const crs_config &config) {
    return Data(config, shuffled_labels(word_occurs(60, 1), 3), shuffled_labels(word_occurs(60, 2), 4));
}

inline const char *const LSTM = "embedding 6 | lstm 8 | dense 2";

} // namespace crs
#endif
