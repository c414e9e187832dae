// Reading labelled rows: every format, what is found out by looking, compressed input, and standard input as it comes.
// Bad input is in test_bad_text.cpp.
#include "text_files.hpp"

#include <chrono>
#include <thread>
#include <unistd.h>

namespace {

using crs_test::config_of;
using crs_test::expect_error;
using crs_test::Folder;
using crs_test::read_rows;
using crs_test::Reading;
using crs_test::Row;
using Rows = std::vector<Row>;

// Reads bytes as a file of that name.
Reading read_as(const std::string &name, const std::string &bytes, const crs_config &config = config_of()) {
    Folder folder;
    return read_rows(folder.write(name, bytes), config);
}

TEST(FastText, LabelThenText) {
    Reading r = read_as("a.ft.txt", "__label__1 good film\n\n  __label__neg\tbad __label \n__label__x\n__label__y a");
    ASSERT_EQ(r.status, CRS_OK) << r.error.what;
    EXPECT_EQ(r.rows, (Rows{{"1", "good film", 1}, {"neg", "bad __label", 3}, {"x", "", 4}, {"y", "a", 5}}));
    EXPECT_EQ(read_as("a", "__label__1 good\n").rows, (Rows{{"1", "good", 1}}));
    r = read_as("a.ft.txt", "__label__1 x\nno label\n");
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 2, "does not start with __label__");
    r = read_as("a.ft.txt", "__label__1 __label__2 x\n");
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 1, "several labels");
    r = read_as("a.ft.txt", "__label__1 x __label__2\n");
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 1, "several labels");
    r = read_as("a.ft.txt", "__label__ x\n");
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 1, "is empty");
}

TEST(Lines, EachIsAText) {
    Reading r = read_as("a.tsv", "one\t1\n\n two \nlast", config_of(CRS_FORMAT_LINES));
    ASSERT_EQ(r.status, CRS_OK);
    EXPECT_EQ(r.rows, (Rows{{"", "one\t1", 1}, {"", "", 2}, {"", " two ", 3}, {"", "last", 4}}));
}

TEST(Lines, EndsAndByteOrderMark) {
    crs_config config = config_of(CRS_FORMAT_LINES);
    EXPECT_EQ(read_as("a", "\xef\xbb\xbfone\r\ntwo\r\n\r\nx\ry\r\n", config).rows,
              (Rows{{"", "one", 1}, {"", "two", 2}, {"", "", 3}, {"", "x\ry", 4}}));
    // A mark elsewhere is text.
    EXPECT_EQ(read_as("a",
                      "a\n\xef\xbb\xbf"
                      "b",
                      config)
                  .rows,
              (Rows{{"", "a", 1},
                    {"",
                     "\xef\xbb\xbf"
                     "b",
                     2}}));
    // Around the block size, lines come whole.
    for (size_t size : {65533U, 65534U, 65535U, 65536U, 65537U, 131071U, 131072U}) {
        std::string line(size, 'x');
        EXPECT_EQ(read_as("a", line + "\r\nend\n", config).rows, (Rows{{"", line, 1}, {"", "end", 2}})) << size;
        EXPECT_EQ(read_as("a", line, config).rows, (Rows{{"", line, 1}})) << size;
    }
}

TEST(Tsv, RawFieldsAndWholeQuotes) {
    Reading r =
        read_as("a.tsv", "0\tsay \"hi\" \n1\t\"quoted \"\"q\"\" text\"\n0\t\"not\" all of \"it\"\n1\t\"\n0\t\"\"\n"
                         "1\t\"a\"\"\n0\t\"\"\"\"\n 1 \tlonger text with a word or two\n");
    ASSERT_EQ(r.status, CRS_OK) << r.error.what;
    EXPECT_EQ(r.rows, (Rows{{"0", "say \"hi\" ", 1},
                            {"1", "quoted \"q\" text", 2},
                            {"0", "\"not\" all of \"it\"", 3},
                            {"1", "\"", 4},
                            {"0", "", 5},
                            {"1", "\"a\"\"", 6},
                            {"0", "\"", 7},
                            {"1", "longer text with a word or two", 8}}));
    EXPECT_EQ(r.note, "tsv, no header, label in column 1, text in column 2");
}

TEST(Csv, QuotedFieldsSpanLines) {
    Reading r = read_as("a.csv", "text,label\n\"one, \"\"two\"\"\r\n\r\nthree\",a\r\n\n bare \"quote\" here ,b\n"
                                 "\"tab\t\" ,\"c\"\nlast line without end,d");
    ASSERT_EQ(r.status, CRS_OK) << r.error.what;
    EXPECT_EQ(r.rows, (Rows{{"a", "one, \"two\"\n\nthree", 2},
                            {"b", "bare \"quote\" here", 6},
                            {"c", "tab\t", 7},
                            {"d", "last line without end", 8}}));
    EXPECT_EQ(r.note, "csv, header, label in column 2 (label), text in column 1 (text)");
}

TEST(Csv, FieldCountsMayVary) {
    Reading r = read_as("a.csv", "never talk to me again,3,,\nI am proud of you,2,,\nhello there my dear,0,, [0]\n"
                                 "I love you,0\nstop it now please,3,, ,x\nalone\n");
    ASSERT_EQ(r.rows.size(), 5U) << r.error.what;
    EXPECT_EQ(r.rows[4], (Row{"3", "stop it now please", 5}));
    EXPECT_EQ(r.note, "csv, no header, label in column 2, text in column 1");
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 6, "the row has 1 columns; column 2 is missing");
    r = read_as("a.csv", "I am proud of you,2\nhello there my dear, \nwell well,2\nnot so good,0\n");
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 2, "label in column 2 is empty");
}

TEST(Columns, AreFound) {
    struct {
        const char *bytes, *note;
    } cases[] = {
        {"id\tdocument\tlabel\n1\tgood film\t1\n2\tbad film\t0\n",
         "tsv, header, label in column 3 (label), text in column 2 (document)"},
        {"Review\tSentiment\ngood\tpos\n", "tsv, header, label in column 2 (Sentiment), text in column 1 (Review)"},
        {"text\tmood\na good film\tpos\na bad film\tneg\n",
         "tsv, header, label in column 2 (mood), text in column 1 (text)"},
        {"title\ttext\tclass\na\tb\tc\n", "tsv, header, label in column 3 (class), text in column 2 (text)"},
        // A known name among data is no header: it comes back, or stands beside a number.
        {"question\ta short one\nquestion\tand another\nstatement\tthis is one\n",
         "tsv, no header, label in column 1, text in column 2"},
        {"0\ttext\n1\ta good film\n0\ta bad one\n", "tsv, no header, label in column 1, text in column 2"},
        {"2\ttext\n1\ta good film\n0\ta bad one\n", "tsv, no header, label in column 1, text in column 2"},
        // Words above numbers name the columns, whatever they are; above one number, or above words too, they may not.
        {"foo\tbar\n1\ta good film\n0\ta bad one\n", "tsv, header, label in column 1 (foo), text in column 2 (bar)"},
        {"foo\tbar\n1\ta good film\n", "tsv, no header, label in column 1, text in column 2"},
        {"foo\tbar\n1\ta good film\nx\ta bad one\n", "tsv, no header, label in column 1, text in column 2"},
        {"1001\ta good film\t1\n1002\ta bad film\t0\n1003\tso so film\t0\n1004\tnice film\t1\n1005\tw w w w w w\t1\n"
         "1006\tno no no no\t0\n1007\tyes\t1\n1008\twell\t0\n1009\tmay be\t0\n",
         "tsv, no header, label in column 3, text in column 2"},
    };
    for (const auto &c : cases) {
        Reading r = read_as("a.tsv", c.bytes);
        EXPECT_EQ(r.status, CRS_OK) << c.bytes << r.error.what;
        EXPECT_EQ(r.note, c.note) << c.bytes;
        EXPECT_NE(r.rows.size(), 0U);
    }
}

TEST(Columns, AreTakenAsAsked) {
    const std::string bytes = "a\tb\tc\nx\tfirst text\ty\nx2\tsecond text\ty2\n";
    crs_config config = config_of();
    auto ask = [&](const char *text, const char *label, int header) {
        snprintf(config.text_column, sizeof config.text_column, "%s", text);
        snprintf(config.label_column, sizeof config.label_column, "%s", label);
        config.header = header;
        return read_as("a.tsv", bytes, config);
    };
    EXPECT_EQ(ask("b", "c", CRS_FLAG_AUTO).rows, (Rows{{"y", "first text", 2}, {"y2", "second text", 3}}));
    EXPECT_EQ(ask("B", "1", CRS_FLAG_AUTO).rows, (Rows{{"x", "first text", 2}, {"x2", "second text", 3}}));
    EXPECT_EQ(ask("2", "3", CRS_FLAG_AUTO).rows.size(), 3U);
    EXPECT_EQ(ask("2", "3", CRS_FLAG_ON).rows.size(), 2U);
    Reading r = ask("b", "c", CRS_FLAG_OFF);
    expect_error(r.error, r.status, CRS_ERR_CONFIG, 1, "there is no header");
    r = ask("b", "d", CRS_FLAG_AUTO);
    expect_error(r.error, r.status, CRS_ERR_CONFIG, 1, "no column is named \"d\"; the header has: a, b, c");
    EXPECT_NE(std::string(r.error.mend).find("--label-column"), std::string::npos);
    r = ask("4", "1", CRS_FLAG_AUTO);
    expect_error(r.error, r.status, CRS_ERR_CONFIG, 1, "there is no column 4");
    r = ask("1", "1", CRS_FLAG_AUTO);
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 1, "the same column");
}

TEST(Columns, DoubtIsAnError) {
    for (const char *bytes : {"a good film\tanother film\nsome more text\tand more text\n",   // two texts
                              "a good film it is\ttest\t1\na bad film it was\ttrain\t0\n"}) { // two labels
        Reading r = read_as("a.tsv", bytes);
        expect_error(r.error, r.status, CRS_ERR_FORMAT, 1, "cannot tell which column");
        EXPECT_NE(std::string(r.error.mend).find("--text-column and --label-column"), std::string::npos);
    }
    Reading r = read_as("a.tsv", "one\ntwo\n");
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 1, "one column only");
    r = read_as("a.tsv", "text\tlabel\n");
    EXPECT_EQ(r.status, CRS_OK);
    EXPECT_EQ(r.rows, Rows{});
}

TEST(Format, IsTold) {
    EXPECT_EQ(read_as("a.txt", "1\tgood film\n").note, "tsv, no header, label in column 1, text in column 2");
    EXPECT_EQ(read_as("a.TSV", "1\tgood film\n").rows.size(), 1U);
    Reading r = read_as("a.txt", "a good film\n");
    EXPECT_EQ(r.status, CRS_ERR_FORMAT);
    EXPECT_NE(std::string(r.error.mend).find("--format"), std::string::npos);
    EXPECT_EQ(read_as("a.txt", "1\tgood\nno tab\n").status, CRS_ERR_FORMAT);
    EXPECT_EQ(read_as("x.tsv", "1,a good film\n", config_of(CRS_FORMAT_CSV)).rows, (Rows{{"1", "a good film", 1}}));
}

TEST(Compressed, IsReadByContent) {
    Folder folder;
    std::string bytes = "\xef\xbb\xbf";
    Rows rows;
    for (int i = 1; i <= 20000; i++) {
        rows.push_back({std::to_string(i % 3), "text number " + std::to_string(i * 7919) + " of many", i});
        bytes += rows.back().label + "\t" + rows.back().text + "\n";
    }
    for (const auto &[name, filter] : {std::pair{"a.tsv.bz2", "bzip2"},
                                       {"a.tsv.gz", "gzip"},
                                       {"a.tsv.xz", "xz"},
                                       {"a.tsv.zst", "zstd"},
                                       {"misnamed.tsv", "gzip"}}) {
        Reading r = read_rows(folder.pack(name, filter, bytes), config_of());
        ASSERT_EQ(r.status, CRS_OK) << name << r.error.what;
        EXPECT_TRUE(r.rows == rows) << name;
    }
    // What only begins like a compressed file is text.
    EXPECT_EQ(read_as("a.txt", "BZh my text\n", config_of(CRS_FORMAT_LINES)).rows, (Rows{{"", "BZh my text", 1}}));
    EXPECT_EQ(read_as("a.txt", "B", config_of(CRS_FORMAT_LINES)).rows, (Rows{{"", "B", 1}}));
    EXPECT_EQ(read_as("a.txt", "begin 644 x\n#0V%T\n`\nend\n", config_of(CRS_FORMAT_LINES)).rows.size(), 4U);
}

TEST(Directory, SubFoldersAreClasses) {
    Folder folder;
    folder.write("d/pos/b.txt", "good\r\n  film\n");
    folder.write("d/pos/a.txt", "fine");
    folder.write("d/pos/more/c", "deep");
    folder.write("d/neg/x.txt", "");
    folder.write("d/neg/.hidden", "\xff");
    folder.write("d/.git/y", "\xff");
    folder.write("d/.hidden", "z");
    folder.pack("d/neg/y.txt.gz", "gzip", "packed");
    Reading r = read_rows(folder.at("d"), config_of());
    ASSERT_EQ(r.status, CRS_OK) << r.error.what;
    EXPECT_EQ(r.rows, (Rows{{"neg", "", 1},
                            {"neg", "packed\n", 1},
                            {"pos", "fine\n", 1},
                            {"pos", "good\n  film\n", 1},
                            {"pos", "deep\n", 1}}));
}

TEST(Directory, SaysWhatIsWrong) {
    Folder folder;
    folder.write("a/pos/x", "good");
    folder.write("a/readme", "?");
    Reading r = read_rows(folder.at("a"), config_of());
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 0, "a file where only folders");
    EXPECT_EQ(std::string(r.error.file), folder.at("a/readme"));
    crs_config skip = config_of();
    skip.skip_bad = 1;
    r = read_rows(folder.at("a"), skip);
    EXPECT_EQ(r.status, CRS_OK);
    EXPECT_EQ(r.skipped, 1);
    EXPECT_EQ(r.rows.size(), 1U);
    folder.write("b/pos/x", "good");
    std::filesystem::create_directories(folder.at("b/empty"));
    r = read_rows(folder.at("b"), config_of());
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 0, "holds no text");
    EXPECT_EQ(std::string(r.error.file), folder.at("b/empty"));
    std::filesystem::create_directories(folder.at("c"));
    r = read_rows(folder.at("c"), config_of());
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 0, "no sub-folders");
    folder.write("d/pos/x", "good\nba\xff"
                            "d\n");
    r = read_rows(folder.at("d"), config_of());
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 2, "byte 3 of the line (0xff)");
    EXPECT_EQ(std::string(r.error.file), folder.at("d/pos/x"));
    r = read_rows(folder.write("file.tsv", "x\ty\n"), config_of(CRS_FORMAT_FOLDER));
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 0, "is a file, not a folder");
    r = read_rows(folder.at("d"), config_of(CRS_FORMAT_TSV));
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 0, "is a folder, not a file");
    std::filesystem::create_directory_symlink("..", folder.at("d/pos/up"));
    EXPECT_EQ(read_rows(folder.at("d"), skip).status, CRS_ERR_IO);
}

// Gives a test standard input of its own.
class StandardInput {
  public:
    StandardInput() : saved_(dup(0)) {
        EXPECT_EQ(pipe(ends_), 0);
        dup2(ends_[0], 0);
        close(ends_[0]);
        alarm(60); // a reader that waits for more than it needs would wait for ever
    }
    ~StandardInput() {
        alarm(0);
        finish();
        dup2(saved_, 0);
        close(saved_);
    }
    void write(const std::string &bytes) {
        EXPECT_EQ(::write(ends_[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    }
    void finish() {
        if (ends_[1] >= 0)
            close(ends_[1]);
        ends_[1] = -1;
    }

  private:
    int saved_, ends_[2];
};

TEST(Standard, ALineIsThereAsSoonAsItIsWritten) {
    StandardInput input;
    crs_config config = config_of(CRS_FORMAT_LINES);
    crs_reader *reader;
    crs_error error;
    ASSERT_EQ(crs_reader_open("-", &config, &reader, &error), CRS_OK);
    crs_row row;
    int end;
    for (const char *line : {"B", "second line", "한글"}) {
        input.write(std::string(line) + "\n");
        ASSERT_EQ(crs_reader_next(reader, &row, &end, &error), CRS_OK);
        ASSERT_FALSE(end);
        EXPECT_EQ(std::string(row.text, row.text_size), line);
        EXPECT_EQ(row.label, nullptr);
        EXPECT_STREQ(row.file, "-");
    }
    input.write("no end");
    input.finish();
    ASSERT_EQ(crs_reader_next(reader, &row, &end, &error), CRS_OK);
    EXPECT_EQ(std::string(row.text, row.text_size), "no end");
    ASSERT_EQ(crs_reader_next(reader, &row, &end, &error), CRS_OK);
    EXPECT_TRUE(end);
    crs_reader_close(reader);
}

TEST(Standard, TakesAnyFormatAndCompression) {
    Folder folder;
    folder.pack("x", "zstd", "0\tgood film\n1\tbad film\n");
    {
        StandardInput input;
        input.write(folder.read("x"));
        input.finish();
        EXPECT_EQ(read_rows("-", config_of()).rows, (Rows{{"0", "good film", 1}, {"1", "bad film", 2}}));
    }
    {
        // The format is not told by the first piece that happens to be there.
        StandardInput input;
        input.write("0");
        std::thread writer([&input] {
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
            input.write("\tgood film\n1\tbad film\n");
            input.finish();
        });
        EXPECT_EQ(read_rows("-", config_of()).rows, (Rows{{"0", "good film", 1}, {"1", "bad film", 2}}));
        writer.join();
    }
    StandardInput input;
    input.write("__label__a x\nbad\n");
    input.finish();
    Reading r = read_rows("-", config_of());
    expect_error(r.error, r.status, CRS_ERR_FORMAT, 2, "__label__");
    EXPECT_STREQ(r.error.file, "standard input");
}

} // namespace
