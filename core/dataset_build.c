/* Building a dataset in one pass: while the vocabulary is being fitted, ids are provisional numbers, each shard's own,
 * and are put in order at the end. */
#include "dataset_build.h"

#include "fail.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE_BYTES = 1 << 20 }; /* a piece's memory is given back as soon as its ids are numbered */

crs_status crs_dataset_builder_create(const crs_config *config, const crs_encoder *encoder,
                                      crs_dataset_builder **builder) {
    *builder = NULL;
    crs_dataset_builder *b = calloc(1, sizeof *b);
    crs__shard *shards = calloc(1, sizeof *shards);
    crs_status status = b && shards ? CRS_OK : CRS_ERR_MEMORY;
    if (status == CRS_OK && !encoder)
        status = crs__encoder_create(config, &b->made, NULL);
    if (status != CRS_OK) {
        free(b);
        free(shards);
        return status;
    }
    b->config = *config;
    b->encoder = encoder ? encoder : b->made;
    b->shards = shards;
    b->shard_count = 1;
    b->shards[0].encoder = b->encoder;
    b->shards[0].fitting = b->made != NULL;
    *builder = b;
    return CRS_OK;
}

static void free_shards(crs_dataset_builder *b) {
    for (size_t s = 0; s < b->shard_count; s++)
        crs__shard_clear(&b->shards[s]);
    free(b->shards);
    b->shards = NULL;
    b->shard_count = 0;
}

void crs_dataset_builder_free(crs_dataset_builder *b) {
    if (!b)
        return;
    crs_encoder_free(b->made);
    free_shards(b);
    for (size_t p = 0; p < b->piece_count; p++)
        crs__piece_free(b->pieces[p]);
    free(b->pieces);
    free(b);
}

/* ---- adding ---- */

crs_status crs__builder_split(crs_dataset_builder *b, size_t count) {
    crs__shard *shards = calloc(count, sizeof *shards);
    if (!shards)
        return CRS_ERR_MEMORY;
    for (size_t s = 0; s < count; s++)
        shards[s] = (crs__shard){.encoder = b->encoder, .fitting = b->made != NULL, .tally.shard = s};
    free_shards(b);
    b->shards = shards;
    b->shard_count = count;
    return CRS_OK;
}

crs_status crs__builder_take(crs_dataset_builder *b, size_t shard, size_t number) {
    if (number >= b->piece_capacity) {
        const size_t capacity = 2 * number + 16;
        crs__piece **pieces = realloc(b->pieces, capacity * sizeof(crs__piece *));
        if (!pieces)
            return CRS_ERR_MEMORY;
        memset(pieces + b->piece_capacity, 0, (capacity - b->piece_capacity) * sizeof(crs__piece *));
        b->pieces = pieces;
        b->piece_capacity = capacity;
    }
    CRS_TRY(crs__shard_piece(&b->shards[shard], &b->pieces[number]));
    b->piece_count = number >= b->piece_count ? number + 1 : b->piece_count;
    return CRS_OK;
}

crs_status crs_dataset_builder_add(crs_dataset_builder *b, const char *text, size_t text_size, const char *label,
                                   size_t label_size, crs_error *error) {
    int bad;
    if (!label || label_size == 0)
        return crs__fail(error, CRS_ERR_FORMAT, "the row has no label", "give each text a label");
    CRS_TRY(crs__check_text(text, text_size, "text", error));
    CRS_TRY(crs__check_text(label, label_size, "label", error));
    CRS_TRY(crs__shard_add(&b->shards[0], text, text_size, label, label_size, &bad, error));
    if (b->shards[0].tally.size < PIECE_BYTES)
        return CRS_OK;
    const crs_status status = crs__builder_take(b, 0, b->piece_count);
    return status == CRS_OK ? CRS_OK : crs__fail_memory(error, PIECE_BYTES, "a dataset's rows");
}

/* ---- finishing ---- */

/* Writes an id behind those that are there. */
static void put_id(crs_dataset *d, size_t at, uint32_t id) {
    if (d->id_bytes == 2)
        ((uint16_t *)d->ids)[at] = (uint16_t)id;
    else
        ((uint32_t *)d->ids)[at] = id;
}

/* Puts a row's final ids behind those of the rows before it. *at is behind the row's head in its piece. */
static void place_row(crs_dataset *d, const crs_encoder *encoder, const uint32_t *map, const unsigned char **at) {
    const size_t count = (size_t)crs__piece_number(at), begin = (size_t)d->stats.tokens;
    const int fitted = map != NULL, drop = fitted && encoder->oov == CRS_OOV_DROP;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t number = (uint32_t)crs__piece_number(at), id = fitted ? map[number] : number;
        d->stats.oov_tokens += fitted && id == CRS_ID_OOV;
        if (!drop || id != CRS_ID_OOV)
            put_id(d, begin + kept++, id);
    }
    if (drop) {
        size_t first;
        const size_t all = kept;
        kept = crs__kept(encoder, all, &first);
        memmove((char *)d->ids + begin * d->id_bytes, (char *)d->ids + (begin + first) * d->id_bytes,
                kept * d->id_bytes);
        d->stats.cut_rows += kept < all;
        d->stats.longest = (int64_t)kept > d->stats.longest ? (int64_t)kept : d->stats.longest;
        d->stats.empty_rows += kept == 0;
    }
    d->stats.tokens += (int64_t)kept;
}

static void place_piece(crs_dataset *d, const crs_encoder *encoder, const crs__numbering *numbering,
                        const crs__piece *piece) {
    crs_dataset_stats *stats = &d->stats;
    const uint32_t *ids = numbering->ids ? numbering->ids[piece->shard] : NULL;
    const uint32_t *classes = numbering->classes ? numbering->classes[piece->shard] : NULL;
    const unsigned char *at = piece->bytes;
    stats->cut_rows += piece->cut_rows;
    stats->oov_tokens += piece->oov_tokens;
    stats->empty_rows += piece->empty_rows;
    stats->longest = piece->longest > stats->longest ? piece->longest : stats->longest;
    for (int64_t r = 0; r < piece->rows; r++) {
        const uint64_t label = crs__piece_number(&at);
        d->labels[stats->rows++] = (int32_t)(classes ? classes[label] : label);
        place_row(d, encoder, ids, &at);
        d->starts[stats->rows] = stats->tokens;
    }
}

static void *shrink(void *block, size_t bytes) {
    void *smaller = realloc(block, bytes > 0 ? bytes : 1);
    return smaller ? smaller : block;
}

/* Takes the rows of all pieces, `rows` with at most `ids` ids, which are freed one by one. */
static crs_status place_pieces(crs_dataset_builder *b, const crs__numbering *numbering, size_t rows, size_t ids,
                               crs_dataset *d, crs_error *error) {
    d->id_bytes = crs_encoder_vocabulary(b->encoder) > UINT16_MAX + 1 ? 4 : 2;
    d->ids = malloc(ids * d->id_bytes + 1);
    d->starts = malloc((rows + 1) * sizeof *d->starts);
    d->labels = malloc(rows * sizeof *d->labels);
    if (!d->ids || !d->starts || !d->labels)
        return crs__fail_memory(error, ids * d->id_bytes, "a dataset's rows");
    d->starts[0] = 0;
    for (size_t p = 0; p < b->piece_count; p++) {
        place_piece(d, b->encoder, numbering, b->pieces[p]);
        crs__piece_free(b->pieces[p]);
        b->pieces[p] = NULL;
    }
    const size_t id_size = (size_t)d->stats.tokens * d->id_bytes;
    d->ids = shrink(d->ids, id_size);
    d->stats.distinct_tokens = numbering->distinct;
    d->stats.bytes = sizeof *d + id_size + (rows + 1) * sizeof *d->starts + rows * sizeof *d->labels;
    return CRS_OK;
}

static crs_status make(crs_dataset_builder *b, crs_dataset *d, crs_error *error) {
    int64_t rows = 0, ids = 0;
    if (b->shards[0].tally.rows > 0 && crs__builder_take(b, 0, b->piece_count) != CRS_OK)
        return crs__fail_memory(error, b->shards[0].tally.size, "a dataset's rows");
    for (size_t p = 0; p < b->piece_count; p++) {
        rows += b->pieces[p]->rows;
        ids += b->pieces[p]->ids;
    }
    if (rows == 0)
        return crs__fail(error, CRS_ERR_FORMAT, "there are no rows", "give at least one labelled text");
    crs__numbering numbering = {0};
    if (b->made)
        CRS_TRY(crs__numbering_make(b, rows, &numbering, error));
    free_shards(b);
    const crs_status status = place_pieces(b, &numbering, (size_t)rows, (size_t)ids, d, error);
    crs__numbering_free(&numbering);
    return status;
}

crs_status crs_dataset_builder_finish(crs_dataset_builder *b, crs_encoder **fitted, crs_dataset **dataset,
                                      crs_error *error) {
    *dataset = NULL;
    if (fitted)
        *fitted = NULL;
    crs_dataset *made = calloc(1, sizeof *made);
    crs_status status = b->made && !fitted
                            ? crs__fail(error, CRS_ERR_ARGUMENT, "no place for the fitted encoder", "give one")
                        : made ? make(b, made, error)
                               : crs__fail_memory(error, sizeof *made, "a dataset");
    if (status == CRS_OK) {
        *dataset = made;
        made = NULL;
        if (fitted)
            *fitted = b->made;
        b->made = NULL;
    }
    crs_dataset_free(made);
    crs_dataset_builder_free(b);
    return status;
}
