/* Networks from their line: what is said about a wrong one, sizes as in Keras, first weights, training, predictions;
 * and the registry of backends. Gradients are test_gradients.cpp. */
#include "network.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

extern "C" {
extern const crs_ops cpu_f64_ops;
}

namespace {

using crs::Padding;

/* ---- the line ---- */

struct Wrong {
    std::string line;
    int64_t column; /* where the error points */
    const char *what, *mend;
};

const Wrong wrong_lines[] = {
    {"", 0, "no layer", "embedding 64"},
    {"   ", 3, "no layer", "embedding 64"},
    {"embedding 4 |", 13, "a layer is missing", "between |"},
    {"embedding 4 || dense", 13, "a layer is missing", "between |"},
    {"embedding 4 | lsmt 8 | dense", 14, "no layer \"lsmt\"", "did you mean \"lstm\"?"},
    {"embedding 4 | LSTM 8 | dense", 14, "no layer \"LSTM\"", "did you mean \"lstm\"?"},
    {"embedding 4 | transformer 8 | dense", 14, "no layer \"transformer\"",
     "layers are embedding, onehot, dropout, spatial_dropout, rnn, lstm, gru, birnn, bilstm, bigru, conv, conv2d, "
     "maxpool, maxpool2d, avgpool, avgpool2d, batchnorm, layernorm, flatten, last, mean, max, dense"},
    {"embedding 4 | lstm | dense", 14, "\"lstm\" without a number of units", "\"lstm 64\""},
    {"embedding 4 | dropout | dense", 14, "\"dropout\" without a rate", "\"dropout 0.25\""},
    {"embedding 4 | lstm 0 | dense", 19, "\"0\" is no number of units of lstm", "1 to 65536"},
    {"embedding 4 | lstm -8 | dense", 19, "\"-8\" is no number of units", "1 to 65536"},
    {"embedding 4 | lstm 65537 | dense", 19, "\"65537\" is no number of units", "1 to 65536"},
    {"embedding 4 | lstm 99999999999999999999999 | dense", 19, "is no number of units", "1 to 65536"},
    {"embedding 4 | lstm 8.5 | dense", 19, "\"8.5\" is no number of units", "1 to 65536"},
    {"embedding 4 | mean | dense 1048577", 27, "\"1048577\" is no number of units of dense", "1 to 1048576"},
    {"embedding 4 | lstm 8 9 | dense", 21, "the number is given twice", "separated by |"},
    {"embedding 4 | dropout 1 | mean | dense", 22, "\"1\" is no rate of dropout", "0 to below 1"},
    {"embedding 4 | dropout nan | mean | dense", 22, "no option \"nan\"", "dropout takes a rate"},
    {"embedding 4 | lstm 8 dropout=1.5 | dense", 29, "\"1.5\" is no rate of dropout", "0 to below 1"},
    {"embedding 4 | lstm 8 dropout= | dense", 29, "\"\" is no rate of dropout", "0 to below 1"},
    {"embedding 4 | lstm 8 dropout=-0.1 | dense", 29, "\"-0.1\" is no rate", "0 to below 1"},
    {"embedding 4 | lstm 8 dropout=1e-1 | dense", 29, "\"1e-1\" is no rate", "0.25"},
    {"embedding 4 | lstm 8 dropout=0.1234567890123456 | dense", 29, "is no rate of dropout", "0.25"},
    {"embedding 4 | lstm 8 dropout=0,2 | dense", 29, "\"0,2\" is no rate", "0.25"},
    {"embedding 4 | lstm 8 dropout | dense", 21, "\"dropout\" without a value", "dropout=RATE"},
    {"embedding 4 | lstm 8 sek | dense", 21, "\"lstm\" has no option \"sek\"", "did you mean \"seq\"?"},
    {"embedding 4 | lstm 8 recurrent-dropout=0.1 | dense", 21, "no option \"recurrent-dropout\"",
     "did you mean \"recurrent_dropout\"?"},
    {"embedding 4 | lstm 8 relu | dense", 21, "\"lstm\" has no option \"relu\"",
     "lstm takes a number of units, seq, dropout=RATE, recurrent_dropout=RATE, reverse"},
    {"embedding 4 | rnn 8 sigmoid | dense", 20, "\"rnn\" has no option \"sigmoid\"", "activation=tanh|relu"},
    {"embedding 4 | rnn 8 activation=sigmoid | dense", 31, "\"sigmoid\" is no value of activation", "tanh|relu"},
    {"embedding 4 | bilstm 8 merge=mul | dense", 29, "\"mul\" is no value of merge", "concat|sum|mean"},
    {"embedding 4 | bilstm 8 reverse | dense", 23, "no option \"reverse\"", "merge=concat|sum|mean"},
    {"embedding 4 | lstm 8 seq=1 | last | dense", 21, "\"seq\" takes no value", "alone"},
    {"embedding 4 | lstm 8 seq seq | last | dense", 25, "seq is given twice", "keep one"},
    {"embedding 4 | mean 3 | dense", 19, "\"mean\" has no option \"3\"", "mean takes no options"},
    {"lstm 8 | dense", 0, "the first layer is no embedding", "embedding 64"},
    {"embedding 4 | embedding 4 | mean | dense", 14, "\"embedding\" after the first layer", "first"},
    {"embedding 4 | lstm 8 | lstm 8 | dense", 23, "\"lstm 8\" before it gives one vector", "\"lstm 8 seq\""},
    {"embedding 4 | lstm 8 | dropout 0.5 | dense 4 | bilstm 8 | dense", 47, "\"lstm 8\" before it", "\"lstm 8 seq\""},
    {"embedding 4 | mean | rnn 8 | dense", 21, "\"mean\" before it", "put \"rnn\" before \"mean\""},
    {"embedding 4 | lstm 8 | max | dense", 23, "\"max\" needs a sequence", "\"lstm 8 seq\""},
    {"embedding 4 | lstm 8", 14, "the last layer is no \"dense\"", "| dense"},
    {"embedding 4", 0, "the last layer is no \"dense\"", "| dense"},
    {"embedding 4 | dense", 14, "gets a sequence", "\"mean\""},
    {"embedding 4 | lstm 8 seq | dense 3", 27, "gets a sequence", "leave out the last \"seq\""},
    {"embedding 4 | mean | dense 3 sigmoid", 29, "an activation in the last layer", "the loss applies"},
    {"embedding 4 | mean | dense 4", 27, "4 outputs for 3 classes", "\"dense\" or \"dense 3\""},
    {"embedding 4 | mean | dense 1", 27, "1 outputs for 3 classes", "\"dense 3\""},
    {"embedding 4 | mean | dense relu | dense", 21, "\"dense\" without a number", "only the last layer's"},
    {"embedding 4 | conv | max | dense", 14, "\"conv\" without a number of units", "\"conv 64 3\""},
    {"embedding 4 | conv 8 | max | dense", 14, "\"conv\" without a window", "\"conv 64 3\""},
    {"embedding 4 | conv 8 3 3 | max | dense", 23, "the window is given twice", "keep one"},
    {"embedding 4 | conv 8 3x3 | max | dense", 21, "\"3x3\" is no window of conv", "a whole number of steps"},
    {"embedding 4 | conv 8 0 | max | dense", 21, "\"0\" is no window of conv", "1 to 65536"},
    {"embedding 4 | conv 8 3 stride=0 | max | dense", 30, "\"0\" is no value of stride", "1 to 65536"},
    {"embedding 4 | conv 8 3 stride | max | dense", 23, "\"stride\" without a value", "stride=N"},
    {"embedding 4 | conv 8 3 full | max | dense", 23, "no option \"full\"", "padding=valid|same|causal"},
    {"embedding 4 | conv2d 8 3 causal | max | dense", 25, "no option \"causal\"", "padding=valid|same"},
    {"embedding 4 | conv2d 8 3x5 | max | dense", 23, "a window of 5 positions over rows of 4", "\"same\""},
    {"embedding 4 | conv2d 8 3x | max | dense", 23, "\"3x\" is no window", "3x3"},
    {"embedding 4 | conv2d 8 2 stride=2x2x2 | max | dense", 32, "\"2x2x2\" is no value of stride", "2 or 2x1"},
    {"embedding 4 | maxpool | max | dense", 14, "\"maxpool\" without a window", "\"maxpool 3\""},
    {"embedding 4 | maxpool2d 3x5 | max | dense", 24, "a window of 5 positions over rows of 4", "same"},
    {"embedding 4 | mean | conv 8 3 | dense", 21, "\"mean\" before it", "put \"conv\" before \"mean\""},
    {"embedding 4 | conv 8 3 l2=-1 | max | dense", 26, "\"-1\" is no value of l2", "1e-4"},
    {"embedding 4 | conv 8 3 l2=inf | max | dense", 26, "\"inf\" is no value of l2", "1e-4"},
    {"embedding 4 | conv 8 3 l2=1e40 | max | dense", 26, "\"1e40\" is no value of l2", "1e-4"},
    {"embedding 4 | batchnorm epsilon=0 | max | dense", 24, "an epsilon below 1e-16", "0.001"},
    {"embedding 4 | conv 8 3 l2=0x10 | max | dense", 26, "\"0x10\" is no value of l2", "1e-4"},
    {"embedding 4 | conv 8 3 l2=1e-400 | max | dense", 26, "\"1e-400\" is no value of l2", "1e-4"},
    {"embedding 4 frozen l2=0.1 | max | dense", 19, "l2 of a frozen embedding", "leave it out"},
    {"embedding 16 | conv2d 65536 1x1 | conv2d 16384 65536x65536 same | max | dense", 34, "more weights than",
     "smaller window"},
    {"embedding 4 | conv2d 65536 1x1 | conv2d 65536 1x1 | conv2d 8192 65536x16384 same | max | dense", 52,
     "more weights than", "fewer units"},
    {"embedding 4 | conv2d 2 2 | spatial_dropout 0.1 | max | dense", 27, "of a picture", "\"dropout\""},
    {"embedding 4 | onehot | max | dense", 14, "\"onehot\" after the first layer", "first"},
    {"onehot", 0, "\"onehot\" is the last layer", "convolution"},
    {"onehot | dense 4 | max | dense", 9, "\"dense\" behind \"onehot\"", "never written out"},
    {"onehot | lstm 4 dropout=0.1 | dense", 16, "\"dropout\" of one-hot vectors", "embedding"},
    {"embedding 4 | gru 4 mean | dense", 20, "no option \"mean\"", "reset=after|before"},
    {"embedding 4 | l\x01\xff | dense", 14, "no layer \"l\\x01\\xff\"", "layers are"},
};

TEST(Line, ErrorsPointAtTheWord) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    for (const Wrong &wrong : wrong_lines) {
        crs_error error = {};
        EXPECT_EQ(crs::build_model(wrong.line, crs::task_of(), backend, &error), nullptr) << wrong.line;
        EXPECT_EQ(error.status, CRS_ERR_MODEL) << wrong.line << ": " << error.what;
        EXPECT_EQ(error.offset, wrong.column) << wrong.line << ": " << error.what;
        EXPECT_NE(std::string(error.what).find(wrong.what), std::string::npos) << wrong.line << ": " << error.what;
        EXPECT_NE(std::string(error.mend).find(wrong.mend), std::string::npos) << wrong.line << ": " << error.mend;
    }
}

TEST(Line, TwoClassesMayHaveOneOutput) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    crs_model_task task = crs::task_of(2);
    EXPECT_EQ(crs_model_outputs(crs::build_model("embedding 4|mean|dense 1", task, backend).get()), 1);
    EXPECT_EQ(crs_model_outputs(crs::build_model("embedding 4|mean|dense 2", task, backend).get()), 2);
    EXPECT_EQ(crs_model_outputs(crs::build_model("embedding 4|mean|dense", task, backend).get()), 2);
    task.loss = CRS_LOSS_SOFTMAX;
    crs_error error = {};
    EXPECT_EQ(crs::build_model("embedding 4|mean|dense 1", task, backend, &error), nullptr);
    EXPECT_EQ(error.offset, 23);
}

TEST(Line, ThereMayBeAMillionClasses) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    const int64_t most = 1 << 20;
    const crs::Model model = crs::build_model("embedding 4 | mean | dense", crs::task_of(most), backend);
    ASSERT_TRUE(model);
    EXPECT_EQ(crs_model_outputs(model.get()), most);
    for (const int64_t classes : {most + 1, INT64_MAX, INT64_C(1), INT64_C(0), INT64_C(-1)}) {
        crs_error error = {};
        EXPECT_EQ(crs::build_model("embedding 4 | mean | dense", crs::task_of(classes), backend, &error), nullptr);
        EXPECT_EQ(error.status, CRS_ERR_ARGUMENT) << classes << ": " << error.what;
    }
}

/* What is told to be written is taken, whatever the number of classes. */
TEST(Line, AllClassesMayBeWrittenAsANumber) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    for (const int64_t classes : {3, 65536, 65537, 100000, 1 << 20}) {
        crs_error error = {};
        EXPECT_EQ(crs::build_model("embedding 1 | mean | dense 5", crs::task_of(classes), backend, &error), nullptr);
        const std::string mend = error.mend, number = "dense " + std::to_string(classes);
        EXPECT_NE(mend.find("\"" + number + "\""), std::string::npos) << mend;
        const crs::Model model =
            crs::build_model("embedding 1 | mean | " + number, crs::task_of(classes), backend, &error);
        ASSERT_TRUE(model) << error.what;
        EXPECT_EQ(crs_model_outputs(model.get()), classes);
    }
    EXPECT_EQ(crs_model_line_outputs("embedding 1 | mean | dense 1048576"), 1 << 20);
    EXPECT_EQ(crs_model_line_outputs("embedding 1 | mean | dense 1048577"), 0);
}

TEST(Line, HostileOnesAreErrors) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    std::vector<std::string> lines = {std::string(1 << 20, 'x'), std::string(1 << 20, '|'), std::string(1 << 20, '9'),
                                      "embedding " + std::string(1 << 20, '9'),
                                      "embedding 4 | lstm 4 " + std::string(1 << 20, '\xff')};
    std::string deep = "embedding 4";
    for (int i = 0; i < 100; i++)
        deep += "|dropout 0.1";
    lines.push_back(deep + "|mean|dense");
    crs::Random random(9);
    const std::string bytes = "embdlstmrnq=|| 0.9\t\xf0\x9f%sn";
    for (int i = 0; i < 2000; i++) {
        std::string line = i % 2 ? "embedding 4 | lstm 8 " : "";
        for (int64_t k = random.below(40); k >= 0; k--)
            line += bytes[static_cast<size_t>(random.below(static_cast<int64_t>(bytes.size())))];
        lines.push_back(line);
    }
    for (const std::string &line : lines) {
        crs_error error = {};
        const crs::Model model = crs::build_model(line, crs::task_of(), backend, &error);
        if (model)
            continue;
        EXPECT_EQ(error.status, CRS_ERR_MODEL);
        EXPECT_LE(error.offset, static_cast<int64_t>(line.size()));
        EXPECT_NE(error.what[0], '\0');
    }
    EXPECT_EQ(crs::build_model(lines[5], crs::task_of(), backend), nullptr);
}

TEST(Line, WordsInAnyOrderMeanTheSame) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    const crs::Model a =
        crs::build_model("embedding 4 frozen|birnn 8 seq merge=sum activation=relu|max|dense", crs::task_of(), backend);
    const crs::Model b =
        crs::build_model("\tembedding  frozen 4 | birnn relu sum seq 8 |max| dense ", crs::task_of(), backend);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(crs::parameters_of(a), crs::parameters_of(b));
    EXPECT_STREQ(crs_model_layer(b.get(), 1).text, "birnn relu sum seq 8");
    EXPECT_EQ(crs_model_layer(b.get(), 1).shape[2], 8);
    EXPECT_EQ(crs_model_layer(b.get(), 2).rank, 2);
}

/* ---- what a batch must be like ---- */

TEST(FullLength, IsNeededWhereWindowsWouldMove) {
    const struct {
        const char *line;
        int behind, in_front; /* with padding behind, in front */
    } cases[] = {
        {"embedding 4 | lstm 3 | dense", 0, 0},
        {"embedding 4 | conv 3 1 | max | dense", 0, 0},
        {"embedding 4 | conv 3 3 same | max | dense", 0, 0},
        {"embedding 4 | conv 3 3 causal | max | dense", 0, 0},
        {"embedding 4 | conv 3 3 | max | dense", 0, 1},
        {"embedding 4 | maxpool 2 | max | dense", 0, 1},
        {"embedding 4 | maxpool 2 same | max | dense", 1, 1},
        {"embedding 4 | conv 3 3 same stride=2 | max | dense", 1, 1},
        {"embedding 4 | conv 3 2 causal stride=2 | max | dense", 0, 1},
        {"embedding 4 | flatten | dense", 1, 1},
    };
    const crs::BackendHandle backend = crs::open_backend("cpu");
    for (const auto &c : cases) {
        const crs::Model model = crs::build_model(c.line, crs::task_of(), backend);
        ASSERT_TRUE(model) << c.line;
        EXPECT_EQ(crs_model_needs_full_length(model.get(), 0), c.behind) << c.line;
        EXPECT_EQ(crs_model_needs_full_length(model.get(), 1), c.in_front) << c.line;
    }
}

/* A text's probabilities are the same alone and beside longer ones, however those are padded. */
TEST(FullLength, LeavesATextToItself) {
    const crs::BackendHandle backend = crs::open_backend("cpu-double");
    crs_model_task task = crs::task_of();
    task.length = 12;
    for (const char *line :
         {"embedding 4 | conv 3 3 | max | dense", "embedding 4 | conv 3 3 same | maxpool 2 | lstm 3 | dense",
          "embedding 4 | conv 3 4 causal stride=2 tanh | avgpool 3 | mean | dense",
          "embedding 4 | conv2d 2 3x2 relu | maxpool2d 2 | bigru 2 | dense", "onehot | conv 3 5 | last | dense"}) {
        const crs::Model model = crs::build_model(line, task, backend);
        ASSERT_TRUE(model) << line;
        for (int64_t len = 0; len <= 12; len++) {
            std::vector<float> alone(3), beside(3);
            for (const int64_t T : {std::max<int64_t>(len, 1), int64_t(12)}) {
                std::vector<int32_t> ids(static_cast<size_t>(T), 0);
                for (int64_t t = 0; t < len; t++)
                    ids[static_cast<size_t>(t)] = static_cast<int32_t>(1 + t % 6);
                const int32_t start = 0, live = static_cast<int32_t>(len);
                const crs_batch batch = {T, 1, ids.data(), &start, &live, nullptr};
                ASSERT_EQ(
                    crs_model_predict(model.get(), &batch, T == 12 ? beside.data() : alone.data(), nullptr, nullptr),
                    CRS_OK);
            }
            for (size_t c = 0; c < 3 && len < 12; c++)
                EXPECT_NEAR(alone[c], beside[c], 1e-6) << line << " of " << len;
        }
    }
}

/* ---- sizes ---- */

/* Totals of model.summary() of the same networks in Keras 2 and 3. */
TEST(Parameters, AreAsManyAsInKeras) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    const crs_model_task task = crs::task_of(2, 8192);
    const auto count = [&](const char *line) {
        return crs_model_parameters(crs::build_model(line, task, backend).get());
    };
    EXPECT_EQ(count("embedding 32|lstm 32 seq|lstm 32|dense 1"), 278817);
    EXPECT_EQ(count("embedding 64|rnn 128 seq|rnn 128|dense 32 relu|dense 100 relu|dense 1"), 589417);
    /* Bidirectional(LSTM(64)) on 64 inputs: 2 * 4 * 64 * (64 + 64 + 1). */
    EXPECT_EQ(count("embedding 64|bilstm 64|dense 1"), 8192 * 64 + 66048 + 129);
    EXPECT_EQ(count("embedding 64|bilstm 64 sum|dense 1"), 8192 * 64 + 66048 + 65);
    EXPECT_EQ(count("embedding 64|dropout 0.25|conv 32 3 relu|lstm 32 seq|lstm 32|dense 1"), 547137);
    /* GRU(32) on 32 inputs: 3 * 32 * (32 + 32 + 2), with reset before the product one bias instead of two. */
    EXPECT_EQ(count("embedding 32|gru 32|dense 1"), 8192 * 32 + 6336 + 33);
    EXPECT_EQ(count("embedding 32|gru 32 before|dense 1"), 8192 * 32 + 6240 + 33);
    const char *const cnn = "embedding 64|conv 64 3 relu|batchnorm|maxpool 3|conv 64 5 relu|batchnorm|maxpool 5|"
                            "conv 64 5 relu|max|dense 100 relu|dense 1";
    EXPECT_EQ(count(cnn), 8192 * 64 + (64 * 3 + 1) * 64 + 2 * (64 * 5 + 1) * 64 + 2 * 4 * 64 + 6500 + 101);
    EXPECT_EQ(crs_model_trainable(crs::build_model(cnn, task, backend).get()), count(cnn) - 2 * 2 * 64);
}

TEST(Parameters, FrozenOnesComeLast) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    const crs::Model model = crs::build_model("embedding 4 frozen | bilstm 3 | dense", crs::task_of(), backend);
    ASSERT_TRUE(model);
    const crs_tensor_info embedding = crs_model_tensor(model.get(), 0);
    EXPECT_STREQ(embedding.name, "layers.0.weight");
    EXPECT_EQ(embedding.trainable, 0);
    EXPECT_EQ(embedding.offset, crs_model_trainable(model.get()));
    EXPECT_EQ(embedding.offset + embedding.size, crs_model_parameters(model.get()));
    const char *const names[] = {"layers.1.weight_ih_l0",
                                 "layers.1.weight_hh_l0",
                                 "layers.1.bias_ih_l0",
                                 "layers.1.weight_ih_l0_reverse",
                                 "layers.1.weight_hh_l0_reverse",
                                 "layers.1.bias_ih_l0_reverse",
                                 "layers.2.weight",
                                 "layers.2.bias"};
    int64_t offset = 0;
    for (size_t i = 0; i < 8; i++) {
        const crs_tensor_info tensor = crs_model_tensor(model.get(), i + 1);
        EXPECT_STREQ(tensor.name, names[i]);
        EXPECT_EQ(tensor.offset, offset);
        offset += tensor.size;
    }
    EXPECT_EQ(offset, crs_model_trainable(model.get()));
    EXPECT_EQ(crs_model_layer(model.get(), 0).parameters, 28);
    EXPECT_EQ(crs_model_layer(model.get(), 0).trainable, 0);
}

/* ---- first weights ---- */

crs_tensor_info find(const crs::Model &model, const std::string &name) {
    for (size_t i = 0; i < crs_model_tensors(model.get()); i++)
        if (name == crs_model_tensor(model.get(), i).name)
            return crs_model_tensor(model.get(), i);
    ADD_FAILURE() << "no tensor " << name;
    return {};
}

std::vector<double> values_of(const crs::Model &model, const std::string &name) {
    const crs_tensor_info tensor = find(model, name);
    const std::vector<double> all = crs::parameters_of(model);
    return {all.begin() + tensor.offset, all.begin() + tensor.offset + tensor.size};
}

/* Within +-limit, reaching for it, and spread as evenly as a uniform distribution is. */
void expect_uniform(const std::vector<double> &values, double limit) {
    double sum = 0, squares = 0, largest = 0;
    for (const double v : values) {
        sum += v;
        squares += v * v;
        largest = std::max(largest, std::fabs(v));
    }
    const double n = static_cast<double>(values.size());
    EXPECT_LE(largest, limit);
    EXPECT_GE(largest, limit * (1 - 10 / n));
    EXPECT_LE(std::fabs(sum / n), 5 * limit / std::sqrt(3 * n));
    EXPECT_NEAR(squares / n, limit * limit / 3, 5 * limit * limit * std::sqrt(4.0 / 45 / n));
}

/* Columns of [rows, columns]. */
void expect_orthonormal(const std::vector<double> &values, int64_t rows, int64_t columns) {
    double worst = 0;
    for (int64_t j = 0; j < columns; j++)
        for (int64_t k = 0; k <= j; k++) {
            double dot = 0;
            for (int64_t i = 0; i < rows; i++)
                dot += values[static_cast<size_t>(i * columns + j)] * values[static_cast<size_t>(i * columns + k)];
            worst = std::max(worst, std::fabs(dot - (j == k)));
        }
    EXPECT_LE(worst, 1e-14);
}

TEST(FirstWeights, AreKeras) {
    const crs::BackendHandle backend = crs::open_backend("cpu-double");
    const crs::Model model = crs::build_model(
        "embedding 40 | bilstm 48 seq | rnn 160 seq | rnn 1 | dense 20 relu | dense", crs::task_of(3, 500), backend);
    ASSERT_TRUE(model);
    expect_uniform(values_of(model, "layers.0.weight"), 0.05);
    expect_uniform(values_of(model, "layers.1.weight_ih_l0"), std::sqrt(6.0 / (40 + 4 * 48)));
    expect_uniform(values_of(model, "layers.1.weight_ih_l0_reverse"), std::sqrt(6.0 / (40 + 4 * 48)));
    expect_uniform(values_of(model, "layers.2.weight_ih_l0"), std::sqrt(6.0 / (96 + 160)));
    expect_orthonormal(values_of(model, "layers.1.weight_hh_l0"), 4 * 48, 48);
    expect_orthonormal(values_of(model, "layers.2.weight_hh_l0"), 160, 160);
    expect_orthonormal(values_of(model, "layers.3.weight_hh_l0"), 1, 1);
    const std::vector<double> bias = values_of(model, "layers.1.bias_ih_l0");
    for (size_t i = 0; i < bias.size(); i++)
        EXPECT_EQ(bias[i], i >= 48 && i < 96) << i;
    for (const char *name : {"layers.2.bias_ih_l0", "layers.4.bias", "layers.5.bias"})
        for (const double v : values_of(model, name))
            EXPECT_EQ(v, 0) << name;
    EXPECT_NE(values_of(model, "layers.1.weight_ih_l0"), values_of(model, "layers.1.weight_ih_l0_reverse"));
}

TEST(FirstWeights, DifferFromLayerToLayer) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    const crs::Model model = crs::build_model("embedding 4 | rnn 4 seq | rnn 4 | dense", crs::task_of(), backend);
    EXPECT_NE(values_of(model, "layers.1.weight_ih_l0"), values_of(model, "layers.2.weight_ih_l0"));
    EXPECT_NE(values_of(model, "layers.1.weight_hh_l0"), values_of(model, "layers.2.weight_hh_l0"));
}

TEST(FirstWeights, DependOnSeedAndKindOnly) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    crs_model_task task = crs::task_of();
    const crs::Model a = crs::build_model("embedding 4 | lstm 8 | dense", task, backend);
    const crs::Model same = crs::build_model("embedding 4 | lstm 8 | dense", task, backend);
    const crs::Model more = crs::build_model("embedding 4 | dropout 0.1 | lstm 8 seq | rnn 8 | dense", task, backend);
    EXPECT_EQ(crs::parameters_of(a), crs::parameters_of(same));
    EXPECT_EQ(values_of(a, "layers.1.weight_ih_l0"), values_of(more, "layers.2.weight_ih_l0"));
    EXPECT_EQ(values_of(a, "layers.1.weight_hh_l0"), values_of(more, "layers.2.weight_hh_l0"));
    EXPECT_EQ(values_of(a, "layers.2.weight"), values_of(more, "layers.4.weight"));
    task.seed++;
    const crs::Model other = crs::build_model("embedding 4 | lstm 8 | dense", task, backend);
    EXPECT_NE(values_of(a, "layers.0.weight"), values_of(other, "layers.0.weight"));
    EXPECT_NE(values_of(a, "layers.1.weight_hh_l0"), values_of(other, "layers.1.weight_hh_l0"));
}

/* ---- training ---- */

const char *const line = "embedding 6 | dropout 0.2 | bilstm 5 seq dropout=0.1 recurrent_dropout=0.1 | rnn 5 | dense";

struct Trained {
    std::vector<double> losses, parameters;
    crs_step_state state;
};

Trained train(const std::string &spec, const crs_training &training, int threads = 1, int steps = 20) {
    const crs::BackendHandle backend = crs::open_backend(spec, threads);
    const crs_model_task task = crs::task_of(3, 12);
    const crs::Model model = crs::build_model(line, task, backend);
    Trained result;
    /* Both start from the weights that float can hold. */
    std::vector<double> first = crs::parameters_of(model);
    for (double &p : first)
        p = static_cast<float>(p);
    EXPECT_EQ(crs_model_set_parameters(model.get(), first.data()), CRS_OK);
    EXPECT_EQ(crs_model_prepare(model.get(), 9, 8, &training, nullptr), CRS_OK);
    for (int step = 0; step < steps; step++) {
        /* Batches of several shapes in the memory of the largest. */
        const crs::RandomBatch batch(9 - step % 3, 8 - step % 2, task, Padding::post, static_cast<uint64_t>(step % 4));
        const crs_batch input = batch.get();
        EXPECT_EQ(crs_model_step(model.get(), &input), CRS_OK);
        EXPECT_EQ(crs_model_state(model.get(), 1, &result.state), CRS_OK);
        EXPECT_EQ(result.state.rows, static_cast<uint64_t>(input.B));
        result.losses.push_back(result.state.loss_sum / static_cast<double>(result.state.rows));
    }
    EXPECT_EQ(result.state.step, static_cast<uint64_t>(steps));
    EXPECT_EQ(result.state.bad_step, 0u);
    result.parameters = crs::parameters_of(model);
    return result;
}

/* The loss of a step is the batch's row losses, each times the weight of its label's class. */
TEST(Training, WeighsClasses) {
    const crs::BackendHandle backend = crs::open_backend("cpu-double");
    const crs_model_task task = crs::task_of();
    const crs::Model model = crs::build_model("embedding 4 | rnn 4 | dense", task, backend);
    const double weights[] = {0.5, 3, 1.25};
    crs_training training = crs::training_of();
    training.class_weight = weights;
    ASSERT_EQ(crs_model_prepare(model.get(), 4, 6, &training, nullptr), CRS_OK);
    const crs::RandomBatch batch(4, 6, task, Padding::post, 1);
    const crs_batch input = batch.get();
    double losses[6], want = 0;
    crs_step_state state;
    ASSERT_EQ(crs_model_predict(model.get(), &input, nullptr, nullptr, losses), CRS_OK);
    for (size_t b = 0; b < 6; b++)
        want += weights[batch.labels_[b]] * losses[b];
    ASSERT_EQ(crs_model_step(model.get(), &input), CRS_OK);
    ASSERT_EQ(crs_model_state(model.get(), 0, &state), CRS_OK);
    EXPECT_NEAR(state.loss_sum, want, 1e-12);
}

/* ---- directions and masks ---- */

/* Logits of one text, with the tensors of `from` whose names are in `names` (to, from) and zeros elsewhere. */
std::vector<float> logits_with(const char *text, const crs::Model &from,
                               const std::vector<std::pair<std::string, std::string>> &names,
                               const std::vector<int32_t> &ids, const crs::BackendHandle &backend) {
    const crs::Model model = crs::build_model(text, crs::task_of(), backend);
    std::vector<double> values(static_cast<size_t>(crs_model_parameters(model.get())), 0);
    for (const auto &[to, source] : names) {
        const crs_tensor_info tensor = find(model, to), other = find(from, source);
        const std::vector<double> stored = values_of(from, source);
        /* A wider matrix takes the narrower one on its left. */
        for (int64_t i = 0; i < other.size; i++) {
            const int64_t row = i / other.shape[1], column = i % other.shape[1];
            values[static_cast<size_t>(tensor.offset + row * tensor.shape[1] + column)] =
                stored[static_cast<size_t>(i)];
        }
    }
    std::vector<float> logits(3, NAN);
    const crs_batch batch = {static_cast<int64_t>(ids.size()), 1, ids.data(), nullptr, nullptr, nullptr};
    EXPECT_EQ(crs_model_set_parameters(model.get(), values.data()), CRS_OK);
    EXPECT_EQ(crs_model_predict(model.get(), &batch, logits.data(), nullptr, nullptr), CRS_OK);
    return logits;
}

/* A direction whose weights are all zero has the state zero, for an RNN as for an LSTM. */
TEST(Directions, AreForwardAndBackward) {
    const crs::BackendHandle backend = crs::open_backend("cpu-double");
    const std::vector<int32_t> ids = {1, 5, 2, 6, 3}, reversed(ids.rbegin(), ids.rend());
    using Names = std::vector<std::pair<std::string, std::string>>;
    for (const std::string kind : {"rnn", "lstm"}) {
        const std::string plain = "embedding 4 | " + kind + " 4 | dense",
                          back = "embedding 4 | " + kind + " 4 reverse | dense",
                          sum = "embedding 4 | bi" + kind + " 4 sum | dense",
                          concat = "embedding 4 | bi" + kind + " 4 | dense";
        const crs::Model model = crs::build_model(plain, crs::task_of(), backend);
        Names same, second;
        for (size_t i = 0; i < crs_model_tensors(model.get()); i++) {
            const std::string name = crs_model_tensor(model.get(), i).name;
            same.emplace_back(name, name);
            second.emplace_back(name + (name.find("layers.1") == 0 ? "_reverse" : ""), name);
        }
        const auto forward = logits_with(plain.c_str(), model, same, ids, backend),
                   backward = logits_with(plain.c_str(), model, same, reversed, backend);
        EXPECT_NE(forward, backward);
        EXPECT_EQ(logits_with(back.c_str(), model, same, reversed, backend), forward);
        EXPECT_EQ(logits_with(sum.c_str(), model, same, ids, backend), forward);
        EXPECT_EQ(logits_with(sum.c_str(), model, second, ids, backend), backward);
        EXPECT_EQ(logits_with(concat.c_str(), model, same, ids, backend), forward);
        EXPECT_NE(logits_with(concat.c_str(), model, second, ids, backend), backward) << "it is on the right";
    }
}

std::vector<uint32_t> sites;
crs_status noting_dropout(crs_device *device, const crs_dropout *a) {
    sites.push_back(a->mask.site);
    return cpu_f64_ops.dropout(device, a);
}
crs_status noting_lstm(crs_device *device, const crs_recurrent *a) {
    sites.push_back(a->input_mask.site);
    sites.push_back(a->recurrent_mask.site);
    return cpu_f64_ops.lstm_forward(device, a);
}

TEST(Masks, HaveTheirOwnSites) {
    crs_ops ops = cpu_f64_ops;
    ops.dropout = noting_dropout;
    ops.lstm_forward = noting_lstm;
    const crs::BackendHandle backend = crs::open_table(&ops);
    const crs_model_task task = crs::task_of();
    const crs::Model model =
        crs::build_model("embedding 4 | dropout 0.1 | bilstm 4 seq dropout=0.1 recurrent_dropout=0.1 | "
                         "dropout 0.1 | lstm 4 dropout=0.1 recurrent_dropout=0.1 | dense",
                         task, backend);
    const crs_training training = crs::training_of();
    ASSERT_EQ(crs_model_prepare(model.get(), 4, 3, &training, nullptr), CRS_OK);
    const crs::RandomBatch batch(4, 3, task, Padding::post, 1);
    const crs_batch input = batch.get();
    sites.clear();
    std::vector<float> logits(9);
    ASSERT_EQ(crs_model_predict(model.get(), &input, logits.data(), nullptr, nullptr), CRS_OK);
    EXPECT_EQ(sites.size(), 6u) << "dropout layers do nothing in a prediction";
    sites.clear();
    ASSERT_EQ(crs_model_step(model.get(), &input), CRS_OK);
    sites.resize(8); /* the forward pass */
    std::sort(sites.begin(), sites.end());
    EXPECT_EQ(std::adjacent_find(sites.begin(), sites.end()), sites.end());
}

class Optimizers : public testing::TestWithParam<int> {};

/* Twenty steps: rounding of 2^-24 a step, amplified by the optimizers that divide by small roots. */
TEST_P(Optimizers, FloatFollowsDouble) {
    crs_training training =
        crs::training_of(static_cast<crs_optimizer_kind>(GetParam()), GetParam() == CRS_SGD ? 0.1 : 0.01);
    training.optimizer.momentum = GetParam() == CRS_SGD ? 0.9 : 0;
    training.optimizer.nesterov = GetParam() == CRS_SGD;
    training.optimizer.weight_decay = GetParam() == CRS_ADAMW ? 0.01 : 0;
    training.clip_norm = 1;
    const Trained narrow = train("cpu", training), wide = train("cpu-double", training);
    const crs::Verdict verdict = crs::compare("losses", narrow.losses, wide.losses, {1e-4, 0});
    EXPECT_TRUE(verdict.ok()) << verdict.why();
    EXPECT_LT(wide.losses[16], wide.losses[0] * 0.98);
}
INSTANTIATE_TEST_SUITE_P(All, Optimizers, testing::Values(CRS_SGD, CRS_RMSPROP, CRS_ADAM, CRS_ADAMW));

TEST(Training, SameSeedSameBitsWhateverTheThreads) {
    const Trained one = train("cpu", crs::training_of(CRS_ADAM, 0.01), 1);
    EXPECT_EQ(one.parameters, train("cpu", crs::training_of(CRS_ADAM, 0.01), 1).parameters);
    EXPECT_EQ(one.parameters, train("cpu", crs::training_of(CRS_ADAM, 0.01), 3).parameters);
}

/* Threads of this process, where the system lists them. */
std::ptrdiff_t threads_running() {
    std::error_code none;
    return std::distance(std::filesystem::directory_iterator("/proc/self/task", none),
                         std::filesystem::directory_iterator());
}

/* Layers large enough to be worth several threads, had they been asked for. */
TEST(Training, OneThreadIsOne) {
    const crs::BackendHandle backend = crs::open_backend("cpu", 1);
    const crs_model_task task = crs::task_of(3, 500);
    const crs::Model model =
        crs::build_model("embedding 100 | conv 64 3 relu | batchnorm | maxpool 2 | bilstm 40 seq | "
                         "gru 30 seq | layernorm | rnn 30 seq | max | dense 50 relu | dense",
                         task, backend);
    const crs_training training = crs::training_of(CRS_ADAM, 0.01);
    ASSERT_EQ(crs_model_prepare(model.get(), 40, 64, &training, nullptr), CRS_OK);
    const crs::RandomBatch batch(40, 64, task, Padding::post, 1);
    const crs_batch input = batch.get();
    const std::ptrdiff_t before = threads_running();
    EXPECT_EQ(crs_model_step(model.get(), &input), CRS_OK);
    EXPECT_EQ(threads_running(), before);
}

TEST(Training, RefusesWhatDoesNotFit) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    const crs_model_task task = crs::task_of();
    const crs::Model model = crs::build_model("embedding 4 | lstm 4 | dense", task, backend);
    crs::RandomBatch batch(4, 3, task, Padding::post, 1);
    crs_batch input = batch.get();
    EXPECT_EQ(crs_model_step(model.get(), &input), CRS_ERR_ARGUMENT) << "not prepared";
    const crs_training training = crs::training_of();
    ASSERT_EQ(crs_model_prepare(model.get(), 4, 3, &training, nullptr), CRS_OK);
    EXPECT_EQ(crs_model_step(model.get(), &input), CRS_OK);
    const auto refused = [&](int32_t &place, int32_t value) {
        const int32_t was = place;
        place = value;
        EXPECT_EQ(crs_model_step(model.get(), &input), CRS_ERR_ARGUMENT);
        float probabilities[9];
        EXPECT_EQ(crs_model_predict(model.get(), &input, nullptr, probabilities, nullptr), CRS_ERR_ARGUMENT);
        place = was;
        EXPECT_EQ(crs_model_step(model.get(), &input), CRS_OK);
    };
    refused(batch.ids_[5], 7);
    refused(batch.ids_[0], -1);
    refused(batch.labels_[2], 3);
    refused(batch.labels_[0], -1);
    refused(batch.start_[0], 1);
    refused(batch.start_[0], -1);
    refused(batch.start_[0], INT32_MAX);
    refused(batch.len_[1], 5);
    refused(batch.len_[1], -1);
    refused(batch.len_[1], INT32_MAX);
    /* Without lengths every row is as long as the batch, so that none can start later. */
    const int32_t starts[] = {0, 1, 0};
    crs_batch without_lengths = input;
    without_lengths.start = starts;
    without_lengths.len = nullptr;
    EXPECT_EQ(crs_model_step(model.get(), &without_lengths), CRS_ERR_ARGUMENT);
    const crs::RandomBatch longer(5, 3, task, Padding::post, 1), wider(4, 4, task, Padding::post, 1);
    for (crs_batch too_large : {longer.get(), wider.get()})
        EXPECT_EQ(crs_model_step(model.get(), &too_large), CRS_ERR_ARGUMENT);
    input.labels = nullptr;
    EXPECT_EQ(crs_model_step(model.get(), &input), CRS_ERR_ARGUMENT);
    crs_error error = {};
    EXPECT_EQ(crs_model_prepare(model.get(), 65, 3, &training, &error), CRS_ERR_ARGUMENT);
    EXPECT_NE(std::string(error.mend).find("64"), std::string::npos) << error.mend;
    EXPECT_EQ(crs_model_prepare(model.get(), 64, INT64_MAX / 2, &training, &error), CRS_ERR_MEMORY);
    EXPECT_NE(std::string(error.what).find("too large"), std::string::npos) << error.what;
    const double weights[] = {1, NAN, 1};
    crs_training weighted = training;
    weighted.class_weight = weights;
    EXPECT_EQ(crs_model_prepare(model.get(), 4, 3, &weighted, &error), CRS_ERR_ARGUMENT);
}

TEST(Training, FrozenWeightsStay) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    const crs_model_task task = crs::task_of();
    const crs::Model model = crs::build_model("embedding 4 frozen | rnn 4 | dense", task, backend);
    const crs_training training = crs::training_of();
    ASSERT_EQ(crs_model_prepare(model.get(), 4, 3, &training, nullptr), CRS_OK);
    const std::vector<double> before = crs::parameters_of(model);
    const crs::RandomBatch batch(4, 3, task, Padding::none, 1);
    const crs_batch input = batch.get();
    ASSERT_EQ(crs_model_step(model.get(), &input), CRS_OK);
    const std::vector<double> after = crs::parameters_of(model);
    const auto frozen = crs_model_trainable(model.get());
    EXPECT_TRUE(std::equal(before.begin() + frozen, before.end(), after.begin() + frozen));
    EXPECT_FALSE(std::equal(before.begin(), before.begin() + frozen, after.begin()));
}

TEST(Training, KeptWeightsComeBack) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    const crs_model_task task = crs::task_of();
    const crs::Model model = crs::build_model("embedding 4 | rnn 4 | dense", task, backend);
    const crs_training training = crs::training_of();
    EXPECT_EQ(crs_model_restore(model.get()), CRS_ERR_ARGUMENT);
    ASSERT_EQ(crs_model_prepare(model.get(), 4, 3, &training, nullptr), CRS_OK);
    const crs::RandomBatch batch(4, 3, task, Padding::none, 1);
    const crs_batch input = batch.get();
    const std::vector<double> before = crs::parameters_of(model);
    ASSERT_EQ(crs_model_keep(model.get()), CRS_OK);
    ASSERT_EQ(crs_model_step(model.get(), &input), CRS_OK);
    EXPECT_NE(crs::parameters_of(model), before);
    ASSERT_EQ(crs_model_restore(model.get()), CRS_OK);
    EXPECT_EQ(crs::parameters_of(model), before);
}

/* ---- prediction ---- */

TEST(Prediction, LeavesTrainingAlone) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    const crs_model_task task = crs::task_of();
    const crs_training training = crs::training_of(CRS_ADAM, 0.01);
    std::vector<double> ends[2];
    crs_step_state states[2];
    for (const int disturb : {0, 1}) {
        const crs::Model model = crs::build_model(line, task, backend);
        ASSERT_EQ(crs_model_prepare(model.get(), 4, 3, &training, nullptr), CRS_OK);
        for (int step = 0; step < 4; step++) {
            const crs::RandomBatch batch(4, 3, task, Padding::post, 1), larger(7, 9, task, Padding::pre, 2);
            const crs_batch input = batch.get(), other = larger.get();
            ASSERT_EQ(crs_model_step(model.get(), &input), CRS_OK);
            float probabilities[27];
            double losses[9];
            if (disturb) {
                ASSERT_EQ(crs_model_predict(model.get(), &other, nullptr, probabilities, losses), CRS_OK);
            }
        }
        ends[disturb] = crs::parameters_of(model);
        ASSERT_EQ(crs_model_state(model.get(), 0, &states[disturb]), CRS_OK);
    }
    EXPECT_EQ(ends[0], ends[1]);
    EXPECT_EQ(memcmp(&states[0], &states[1], sizeof states[0]), 0);
}

/* Memory for a batch is there whatever came before: larger one way, smaller the other. */
TEST(Prediction, TakesBatchesOfAnyShape) {
    const crs::BackendHandle backend = crs::open_backend("cpu");
    const crs_model_task task = crs::task_of();
    const crs::Model used = crs::build_model(line, task, backend);
    for (const auto &[T, B] : {std::pair<int64_t, int64_t>{3, 3}, {1, 40}, {40, 1}, {2, 2}, {41, 39}, {5, 41}}) {
        const crs::Model fresh = crs::build_model(line, task, backend);
        const crs::RandomBatch batch(T, B, task, Padding::post, 1);
        const crs_batch input = batch.get();
        std::vector<float> got(static_cast<size_t>(B) * 3), want(got);
        ASSERT_EQ(crs_model_predict(used.get(), &input, got.data(), nullptr, nullptr), CRS_OK);
        ASSERT_EQ(crs_model_predict(fresh.get(), &input, want.data(), nullptr, nullptr), CRS_OK);
        EXPECT_EQ(got, want) << T << " x " << B;
    }
}

/* Masks are off, each row stands for itself, and the loss is minus the logarithm of the label's probability whatever
 * training's class weights and label smoothing are. */
TEST(Prediction, IsOfEachRowAlone) {
    const crs::BackendHandle backend = crs::open_backend("cpu-double");
    crs_model_task task = crs::task_of();
    task.label_smoothing = 0.2;
    const crs::Model model = crs::build_model(line, task, backend);
    const crs::RandomBatch batch(6, 8, task, Padding::pre, 4);
    const crs_batch input = batch.get();
    std::vector<float> logits(24), probabilities(24);
    std::vector<double> losses(8);
    ASSERT_EQ(crs_model_predict(model.get(), &input, logits.data(), probabilities.data(), losses.data()), CRS_OK);
    for (size_t b = 0; b < 8; b++) {
        double sum = 0;
        for (size_t c = 0; c < 3; c++)
            sum += std::exp(static_cast<double>(logits[b * 3 + c]));
        for (size_t c = 0; c < 3; c++)
            EXPECT_NEAR(probabilities[b * 3 + c], std::exp(static_cast<double>(logits[b * 3 + c])) / sum, 1e-6);
        EXPECT_NEAR(losses[b],
                    -std::log(static_cast<double>(probabilities[b * 3 + static_cast<size_t>(batch.labels_[b])])), 1e-6);
        /* The same tokens without padding, in a batch of one. */
        std::vector<int32_t> ids;
        for (size_t t = 0; t < 6; t++)
            if (static_cast<int32_t>(t) >= batch.start_[b])
                ids.push_back(batch.ids_[t * 8 + b]);
        const int32_t len = static_cast<int32_t>(ids.size());
        if (ids.empty())
            ids.push_back(0);
        const int32_t start = 0;
        const crs_batch alone = {static_cast<int64_t>(ids.size()), 1, ids.data(), &start, &len, nullptr};
        float own[3];
        ASSERT_EQ(crs_model_predict(model.get(), &alone, nullptr, own, nullptr), CRS_OK);
        for (size_t c = 0; c < 3; c++)
            EXPECT_NEAR(own[c], probabilities[b * 3 + c], 1e-7);
    }
    crs_batch unlabelled = input;
    unlabelled.labels = nullptr;
    EXPECT_EQ(crs_model_predict(model.get(), &unlabelled, nullptr, nullptr, losses.data()), CRS_ERR_ARGUMENT);
}

/* ---- backends ---- */

TEST(Registry, OpensByName) {
    crs_error error = {};
    crs_backend *backend = nullptr;
    std::vector<std::string> names;
    for (size_t i = 0; crs_backend_name(i); i++)
        names.push_back(crs_backend_name(i));
    EXPECT_EQ(names, (std::vector<std::string>{"auto", "cuda", "cpu", "cpu-double"}));
    for (const char *spec : {"", "gpu", "cpu:0", "cpu-", "cpu-doubles", "cuda:", "cuda:x", "cuda:99999999999", "CPU"}) {
        EXPECT_EQ(crs_backend_open(spec, nullptr, &backend, &error), CRS_ERR_CONFIG) << spec;
        EXPECT_NE(std::string(error.mend).find("cpu-double"), std::string::npos);
        EXPECT_EQ(backend, nullptr);
    }
    const crs_device_options negative = {-1, -1, nullptr, CRS_FLOAT32, CRS_GRAPHS_AUTO},
                             coarse = {-1, 1, nullptr, CRS_TF32, CRS_GRAPHS_AUTO};
    EXPECT_EQ(crs_backend_open("cpu", &negative, &backend, &error), CRS_ERR_CONFIG);
    EXPECT_EQ(crs_backend_open("cpu", &coarse, &backend, &error), CRS_ERR_UNSUPPORTED);
    EXPECT_EQ(crs_backend_ops(crs::open_backend("cpu-double").get())->real_size, sizeof(double));
    EXPECT_EQ(crs_backend_ops(crs::open_backend("cpu").get())->real_size, sizeof(float));
}

TEST(Registry, SaysWhyTheCpuIsUsed) {
    crs_backend *backend = nullptr;
    crs_error error = {};
    const crs_status status = crs_backend_open("cuda:1", nullptr, &backend, &error);
    if (status == CRS_OK) {
        crs_backend_close(backend);
        GTEST_SKIP() << "there is a second GPU";
    }
    EXPECT_EQ(status, CRS_ERR_NO_DEVICE);
    EXPECT_NE(std::string(error.mend).find("cpu"), std::string::npos);
    const crs::BackendHandle automatic = crs::open_backend("auto");
    ASSERT_TRUE(automatic);
    if (strcmp(crs_backend_ops(automatic.get())->name, "cpu") == 0) {
        EXPECT_NE(std::string(crs_backend_describe(automatic.get())).find("so the CPU is used"), std::string::npos);
    }
}

TEST(Registry, RefusesATableWithAnEmptySlot) {
    const crs_device_options options = {-1, 1, nullptr, CRS_FLOAT32, CRS_GRAPHS_AUTO};
    crs_backend *backend = nullptr;
    crs_error error = {};
#define CRS_TRY_EMPTY(slot, args)                                                                                      \
    {                                                                                                                  \
        crs_ops ops = cpu_f64_ops;                                                                                     \
        ops.slot = nullptr;                                                                                            \
        EXPECT_EQ(crs__backend_open_ops(&ops, &options, nullptr, &backend, &error), CRS_ERR_BACKEND);                  \
        EXPECT_NE(std::string(error.what).find("\"" #slot "\""), std::string::npos) << error.what;                     \
    }
    CRS_COMPUTE_SLOTS(CRS_TRY_EMPTY)
    CRS_RESERVE_SLOTS(CRS_TRY_EMPTY)
    CRS_TRY_EMPTY(copy, )
    CRS_TRY_EMPTY(describe, )
    CRS_TRY_EMPTY(explain, )
#undef CRS_TRY_EMPTY
    EXPECT_TRUE(crs::open_table(&cpu_f64_ops));
}

/* ---- out of memory ---- */

int allowed;
crs_status rationed(crs_device *device, size_t bytes, void **memory) {
    return allowed-- > 0 ? cpu_f64_ops.alloc(device, bytes, memory) : CRS_ERR_MEMORY;
}

/* Every allocation on the device fails once, and what was built before it is given back (a leak is the sanitizer's to
 * find). */
TEST(Memory, RunningOutIsAStatus) {
    crs_ops ops = cpu_f64_ops;
    ops.alloc = rationed;
    const crs::BackendHandle backend = crs::open_table(&ops);
    const crs_model_task task = crs::task_of();
    const crs_training training = crs::training_of(CRS_ADAM);
    const crs::RandomBatch batch(4, 3, task, Padding::post, 1);
    const crs_batch input = batch.get();
    int refused = 0;
    for (int ration = 0;; ration++) {
        allowed = ration;
        crs_error error = {};
        const crs::Model model = crs::build_model(line, task, backend, &error);
        crs_status status = model ? crs_model_prepare(model.get(), 4, 3, &training, &error) : error.status;
        if (status == CRS_OK && (status = crs_model_keep(model.get())) == CRS_OK) {
            EXPECT_EQ(crs_model_step(model.get(), &input), CRS_OK);
            break;
        }
        refused++;
        EXPECT_EQ(status, CRS_ERR_MEMORY);
        if (error.status != CRS_OK) {
            EXPECT_NE(std::string(error.what).find("bytes"), std::string::npos) << error.what;
        }
        /* A model that could not be prepared can be, later. */
        allowed = 1000;
        if (model) {
            EXPECT_EQ(crs_model_prepare(model.get(), 4, 3, &training, &error), CRS_OK);
            EXPECT_EQ(crs_model_step(model.get(), &input), CRS_OK);
        }
    }
    EXPECT_GE(refused, 15);
}

TEST(Memory, APredictionThatRunsOutLeavesAModelThatTrains) {
    crs_ops ops = cpu_f64_ops;
    ops.alloc = rationed;
    const crs::BackendHandle backend = crs::open_table(&ops);
    const crs_model_task task = crs::task_of();
    const crs_training training = crs::training_of();
    const crs::RandomBatch batch(4, 3, task, Padding::post, 1), larger(7, 9, task, Padding::post, 2);
    const crs_batch input = batch.get(), other = larger.get();
    allowed = 1000;
    const crs::Model model = crs::build_model(line, task, backend);
    ASSERT_EQ(crs_model_prepare(model.get(), 4, 3, &training, nullptr), CRS_OK);
    float probabilities[27];
    allowed = 2;
    EXPECT_EQ(crs_model_predict(model.get(), &other, nullptr, probabilities, nullptr), CRS_ERR_MEMORY);
    allowed = 2;
    EXPECT_EQ(crs_model_step(model.get(), &input), CRS_ERR_MEMORY);
    allowed = 1000;
    EXPECT_EQ(crs_model_step(model.get(), &input), CRS_OK);
}

} // namespace
