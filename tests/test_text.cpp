// Tokenizing against what Keras' Tokenizer gives by hand, normal forms, counting distinct strings, and the encoder's
// JSON, whole and damaged. Reading files is in test_reader.cpp.
#include "text_files.hpp"

extern "C" {
#include "../core/counter.h"
#include "../core/hash.h"
#include "../core/tokenize.h"
#include "../core/utf8.h"
}

#include <utf8proc.h>

#include <memory>
#include <random>
#include <set>

namespace {

using crs_test::config_of;
using Words = std::vector<std::string>;

Words cut(const std::string &text, const crs_config &config) {
    crs__tokenizer tokenizer;
    crs__tokens tokens = {};
    Words words;
    EXPECT_EQ(crs__tokenizer_init(&tokenizer, &config), CRS_OK);
    EXPECT_EQ(crs__tokens_begin(&tokens, &tokenizer, text.data(), text.size()), CRS_OK);
    const char *token;
    size_t size;
    while (crs__tokens_next(&tokens, &token, &size))
        words.emplace_back(token, size);
    crs__tokens_clear(&tokens);
    return words;
}

Words words_of(const std::string &text) {
    return cut(text, config_of());
}

crs_config chars_config(int lowercase) {
    crs_config config = config_of();
    config.tokens = CRS_TOKENS_CHARS;
    config.lowercase = lowercase;
    return config;
}

Words chars_of(const std::string &text, int lowercase = 1) {
    return cut(text, chars_config(lowercase));
}

std::string joined(const Words &words) {
    std::string text;
    for (const std::string &word : words)
        text += word;
    return text;
}

TEST(Words, AreCutAsKerasCutsThem) {
    EXPECT_EQ(words_of("Hello, World! It's a state-of-the-art TEST."),
              (Words{"hello", "world", "it's", "a", "state", "of", "the", "art", "test"}));
    EXPECT_EQ(words_of("!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n"), Words{});
    EXPECT_EQ(words_of("a_b c\td\ne 3.14 'quoted' x'"), (Words{"a", "b", "c", "d", "e", "3", "14", "'quoted'", "x'"}));
    EXPECT_EQ(words_of(""), Words{});
    EXPECT_EQ(words_of(" \t "), Words{});
    EXPECT_EQ(words_of("one"), Words{"one"});
}

TEST(Words, UnicodeLowerCaseAndWhiteSpace) {
    EXPECT_EQ(words_of("ÄÖÜ ÉCOLE ΑΒΓ ЖЗИ Straße"), (Words{"äöü", "école", "αβγ", "жзи", "straße"}));
    EXPECT_EQ(words_of("a\u00a0b\u2003c\u3000d\u2028e\u0085f"), (Words{"a", "b", "c", "d", "e", "f"}));
    EXPECT_EQ(words_of("정말 좋아요!"), (Words{"정말", "좋아요"}));
    EXPECT_EQ(words_of("I ❤️ you 😀"), (Words{"i", "❤️", "you", "😀"}));
    crs_config config = config_of();
    config.lowercase = 0;
    EXPECT_EQ(cut("Hello ÄÖ", config), (Words{"Hello", "ÄÖ"}));
}

TEST(Words, FiltersAreASetting) {
    crs_config config = config_of();
    snprintf(config.filters, sizeof config.filters, "x…");
    EXPECT_EQ(cut("Hello, woXrld… yes…no", config), (Words{"hello,", "wo", "rld", "yes", "no"}));
    config.filters[0] = 0;
    EXPECT_EQ(cut("a,b\tc\nd", config), (Words{"a,b", "c", "d"}));
    // As Keras: lower case first, so an upper-case filter never meets its letter.
    snprintf(config.filters, sizeof config.filters, "B");
    EXPECT_EQ(cut("abc aBc", config), (Words{"abc", "abc"}));
    config.lowercase = 0;
    EXPECT_EQ(cut("abc aBc", config), (Words{"abc", "a", "c"}));
    snprintf(config.filters, sizeof config.filters, "\xff");
    crs__tokenizer tokenizer;
    EXPECT_EQ(crs__tokenizer_init(&tokenizer, &config), CRS_ERR_CONFIG);
}

TEST(Words, AreComposed) {
    EXPECT_EQ(words_of("cafe\u0301"), Words{"café"});
    EXPECT_EQ(words_of("e\u0301"), Words{"é"});
    EXPECT_EQ(words_of("\u1112\u1161\u11ab\u1100\u1173\u11af"), Words{"한글"});
    EXPECT_EQ(words_of("\uac00\u11a8"), Words{"각"});             // a syllable and a final consonant
    EXPECT_EQ(words_of("\u212b"), Words{"å"});                    // the Ångström sign
    EXPECT_EQ(words_of("q\u0307\u0323"), Words{"q\u0323\u0307"}); // marks in canonical order
}

TEST(Chars, EveryCodePointAndOneSpaceForARun) {
    EXPECT_EQ(chars_of("Hi,  a\t\nb"), (Words{"h", "i", ",", " ", "a", " ", "b"}));
    EXPECT_EQ(chars_of("Hi", 0), (Words{"H", "i"}));
    EXPECT_EQ(chars_of("한\u3000 글!"), (Words{"한", " ", "글", "!"}));
    EXPECT_EQ(chars_of("e\u0301e"), (Words{"é", "e"}));
    EXPECT_EQ(chars_of(""), Words{});
}

TEST(WordsOnly, WhatIsNoLetterDigitMarkOrUnderscoreSeparates) {
    crs_config config = config_of();
    config.words_only = 1;
    // As Python's re.sub(r'\W', ' ', text.lower()) would have it, then split.
    EXPECT_EQ(cut("Don't stop—it’s 5€/m² “well”", config), (Words{"don", "t", "stop", "it", "s", "5", "m²", "well"}));
    EXPECT_EQ(cut("ÄÖ•ß Ⅷ ½ 정말?좋아요… 😀a", config), (Words{"äö", "ß", "ⅷ", "½", "정말", "좋아요", "a"}));
    EXPECT_EQ(cut("…—¿", config), Words{});
    // Marks stay, composed or not: U+0301 on q, and the vowel signs of Devanagari.
    EXPECT_EQ(cut("q\u0301x e\u0301 हिन्दी।", config), (Words{"q\u0301x", "é", "हिन्दी"}));
    // The underscore is of a word, but the default filters have it too.
    EXPECT_EQ(cut("a_b", config), (Words{"a", "b"}));
    config.filters[0] = 0;
    EXPECT_EQ(cut("a_b c'd", config), (Words{"a_b", "c", "d"}));
    config.lowercase = 0;
    EXPECT_EQ(cut("A-B", config), (Words{"A", "B"}));
    config.words_only = 0;
    EXPECT_EQ(cut("don't “5€”", config), (Words{"don't", "“5€”"}));
}

TEST(WordsOnly, OfCharactersARunOfSeparatorsIsOneSpace) {
    crs_config config = chars_config(1);
    config.words_only = 1;
    EXPECT_EQ(cut("Hi, “a”_é", config), (Words{"h", "i", " ", "a", " ", "_", "é"}));
    EXPECT_EQ(cut("한글!…글", config), (Words{"한", "글", " ", "글"}));
    config.ngrams = 2;
    EXPECT_EQ(cut("a!b", config), (Words{"a", " ", "a ", "b", " b"}));
    config = config_of();
    config.words_only = 1;
    config.ngrams = 2;
    EXPECT_EQ(cut("not—bad", config), (Words{"not", "bad", "not bad"}));
}

TEST(WordsOnly, HoldsForEveryCodePoint) {
    crs_config config = chars_config(0);
    config.words_only = 1;
    for (int32_t code = 1; code < 0x30000; code++) {
        if ((code >= 0xd800 && code < 0xe000) || (code >= 128 && utf8proc_category(code) == UTF8PROC_CATEGORY_CN))
            continue;
        utf8proc_uint8_t bytes[5] = {0};
        utf8proc_encode_char(code, bytes);
        const std::string text = reinterpret_cast<char *>(bytes), general = utf8proc_category_string(code);
        const bool stays = general[0] == 'L' || general[0] == 'M' || general[0] == 'N' || code == '_';
        std::unique_ptr<utf8proc_uint8_t, void (*)(void *)> nfc(utf8proc_NFC(bytes), free);
        if (text != reinterpret_cast<char *>(nfc.get()))
            continue; // it is another code point, or several, that are judged
        ASSERT_EQ(joined(cut(text, config)), stays ? text : " ") << std::hex << code;
    }
}

TEST(Ngrams, FollowTheirLastToken) {
    crs_config config = config_of();
    config.ngrams = 3;
    EXPECT_EQ(cut("Not, a  bad\tfilm", config),
              (Words{"not", "a", "not a", "bad", "a bad", "not a bad", "film", "bad film", "a bad film"}));
    EXPECT_EQ(cut("one", config), (Words{"one"}));
    EXPECT_EQ(cut(" \u3000one…  two ", config), (Words{"one…", "two", "one… two"}));
    EXPECT_EQ(cut("", config), Words{});
    config = chars_config(1);
    config.ngrams = 2;
    EXPECT_EQ(cut("한글  a", config), (Words{"한", "글", "한글", " ", "글 ", "a", " a"}));
    std::string line;
    config = config_of();
    config.ngrams = 2;
    for (int i = 0; i < 20; i++)
        line += "w" + std::to_string(i) + " ";
    Words words = cut(line, config);
    ASSERT_EQ(words.size(), 39U);
    EXPECT_EQ(words.back(), "w18 w19");
    for (int64_t wrong : {0, -1, 6}) {
        config.ngrams = wrong;
        crs__tokenizer tokenizer;
        EXPECT_EQ(crs__tokenizer_init(&tokenizer, &config), CRS_ERR_ARGUMENT);
    }
}

// Reference: utf8proc's NFC of the whole text at once, lower-cased code point by code point.
TEST(Folding, ShortcutAndPiecesAgreeWithNfcOfTheWhole) {
    std::mt19937 random(20240611);
    const int32_t starts[] = {'a',    'A',    ' ',    0xc0,   0x23a,  0x300,  0x323,   0x345, 0x1100, 0x1161, 0x11a8,
                              0xac00, 0xac01, 0x4e00, 0x3041, 0x3099, 0x2010, 0x1f300, 0x9be, 0x9c7,  0xf71,  0x1e0a};
    for (int round = 0; round < 400; round++) {
        std::string text;
        size_t length = round % 8 ? random() % 40 : 400 + random() % 2000;
        for (size_t i = 0; i < length; i++) {
            utf8proc_uint8_t bytes[4];
            int32_t code = starts[random() % (sizeof starts / sizeof *starts)] + static_cast<int32_t>(random() % 3);
            text.append(reinterpret_cast<char *>(bytes), utf8proc_encode_char(code, bytes));
            if (i % 31 == 0)
                text += ' ';
        }
        std::unique_ptr<utf8proc_uint8_t, void (*)(void *)> whole(
            utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t *>(text.c_str())), free);
        std::string wanted;
        utf8proc_int32_t code;
        for (const utf8proc_uint8_t *at = whole.get(); *at;) {
            at += utf8proc_iterate(at, -1, &code);
            utf8proc_uint8_t bytes[4];
            if (code != ' ' || wanted.empty() || wanted.back() != ' ')
                wanted.append(reinterpret_cast<char *>(bytes), utf8proc_encode_char(utf8proc_tolower(code), bytes));
        }
        ASSERT_EQ(joined(chars_of(text)), wanted) << "round " << round;
    }
}

TEST(Folding, ShortcutHoldsForEveryCodePointItIsTakenFor) {
    const crs_config config = chars_config(0);
    for (int32_t code = 1; code < 0x20000; code++) {
        if (code >= 0xd800 && code < 0xe000)
            continue;
        utf8proc_uint8_t bytes[5] = {0};
        std::string text(reinterpret_cast<char *>(bytes), utf8proc_encode_char(code, bytes));
        if (crs__is_space(code))
            continue;
        std::unique_ptr<utf8proc_uint8_t, void (*)(void *)> nfc(utf8proc_NFC(bytes), free);
        ASSERT_EQ(joined(cut(text, config)), reinterpret_cast<char *>(nfc.get())) << std::hex << code;
    }
}

TEST(Folding, ALongRunOfMarksTakesNoTimeInItsSquare) {
    std::string marks = "a";
    for (int i = 0; i < 400000; i++)
        marks += i % 2 ? "\u0301" : "\u0323";
    EXPECT_GT(joined(chars_of(marks)).size(), 790000U);
}

TEST(Utf8, FirstWrongByteAndTrim) {
    const std::pair<std::string, size_t> cases[] = {{"plain ascii and more", 20},
                                                    {"ä한😀", 9},
                                                    {"12345678\xff", 8},
                                                    {"1234567\xc3", 7},
                                                    {std::string("a\0b", 3), 1},
                                                    {"\xed\xa0\x80", 0}, // a surrogate
                                                    {"ab\xc0\x80", 2},   // an overlong NUL
                                                    {"\xf4\x90\x80\x80", 0},
                                                    {std::string(17, 'x') + std::string(1, '\0'), 17}};
    for (const auto &[text, at] : cases)
        EXPECT_EQ(crs__utf8_check(text.data(), text.size()), at) << text;
    for (size_t at = 0; at < 40; at++) {
        std::string text(40, '\x7f');
        text[at] = 0;
        EXPECT_EQ(crs__utf8_check(text.data(), text.size()), at);
    }
    std::string padded = " \t\u3000é x\u00a0\r";
    const char *text = padded.data();
    size_t size = padded.size();
    crs__trim(&text, &size);
    EXPECT_EQ(std::string(text, size), "é x");
    char shown[CRS__SHOWN];
    EXPECT_STREQ(crs__shown("a\x1b[2Jb", 6, shown), "a?[2Jb");
    EXPECT_EQ(std::string(crs__shown(std::string(500, 'x').data(), 500, shown)), std::string(60, 'x') + "...");
}

TEST(Counter, NumbersAndCountsEveryString) {
    crs__counter counter = {};
    std::mt19937 random(7);
    std::vector<int64_t> wanted(5000);
    std::vector<int64_t> number(5000, -1);
    int64_t distinct = 0;
    EXPECT_EQ(crs__counter_find(&counter, "x", 1), -1);
    for (int i = 0; i < 40000; i++) {
        size_t which = random() % 5000;
        std::string text = "t" + std::to_string(which);
        uint32_t index;
        ASSERT_EQ(crs__counter_add(&counter, text.data(), text.size(), 1, &index), CRS_OK);
        if (number[which] < 0)
            number[which] = distinct++;
        ASSERT_EQ(index, number[which]);
        wanted[which]++;
    }
    for (size_t which = 0; which < 5000; which++) {
        std::string text = "t" + std::to_string(which);
        ASSERT_EQ(crs__counter_find(&counter, text.data(), text.size()), number[which]);
        if (number[which] < 0)
            continue;
        ASSERT_EQ(counter.entries[number[which]].count, wanted[which]);
        ASSERT_EQ(crs__counter_text(&counter, static_cast<size_t>(number[which])), text);
    }
    EXPECT_EQ(crs__counter_find(&counter, "t5000", 5), -1);
    EXPECT_EQ(counter.count, static_cast<size_t>(distinct));
    crs__counter_clear(&counter);
}

// Strings of 0 to 40 bytes that differ in one byte: wherever it is, they are told apart, by hash and by comparison.
TEST(Counter, TellsStringsApartThatDifferInOneByte) {
    crs__counter counter = {};
    std::vector<std::string> strings;
    for (size_t size = 0; size <= 40; size++) {
        strings.emplace_back(size, 'a');
        for (size_t at = 0; at < size; at++)
            for (char byte : {'b', '\x80'}) {
                strings.emplace_back(size, 'a');
                strings.back()[at] = byte;
            }
    }
    std::set<uint64_t> hashes;
    for (size_t i = 0; i < strings.size(); i++) {
        uint32_t index;
        ASSERT_EQ(crs__counter_add(&counter, strings[i].data(), strings[i].size(), 1, &index), CRS_OK);
        ASSERT_EQ(index, i) << strings[i];
        hashes.insert(crs__hash(strings[i].data(), strings[i].size(), 0));
        hashes.insert(crs__hash(strings[i].data(), strings[i].size(), 1));
    }
    EXPECT_EQ(hashes.size(), 2 * strings.size());
    for (size_t i = 0; i < strings.size(); i++)
        ASSERT_EQ(crs__counter_find(&counter, strings[i].data(), strings[i].size()), static_cast<int64_t>(i));
    crs__counter_clear(&counter);
}

TEST(Counter, ManyAtATimeAreCountedAsOneByOne) {
    std::mt19937 random(11);
    crs__counter one = {};
    crs__counter many = {};
    int64_t absent = 0;
    crs__counter_find_all(&one, nullptr, 0, nullptr);
    const crs__word word = {"x", 1};
    crs__counter_find_all(&one, &word, 1, &absent);
    EXPECT_EQ(absent, -1);
    for (int round = 0; round < 200; round++) {
        std::vector<std::string> strings;
        for (size_t i = random() % 150; i > 0; i--) // what is new, and new twice in one group, as well as what is known
            strings.push_back("some" + std::to_string(random() % (1 + random() % 20000)));
        std::vector<crs__word> words;
        for (const std::string &string : strings)
            words.push_back({string.data(), string.size()});
        std::vector<uint32_t> indices(words.size());
        ASSERT_EQ(crs__counter_add_all(&many, words.data(), words.size(), nullptr, indices.data()), CRS_OK);
        std::vector<int64_t> found(words.size());
        crs__counter_find_all(&many, words.data(), words.size(), found.data());
        for (size_t i = 0; i < words.size(); i++) {
            uint32_t index;
            ASSERT_EQ(crs__counter_add(&one, words[i].text, words[i].size, 1, &index), CRS_OK);
            ASSERT_EQ(indices[i], index);
            ASSERT_EQ(found[i], index);
        }
    }
    ASSERT_EQ(many.count, one.count);
    EXPECT_GT(many.count, 5000U);
    for (size_t i = 0; i < one.count; i++) {
        ASSERT_EQ(many.entries[i].count, one.entries[i].count);
        ASSERT_STREQ(crs__counter_text(&many, i), crs__counter_text(&one, i));
    }
    crs__counter_clear(&one);
    crs__counter_clear(&many);
}

// ---- the encoder's JSON ----

using Encoder = std::unique_ptr<crs_encoder, void (*)(crs_encoder *)>;

Encoder from_json(const std::string &json, const crs_config &config, crs_error *error = nullptr) {
    crs_error scratch;
    crs_encoder *encoder = nullptr;
    crs_status status = crs_encoder_from_json(json.c_str(), &config, &encoder, error ? error : &scratch);
    EXPECT_EQ(status == CRS_OK, encoder != nullptr);
    EXPECT_TRUE(status == CRS_OK || (error ? error : &scratch)->what[0] != '\0');
    return {encoder, crs_encoder_free};
}

std::string to_json(const Encoder &encoder) {
    char *json = nullptr;
    EXPECT_EQ(crs_encoder_to_json(encoder.get(), &json), CRS_OK);
    std::string text = json;
    free(json);
    return text;
}

const char *const whole = R"({"version":1,"tokens":["the","ä","\"q\"","한"],"labels":["neg","pos \\ x"]})";

TEST(Json, GoesRound) {
    Encoder encoder = from_json(whole, config_of());
    ASSERT_TRUE(encoder);
    EXPECT_EQ(crs_encoder_vocabulary(encoder.get()), 6);
    EXPECT_EQ(crs_encoder_classes(encoder.get()), 2);
    EXPECT_STREQ(crs_encoder_token(encoder.get(), 2), "the");
    EXPECT_STREQ(crs_encoder_token(encoder.get(), 5), "한");
    EXPECT_EQ(crs_encoder_token(encoder.get(), 1), nullptr);
    EXPECT_EQ(crs_encoder_token(encoder.get(), 6), nullptr);
    EXPECT_STREQ(crs_encoder_label(encoder.get(), 1), "pos \\ x");
    EXPECT_EQ(crs_encoder_label(encoder.get(), 2), nullptr);
    EXPECT_EQ(crs_encoder_label(encoder.get(), -1), nullptr);
    EXPECT_EQ(crs_encoder_class(encoder.get(), "neg", 3), 0);
    EXPECT_EQ(crs_encoder_class(encoder.get(), "ne", 2), -1);
    EXPECT_EQ(to_json(encoder), whole);
}

TEST(Json, WhatIsWrongIsSaid) {
    const std::pair<const char *, const char *> cases[] = {
        {"", "JSON"},
        {"[]", "version"},
        {R"({"tokens":[],"labels":["a","b"]})", "version"},
        {R"({"version":"1","tokens":[],"labels":["a","b"]})", "version"},
        {R"({"version":2,"tokens":[],"labels":["a","b"]})", "version 2"},
        {R"({"version":1,"labels":["a","b"]})", "tokens"},
        {R"({"version":1,"tokens":{},"labels":["a","b"]})", "tokens"},
        {R"({"version":1,"tokens":[1],"labels":["a","b"]})", "\"tokens\"[0] is no string"},
        {R"({"version":1,"tokens":["x",""],"labels":["a","b"]})", "\"tokens\"[1] is no string, or empty"},
        {R"({"version":1,"tokens":["x","y","x"],"labels":["a","b"]})", "\"tokens\"[2] is there twice"},
        {R"({"version":1,"tokens":["x"],"labels":["a"]})", "1 \"labels\""},
        {R"({"version":1,"tokens":["x"],"labels":["a","a"]})", "\"labels\"[1] is there twice"},
        {R"({"version":1,"tokens":["1","2","3","4"],"labels":["a","b"]})", "4 \"tokens\"; 0 to 3"},
        {R"({"version":1,"version":1,"tokens":[],"labels":["a","b"]})", "JSON"},
        {"{\"version\":1,\"tokens\":[\"\\u0000\"],\"labels\":[\"a\",\"b\"]}", "JSON"},
        {"{\"version\":1,\"tokens\":[\"\xff\"],\"labels\":[\"a\",\"b\"]}", "JSON"}};
    crs_config config = config_of();
    config.vocabulary = 5;
    for (const auto &[json, what] : cases) {
        crs_error error = {};
        EXPECT_FALSE(from_json(json, config, &error)) << json;
        EXPECT_NE(std::string(error.what).find(what), std::string::npos) << json << ": " << error.what;
        EXPECT_NE(std::string(error.mend), "") << json;
    }
}

TEST(Json, DamageNeverCrashes) {
    crs_config config = config_of();
    std::string text = whole;
    for (size_t size = 0; size < text.size(); size++)
        EXPECT_FALSE(from_json(text.substr(0, size), config)) << size;
    for (size_t at = 0; at < text.size(); at++)
        for (int bit = 0; bit < 8; bit++) {
            std::string flipped = text;
            flipped[at] = static_cast<char>(flipped[at] ^ 1 << bit);
            // Where the damage reads as an encoder, it is one, and can be written and read again.
            if (Encoder encoder = from_json(flipped, config)) {
                EXPECT_TRUE(from_json(to_json(encoder), config));
            }
        }
}

TEST(Encode, CutsAndDrops) {
    crs_config config = config_of();
    config.length = 3;
    const std::string json = R"({"version":1,"tokens":["a","b","c","d","e"],"labels":["0","1"]})";
    struct {
        int oov, truncate;
        const char *text;
        std::vector<int32_t> ids;
    } cases[] = {{CRS_OOV_KEEP, CRS_SIDE_PRE, "a b", {2, 3}},
                 {CRS_OOV_KEEP, CRS_SIDE_PRE, "a b c", {2, 3, 4}},
                 {CRS_OOV_KEEP, CRS_SIDE_PRE, "a b c d", {3, 4, 5}},
                 {CRS_OOV_KEEP, CRS_SIDE_PRE, "a b c d e", {4, 5, 6}},
                 {CRS_OOV_KEEP, CRS_SIDE_PRE, "x a b c d e", {4, 5, 6}},
                 {CRS_OOV_KEEP, CRS_SIDE_PRE, "x a y", {1, 2, 1}},
                 {CRS_OOV_KEEP, CRS_SIDE_POST, "x b c d e", {1, 3, 4}},
                 {CRS_OOV_DROP, CRS_SIDE_POST, "x a y b z c d", {2, 3, 4}},
                 {CRS_OOV_DROP, CRS_SIDE_PRE, "a b x c d y", {3, 4, 5}},
                 {CRS_OOV_DROP, CRS_SIDE_PRE, "x y", {}},
                 {CRS_OOV_KEEP, CRS_SIDE_PRE, "", {}}};
    for (const auto &c : cases) {
        config.oov = c.oov;
        config.truncate = c.truncate;
        Encoder encoder = from_json(json, config);
        ASSERT_TRUE(encoder);
        std::vector<int32_t> ids(3, -7);
        size_t count;
        crs_error error;
        ASSERT_EQ(crs_encoder_encode(encoder.get(), c.text, strlen(c.text), ids.data(), 3, &count, &error), CRS_OK);
        ids.resize(count);
        EXPECT_EQ(ids, c.ids) << c.text << " oov " << c.oov << " truncate " << c.truncate;
    }
    Encoder encoder = from_json(json, config);
    int32_t ids[3];
    size_t count;
    crs_error error;
    EXPECT_EQ(crs_encoder_encode(encoder.get(), "a", 1, ids, 2, &count, &error), CRS_ERR_ARGUMENT);
    EXPECT_EQ(crs_encoder_encode(encoder.get(), "a\xff", 2, ids, 3, &count, &error), CRS_ERR_FORMAT);
    EXPECT_EQ(crs_encoder_encode(encoder.get(), "a\0b", 3, ids, 3, &count, &error), CRS_ERR_FORMAT);
    EXPECT_NE(std::string(error.what).find("byte 2 of the text is NUL"), std::string::npos) << error.what;
}

} // namespace
