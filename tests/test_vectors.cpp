// Word vectors from files into an embedding: every format and its compressed forms, which row is which token's, what
// coverage counts, each kind of bad file, and what training makes of the table.
#include "rows.hpp"
#include "text_files.hpp"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <locale.h>
#include <random>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using crs::every_word;
using crs::Rows;
using crs::rows_of;
using crs::Texts;
using crs_test::Folder;

/* ---- a classifier and its table ---- */

class Network {
  public:
    Network(const crs_config &config, const Texts &texts, const char *backend = "cpu")
        : Network(config, rows_of(config, texts), backend) {}
    Network(const crs_config &config, Rows &&fitted, const char *backend = "cpu") : rows(std::move(fitted)) {
        crs_error error = {};
        const crs_device_options options = {-1, 1, nullptr, CRS_FLOAT32};
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

const Texts texts = {{"the cat sat", "a"}, {"the cat and the hat", "b"}, {"a café, 한글", "a"}};
const char *const line3 = "embedding 3 | mean | dense";

crs_config settings(const char *line = line3) {
    crs_config config = every_word(8);
    snprintf(config.model, sizeof config.model, "%s", line);
    return config;
}

struct Loaded {
    crs_status status;
    crs_error error = {};
    crs_vectors_coverage coverage = {};
};

Loaded load(const Network &network, const std::string &path) {
    Loaded loaded = {};
    loaded.status = crs_vectors_load(network.classifier, path.c_str(), network.rows.get(), nullptr, 0, &loaded.coverage,
                                     &loaded.error);
    return loaded;
}

std::vector<double> floats(const std::vector<std::string> &numbers) {
    std::vector<double> values;
    for (const std::string &number : numbers)
        values.push_back(static_cast<double>(static_cast<float>(std::stod(number))));
    return values;
}

/* ---- one set of vectors in every format ---- */

const std::vector<std::pair<std::string, std::vector<std::string>>> known = {
    {"the", {"0.418", "-0.24968", "0.1"}},
    {"cat", {"1e-3", "-3.4e+38", "7"}},
    {"한글", {"0.33333333333333331", "-.5", "+2."}},
    {"café", {"0", "-0.0", "1.17549435e-38"}},
    {"dog", {"1", "2", "3"}}};

std::string glove() {
    std::string bytes;
    for (const auto &[token, numbers] : known)
        bytes += token + " " + numbers[0] + " " + numbers[1] + " " + numbers[2] + "\n";
    return bytes;
}

std::string fasttext() { // a space before each line's end
    std::string bytes = "5 3\n";
    for (const auto &[token, numbers] : known)
        bytes += token + " " + numbers[0] + " " + numbers[1] + " " + numbers[2] + " \n";
    return bytes;
}

std::string raw(const std::vector<double> &values) {
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

std::string binary(const std::string &after_each) {
    std::string bytes = "5 3\n";
    for (const auto &[token, numbers] : known)
        bytes += token + " " + raw(floats(numbers)) + after_each;
    return bytes;
}

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

struct Format {
    const char *name;
    std::string bytes;
};

const std::vector<Format> formats = {{"GloVe text", glove()},
                                     {"word2vec text", fasttext()},
                                     {"word2vec binary", binary("\n")},
                                     {"word2vec binary", binary("")}};

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

TEST(Formats, NumbersAreReadAlikeInEveryLocale) {
    const Folder folder;
    const locale_t comma = decimal_comma(folder);
    if (!comma)
        GTEST_SKIP() << "no locale with a decimal comma is installed, and localedef makes none";
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
    freelocale(comma);
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

/* ---- bad files ---- */

// Loading fails with all that is told, and the weights are as they were.
void expect_refused(const Network &network, const std::string &path, crs_status wanted, int64_t line, int64_t offset,
                    const std::string &what, const std::string &mend) {
    const std::vector<double> before = network.weights();
    const Loaded loaded = load(network, path);
    EXPECT_EQ(loaded.status, wanted) << crs_status_name(loaded.status) << " instead of: " << what;
    EXPECT_EQ(loaded.error.status, wanted);
    EXPECT_EQ(std::string(loaded.error.file), path);
    EXPECT_EQ(loaded.error.line, line) << loaded.error.what;
    EXPECT_EQ(loaded.error.offset, offset) << loaded.error.what;
    EXPECT_NE(std::string(loaded.error.what).find(what), std::string::npos) << loaded.error.what;
    EXPECT_NE(std::string(loaded.error.mend).find(mend), std::string::npos) << loaded.error.mend;
    EXPECT_EQ(network.weights(), before);
}

// A bad row among good ones: refused by its line, or counted and passed over.
void expect_bad_row(const std::string &bytes, int64_t line, int64_t offset, const std::string &what) {
    SCOPED_TRACE(what);
    const Folder folder;
    const std::string path = folder.write("v", bytes);
    const Network network(settings(), texts);
    expect_refused(network, path, CRS_ERR_FORMAT, line, offset, what, "--skip-bad");
    crs_config config = settings();
    config.skip_bad = 1;
    const Network skipping(config, texts);
    const auto before = skipping.table();
    const Loaded loaded = load(skipping, path);
    ASSERT_EQ(loaded.status, CRS_OK) << loaded.error.what;
    EXPECT_EQ(loaded.coverage.skipped, 1);
    EXPECT_EQ(loaded.coverage.vectors, 2);
    EXPECT_EQ(loaded.coverage.exact, 2);
    EXPECT_EQ(loaded.coverage.first_skipped.line, line);
    EXPECT_EQ(loaded.coverage.first_skipped.offset, offset);
    EXPECT_NE(std::string(loaded.coverage.first_skipped.what).find(what), std::string::npos);
    EXPECT_EQ(skipping.vector_of("the"), (std::vector<double>{1, 2, 3}));
    EXPECT_EQ(skipping.vector_of("sat"), (std::vector<double>{4, 5, 6}));
    EXPECT_EQ(skipping.vector_of("cat"), before[skipping.id("cat")]);
}

TEST(Bad, Lines) {
    const std::pair<std::string, const char *> rows[] = {
        {"cat 0.1 0.2", "the line has 3 fields; a token and 3 numbers were expected"},
        {"cat", "the line has 1 fields"},
        {"cat 0.1 0.2 0.3 0.4", "the line has more than 3 numbers"},
        {"0.1 0.2 0.3", "the line has no token before its 3 numbers"},
        {" 0.1 0.2 0.3", "the line has no token before its 3 numbers"},
        {"cat 0.1 two 0.3", "\"two\" is no finite number"},
        {"cat 0.1 0.2 0.3x", "\"0.3x\" is no finite number"},
        {"cat 0,1 0.2 0.3", "\"0,1\" is no finite number"},
        {"cat 0.1 0x10 0.3", "\"0x10\" is no finite number"},
        {"cat 0.1 1e 0.3", "\"1e\" is no finite number"},
        {"cat 0.1 . 0.3", "\".\" is no finite number"},
        {"cat 0.1 nan 0.3", "\"nan\" is no finite number"},
        {"cat 0.1 -inf 0.3", "\"-inf\" is no finite number"},
        {"cat 0.1 1e39 0.3", "\"1e39\" is no finite number"},
        {"cat 0.1 1e999 0.3", "\"1e999\" is no finite number"},
        {"cat 0.1 " + std::string(200, '1') + " 0.3", "1... is no finite number"},
        {"c\xff 0.1 0.2 0.3", "byte 2 of the line (0xff) is not valid UTF-8"},
        {std::string("c\0t 0.1 0.2 0.3", 15), "byte 2 of the line is NUL"},
        {"cat" + std::string(9 << 20, ' ') + "1 2 3", "longer than 8 MiB"}};
    for (const auto &[row, what] : rows) {
        std::string said = what;
        if (said.rfind("1...", 0) == 0)
            said = "...\" is no finite number";
        expect_bad_row("the 1 2 3\n" + row + "\nsat 4 5 6\n", 2, -1, said);
        expect_bad_row("3 3\nthe 1 2 3\n" + row + "\nsat 4 5 6\n", 3, -1, said);
    }
}

TEST(Bad, AFirstLineThatIsDamagedDoesNotMislead) {
    expect_bad_row("cat 0.1 0.2\nthe 1 2 3\nsat 4 5 6\n", 1, -1, "the line has 3 fields");
    expect_bad_row("cat x y z\nthe 1 2 3\nsat 4 5 6\n", 1, -1, "\"z\" is no finite number");
    expect_bad_row("3 3\ncat x y z\nthe 1 2 3\nsat 4 5 6\n", 2, -1, "\"z\" is no finite number");
    expect_bad_row("3 3\nc\xff 1 2 3\nthe 1 2 3\nsat 4 5 6\n", 2, -1, "byte 2 of the line (0xff)");
}

TEST(Bad, RowsOfABinary) {
    const std::string the = "the " + raw({1, 2, 3}) + "\n", sat = "sat " + raw({4, 5, 6}) + "\n";
    const std::pair<std::string, const char *> rows[] = {
        {"cat " + raw({1, NAN, 3}), "vector 2 has a value that is not finite"},
        {"cat " + raw({1, 2, -INFINITY}), "vector 2 has a value that is not finite"},
        {"c\xff " + raw({1, 2, 3}), "vector 2 has a token that is not valid UTF-8"},
        {" " + raw({1, 2, 3}), "vector 2 has no token"}};
    const int64_t offsets[] = {21 + 4 + 4, 21 + 4 + 8, 21, 21};
    for (size_t i = 0; i < 4; i++)
        expect_bad_row("3 3\n" + the + rows[i].first + "\n" + sat, 0, offsets[i], rows[i].second);
}

TEST(Bad, BinariesThatEndTooSoonOrTooLate) {
    const Folder folder;
    const std::string whole = binary("");
    crs_config config = settings();
    config.skip_bad = 1;
    const Network network(config, texts);
    for (size_t size = 8; size < whole.size(); size++) {
        const std::string path = folder.write("v", whole.substr(0, size));
        // With nothing of the first vector's numbers at hand the rows are taken for text.
        if (size < 4 + 4 + 4)
            continue;
        expect_refused(network, path, CRS_ERR_FORMAT, 0, static_cast<int64_t>(size), "the file ends within vector",
                       "cut off");
    }
    expect_refused(network, folder.write("v", whole + "\n\nx"), CRS_ERR_FORMAT, 0,
                   static_cast<int64_t>(whole.size()) + 2, "more follows the 5 vectors that the header promises",
                   "damaged");
    EXPECT_EQ(load(network, folder.write("v", whole + "\n\n")).status, CRS_OK);
    expect_refused(network, folder.write("v", "2 3\nthe " + raw({1, 2, 3}) + std::string(5000, 'x')), CRS_ERR_FORMAT, 0,
                   20, "the token of vector 2 does not end within 4096 bytes", "damaged");
}

TEST(Bad, DamagedCompression) {
    const Folder folder;
    const Network network(settings(), texts);
    std::string more;
    std::mt19937 random(3);
    for (int i = 0; i < 20000; i++)
        more += "w" + std::to_string(random()) + " 1 2 3\n";
    for (const std::string &bytes : {glove() + more, binary("")}) {
        folder.pack("whole", "gzip", bytes);
        const std::string packed = folder.read("whole"), path = folder.write("v", packed.substr(0, packed.size() - 12));
        const Loaded loaded = load(network, path);
        EXPECT_EQ(loaded.status, CRS_ERR_FORMAT);
        EXPECT_NE(std::string(loaded.error.what).find("damaged or cut off"), std::string::npos) << loaded.error.what;
    }
}

TEST(Bad, HeadersThatPromiseTheAbsurdOrTheWrong) {
    const Folder folder;
    const Network network(settings(), texts);
    for (const char *header : {"0 3", "5 0", "5 65537", "99999999999 3", "5 99999999999999999999999", "4294967297 3"})
        expect_refused(network, folder.write("v", std::string(header) + "\nthe 1 2 3\n"), CRS_ERR_FORMAT, 1, -1,
                       "the header promises", "fetch or make the file again");
    for (const char *rows : {"the 1 2 3\n", "the 1 2 3\ncat 1 2 3\nsat 1 2 3\n", ""})
        expect_refused(network, folder.write("v", std::string("2 3\n") + rows), CRS_ERR_FORMAT, 1, -1,
                       "the header promises 2 vectors, and", "correct the header");
    crs_config config = settings();
    config.skip_bad = 1;
    EXPECT_EQ(load(Network(config, texts), folder.write("v", "9 3\nthe 1 2 3\n")).status, CRS_OK);
}

TEST(Bad, FilesThatAreNotOfWordVectors) {
    const Folder folder;
    const Network network(settings(), texts);
    expect_refused(network, folder.at("none"), CRS_ERR_IO, 0, -1, "cannot be opened", "check the path");
    expect_refused(network, folder.write("v", ""), CRS_ERR_FORMAT, 0, -1, "is empty", "give a file");
    expect_refused(network, folder.pack("v.gz", "gzip", ""), CRS_ERR_FORMAT, 0, -1, "is empty", "give a file");
    expect_refused(network, folder.write("v", "PK\3\4rest"), CRS_ERR_FORMAT, 0, -1, "ZIP", "unpack it");
    expect_refused(network, folder.write("v", std::string("\xba\x16\x4f\x2f\x0c\0\0\0", 8)), CRS_ERR_FORMAT, 0, -1,
                   ".bin", ".vec");
    expect_refused(network, folder.write("v", "a text\nof two lines\n"), CRS_ERR_FORMAT, 1, -1,
                   "a word and its numbers", "give word vectors");
    expect_refused(network, folder.write("v", "chien 1 2 3\nchat 1 2 3\n"), CRS_ERR_FORMAT, 0, -1,
                   "none of its 2 tokens is in the vocabulary of 8", "language");
    std::filesystem::create_directory(folder.at("d"));
    expect_refused(network, folder.at("d"), CRS_ERR_FORMAT, 0, -1, "is a folder", "name a file");
}

TEST(Bad, WidthsThatDiffer) {
    const Folder folder;
    const Network network(settings("embedding 5 frozen | mean | dense"), texts);
    for (const auto &[name, bytes] : formats) {
        const std::string path = folder.write("v", bytes);
        expect_refused(network, path, CRS_ERR_MODEL, 0, -1, "its vectors have 3 numbers, the embedding 5",
                       "write \"embedding 3\"");
        crs_error error = {};
        EXPECT_EQ(crs_vectors_check(network.classifier->model, path.c_str(), &error), CRS_ERR_MODEL);
        EXPECT_NE(std::string(error.mend).find("write \"embedding 3\""), std::string::npos) << error.mend;
        EXPECT_EQ(crs_vectors_check(Network(settings(), texts).classifier->model, path.c_str(), &error), CRS_OK);
    }
    crs_error error = {};
    EXPECT_EQ(crs_vectors_check(network.classifier->model, folder.at("none").c_str(), &error), CRS_ERR_IO);
    // What can be read once only is left for the loading.
    ASSERT_EQ(mkfifo(folder.at("pipe").c_str(), 0600), 0);
    EXPECT_EQ(crs_vectors_check(network.classifier->model, folder.at("pipe").c_str(), &error), CRS_OK);
}

// Kilobytes of memory a child process needs at most to read from a pipe what `write` writes.
long peak_memory(const std::string &path, const std::function<void()> &write) {
    const pid_t reader = fork();
    if (reader == 0) {
        crs_config config = settings();
        config.skip_bad = 1;
        const Network network(config, texts);
        const Loaded loaded = load(network, path);
        _exit(loaded.status == CRS_OK && loaded.coverage.exact == 2 && !testing::Test::HasFailure() ? 0 : 1);
    }
    write();
    int status;
    struct rusage usage;
    EXPECT_EQ(wait4(reader, &status, 0, &usage), reader);
    EXPECT_EQ(status, 0);
    return usage.ru_maxrss;
}

TEST(Memory, IsBoundedWhateverTheFile) {
    const Folder folder;
    const std::string path = folder.at("pipe");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const auto line_of = [&](size_t megabytes) {
        return [&, megabytes] {
            const std::string block(1 << 20, 'x');
            std::ofstream out(path, std::ios::binary);
            out << "the 1 2 3\n";
            for (size_t i = 0; i < megabytes; i++)
                out << block;
            out << "\ncat 4 5 6\n";
        };
    };
    const auto rows_of_text = [&](size_t count) {
        return [&, count] {
            std::ofstream out(path, std::ios::binary);
            out << "the 1 2 3\n";
            for (size_t i = 0; i < count; i++)
                out << "w" << i << " 0.25 0.5 0.75\n";
            out << "cat 4 5 6\n";
        };
    };
    const long ten = peak_memory(path, line_of(10));
    EXPECT_LT(peak_memory(path, line_of(100)), ten + 8000) << "kilobytes; a line of 10 MB took " << ten;
    const long few = peak_memory(path, rows_of_text(1000));
    EXPECT_LT(peak_memory(path, rows_of_text(500000)), few + 8000) << "kilobytes; a thousand rows took " << few;
}

// Wherever bytes are wrong, it is an error or another set of numbers, never a crash and never a number not finite.
TEST(Bad, DamageNeverCrashes) {
    const Folder folder;
    std::mt19937 random(11);
    crs_config config = settings();
    config.skip_bad = 1;
    const Network network(config, texts);
    for (int round = 0; round < 600; round++) {
        std::string bytes = formats[static_cast<size_t>(round) % formats.size()].bytes;
        for (size_t i = 0, n = 1 + random() % 4; i < n; i++)
            bytes[random() % bytes.size()] = static_cast<char>(random() % 256);
        if (round % 3 == 0)
            bytes.resize(random() % bytes.size());
        const Loaded loaded = load(network, folder.write("v", bytes));
        if (loaded.status != CRS_OK) {
            EXPECT_NE(std::string(loaded.error.what), "") << round;
            EXPECT_NE(std::string(loaded.error.mend), "") << loaded.error.what;
        }
        for (const double value : network.weights())
            ASSERT_TRUE(std::isfinite(value)) << round;
    }
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
