// Bad files of word vectors: each kind is one clear error with file and line or byte, or counted and passed over; after
// an error the weights are as before; memory stays bounded; and damage at random never does worse than that.
#include "vectors.hpp"

#include <cmath>
#include <functional>
#include <random>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace crs;

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

TEST(BadVectors, Lines) {
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

TEST(BadVectors, AFirstLineThatIsDamagedDoesNotMislead) {
    expect_bad_row("cat 0.1 0.2\nthe 1 2 3\nsat 4 5 6\n", 1, -1, "the line has 3 fields");
    expect_bad_row("cat x y z\nthe 1 2 3\nsat 4 5 6\n", 1, -1, "\"z\" is no finite number");
    expect_bad_row("3 3\ncat x y z\nthe 1 2 3\nsat 4 5 6\n", 2, -1, "\"z\" is no finite number");
    expect_bad_row("3 3\nc\xff 1 2 3\nthe 1 2 3\nsat 4 5 6\n", 2, -1, "byte 2 of the line (0xff)");
}

TEST(BadVectors, RowsOfABinary) {
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

TEST(BadVectors, BinariesThatEndTooSoonOrTooLate) {
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

TEST(BadVectors, DamagedCompression) {
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

TEST(BadVectors, HeadersThatPromiseTheAbsurdOrTheWrong) {
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

TEST(BadVectors, FilesThatAreNotOfWordVectors) {
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

TEST(BadVectors, WidthsThatDiffer) {
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

TEST(BadVectors, MemoryIsBoundedWhateverTheFile) {
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
TEST(BadVectors, DamageNeverCrashes) {
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

} // namespace
