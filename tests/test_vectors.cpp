// Word vectors from files into an embedding: every format and its compressed forms, which row is which token's, what
// coverage counts, and what training makes of the table. Bad files are in test_bad_vectors.cpp.
#include "vectors.hpp"

#include <cstdlib>
#include <locale.h>
#include <random>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace crs;

void expect_known(const Network &network, const std::vector<std::vector<double>> &before, const Loaded &loaded,
                  const char *format) {
    ASSERT_EQ(loaded.status, CRS_OK) << loaded.error.what;
    const auto table = network.table();
    for (const std::string token : {"the", "cat", "한글", "café"})
        for (const auto &[known_token, numbers] : known)
            if (known_token == token) {
                EXPECT_EQ(table[network.id(token)], floats(numbers)) << token;
            }
    // What the file lacks, padding and out-of-vocabulary keep their first weights.
    for (const size_t row : {size_t{CRS_ID_PADDING}, size_t{CRS_ID_OOV}, network.id("sat"), network.id("and"),
                             network.id("hat"), network.id("a")})
        EXPECT_EQ(table[row], before[row]) << row;
    EXPECT_STREQ(loaded.coverage.format, format);
    EXPECT_EQ(loaded.coverage.vectors, 5);
    EXPECT_EQ(loaded.coverage.width, 3);
    EXPECT_EQ(loaded.coverage.skipped, 0);
    EXPECT_EQ(loaded.coverage.first_skipped.status, CRS_OK);
    EXPECT_EQ(loaded.coverage.vocabulary, 8);
    EXPECT_EQ(loaded.coverage.exact, 4);
    EXPECT_EQ(loaded.coverage.folded, 0);
    EXPECT_EQ(loaded.coverage.tokens, 11);
    EXPECT_EQ(loaded.coverage.covered, 7);
}

TEST(Formats, AreFoundByLooking) {
    const Folder folder;
    for (const auto &[name, bytes] : formats) {
        const Network network(settings(), texts);
        const auto before = network.table();
        expect_known(network, before, load(network, folder.write("v", bytes)), name);
    }
}

TEST(Formats, AndTheirCompressedForms) {
    const Folder folder;
    for (const char *filter : {"gzip", "bzip2", "xz", "zstd"})
        for (const auto &[name, bytes] : formats) {
            SCOPED_TRACE(std::string(filter) + " " + name);
            const Network network(settings(), texts);
            const auto before = network.table();
            expect_known(network, before, load(network, folder.pack("v", filter, bytes)), name);
        }
}

TEST(Formats, LineEndsTabsAndAByteOrderMark) {
    const Folder folder;
    std::string windows = "\xef\xbb\xbf", tabs;
    for (const char c : glove()) {
        windows += c == '\n' ? "\r\n" : std::string(1, c);
        tabs += c == ' ' ? '\t' : c;
    }
    for (const std::string &bytes : {windows, tabs, glove() + "\n  \n", glove().substr(0, glove().size() - 1)}) {
        const Network network(settings(), texts);
        const auto before = network.table();
        expect_known(network, before, load(network, folder.write("v", bytes)), "GloVe text");
    }
    std::string header = fasttext();
    header.insert(3, " \r");
    const Network network(settings(), texts);
    const auto before = network.table();
    expect_known(network, before, load(network, folder.write("v", header)), "word2vec text");
}

// Longer than what is at hand when the format is found, in rows that straddle blocks.
TEST(Formats, LongFilesAndWideRows) {
    const Folder folder;
    const int64_t width = 20000;
    std::mt19937 random(5);
    std::vector<std::string> numbers;
    for (int64_t i = 0; i < width; i++)
        numbers.push_back(std::to_string(static_cast<int>(random() % 2000000) - 1000000) + "e-6");
    const std::vector<double> wanted = floats(numbers);
    std::string text, others, rest;
    for (const std::string &number : numbers) {
        text += " " + number;
        others += " 0";
    }
    const std::string head = "7 20000\n", zeros = raw(std::vector<double>(static_cast<size_t>(width)));
    std::string plain, packed = head;
    for (int i = 0; i < 6; i++) {
        plain += "w" + std::to_string(i) + others + "\n";
        packed += "w" + std::to_string(i) + " " + zeros + "\n";
    }
    plain += "cat" + text + "\n";
    packed += "cat " + raw(wanted) + "\n";
    for (const std::string &bytes : {plain, head + plain, packed}) {
        const Network network(settings("embedding 20000 | mean | dense"), texts);
        const Loaded loaded = load(network, folder.write("v", bytes));
        ASSERT_EQ(loaded.status, CRS_OK) << loaded.error.what;
        EXPECT_EQ(network.vector_of("cat"), wanted);
        EXPECT_EQ(loaded.coverage.vectors, 7);
    }
}

TEST(Formats, InDoubleEveryDigitCounts) {
    const Folder folder;
    const Network network(settings(), texts, "cpu-double");
    ASSERT_EQ(load(network, folder.write("v", glove())).status, CRS_OK);
    EXPECT_EQ(network.vector_of("한글"), (std::vector<double>{0.33333333333333331, -.5, 2}));
    EXPECT_EQ(network.vector_of("the"), (std::vector<double>{0.418, -0.24968, 0.1}));
}

// A locale with a decimal comma, made in the folder where none is installed; NULL: that failed too.
locale_t decimal_comma(const Folder &folder) {
    const locale_t installed = newlocale(LC_ALL_MASK, "de_DE.UTF-8", nullptr);
    if (installed)
        return installed;
    const std::string make = "localedef -i de_DE -f UTF-8 " + folder.at("de_DE.UTF-8") + " 2>/dev/null";
    if (std::system(make.c_str()) != 0)
        return nullptr;
    setenv("LOCPATH", folder.at("").c_str(), 1);
    const locale_t made = newlocale(LC_ALL_MASK, "de_DE.UTF-8", nullptr);
    unsetenv("LOCPATH");
    return made;
}

// In a child process: with LOCPATH glibc keeps memory that a sanitizer would report at the end.
TEST(Formats, NumbersAreReadAlikeInEveryLocale) {
    enum { NO_LOCALE = 77 };
    const Folder folder;
    const pid_t child = fork();
    if (child == 0) {
        const locale_t comma = decimal_comma(folder);
        if (!comma)
            _exit(NO_LOCALE);
        for (const auto &[name, bytes] : formats) {
            const Network network(settings(), texts);
            const auto before = network.table();
            const std::string path = folder.write("v", bytes);
            const locale_t former = uselocale(comma);
            const double half = strtod("0,5", nullptr);
            const Loaded loaded = load(network, path);
            const double half_again = strtod("0,5", nullptr);
            uselocale(former);
            EXPECT_EQ(half, 0.5);
            EXPECT_EQ(half_again, 0.5) << "the program's locale is as it was";
            expect_known(network, before, loaded, name);
        }
        fflush(nullptr);
        _exit(HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_LOCALE)
        GTEST_SKIP() << "no locale with a decimal comma is installed, and localedef makes none";
    EXPECT_EQ(WEXITSTATUS(status), 0) << "see above";
}

/* ---- which row is which token's ---- */

TEST(Tokens, TheFirstOfEqualsAndTheExactBeforeTheFolded) {
    const Folder folder;
    const Network network(settings(), texts);
    const Loaded loaded = load(network, folder.write("v", "THE 1 1 1\nCat 2 2 2\nthe 3 3 3\nCAT 4 4 4\nthe 5 5 5\n"
                                                          "Hat, 6 6 6\nsat 7 7 7\nSAT 8 8 8\nCAFE\u0301 9 9 9\n"
                                                          "(한글) 10 10 10\na.b 11 11 11\n. 12 12 12\n"));
    ASSERT_EQ(loaded.status, CRS_OK) << loaded.error.what;
    EXPECT_EQ(network.vector_of("the"), (std::vector<double>{3, 3, 3}));
    EXPECT_EQ(network.vector_of("cat"), (std::vector<double>{2, 2, 2}));
    EXPECT_EQ(network.vector_of("hat"), (std::vector<double>{6, 6, 6}));
    EXPECT_EQ(network.vector_of("sat"), (std::vector<double>{7, 7, 7}));
    EXPECT_EQ(network.vector_of("café"), (std::vector<double>{9, 9, 9}));
    EXPECT_EQ(network.vector_of("한글"), (std::vector<double>{10, 10, 10}));
    EXPECT_EQ(loaded.coverage.exact, 2);
    EXPECT_EQ(loaded.coverage.folded, 4);
    EXPECT_EQ(loaded.coverage.vectors, 12);
}

TEST(Tokens, OfACasedVocabularyFindLowerCaseVectors) {
    const Folder folder;
    crs_config config = settings();
    config.lowercase = 0;
    const Network network(config, {{"The the THE", "a"}, {"Paris PARIS x", "b"}});
    const Loaded loaded = load(network, folder.write("v", "the 1 1 1\nParis 2 2 2\nThe 3 3 3\nparis 4 4 4\n"));
    ASSERT_EQ(loaded.status, CRS_OK) << loaded.error.what;
    EXPECT_EQ(network.vector_of("the"), (std::vector<double>{1, 1, 1}));
    EXPECT_EQ(network.vector_of("The"), (std::vector<double>{3, 3, 3}));
    EXPECT_EQ(network.vector_of("THE"), (std::vector<double>{1, 1, 1}));
    EXPECT_EQ(network.vector_of("Paris"), (std::vector<double>{2, 2, 2}));
    EXPECT_EQ(network.vector_of("PARIS"), (std::vector<double>{2, 2, 2}));
    EXPECT_EQ(loaded.coverage.exact, 3);
    EXPECT_EQ(loaded.coverage.folded, 2);
}

TEST(Tokens, WithBlanksAndOfNumbers) {
    const Folder folder;
    crs_config config = settings();
    config.ngrams = 2;
    const Network network(config, {{"new york 42", "a"}, {". . york", "b"}});
    // As in GloVe's 840B: ". . ." and an address behind "at"; and as in word2vec's Google News: New_York.
    const Loaded loaded = load(network, folder.write("v", ". . . 9 9 9\nat name@domain.com 8 8 8\n42 1 2 3\n"
                                                          "New,_York 4 5 6\nyork 7 8 9\n1e3 0 0 0\n"));
    ASSERT_EQ(loaded.status, CRS_OK) << loaded.error.what;
    EXPECT_EQ(network.vector_of("42"), (std::vector<double>{1, 2, 3}));
    EXPECT_EQ(network.vector_of("new york"), (std::vector<double>{4, 5, 6}));
    EXPECT_EQ(network.vector_of("york"), (std::vector<double>{7, 8, 9}));
    EXPECT_EQ(loaded.coverage.vectors, 6);
    EXPECT_EQ(loaded.coverage.exact, 2);
    EXPECT_EQ(loaded.coverage.folded, 1);
}

TEST(Tokens, AreCharactersWhereTheEncoderSaysSo) {
    const Folder folder;
    crs_config config = settings();
    config.tokens = CRS_TOKENS_CHARS;
    const Network network(config, {{"a b", "a"}, {"한!", "b"}});
    ASSERT_EQ(load(network, folder.write("v", "A 1 1 1\n한 2 2 2\n! 3 3 3\nab 4 4 4\n")).status, CRS_OK);
    EXPECT_EQ(network.vector_of("a"), (std::vector<double>{1, 1, 1}));
    EXPECT_EQ(network.vector_of("한"), (std::vector<double>{2, 2, 2}));
    EXPECT_EQ(network.vector_of("!"), (std::vector<double>{3, 3, 3}));
}

TEST(Coverage, CountsTheRowsGiven) {
    const Folder folder;
    const Network network(settings(), texts);
    const std::string path = folder.write("v", "the 1 1 1\ncat 2 2 2\n");
    const int64_t chosen[] = {1, 2};
    crs_vectors_coverage coverage;
    crs_error error;
    ASSERT_EQ(crs_vectors_load(network.classifier, path.c_str(), network.rows.get(), chosen, 2, &coverage, &error),
              CRS_OK);
    EXPECT_EQ(coverage.tokens, 8);
    EXPECT_EQ(coverage.covered, 3);
    ASSERT_EQ(crs_vectors_load(network.classifier, path.c_str(), nullptr, nullptr, 0, &coverage, nullptr), CRS_OK);
    EXPECT_EQ(coverage.tokens, 0);
    EXPECT_EQ(coverage.exact, 2);
    EXPECT_EQ(crs_vectors_load(network.classifier, path.c_str(), nullptr, nullptr, 0, nullptr, nullptr), CRS_OK);
}

/* ---- words that only the file has ---- */

std::vector<std::string> tokens_of(const crs_encoder *encoder) {
    std::vector<std::string> tokens;
    for (int64_t id = CRS_ID_FIRST; id < crs_encoder_vocabulary(encoder); id++)
        tokens.emplace_back(crs_encoder_token(encoder, id));
    return tokens;
}

struct Extended {
    crs_status status;
    crs_error error = {};
    int64_t added = -1;
};

Extended extend(const Rows &rows, const crs_config &config, const std::string &path) {
    Extended extended = {};
    extended.status =
        crs_vectors_extend(rows.encoder.get(), &config, path.c_str(), 3, &extended.added, &extended.error);
    return extended;
}

TEST(Extend, AddsTheFirstWordsOfTheFileAsTheEncoderSeesThem) {
    const Folder folder;
    crs_config config = settings();
    const std::string path = folder.write("v", "cat 1 1 1\nDog 2 2 2\nnew_york 3 3 3\n, 4 4 4\ndog 5 5 5\nTHE 6 6 6\n"
                                               "Cow. 7 7 7\nox 8 8 8\n");
    const Rows rows = rows_of(config, texts);
    const std::vector<std::string> before = tokens_of(rows.encoder.get());
    std::vector<std::string> wanted = before;
    wanted.insert(wanted.end(), {"dog", "cow", "ox"});
    const Extended all = extend(rows, config, path);
    ASSERT_EQ(all.status, CRS_OK) << all.error.what;
    EXPECT_EQ(all.added, 3);
    EXPECT_EQ(tokens_of(rows.encoder.get()), wanted);
    EXPECT_EQ(extend(rows, config, path).added, 0) << "once more";
    // Only up to the size asked for.
    config.vocabulary = CRS_ID_FIRST + static_cast<int64_t>(before.size()) + 2;
    const Rows fewer = rows_of(config, texts);
    EXPECT_EQ(extend(fewer, config, path).added, 2);
    wanted.pop_back();
    EXPECT_EQ(tokens_of(fewer.encoder.get()), wanted);
    config.vocabulary = 5;
    const Rows full = rows_of(config, texts);
    EXPECT_EQ(extend(full, config, path).added, 0);
    EXPECT_EQ(tokens_of(full.encoder.get()).size(), 3U);
}

TEST(Extend, ThenTheWordsHaveTheirVectorsAndTextsTheirIds) {
    const Folder folder;
    const crs_config config = settings();
    const std::string path = folder.write("v", "cat 1 1 1\nDog 2 2 2\ndog 5 5 5\n");
    Rows rows = rows_of(config, texts);
    ASSERT_EQ(extend(rows, config, path).status, CRS_OK);
    const Network network(config, std::move(rows));
    const Loaded loaded = load(network, path);
    ASSERT_EQ(loaded.status, CRS_OK) << loaded.error.what;
    EXPECT_EQ(network.vector_of("dog"), (std::vector<double>{5, 5, 5}));
    EXPECT_EQ(loaded.coverage.vocabulary, 9);
    EXPECT_EQ(loaded.coverage.exact, 2);
    int32_t ids[8];
    size_t count;
    crs_error error;
    ASSERT_EQ(crs_encoder_encode(network.classifier->encoder, "the dog", 7, ids, 8, &count, &error), CRS_OK);
    EXPECT_EQ(ids[1], static_cast<int32_t>(network.id("dog")));
    EXPECT_EQ(ids[1], 10);
}

TEST(Extend, AnErrorLeavesTheEncoderAsItWas) {
    const Folder folder;
    crs_config config = settings();
    const Rows rows = rows_of(config, texts);
    const std::vector<std::string> before = tokens_of(rows.encoder.get());
    const std::string path = folder.write("v", "dog 2 2 2\ncow 1 2\nox 1 2 3\n");
    const Extended refused = extend(rows, config, path);
    crs_test::expect_error(refused.error, refused.status, CRS_ERR_FORMAT, 2, "the line has 3 fields");
    EXPECT_EQ(tokens_of(rows.encoder.get()), before);
    EXPECT_EQ(refused.added, 0);
    config.skip_bad = 1;
    EXPECT_EQ(extend(rows, config, path).added, 2);
    EXPECT_EQ(extend(rows, config, folder.at("none")).status, CRS_ERR_IO);
}

/* ---- training ---- */

std::vector<std::vector<double>> trained_table(const char *line, const std::string &path) {
    crs_config config = settings(line);
    config.epochs = 5;
    config.validation = 0;
    config.batch = 2;
    Network network(config, texts);
    EXPECT_EQ(load(network, path).status, CRS_OK);
    crs_history history;
    crs_error error;
    EXPECT_EQ(crs_train(network.classifier->model, &config, network.rows.get(), nullptr, 0, nullptr, nullptr, 0,
                        nullptr, &history, &error),
              CRS_OK)
        << error.what;
    crs_history_clear(&history);
    return network.table();
}

TEST(Training, LeavesFrozenVectorsAloneAndTunesOthers) {
    const Folder folder;
    const std::string path = folder.write("v", "the 1 2 3\ncat 4 5 6\n");
    const Network first(settings(), texts);
    ASSERT_EQ(load(first, path).status, CRS_OK);
    const auto before = first.table();
    EXPECT_EQ(trained_table("embedding 3 frozen | mean | dense", path), before);
    const auto tuned = trained_table(line3, path);
    for (const std::string token : {"the", "cat", "sat"})
        for (size_t e = 0; e < 3; e++) {
            EXPECT_NE(tuned[first.id(token)][e], before[first.id(token)][e]) << token;
            EXPECT_NEAR(tuned[first.id(token)][e], before[first.id(token)][e], 0.05) << token;
        }
}

TEST(Training, TheFileOfTheModelHasThem) {
    const Folder folder;
    const std::string path = folder.write("v", glove()), model = folder.at("m.safetensors");
    crs_config config = settings("embedding 3 frozen | mean | dense");
    snprintf(config.vectors, sizeof config.vectors, "%s", path.c_str());
    const Network network(config, texts);
    ASSERT_EQ(load(network, path).status, CRS_OK);
    crs_error error = {};
    ASSERT_EQ(crs_classifier_save(network.classifier, model.c_str(), 0, &error), CRS_OK) << error.what;
    std::filesystem::remove(path); // it is not needed any more
    crs_classifier *again = nullptr;
    ASSERT_EQ(crs_classifier_load(model.c_str(), crs_model_backend(network.classifier->model), &again, &error), CRS_OK)
        << error.what;
    std::vector<double> weights(static_cast<size_t>(crs_model_parameters(again->model)));
    EXPECT_EQ(crs_model_get_parameters(again->model, weights.data()), CRS_OK);
    EXPECT_EQ(weights, network.weights());
    EXPECT_STREQ(again->config.vectors, "");
    crs_classifier_free(again);
}

} // namespace
