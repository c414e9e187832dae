/* Folding text (NFC, then Unicode's simple lower case, then separators to spaces) and cutting it. As Keras' Tokenizer,
 * but that every Unicode white space separates, not only the space and what the filters name. */
#include "tokenize.h"

#include "utf8.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* Unicode's general categories L, M and N, and the underscore. Python's \w but for the marks: without them words of
 * the Indic scripts would fall apart. */
static int is_of_word(int32_t code) {
    const utf8proc_category_t category = utf8proc_category(code);
    return code == '_' || (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NO);
}

crs_status crs__tokenizer_init(crs__tokenizer *tokenizer, const crs_config *config) {
    *tokenizer = (crs__tokenizer){.chars = config->tokens == CRS_TOKENS_CHARS,
                                  .lowercase = config->lowercase,
                                  .words_only = config->words_only,
                                  .ngrams = (size_t)config->ngrams};
    for (int c = 0; c < 128; c++)
        tokenizer->ascii[c] = crs__is_space(c) || (config->words_only && !is_of_word(c)) ? ' '
                              : config->lowercase && c >= 'A' && c <= 'Z' ? (unsigned char)(c + 'a' - 'A')
                                                                          : (unsigned char)c;
    size_t size = strnlen(config->filters, sizeof config->filters);
    if (config->ngrams < 1 || config->ngrams > CRS__NGRAMS_MAX)
        return CRS_ERR_ARGUMENT;
    if (crs__utf8_check(config->filters, size) != size)
        return CRS_ERR_CONFIG;
    if (tokenizer->chars)
        return CRS_OK;
    for (size_t at = 0; at < size;) {
        utf8proc_int32_t code;
        at += (size_t)utf8proc_iterate((const utf8proc_uint8_t *)config->filters + at, (utf8proc_ssize_t)(size - at),
                                       &code);
        if (code < 128)
            tokenizer->ascii[code] = ' ';
        else
            tokenizer->filters[tokenizer->filter_count++] = code;
    }
    /* A filter that is an upper-case letter never meets one: as in Keras, lower case comes first. */
    for (int c = 'A'; config->lowercase && c <= 'Z'; c++)
        tokenizer->ascii[c] = tokenizer->ascii[c + 'a' - 'A'];
    return CRS_OK;
}

/* ---- folding ---- */

static crs_status reserve(crs__tokens *tokens, size_t more) {
    if (tokens->size + more <= tokens->capacity)
        return CRS_OK;
    size_t capacity = tokens->capacity + tokens->capacity / 2 + more;
    char *text = realloc(tokens->text, capacity);
    if (!text)
        return CRS_ERR_MEMORY;
    tokens->text = text;
    tokens->capacity = capacity;
    return CRS_OK;
}

static int is_collapsing(const crs__tokenizer *t) {
    return t->chars || t->ngrams > 1;
}

/* Appends one code point; at most 4 bytes, which the caller has reserved. */
static void put(crs__tokens *tokens, const crs__tokenizer *t, int32_t code) {
    if (code >= 128 && t->lowercase)
        code = utf8proc_tolower(code);
    char *to = tokens->text + tokens->size;
    if (code < 128) {
        *to = (char)t->ascii[code];
    } else {
        int separates = crs__is_space(code) || (t->words_only && !is_of_word(code));
        for (size_t i = 0; i < t->filter_count; i++)
            separates |= code == t->filters[i];
        if (!separates) {
            tokens->size += (size_t)utf8proc_encode_char(code, (utf8proc_uint8_t *)to);
            return;
        }
        *to = ' ';
    }
    /* Of characters, a run of white space is one token; between the words of an n-gram it is one space. */
    tokens->size += !(is_collapsing(t) && *to == ' ' && tokens->size > 0 && to[-1] == ' ');
}

/* Code points that stand for themselves in NFC whatever is beside them, as long as that is of these too: a text of
 * them alone needs no normalising. Most texts in the Latin, Korean, Chinese and Japanese scripts are such. */
static int is_plain(int32_t code) {
    return code < 0x300 || (code >= 0xac00 && code <= 0xd7a3) || (code >= 0x4e00 && code <= 0x9fff) ||
           (code >= 0x2010 && code <= 0x2027) || (code >= 0x3041 && code <= 0x3096) ||
           (code >= 0x30a1 && code <= 0x30fa) || (code >= 0x1f300 && code <= 0x1faff);
}

static crs_status fold_plain(crs__tokens *tokens, const crs__tokenizer *t, const char *text, size_t size) {
    /* Lower case takes three bytes for two at most (as U+023A), a separator fewer. */
    if (reserve(tokens, size + size / 2 + 4) != CRS_OK)
        return CRS_ERR_MEMORY;
    for (size_t at = 0; at < size;) {
        if (!is_collapsing(t)) {
            const size_t run = crs__ascii_run(text + at, size - at);
            char *to = tokens->text + tokens->size;
            for (size_t i = 0; i < run; i++)
                to[i] = (char)t->ascii[(unsigned char)text[at + i]];
            tokens->size += run;
            at += run;
            if (at == size)
                break;
        }
        utf8proc_int32_t code;
        at += (size_t)utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(size - at), &code);
        put(tokens, t, code);
    }
    return CRS_OK;
}

/* Ordering combining marks takes time in the square of a run's length, so a text is normalised in pieces: cut before
 * ASCII white space, which nothing before it composes with, or where there is none, by force. */
enum { PIECE = 1024 };

static size_t piece_size(const char *text, size_t size) {
    if (size <= PIECE)
        return size;
    for (size_t at = PIECE; at > 0; at--)
        if (text[at] == ' ' || (text[at] >= 9 && text[at] <= 13))
            return at;
    size_t at = PIECE;
    while (((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static crs_status fold_composing(crs__tokens *tokens, const crs__tokenizer *t, const char *text, size_t size) {
    enum { EXPANSION = 4 }; /* code points a canonical decomposition makes of one, at most */
    utf8proc_int32_t codes[EXPANSION * PIECE + 1];
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    for (size_t at = 0; at < size;) {
        size_t bytes = piece_size(text + at, size - at);
        utf8proc_ssize_t count = utf8proc_decompose((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)bytes, codes,
                                                    EXPANSION * PIECE, options);
        if (count > 0 && count <= EXPANSION * PIECE)
            count = utf8proc_normalize_utf32(codes, count, options);
        if (count <= 0 || count > EXPANSION * PIECE)
            return CRS_ERR_ARGUMENT;
        if (reserve(tokens, (size_t)count * 4) != CRS_OK)
            return CRS_ERR_MEMORY;
        for (utf8proc_ssize_t i = 0; i < count; i++)
            put(tokens, t, codes[i]);
        at += bytes;
    }
    return CRS_OK;
}

static int is_plain_text(const char *text, size_t size) {
    for (size_t at = crs__ascii_run(text, size); at < size; at += crs__ascii_run(text + at, size - at)) {
        utf8proc_int32_t code;
        at += (size_t)utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(size - at), &code);
        if (!is_plain(code))
            return 0;
    }
    return 1;
}

crs_status crs__tokens_begin(crs__tokens *tokens, const crs__tokenizer *tokenizer, const char *text, size_t size) {
    tokens->size = tokens->at = tokens->seen = tokens->gram = 0;
    tokens->chars = tokenizer->chars;
    tokens->ngrams = tokenizer->ngrams;
    return is_plain_text(text, size) ? fold_plain(tokens, tokenizer, text, size)
                                     : fold_composing(tokens, tokenizer, text, size);
}

/* ---- cutting ---- */

int crs__tokens_next(crs__tokens *tokens, const char **token, size_t *size) {
    const char *text = tokens->text;
    size_t at = tokens->at, end = tokens->size;
    if (tokens->gram < tokens->ngrams && tokens->gram < tokens->seen) {
        /* In folded text an n-gram stands in one piece. */
        size_t first = tokens->starts[(tokens->seen - ++tokens->gram) % CRS__NGRAMS_MAX];
        *token = text + first;
        *size = at - first;
        return 1;
    }
    while (!tokens->chars && at < end && text[at] == ' ')
        at++;
    if (at == end)
        return 0;
    size_t start = at++;
    if (tokens->chars)
        while (at < end && ((unsigned char)text[at] & 0xc0) == 0x80)
            at++;
    else
        while (at < end && text[at] != ' ')
            at++;
    *token = text + start;
    *size = at - start;
    tokens->at = at;
    tokens->starts[tokens->seen++ % CRS__NGRAMS_MAX] = start;
    tokens->gram = 1;
    return 1;
}

void crs__tokens_clear(crs__tokens *tokens) {
    free(tokens->text);
    *tokens = (crs__tokens){0};
}
