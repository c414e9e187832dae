/* Writes texts that are like reviews in what costs a reader time, in fastText's format, one on a line: words by Zipf's
 * law, lengths as those of reviews, capitals, punctuation, a few accents, and a class planted in the words, so that
 * accuracy means something. It writes made-up words, not language.
 *
 *     generate_reviews --rows 3600000 > train.txt
 *     generate_reviews --rows 400000 --first 3600000 > test.txt      the rows behind those
 *
 * A row follows from its number, the seed and the settings alone, in whole numbers: the same bytes on every machine,
 * whatever rows are asked for beside it. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- random whole numbers ---- */

/* SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). */
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* In 0..count-1, count < 2^32. */
static uint32_t draw_below(uint64_t *state, uint64_t count) {
    return (uint32_t)(((draw(state) >> 32) * count) >> 32);
}

/* True in `share` of 1000 cases. */
static int draw_share(uint64_t *state, uint32_t share) {
    return draw_below(state, 1000) < share;
}

/* ---- words ---- */

enum { WORD_SIZE = 16, MARKS = 8 };

typedef struct word {
    char text[WORD_SIZE - 1];
    uint8_t size;
} word;

/* The words of all ranks, the negations, and MARKS words for each class; and how to draw a rank: slot k, drawn evenly,
 * stands for rank k below its threshold and for `other` above (the alias method of Walker, 1977). */
typedef struct lexicon {
    word *words;
    uint32_t ranks, classes;
    uint32_t *threshold, *other; /* [ranks] */
} lexicon;

enum { NEGATIONS = 4 };

/* Syllables of two letters in a row, then a consonant or two or none: no two numbers give the same word, and frequent
 * words, whose numbers are small, are short. */
static word spell(uint64_t number) {
    static const char consonants[] = "tnsrhldmkpbgvwfjz", vowels[] = "eaoiu";
    static const char *const endings[] = {"", "n", "s", "r", "t", "ng", "st", "l"};
    const uint64_t syllables = (sizeof consonants - 1) * (sizeof vowels - 1);
    const char *ending = endings[number % 8];
    word w = {.size = 0};
    for (number = number / 8 + 1; number > 0; number = (number - 1) / syllables) {
        const uint64_t syllable = (number - 1) % syllables;
        w.text[w.size++] = consonants[syllable % (sizeof consonants - 1)];
        w.text[w.size++] = vowels[syllable / (sizeof consonants - 1)];
    }
    for (; *ending; ending++)
        w.text[w.size++] = *ending;
    return w;
}

/* Frequencies by Zipf's law as Mandelbrot has it: rank r, from 0, has weight 1 / (r + 2.7). Sums of weights times ranks
 * stay below 2^64, since the weights add up to some 20 * WEIGHT and there are less than 2^24 ranks. */
static void fill_slots(lexicon *l, uint32_t *stack, uint64_t *weight) {
    const uint64_t WEIGHT = (uint64_t)1 << 34;
    uint64_t sum = 0;
    uint32_t small = 0, large = l->ranks; /* the stack's two ends: slots that are not full, and those that overflow */
    for (uint32_t r = 0; r < l->ranks; r++)
        sum += WEIGHT * 10 / (10 * (uint64_t)r + 27);
    for (uint32_t r = 0; r < l->ranks; r++) {
        weight[r] = WEIGHT * 10 / (10 * (uint64_t)r + 27) * l->ranks; /* a full slot has `sum` */
        stack[weight[r] < sum ? small++ : --large] = r;
    }
    for (uint32_t r = 0; r < l->ranks; r++) {
        l->threshold[r] = UINT32_MAX;
        l->other[r] = r;
    }
    while (small > 0 && large < l->ranks) {
        const uint32_t poor = stack[--small], rich = stack[large];
        l->threshold[poor] = (uint32_t)(weight[poor] / ((sum >> 32) + 1));
        l->other[poor] = rich;
        weight[rich] -= sum - weight[poor];
        if (weight[rich] < sum) {
            stack[small++] = rich;
            large++;
        }
    }
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) {
        fprintf(stderr, "generate_reviews: out of memory: %zu times %zu bytes\n", count, size);
        exit(1);
    }
    return memory;
}

static lexicon build_lexicon(uint32_t ranks, uint32_t classes) {
    lexicon l = {.ranks = ranks, .classes = classes};
    const size_t words = (size_t)ranks + NEGATIONS + (size_t)classes * MARKS;
    l.words = allocate(words, sizeof *l.words);
    l.threshold = allocate(ranks, sizeof *l.threshold);
    l.other = allocate(ranks, sizeof *l.other);
    for (size_t i = 0; i < words; i++)
        l.words[i] = spell(i);
    uint32_t *stack = allocate(ranks, sizeof *stack);
    uint64_t *weight = allocate(ranks, sizeof *weight);
    fill_slots(&l, stack, weight);
    free(stack);
    free(weight);
    return l;
}

static void free_lexicon(lexicon *l) {
    free(l->words);
    free(l->threshold);
    free(l->other);
}

static const word *draw_word(const lexicon *l, uint64_t *state) {
    const uint64_t bits = draw(state);
    const uint32_t slot = (uint32_t)(((bits >> 32) * l->ranks) >> 32);
    return &l->words[(uint32_t)bits < l->threshold[slot] ? slot : l->other[slot]];
}

/* ---- a review ---- */

typedef struct settings {
    uint64_t rows, first, seed;
    uint32_t vocabulary, classes, longest;
    uint32_t length, in_turn;                  /* 0: drawn */
    uint32_t marks, agreement, noise, accents; /* of 1000 */
} settings;

/* Words of a review: sixteen quantiles of a log-normal with median 65 and sigma 0.62, which is roughly how the lengths
 * of the Amazon reviews of Zhang et al. (2015) lie; even between them. */
static uint32_t draw_length(uint64_t *state, uint32_t longest) {
    static const uint32_t quantiles[] = {8, 25, 32, 38, 43, 48, 53, 59, 65, 71, 79, 88, 99, 112, 133, 168, 260};
    const uint32_t k = draw_below(state, 16);
    const uint32_t length = quantiles[k] + draw_below(state, quantiles[k + 1] - quantiles[k]);
    return length < longest ? length : longest;
}

/* The row being written. */
typedef struct row {
    char *text;
    size_t size;
    int capital; /* the next word begins a sentence */
} row;

static void put(row *out, const char *text, size_t size) {
    memcpy(out->text + out->size, text, size);
    out->size += size;
}

/* A word's first vowel, which is its second letter, with an acute accent: as one code point, or, as often, as two. */
static void put_accented(row *out, const word *w, int composed) {
    static const char *const acute[] = {"\xC3\xA1", "\xC3\xA9", "\xC3\xAD", "\xC3\xB3", "\xC3\xBA"};
    const size_t vowel = (size_t)(strchr("aeiou", w->text[1]) - "aeiou");
    put(out, w->text, 1);
    if (composed)
        put(out, acute[vowel], 2);
    else {
        put(out, w->text + 1, 1);
        put(out, "\xCC\x81", 2);
    }
    put(out, w->text + 2, w->size - 2u);
}

static void put_word(row *out, const word *w, uint64_t *state, const settings *s) {
    const size_t begin = out->size + 1;
    put(out, " ", 1);
    if (draw_share(state, s->accents))
        put_accented(out, w, draw_share(state, 500));
    else
        put(out, w->text, w->size);
    if (out->capital)
        out->text[begin] = (char)(out->text[begin] - 'a' + 'A');
    const uint32_t mark = draw_below(state, 1000);
    out->capital = mark < 70;
    if (mark < 60)
        put(out, ".", 1);
    else if (mark < 70)
        put(out, "!", 1);
    else if (mark < 130)
        put(out, ",", 1);
    else if (mark < 134)
        put(out, " -", 2);
}

/* A word that speaks for the class, or by chance for another; behind a negation it speaks for the next class instead,
 * so that order matters. */
static void put_mark(row *out, const lexicon *l, uint32_t class_, uint64_t *state, const settings *s) {
    uint32_t meant = draw_share(state, s->agreement) ? class_ : draw_below(state, l->classes);
    if (draw_share(state, 150)) {
        put_word(out, &l->words[l->ranks + draw_below(state, NEGATIONS)], state, s);
        meant = (meant + l->classes - 1) % l->classes;
    }
    const uint32_t mark = draw_below(state, MARKS);
    put_word(out, &l->words[(size_t)l->ranks + NEGATIONS + (size_t)meant * MARKS + mark], state, s);
}

/* Bytes that a row takes at most: a word, a space, an accent and punctuation, and twice that where it is negated. */
static size_t row_bytes(const settings *s) {
    const size_t words = s->length > 0 ? s->length : s->longest;
    return 64 + words * 2 * (WORD_SIZE + 6);
}

static void write_row(row *out, const lexicon *l, uint64_t number, const settings *s) {
    uint64_t state = s->seed;
    state = draw(&state) + number;
    state = draw(&state);
    const uint32_t drawn = draw_below(&state, s->classes);
    const uint32_t class_ = s->in_turn ? (uint32_t)(number % s->classes) : drawn;
    const uint32_t label = draw_share(&state, s->noise) ? draw_below(&state, s->classes) : class_;
    const uint32_t length = s->length > 0 ? s->length : draw_length(&state, s->longest);
    out->size = (size_t)sprintf(out->text, "__label__%" PRIu32, label + 1);
    out->capital = 1;
    for (uint32_t i = 0; i < length; i++) {
        if (draw_share(&state, s->marks))
            put_mark(out, l, class_, &state, s);
        else
            put_word(out, draw_word(l, &state), &state, s);
    }
    put(out, "\n", 1);
}

static int write_rows(const settings *s) {
    lexicon l = build_lexicon(s->vocabulary, s->classes);
    row out = {.text = allocate(row_bytes(s), 1)};
    int failed = 0;
    for (uint64_t i = 0; i < s->rows && !failed; i++) {
        write_row(&out, &l, s->first + i, s);
        failed = fwrite(out.text, 1, out.size, stdout) != out.size;
    }
    free(out.text);
    free_lexicon(&l);
    if (fflush(stdout) != 0 || failed) {
        fprintf(stderr, "generate_reviews: standard output: %s\n", strerror(errno));
        return 1;
    }
    return 0;
}

/* ---- the command line ---- */

static const struct argp_option options[] = {
    {"rows", 'n', "N", 0, "reviews to write (default: 1000)", 0},
    {"first", 'f', "N", 0, "number of the first one, from 0 (default: 0)", 0},
    {"seed", 's', "N", 0, "of everything (default: 1)", 0},
    {"vocabulary", 'v', "N", 0, "words that bear no class (default: 500000)", 0},
    {"classes", 'c', "N", 0, "classes, told apart by words of their own (default: 2)", 0},
    {"longest", 'l', "N", 0, "words of a review at most; what is longer is cut (default: 260)", 0},
    {"length", 'w', "N", 0, "words of every review; 0: as those of reviews are (default: 0)", 0},
    {"in-turn", 't', "N", 0, "1: classes follow one another from row to row; 0: drawn (default: 0)", 0},
    {"marks", 'm', "N", 0, "words of 1000 that speak for a class (default: 80)", 0},
    {"agreement", 'a', "N", 0,
     "of 1000 such words, so many speak for the review's own class, and the others for one by "
     "chance (default: 700)",
     0},
    {"noise", 'e', "N", 0, "labels of 1000 that are given by chance (default: 40)", 0},
    {"accents", 'u', "N", 0, "words of 1000 that have an accent (default: 3)", 0},
    {0}};

/* What an option sets; 64 bits wide, or 32. */
static const struct {
    int key;
    size_t offset, size;
    uint64_t least, most;
} fields[] = {
#define FIELD(field) offsetof(settings, field), sizeof(((settings *)0)->field)
    {'n', FIELD(rows), 0, UINT64_C(1) << 40},
    {'f', FIELD(first), 0, UINT64_C(1) << 40},
    {'s', FIELD(seed), 0, UINT64_C(1) << 53},
    {'v', FIELD(vocabulary), 10, 10000000},
    {'c', FIELD(classes), 2, 1000000},
    {'l', FIELD(longest), 1, 100000},
    {'w', FIELD(length), 0, 100000},
    {'t', FIELD(in_turn), 0, 1},
    {'m', FIELD(marks), 0, 1000},
    {'a', FIELD(agreement), 0, 1000},
    {'e', FIELD(noise), 0, 1000},
    {'u', FIELD(accents), 0, 1000},
#undef FIELD
};
enum { FIELDS = sizeof fields / sizeof *fields };

static error_t parse_option(int key, char *value, struct argp_state *state) {
    size_t i = 0;
    while (i < FIELDS && fields[i].key != key)
        i++;
    if (i == FIELDS)
        return ARGP_ERR_UNKNOWN;
    char *end;
    errno = 0;
    const uint64_t number = strtoull(value, &end, 10);
    if (errno || end == value || *end || *value == '-' || number < fields[i].least || number > fields[i].most)
        argp_error(state, "'%s' does not fit; give a whole number from %" PRIu64 " to %" PRIu64, value, fields[i].least,
                   fields[i].most);
    char *field = (char *)state->input + fields[i].offset;
    const uint32_t narrow = (uint32_t)number;
    if (fields[i].size == sizeof narrow)
        memcpy(field, &narrow, sizeof narrow);
    else
        memcpy(field, &number, sizeof number);
    return 0;
}

int main(int argc, char *argv[]) {
    const struct argp parser = {.options = options,
                                .parser = parse_option,
                                .doc = "Writes reviews of made-up words in fastText's format to standard output."};
    settings s = {.rows = 1000,
                  .seed = 1,
                  .vocabulary = 500000,
                  .classes = 2,
                  .longest = 260,
                  .marks = 80,
                  .agreement = 700,
                  .noise = 40,
                  .accents = 3};
    argp_parse(&parser, argc, argv, 0, NULL, &s);
    return write_rows(&s);
}
