/* Token to id and label to class: making an encoder from what was counted, and asking it. Its JSON is in
 * encoder_json.c. */
#include "encoder.h"

#include "fail.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

crs_status crs__encoder_create(const crs_config *config, crs_encoder **encoder, crs_error *error) {
    if (config->length < 1 || config->vocabulary <= CRS_ID_FIRST)
        return crs__fail(error, CRS_ERR_CONFIG, "length is %lld and vocabulary %lld",
                         "length must be at least 1 and vocabulary at least 3", (long long)config->length,
                         (long long)config->vocabulary);
    crs_encoder *made = calloc(1, sizeof *made);
    if (!made)
        return crs__fail_memory(error, sizeof *made, "an encoder");
    made->oov = config->oov;
    made->truncate = config->truncate;
    made->length = (size_t)config->length;
    crs_status status = crs__tokenizer_init(&made->tokenizer, config);
    if (status != CRS_OK) {
        free(made);
        return status == CRS_ERR_ARGUMENT
                   ? crs__fail(error, CRS_ERR_CONFIG, "ngrams is %lld", "give 1 to %d", (long long)config->ngrams,
                               CRS__NGRAMS_MAX)
                   : crs__fail(error, CRS_ERR_CONFIG, "filters is not valid UTF-8", "give the characters in UTF-8");
    }
    *encoder = made;
    return CRS_OK;
}

void crs_encoder_free(crs_encoder *encoder) {
    if (!encoder)
        return;
    crs__counter_clear(&encoder->tokens);
    crs__counter_clear(&encoder->labels);
    free(encoder);
}

/* ---- fitting ---- */

/* 1 where the label is an integer of at most 18 digits. */
static int is_integer(const char *label, size_t size, int64_t *value) {
    size_t at = size > 0 && (label[0] == '-' || label[0] == '+'), digits = size - at;
    uint64_t sum = 0;
    if (digits < 1 || digits > 18)
        return 0;
    for (size_t i = at; i < size; i++) {
        if (label[i] < '0' || label[i] > '9')
            return 0;
        sum = sum * 10 + (uint64_t)(label[i] - '0');
    }
    *value = label[0] == '-' ? -(int64_t)sum : (int64_t)sum;
    return 1;
}

/* One string to be sorted; key comes first, then bytes. */
typedef struct sorted {
    int64_t key;
    const char *text;
    uint32_t index, rank;
} sorted;

static int by_key_and_text(const void *a, const void *b) {
    const sorted *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return strcmp(x->text, y->text);
}

static int by_key_and_rank(const void *a, const void *b) {
    const sorted *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

crs_status crs__encoder_take_labels(crs_encoder *encoder, const crs__counter *labels, uint32_t *map) {
    sorted *order = calloc(labels->count + 1, sizeof *order);
    if (!order)
        return CRS_ERR_MEMORY;
    int integers = 1;
    for (size_t i = 0; i < labels->count; i++) {
        order[i] = (sorted){.text = crs__counter_text(labels, i), .index = (uint32_t)i};
        integers = integers && is_integer(order[i].text, labels->entries[i].size, &order[i].key);
    }
    for (size_t i = 0; !integers && i < labels->count; i++)
        order[i].key = 0;
    qsort(order, labels->count, sizeof *order, by_key_and_text);
    crs_status status = CRS_OK;
    for (size_t i = 0; i < labels->count && status == CRS_OK; i++) {
        const crs__counted *entry = &labels->entries[order[i].index];
        uint32_t class_;
        status = crs__counter_add(&encoder->labels, order[i].text, entry->size, entry->count, &class_);
        map[order[i].index] = (uint32_t)i;
    }
    free(order);
    return status;
}

/* A count that is low enough: at least `room` tokens have it or a higher one, or all do that are to be kept. Those
 * below need not be sorted, and most of a large vocabulary are. */
static int64_t low_enough(const crs__counter *tokens, int64_t min_count, size_t room) {
    enum { COUNTS = 1024 };
    size_t having[COUNTS] = {0}, above = 0;
    for (size_t i = 0; i < tokens->count; i++)
        having[tokens->entries[i].count < COUNTS ? tokens->entries[i].count : COUNTS - 1]++;
    int64_t count = COUNTS;
    while (count > 1 && above < room)
        above += having[--count];
    return count > min_count ? count : min_count;
}

crs_status crs__encoder_take_tokens(crs_encoder *encoder, const crs__counter *tokens, const uint32_t *ranks,
                                    const crs_config *config, uint32_t *map) {
    const size_t room = (size_t)config->vocabulary - CRS_ID_FIRST;
    const int64_t least = low_enough(tokens, config->min_count, room);
    size_t kept = 0;
    for (size_t i = 0; i < tokens->count; i++)
        kept += tokens->entries[i].count >= least;
    sorted *order = calloc(kept + 1, sizeof *order);
    if (!order)
        return CRS_ERR_MEMORY;
    kept = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        map[i] = CRS_ID_OOV;
        if (tokens->entries[i].count >= least)
            order[kept++] = (sorted){.key = -tokens->entries[i].count, .index = (uint32_t)i, .rank = ranks[i]};
    }
    qsort(order, kept, sizeof *order, by_key_and_rank);
    crs_status status = CRS_OK;
    for (size_t i = 0; i < kept && i < room && status == CRS_OK; i++) {
        const crs__counted *entry = &tokens->entries[order[i].index];
        uint32_t index;
        status = crs__counter_add(&encoder->tokens, crs__counter_text(tokens, order[i].index), entry->size,
                                  entry->count, &index);
        map[order[i].index] = CRS_ID_FIRST + (uint32_t)i;
    }
    free(order);
    return status;
}

/* ---- asking ---- */

int64_t crs_encoder_vocabulary(const crs_encoder *encoder) {
    return CRS_ID_FIRST + (int64_t)encoder->tokens.count;
}

int64_t crs_encoder_classes(const crs_encoder *encoder) {
    return (int64_t)encoder->labels.count;
}

const char *crs_encoder_token(const crs_encoder *encoder, int64_t id) {
    if (id < CRS_ID_FIRST || id >= crs_encoder_vocabulary(encoder))
        return NULL;
    return crs__counter_text(&encoder->tokens, (size_t)id - CRS_ID_FIRST);
}

const char *crs_encoder_label(const crs_encoder *encoder, int64_t class_) {
    if (class_ < 0 || class_ >= crs_encoder_classes(encoder))
        return NULL;
    return crs__counter_text(&encoder->labels, (size_t)class_);
}

int64_t crs_encoder_class(const crs_encoder *encoder, const char *label, size_t size) {
    return crs__counter_find(&encoder->labels, label, size);
}

int32_t crs__encoder_id(const crs_encoder *encoder, const char *token, size_t size) {
    int64_t index = crs__counter_find(&encoder->tokens, token, size);
    return index < 0 ? CRS_ID_OOV : (int32_t)(index + CRS_ID_FIRST);
}

crs_status crs__check_text(const char *text, size_t size, const char *what, crs_error *error) {
    size_t at = crs__utf8_check(text, size);
    if (at == size)
        return CRS_OK;
    return crs__fail(error, CRS_ERR_FORMAT, "byte %zu of the %s is %s", "give text in UTF-8 without NUL bytes", at + 1,
                     what, text[at] ? "not valid UTF-8" : "NUL");
}

crs_status crs__fail_label(const crs_encoder *encoder, const char *label, size_t size, crs_error *error) {
    char shown[CRS__SHOWN], known[160] = "";
    size_t used = 0, count = encoder->labels.count;
    for (size_t i = 0; i < count && i < 8 && used < sizeof known - CRS__SHOWN; i++) {
        char one[CRS__SHOWN];
        crs__shown(crs__counter_text(&encoder->labels, i), encoder->labels.entries[i].size, one);
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", one);
        if (i + 1 == count)
            count = 0; /* all were named */
    }
    return crs__fail(error, CRS_ERR_FORMAT, "unknown label \"%s\"; known are %s%s",
                     "correct it, train with it, or pass over such rows with --skip-bad",
                     crs__shown(label, size, shown), known, count ? ", ..." : "");
}

/* Ids go round in a ring of `length` places, of which the first or the last are kept. */
static void turn(int32_t *ids, size_t from, size_t to) {
    for (; from + 1 < to; from++, to--) {
        int32_t id = ids[from];
        ids[from] = ids[to - 1];
        ids[to - 1] = id;
    }
}

crs_status crs_encoder_encode(const crs_encoder *encoder, const char *text, size_t size, int32_t *ids, size_t capacity,
                              size_t *count, crs_error *error) {
    size_t length = encoder->length, seen = 0, token_size;
    *count = 0;
    if (length < 1 || capacity < length)
        return crs__fail(error, CRS_ERR_ARGUMENT, "room for %zu ids", "give room for %zu", capacity, length);
    CRS_TRY(crs__check_text(text, size, "text", error));
    crs__tokens tokens = {0};
    crs_status status = crs__tokens_begin(&tokens, &encoder->tokenizer, text, size);
    const char *token;
    while (status == CRS_OK && crs__tokens_next(&tokens, &token, &token_size)) {
        int32_t id = crs__encoder_id(encoder, token, token_size);
        if (id == CRS_ID_OOV && encoder->oov == CRS_OOV_DROP)
            continue;
        if (seen >= length && encoder->truncate == CRS_SIDE_POST)
            break;
        ids[seen++ % length] = id;
    }
    crs__tokens_clear(&tokens);
    if (status != CRS_OK)
        return crs__fail_memory(error, size, "encoding a text");
    *count = seen < length ? seen : length;
    if (seen > length && seen % length > 0) {
        turn(ids, 0, seen % length);
        turn(ids, seen % length, length);
        turn(ids, 0, length);
    }
    return CRS_OK;
}
