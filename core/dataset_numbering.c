/* What the shards' numbers mean: their counters made one vocabulary and one list of classes. */
#include "dataset_build.h"

#include "fail.h"
#include "utf8.h"

#include <stdlib.h>

static void free_maps(uint32_t **maps, size_t count) {
    for (size_t s = 0; maps && s < count; s++)
        free(maps[s]);
    free(maps);
}

static crs__counter *counter_of(crs__shard *shard, int labels) {
    return labels ? &shard->labels : &shard->tokens;
}

/* Room for all of a shard's numbers, and how many there are. */
static crs_status make_maps(crs_dataset_builder *b, int labels, uint32_t ***maps, size_t *sizes) {
    *maps = calloc(b->shard_count, sizeof **maps);
    if (!*maps)
        return CRS_ERR_MEMORY;
    for (size_t s = 0; s < b->shard_count; s++) {
        sizes[s] = counter_of(&b->shards[s], labels)->count;
        (*maps)[s] = calloc(sizes[s] + 1, sizeof(uint32_t));
        if (!(*maps)[s])
            return CRS_ERR_MEMORY;
    }
    return CRS_OK;
}

/* Counts a shard's strings `from` to `to` into all; map gets their numbers there. */
static crs_status count_over(const crs__counter *part, size_t from, size_t to, crs__counter *all, uint32_t *map) {
    enum { GROUP = 128 };
    crs__word words[GROUP];
    int64_t times[GROUP];
    for (size_t at = from; at < to; at += GROUP) {
        const size_t count = to - at < GROUP ? to - at : GROUP;
        for (size_t i = 0; i < count; i++) {
            words[i] = (crs__word){crs__counter_text(part, at + i), part->entries[at + i].size};
            times[i] = part->entries[at + i].count;
        }
        CRS_TRY(crs__counter_add_all(all, words, count, times, map + at));
    }
    return CRS_OK;
}

static const uint32_t NO_RANK = UINT32_MAX;

/* Ranks those of the strings that have none yet, as the next ones. */
static void rank(uint32_t *ranks, const uint32_t *strings, size_t count, uint32_t *next) {
    for (size_t i = 0; i < count; i++)
        if (ranks[strings[i]] == NO_RANK)
            ranks[strings[i]] = (*next)++;
}

/* The strings of all shards counted in the first shard's counter, and ranked in the order in which they stand in the
 * data: what is new to a shard in a piece is taken up piece by piece. maps get each shard's numbers there. */
static crs_status merge(crs_dataset_builder *b, int labels, uint32_t **maps, uint32_t *ranks) {
    crs__counter *all = counter_of(&b->shards[0], labels);
    uint32_t next = 0;
    size_t *taken = calloc(b->shard_count + 1, sizeof *taken);
    crs_status status = taken ? CRS_OK : CRS_ERR_MEMORY;
    for (size_t i = 0; i < all->count; i++)
        maps[0][i] = (uint32_t)i;
    for (size_t p = 0; p < b->piece_count && status == CRS_OK; p++) {
        const crs__piece *piece = b->pieces[p];
        const size_t s = piece->shard, known = labels ? piece->labels : piece->tokens;
        if (s > 0)
            status = count_over(counter_of(&b->shards[s], labels), taken[s], known, all, maps[s]);
        if (status == CRS_OK)
            rank(ranks, maps[s] + taken[s], known - taken[s], &next);
        taken[s] = known;
    }
    free(taken);
    for (size_t s = 1; s < b->shard_count && status == CRS_OK; s++)
        crs__counter_clear(counter_of(&b->shards[s], labels));
    return status;
}

/* ---- what is kept of it ---- */

static crs_status check(const crs__counter *all, int labels, int64_t rows, crs_error *error) {
    char shown[CRS__SHOWN];
    if (labels && all->count == 1)
        return crs__fail(error, CRS_ERR_FORMAT, "only one class, \"%s\", in all %lld rows",
                         "add rows of another class, or check which column holds the label",
                         crs__shown(crs__counter_text(all, 0), all->entries[0].size, shown), (long long)rows);
    if (!labels && all->count == 0)
        return crs__fail(error, CRS_ERR_FORMAT, "none of the %lld texts has a token",
                         "check which column holds the text, and --filters", (long long)rows);
    return CRS_OK;
}

static crs_status fail_numbering(const crs__counter *all, crs_status status, crs_error *error) {
    if (status == CRS_ERR_UNSUPPORTED)
        return crs__fail(error, status, "more than %d different tokens or labels", "use less data", CRS__COUNTER_MAX);
    return crs__fail_memory(error, all->count * sizeof(uint32_t), "the vocabulary");
}

/* Takes the strings into the encoder, and sends every shard's numbers on to what they became there. */
static crs_status take(crs_dataset_builder *b, int labels, uint32_t **maps, const size_t *sizes,
                       const uint32_t *ranks) {
    const crs__counter *all = counter_of(&b->shards[0], labels);
    uint32_t *final = malloc((all->count + 1) * sizeof *final);
    if (!final)
        return CRS_ERR_MEMORY;
    const crs_status status = labels ? crs__encoder_take_labels(b->made, all, final)
                                     : crs__encoder_take_tokens(b->made, all, ranks, &b->config, final);
    for (size_t s = 0; s < b->shard_count && status == CRS_OK; s++)
        for (size_t i = 0; i < sizes[s]; i++)
            maps[s][i] = final[maps[s][i]];
    free(final);
    return status;
}

static crs_status number(crs_dataset_builder *b, int labels, int64_t rows, uint32_t ***maps, int64_t *distinct,
                         crs_error *error) {
    const crs__counter *all = counter_of(&b->shards[0], labels);
    size_t *sizes = calloc(b->shard_count, sizeof *sizes), total = 0;
    uint32_t *ranks = NULL;
    crs_status status = sizes ? make_maps(b, labels, maps, sizes) : CRS_ERR_MEMORY;
    for (size_t s = 0; s < b->shard_count && status == CRS_OK; s++)
        total += sizes[s];
    if (status == CRS_OK)
        status = (ranks = malloc((total + 1) * sizeof *ranks)) ? CRS_OK : CRS_ERR_MEMORY;
    for (size_t i = 0; i <= total && ranks; i++)
        ranks[i] = NO_RANK;
    if (status == CRS_OK)
        status = merge(b, labels, *maps, ranks);
    crs_status refused = status == CRS_OK ? check(all, labels, rows, error) : CRS_OK;
    if (status == CRS_OK && refused == CRS_OK)
        status = take(b, labels, *maps, sizes, ranks);
    if (status != CRS_OK)
        refused = fail_numbering(all, status, error);
    *distinct = (int64_t)all->count;
    free(ranks);
    free(sizes);
    return refused;
}

crs_status crs__numbering_make(crs_dataset_builder *b, int64_t rows, crs__numbering *numbering, crs_error *error) {
    int64_t classes;
    *numbering = (crs__numbering){.shards = b->shard_count};
    crs_status status = number(b, 1, rows, &numbering->classes, &classes, error);
    if (status == CRS_OK)
        status = number(b, 0, rows, &numbering->ids, &numbering->distinct, error);
    if (status != CRS_OK)
        crs__numbering_free(numbering);
    return status;
}

void crs__numbering_free(crs__numbering *numbering) {
    free_maps(numbering->ids, numbering->shards);
    free_maps(numbering->classes, numbering->shards);
    *numbering = (crs__numbering){0};
}
