/* Text to tokens: NFC, lower case, and cutting into words as Keras' Tokenizer does or into characters. Which token has
 * which id is the encoder's. */
#ifndef CRS_TOKENIZE_H
#define CRS_TOKENIZE_H

#include <carousel/config.h>

enum { CRS__NGRAMS_MAX = 5 };

typedef struct crs__tokenizer {
    int chars, lowercase, words_only;
    size_t ngrams;            /* 1: single tokens only */
    unsigned char ascii[128]; /* what an ASCII character becomes: itself, its lower case, or ' ' where it separates */
    int32_t filters[128];     /* separating characters beyond ASCII */
    size_t filter_count;
} crs__tokenizer;

/* CRS_ERR_CONFIG where the filters are not UTF-8, CRS_ERR_ARGUMENT where ngrams is out of range. */
crs_status crs__tokenizer_init(crs__tokenizer *tokenizer, const crs_config *config);

/* A text being cut. Zeroed before its first use; it may be used again for the next text, and keeps its memory. */
typedef struct crs__tokens {
    char *text; /* folded; every separator is one space */
    size_t size, capacity, at;
    int chars;
    size_t ngrams, seen, gram;      /* gram: size of the last n-gram given, all of which end with the last token */
    size_t starts[CRS__NGRAMS_MAX]; /* of the last tokens, by their number modulo the size */
} crs__tokens;

/* text is valid UTF-8 without NUL. CRS_ERR_MEMORY is all that can fail. */
crs_status crs__tokens_begin(crs__tokens *tokens, const crs__tokenizer *tokenizer, const char *text, size_t size);
/* 0 at the end; the token points into tokens, and is not terminated. An n-gram follows its last token; its words stand
 * with one space between them. */
int crs__tokens_next(crs__tokens *tokens, const char **token, size_t *size);
void crs__tokens_clear(crs__tokens *tokens);

#endif
