/* A text to numbers of tokens, and rows of them packed into pieces. */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "shard.h"

#include "fail.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { WORDS = 128 };                 /* of a text, looked up together */
enum { NUMBER_MAX = 10, ID_MAX = 5 }; /* bytes that a number of 64 bits, and one of 32, take at most */

/* Room for `count` more of `size` bytes each behind `used`. */
static crs_status reserve(void **block, size_t *capacity, size_t used, size_t count, size_t size) {
    if (used + count <= *capacity)
        return CRS_OK;
    const size_t wanted = used + count + (used + count) / 2 + 64;
    void *grown = wanted > SIZE_MAX / size ? NULL : realloc(*block, wanted * size);
    if (!grown)
        return CRS_ERR_MEMORY;
    *block = grown;
    *capacity = wanted;
    return CRS_OK;
}

/* Numbers of the group's words to the end of shard->row. */
static crs_status take_words(crs__shard *shard, const crs__word *words, size_t count) {
    void *row = shard->row;
    const crs_status status = reserve(&row, &shard->row_capacity, shard->row_size, count, sizeof *shard->row);
    shard->row = row;
    CRS_TRY(status);
    if (shard->fitting) {
        CRS_TRY(crs__counter_add_all(&shard->tokens, words, count, NULL, shard->row + shard->row_size));
        shard->row_size += count;
        return CRS_OK;
    }
    int64_t indices[WORDS];
    crs__counter_find_all(&shard->encoder->tokens, words, count, indices);
    for (size_t i = 0; i < count; i++) {
        if (indices[i] < 0 && shard->encoder->oov == CRS_OOV_DROP)
            shard->tally.oov_tokens++;
        else
            shard->row[shard->row_size++] = indices[i] < 0 ? CRS_ID_OOV : CRS_ID_FIRST + (uint32_t)indices[i];
    }
    return CRS_OK;
}

static crs_status read_row(crs__shard *shard, const char *text, size_t size) {
    crs__word words[WORDS];
    size_t count = 0;
    shard->row_size = 0;
    CRS_TRY(crs__tokens_begin(&shard->cut, &shard->encoder->tokenizer, text, size));
    while (crs__tokens_next(&shard->cut, &words[count].text, &words[count].size))
        if (++count == WORDS) {
            CRS_TRY(take_words(shard, words, count));
            count = 0;
        }
    return take_words(shard, words, count);
}

static unsigned char *put_number(unsigned char *at, uint64_t number) {
    for (; number >= 128; number >>= 7)
        *at++ = (unsigned char)(number | 128);
    *at++ = (unsigned char)number;
    return at;
}

static crs_status store_row(crs__shard *shard, uint32_t label) {
    crs__piece *tally = &shard->tally;
    size_t first = 0, kept = shard->row_size;
    /* While fitting with oov=drop the whole row is kept until it is known what is dropped, since the cut comes after
     * it, as in Keras. Memory is then bounded by the data, not by length. */
    if (!shard->fitting || shard->encoder->oov == CRS_OOV_KEEP) {
        kept = crs__kept(shard->encoder, shard->row_size, &first);
        tally->cut_rows += kept < shard->row_size;
        tally->longest = (int64_t)kept > tally->longest ? (int64_t)kept : tally->longest;
        tally->empty_rows += kept == 0;
    }
    if (kept > (SIZE_MAX / 2 - tally->size) / (2 * ID_MAX))
        return CRS_ERR_MEMORY;
    void *bytes = shard->bytes;
    const crs_status status = reserve(&bytes, &shard->capacity, tally->size, 2 * NUMBER_MAX + ID_MAX * kept, 1);
    shard->bytes = bytes;
    CRS_TRY(status);
    unsigned char *at = put_number(put_number(shard->bytes + tally->size, label), kept);
    for (size_t i = 0; i < kept; i++) {
        tally->oov_tokens += !shard->fitting && shard->row[first + i] == CRS_ID_OOV;
        at = put_number(at, shard->row[first + i]);
    }
    tally->size = (size_t)(at - shard->bytes);
    tally->ids += (int64_t)kept;
    tally->rows++;
    return CRS_OK;
}

crs_status crs__shard_add(crs__shard *shard, const char *text, size_t text_size, const char *label, size_t label_size,
                          int *bad, crs_error *error) {
    uint32_t number = 0;
    *bad = 0;
    crs_status status = CRS_OK;
    if (shard->fitting) {
        status = crs__counter_add(&shard->labels, label, label_size, 1, &number);
    } else {
        const int64_t class_ = crs_encoder_class(shard->encoder, label, label_size);
        *bad = class_ < 0;
        if (*bad)
            return crs__fail_label(shard->encoder, label, label_size, error);
        number = (uint32_t)class_;
    }
    if (status == CRS_OK)
        status = read_row(shard, text, text_size);
    if (status == CRS_OK)
        status = store_row(shard, number);
    if (status == CRS_ERR_UNSUPPORTED)
        return crs__fail(error, status, "more than %d different tokens or labels", "use less data", CRS__COUNTER_MAX);
    return status == CRS_OK ? CRS_OK : crs__fail_memory(error, text_size, "a dataset's row");
}

static void give_back_large(crs__shard *shard) {
    if (shard->cut.capacity > CRS__SPARE_MOST)
        crs__tokens_clear(&shard->cut);
    if (shard->row_capacity > CRS__SPARE_MOST / sizeof *shard->row) {
        free(shard->row);
        shard->row = NULL;
        shard->row_size = shard->row_capacity = 0;
    }
    if (shard->capacity > CRS__SPARE_MOST) {
        free(shard->bytes);
        shard->bytes = NULL;
        shard->capacity = 0;
    }
}

crs_status crs__shard_piece(crs__shard *shard, crs__piece **piece) {
    crs__piece *made =
        mmap(NULL, sizeof *made + shard->tally.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        return CRS_ERR_MEMORY;
    *made = shard->tally;
    made->tokens = shard->tokens.count;
    made->labels = shard->labels.count;
    made->bytes = made->size > 0 ? memcpy(made + 1, shard->bytes, made->size) : NULL;
    shard->tally = (crs__piece){.shard = made->shard};
    give_back_large(shard);
    *piece = made;
    return CRS_OK;
}

void crs__piece_free(crs__piece *piece) {
    if (piece)
        munmap(piece, sizeof *piece + piece->size);
}

void crs__shard_clear(crs__shard *shard) {
    crs__counter_clear(&shard->tokens);
    crs__counter_clear(&shard->labels);
    crs__tokens_clear(&shard->cut);
    free(shard->row);
    free(shard->bytes);
    *shard = (crs__shard){0};
}
