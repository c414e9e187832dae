// .bz2 files by several threads: the same lines as by one, wherever blocks and streams end and whatever is wrong.
#include "text_files.hpp"

extern "C" {
#include "../core/bunzip.h"
#include "../core/bzip.h"
}

#include <bzlib.h>
#include <cerrno>
#include <fcntl.h>
#include <random>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace crs_test;

// One stream of blocks of 100,000 bytes.
std::string packed(const std::string &text) {
    auto size = static_cast<unsigned>(text.size() + text.size() / 50 + 1000);
    std::string bytes(size, '\0');
    EXPECT_EQ(BZ2_bzBuffToBuffCompress(bytes.data(), &size, const_cast<char *>(text.data()),
                                       static_cast<unsigned>(text.size()), 1, 0, 0),
              BZ_OK);
    bytes.resize(size);
    return bytes;
}

// Lines of random characters, of those given or of most.
std::string lines(size_t size, uint32_t seed, std::string alphabet = "") {
    for (int c = '!'; alphabet.empty() || (c <= '~' && alphabet[0] == '!'); c++)
        alphabet += static_cast<char>(c);
    std::mt19937 random(seed);
    std::string text;
    while (text.size() < size) {
        for (size_t i = random() % 200; i > 0; i--)
            text += alphabet[random() % alphabet.size()];
        text += '\n';
    }
    return text;
}

Reading read_with(const std::string &path, int64_t threads) {
    crs_config config = config_of(CRS_FORMAT_LINES);
    config.threads = threads;
    return read_rows(path, config);
}

void expect_same(const Folder &folder, const std::string &bytes, const std::string &text) {
    folder.write("plain", text);
    const std::string path = folder.write("x.bz2", bytes);
    ASSERT_GT(bytes.size(), 1U << 16) << "smaller ones are left to libarchive";
    const Reading plain = read_with(folder.at("plain"), 1);
    ASSERT_EQ(plain.status, CRS_OK);
    for (int64_t threads : {1, 2, 5}) {
        const Reading reading = read_with(path, threads);
        ASSERT_EQ(reading.status, CRS_OK) << threads << ": " << reading.error.what;
        ASSERT_TRUE(reading.rows == plain.rows) << threads;
    }
}

TEST(Bunzip, ManyBlocksAndStreams) {
    Folder folder;
    const std::string one = lines(600000, 1), two = lines(300000, 2);
    expect_same(folder, packed(one), one);
    expect_same(folder, packed(one) + packed(two) + packed("") + packed("short\n") + packed(two),
                one + two + "short\n" + two);
    expect_same(folder, packed("") + packed(one), one);
    // What is no stream behind the last one is not looked at.
    expect_same(folder, packed(one) + "BZh and more", one);
    expect_same(folder, packed(one) + "BZh9", one);
    expect_same(folder, packed(one) + "BZh9x" + packed(two).substr(4), one);
    expect_same(folder, packed(one) + "x" + packed(two), one);
    expect_same(folder, packed(one) + std::string(3000000, 'x'), one);
}

TEST(Bunzip, ABlockMayBeMuchLongerThanItsFile) {
    Folder folder;
    std::string text = lines(200000, 3);
    for (int i = 0; i < 20; i++)
        text += std::string(500000, 'a') + "\n";
    text += lines(200000, 4);
    expect_same(folder, packed(text), text);
}

TEST(Bunzip, FromAPipe) {
    Folder folder;
    const std::string text = lines(800000, 5), bytes = packed(text), path = folder.at("pipe");
    folder.write("plain", text);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    std::thread writer([&] { std::ofstream(path, std::ios::binary) << bytes; });
    const Reading reading = read_with(path, 3);
    writer.join();
    ASSERT_EQ(reading.status, CRS_OK) << reading.error.what;
    EXPECT_TRUE(reading.rows == read_with(folder.at("plain"), 1).rows);
}

// Bytes of a pipe that has no more for now: what was read before the error is given out first.
TEST(Bunzip, AnErrorOfReadingComesBehindAllThatWasRead) {
    const std::string text = lines(700000, 12), bytes = packed(text);
    const size_t first = 1 << 16, sent = bytes.size() - 1000;
    for (size_t threads : {1U, 2U, 7U}) {
        int ends[2];
        ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
        ASSERT_GE(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
        ASSERT_EQ(write(ends[1], bytes.data() + first, sent - first), static_cast<ssize_t>(sent - first));
        crs__bunzip *bunzip = crs__bunzip_open(ends[0], bytes.data(), first, threads);
        ASSERT_NE(bunzip, nullptr);
        std::string got(text.size(), '\0');
        size_t size = 0;
        const char *why = nullptr;
        ssize_t more;
        while ((more = crs__bunzip_read(bunzip, &got[size], got.size() - size, &why)) > 0)
            size += static_cast<size_t>(more);
        EXPECT_EQ(more, -1);
        EXPECT_EQ(errno, EAGAIN);
        EXPECT_EQ(why, nullptr);
        EXPECT_GT(size, text.size() - 110000) << "all blocks but the last, with " << threads << " threads";
        EXPECT_TRUE(got.compare(0, size, text, 0, size) == 0);
        crs__bunzip_close(bunzip);
        close(ends[0]);
        close(ends[1]);
    }
}

// The end of one stream, the beginning of another, and an error: not the end of all.
TEST(Bunzip, AnErrorOfReadingBetweenStreamsIsNoEnd) {
    const std::string one = packed(lines(150000, 13)), two = packed(lines(150000, 14));
    const size_t first = 1 << 16;
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
    ASSERT_GE(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
    const std::string bytes = (one + two).substr(0, one.size() + 50000);
    ASSERT_EQ(write(ends[1], bytes.data() + first, bytes.size() - first), static_cast<ssize_t>(bytes.size() - first));
    crs__bunzip *bunzip = crs__bunzip_open(ends[0], bytes.data(), first, 2);
    ASSERT_NE(bunzip, nullptr);
    std::string got(1 << 20, '\0');
    const char *why = nullptr;
    ssize_t more;
    size_t size = 0;
    while ((more = crs__bunzip_read(bunzip, got.data(), got.size(), &why)) > 0)
        size += static_cast<size_t>(more);
    EXPECT_EQ(more, -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(size, lines(150000, 13).size());
    crs__bunzip_close(bunzip);
    close(ends[0]);
    close(ends[1]);
}

// A damaged block is told after a few more, not after all that could ever belong to it.
TEST(Bunzip, ADamagedBlockDoesNotTakeInTheRest) {
    Folder folder;
    std::string bytes = packed(lines(3000000, 15));
    bytes[5000] = static_cast<char>(bytes[5000] ^ 1);
    const int descriptor = open(folder.write("x.bz2", bytes).c_str(), O_RDONLY | O_CLOEXEC);
    const size_t first = 1 << 16;
    ASSERT_EQ(lseek(descriptor, first, SEEK_SET), static_cast<off_t>(first));
    crs__bunzip *bunzip = crs__bunzip_open(descriptor, bytes.data(), first, 1);
    ASSERT_NE(bunzip, nullptr);
    char to;
    const char *why = nullptr;
    EXPECT_EQ(crs__bunzip_read(bunzip, &to, 1, &why), -1);
    EXPECT_STREQ(why, "a block is not whole, or its checksum is wrong");
    EXPECT_LT(lseek(descriptor, 0, SEEK_CUR), 1500000);
    crs__bunzip_close(bunzip);
    close(descriptor);
}

// Marks in a file, at any bit.
size_t count_marks(const std::string &bytes, int type) {
    size_t count = 0, at, from = 0, scanned = 0;
    int found;
    const auto *data = reinterpret_cast<const unsigned char *>(bytes.data());
    while (crs__bzip_find(data, bytes.size(), from, &scanned, &at, &found)) {
        count += found == type;
        from = at + 1;
        scanned = 0;
    }
    return count;
}

// A block's head says, a bit for each, which bytes it has. Texts of chosen characters write there what marks the
// beginning of a block, or the end of a stream.
TEST(Bunzip, MarksInTheDataAreNotTakenForBoundaries) {
    Folder folder;
    const std::vector<std::pair<int, std::vector<unsigned>>> marks = {{CRS__BZIP_BLOCK, {0x3141, 0x5926, 0x5359}},
                                                                      {CRS__BZIP_END, {0x1772, 0x4538, 0x5090}}};
    for (const auto &[type, words] : marks) {
        std::string alphabet;
        for (size_t group = 0; group < words.size(); group++)
            for (unsigned bit = 0; bit < 16; bit++)
                if (words[group] >> (15 - bit) & 1)
                    alphabet += static_cast<char>(16 * (3 + group) + bit);
        const std::string text = lines(400000, 6, alphabet), bytes = packed(text);
        EXPECT_EQ(count_marks(packed(lines(400000, 6)), CRS__BZIP_BLOCK), 5U);
        EXPECT_EQ(count_marks(bytes, type), type == CRS__BZIP_BLOCK ? 10U : 6U);
        expect_same(folder, bytes, text);
        expect_same(folder, bytes + bytes, text + text);
        expect_same(folder, bytes + "garbage", text);
        // Among other blocks, and where the block with the mark is damaged.
        const std::string other = lines(150000, 7);
        expect_same(folder, packed(other) + bytes + packed(other), other + text + other);
        std::string damaged = bytes;
        damaged[5000] = static_cast<char>(damaged[5000] ^ 1);
        const Reading reading = read_with(folder.write("x.bz2", damaged), 2);
        EXPECT_EQ(reading.status, CRS_ERR_FORMAT);
        EXPECT_TRUE(reading.rows.empty());
    }
}

// Several threads stop where one does, by the block: they give whole blocks with right checksums, and nothing else.
void expect_stop(const Folder &folder, const std::string &bytes, const std::vector<Row> &all, const std::string &what,
                 size_t block_rows = 0) {
    const std::string path = folder.write("x.bz2", bytes);
    const Reading serial = read_with(path, 1), parallel = read_with(path, 2);
    ASSERT_EQ(parallel.status, serial.status) << what << ": " << serial.error.what << " | " << parallel.error.what;
    if (serial.status != CRS_OK)
        expect_error(parallel.error, parallel.status, CRS_ERR_FORMAT, static_cast<int64_t>(parallel.rows.size()),
                     "the compressed data is damaged or cut off");
    ASSERT_LE(parallel.rows.size(), all.size());
    ASSERT_GE(parallel.rows.size() + block_rows, serial.rows.size()) << what;
    for (size_t i = 0; i < parallel.rows.size(); i++)
        ASSERT_TRUE(parallel.rows[i] == all[i]) << what << " row " << i;
}

TEST(Bunzip, CutOffAnywhere) {
    Folder folder;
    const std::string text = lines(500000, 8), bytes = packed(text);
    const std::vector<Row> all = read_with(folder.write("plain", text), 1).rows;
    for (size_t size = (1 << 16) + 1; size < bytes.size(); size += 50021)
        expect_stop(folder, bytes.substr(0, size), all, "cut at " + std::to_string(size));
    for (size_t less = 1; less < 30; less += 2)
        expect_stop(folder, bytes.substr(0, bytes.size() - less), all, "cut by " + std::to_string(less));
    expect_same(folder, bytes, text);
}

// Behind a whole block, with nothing that begins: where the end of the stream would be at a byte's border.
TEST(Bunzip, CutOffBetweenBlocks) {
    Folder folder;
    for (uint32_t seed = 20;; seed++) {
        ASSERT_LT(seed, 100U);
        const std::string text = lines(120000, seed), bytes = packed(text);
        const auto *data = reinterpret_cast<const unsigned char *>(bytes.data());
        size_t at, scanned = 0;
        int type;
        if (!crs__bzip_find(data, bytes.size(), 8 * (bytes.size() - 11), &scanned, &at, &type) || at % 8 != 0)
            continue;
        ASSERT_EQ(type, CRS__BZIP_END);
        const std::vector<Row> all = read_with(folder.write("plain", text), 1).rows;
        expect_stop(folder, bytes.substr(0, at / 8), all, "cut between blocks");
        break;
    }
}

TEST(Bunzip, BitsThatWereTurned) {
    Folder folder;
    std::mt19937 random(9);
    const std::string text = lines(500000, 10), bytes = packed(text);
    const std::vector<Row> all = read_with(folder.write("plain", text), 1).rows;
    for (int round = 0; round < 34; round++) {
        std::string wrong = bytes;
        // Heads and ends of streams and blocks now and then.
        const size_t at = round < 10   ? 4 + static_cast<size_t>(round) * 2
                          : round < 20 ? bytes.size() - 1 - static_cast<size_t>(round - 10)
                                       : random() % bytes.size();
        wrong[at] = static_cast<char>(wrong[at] ^ (1 << random() % 8));
        if (at < 10) // no .bz2 any more: its bytes are the text
            continue;
        expect_stop(folder, wrong, all, "turned at " + std::to_string(at), 1100);
    }
}

TEST(Bunzip, FindsWhatALoopOverBitsFinds) {
    std::mt19937 random(11);
    for (int round = 0; round < 300; round++) {
        std::vector<unsigned char> bytes(8 + random() % 60);
        for (unsigned char &byte : bytes)
            byte = static_cast<unsigned char>(random());
        const size_t bits = 8 * bytes.size(), where = random() % (bits - 47), from = random() % bits;
        const uint64_t mark = random() % 2 ? 0x314159265359 : 0x177245385090;
        for (size_t i = 0; i < 48; i++) {
            const size_t bit = where + i;
            bytes[bit / 8] = static_cast<unsigned char>(bytes[bit / 8] & ~(128 >> bit % 8));
            bytes[bit / 8] |= static_cast<unsigned char>((mark >> (47 - i) & 1) << (7 - bit % 8));
        }
        size_t at = 0, scanned = 0;
        int type = -1;
        // In two goes, as when more input arrives between.
        int found = crs__bzip_find(bytes.data(), random() % bytes.size(), from, &scanned, &at, &type);
        if (!found)
            found = crs__bzip_find(bytes.data(), bytes.size(), from, &scanned, &at, &type);
        ASSERT_EQ(found, from <= where) << round;
        if (found) {
            ASSERT_EQ(at, where);
            ASSERT_EQ(type, mark == 0x314159265359 ? CRS__BZIP_BLOCK : CRS__BZIP_END);
        }
    }
}

} // namespace
