// carousel experiment from end to end: what it trains, what it does not train again, what it writes, and what it says
// about bad files.
#include "command.hpp"

#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>
#include <set>
#include <unistd.h>

namespace {

const std::string command = CRS_COMMAND;

// A few rows of two classes, which a mean of embeddings tells apart.
const std::string rows = "yes\tgood tea\nno\tbad tea\nyes\tgood warm soup\nno\tbad cold soup\nyes\twarm bread\n"
                         "no\tcold bread\nyes\tgood bread here\nno\tbad bread here\nyes\twarm tea\nno\tcold tea\n";
const std::string defaults = "[defaults]\ndata = train.tsv\ntest = test.tsv\nmodel = embedding 4 | mean | dense\n"
                             "epochs = 2\nbatch = 4\nvalidation = 0.2\nthreads = 1\nbackend = cpu\n";

size_t count_of(const std::string &text, const std::string &part) {
    size_t count = 0;
    for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size())
        count++;
    return count;
}

std::string replaced(std::string text, const std::string &what, const std::string &with) {
    const size_t at = text.find(what);
    EXPECT_NE(at, std::string::npos) << what;
    return at == std::string::npos ? text : text.replace(at, what.size(), with);
}

// A folder with the data, an experiment file x.ini, and its results in out/.
struct Experiment {
    explicit Experiment(const std::string &ini) {
        folder.write("train.tsv", rows);
        folder.write("test.tsv", "yes\tgood soup\nno\tbad bread\nyes\twarm soup\nno\tcold tea here\n");
        write(ini);
    }
    void write(const std::string &ini) const {
        folder.write("x.ini", ini);
    }
    std::vector<std::string> arguments(const std::vector<std::string> &more) const {
        std::vector<std::string> all = {command, "experiment", folder / "x.ini", "--output", folder / "out"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    Result run(const std::vector<std::string> &more = {"--no-curves"}, const RunOptions &options = {}) const {
        return ::run(arguments(more), options);
    }
    std::string read(const std::string &name) const {
        return read_file(folder / ("out/" + name));
    }
    // What a training leaves behind, as it was written.
    std::filesystem::file_time_type written(const std::string &row, int seed = 1) const {
        return std::filesystem::last_write_time(
            folder / ("out/" + row + "/seed-" + std::to_string(seed) + "/model.safetensors"));
    }
    Folder folder;
};

// A CSV file as rows of named cells.
using Table = std::vector<std::map<std::string, std::string>>;

std::vector<std::string> split_csv(const std::string &line) {
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (const char c : line)
        if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted)
            cells.emplace_back();
        else
            cells.back() += c;
    return cells;
}

Table parse_csv(const std::string &text) {
    std::istringstream stream(text);
    std::string line;
    std::getline(stream, line);
    const std::vector<std::string> names = split_csv(line);
    Table table;
    while (std::getline(stream, line)) {
        const std::vector<std::string> cells = split_csv(line);
        EXPECT_EQ(cells.size(), names.size()) << line;
        table.emplace_back();
        for (size_t i = 0; i < names.size() && i < cells.size(); i++)
            table.back()[names[i]] = cells[i];
    }
    return table;
}

double number(const std::string &text) {
    size_t used = 0;
    const double value = text.empty() ? NAN : std::stod(text, &used);
    EXPECT_EQ(used, text.size()) << text;
    return value;
}

// "" where every element is closed in turn and no name is given twice; else what is wrong.
std::string check_html(const std::string &html) {
    const std::set<std::string> empty = {"meta", "br", "img", "link", "input", "hr"};
    std::vector<std::string> open;
    std::set<std::string> ids;
    for (size_t at = 0; (at = html.find('<', at)) != std::string::npos;) {
        if (html.compare(at, 4, "<!--") == 0) {
            at = html.find("-->", at);
            continue;
        }
        size_t end = at + 1;
        for (char quote = 0; end < html.size() && (quote || html[end] != '>'); end++)
            if (html[end] == quote)
                quote = 0;
            else if (!quote && (html[end] == '"' || html[end] == '\''))
                quote = html[end];
        const std::string tag = html.substr(at + 1, end - at - 1);
        const std::string name = tag.substr(tag[0] == '/', tag.find_first_of(" \t\n/", 1) - (tag[0] == '/'));
        at = end;
        if (name.empty() || (!std::isalpha(static_cast<unsigned char>(name[0])) && name != "!DOCTYPE"))
            return "a bare '<' before: " + html.substr(end, 40);
        const size_t id = tag.find(" id=");
        if (id != std::string::npos) {
            const std::string value = tag.substr(id + 5, tag.find(tag[id + 4], id + 5) - id - 5);
            if (!ids.insert(value).second)
                return "two elements are named " + value;
        }
        if (tag[0] == '/') {
            if (open.empty() || open.back() != name)
                return "</" + name + "> closes <" + (open.empty() ? "" : open.back()) + ">";
            open.pop_back();
        } else if (name != "!DOCTYPE" && tag.back() != '/' && empty.count(name) == 0) {
            open.push_back(name);
        }
    }
    for (size_t at = 0; (at = html.find('&', at)) != std::string::npos; at++) {
        const size_t end = html.find(';', at);
        if (end == std::string::npos || end - at > 8)
            return "a bare '&' before: " + html.substr(at, 40);
    }
    return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

// ---- what is written ----

TEST(Experiment, WritesTablesPicturesModelsAndAReport) {
    Experiment x(defaults + "note = Tea & <bread>\nseeds = 2\n[a & <b> 'c']\npublished.accuracy = 84.5 %\n"
                            "published.seconds = 3\nnote = First | \"quoted\",\n  and longer\n"
                            "[other]\nmodel = embedding 4 | lstm 4\n  | dense\nlearning-rate = 0.01\n");
    Result result = x.run({});
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_TRUE(has(result.err, "row 1 of 2: a & <b> 'c', seed 1 of 2")) << result.err;
    EXPECT_TRUE(has(result.err, "row 2 of 2: other, seed 2 of 2")) << result.err;
    for (const char *name : {"results.md", "results.csv", "seeds.csv", "report.html", "comparison.svg",
                             "experiment.ini", "other/curves.svg", "other/seed-1/history.csv",
                             "other/seed-2/model.safetensors", "a & <b> 'c'/seed-2/result.json"})
        EXPECT_TRUE(is_file(x.folder / (std::string("out/") + name))) << name;
    EXPECT_EQ(x.read("experiment.ini"), read_file(x.folder / "x.ini"));
    EXPECT_EQ(run({command, "eval", x.folder / "out/other/seed-2/model.safetensors", x.folder / "test.tsv"}).status, 0);

    const std::string markdown = x.read("results.md");
    EXPECT_TRUE(has(markdown, "| a \\& \\<b\\> 'c' | embedding 4 \\| mean \\| dense | adam |")) << markdown;
    EXPECT_TRUE(has(markdown, "epochs=2 batch=4 validation=0.2 learning-rate=0.01")) << markdown;
    EXPECT_TRUE(has(markdown, "| a \\& \\<b\\> 'c' | Test accuracy | 0.8450 |")) << markdown;
    char difference[32];
    std::snprintf(difference, sizeof difference, "| %+.4f |",
                  number(parse_csv(x.read("results.csv")).at(0).at("test_accuracy")) - 0.845);
    EXPECT_TRUE(has(markdown, difference)) << difference << " is not in " << markdown;
    EXPECT_TRUE(has(markdown, "First \\| \"quoted\", and longer")) << markdown;

    const std::string html = x.read("report.html");
    EXPECT_EQ(check_html(html), "");
    EXPECT_TRUE(has(html, "<h2>a &amp; &lt;b&gt; 'c'</h2>"));
    EXPECT_TRUE(has(html, "<p>Tea &amp; &lt;bread&gt;</p>"));
    EXPECT_EQ(count_of(html, "<svg"), 3U) << "two rows' curves and the comparison";
    EXPECT_TRUE(has(html, "CPU, float, 1 thread")) << "what it ran on";
    for (const char *outside :
         {"<script", "<link", "<img", " src=", "href=\"http", "href='http", "url(http", "@import"})
        EXPECT_FALSE(has(html, outside)) << outside;
}

TEST(Experiment, MeanSpreadAndDifferenceFollowFromTheSeeds) {
    Experiment x(defaults + "[a]\nseeds = 3\nseed = 5\npublished.loss = 0.25\npublished.val-accuracy = 0.5\n[b]\n");
    ASSERT_EQ(x.run().status, 0);
    const Table results = parse_csv(x.read("results.csv")), seeds = parse_csv(x.read("seeds.csv"));
    ASSERT_EQ(results.size(), 2U);
    ASSERT_EQ(seeds.size(), 4U);
    for (size_t i = 0; i < 3; i++)
        EXPECT_EQ(seeds[i].at("seed"), std::to_string(5 + i));
    for (const char *name : {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "test_loss", "test_accuracy",
                             "test_macro_f1", "test_auc", "seconds_per_epoch", "epochs"}) {
        const std::string key = name;
        double mean = 0, squares = 0;
        for (size_t i = 0; i < 3; i++)
            mean += number(seeds[i].at(key)) / 3;
        for (size_t i = 0; i < 3; i++)
            squares += std::pow(number(seeds[i].at(key)) - mean, 2);
        ASSERT_TRUE(std::isfinite(mean)) << key;
        EXPECT_NEAR(number(results[0].at(key)), mean, 1e-6 * (1 + mean)) << key;
        EXPECT_NEAR(number(results[0].at(key + "_sd")), std::sqrt(squares / 2), 1e-6 * (1 + mean)) << key;
        EXPECT_EQ(results[1].at(key), seeds[3].at(key)) << "one seed is its own mean";
        EXPECT_EQ(results[1].at(key + "_sd"), "") << "and has no spread";
    }
    EXPECT_GT(number(results[0].at("test_loss_sd")), 0) << "seeds differ";
    EXPECT_NEAR(number(results[0].at("difference_test_loss")), number(results[0].at("test_loss")) - 0.25, 1e-8);
    EXPECT_NEAR(number(results[0].at("difference_val_accuracy")), number(results[0].at("val_accuracy")) - 0.5, 1e-8);
    EXPECT_EQ(results[0].at("published_test_accuracy"), "");
    EXPECT_EQ(results[0].at("seeds_finished"), "3");
    // A row is what train makes of the same settings.
    Result trained = run({command,
                          "train",
                          x.folder / "train.tsv",
                          "-o",
                          x.folder / "m.safetensors",
                          "--no-curves",
                          "--quiet",
                          "--model",
                          "embedding 4 | mean | dense",
                          "--epochs",
                          "2",
                          "--batch",
                          "4",
                          "--validation",
                          "0.2",
                          "--threads",
                          "1",
                          "--backend",
                          "cpu",
                          "--seed",
                          "6"});
    ASSERT_EQ(trained.status, 0) << trained.err;
    EXPECT_EQ(read_file(x.folder / "m.safetensors"), x.read("a/seed-6/model.safetensors"));
}

// A file of vectors whose width can be read in two ways is read in the way that the embedding has.
TEST(Experiment, VectorsExtendTheVocabularyAsWithTrain) {
    const std::string settings = "vectors = v.txt\nvectors-vocabulary = on\nskip-bad = on\n";
    Experiment x(replaced(defaults, "embedding 4", "embedding 4 frozen") + settings + "[a]\nseeds = 2\n");
    x.folder.write("v.txt",
                   "damaged 0.1\n7 0.1 0.2 0.3 0.4\n8 0.3 0.2 0.1 0.5\ngood 0.5 0.1 0.2 0.3\nicy 0.2 0.2 0.2 0.2\n");
    Result result = x.run();
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_TRUE(has(result.err, "3 more words are in the vectors")) << result.err;
}

TEST(Experiment, WithoutGnuplotTheRestIsWritten) {
    Experiment x(defaults + "[a]\n");
    std::vector<std::string> arguments = x.arguments({"--quiet"});
    arguments.insert(arguments.begin(), {"env", "PATH=/nowhere"});
    Result result = run(arguments);
    EXPECT_EQ(result.status, 0);
    EXPECT_EQ(count_of(result.err, "\n"), 1U) << result.err;
    EXPECT_TRUE(has(result.err, "install gnuplot")) << result.err;
    EXPECT_FALSE(is_file(x.folder / "out/comparison.svg"));
    EXPECT_EQ(check_html(x.read("report.html")), "");
    // Later, with gnuplot, the pictures alone are made.
    const auto written = x.written("a");
    ASSERT_EQ(x.run({}).status, 0);
    EXPECT_TRUE(is_file(x.folder / "out/comparison.svg") && is_file(x.folder / "out/a/curves.svg"));
    EXPECT_EQ(x.written("a"), written);
}

TEST(Experiment, APictureThatFailsKeepsNoTableBack) {
    Experiment x(defaults + "[a]\n[b]\n");
    ASSERT_EQ(x.run({}).status, 0);
    x.folder.write("bin/gnuplot", "#!/bin/sh\nexit 3\n");
    std::filesystem::permissions(x.folder / "bin/gnuplot", std::filesystem::perms::owner_all);
    std::vector<std::string> arguments = x.arguments({"--quiet", "--force"});
    arguments.insert(arguments.begin(), {"env", "PATH=" + (x.folder / "bin") + ":/usr/bin:/bin"});
    expect_failure(run(arguments), 1, {"gnuplot"});
    EXPECT_EQ(parse_csv(x.read("results.csv")).at(1).at("seeds_finished"), "1");
    EXPECT_EQ(count_of(x.read("report.html"), "<svg"), 0U) << "no picture of former results";
    EXPECT_FALSE(is_file(x.folder / "out/comparison.svg"));
}

TEST(Experiment, ATrainingThatDivergesIsMarkedAndTheOthersGoOn) {
    Experiment x(defaults +
                 "[wild]\noptimizer = sgd\nlearning-rate = 1000\nloss = mse\nepochs = 60\npatience = 0\n[b]\n");
    expect_failure(x.run({"--no-curves", "--quiet"}), 1, {"[wild]", "finite"});
    const Table results = parse_csv(x.read("results.csv"));
    EXPECT_EQ(results.at(0).at("seeds_finished"), "0");
    EXPECT_EQ(results.at(0).at("test_loss"), "");
    EXPECT_EQ(results.at(1).at("seeds_finished"), "1");
    EXPECT_TRUE(has(x.read("report.html"), "class=\"failed\""));
    EXPECT_TRUE(has(x.read("results.md"), "A training failed"));
}

// ---- what is not trained again ----

TEST(Resume, FinishedTrainingsAreKept) {
    Experiment x(defaults + "[a]\nseeds = 2\n[b]\n");
    ASSERT_EQ(x.run().status, 0);
    const auto a1 = x.written("a"), a2 = x.written("a", 2), b = x.written("b");
    const std::string results = x.read("results.csv");
    Result again = x.run();
    EXPECT_EQ(again.status, 0);
    EXPECT_FALSE(has(again.err, "epoch 1")) << again.err;
    EXPECT_TRUE(has(again.err, "row 2 of 2: b, finished before")) << again.err;
    EXPECT_EQ(x.read("results.csv"), results);
    // A note and a published figure change the tables alone; one seed more is one training more.
    x.write(defaults + "[a]\nseeds = 3\n[b]\nnote = Plain\npublished.accuracy = 0.5\n");
    again = x.run();
    EXPECT_EQ(count_of(again.err, "epoch 1 "), 1U) << again.err;
    EXPECT_TRUE(has(again.err, "seed 3 of 3")) << again.err;
    EXPECT_TRUE(has(x.read("results.md"), "Plain"));
    EXPECT_TRUE(x.written("a") == a1 && x.written("a", 2) == a2 && x.written("b") == b);
    EXPECT_EQ(count_of(x.run({"--no-curves", "--force", "--only", "b"}).err, "epoch 1 "), 1U);
    EXPECT_TRUE(x.written("a") == a1 && x.written("b") != b);
}

TEST(Resume, ChangedSettingsOrDataAreTrainedAgain) {
    Experiment x(defaults + "[a]\n[b]\n");
    ASSERT_EQ(x.run().status, 0);
    auto a = x.written("a"), b = x.written("b");
    x.write(defaults + "[a]\n[b]\nlearning-rate = 0.02\n");
    EXPECT_EQ(count_of(x.run().err, "epoch 1 "), 1U);
    EXPECT_TRUE(x.written("a") == a && x.written("b") != b);
    b = x.written("b");
    x.folder.write("test.tsv", "yes\tgood soup\nno\tcold tea there\n");
    EXPECT_EQ(count_of(x.run().err, "epoch 1 "), 2U) << "the test rows have changed";
    EXPECT_TRUE(x.written("a") != a && x.written("b") != b);
    x.folder.write("train.tsv", rows); // the same bytes, written later
    EXPECT_EQ(count_of(x.run().err, "epoch 1 "), 0U);
    x.folder.write("out/a/seed-1/result.json", "{\"settings\": 3");
    EXPECT_EQ(count_of(x.run().err, "epoch 1 "), 1U) << "a record that is none";
}

// Row b takes long until it is changed.
const std::string long_b = defaults + "[a]\n[b]\nepochs = 1000000\npatience = 0\n";

TEST(Resume, AKilledExperimentGoesOn) {
    Experiment x(long_b);
    {
        Process process(x.arguments({"--no-curves"}), true);
        ASSERT_TRUE(has(process.read_until("row 2 of 2"), "row 2 of 2"));
        process.kill(SIGKILL);
        process.wait();
    }
    EXPECT_FALSE(is_file(x.folder / "out/b/seed-1/result.json"));
    const auto a = x.written("a");
    x.folder.write("out/b/seed-1/model.safetensors.1.part", "half a model");
    x.write(replaced(long_b, "1000000", "3"));
    Result again = x.run();
    EXPECT_EQ(again.status, 0);
    EXPECT_TRUE(has(again.err, "row 1 of 2: a, finished before")) << again.err;
    EXPECT_EQ(x.written("a"), a);
    EXPECT_EQ(parse_csv(x.read("results.csv")).at(1).at("epochs"), "3");
    EXPECT_FALSE(is_file(x.folder / "out/b/seed-1/model.safetensors.1.part"));
}

TEST(Resume, CtrlCStopsWithAReportOfWhatIsFinished) {
    Experiment x(long_b);
    Process process(x.arguments({"--no-curves"}), true);
    ASSERT_TRUE(has(process.read_until("epoch 3/1000000"), "epoch 3/1000000"));
    process.kill(SIGINT);
    const std::string said = process.read_until("go on");
    EXPECT_TRUE(has(said, "interrupted; give the same command again to go on")) << said;
    EXPECT_EQ(process.wait(), 1);
    const Table results = parse_csv(x.read("results.csv"));
    EXPECT_EQ(results.at(0).at("seeds_finished"), "1");
    EXPECT_EQ(results.at(1).at("seeds_finished"), "0");
    EXPECT_TRUE(has(x.read("report.html"), "No training of this row is finished."));
    EXPECT_FALSE(is_file(x.folder / "out/b/seed-1/result.json"));
}

TEST(Resume, DataEditedDuringATrainingAreNotTakenForThoseItRead) {
    const std::string test = "yes\tgood soup\nno\tcold tea there\n";
    Experiment x(defaults + "[a]\nepochs = 4000\npatience = 0\n");
    Process process(x.arguments({"--no-curves"}), true);
    ASSERT_TRUE(has(process.read_until("epoch 3/4000"), "epoch 3/4000"));
    x.folder.write("test.tsv", test);
    ASSERT_FALSE(is_file(x.folder / "out/a/seed-1/result.json")) << "the training was too short to be disturbed";
    process.read_until("report.html");
    ASSERT_EQ(process.wait(), 0);
    EXPECT_EQ(count_of(x.run({"--no-curves", "--list"}).out, "0 of 1 seeds"), 1U) << "it had read other test rows";
}

TEST(Resume, AResultWithoutItsModelIsNoResult) {
    Experiment x(defaults + "[a]\n");
    ASSERT_EQ(x.run().status, 0);
    std::filesystem::remove(x.folder / "out/a/seed-1/model.safetensors");
    EXPECT_EQ(count_of(x.run().err, "epoch 1 "), 1U);
    EXPECT_TRUE(is_file(x.folder / "out/a/seed-1/model.safetensors"));
}

TEST(Resume, ARecordWithoutABackendIsShown) {
    Experiment x(defaults + "[a]\n");
    ASSERT_EQ(x.run().status, 0);
    x.folder.write("out/a/seed-1/result.json",
                   replaced(x.read("a/seed-1/result.json"), "\"backend\": \"CPU, ", "\"b\": \""));
    Result again = x.run();
    EXPECT_EQ(again.status, 0) << again.err;
    EXPECT_EQ(count_of(again.err, "epoch 1 "), 0U) << again.err;
    EXPECT_EQ(check_html(x.read("report.html")), "");
}

// ---- options ----

TEST(Options, OfOneRowLeaveTheOthersFinished) {
    Experiment x(defaults + "[a]\nseeds = 2\n[b]\n[c]\n");
    x.write(replaced(defaults, "threads = 1\nbackend = cpu\n", "") + "[a]\nseeds = 2\n[b]\n[c]\n");
    ASSERT_EQ(x.run({"--no-curves", "--only", "a", "--backend", "cpu"}).status, 0);
    Result only = x.run({"--no-curves", "--only", "b", "--backend", "cpu-double", "--threads", "2", "--seeds", "3"});
    ASSERT_EQ(only.status, 0) << only.err;
    Table results = parse_csv(x.read("results.csv"));
    EXPECT_EQ(results.at(0).at("seeds_finished"), "2") << "a is not b's business";
    EXPECT_EQ(results.at(0).at("seeds"), "2");
    EXPECT_EQ(results.at(1).at("seeds_finished"), "3");
    EXPECT_EQ(results.at(2).at("seeds_finished"), "0");
    // Results do not depend on the number of threads, nor on a cache.
    Result again = x.run({"--no-curves", "--only", "a", "--backend", "cpu", "--threads", "2", "--cache", "none"});
    EXPECT_EQ(count_of(again.err, "epoch 1 "), 0U) << again.err;
}

TEST(Options, OnlyIsNotKeptFromItsRowByAnother) {
    Experiment x(defaults + "[a]\n[b]\ndata = nowhere.tsv\n[c]\nbackend = abacus\n");
    Result only = x.run({"--no-curves", "--only", "a"});
    EXPECT_EQ(only.status, 0) << only.err;
    EXPECT_EQ(x.run({"--only", "a", "--list"}).status, 0);
    expect_failure(x.run({"--only", "b"}), 1, {"x.ini:12", "nowhere.tsv"});
    expect_failure(x.run({"--only", "c"}), 1, {"x.ini:14", "abacus"});
}

TEST(Options, OnlyListAndSeeds) {
    Experiment x(defaults + "[a]\nseeds = 2\n[b]\n[c]\n");
    Result list = x.run({"--list"});
    EXPECT_EQ(list.status, 0) << list.err;
    EXPECT_EQ(list.out, "a     0 of 2 seeds finished  embedding 4 | mean | dense\n"
                        "b     0 of 1 seeds finished  embedding 4 | mean | dense\n"
                        "c     0 of 1 seeds finished  embedding 4 | mean | dense\n");
    EXPECT_FALSE(std::filesystem::exists(x.folder / "out")) << "--list writes nothing";
    Result only = x.run({"--no-curves", "--only", "c", "--only", "b", "--seeds", "2"});
    EXPECT_EQ(only.status, 0) << only.err;
    EXPECT_FALSE(std::filesystem::exists(x.folder / "out/a"));
    EXPECT_TRUE(is_file(x.folder / "out/b/seed-2/result.json") && is_file(x.folder / "out/c/seed-2/result.json"));
    EXPECT_TRUE(has(only.out, "a     not finished")) << only.out;
    expect_failure(x.run({"--only", "d"}), 1, {"x.ini", "no row [d]", "--list"});
    expect_failure(x.run({"--seeds", "0"}), 1, {"--seeds '0'", "from 1"});
}

TEST(Options, WhereToRunAppliesToRowsThatDoNotSay) {
    Experiment x(defaults + "[a]\n[b]\nbackend = cpu-double\n[c]\nbackend = cpu\n");
    ASSERT_EQ(x.run({"--no-curves", "--backend", "cpu-double"}).status, 0);
    EXPECT_TRUE(has(x.read("a/seed-1/result.json"), "CPU, double"));
    EXPECT_TRUE(has(x.read("b/seed-1/result.json"), "CPU, double"));
    EXPECT_TRUE(has(x.read("c/seed-1/result.json"), "CPU, float"));
}

TEST(Options, DataAreFoundElsewhere) {
    Experiment x(defaults + "[a]\nvalidation-file = sub/val.tsv\n");
    expect_failure(x.run(), 1, {"x.ini:11", "sub/val.tsv"});
    x.folder.write("sub/val.tsv", rows);
    EXPECT_EQ(x.run({"--no-curves", "--data-dir", x.folder.path}, {"", "/", 0, nullptr}).status, 0);
    EXPECT_FALSE(has(x.run({"--no-curves"}).err, "epoch 1 ")) << "the same data found at the file's own folder";
    x.folder.write("sub/val.tsv", "yes\tgood tea\nno\tbad tea\n");
    EXPECT_TRUE(has(x.run({"--no-curves"}).err, "epoch 1 ")) << "other validation rows";
    Result other = x.run({"--data-dir", x.folder / "sub"});
    expect_failure(other, 1, {"x.ini:2", "sub/train.tsv"});
}

// ---- bad input ----

// ---- rows that average others ----

// Rows that only the settings of the data tell from a header.
const std::string averaged = replaced(defaults, "train.tsv", "headed.tsv") +
                             "header = on\ntext-column = 2\nlabel-column = 1\n[words]\nseeds = 4\n[pairs]\n"
                             "ngrams = 2\nseeds = 2\n[both]\naverage = words + pairs\nseeds = 2\ntest = both.tsv\n";

struct Averaged : Experiment {
    Averaged() : Experiment(averaged) {
        folder.write("headed.tsv", "no\tbad bread\n" + rows);
        folder.write("both.tsv", "no\tbad bread\n" + read_file(folder / "test.tsv"));
    }
};

TEST(Average, IsThatOfTheModelsDealtOut) {
    const Averaged x;
    const Result result = x.run();
    ASSERT_EQ(result.status, 0) << result.err;
    // Two groups: of words seeds 1 and 3, 2 and 4; of pairs one each.
    for (const int seed : {1, 2}) {
        const auto model = [&](const std::string &row, int s) {
            return x.folder / ("out/" + row + "/seed-" + std::to_string(s) + "/model.safetensors");
        };
        const Result together =
            carousel({"eval", model("words", seed), x.folder / "both.tsv", "--with", model("words", seed + 2), "--with",
                      model("pairs", seed), "--json", "--quiet", "--backend", "cpu", "--header", "on", "--text-column",
                      "2", "--label-column", "1"});
        ASSERT_EQ(together.status, 0) << together.err;
        const Json expected = parse(together.out);
        const Json record = parse(x.read("both/seed-" + std::to_string(seed) + "/result.json"));
        const json_t *test = json_object_get(record.get(), "test");
        const json_t *metrics = json_object_get(expected.get(), "metrics");
        EXPECT_NEAR(json_real_value(json_object_get(test, "loss")), json_real_value(json_object_get(metrics, "loss")),
                    1e-8);
        EXPECT_EQ(json_equal(json_object_get(test, "confusion"), json_object_get(metrics, "confusion")), 1);
        EXPECT_EQ(json_integer_value(json_object_get(record.get(), "models")), 3);
        EXPECT_EQ(json_integer_value(json_object_get(test, "rows")), 4);
    }
    const Table table = parse_csv(x.read("results.csv"));
    ASSERT_EQ(table.size(), 3U);
    EXPECT_EQ(table[2].at("model"), "average of words + pairs");
    EXPECT_EQ(table[2].at("seeds_finished"), "2");
    EXPECT_EQ(table[2].at("train_loss"), "");
    EXPECT_NE(table[2].at("test_loss"), "");
    EXPECT_EQ(number(table[2].at("parameters")),
              2 * number(table[0].at("parameters")) + number(table[1].at("parameters")));
    EXPECT_EQ(check_html(x.read("report.html")), "");
}

TEST(Average, IsMadeAgainWhereAPartWas) {
    const Averaged x;
    ASSERT_EQ(x.run().status, 0);
    EXPECT_EQ(count_of(x.run().err, "averaging"), 0U);
    x.write(replaced(averaged, "[pairs]\n", "[pairs]\nlearning-rate = 0.5\n"));
    ASSERT_EQ(x.run({"--no-curves", "--only", "pairs"}).status, 0);
    EXPECT_EQ(count_of(x.run().err, "averaging"), 2U);
    // Trained again to the same weights, it is the same.
    std::filesystem::remove_all(x.folder / "out/words/seed-2");
    const std::string before = x.read("both/seed-2/result.json");
    ASSERT_EQ(x.run().status, 0);
    const Json old_record = parse(before), new_record = parse(x.read("both/seed-2/result.json"));
    EXPECT_EQ(json_equal(json_object_get(old_record.get(), "test"), json_object_get(new_record.get(), "test")), 1);
    x.folder.write("both.tsv", "header\there\nyes\tgood soup\n");
    EXPECT_EQ(count_of(x.run().err, "averaging"), 2U);
}

TEST(Average, IsMadeAgainWhereItsOwnSettingsChanged) {
    const Averaged x;
    ASSERT_EQ(x.run().status, 0);
    x.write(averaged + "header = off\n");
    EXPECT_EQ(count_of(x.run().err, "averaging"), 2U);
    const Json record = parse(x.read("both/seed-1/result.json"));
    EXPECT_EQ(json_integer_value(json_object_get(json_object_get(record.get(), "test"), "rows")), 5);
    EXPECT_EQ(count_of(x.run({"--no-curves", "--only", "both", "--backend", "cpu-double"}).err, "averaging"), 2U);
}

TEST(Average, OfATrainingThatDivergedIsMarkedAndTheOthersGoOn) {
    Experiment x(defaults + "[a]\noptimizer = sgd\nlearning-rate = 1000\nloss = mse\nepochs = 60\npatience = "
                            "0\n[both]\naverage = a\n[c]\n");
    const Result result = x.run();
    EXPECT_EQ(result.status, 1);
    EXPECT_TRUE(has(result.err, "row [both], seed 1: a training of [a]")) << result.err;
    const Table table = parse_csv(x.read("results.csv"));
    ASSERT_EQ(table.size(), 3U);
    EXPECT_EQ(table[1].at("seeds_finished"), "0");
    EXPECT_EQ(table[2].at("seeds_finished"), "1");
}

TEST(Average, OfFewerSeedsThanItsGroupsIsNone) {
    const Averaged x;
    ASSERT_EQ(x.run().status, 0);
    const Result one = x.run({"--no-curves", "--only", "words", "--seeds", "1"});
    EXPECT_EQ(one.status, 0) << one.err;
    EXPECT_EQ(parse_csv(x.read("results.csv"))[2].at("seeds_finished"), "0");
    EXPECT_EQ(count_of(x.run().err, "averaging"), 0U) << "all of it is still there";
}

TEST(Average, NeedsItsParts) {
    const Averaged x;
    expect_failure(x.run({"--no-curves", "--quiet", "--only", "both"}), 1, {"x.ini:", "averages words", "--only"});
    ASSERT_EQ(x.run().status, 0);
    EXPECT_EQ(x.run({"--no-curves", "--quiet", "--only", "both", "--force"}).status, 0);
}

TEST(BadFile, IsOneLineWithTheLineAndTheMend) {
    const std::string long_line = "note = " + std::string(300, 'n') + "\n";
    const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
        {"[a]\nepcohs = 3\n", {"x.ini:11", "no setting 'epcohs'", "'epochs'"}},
        {"[a]\nepochs = many\n", {"x.ini:11", "epochs 'many'", "whole number"}},
        {"[a]\n[b]\n[a]\n", {"x.ini:12", "[a] already"}},
        {"[a]\nbatch = 2\nbatch = 3\n", {"x.ini:12", "'batch' is given twice"}},
        {"[a]\n[b]\ntest = nowhere.tsv\n", {"x.ini:12", "nowhere.tsv"}},
        {"[a]\n[b]\nmodel = embedding 4 | lstn 4 | dense\n", {"x.ini:12", "lstn"}},
        {"[a]\ndata = -\n", {"x.ini:11", "'data' names no file"}},
        {"[a]\nnesterov = on\n", {"x.ini:10", "sgd"}},
        {"[a]\nbackend = abacus\n", {"x.ini:11", "abacus"}},
        {"[a]\nseeds = 0\n", {"x.ini:11", "seeds '0'", "from 1"}},
        {"[a]\npublished.accuracy = 84.38\n", {"x.ini:11", "84.38", "percentage"}},
        {"[a]\npublished.loss = nan\n", {"x.ini:11", "nan"}},
        {"[a]\npublished.acuracy = 1\n", {"x.ini:11", "no published figure 'acuracy'", "val-accuracy"}},
        {"[a]\nno equals sign\n", {"x.ini:11", "key = value"}},
        {"[a\nbatch = 2\n", {"x.ini:10", "bracket"}},
        {"[]\n", {"x.ini:10", "empty"}},
        {"[a] batch = 2\n", {"x.ini:10", "behind the section's name"}},
        {"[a]\nnote = one\rtwo\n", {"x.ini:11", "control character"}},
        {"[a/b]\n", {"x.ini:10", "'a/b'", "folder"}},
        {"[..]\n", {"x.ini:10", "'..'"}},
        {"[results.md]\n", {"x.ini:10", "results.md"}},
        {"[a]\nnote = yes\n  seeds = 3\n", {"x.ini:12", "'seeds' is indented"}},
        {"[a]\nnote = yes\n  [b]\n", {"x.ini:12", "indented"}},
        {"[a]\n" + long_line, {"x.ini:11", "too long", "next line"}},
        {"[a]\nnote = \xff\n", {"x.ini:11", "UTF-8"}},
        {"[a]\nnote = \x01\n", {"x.ini:11", "control character"}},
        {"[a]\n[b]\naverage = a + c\n", {"x.ini:12", "no row [c] above", "FIRST + SECOND"}},
        {"[b]\naverage = a\n[a]\n", {"x.ini:11", "no row [a] above"}},
        {"[a]\n[b]\naverage = a\n[c]\naverage = b\n", {"x.ini:14", "[b] is an average itself"}},
        {"[a]\n[b]\naverage = a\nseeds = 2\n", {"x.ini:12", "[a] has fewer seeds"}},
        {"[a]\n[b]\naverage = \n", {"x.ini:12"}},
        {"average = a\n[a]\n", {"x.ini:10", "[defaults]"}},
        {"[a]\n[b]\naverage = a\nepochs = 3\n", {"x.ini:13", "'epochs'", "not trained"}},
        {"[a]\n[b]\naverage = a\ndata = train.tsv\n", {"x.ini:13", "'data'"}},
        {"[a]\n[b]\naverage = a" + std::string(60, 'a') + "\n", {"x.ini:12", "no row"}},
        {"", {"x.ini", "no row"}},
    };
    for (const auto &[ini, parts] : cases) {
        SCOPED_TRACE(ini.substr(0, 60));
        Experiment x(defaults + ini);
        expect_failure(x.run(), 1, parts);
        EXPECT_FALSE(std::filesystem::exists(x.folder / "out")) << "nothing is begun where something is wrong";
    }
}

TEST(BadFile, IsNoExperimentAtAll) {
    Experiment x(std::string(500, '\0'));
    expect_failure(x.run(), 1, {"x.ini:1", "NUL"});
    x.write("");
    expect_failure(x.run(), 1, {"x.ini", "no section"});
    x.write("[a]\nmodel = embedding 4 | mean | dense\n");
    expect_failure(x.run(), 1, {"x.ini:1", "[a] has no training data"});
    x.write("epochs = 3\n[a]\n");
    expect_failure(x.run(), 1, {"x.ini:1", "before the first section"});
    expect_failure(run({command, "experiment", x.folder / "none.ini"}), 1, {"none.ini", "cannot be opened"});
    expect_failure(run({command, "experiment", x.folder.path}), 1, {x.folder.path, "cannot be read"});
    x.write(defaults + "[a]\n");
    x.folder.write("train.tsv", "");
    expect_failure(x.run(), 1, {"x.ini:2", "train.tsv"});
    x.folder.write("plain", defaults + "[a]\n");
    x.folder.write("train.tsv", rows);
    expect_failure(run({command, "experiment", x.folder / "plain"}), 1, {"plain", "--output"});
}

TEST(BadFolder, LosesNothing) {
    Experiment x(defaults + "[a]\n");
    x.folder.write("out", "a file");
    expect_failure(x.run({"--no-curves", "--quiet"}), 1, {"out", "is no folder"});
    EXPECT_EQ(read_file(x.folder / "out"), "a file");
    x.folder.write("mine/results.md", "my own");
    const std::vector<std::string> mine = {command, "experiment", x.folder / "x.ini", "-o", x.folder / "mine"};
    expect_failure(run(mine), 1, {"mine", "other files", "--output"});
    EXPECT_EQ(read_file(x.folder / "mine/results.md"), "my own");
    expect_failure(run({command, "experiment", x.folder / "x.ini", "-o", x.folder / "no/such"}), 1, {"no/such"});
}

TEST(BadFolder, OfARunThatGoesOnIsLeftAlone) {
    Experiment x(defaults + "[a]\nepochs = 1000000\npatience = 0\nvalidation = 0\n");
    Process first(x.arguments({"--no-curves", "--quiet"}));
    for (int i = 0; i < 1000 && !is_file(x.folder / "out/experiment.ini"); i++)
        usleep(10000);
    expect_failure(x.run({"--no-curves", "--quiet"}), 1, {"out", "another run", "--output"});
    EXPECT_EQ(x.run({"--list"}).status, 0) << "looking is no writing";
    first.kill(SIGKILL);
    first.wait();
    x.write(defaults + "[a]\n");
    EXPECT_EQ(x.run().status, 0) << "the lock ends with its process";
}

TEST(BadFolder, OfAnotherFileIsLeftAlone) {
    Experiment x(defaults + "[a]\n");
    EXPECT_EQ(x.run().status, 0);
    const std::string table = x.read("results.md");
    x.folder.write("y.ini", defaults + "[b]\n");
    const auto run_file = [&x](const std::string &ini) {
        return ::run({command, "experiment", x.folder / ini, "-o", x.folder / "out", "--data-dir", x.folder.path,
                      "--no-curves", "--quiet"});
    };
    expect_failure(run_file("y.ini"), 1, {"out", "another file", "x.ini", "--output"});
    EXPECT_EQ(x.read("results.md"), table);
    expect_failure(run_file("out/experiment.ini"), 1, {"experiment.ini", "lies in the folder of results", "--output"});
    std::filesystem::rename(x.folder / "x.ini", x.folder / "moved.ini");
    EXPECT_EQ(run_file("moved.ini").status, 0) << "a file that was moved is the same";
}

TEST(BadFolder, AFullDiskIsToldAndTheSameCommandGoesOn) {
    if (under_thread_sanitizer)
        GTEST_SKIP() << "the sanitizer itself needs a larger file";
    Experiment x(defaults + "[a]\n[b]\n");
    RunOptions full;
    full.file_limit = 1536; // clang's OpenMP needs a file of 1 KiB for itself; a model has 1.9
    expect_failure(x.run({"--no-curves", "--quiet"}, full), 1, {"model.safetensors"});
    for (const auto &entry : std::filesystem::recursive_directory_iterator(x.folder / "out"))
        EXPECT_FALSE(has(entry.path().string(), ".part")) << entry.path();
    EXPECT_EQ(x.run().status, 0);
    EXPECT_EQ(parse_csv(x.read("results.csv")).at(1).at("seeds_finished"), "1");
}

// ---- what is bundled ----

// A folder with a little of everything that the bundled files name and this checkout has not: rows in
// the format of their names, and word vectors as wide as theirs say.
void write_stand_ins(const Folder &folder, const std::string &ini) {
    for (const std::string &line : lines(ini)) {
        const size_t equals = line.find(" = ");
        const std::string key = line.substr(0, equals);
        if (equals == std::string::npos || (key != "data" && key != "test" && key != "vectors"))
            continue;
        const std::string name = line.substr(equals + 3);
        const size_t width = has(name, "100d") ? 100 : 50;
        std::string vector = "the";
        for (size_t i = 0; i < width; i++)
            vector += " 0.5";
        const std::string rows_of_kind = has(name, ".ft.txt") ? "__label__1 a bad film\n__label__2 a good film\n"
                                         : has(name, ".tsv")  ? "1\ta bad film\n2\ta good film\n"
                                                              : "id\tdocument\tlabel\n7\ta bad film\t1\n";
        folder.write(name, key == "vectors" ? vector + "\n" : rows_of_kind);
    }
}

TEST(Bundled, EveryFileIsInOrder) {
    size_t files = 0;
    for (const auto &entry : std::filesystem::directory_iterator(CRS_DATA "/experiments")) {
        const std::string path = entry.path().string(), ini = read_file(path);
        SCOPED_TRACE(path);
        const Folder data;
        std::vector<std::string> arguments = {command, "experiment", path, "--list"};
        if (has(ini, "--data-dir DIR")) {
            write_stand_ins(data, ini);
            arguments.insert(arguments.end(), {"--data-dir", data.path});
        }
        const Result list = run(arguments);
        EXPECT_EQ(list.status, 0) << list.err;
        EXPECT_TRUE(has(list.out, "ours")) << list.out;
        files++;
    }
    EXPECT_GE(files, 7U);
}

} // namespace
