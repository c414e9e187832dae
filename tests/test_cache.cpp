// The cache of encoded data: the same dataset as from the text, whatever state the file is in.
#include "datasets.hpp"

extern "C" {
#include "../core/cache.h"
}
#include "../core/hash.h"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace crs_test;

const char *const few = "__label__a one two, two\n__label__b two three\n__label__a\n__label__b four one one five\n";

class Cache : public testing::Test {
  public:
    Folder folder;
    crs_config config = config_of();

    Cache() {
        snprintf(config.cache, sizeof config.cache, "%s", folder.at("cache").c_str());
    }
    // A data file that was not written just now.
    std::string data(const std::string &text, const std::string &name = "a.ft.txt", int seconds_ago = 100) {
        folder.write(name, text);
        stamp(folder.at(name), seconds_ago);
        return folder.at(name);
    }
    static void stamp(const std::string &path, int seconds_ago) {
        struct timespec times[2] = {{time(nullptr) - seconds_ago, 7}, {time(nullptr) - seconds_ago, 7}};
        ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    }
    static crs__cache_stamp stamp_of(const std::string &path) {
        struct stat info = {};
        EXPECT_EQ(stat(path.c_str(), &info), 0);
        return crs__cache_stamp_of(&info);
    }
    // Makes the cache say that it is of that state, and that its times can be relied on.
    void bear(const std::string &name, crs__cache_stamp state) const {
        std::string bytes = folder.read(name);
        crs__cache_header header;
        memcpy(&header, bytes.data(), sizeof header);
        header.stamp = state;
        header.stamp.settled = 1;
        header.self = crs__cache_header_hash(&header);
        memcpy(bytes.data(), &header, sizeof header);
        folder.write(name, bytes);
    }
    std::vector<std::string> caches() const {
        std::vector<std::string> names;
        for (const auto &entry : std::filesystem::directory_iterator(config.cache))
            names.push_back(entry.path().filename().string());
        std::sort(names.begin(), names.end());
        return names;
    }
    std::string only() const {
        EXPECT_EQ(caches().size(), 1U);
        return "cache/" + caches().at(0);
    }
    Made plain(const std::string &path, const crs_encoder *encoder = nullptr) const {
        crs_config without = config;
        without.cache[0] = '\0';
        return read(path, without, encoder);
    }
};

void expect_note(const Made &made, const std::string &part) {
    EXPECT_NE(std::string(made.stats().cache).find(part), std::string::npos) << made.stats().cache;
}

TEST_F(Cache, TheSecondStartGivesTheSameWithoutReading) {
    const std::string path = data(many_rows(5000, 1));
    const Made text = plain(path);
    EXPECT_STREQ(text.stats().cache, "");
    EXPECT_EQ(text.stats().mapped, 0);
    const Made first = read(path, config);
    expect_note(first, "wrote the cache " + folder.at("cache/a.ft.txt."));
    expect_same(text, first);
    const Made second = read(path, config);
    expect_note(second, "taken from the cache " + folder.at(only()));
    EXPECT_EQ(second.stats().mapped, 1);
    expect_same(text, second);
    // Something else, of which the cache says that it has that size, those times and that place: it is not looked at.
    std::string other = folder.read("a.ft.txt");
    other.replace(other.find("Word"), 4, "What");
    data(other);
    bear(only(), stamp_of(path));
    expect_same(text, read(path, config));
}

// A copy with the old time, as `cp -p` and `tar` make it, and a writer who sets the time back.
TEST_F(Cache, ATimeThatWasSetBackIsNotBelieved) {
    const std::string path = data(few);
    read(path, config);
    struct stat info;
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    bear(only(), stamp_of(path));
    std::string other = few;
    other.replace(other.find("three"), 5, "seven");
    folder.write("a.ft.txt", other);
    const struct timespec times[2] = {info.st_mtim, info.st_mtim};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    const Made made = read(path, config);
    expect_note(made, "is of an older state of the data; made it again");
    expect_same(plain(path), made);
}

TEST_F(Cache, ChangedDataAreReadAgain) {
    const std::string path = data(few);
    read(path, config);
    data(std::string(few) + "__label__b six\n");
    Made made = read(path, config);
    expect_note(made, "is of an older state of the data; made it again");
    EXPECT_EQ(made.stats().rows, 5);
    // Of the same size.
    std::string other = folder.read("a.ft.txt");
    other[other.size() - 2] = 'y';
    data(other, "a.ft.txt", 50);
    made = read(path, config);
    expect_note(made, "is of an older state of the data; made it again");
    expect_same(plain(path), made);
    expect_note(read(path, config), "taken from the cache");
}

TEST_F(Cache, TheSameContentWithAnotherTimeIsRecognised) {
    const std::string path = data(few);
    const Made made = read(path, config);
    stamp(path, 40);
    Made again = read(path, config);
    expect_note(again, "taken from the cache");
    expect_same(made, again);
    // It now bears the new time, so that the content need not be looked at any more.
    crs__cache_header header;
    memcpy(&header, folder.read(only()).data(), sizeof header);
    struct stat info;
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(header.stamp.seconds, static_cast<uint64_t>(info.st_mtim.tv_sec));
    expect_note(read(path, config), "taken from the cache");
}

TEST_F(Cache, AFileWrittenJustNowIsNotTrustedByItsTime) {
    const std::string path = data(few, "a.ft.txt", 0);
    struct stat info;
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    read(path, config);
    std::string other = few;
    other.replace(other.find("three"), 5, "seven");
    folder.write("a.ft.txt", other);
    const struct timespec times[2] = {info.st_mtim, info.st_mtim};
    ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    const Made made = read(path, config);
    expect_note(made, "is of an older state");
    expect_same(plain(path), made);
}

// A change within one tick of the file system's clock leaves the times as they were.
TEST_F(Cache, AChangeWhileItIsReadIsSeenByTheContent) {
    const std::string path = data(few, "a.ft.txt", 0);
    char note[CRS__CACHE_NOTE];
    crs__cache cache;
    crs_error error;
    Made made = plain(path);
    ASSERT_TRUE(crs__cache_find(&cache, path.c_str(), &config, nullptr, note)) << note;
    ASSERT_EQ(cache.stamp.settled, 0U);
    crs__cache_prepare(&cache);
    std::string other = few;
    other.replace(other.find("three"), 5, "seven");
    data(other, "a.ft.txt", 0);
    cache.stamp = stamp_of(path);
    cache.stamp.settled = 0;
    EXPECT_EQ(crs__cache_save(&cache, made.encoder.get(), made.data.get(), &error), CRS_ERR_IO);
    EXPECT_STREQ(error.what, "the data file changed while it was read");
    EXPECT_TRUE(caches().empty());
    data(few, "a.ft.txt", 0);
    cache.stamp = stamp_of(path);
    EXPECT_EQ(crs__cache_save(&cache, made.encoder.get(), made.data.get(), &error), CRS_OK) << error.what;
    EXPECT_EQ(caches().size(), 1U);
}

TEST_F(Cache, EverySettingOfTheTextHasItsOwn) {
    const std::string path = data(few);
    size_t count, known = 1;
    read(path, config);
    const std::vector<std::pair<const char *, const char *>> matter = {
        {"format", "fasttext"}, {"skip-bad", "on"},   {"header", "off"},   {"text-column", "1"},
        {"label-column", "1"},  {"tokens", "chars"},  {"ngrams", "2"},     {"lowercase", "off"},
        {"filters", "x"},       {"words-only", "on"}, {"vocabulary", "5"}, {"min-count", "2"},
        {"oov", "drop"},        {"length", "2"},      {"truncate", "pre"}, {"rows", "3"}};
    const crs_config former = config;
    const crs_setting *settings = crs_config_settings(&count);
    size_t of_text = 0;
    for (size_t i = 0; i < count; i++)
        of_text += strcmp(settings[i].group, "Data") == 0 || strcmp(settings[i].group, "Text") == 0;
    EXPECT_EQ(of_text, matter.size() - 1 + 2) << "a new setting? rows is of another group; pad and mask are not here";
    for (const auto &[name, value] : matter) {
        SCOPED_TRACE(name);
        config = former;
        ASSERT_EQ(crs_config_set(&config, name, value, nullptr), CRS_OK);
        const Made made = read(path, config);
        expect_note(made, "wrote the cache");
        EXPECT_EQ(caches().size(), ++known);
        expect_same(plain(path), read(path, config));
    }
    config = former;
    for (const auto &[name, value] : {std::pair("pad", "pre"), std::pair("mask", "off"), std::pair("seed", "9"),
                                      std::pair("batch", "7"), std::pair("threads", "3")})
        ASSERT_EQ(crs_config_set(&config, name, value, nullptr), CRS_OK);
    expect_note(read(path, config), "taken from the cache");
    EXPECT_EQ(caches().size(), known);
}

TEST_F(Cache, RowsOfAnEncoderAreKeptForThatEncoder) {
    const std::string path = data(few), test = data("__label__b two nine\n__label__a one\n", "test.ft.txt");
    const Made fitted = read(path, config);
    const Made other = build({{"a", "nine two one"}, {"b", "two six ten"}}, config);
    for (const Made *encoder : {&fitted, &other}) {
        const Made first = read(test, config, encoder->encoder.get());
        expect_note(first, "wrote the cache");
        const Made second = read(test, config, encoder->encoder.get());
        expect_note(second, "taken from the cache");
        expect_same(plain(test, encoder->encoder.get()), first);
        expect_same(first, second);
    }
    EXPECT_EQ(caches().size(), 3U);
}

// An encoder brings its own settings of the text; those of the config beside it mean nothing.
TEST_F(Cache, EncodersOfOneVocabularyMayDifferInTheirSettings) {
    const std::string path = data("__label__a one two three one, two ten\n__label__b Two\n");
    const crs_config former = config;
    size_t known = 0;
    for (const auto &[name, value] :
         {std::pair("length", "5"), std::pair("length", "3"), std::pair("length", "100"), std::pair("truncate", "pre"),
          std::pair("oov", "drop"), std::pair("lowercase", "off"), std::pair("filters", "x"),
          std::pair("filters", "\u00e9"), std::pair("words-only", "on")}) {
        SCOPED_TRACE(std::string(name) + " " + value);
        crs_config other = former;
        ASSERT_EQ(crs_config_set(&other, "length", "4", nullptr), CRS_OK);
        ASSERT_EQ(crs_config_set(&other, name, value, nullptr), CRS_OK);
        const Made fitted = build({{"a", "one"}, {"b", "two"}, {"b", "three"}, {"b", "four"}}, other);
        ASSERT_EQ(tokens_of(fitted).size(), 4U);
        config.length = 7;
        const Made first = read(path, config, fitted.encoder.get());
        expect_note(first, "wrote the cache");
        EXPECT_EQ(caches().size(), ++known);
        config.length = 2;
        const Made second = read(path, config, fitted.encoder.get());
        expect_note(second, "taken from the cache");
        expect_same(plain(path, fitted.encoder.get()), first);
        expect_same(first, second);
    }
    EXPECT_EQ(caches().size(), known);
}

TEST_F(Cache, ANameThatSaysAnotherFormatHasItsOwn) {
    const std::string path = data("a\tone,two\nb\ttwo,three\n", "data");
    for (const char *name : {"a.csv", "a.tsv"})
        std::filesystem::create_symlink(path, folder.at(name));
    config.header = CRS_FLAG_OFF;
    snprintf(config.label_column, sizeof config.label_column, "1");
    snprintf(config.text_column, sizeof config.text_column, "2");
    const Made tabs = plain(folder.at("a.tsv")), commas = plain(folder.at("a.csv"));
    EXPECT_NE(labels_of(tabs), labels_of(commas));
    for (int round = 0; round < 2; round++) {
        expect_same(tabs, read(folder.at("a.tsv"), config));
        expect_same(commas, read(folder.at("a.csv"), config));
    }
    EXPECT_EQ(caches().size(), 2U);
    for (const std::string &name : caches())
        EXPECT_NE(folder.read("cache/" + name).find("data: " + std::filesystem::canonical(path).string() + "\n"),
                  std::string::npos);
}

TEST_F(Cache, IdsOfFourBytes) {
    config.vocabulary = 100000;
    config.length = 1000;
    std::string text;
    for (int r = 0; r < 100; r++) {
        text += "__label__" + std::to_string(r % 2);
        for (int i = 0; i < 800; i++)
            text += " t" + std::to_string(r * 800 + i);
        text += "\n";
    }
    const std::string path = data(text);
    read(path, config);
    const Made second = read(path, config);
    expect_note(second, "taken from the cache");
    EXPECT_GT(second.ids(99).back(), 65536);
    expect_same(plain(path), second);
}

// ---- damage ----

TEST_F(Cache, WhereverItIsDamagedItIsMadeAgain) {
    const std::string path = data(few);
    const Made wanted = plain(path);
    read(path, config);
    const std::string name = only(), whole = folder.read(name);
    ASSERT_LT(whole.size(), 4000U);
    const auto expect_rebuilt = [&](const std::string &bytes, size_t at) {
        folder.write(name, bytes);
        const Made made = read(path, config);
        expect_note(made, "made it again");
        ASSERT_NO_FATAL_FAILURE(expect_same(wanted, made)) << at;
        ASSERT_EQ(folder.read(name).size(), whole.size());
    };
    for (size_t at = 0; at < whole.size(); at += 7) {
        std::string bytes = whole;
        bytes[at] = static_cast<char>(bytes[at] ^ 16);
        folder.write(name, bytes);
        const Made made = read(path, config);
        ASSERT_NO_FATAL_FAILURE(expect_same(wanted, made)) << at;
        // Only bytes that fill up a section's end may differ unseen.
        const bool taken = std::string(made.stats().cache).find("made it again") == std::string::npos;
        if (taken) {
            EXPECT_EQ(whole[at], '\0') << at;
        }
    }
    for (size_t size = 0; size < whole.size(); size += 37)
        expect_rebuilt(whole.substr(0, size), size);
    expect_rebuilt(whole + "x", whole.size());
    expect_rebuilt(std::string(whole.size(), '\0'), 0);
    EXPECT_EQ(caches().size(), 1U) << "nothing is left beside it";
}

// Hashes everything anew, as one would who wants a wrong file believed.
std::string sealed(std::string bytes) {
    crs__cache_header header;
    uint64_t sizes[CRS__CACHE_SECTIONS];
    memcpy(&header, bytes.data(), sizeof header);
    header.body = 0;
    if (crs__cache_sizes(&header, sizes)) {
        uint64_t at = sizeof header;
        for (uint64_t size : sizes) {
            if (size > 0 && at < bytes.size() && size <= bytes.size() - at)
                header.body = crs__hash(bytes.data() + at, size, header.body);
            at += crs__cache_padded(size);
        }
    }
    header.self = crs__cache_header_hash(&header);
    memcpy(bytes.data(), &header, sizeof header);
    return bytes;
}

TEST_F(Cache, WhatIsWrongIsNotBelievedEvenWithRightSums) {
    const std::string path = data(few);
    const Made wanted = plain(path);
    read(path, config);
    const std::string name = only(), whole = folder.read(name);
    ASSERT_EQ(sealed(whole), whole);
    crs__cache_header header;
    memcpy(&header, whole.data(), sizeof header);
    uint64_t sizes[CRS__CACHE_SECTIONS];
    ASSERT_TRUE(crs__cache_sizes(&header, sizes));
    uint64_t begins[CRS__CACHE_SECTIONS], at = sizeof header;
    for (int s = 0; s < CRS__CACHE_SECTIONS; s++) {
        begins[s] = at;
        at += crs__cache_padded(sizes[s]);
    }
    const auto expect_rebuilt = [&](const std::string &what, const std::string &bytes) {
        SCOPED_TRACE(what);
        ASSERT_NE(bytes, whole);
        folder.write(name, sealed(bytes));
        const Made made = read(path, config);
        expect_note(made, "made it again");
        expect_same(wanted, made);
    };
    const auto with = [&](uint64_t where, uint64_t value, size_t size) {
        std::string bytes = whole;
        memcpy(&bytes[where], &value, size);
        return bytes;
    };
    for (uint64_t crs__cache_header::*field :
         {&crs__cache_header::file_size, &crs__cache_header::id_bytes, &crs__cache_header::rows,
          &crs__cache_header::tokens, &crs__cache_header::vocabulary, &crs__cache_header::classes,
          &crs__cache_header::key_size, &crs__cache_header::encoder_size, &crs__cache_header::longest})
        for (uint64_t value : {uint64_t{0}, header.*field + 1, header.*field - 1, uint64_t{1} << 40, UINT64_MAX}) {
            crs__cache_header wrong = header;
            wrong.*field = value;
            std::string bytes = whole;
            memcpy(bytes.data(), &wrong, sizeof wrong);
            if (value != header.*field)
                expect_rebuilt("header", bytes);
        }
    for (uint64_t value : {uint64_t{1}, uint64_t{1} << 62, UINT64_MAX, uint64_t{1} << 63})
        expect_rebuilt("first start", with(begins[CRS__CACHE_STARTS], value, 8));
    for (uint64_t value : {uint64_t{2000}, uint64_t{1} << 62, UINT64_MAX, uint64_t{1} << 63})
        expect_rebuilt("a start", with(begins[CRS__CACHE_STARTS] + 8, value, 8));
    for (uint64_t value : {uint64_t{2}, uint64_t{UINT32_MAX}})
        expect_rebuilt("a label", with(begins[CRS__CACHE_LABELS] + 4, value, 4));
    expect_rebuilt("an id", with(begins[CRS__CACHE_IDS] + 2, header.vocabulary, 2));
    expect_rebuilt("JSON", with(begins[CRS__CACHE_ENCODER], 0, 1));
    expect_rebuilt("its end", with(begins[CRS__CACHE_ENCODER] + sizes[CRS__CACHE_ENCODER] - 1, 'x', 1));
    expect_rebuilt("key", with(begins[CRS__CACHE_KEY], 'x', 1));
    std::string later = whole;
    later[8]++;
    folder.write(name, sealed(later));
    expect_note(read(path, config), "is of another release; made it again");
}

// Another process writes its own between our writing and our mapping.
TEST_F(Cache, OnlyWhatWasWrittenIsMapped) {
    const std::string path = data(few);
    char note[CRS__CACHE_NOTE];
    crs__cache cache;
    crs_error error;
    const Made made = plain(path);
    ASSERT_TRUE(crs__cache_find(&cache, path.c_str(), &config, nullptr, note)) << note;
    crs__cache_prepare(&cache);
    ASSERT_EQ(crs__cache_save(&cache, made.encoder.get(), made.data.get(), &error), CRS_OK) << error.what;
    const std::string name = only(), whole = folder.read(name);
    crs_dataset *mapped = nullptr;
    ASSERT_TRUE(crs__cache_load(&cache, nullptr, &mapped, note)) << note;
    crs_dataset_free(mapped);
    crs__cache_header header;
    uint64_t sizes[CRS__CACHE_SECTIONS];
    memcpy(&header, whole.data(), sizeof header);
    ASSERT_TRUE(crs__cache_sizes(&header, sizes));
    std::string other = whole;
    char &label =
        other[sizeof header + crs__cache_padded(sizes[CRS__CACHE_KEY]) + crs__cache_padded(sizes[CRS__CACHE_STARTS])];
    label = static_cast<char>(!label);
    folder.write(name, sealed(other));
    EXPECT_FALSE(crs__cache_load(&cache, nullptr, &mapped, note));
    EXPECT_STREQ(note, "was replaced by another");
    cache.written = 0;
    ASSERT_TRUE(crs__cache_load(&cache, nullptr, &mapped, note)) << "nothing else is wrong with it: " << note;
    crs_dataset_free(mapped);
}

// ---- where there can be none ----

TEST_F(Cache, GoesOnWithoutWhereItCannotBeWritten) {
    const std::string path = data(few);
    const Made wanted = plain(path);
    folder.write("file", "");
    snprintf(config.cache, sizeof config.cache, "%s", folder.at("file/below").c_str());
    Made made = read(path, config);
    expect_note(made, "no cache: ");
    expect_note(made, "Not a directory");
    expect_same(wanted, made);
    snprintf(config.cache, sizeof config.cache, "%s", folder.at("file").c_str());
    made = read(path, config);
    expect_note(made, "no cache: ");
    expect_same(wanted, made);
}

TEST_F(Cache, GoesOnWithoutWhereTheDiskIsFull) {
    const std::string path = data(many_rows(3000, 5));
    const pid_t child = fork();
    if (child == 0) {
        // A limit on a file's size fails as a full disk does: in the middle.
        const struct rlimit limit = {20000, 20000};
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        const Made made = read(path, config);
        const bool good = made.status == CRS_OK && made.stats().rows == 3000 && made.stats().mapped == 0 &&
                          std::string(made.stats().cache).find("no cache: ") == 0;
        _exit(good ? 0 : 1);
    }
    int status;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(caches().empty()) << "nothing is left";
}

TEST_F(Cache, AFolderOfTextsHasNone) {
    folder.write("d/a/1", "one two");
    folder.write("d/b/1", "two");
    const Made made = read(folder.at("d"), config);
    ASSERT_EQ(made.status, CRS_OK);
    expect_note(made, "no cache: only of a file");
}

TEST_F(Cache, ErrorsAreThoseOfTheText) {
    const std::string path = data("__label__a x\nbad\n__label__b y\n");
    for (int round = 0; round < 2; round++) {
        const Made made = read(path, config);
        expect_error(made.error, made.status, CRS_ERR_FORMAT, 2, "__label__");
        EXPECT_TRUE(caches().empty());
    }
    config.skip_bad = 1;
    EXPECT_EQ(read(path, config).stats().skipped, 1);
    EXPECT_EQ(read(path, config).stats().skipped, 1);
}

TEST_F(Cache, ManyProcessesAtOnceAllGetTheirData) {
    const std::string path = data(many_rows(3000, 9));
    const Made wanted = plain(path);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; i++) {
        children.push_back(fork());
        if (children.back() == 0) {
            for (int round = 0; round < 4; round++) {
                const Made made = read(path, config);
                if (made.status != CRS_OK || made.stats().rows != 3000 || made.ids(2999) != wanted.ids(2999))
                    _exit(1);
                if (round % 2 == i % 2)
                    for (const std::string &name : caches())
                        unlink((std::string(config.cache) + "/" + name).c_str());
            }
            _exit(0);
        }
    }
    for (pid_t child : children) {
        int status;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
}

} // namespace
