// Bad input: each kind is one clear error with file and line, or counted and passed over; memory stays bounded; and
// bytes at random never do worse than that.
#include "text_files.hpp"

#include <functional>
#include <random>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using crs_test::config_of;
using crs_test::expect_error;
using crs_test::Folder;
using crs_test::read_rows;
using crs_test::Reading;
using crs_test::Row;
using Rows = std::vector<Row>;

crs_config skipping(int format = CRS_FORMAT_AUTO) {
    crs_config config = config_of(format);
    config.skip_bad = 1;
    return config;
}

constexpr size_t line_max = size_t{8} << 20;

TEST(Bad, MissingAndEmptyFiles) {
    Folder folder;
    Reading r = read_rows(folder.at("none.tsv"), config_of());
    expect_error(r.error, r.status, CRS_ERR_IO, 0, "No such file");
    EXPECT_EQ(std::string(r.error.file), folder.at("none.tsv"));
    for (int format : {CRS_FORMAT_AUTO, CRS_FORMAT_FASTTEXT, CRS_FORMAT_CSV, CRS_FORMAT_TSV}) {
        r = read_rows(folder.write("empty", ""), config_of(format));
        expect_error(r.error, r.status, CRS_ERR_FORMAT, 0, "is empty");
        r = read_rows(folder.pack("empty.gz", "gzip", ""), config_of(format));
        expect_error(r.error, r.status, CRS_ERR_FORMAT, 0, "is empty");
    }
    // No texts to label is no mistake.
    for (const std::string &path : {folder.at("empty"), folder.at("empty.gz")}) {
        r = read_rows(path, config_of(CRS_FORMAT_LINES));
        EXPECT_EQ(r.status, CRS_OK) << r.error.what;
        EXPECT_EQ(r.rows, Rows{});
    }
    r = read_rows(folder.write("blank.tsv", "\n\n"), config_of());
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 0, "no rows");
}

TEST(Bad, BytesThatAreNoText) {
    Folder folder;
    for (int format : {CRS_FORMAT_CSV, CRS_FORMAT_TSV}) {
        std::string tab = format == CRS_FORMAT_CSV ? "," : "\t";
        std::string bytes = "0" + tab + "good film\n1" + tab + "caf\xe9 bar\n0" + tab + "nul" + std::string(1, '\0') +
                            "\n1" + tab + "bad film\n";
        Reading r = read_rows(folder.write("x", bytes), config_of(format));
        expect_error(r.error, r.status, CRS_ERR_FORMAT, 2, "byte 6 of the line (0xe9) is not valid UTF-8");
        EXPECT_NE(std::string(r.error.mend).find("iconv"), std::string::npos);
        EXPECT_NE(std::string(r.error.mend).find("--skip-bad"), std::string::npos);
        r = read_rows(folder.at("x"), skipping(format));
        ASSERT_EQ(r.status, CRS_OK) << r.error.what;
        EXPECT_EQ(r.rows, (Rows{{"0", "good film", 1}, {"1", "bad film", 4}}));
        EXPECT_EQ(r.skipped, 2);
        EXPECT_NE(r.first_skipped.find(":2: byte 6"), std::string::npos) << r.first_skipped;
    }
    Reading r = read_rows(folder.write("nul", std::string("a\nb\0c\n", 6)), config_of(CRS_FORMAT_LINES));
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 2, "byte 2 of the line is NUL");
    EXPECT_EQ(r.rows.size(), 1U);
    r = read_rows(folder.write("utf16", std::string("\xff\xfe"
                                                    "a\0\n\0",
                                                    6)),
                  config_of(CRS_FORMAT_LINES));
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 1, "UTF-16");
}

TEST(Bad, LinesOverTheLimit) {
    Folder folder;
    std::string longest(line_max, 'x'), over = longest + "x";
    Reading r = read_rows(folder.write("x", longest + "\n" + longest), config_of(CRS_FORMAT_LINES));
    EXPECT_EQ(r.status, CRS_OK);
    EXPECT_TRUE(r.rows == (Rows{{"", longest, 1}, {"", longest, 2}}));
    r = read_rows(folder.write("x", "a\n" + over + "\nb\n" + over), config_of(CRS_FORMAT_LINES));
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 2, "longer than 8 MiB");
    r = read_rows(folder.at("x"), skipping(CRS_FORMAT_LINES));
    EXPECT_EQ(r.status, CRS_OK);
    EXPECT_EQ(r.rows, (Rows{{"", "a", 1}, {"", "b", 3}}));
    EXPECT_EQ(r.skipped, 2);
    r = read_rows(folder.write("x.csv", "0,good film\n1," + over + "\n1,bad film\n"), skipping());
    EXPECT_EQ(r.rows, (Rows{{"0", "good film", 1}, {"1", "bad film", 3}}));
    EXPECT_EQ(r.skipped, 1);
    // In the middle of a quoted field: the row ends there.
    r = read_rows(folder.write("x.csv", "0,good film\n1,\"a\n" + over + "\n1,bad film\n"), skipping());
    EXPECT_EQ(r.rows, (Rows{{"0", "good film", 1}, {"1", "bad film", 4}}));
    folder.write("d/c/x", longest + "\nx");
    r = read_rows(folder.at("d"), config_of());
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 2, "longer than 8 MiB");
}

// Kilobytes of memory a child process needs at most to read path.
long peak_memory(const std::string &path, const crs_config &config, const std::function<void()> &write) {
    pid_t reader = fork();
    if (reader == 0) {
        Reading r = read_rows(path, config);
        _exit(r.status == CRS_OK && r.rows.size() == 2 && r.skipped == 1 ? 0 : 1);
    }
    write();
    int status;
    struct rusage usage;
    EXPECT_EQ(wait4(reader, &status, 0, &usage), reader);
    EXPECT_EQ(status, 0);
    return usage.ru_maxrss;
}

TEST(Bad, ALineOf100MegabytesTakesBoundedMemory) {
    Folder folder;
    std::string path = folder.at("pipe");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const std::string block(1 << 20, 'x');
    auto write = [&](size_t blocks) {
        return [&, blocks] {
            std::ofstream out(path, std::ios::binary);
            out << "0\tgood film\n1\t";
            for (size_t i = 0; i < blocks; i++)
                out << block;
            out << "\n1\tbad film\n";
        };
    };
    long ten = peak_memory(path, skipping(CRS_FORMAT_TSV), write(10));
    long hundred = peak_memory(path, skipping(CRS_FORMAT_TSV), write(100));
    EXPECT_LT(hundred, ten + 8000) << "kilobytes; a line of 10 MB took " << ten;
}

TEST(Bad, QuotesThatDoNotClose) {
    Folder folder;
    for (const crs_config &config : {config_of(), skipping()}) {
        Reading r = read_rows(folder.write("x.csv", "text,label\na,0\n\"b\nc\",\"1\nd,0\ne,1\n"), config);
        expect_error(r.error, r.status, CRS_ERR_FORMAT, 4, "a quote that opens on this line is not closed");
        r = read_rows(folder.write("x.csv", "text,label\na,0\nb,\"1"), config);
        expect_error(r.error, r.status, CRS_ERR_FORMAT, 3, "a quote that opens on this line is not closed");
    }
    std::string rows = "text,label\na,0\n\"open,1\n";
    while (rows.size() < 2 * line_max)
        rows += "some more text in a line that goes on for a while and then ends,1\n";
    // One that closes beyond the limit is no better: what is kept of a row is bounded.
    Reading r = read_rows(folder.write("x.csv", rows + "\",1\n"), skipping());
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 3, "not closed within 8 MiB");
    r = read_rows(folder.write("x.csv", "text,label\n\"a\" b,0\nc,1\n\"d\"\"\" x,1\n\"e\ne\"x,1\nf,1\n"), config_of());
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 2, "byte 5 of the line: text behind a closing quote");
    r = read_rows(folder.at("x.csv"), skipping());
    EXPECT_EQ(r.rows, (Rows{{"1", "c", 3}, {"1", "f", 7}}));
    EXPECT_EQ(r.skipped, 3);
}

TEST(Bad, DamagedCompression) {
    Folder folder;
    std::string bytes;
    std::mt19937 random(3);
    for (int i = 0; i < 20000; i++)
        bytes +=
            std::to_string(i % 2) + "\tword" + std::to_string(random()) + " and " + std::to_string(random()) + "\n";
    for (const char *filter : {"bzip2", "gzip", "xz", "zstd"}) {
        folder.pack("whole", filter, bytes);
        std::string packed = folder.read("whole");
        for (double part : {0.01, 0.5, 0.999}) {
            auto size = static_cast<size_t>(part * static_cast<double>(packed.size()));
            Reading r = read_rows(folder.write("cut.tsv", packed.substr(0, size)), skipping());
            EXPECT_EQ(r.status, CRS_ERR_FORMAT) << filter << part;
            expect_error(r.error, r.status, CRS_ERR_FORMAT, static_cast<int64_t>(r.rows.size()), "damaged or cut off");
            EXPECT_LT(r.rows.size(), 20000U);
            EXPECT_EQ(r.skipped, 0);
        }
    }
    // Wherever a short one is cut off, it is neither empty nor whole.
    for (const char *filter : {"bzip2", "gzip", "xz", "zstd"}) {
        folder.pack("whole", filter, "0\tgood film\n1\tbad film\n");
        std::string packed = folder.read("whole");
        for (size_t size = 24; size + 8 < packed.size(); size++) {
            Reading r = read_rows(folder.write("cut.tsv", packed.substr(0, size)), config_of());
            ASSERT_EQ(r.status, CRS_ERR_FORMAT) << filter << size;
            expect_error(r.error, r.status, CRS_ERR_FORMAT, r.error.line, "damaged or cut off");
        }
    }
    // bzip2 sums its blocks up, so that a flipped bit is seen wherever it is.
    folder.pack("whole", "bzip2", bytes);
    std::string packed = folder.read("whole");
    packed[packed.size() / 2] = static_cast<char>(packed[packed.size() / 2] ^ 4);
    Reading r = read_rows(folder.write("flipped.tsv", packed), config_of());
    EXPECT_EQ(r.status, CRS_ERR_FORMAT);
}

TEST(Bad, AReaderThatFailedKeepsFailing) {
    Folder folder;
    std::string rows = "text,label\n";
    for (int i = 0; i < 300; i++)
        rows += "some text,0\n";
    folder.write("x.csv", rows + "b,\"1\n");
    crs_config config = config_of();
    crs_reader *reader;
    crs_error error;
    ASSERT_EQ(crs_reader_open(folder.at("x.csv").c_str(), &config, &reader, &error), CRS_OK);
    crs_row row;
    int end;
    for (int i = 0; i < 300; i++)
        ASSERT_EQ(crs_reader_next(reader, &row, &end, &error), CRS_OK);
    EXPECT_EQ(crs_reader_next(reader, &row, &end, &error), CRS_ERR_FORMAT);
    EXPECT_EQ(crs_reader_next(reader, &row, &end, nullptr), CRS_ERR_FORMAT);
    error = {};
    EXPECT_EQ(crs_reader_next(reader, &row, &end, &error), CRS_ERR_FORMAT);
    EXPECT_EQ(error.line, 302);
    crs_reader_close(reader);
}

// Bytes that the formats give a meaning to, and any others.
std::string random_bytes(std::mt19937 &random, size_t size) {
    static const std::vector<std::string> pieces = {
        "\n",           "\n",      "\t",       ",",         "\"",
        "\"\"",         "\",",     "\r\n",     "__label__", "__label__a ",
        "text",         "label",   "0",        "1",         "a word ",
        "한",           "e\u0301", "\xff",     "\xc3",      std::string(1, '\0'),
        "\xef\xbb\xbf", "BZh9",    "\x1f\x8b", " ",         "😀"};
    std::string bytes;
    while (bytes.size() < size)
        if (random() % 8)
            bytes += pieces[random() % pieces.size()];
        else
            bytes += static_cast<char>(random());
    return bytes;
}

TEST(Random, BytesInAnyFormatGiveRowsOrAClearError) {
    Folder folder;
    std::mt19937 random(20240612);
    size_t rows = 0, errors = 0;
    for (int round = 0; round < 1500; round++) {
        crs_config config = config_of(static_cast<int>(random() % 6));
        config.skip_bad = static_cast<int>(random() % 2);
        config.header = static_cast<int>(random() % 3);
        if (config.format == CRS_FORMAT_FOLDER)
            config.format = CRS_FORMAT_CSV;
        if (random() % 3 == 0) {
            snprintf(config.text_column, sizeof config.text_column, "2");
            snprintf(config.label_column, sizeof config.label_column, "%s", random() % 2 ? "1" : "label");
        }
        std::string bytes = random_bytes(random, random() % (round % 50 ? 400 : 200000));
        Reading r = read_rows(folder.write("x", bytes), config);
        rows += r.rows.size();
        errors += r.status != CRS_OK;
        for (const Row &row : r.rows)
            EXPECT_EQ(row.text.find('\0'), std::string::npos);
        EXPECT_GE(r.skipped, 0);
        if (r.status != CRS_OK) {
            EXPECT_NE(std::string(r.error.what), "");
            EXPECT_NE(std::string(r.error.mend), "");
        }
        crs_encoder *encoder;
        crs_dataset *data;
        if (crs_dataset_read(folder.at("x").c_str(), &config, nullptr, &encoder, &data, nullptr) == CRS_OK) {
            EXPECT_GE(crs_encoder_classes(encoder), 2);
            crs_dataset_free(data);
            crs_encoder_free(encoder);
        }
    }
    EXPECT_GT(rows, 1000U);
    EXPECT_GT(errors, 200U);
}

TEST(Random, DamagedArchivesGiveAStatus) {
    Folder folder;
    std::mt19937 random(5);
    for (const char *filter : {"bzip2", "gzip", "xz", "zstd"}) {
        folder.pack("whole", filter, "0\tgood film\n1\tbad film\n" + random_bytes(random, 3000));
        std::string whole = folder.read("whole");
        for (int round = 0; round < 100; round++) {
            std::string bytes = whole;
            for (unsigned i = 0; i <= random() % 4; i++)
                bytes[random() % bytes.size()] = static_cast<char>(random());
            Reading r = read_rows(folder.write("x", bytes), skipping(CRS_FORMAT_LINES));
            EXPECT_LT(static_cast<int>(r.status), static_cast<int>(CRS_STATUS_COUNT));
        }
    }
}

} // namespace
