// Datasets: vocabulary by count, ids put in order and narrowed, cutting, class order, what is counted, and what is
// refused.
#include "datasets.hpp"

extern "C" {
#include "../core/shard.h"
}

#include <pthread.h>

namespace {

using namespace crs_test;

// Counts: d 4, b 3, a 2, c 2 (a is seen before c), e 1.
const Pairs five = {{"n", "a b c d"}, {"p", "d d b e"}, {"n", "a b c d"}};

TEST(Dataset, VocabularyIsByCountThenByFirstSight) {
    Made made = build(five, config_of());
    ASSERT_EQ(made.status, CRS_OK);
    EXPECT_EQ(tokens_of(made), (std::vector<std::string>{"d", "b", "a", "c", "e"}));
    EXPECT_EQ(made.ids(0), (Ids{4, 3, 5, 2}));
    EXPECT_EQ(made.ids(1), (Ids{2, 2, 3, 6}));
    EXPECT_EQ(made.stats().rows, 3);
    EXPECT_EQ(made.stats().tokens, 12);
    EXPECT_EQ(made.stats().distinct_tokens, 5);
    EXPECT_EQ(made.stats().longest, 4);
    EXPECT_EQ(made.stats().oov_tokens, 0);
    EXPECT_EQ(crs_dataset_label(made.data.get(), 0), 0);
    EXPECT_EQ(crs_dataset_label(made.data.get(), 1), 1);
}

TEST(Dataset, VocabularyAndMinCountCut) {
    crs_config config = config_of();
    config.vocabulary = 4;
    Made made = build(five, config);
    EXPECT_EQ(tokens_of(made), (std::vector<std::string>{"d", "b"}));
    EXPECT_EQ(made.ids(0), (Ids{1, 3, 1, 2}));
    EXPECT_EQ(made.stats().oov_tokens, 5);
    EXPECT_EQ(made.stats().distinct_tokens, 5);
    config = config_of();
    config.min_count = 2;
    EXPECT_EQ(tokens_of(build(five, config)), (std::vector<std::string>{"d", "b", "a", "c"}));
}

TEST(Dataset, FittingAndEncodingAgreeOnCutAndDrop) {
    for (int oov : {CRS_OOV_KEEP, CRS_OOV_DROP})
        for (int truncate : {CRS_SIDE_PRE, CRS_SIDE_POST})
            for (int64_t vocabulary : {4, 70000}) {
                crs_config config = config_of();
                config.oov = oov;
                config.truncate = truncate;
                config.length = 2;
                config.vocabulary = vocabulary;
                Made fitted = build(five, config);
                ASSERT_EQ(fitted.status, CRS_OK);
                Made encoded = build(five, config, fitted.encoder.get());
                ASSERT_EQ(encoded.status, CRS_OK);
                EXPECT_EQ(encoded.encoder, nullptr);
                for (int64_t row = 0; row < 3; row++) {
                    const std::string &text = five[static_cast<size_t>(row)].second;
                    Ids one(2);
                    size_t count;
                    crs_error error;
                    crs_encoder_encode(fitted.encoder.get(), text.data(), text.size(), one.data(), 2, &count, &error);
                    one.resize(count);
                    EXPECT_EQ(fitted.ids(row), one) << oov << truncate << row;
                    EXPECT_EQ(encoded.ids(row), one) << oov << truncate << row;
                }
                EXPECT_EQ(fitted.stats().tokens, encoded.stats().tokens);
                EXPECT_EQ(fitted.stats().cut_rows, encoded.stats().cut_rows);
                EXPECT_EQ(fitted.stats().oov_tokens, encoded.stats().oov_tokens);
                EXPECT_EQ(fitted.stats().longest, 2);
            }
    crs_config config = config_of();
    config.vocabulary = 4; // d 2, b 3
    config.length = 2;
    config.oov = CRS_OOV_DROP;
    config.truncate = CRS_SIDE_POST;
    Made made = build(five, config);
    EXPECT_EQ(made.ids(0), (Ids{3, 2}));
    EXPECT_EQ(made.ids(1), (Ids{2, 2}));
    EXPECT_EQ(made.stats().cut_rows, 1);
    EXPECT_EQ(made.stats().oov_tokens, 5);
    config.truncate = CRS_SIDE_PRE;
    EXPECT_EQ(build(five, config).ids(1), (Ids{2, 3}));
    config.oov = CRS_OOV_KEEP;
    EXPECT_EQ(build(five, config).ids(1), (Ids{3, 1}));
}

TEST(Dataset, IdsTakeTwoBytesUpTo65536AndFourBeyond) {
    for (int64_t distinct : {65534, 65535}) {
        crs_config config = config_of();
        config.vocabulary = 100000;
        config.length = 200000;
        std::string text;
        for (int64_t i = 0; i < distinct; i++)
            text += "t" + std::to_string(i) + " ";
        Pairs rows = {{"a", text}, {"b", "t0 t" + std::to_string(distinct - 1)}};
        Made fitted = build(rows, config);
        ASSERT_EQ(fitted.status, CRS_OK);
        ASSERT_EQ(crs_encoder_vocabulary(fitted.encoder.get()), distinct + 2);
        Made encoded = build(rows, config, fitted.encoder.get());
        size_t id_bytes = distinct + 2 <= 65536 ? 2 : 4;
        for (const Made *made : {&fitted, &encoded}) {
            EXPECT_EQ(made->ids(0).size(), static_cast<size_t>(distinct));
            EXPECT_EQ(made->ids(0)[0], 2);
            EXPECT_EQ(made->ids(0)[1], 4); // t0 and the last are twice there, and come first
            EXPECT_EQ(made->ids(0)[static_cast<size_t>(distinct) - 2], distinct + 1);
            EXPECT_EQ(made->ids(1), (Ids{2, 3}));
            EXPECT_GE(made->stats().bytes, static_cast<size_t>(distinct + 2) * id_bytes);
            EXPECT_LT(made->stats().bytes, static_cast<size_t>(distinct + 2) * id_bytes + 1000);
        }
    }
}

TEST(Dataset, ClassesAreSortedByValueOrByBytes) {
    auto labels = [](const std::vector<std::string> &given) {
        Pairs rows;
        for (const std::string &label : given)
            rows.emplace_back(label, "x");
        return labels_of(build(rows, config_of()));
    };
    EXPECT_EQ(labels({"10", "9", "-1", "+3"}), (std::vector<std::string>{"-1", "+3", "9", "10"}));
    EXPECT_EQ(labels({"10", "9", "x"}), (std::vector<std::string>{"10", "9", "x"}));
    EXPECT_EQ(labels({"pos", "neg", "Neg", "ä"}), (std::vector<std::string>{"Neg", "neg", "pos", "ä"}));
    EXPECT_EQ(labels({"1.5", "10", "9"}), (std::vector<std::string>{"1.5", "10", "9"}));
    EXPECT_EQ(labels({"9999999999999999999", "8"}), (std::vector<std::string>{"8", "9999999999999999999"}));
}

TEST(Dataset, RowsGetTheClassOfTheirLabel) {
    Made made = build({{"10", "x"}, {"9", "y"}, {"10", "z"}, {"8", "x"}}, config_of());
    ASSERT_EQ(made.status, CRS_OK);
    std::vector<std::string> labels;
    for (int64_t row = 0; row < 4; row++)
        labels.emplace_back(crs_encoder_label(made.encoder.get(), crs_dataset_label(made.data.get(), row)));
    EXPECT_EQ(labels, (std::vector<std::string>{"10", "9", "10", "8"}));
}

TEST(Dataset, EmptyTextsAreRows) {
    Made made = build({{"a", ""}, {"b", "... !"}, {"a", "x"}}, config_of());
    ASSERT_EQ(made.status, CRS_OK);
    EXPECT_EQ(made.stats().empty_rows, 2);
    EXPECT_EQ(made.ids(0), Ids{});
    EXPECT_EQ(made.ids(2), Ids{2});
    EXPECT_EQ(build({{"a", ""}, {"b", ""}}, config_of()).status, CRS_ERR_FORMAT) << "nothing to fit";
}

TEST(Dataset, RefusesWhatCannotBeTrainedOn) {
    Made made = build({}, config_of());
    EXPECT_EQ(made.status, CRS_ERR_FORMAT);
    EXPECT_NE(std::string(made.error.what).find("no rows"), std::string::npos);
    made = build({{"cat", "x"}, {"cat", "y"}}, config_of());
    EXPECT_EQ(made.status, CRS_ERR_FORMAT);
    EXPECT_EQ(std::string(made.error.what), "only one class, \"cat\", in all 2 rows");
    EXPECT_NE(std::string(made.error.mend), "");
    EXPECT_EQ(made.encoder, nullptr);
    EXPECT_EQ(build({{"", "x"}}, config_of()).status, CRS_ERR_FORMAT);
    EXPECT_EQ(build({{"a", "x\xff"}}, config_of()).status, CRS_ERR_FORMAT);
    EXPECT_EQ(build({{"\xff", "x"}}, config_of()).status, CRS_ERR_FORMAT);
    // One class is enough where nothing is fitted.
    Made fitted = build(five, config_of());
    EXPECT_EQ(build({{"n", "a"}}, config_of(), fitted.encoder.get()).status, CRS_OK);
}

TEST(Dataset, UnknownLabelIsNamedWithItsLine) {
    Folder folder;
    Made fitted = build(five, config_of());
    std::string path = folder.write("test.tsv", "n\ta b c\nq\ta d\np\tb and more\nr\tc d\n");
    Made made = read(path, config_of(), fitted.encoder.get());
    expect_error(made.error, made.status, CRS_ERR_FORMAT, 2, "unknown label \"q\"; known are n, p");
    EXPECT_EQ(std::string(made.error.file), path);
    EXPECT_EQ(made.data, nullptr);
    crs_config config = config_of();
    config.skip_bad = 1;
    made = read(path, config, fitted.encoder.get());
    ASSERT_EQ(made.status, CRS_OK);
    EXPECT_EQ(made.stats().rows, 2);
    EXPECT_EQ(made.stats().skipped, 2);
    EXPECT_EQ(crs_dataset_label(made.data.get(), 1), 1);
}

TEST(Dataset, FromAFile) {
    Folder folder;
    std::string rows = "n\tgood film\np\tbad film\n\xff\tx\nn\t\n";
    Made made = read(folder.write("a.tsv", rows), config_of());
    expect_error(made.error, made.status, CRS_ERR_FORMAT, 3, "not valid UTF-8");
    crs_config config = config_of();
    config.skip_bad = 1;
    made = read(folder.at("a.tsv"), config);
    ASSERT_EQ(made.status, CRS_OK);
    EXPECT_EQ(made.stats().rows, 3);
    EXPECT_EQ(made.stats().skipped, 1);
    EXPECT_EQ(made.stats().empty_rows, 1);
    config.rows = 2; /* good ones; what is read with an encoder at hand is not bounded */
    const Made bounded = read(folder.at("a.tsv"), config);
    ASSERT_EQ(bounded.status, CRS_OK);
    EXPECT_EQ(bounded.stats().rows, 2);
    EXPECT_EQ(bounded.stats().skipped, 0);
    EXPECT_EQ(read(folder.at("a.tsv"), config, bounded.encoder.get()).stats().rows, 3);
    EXPECT_EQ(std::string(made.stats().note), "tsv, no header, label in column 1, text in column 2");
    EXPECT_EQ(tokens_of(made), (std::vector<std::string>{"film", "good", "bad"}));
    made = read(folder.write("one.tsv", "n\tgood film\nn\tbad film\n"), config_of());
    EXPECT_EQ(made.status, CRS_ERR_FORMAT);
    EXPECT_NE(std::string(made.error.what).find("only one class, \"n\""), std::string::npos);
    EXPECT_EQ(std::string(made.error.file), folder.at("one.tsv"));
    config = config_of(CRS_FORMAT_LINES);
    EXPECT_EQ(read(folder.at("one.tsv"), config).status, CRS_ERR_CONFIG);
    config = config_of();
    config.length = 0;
    EXPECT_EQ(read(folder.at("one.tsv"), config).status, CRS_ERR_CONFIG);
}

// ---- several threads ----

TEST(Threads, WhereNoneCanBeStartedOneReads) {
    Folder folder;
    const std::string path = folder.write("a.ft.txt", many_rows(3000, 4));
    crs_config config = config_of();
    config.threads = 1;
    const Made wanted = read(path, config);
    config.threads = 4;
    pthread_attr_t former, huge;
    ASSERT_EQ(pthread_getattr_default_np(&former), 0);
    ASSERT_EQ(pthread_getattr_default_np(&huge), 0);
    ASSERT_EQ(pthread_attr_setstacksize(&huge, size_t{1} << 50), 0) << "more than there are addresses";
    ASSERT_EQ(pthread_setattr_default_np(&huge), 0);
    pthread_t none;
    EXPECT_NE(pthread_create(
                  &none, nullptr, [](void *) -> void * { return nullptr; }, nullptr),
              0);
    const Made made = read(path, config);
    ASSERT_EQ(pthread_setattr_default_np(&former), 0);
    expect_same(wanted, made);
}

// A few long rows among many do not leave every thread with their buffers.
TEST(Threads, LargeBuffersAreGivenBack) {
    const Made fitted = build({{"a", "one"}, {"b", "two"}}, config_of());
    crs__shard shard = {};
    shard.fitting = 1;
    shard.encoder = fitted.encoder.get();
    std::string text;
    while (text.size() < 12 << 20)
        text += "one two ";
    int bad = 0;
    for (const std::string &row : {text, std::string("short")}) {
        crs__piece *piece;
        ASSERT_EQ(crs__shard_add(&shard, row.data(), row.size(), "a", 1, &bad, nullptr), CRS_OK);
        EXPECT_EQ(shard.cut.capacity > CRS__SPARE_MOST, row.size() > 5);
        EXPECT_EQ(shard.row_capacity * sizeof *shard.row > CRS__SPARE_MOST, row.size() > 5);
        ASSERT_EQ(crs__shard_piece(&shard, &piece), CRS_OK);
        EXPECT_EQ(piece->rows, 1);
        EXPECT_LE(shard.cut.capacity, size_t{CRS__SPARE_MOST});
        EXPECT_LE(shard.row_capacity * sizeof *shard.row, size_t{CRS__SPARE_MOST});
        EXPECT_LE(shard.capacity, size_t{CRS__SPARE_MOST});
        crs__piece_free(piece);
    }
    crs__shard_clear(&shard);
}

TEST(Threads, AnyNumberGivesTheSameDataset) {
    Folder folder;
    const std::string path = folder.write("a.ft.txt", many_rows(20000, 1));
    ASSERT_GT(std::filesystem::file_size(path), 3U << 20) << "several parcels";
    for (int oov : {CRS_OOV_KEEP, CRS_OOV_DROP}) {
        crs_config config = config_of();
        config.threads = 1;
        config.length = 20;
        config.vocabulary = 9000;
        config.oov = oov;
        const Made one = read(path, config);
        ASSERT_EQ(one.status, CRS_OK) << one.error.what;
        EXPECT_EQ(one.stats().rows, 20000);
        EXPECT_GT(one.stats().oov_tokens, 1000);
        const Made encoded = read(path, config, one.encoder.get());
        for (int64_t threads : {2, 3, 7, 0}) {
            SCOPED_TRACE(threads);
            config.threads = threads;
            expect_same(one, read(path, config));
            expect_same(encoded, read(path, config, one.encoder.get()));
        }
        config.rows = 12345;
        config.threads = 1;
        const Made bounded = read(path, config);
        EXPECT_EQ(bounded.stats().rows, 12345);
        config.threads = 3;
        expect_same(bounded, read(path, config));
    }
}

// Whichever thread meets its error first, the one that stands first in the file is given.
TEST(Threads, TheFirstErrorIsGiven) {
    Folder folder;
    const Made fitted = build({{"0x", "a"}, {"1x", "b"}, {"2x", "c"}, {"3x", "d"}, {"4x", "e"}}, config_of());
    const std::string good = many_rows(8000, 2);
    const std::string unknown = "__label__who a b\n", broken = "no label\n";
    for (int64_t threads : {1, 2, 5}) {
        SCOPED_TRACE(threads);
        crs_config config = config_of();
        config.threads = threads;
        for (int round = 0; round < 5; round++) {
            Made made =
                read(folder.write("a.ft.txt", good + unknown + good + unknown + broken), config, fitted.encoder.get());
            expect_error(made.error, made.status, CRS_ERR_FORMAT, 8001, "unknown label \"who\"");
            EXPECT_EQ(std::string(made.error.file), folder.at("a.ft.txt"));
            made = read(folder.write("a.ft.txt", good + "__label__0x a\n" + broken + unknown), config,
                        fitted.encoder.get());
            expect_error(made.error, made.status, CRS_ERR_FORMAT, 8002, "does not start with __label__");
            made = read(folder.write("a.ft.txt", "__label__0x a\n" + unknown + broken), config, fitted.encoder.get());
            expect_error(made.error, made.status, CRS_ERR_FORMAT, 2, "unknown label \"who\"");
        }
        config.skip_bad = 1;
        const Made made =
            read(folder.write("a.ft.txt", good + unknown + good + broken + unknown), config, fitted.encoder.get());
        ASSERT_EQ(made.status, CRS_OK) << made.error.what;
        EXPECT_EQ(made.stats().rows, 16000);
        EXPECT_EQ(made.stats().skipped, 3);
    }
}

TEST(Threads, ErrorsInAFolderNameTheFileWithin) {
    Folder folder;
    folder.write("d/a/1", "x y");
    folder.write("d/b/1", "x z");
    folder.write("d/c/1", "x z");
    const Made fitted = build({{"a", "x"}, {"b", "y"}}, config_of());
    for (int64_t threads : {1, 2}) {
        crs_config config = config_of();
        config.threads = threads;
        const Made made = read(folder.at("d"), config, fitted.encoder.get());
        expect_error(made.error, made.status, CRS_ERR_FORMAT, 1, "unknown label \"c\"");
        EXPECT_EQ(std::string(made.error.file), folder.at("d/c/1"));
    }
}

TEST(Threads, RowsInMemoryMakeTheSameDatasetAsAFile) {
    Folder folder;
    const std::string path = folder.write("a.ft.txt", many_rows(20000, 3));
    crs_config config = config_of();
    config.threads = 2;
    const Made file = read(path, config);
    crs_reader *reader;
    crs_error error;
    ASSERT_EQ(crs_reader_open(path.c_str(), &config, &reader, &error), CRS_OK);
    Pairs rows;
    crs_row row;
    for (int end = 0; crs_reader_next(reader, &row, &end, &error) == CRS_OK && !end;)
        rows.emplace_back(std::string(row.label, row.label_size), std::string(row.text, row.text_size));
    crs_reader_close(reader);
    Made memory = build(rows, config);
    ASSERT_EQ(memory.stats().rows, 20000);
    ASSERT_EQ(memory.stats().tokens, file.stats().tokens);
    EXPECT_EQ(tokens_of(memory), tokens_of(file));
    for (int64_t r = 0; r < 20000; r++)
        ASSERT_EQ(memory.ids(r), file.ids(r)) << r;
}

} // namespace
