/* Taking a dataset out of a cache. The file is read once, block by block, to be checked, and only then mapped: pages of
 * the mapping come into memory as training asks for them, and the system may take them back. */
#include "cache.h"

#include "fail.h"
#include "hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A cache being looked at. */
typedef struct candidate {
    int descriptor;
    crs__cache_header header;
    uint64_t sizes[CRS__CACHE_SECTIONS], begins[CRS__CACHE_SECTIONS];
    char *block; /* [CRS__CACHE_BLOCK] */
    int64_t end; /* of the last row looked at, in ids */
    int64_t longest;
    char *encoder;   /* its JSON */
    const char *why; /* it is not to be used */
} candidate;

static int read_exactly(int descriptor, void *bytes, size_t size, uint64_t at) {
    for (size_t done = 0; done < size;) {
        const ssize_t got = pread(descriptor, (char *)bytes + done, size - done, (off_t)(at + done));
        if (got <= 0)
            return 0;
        done += (size_t)got;
    }
    return 1;
}

/* ---- the header ---- */

static const char *check_header(candidate *c, const crs__cache *cache) {
    const crs__cache_header *header = &c->header;
    struct stat info;
    if (fstat(c->descriptor, &info) != 0 || !read_exactly(c->descriptor, &c->header, sizeof c->header, 0) ||
        memcmp(header->magic, "crscache", sizeof header->magic) != 0)
        return "is damaged";
    if (header->version != CRS__CACHE_VERSION)
        return "is of another release";
    if (header->self != crs__cache_header_hash(header) || !crs__cache_sizes(header, c->sizes))
        return "is damaged";
    uint64_t at = sizeof *header;
    for (int s = 0; s < CRS__CACHE_SECTIONS; s++) {
        c->begins[s] = at;
        at += crs__cache_padded(c->sizes[s]);
    }
    if (at != header->file_size || at != (uint64_t)info.st_size)
        return "is cut off";
    if (header->key_size != cache->key_size || header->rows < 1 || (header->id_bytes != 2 && header->id_bytes != 4) ||
        (header->encoder_size > 0) != !cache->encoder || !memchr(header->note, 0, sizeof header->note))
        return "is damaged";
    return NULL;
}

/* Another process may put its own in the place of one that was just written. */
static const char *check_written(const candidate *c, const crs__cache *cache) {
    const crs__cache_header *header = &c->header;
    if (cache->written &&
        (header->body != cache->body || header->vocabulary != cache->vocabulary || header->classes != cache->classes))
        return "was replaced by another";
    return NULL;
}

/* Whether the data file is what it was. Where its time or place have changed, its content decides. */
static const char *check_stamp(candidate *c, const crs__cache *cache) {
    uint64_t content;
    if (c->header.stamp.settled && crs__cache_same(&c->header.stamp, &cache->stamp))
        return NULL;
    if (c->header.stamp.size != cache->stamp.size || crs__cache_content(cache->data, &content) != CRS_OK ||
        content != c->header.content)
        return "is of an older state of the data";
    return NULL;
}

/* The same content is known by its new stamp the next time. Should this fail, it is hashed again. */
static void restamp(const candidate *c, const crs__cache *cache) {
    crs__cache_header header = c->header;
    if (header.stamp.settled == cache->stamp.settled && crs__cache_same(&header.stamp, &cache->stamp))
        return;
    header.stamp = cache->stamp;
    header.self = crs__cache_header_hash(&header);
    const int descriptor = open(cache->path, O_WRONLY | O_CLOEXEC);
    struct stat ours, there;
    if (descriptor < 0)
        return;
    if (fstat(c->descriptor, &ours) == 0 && fstat(descriptor, &there) == 0 && ours.st_ino == there.st_ino &&
        pwrite(descriptor, &header, sizeof header, 0) > 0)
        (void)fsync(descriptor);
    close(descriptor);
}

/* ---- the sections ---- */

static int check_key(const candidate *c, const crs__cache *cache, size_t count) {
    return count == cache->key_size && memcmp(c->block, cache->key, count) == 0;
}

static int check_starts(candidate *c, const crs__cache *cache, size_t count, int first) {
    const int64_t *starts = (const int64_t *)(const void *)c->block;
    if (first && starts[0] != 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        if (starts[i] < c->end || starts[i] > (int64_t)c->header.tokens)
            return 0;
        const int64_t length = starts[i] - c->end;
        c->longest = length > c->longest ? length : c->longest;
        c->end = starts[i];
    }
    return c->longest <= (cache->encoder ? (int64_t)cache->encoder->length : cache->config->length);
}

static int check_labels(const candidate *c, size_t count) {
    const int32_t *labels = (const int32_t *)(const void *)c->block;
    int good = 1;
    for (size_t i = 0; i < count; i++)
        good &= (uint32_t)labels[i] < c->header.classes;
    return good;
}

static int check_ids(const candidate *c, size_t count) {
    const uint16_t *narrow = (const uint16_t *)(const void *)c->block;
    const uint32_t *wide = (const uint32_t *)(const void *)c->block;
    uint32_t most = 0;
    for (size_t i = 0; i < count && c->header.id_bytes == 2; i++)
        most = narrow[i] > most ? narrow[i] : most;
    for (size_t i = 0; i < count && c->header.id_bytes == 4; i++)
        most = wide[i] > most ? wide[i] : most;
    return most < c->header.vocabulary;
}

/* The block's part of section s, from `at` on. */
static int check_block(candidate *c, const crs__cache *cache, int s, uint64_t at, size_t size) {
    switch (s) {
    case CRS__CACHE_KEY:
        return check_key(c, cache, size);
    case CRS__CACHE_STARTS:
        return check_starts(c, cache, size / sizeof(int64_t), at == 0);
    case CRS__CACHE_LABELS:
        return check_labels(c, size / sizeof(int32_t));
    case CRS__CACHE_ENCODER:
        memcpy(c->encoder + at, c->block, size);
        return 1;
    default:
        return check_ids(c, size / c->header.id_bytes);
    }
}

static const char *check_body(candidate *c, const crs__cache *cache) {
    uint64_t hash = 0;
    int good = 1;
    c->block = malloc(CRS__CACHE_BLOCK);
    c->encoder = malloc((size_t)c->header.encoder_size + 1); /* there may be none */
    if (!c->block || !c->encoder)
        return "does not fit into memory";
    for (int s = 0; s < CRS__CACHE_SECTIONS && good; s++)
        for (uint64_t at = 0; at < c->sizes[s] && good; at += CRS__CACHE_BLOCK) {
            const uint64_t left = c->sizes[s] - at;
            const size_t size = left < CRS__CACHE_BLOCK ? (size_t)left : CRS__CACHE_BLOCK;
            if (!read_exactly(c->descriptor, c->block, size, c->begins[s] + at))
                return "cannot be read";
            hash = crs__hash(c->block, size, hash);
            good = check_block(c, cache, s, at, size);
        }
    if (!good || hash != c->header.body || c->end != (int64_t)c->header.tokens ||
        c->longest != (int64_t)c->header.longest ||
        (c->header.encoder_size > 0 &&
         memchr(c->encoder, 0, (size_t)c->header.encoder_size) != c->encoder + c->header.encoder_size - 1))
        return "is damaged";
    return NULL;
}

/* ---- the dataset ---- */

static const char *take_encoder(const candidate *c, const crs__cache *cache, crs_encoder **encoder) {
    crs_error error;
    if (crs_encoder_from_json(c->encoder, cache->config, encoder, &error) != CRS_OK)
        return error.status == CRS_ERR_MEMORY ? "does not fit into memory" : "is damaged";
    if ((uint64_t)crs_encoder_vocabulary(*encoder) == c->header.vocabulary &&
        (uint64_t)crs_encoder_classes(*encoder) == c->header.classes)
        return NULL;
    crs_encoder_free(*encoder);
    *encoder = NULL;
    return "is damaged";
}

static const char *map(const candidate *c, crs_dataset **dataset) {
    const crs__cache_header *h = &c->header;
    crs_dataset *d = calloc(1, sizeof *d);
    if (!d)
        return "does not fit into memory";
    d->mapping = mmap(NULL, (size_t)h->file_size, PROT_READ, MAP_SHARED, c->descriptor, 0);
    if (d->mapping == MAP_FAILED) {
        free(d);
        return "cannot be mapped";
    }
    char *bytes = d->mapping;
    d->mapping_size = (size_t)h->file_size;
    d->id_bytes = (size_t)h->id_bytes;
    d->starts = (int64_t *)(void *)(bytes + c->begins[CRS__CACHE_STARTS]);
    d->labels = (int32_t *)(void *)(bytes + c->begins[CRS__CACHE_LABELS]);
    d->ids = bytes + c->begins[CRS__CACHE_IDS];
    d->stats = (crs_dataset_stats){.rows = (int64_t)h->rows,
                                   .skipped = (int64_t)h->skipped,
                                   .tokens = (int64_t)h->tokens,
                                   .cut_rows = (int64_t)h->cut_rows,
                                   .oov_tokens = (int64_t)h->oov_tokens,
                                   .empty_rows = (int64_t)h->empty_rows,
                                   .distinct_tokens = (int64_t)h->distinct_tokens,
                                   .longest = (int64_t)h->longest,
                                   .bytes = (size_t)h->file_size,
                                   .mapped = 1};
    memcpy(d->stats.note, h->note, sizeof d->stats.note);
    *dataset = d;
    return NULL;
}

static const char *load(candidate *c, const crs__cache *cache, crs_encoder **fitted, crs_dataset **dataset) {
    const char *why = check_header(c, cache);
    if (!why)
        why = check_written(c, cache);
    if (!why)
        why = check_stamp(c, cache);
    if (!why)
        why = check_body(c, cache);
    if (!why && cache->encoder &&
        ((uint64_t)crs_encoder_vocabulary(cache->encoder) != c->header.vocabulary ||
         (uint64_t)crs_encoder_classes(cache->encoder) != c->header.classes))
        why = "is damaged";
    if (!why && fitted)
        why = take_encoder(c, cache, fitted);
    if (!why)
        why = map(c, dataset);
    if (!why)
        restamp(c, cache);
    return why;
}

int crs__cache_load(crs__cache *cache, crs_encoder **fitted, crs_dataset **dataset, char note[CRS__CACHE_NOTE]) {
    candidate c = {.descriptor = open(cache->path, O_RDONLY | O_CLOEXEC)};
    note[0] = '\0';
    if (c.descriptor < 0) {
        if (errno != ENOENT)
            snprintf(note, CRS__CACHE_NOTE, "cannot be opened: %s", strerror(errno));
        return 0;
    }
    const char *why = load(&c, cache, fitted, dataset);
    close(c.descriptor);
    free(c.block);
    free(c.encoder);
    snprintf(note, CRS__CACHE_NOTE, "%s", why ? why : "");
    if (why && fitted) {
        crs_encoder_free(*fitted);
        *fitted = NULL;
    }
    return !why;
}
