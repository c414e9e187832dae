/* One thread's share of building a dataset: labelled texts go in, numbers of tokens come out in pieces. What numbers
 * mean to all shards together is decided at the end, in dataset_build.c. */
#ifndef CRS_SHARD_H
#define CRS_SHARD_H

#include "counter.h"
#include "encoder.h"
#include "tokenize.h"

/* Rows one after the other, each: its label, how many ids follow, the ids. Small numbers take fewer bytes, and tokens
 * get small numbers where they are seen early, which frequent ones are. */
typedef struct crs__piece {
    size_t shard;          /* whose numbers they are */
    size_t tokens, labels; /* how many of them the shard had given out when the piece was done */
    int64_t rows, ids;
    int64_t cut_rows, oov_tokens, empty_rows, longest;
    size_t size;
    const unsigned char *bytes; /* [size], in one block with the piece */
} crs__piece;

/* Bytes of a buffer that is kept for the next rows; one that grew larger with a few long ones is given back. */
enum { CRS__SPARE_MOST = 4 << 20 };

typedef struct crs__shard {
    const crs_encoder *encoder;
    int fitting;                 /* 1: ids and labels are provisional numbers, of the counters'; 0: the encoder's own */
    crs__counter tokens, labels; /* while fitting */
    crs__tokens cut;
    uint32_t *row; /* numbers of the text being added */
    size_t row_size, row_capacity;
    crs__piece tally;     /* of the rows added since the last piece; without bytes */
    unsigned char *bytes; /* [tally.size] */
    size_t capacity;
} crs__shard;

/* Zeroed but for encoder, fitting and tally.shard before its first use. text is UTF-8 without NUL. *bad is set to 1
 * with an error that concerns this row only. */
crs_status crs__shard_add(crs__shard *shard, const char *text, size_t text_size, const char *label, size_t label_size,
                          int *bad, crs_error *error);
/* Hands out the rows added since the last piece. CRS_ERR_MEMORY is all that can fail. */
crs_status crs__shard_piece(crs__shard *shard, crs__piece **piece);
/* Its memory goes back to the system at once: while ids take the place of many pieces, both must not be there whole. */
void crs__piece_free(crs__piece *piece);
void crs__shard_clear(crs__shard *shard);

/* The next number of a piece. */
static inline uint64_t crs__piece_number(const unsigned char **at) {
    uint64_t number = 0;
    for (int shift = 0;; shift += 7) {
        const unsigned char byte = *(*at)++;
        number |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return number;
    }
}

/* Which of a row's `size` ids the encoder's length keeps: *first and the number kept. */
static inline size_t crs__kept(const crs_encoder *encoder, size_t size, size_t *first) {
    const size_t kept = size < encoder->length ? size : encoder->length;
    *first = encoder->truncate == CRS_SIDE_PRE ? size - kept : 0;
    return kept;
}

#endif
