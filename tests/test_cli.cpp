// The command from end to end, as a person runs it: what it prints, what it writes, and what it says about bad input.
#include "command.hpp"

#include <carousel/config.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <set>
#include <unistd.h>

namespace {

const std::string command = CRS_COMMAND;
const std::string phrases = CRS_DATA "/phrases/train.tsv", phrases_test = CRS_DATA "/phrases/test.tsv";
// Small and quick, and enough for the phrases.
const std::vector<std::string> small_model = {"--model",         "embedding 16 | lstm 24 | dense",
                                              "--epochs",        "80",
                                              "--batch",         "8",
                                              "--learning-rate", "0.005",
                                              "--patience",      "0",
                                              "--threads",       "1",
                                              "--seed",          "2"};

std::vector<std::string> train_arguments(const std::string &data, const std::string &model,
                                         const std::vector<std::string> &more = {}) {
    std::vector<std::string> arguments = {"train", data, "-o", model, "--no-curves", "--quiet"};
    arguments.insert(arguments.end(), small_model.begin(), small_model.end());
    arguments.insert(arguments.end(), more.begin(), more.end()); // the last word on a setting counts
    return arguments;
}

Result train(const std::string &data, const std::string &model, const std::vector<std::string> &more = {},
             const RunOptions &options = {}) {
    return carousel(train_arguments(data, model, more), options);
}

// One trained model, made once.
const std::string &trained() {
    static Folder folder;
    static std::string path;
    if (path.empty()) {
        path = folder / "model.safetensors";
        Result result = train(phrases, path, {"--validation", "0"});
        EXPECT_EQ(result.status, 0) << result.err;
    }
    return path;
}

// Of the phrases, but with another vocabulary and network.
const std::string &trained_otherwise() {
    static Folder folder;
    static std::string path;
    if (path.empty()) {
        path = folder / "other.safetensors";
        const Result result = carousel({"train", phrases, "-o", path, "--no-curves", "--quiet", "--ngrams", "2",
                                        "--model", "embedding 8 | mean | dense", "--epochs", "5", "--threads", "1"});
        EXPECT_EQ(result.status, 0) << result.err;
    }
    return path;
}

// ---- usage ----

TEST(Usage, HelpVersionAndWrongWords) {
    Result help = carousel({"--help"});
    EXPECT_EQ(help.status, 0);
    for (const char *verb : {"train", "eval", "predict", "inspect", "info"})
        EXPECT_TRUE(has(help.out, verb)) << verb;
    EXPECT_EQ(carousel({"--version"}).out.rfind("carousel ", 0), 0U);
    EXPECT_EQ(carousel({}).status, 2);
    Result wrong = carousel({"tarin"});
    expect_failure(wrong, 2, {"tarin", "train, eval, predict"});
    EXPECT_EQ(carousel({"train", phrases, "--no-such-option"}).status, 2);
    EXPECT_EQ(carousel({"train"}).status, 2);
    EXPECT_EQ(carousel({"eval", "a", "b", "c"}).status, 2);
    expect_failure(carousel({"train", phrases}), 2, {"-o"});
    expect_failure(carousel({"train", phrases, "-o", "x", "--epochs", "0"}), 2, {"--epochs '0'", "from 1"});
    expect_failure(carousel({"train", phrases, "-o", "x", "--nesterov", "on"}), 2, {"--nesterov", "sgd"});
}

TEST(Usage, HelpAndManualListEverySettingWithItsDefault) {
    Result help = carousel({"train", "--help"}), manual = carousel({"manual"});
    ASSERT_EQ(help.status, 0);
    ASSERT_EQ(manual.status, 0);
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++) {
        EXPECT_TRUE(has(help.out, std::string("--") + settings[i].name + "=")) << settings[i].name;
        std::string escaped = std::string("\\-\\-") + settings[i].name;
        for (size_t at = 4; (at = escaped.find('-', at)) != std::string::npos; at += 2)
            if (escaped[at - 1] != '\\')
                escaped.insert(at, "\\");
        EXPECT_TRUE(has(manual.out, escaped)) << escaped;
    }
    EXPECT_TRUE(has(help.out, "(default: adam)"));
    EXPECT_TRUE(has(manual.out, "(default: adam)"));
}

TEST(Usage, ManualPageIsWellFormed) {
    Folder folder;
    std::string page = folder.write("carousel.1", carousel({"manual"}).out);
    if (run({"man", "--version"}).status != 0)
        GTEST_SKIP() << "there is no man here";
    Result shown = run({"env", "MANROFFSEQ=", "MANWIDTH=80", "man", "--warnings", "-l", page});
    EXPECT_EQ(shown.status, 0);
    EXPECT_EQ(shown.err, "");
    EXPECT_TRUE(has(shown.out, "EXIT STATUS"));
}

TEST(Info, NamesBackendsAndLibraries) {
    Result plain = carousel({"info"});
    EXPECT_EQ(plain.status, 0);
    EXPECT_TRUE(has(plain.out, "cpu-double"));
    Json info = parse(carousel({"info", "--json"}).out);
    json_t *backends = json_object_get(info.get(), "backends");
    size_t usable = 0, index;
    json_t *backend;
    json_array_foreach(backends, index, backend) usable += json_is_true(json_object_get(backend, "usable"));
    EXPECT_GE(usable, 2U);
}

// ---- the main job ----

TEST(Train, WritesModelHistoryAndCurvesAndEvaluatesWell) {
    Folder folder;
    std::string model = folder / "m.safetensors";
    std::vector<std::string> arguments = {"train", phrases, "-o", model, "--keep-best", "off"};
    arguments.insert(arguments.end(), small_model.begin(), small_model.end());
    Result result = carousel(arguments);
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_TRUE(has(result.err, "epoch 80  "));
    EXPECT_FALSE(has(result.err, "\r")) << "no bar where there is no terminal";
    EXPECT_TRUE(has(result.out, "validation: rows"));
    EXPECT_EQ(lines(read_file(folder / "m.history.csv")).size(), 81U);
    if (run({"gnuplot", "--version"}).status == 0) {
        EXPECT_EQ(folder.names(), (std::vector<std::string>{"m.history.csv", "m.png", "m.safetensors", "m.svg"}));
        EXPECT_EQ(read_file(folder / "m.png").substr(1, 3), "PNG");
        std::string svg = read_file(folder / "m.svg");
        EXPECT_TRUE(has(svg, "</svg>"));
        EXPECT_TRUE(has(svg, "validation"));
    } else {
        EXPECT_TRUE(has(result.err, "gnuplot is not installed"));
    }
    Json evaluated = parse(carousel({"eval", model, phrases_test, "--json", "--quiet"}).out);
    json_t *metrics = json_object_get(evaluated.get(), "metrics");
    EXPECT_GE(json_number_value(json_object_get(metrics, "accuracy")), 0.85);
    EXPECT_EQ(json_integer_value(json_object_get(metrics, "rows")),
              static_cast<int>(lines(read_file(phrases_test)).size()));
    EXPECT_EQ(json_array_size(json_object_get(metrics, "classes")), 2U);
}

TEST(Train, AFailingGnuplotLosesNeitherModelNorFigures) {
    Folder folder;
    std::string program = folder.write("bin/gnuplot", "#!/bin/sh\nexit 3\n");
    ASSERT_EQ(run({"chmod", "+x", program}).status, 0);
    std::vector<std::string> arguments = {"env", "PATH=" + (folder / "bin") + ":/usr/bin:/bin", command};
    for (const std::string &argument : train_arguments(phrases, folder / "m.safetensors", {"--epochs", "2"}))
        if (argument != "--no-curves")
            arguments.push_back(argument);
    Result result = run(arguments);
    expect_failure(result, 1, {"m.svg", "gnuplot failed"});
    EXPECT_TRUE(has(result.out, "validation: rows")) << result.out;
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"bin", "m.history.csv", "m.safetensors"}));
}

TEST(Train, JsonIsOneObjectWithTheHistory) {
    Folder folder;
    Result result = train(phrases, folder / "m.safetensors", {"--json", "--epochs", "3"});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(result.err, "");
    Json object = parse(result.out);
    EXPECT_EQ(json_array_size(json_object_get(object.get(), "history")), 3U);
    EXPECT_TRUE(json_is_object(json_object_get(object.get(), "validation")));
}

// The files differ in the settings they note, so the weights are compared, which stand at the end.
std::string weights_of(const std::string &path) {
    std::string bytes = read_file(path);
    uint64_t header;
    memcpy(&header, bytes.data(), sizeof header);
    return bytes.substr(8 + header);
}

TEST(Train, SameSeedSameBitsWhateverTheThreads) {
    Folder folder;
    ASSERT_EQ(train(phrases, folder / "a.safetensors", {"--epochs", "5"}).status, 0);
    ASSERT_EQ(train(phrases, folder / "b.safetensors", {"--epochs", "5", "--threads", "3"}).status, 0);
    ASSERT_EQ(train(phrases, folder / "c.safetensors", {"--epochs", "5", "--seed", "3"}).status, 0);
    EXPECT_TRUE(weights_of(folder / "a.safetensors") == weights_of(folder / "b.safetensors"));
    EXPECT_FALSE(weights_of(folder / "a.safetensors") == weights_of(folder / "c.safetensors"));
}

TEST(Train, CacheIsWrittenThenTakenAndChangesNoBit) {
    Folder folder;
    auto run = [&](const char *model, const std::string &cache) {
        std::vector<std::string> arguments = train_arguments(
            phrases, folder / model, {"--epochs", "2", "--validation-file", phrases_test, "--overwrite"});
        arguments.erase(std::find(arguments.begin(), arguments.end(), "--quiet"));
        if (!cache.empty())
            arguments.insert(arguments.end(), {"--cache", cache});
        return carousel(arguments);
    };
    Result plain = run("m.safetensors", "");
    ASSERT_EQ(plain.status, 0) << plain.err;
    EXPECT_FALSE(has(plain.err, "cache"));
    const std::string model = weights_of(folder / "m.safetensors");
    Result first = run("m.safetensors", folder / "cache");
    ASSERT_EQ(first.status, 0) << first.err;
    EXPECT_TRUE(has(first.err, "wrote the cache " + (folder / "cache/train.tsv."))) << first.err;
    EXPECT_TRUE(has(first.err, "wrote the cache " + (folder / "cache/test.tsv."))) << first.err;
    EXPECT_TRUE(weights_of(folder / "m.safetensors") == model);
    Result second = run("m.safetensors", folder / "cache");
    ASSERT_EQ(second.status, 0) << second.err;
    EXPECT_TRUE(has(second.err, "taken from the cache " + (folder / "cache/train.tsv."))) << second.err;
    EXPECT_TRUE(has(second.err, "taken from the cache " + (folder / "cache/test.tsv."))) << second.err;
    EXPECT_TRUE(weights_of(folder / "m.safetensors") == model);
    // A folder that cannot be made is told, and does no harm.
    Result without = run("m.safetensors", folder / "m.safetensors/below");
    ASSERT_EQ(without.status, 0) << without.err;
    EXPECT_TRUE(has(without.err, "no cache: ")) << without.err;
    EXPECT_TRUE(weights_of(folder / "m.safetensors") == model);
}

TEST(Train, ReadsStandardInputAndFormats) {
    Folder folder;
    RunOptions piped;
    piped.input = read_file(phrases);
    EXPECT_EQ(train("-", folder / "stdin.safetensors", {"--epochs", "2"}, piped).status, 0);
    std::string fasttext;
    for (const std::string &line : lines(piped.input))
        fasttext += "__label__" + line.substr(0, 1) + " " + line.substr(2) + "\n";
    std::string file = folder.write("p.ft.txt", fasttext);
    EXPECT_EQ(train(file, folder / "ft.safetensors", {"--epochs", "2"}).status, 0);
}

TEST(Train, ExistingOutputsAreRefusedBeforeTheWork) {
    Folder folder;
    std::string model = folder.write("m.safetensors", "precious");
    expect_failure(train(phrases, model), 1, {model, "exists already", "--overwrite"});
    EXPECT_EQ(read_file(model), "precious");
    folder.write("n.history.csv", "precious");
    expect_failure(train(phrases, folder / "n.safetensors"), 1, {"n.history.csv", "exists already"});
    EXPECT_EQ(train(phrases, model, {"--overwrite", "--epochs", "1"}).status, 0);
    EXPECT_NE(read_file(model), "precious");
    expect_failure(train(phrases, folder / "no/such/m.safetensors"), 1, {"cannot be written", "make the folder"});
    expect_failure(train(phrases, folder / "", {"--overwrite"}), 1, {"no regular file"});
    expect_failure(train(phrases, folder / std::string(500, 'm')), 1, {"longer than"});
    expect_failure(train(phrases, folder / std::string(240, 'm')), 1, {"too long", "shorter"});
    expect_failure(train(phrases, ""), 2, {"-o model.safetensors"});
    std::string data = folder.write("data.tsv", read_file(phrases));
    expect_failure(train(data, data, {"--overwrite"}), 1, {data, "to be read"});
    expect_failure(train(phrases, data, {"--overwrite", "--validation-file", data}), 1, {data, "to be read"});
    EXPECT_EQ(read_file(data), read_file(phrases));
    ASSERT_EQ(symlink("nowhere", (folder / "dangling").c_str()), 0);
    expect_failure(train(phrases, folder / "dangling"), 1, {"dangling", "exists already"});
    // Left by a killed training, and not this one's to remove.
    std::string partial = folder.write("p.safetensors.partial", "precious");
    EXPECT_EQ(train(phrases, folder / "p.safetensors", {"--epochs", "1"}).status, 0);
    EXPECT_EQ(read_file(partial), "precious");
}

TEST(Train, AModelLineThatIsWrongIsPointedAt) {
    Folder folder;
    expect_failure(train(phrases, folder / "m", {"--model", "embedding 8 | lstn 8 | dense"}), 1, {"lstn", "lstm"});
    expect_failure(train(phrases, folder / "m", {"--model", "embedding 8 | lstm 8 | lstm 8 | dense"}), 1, {"seq"});
    EXPECT_TRUE(folder.names().empty());
}

TEST(Train, AWrongLineIsToldBeforeTheDataAreRead) {
    Folder folder;
    expect_failure(train(folder / "missing.tsv", folder / "m", {"--model", "embedding 8 | lstn 8 | dense"}), 1,
                   {"lstn"});
}

TEST(Train, StartsFromWordVectors) {
    Folder folder;
    const std::string vectors = folder.write(
        "v.vec", "4 16\n" + [] {
            std::string rows;
            for (const char *word : {"Was", "not", "zebra", "ox"}) {
                rows += word;
                for (int i = 0; i < 16; i++)
                    rows += " " + std::to_string(i) + ".5";
                rows += "\n";
            }
            return rows;
        }());
    const std::string model = folder / "m.safetensors";
    const Result result =
        carousel({"train", phrases, "-o", model, "--no-curves", "--json", "--epochs", "1", "--model",
                  "embedding 16 frozen | mean | dense", "--vectors", vectors, "--vectors-vocabulary", "--words-only"});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_TRUE(has(result.err, "2 more words are in the vectors")) << result.err;
    EXPECT_TRUE(has(result.err, "vectors " + vectors + ": word2vec text, 4 x 16; they cover 4 of ")) << result.err;
    const Json object = parse(result.out);
    const json_t *told = json_object_get(object.get(), "vectors");
    EXPECT_STREQ(json_string_value(json_object_get(told, "file")), vectors.c_str());
    EXPECT_EQ(json_integer_value(json_object_get(told, "exact")), 3);
    EXPECT_EQ(json_integer_value(json_object_get(told, "folded")), 1);
    EXPECT_GT(json_integer_value(json_object_get(told, "covered")), 0);
    const Json inspected = parse(carousel({"inspect", model, "--json"}).out);
    EXPECT_STREQ(json_string_value(json_object_get(json_object_get(inspected.get(), "settings"), "words-only")), "on");
    const Json without = parse(train(phrases, folder / "n.safetensors", {"--epochs", "1", "--json"}).out);
    EXPECT_TRUE(json_is_null(json_object_get(without.get(), "vectors")));
    // What does not fit is told before the data are read.
    expect_failure(train(folder / "none.tsv", folder / "o.safetensors",
                         {"--model", "embedding 50 | mean | dense", "--vectors", vectors}),
                   1, {"v.vec: its vectors have 16 numbers, the embedding 50; write \"embedding 16\""});
    expect_failure(train(phrases, vectors, {"--vectors", vectors, "--overwrite"}), 1, {"is what is to be read"});
    expect_failure(train(phrases, folder / "o.safetensors", {"--vectors-vocabulary"}), 2, {"needs --vectors"});
    expect_failure(carousel({"gradcheck", "embedding 4 | mean | dense", "--vectors", vectors}), 2, {"--vectors"});
}

TEST(Train, TextsWithoutATokenAreRefused) {
    Folder folder;
    std::string path = folder.write("marks.csv", "label,text\na,!!!\nb,...\na,??\nb,;;\n");
    expect_failure(train(path, folder / "m.safetensors"), 1, {"none of the 4 texts has a token", "--filters"});
}

TEST(Train, ALossThatIsNotFiniteStopsAndSaysWhatToTry) {
    Folder folder;
    std::string model = folder.write("m.safetensors", "precious");
    Result result = train(phrases, model,
                          {"--overwrite", "--optimizer", "sgd", "--learning-rate", "1000", "--momentum", "0.99",
                           "--model", "embedding 8 | rnn 24 activation=relu | dense", "--loss", "mse"});
    expect_failure(result, 1, {"step", "--learning-rate"});
    EXPECT_EQ(read_file(model), "precious");
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"m.safetensors"}));
}

// ---- interruption ----

std::vector<std::string> endless(const std::string &model) {
    std::vector<std::string> arguments = train_arguments(phrases, model, {"--epochs", "1000000", "--overwrite"});
    arguments.erase(std::find(arguments.begin(), arguments.end(), "--quiet"));
    arguments.insert(arguments.begin(), command);
    return arguments;
}

TEST(Interrupt, CtrlCEndsAfterTheStepWithEverythingSaved) {
    Folder folder;
    std::string model = folder / "m.safetensors";
    Process process(endless(model), true);
    ASSERT_TRUE(has(process.read_until("epoch 3"), "epoch 3"));
    process.kill(SIGINT);
    std::string rest = process.read_until("wrote ");
    EXPECT_TRUE(has(rest, "interrupted")) << rest;
    EXPECT_EQ(process.wait(), 0);
    EXPECT_EQ(carousel({"eval", model, phrases_test}).status, 0);
    EXPECT_GE(lines(read_file(folder / "m.history.csv")).size(), 3U);
}

TEST(Interrupt, AKilledProcessLosesNothingThatExisted) {
    Folder folder;
    std::string model = folder.write("m.safetensors", "precious");
    Process process(endless(model), true);
    ASSERT_TRUE(has(process.read_until("epoch 3"), "epoch 3"));
    process.kill(SIGKILL);
    EXPECT_EQ(process.wait(), 128 + SIGKILL);
    EXPECT_EQ(read_file(model), "precious");
}

TEST(Progress, ATerminalShowsABar) {
    Folder folder;
    Process process(endless(folder / "m.safetensors"), true);
    std::string seen = process.read_until("rows/s");
    for (const char *part : {"\r", "epoch ", "/1000000 [", "rows/s"})
        EXPECT_TRUE(has(seen, part)) << part << " is not in " << seen;
    process.kill(SIGKILL);
}

TEST(Disk, AFullDiskLeavesTheOldModelAndNoRubbish) {
    if (under_thread_sanitizer)
        GTEST_SKIP() << "the thread sanitizer itself needs a file larger than the limit";
    Folder folder;
    std::string model = folder.write("m.safetensors", "precious");
    RunOptions full;
    full.file_limit = 8192; // clang's OpenMP needs a file of 1 KiB for itself; the model has 15
    expect_failure(train(phrases, model, {"--overwrite", "--epochs", "1"}, full), 1, {model, "writing failed"});
    EXPECT_EQ(read_file(model), "precious");
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"m.safetensors"}));
}

TEST(Disk, ResultsThatCannotBeWrittenAreAFailure) {
    RunOptions nowhere;
    nowhere.out = "/dev/full";
    Result result = carousel({"eval", trained(), phrases_test, "--quiet"}, nowhere);
    expect_failure(result, 1, {"standard output"});
    nowhere.input = "rain was good\n";
    EXPECT_EQ(carousel({"predict", trained(), "--quiet"}, nowhere).status, 1);
}

// ---- prediction ----

TEST(Predict, LabelsAndProbabilitiesPerLine) {
    RunOptions piped;
    std::string expected;
    for (const std::string &line : lines(read_file(phrases_test))) {
        piped.input += line.substr(2) + "\n";
        expected += line[0];
    }
    Result result = carousel({"predict", trained(), "--quiet"}, piped);
    ASSERT_EQ(result.status, 0) << result.err;
    std::vector<std::string> answers = lines(result.out);
    ASSERT_EQ(answers.size(), expected.size());
    size_t right = 0;
    for (size_t i = 0; i < answers.size(); i++) {
        right += answers[i][0] == expected[i];
        double probability = std::stod(answers[i].substr(2));
        EXPECT_GE(probability, 0.5);
        EXPECT_LE(probability, 1.0);
    }
    EXPECT_GE(static_cast<double>(right), 0.85 * static_cast<double>(expected.size()));
    Result both = carousel({"predict", trained(), "--quiet", "--top", "5"}, piped);
    ASSERT_EQ(lines(both.out).size(), expected.size());
    std::istringstream fields(lines(both.out)[0]);
    std::string first, second;
    double p = 0, q = 0;
    fields >> first >> p >> second >> q;
    EXPECT_NE(first, second);
    EXPECT_NEAR(p + q, 1, 2e-6);
    EXPECT_GE(p, q);
}

/* Of a network whose last layer has learned next to nothing many probabilities are nearly alike. */
TEST(Predict, TheBestOfManyLabelsAreTheFirstOfAll) {
    const Folder folder;
    const int64_t classes = 300;
    std::string text;
    for (int64_t c = 0; c < classes; c++)
        text += "__label__" + std::to_string(c) + " word" + std::to_string(c % 40) + " other" + std::to_string(c % 7) +
                "\n";
    const std::string data = folder.write("many.txt", text), model = folder / "many.safetensors";
    const Result train = carousel({"train", data, "-o", model, "--no-curves", "--quiet", "--validation", "0", "--model",
                                   "embedding 8 | mean | dense", "--epochs", "2", "--threads", "1"});
    ASSERT_EQ(train.status, 0) << train.err;
    RunOptions piped;
    piped.input = "word3 other2\nword39\n";
    const std::vector<std::string> all =
        lines(carousel({"predict", model, "--quiet", "--top", std::to_string(classes)}, piped).out);
    ASSERT_EQ(all.size(), 2U);
    for (const std::string &line : all) {
        std::istringstream fields(line);
        std::set<std::string> labels;
        std::string label;
        for (double probability = 0, before = 1, sum = 0; fields >> label >> probability; before = probability) {
            EXPECT_LE(probability, before);
            EXPECT_TRUE(labels.insert(label).second) << label << " came twice";
            sum += probability;
            if (labels.size() == static_cast<size_t>(classes)) {
                EXPECT_NEAR(sum, 1, 1e-3);
            }
        }
        EXPECT_EQ(labels.size(), static_cast<size_t>(classes));
    }
    for (const char *top : {"1", "2", "5", "150", "299"}) {
        const std::vector<std::string> some = lines(carousel({"predict", model, "--quiet", "--top", top}, piped).out);
        ASSERT_EQ(some.size(), all.size());
        for (size_t i = 0; i < all.size(); i++) {
            EXPECT_EQ(all[i].compare(0, some[i].size(), some[i]), 0) << top << ": " << some[i];
            EXPECT_EQ(std::count(some[i].begin(), some[i].end(), '\t'), 2 * std::stol(top) - 1);
        }
    }
}

TEST(Predict, JsonIsOneObject) {
    RunOptions piped;
    piped.input = "one text\nand another\n\n";
    Json object = parse(carousel({"predict", trained(), "--quiet", "--json", "--logits"}, piped).out);
    json_t *predictions = json_object_get(object.get(), "predictions");
    ASSERT_EQ(json_array_size(predictions), 3U);
    json_t *first = json_array_get(predictions, 0);
    EXPECT_TRUE(json_is_string(json_object_get(json_array_get(json_object_get(first, "labels"), 0), "label")));
    EXPECT_GE(json_array_size(json_object_get(first, "logits")), 1U);
    piped.input = "";
    EXPECT_EQ(json_array_size(json_object_get(
                  parse(carousel({"predict", trained(), "--quiet", "--json"}, piped).out).get(), "predictions")),
              0U);
}

/* The weights of a model file made so large, each of them finite, that its logits are infinite; the file's path. */
std::string with_huge_weights(const Folder &folder) {
    std::string bytes = read_file(trained_otherwise());
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header);
    for (size_t at = sizeof header + header; at + 4 <= bytes.size(); at += 4)
        bytes.replace(at, 4, "\xff\xff\x7f\x7f"); // the largest float
    return folder.write("huge.safetensors", bytes);
}

// A text without tokens has the biases alone, which are finite.
TEST(Predict, WhatIsNotFiniteIsRefused) {
    const Folder folder;
    const std::string model = with_huge_weights(folder), texts = folder.write("texts", "\n\nwarm sun\n\n");
    for (const std::vector<std::string> &more : {std::vector<std::string>{}, {"--json"}, {"--json", "--logits"}}) {
        std::vector<std::string> arguments = {"predict", model, texts, "--quiet"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        const Result result = carousel(arguments);
        expect_failure(result, 1, {"texts:3: ", "is not finite", "lower --learning-rate"});
        EXPECT_EQ(lines(result.out).size(), more.empty() ? 2U : 3U) << result.out;
        EXPECT_FALSE(has(result.out, "nan")) << result.out;
    }
    // The mean of a number and of none is none.
    expect_failure(carousel({"predict", trained(), texts, "--with", model, "--quiet"}), 1, {"texts:3: "});
    RunOptions piped;
    piped.input = "\nwarm sun\n";
    const Result answers = carousel({"predict", model, "--quiet"}, piped);
    expect_failure(answers, 1, {"standard input:2: ", "is not finite"});
    EXPECT_EQ(lines(answers.out).size(), 1U);
}

// ---- several models ----

double probability_of(const json_t *prediction, const std::string &label) {
    const json_t *labels = json_object_get(prediction, "labels"), *one;
    size_t i;
    json_array_foreach(labels, i, one) {
        if (json_string_value(json_object_get(one, "label")) == label)
            return json_real_value(json_object_get(one, "probability"));
    }
    ADD_FAILURE() << "no probability of " << label;
    return NAN;
}

TEST(With, ProbabilitiesAreTheMeanOfAllModels) {
    const std::string third = trained_otherwise();
    RunOptions piped;
    for (const std::string &line : lines(read_file(phrases_test)))
        piped.input += line.substr(2) + "\n";
    const auto predictions = [&](const std::vector<std::string> &models) {
        std::vector<std::string> arguments = {"predict", models[0], "--quiet", "--json", "--top", "2"};
        for (size_t i = 1; i < models.size(); i++)
            arguments.insert(arguments.end(), {"--with", models[i]});
        return parse(carousel(arguments, piped).out);
    };
    const Json one = predictions({trained()}), two = predictions({trained_otherwise()});
    const Json mean = predictions({trained(), trained_otherwise(), third});
    const auto row = [](const Json &all, size_t i) {
        return json_array_get(json_object_get(all.get(), "predictions"), i);
    };
    const std::vector<std::string> test_rows = lines(read_file(phrases_test));
    double loss = 0, right = 0;
    for (size_t i = 0; i < test_rows.size(); i++) {
        for (const char *label : {"0", "1"})
            EXPECT_NEAR(probability_of(row(mean, i), label),
                        (probability_of(row(one, i), label) + 2 * probability_of(row(two, i), label)) / 3, 1e-6);
        const double p = probability_of(row(mean, i), test_rows[i].substr(0, 1));
        loss -= std::log(p);
        right += p > 0.5;
    }
    // eval's figures are those of the same probabilities.
    const Result evaluated = carousel(
        {"eval", trained(), phrases_test, "--with", trained_otherwise(), "--with", third, "--json", "--quiet"});
    ASSERT_EQ(evaluated.status, 0) << evaluated.err;
    const Json object = parse(evaluated.out);
    const json_t *metrics = json_object_get(object.get(), "metrics");
    const double count = static_cast<double>(test_rows.size());
    EXPECT_NEAR(json_real_value(json_object_get(metrics, "loss")), loss / count, 1e-5);
    EXPECT_NEAR(json_real_value(json_object_get(metrics, "accuracy")), right / count, 1e-9);
    EXPECT_EQ(json_array_size(json_object_get(object.get(), "with")), 2U);
}

TEST(With, ModelsOfOtherLabelsAreRefused) {
    const Folder folder;
    const auto model_of = [&](const std::string &name, const std::string &rows) {
        const std::string path = folder / (name + ".safetensors");
        const Result result =
            carousel({"train", folder.write(name + ".tsv", rows), "-o", path, "--no-curves", "--quiet", "--validation",
                      "0", "--model", "embedding 4 | mean | dense", "--epochs", "1"});
        EXPECT_EQ(result.status, 0) << result.err;
        return path;
    };
    const std::string three = model_of("three", "0\tone text\n1\tanother text\n2\tand a third\n"),
                      other = model_of("other", "0\tone text\nx\tanother text\n");
    expect_failure(carousel({"eval", trained(), phrases_test, "--with", three, "--quiet"}), 1,
                   {"three.safetensors", "3 classes", "has 2", "same labels"});
    expect_failure(carousel({"predict", trained(), phrases_test, "--with", other, "--quiet"}), 1,
                   {"other.safetensors", "label '1'", "same labels"});
    expect_failure(carousel({"eval", trained(), phrases_test, "--with", folder / "none", "--quiet"}), 1, {"none"});
    expect_failure(carousel({"eval", trained(), "-", "--with", trained_otherwise(), "--quiet"}), 2, {"give a file"});
    expect_failure(carousel({"eval", trained(), "/dev/null", "--with", trained_otherwise(), "--quiet"}), 2, {"pipe"});
    expect_failure(carousel({"predict", trained(), "--with", trained_otherwise(), "--logits", "--json", "--quiet"}), 2,
                   {"--logits"});
}

TEST(Predict, AnswersEachLineBeforeTheNext) {
    Process process({command, "predict", trained(), "--quiet"});
    for (int i = 0; i < 3; i++) {
        process.write("a text to label\n");
        ASSERT_TRUE(has(process.read_until("\n"), "\t")) << "no answer to line " << i;
    }
    process.close_input();
    EXPECT_EQ(process.wait(), 0);
}

// A label may hold what would tear a line or a table apart, or be cut within a character.
TEST(Predict, LabelsWithControlCharactersStayInTheirLine) {
    Folder folder;
    std::string text = "label,text\n", model = folder / "m.safetensors";
    for (int i = 0; i < 20; i++)
        text += "\"two\nlines\tand a tab\",warm sun " + std::to_string(i) + "\n좋아요좋아요좋아요좋아요,cold rain " +
                std::to_string(i) + "\n";
    std::string path = folder.write("odd.csv", text);
    ASSERT_EQ(train(path, model, {"--epochs", "1"}).status, 0);
    RunOptions piped;
    piped.input = "warm sun\n";
    Result both = carousel({"predict", model, "--quiet", "--top", "2"}, piped);
    ASSERT_EQ(lines(both.out).size(), 1U) << both.out;
    EXPECT_EQ(std::count(both.out.begin(), both.out.end(), '\t'), 3);
    EXPECT_TRUE(has(both.out, "two\\nlines\\tand a tab")) << both.out;
    Result table = carousel({"eval", model, path, "--quiet"});
    EXPECT_TRUE(has(table.out, " 좋아요좋아요좋아요좋\n")) << table.out; // the head of a column: ten characters
    EXPECT_EQ(lines(table.out).size(), 11U) << table.out;
    EXPECT_TRUE(has(carousel({"inspect", model}).out, "~\\t\\n\n"));
}

TEST(Predict, ReadsLabelledFormatsToo) {
    Result result = carousel({"predict", trained(), phrases_test, "--format", "tsv", "--quiet"});
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_EQ(lines(result.out).size(), lines(read_file(phrases_test)).size());
}

// ---- inspect ----

TEST(Inspect, AFileAndALine) {
    Result file = carousel({"inspect", trained()});
    ASSERT_EQ(file.status, 0) << file.err;
    for (const char *part : {"lstm 24", "total parameters", "layers.1.weight_ih_l0", "labels", "vocabulary"})
        EXPECT_TRUE(has(file.out, part)) << part;
    EXPECT_TRUE(json_is_array(json_object_get(parse(carousel({"inspect", trained(), "--json"}).out).get(), "layers")));
    Result line = carousel({"inspect", "embedding 32 | lstm 32 seq | lstm 32 | dense 1", "--vocabulary", "8192"});
    EXPECT_TRUE(has(line.out, "278,817")) << line.out << line.err;
    expect_failure(carousel({"inspect", "embedding 32"}), 1, {"model line", "dense"});
    expect_failure(carousel({"inspect", "embedding 8 | max | dense", "--classes", "3x"}), 2, {"--classes '3x'"});
    expect_failure(carousel({"inspect", trained(), "--length", "7"}), 2, {"--length", "model line"});
}

// ---- bad input ----

TEST(BadInput, IsOneLineWithPlaceAndMend) {
    Folder folder;
    struct Case {
        const char *name;
        std::string content;
        std::vector<std::string> parts;
    };
    const std::string good = read_file(phrases);
    const std::string bad_line = ":" + std::to_string(lines(good).size() + 1) + ":";
    const Case cases[] = {
        {"empty.tsv", "", {"empty.tsv"}},
        {"one-class.tsv", "a\tone\na\ttwo\na\tthree\n", {"one-class.tsv", "only one class", "\"a\""}},
        {"utf8.tsv", good + "0\tbroken \xff here\n", {"utf8.tsv" + bad_line, "UTF-8"}},
        {"nul.tsv", good + std::string("0\tnul \0 here\n", 12), {"nul.tsv" + bad_line, "NUL"}},
        {"empty-label.tsv", good + "\tno label\n", {"empty-label.tsv" + bad_line, "label"}},
        {"no-tab.tsv", good + "no tab at all\n", {"no-tab.tsv" + bad_line, "--skip-bad"}},
        {"open-quote.csv", "label,text\n0,one\n1,\"never closed\n0,two\n", {"open-quote.csv:3:", "quote"}},
        {"truncated.bz2", std::string("BZh91AY&SY", 10), {"truncated.bz2", "truncated"}},
    };
    for (const Case &c : cases) {
        SCOPED_TRACE(c.name);
        std::string path = folder.write(c.name, c.content);
        expect_failure(train(path, folder / "m.safetensors"), 1, c.parts);
        EXPECT_FALSE(is_file(folder / "m.safetensors"));
    }
    expect_failure(train(folder / "missing.tsv", folder / "m.safetensors"), 1, {"missing.tsv", "No such file"});
}

TEST(BadInput, SkipBadCountsAndGoesOn) {
    Folder folder;
    std::string text = read_file(phrases) + "0\tbroken \xff here\n\tno label\n";
    std::string path = folder.write("bad.tsv", text);
    std::vector<std::string> arguments = train_arguments(path, folder / "m.safetensors", {"--skip-bad", "on"});
    arguments.erase(std::find(arguments.begin(), arguments.end(), "--quiet"));
    Result result = carousel(arguments);
    EXPECT_EQ(result.status, 0);
    EXPECT_TRUE(has(result.err, "2 bad lines were skipped")) << result.err;
}

TEST(BadInput, AHeaderTakenForARowIsDoubted) {
    Folder folder;
    std::string text = "foo,bar\n";
    for (int i = 0; i < 10; i++)
        text += "pos,warm sun\nneg,cold rain\n";
    std::vector<std::string> arguments = train_arguments(folder.write("a.csv", text), folder / "a", {"--epochs", "1"});
    arguments.erase(std::find(arguments.begin(), arguments.end(), "--quiet"));
    Result result = carousel(arguments);
    EXPECT_TRUE(has(result.err, "label 'foo'") && has(result.err, "--header on")) << result.err;
    arguments.insert(arguments.end(), {"--header", "on", "--overwrite"});
    result = carousel(arguments);
    EXPECT_TRUE(has(result.err, "2 classes") && !has(result.err, "label 'foo'")) << result.err;
}

TEST(BadInput, ALineOf100MegabytesIsRefusedInBoundedMemory) {
    Folder folder;
    std::string path = folder.write("long.tsv", read_file(phrases) + "0\t" + std::string(100 << 20, 'x') + "\n");
    size_t line = lines(read_file(phrases)).size() + 1;
    expect_failure(train(path, folder / "m.safetensors"), 1, {"long.tsv:" + std::to_string(line) + ":", "8 MiB"});
}

TEST(BadInput, ALabelNeverSeenInTraining) {
    Folder folder;
    std::string path = folder.write("new.tsv", "1\tit rains\nsurprise\tit snows\n0\tthe sun\n");
    expect_failure(carousel({"eval", trained(), path, "--quiet"}), 1, {"new.tsv:2:", "surprise", "0, 1"});
    Result skipped = carousel({"eval", "--skip-bad", trained(), path});
    EXPECT_EQ(skipped.status, 0) << skipped.err;
    EXPECT_TRUE(has(skipped.out, "rows 2"));
}

TEST(BadInput, CorruptModelFiles) {
    Folder folder;
    std::string bytes = read_file(trained());
    ASSERT_GT(bytes.size(), 1000U);
    std::string header = bytes;
    header[20] = '\x01';
    std::string data = bytes;
    data.replace(data.size() - 4, 4, "\xff\xff\xff\x7f"); // a NaN
    const std::pair<const char *, std::string> cases[] = {{"empty", ""},
                                                          {"short", bytes.substr(0, 5)},
                                                          {"cut", bytes.substr(0, bytes.size() - 10)},
                                                          {"longer", bytes + "x"},
                                                          {"header", header},
                                                          {"nan", data},
                                                          {"text", "this is no model\n and never was\n"}};
    for (const auto &[name, content] : cases) {
        SCOPED_TRACE(name);
        std::string path = folder.write(name, content);
        expect_failure(carousel({"eval", path, phrases_test, "--quiet"}), 1, {path});
        expect_failure(carousel({"predict", path, phrases_test, "--quiet"}), 1, {path});
    }
    expect_failure(carousel({"eval", folder / "missing", phrases_test, "--quiet"}), 1, {"missing", "No such file"});
}

TEST(Backend, UnknownAndMissingOnes) {
    expect_failure(carousel({"eval", trained(), phrases_test, "--backend", "tpu", "--quiet"}), 1, {"tpu", "cpu"});
    expect_failure(carousel({"eval", trained(), phrases_test, "--lstm", "fancy", "--quiet"}), 1, {"fancy", "simple"});
    Result automatic = carousel({"eval", trained(), phrases_test, "--backend", "auto"});
    EXPECT_EQ(automatic.status, 0);
    EXPECT_TRUE(has(automatic.err, "backend ")) << automatic.err;
    EXPECT_EQ(carousel({"eval", trained(), phrases_test, "--backend", "cpu-double"}).status, 0);
}

} // namespace
