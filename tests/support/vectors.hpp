/* A small set of word vectors in every format, and a network of a few texts that takes them. */
#ifndef CRS_TESTS_VECTORS_HPP
#define CRS_TESTS_VECTORS_HPP

#include "rows.hpp"
#include "text_files.hpp"

#include <cstring>

namespace crs {

using crs_test::Folder;

/* ---- a classifier and its table ---- */

class Network {
  public:
    Network(const crs_config &config, const Texts &texts, const char *backend = "cpu")
        : Network(config, rows_of(config, texts), backend) {}
    Network(const crs_config &config, Rows &&fitted, const char *backend = "cpu") : rows(std::move(fitted)) {
        crs_error error = {};
        const crs_device_options options = {-1, 1, nullptr, CRS_FLOAT32, CRS_GRAPHS_AUTO};
        EXPECT_EQ(crs_backend_open(backend, &options, &backend_, &error), CRS_OK) << error.what;
        EXPECT_EQ(crs_classifier_create(&config, rows.encoder.get(), backend_, &classifier, &error), CRS_OK)
            << error.what;
        (void)rows.encoder.release(); // it is the classifier's now
    }
    Network(const Network &) = delete;
    ~Network() {
        crs_classifier_free(classifier);
        crs_backend_close(backend_);
    }
    std::vector<double> weights() const {
        std::vector<double> all(static_cast<size_t>(crs_model_parameters(classifier->model)));
        EXPECT_EQ(crs_model_get_parameters(classifier->model, all.data()), CRS_OK);
        return all;
    }
    // The embedding, row by row.
    std::vector<std::vector<double>> table() const {
        const crs_tensor_info tensor = crs_model_tensor(classifier->model, 0);
        const std::vector<double> all = weights();
        std::vector<std::vector<double>> found;
        for (int64_t row = 0; row < tensor.shape[0]; row++) {
            const auto begin = all.begin() + tensor.offset + row * tensor.shape[1];
            found.emplace_back(begin, begin + tensor.shape[1]);
        }
        return found;
    }
    size_t id(const std::string &token) const {
        for (int64_t i = CRS_ID_FIRST; i < crs_encoder_vocabulary(classifier->encoder); i++)
            if (token == crs_encoder_token(classifier->encoder, i))
                return static_cast<size_t>(i);
        ADD_FAILURE() << "no token " << token;
        return 0;
    }
    std::vector<double> vector_of(const std::string &token) const {
        return table()[id(token)];
    }

    Rows rows;
    crs_classifier *classifier = nullptr;

  private:
    crs_backend *backend_ = nullptr;
};

inline const Texts texts = {{"the cat sat", "a"}, {"the cat and the hat", "b"}, {"a café, 한글", "a"}};
inline const char *const line3 = "embedding 3 | mean | dense";

inline crs_config settings(const char *line = line3) {
    crs_config config = every_word(8);
    snprintf(config.model, sizeof config.model, "%s", line);
    return config;
}

struct Loaded {
    crs_status status;
    crs_error error = {};
    crs_vectors_coverage coverage = {};
};

inline Loaded load(const Network &network, const std::string &path) {
    Loaded loaded = {};
    loaded.status = crs_vectors_load(network.classifier, path.c_str(), network.rows.get(), nullptr, 0, &loaded.coverage,
                                     &loaded.error);
    return loaded;
}

inline std::vector<double> floats(const std::vector<std::string> &numbers) {
    std::vector<double> values;
    for (const std::string &number : numbers)
        values.push_back(static_cast<double>(static_cast<float>(std::stod(number))));
    return values;
}

/* ---- one set of vectors in every format ---- */

inline const std::vector<std::pair<std::string, std::vector<std::string>>> known = {
    {"the", {"0.418", "-0.24968", "0.1"}},
    {"cat", {"1e-3", "-3.4e+38", "7"}},
    {"한글", {"0.33333333333333331", "-.5", "+2."}},
    {"café", {"0", "-0.0", "1.17549435e-38"}},
    {"dog", {"1", "2", "3"}}};

inline std::string glove() {
    std::string bytes;
    for (const auto &[token, numbers] : known)
        bytes += token + " " + numbers[0] + " " + numbers[1] + " " + numbers[2] + "\n";
    return bytes;
}

inline std::string fasttext() { // a space before each line's end
    std::string bytes = "5 3\n";
    for (const auto &[token, numbers] : known)
        bytes += token + " " + numbers[0] + " " + numbers[1] + " " + numbers[2] + " \n";
    return bytes;
}

inline std::string raw(const std::vector<double> &values) {
    std::string bytes;
    for (const double value : values) {
        const auto narrow = static_cast<float>(value);
        uint32_t bits;
        std::memcpy(&bits, &narrow, sizeof bits);
        for (int shift = 0; shift < 32; shift += 8)
            bytes += static_cast<char>(bits >> shift & 0xff);
    }
    return bytes;
}

inline std::string binary(const std::string &after_each) {
    std::string bytes = "5 3\n";
    for (const auto &[token, numbers] : known)
        bytes += token + " " + raw(floats(numbers)) + after_each;
    return bytes;
}

struct Format {
    const char *name;
    std::string bytes;
};

inline const std::vector<Format> formats = {{"GloVe text", glove()},
                                            {"word2vec text", fasttext()},
                                            {"word2vec binary", binary("\n")},
                                            {"word2vec binary", binary("")}};

} // namespace crs
#endif
