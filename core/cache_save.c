/* Writing a cache. */
#include "cache.h"

#include "fail.h"
#include "file.h"
#include "hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static crs__cache_header describe(const crs__cache *cache, const crs_encoder *encoder, const crs_dataset *d,
                                  uint64_t content, uint64_t encoder_size) {
    const crs_dataset_stats *s = &d->stats;
    crs__cache_header header = {.magic = "crscache",
                                .version = CRS__CACHE_VERSION,
                                .stamp = cache->stamp,
                                .content = content,
                                .id_bytes = d->id_bytes,
                                .rows = (uint64_t)s->rows,
                                .tokens = (uint64_t)s->tokens,
                                .vocabulary = (uint64_t)crs_encoder_vocabulary(encoder),
                                .classes = (uint64_t)crs_encoder_classes(encoder),
                                .key_size = cache->key_size,
                                .encoder_size = encoder_size,
                                .skipped = (uint64_t)s->skipped,
                                .cut_rows = (uint64_t)s->cut_rows,
                                .oov_tokens = (uint64_t)s->oov_tokens,
                                .empty_rows = (uint64_t)s->empty_rows,
                                .distinct_tokens = (uint64_t)s->distinct_tokens,
                                .longest = (uint64_t)s->longest};
    memcpy(header.note, s->note, sizeof header.note);
    return header;
}

static void seal(crs__cache_header *header, const void *const sections[CRS__CACHE_SECTIONS],
                 const uint64_t sizes[CRS__CACHE_SECTIONS]) {
    header->file_size = sizeof *header;
    for (int s = 0; s < CRS__CACHE_SECTIONS; s++) {
        header->file_size += crs__cache_padded(sizes[s]);
        for (uint64_t at = 0; at < sizes[s]; at += CRS__CACHE_BLOCK) {
            const uint64_t left = sizes[s] - at;
            header->body = crs__hash((const char *)sections[s] + at,
                                     left < CRS__CACHE_BLOCK ? (size_t)left : CRS__CACHE_BLOCK, header->body);
        }
    }
    header->self = crs__cache_header_hash(header);
}

static crs_status write_sections(const char *path, const crs__cache_header *header,
                                 const void *const sections[CRS__CACHE_SECTIONS],
                                 const uint64_t sizes[CRS__CACHE_SECTIONS], crs_error *error) {
    static const char zeros[8];
    crs__output output;
    CRS_TRY(crs__output_open(&output, path, 1, error));
    /* What fails here is told by closing. */
    fwrite(header, sizeof *header, 1, output.stream);
    for (int s = 0; s < CRS__CACHE_SECTIONS && !ferror(output.stream); s++) {
        if (sizes[s] > 0)
            fwrite(sections[s], 1, (size_t)sizes[s], output.stream);
        fwrite(zeros, 1, (size_t)(crs__cache_padded(sizes[s]) - sizes[s]), output.stream);
    }
    return crs__output_close(&output, error);
}

void crs__cache_prepare(crs__cache *cache) {
    /* Where it cannot be read, neither can what follows. */
    if (!cache->stamp.settled)
        (void)crs__cache_content(cache->data, &cache->before);
}

/* The data file's content, if it is the one that was read. Times that are not settled do not tell, so that the content
 * before has to be the same too. */
static crs_status take_content(const crs__cache *cache, uint64_t *content, crs_error *error) {
    struct stat info;
    if (crs__cache_content(cache->data, content) != CRS_OK)
        return crs__fail(error, CRS_ERR_IO, "the data file cannot be read again", NULL);
    crs__cache_stamp now = {0};
    if (stat(cache->data, &info) == 0)
        now = crs__cache_stamp_of(&info);
    if (!crs__cache_same(&now, &cache->stamp) || (!cache->stamp.settled && *content != cache->before))
        return crs__fail(error, CRS_ERR_IO, "the data file changed while it was read", NULL);
    return CRS_OK;
}

crs_status crs__cache_save(crs__cache *cache, const crs_encoder *fitted, const crs_dataset *dataset, crs_error *error) {
    uint64_t content, sizes[CRS__CACHE_SECTIONS];
    char *json = NULL;
    CRS_TRY(take_content(cache, &content, error));
    if (fitted && crs_encoder_to_json(fitted, &json) != CRS_OK)
        return crs__fail(error, CRS_ERR_MEMORY, "out of memory for the encoder's JSON", NULL);
    crs__cache_header header =
        describe(cache, fitted ? fitted : cache->encoder, dataset, content, json ? strlen(json) + 1 : 0);
    const void *const sections[CRS__CACHE_SECTIONS] = {cache->key, dataset->starts, dataset->labels, json,
                                                       dataset->ids};
    crs__cache_sizes(&header, sizes);
    seal(&header, sections, sizes);
    const crs_status status = write_sections(cache->path, &header, sections, sizes, error);
    cache->written = status == CRS_OK;
    cache->body = header.body;
    cache->vocabulary = header.vocabulary;
    cache->classes = header.classes;
    free(json);
    return status;
}
