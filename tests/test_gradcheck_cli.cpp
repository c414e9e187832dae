/* carousel gradcheck from end to end: its table, its JSON, its exit status, and what it says about bad usage. */
#include "command.hpp"

namespace {

const std::string small_line = "embedding 4 | bilstm 4 | dense";
const std::string phrases = CRS_DATA "/phrases/train.tsv";

Result gradcheck(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"gradcheck", "--threads", "1"});
    return carousel(arguments);
}

const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

TEST(Command, ATableOfTensorsAndStatusZero) {
    const Result result = gradcheck({small_line, "--train", "2"});
    EXPECT_EQ(result.status, 0) << result.out << result.err;
    for (const char *part : {"finite differences", "gradient of cpu and cpu-double", "2 steps moved", "relative L2",
                             "cosine", "layers.1.weight_hh_l0_reverse", "64 of 200", "\npassed\n"})
        EXPECT_TRUE(has(result.out, part)) << part << " is not in " << result.out;
    EXPECT_FALSE(has(result.out, "FAILED"));
    EXPECT_TRUE(has(result.err, "backend cpu: ")) << result.err;
}

TEST(Command, WhatIsNotThereIsLeftOutUnlessNamed) {
    const Result result = gradcheck({small_line, "--samples", "1", "--json"});
    EXPECT_EQ(result.status, 0) << result.err;
    const Json object = parse(result.out);
    const size_t left_out = json_array_size(json_object_get(object.get(), "left_out"));
    EXPECT_EQ(has(result.err, "cuda is left out: "), left_out == 1) << result.err;
    EXPECT_EQ(json_array_size(json_object_get(object.get(), "checks")), left_out ? 2U : 3U);
    if (left_out) {
        const char *why = text_of(json_array_get(json_object_get(object.get(), "left_out"), 0), "why");
        EXPECT_STRNE(why, "");
        expect_failure(gradcheck({small_line, "-q", "--backends", "cpu,cuda"}), 1, {why});
    }
    expect_failure(gradcheck({small_line, "-q", "--backends", "tpu"}), 1, {"tpu", "cpu"});
    expect_failure(gradcheck({small_line, "-q", "--backends", "cpu=fancy"}), 1, {"fancy", "simple"});
    EXPECT_EQ(gradcheck({small_line, "-q", "--samples", "1", "--backends", "cpu=simple,cpu-double"}).status, 0);
}

TEST(Command, JsonIsOneObjectWithEveryTensor) {
    const Result result = gradcheck({small_line, "--json", "--quiet", "--train", "3", "--backends", "cpu"});
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(result.err, "");
    const Json object = parse(result.out);
    EXPECT_TRUE(json_is_true(json_object_get(object.get(), "passed")));
    json_t *checks = json_object_get(object.get(), "checks");
    ASSERT_EQ(json_array_size(checks), 3U);
    const char *const kinds[] = {"differences", "gradient", "training"};
    for (size_t i = 0; i < 3; i++) {
        json_t *part = json_array_get(checks, i);
        EXPECT_STREQ(text_of(part, "check"), kinds[i]);
        EXPECT_STREQ(text_of(part, "backend"), i ? "cpu" : "cpu-double");
        EXPECT_EQ(json_array_size(json_object_get(part, "losses")), i * (i + 1) / 2);
        ASSERT_EQ(json_array_size(json_object_get(part, "tensors")), 9U);
        json_t *tensor = json_array_get(json_object_get(part, "tensors"), 8);
        EXPECT_STREQ(text_of(tensor, "name"), "layers.2.bias");
        EXPECT_EQ(json_array_size(json_object_get(tensor, "at")), 1U);
        const double relative = json_number_value(json_object_get(tensor, "relative"));
        EXPECT_GT(relative, 0);
        EXPECT_LT(relative, i == 0 ? 1e-6 : 1e-3);
    }
}

TEST(Command, InjectFailsThatTensor) {
    const std::string name = "layers.1.weight_hh_l0";
    const Result result = gradcheck({small_line, "-q", "--inject", name});
    expect_failure(result, 1, {"cpu", name});
    int failed = 0;
    for (const std::string &line : lines(result.out))
        if (has(line, "FAILED") && has(line, "layers.")) {
            EXPECT_TRUE(has(line, name + " "));
            failed++;
        }
    EXPECT_GE(failed, 1) << result.out;
    const Result json = gradcheck({small_line, "-q", "--inject", name, "--json"});
    EXPECT_EQ(json.status, 1);
    EXPECT_TRUE(json_is_false(json_object_get(parse(json.out).get(), "passed")));
    expect_failure(gradcheck({small_line, "-q", "--inject", "layers.1.weight_ih"}), 1,
                   {"'layers.1.weight_ih'", "layers.0.weight, layers.1.weight_ih_l0, ", "layers.2.bias"});
}

TEST(Command, RowsAndModelFiles) {
    EXPECT_EQ(gradcheck({small_line, phrases, "-q", "--samples", "4", "--train", "3"}).status, 0);
    Folder folder;
    const std::string model = folder / "m.safetensors";
    ASSERT_EQ(run({CRS_COMMAND, "train", phrases, "-o", model, "--no-curves", "-q", "--epochs", "2", "--threads", "1",
                   "--model", "embedding 8 | bilstm 8 seq | max | dense"})
                  .status,
              0);
    const Result random = gradcheck({model, "-q", "--length", "6", "--batch", "4", "--json"});
    EXPECT_EQ(random.status, 0) << random.err;
    const Json of_random = parse(random.out);
    EXPECT_EQ(json_integer_value(json_object_get(of_random.get(), "steps")), 6);
    EXPECT_EQ(json_integer_value(json_object_get(of_random.get(), "rows")), 4);
    EXPECT_TRUE(json_is_true(json_object_get(of_random.get(), "random")));
    const Result rows = gradcheck({model, phrases, "-q", "--train", "3", "--json"});
    EXPECT_EQ(rows.status, 0) << rows.err;
    const Json of_rows = parse(rows.out);
    EXPECT_STREQ(text_of(of_rows.get(), "line"), "embedding 8 | bilstm 8 seq | max | dense");
    EXPECT_EQ(json_integer_value(json_object_get(of_rows.get(), "rows")), 8);
    EXPECT_TRUE(json_is_false(json_object_get(of_rows.get(), "random")));
    expect_failure(gradcheck({model, "-q", "--vocabulary", "60"}), 2, {"--vocabulary", "model file"});
    expect_failure(gradcheck({model, phrases, "-q", "--length", "6"}), 2, {"--length", "model file"});
    expect_failure(gradcheck({model, "-q", "--classes", "3"}), 2, {"--classes", "leave it out"});
    expect_failure(gradcheck({folder / "missing.safetensors", "-q"}), 1, {"missing.safetensors", "No such file"});
}

TEST(Command, SettingsOfTheLineAndOfRandomData) {
    const Json object = parse(gradcheck({"embedding 4 | lstm 4 | dense", "-q", "--json", "--classes", "5",
                                         "--vocabulary", "9", "--seed", "3", "--optimizer", "sgd", "--samples", "2"})
                                  .out);
    json_t *tensors = json_object_get(json_array_get(json_object_get(object.get(), "checks"), 1), "tensors");
    const auto rows = [&](size_t index) {
        return json_integer_value(json_array_get(json_object_get(json_array_get(tensors, index), "shape"), 0));
    };
    EXPECT_EQ(rows(0), 9);
    EXPECT_EQ(rows(4), 5);
    EXPECT_EQ(json_integer_value(json_object_get(object.get(), "seed")), 3);
    EXPECT_EQ(json_integer_value(json_object_get(object.get(), "steps")), 16);
}

TEST(Command, BadUsageIsOneLine) {
    expect_failure(gradcheck({small_line, "-q", "--backend", "cpu"}), 2, {"--backend", "--backends"});
    expect_failure(gradcheck({small_line, "-q", "--model", small_line}), 2, {"--model", "first argument"});
    expect_failure(gradcheck({small_line, "-q", "--samples", "0"}), 2, {"--samples '0'", "from 1"});
    expect_failure(gradcheck({small_line, "-q", "--train", "-1"}), 2, {"--train '-1'", "from 0"});
    expect_failure(gradcheck({small_line, "-q", "--train", "2x"}), 2, {"--train '2x'"});
    expect_failure(gradcheck({small_line, phrases, "-q", "--classes", "3"}), 2, {"--classes", "DATA"});
    expect_failure(gradcheck({small_line, "-q", "--nesterov", "on"}), 2, {"--nesterov", "sgd"});
    expect_failure(gradcheck({"embedding 4 | lstn 4 | dense", "-q"}), 1, {"lstn", "lstm"});
    /* The line is told before the data are read. */
    expect_failure(gradcheck({"embedding 4 | lstn 4 | dense", "missing.tsv", "-q"}), 1, {"lstn"});
    expect_failure(gradcheck({small_line, "missing.tsv", "-q"}), 1, {"missing.tsv", "No such file"});
    EXPECT_EQ(gradcheck({}).status, 2);
}

} // namespace
