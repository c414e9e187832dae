/* Datasets from a file: out of a cache, or by the reader, the builder and their threads. */
#include "cache.h"
#include "fail.h"

#include <stdio.h>
#include <string.h>

static crs_status read_all(crs_dataset_builder *builder, crs_reader *reader, const char *path, crs_encoder **fitted,
                           crs_dataset **dataset, crs_error *error) {
    const int64_t limit = builder->made ? builder->config.rows : 0;
    int64_t skipped = 0;
    crs_status status = crs__builder_read(builder, reader, limit, &skipped, error);
    if (status != CRS_OK) {
        crs_dataset_builder_free(builder);
        return status;
    }
    status = crs_dataset_builder_finish(builder, fitted, dataset, error);
    if (status != CRS_OK) {
        if (error)
            snprintf(error->file, sizeof error->file, "%s", strcmp(path, "-") == 0 ? "standard input" : path);
        return status;
    }
    crs_dataset_stats *stats = &(*dataset)->stats;
    stats->skipped = skipped + crs_reader_skipped(reader);
    snprintf(stats->note, sizeof stats->note, "%s", crs_reader_note(reader));
    return CRS_OK;
}

static crs_status read_text(const char *path, const crs_config *config, const crs_encoder *encoder,
                            crs_encoder **fitted, crs_dataset **dataset, crs_error *error) {
    crs_reader *reader;
    crs_dataset_builder *builder;
    CRS_TRY(crs_reader_open(path, config, &reader, error));
    crs_status status = crs_dataset_builder_create(config, encoder, &builder);
    if (status != CRS_OK)
        crs__fail(error, status, "cannot start a dataset", "check length, vocabulary and filters, and the memory left");
    else
        status = read_all(builder, reader, path, fitted, dataset, error);
    crs_reader_close(reader);
    return status;
}

/* Keeps what was read, and maps it in the place of the memory that holds it, which is given back. */
static void keep(crs__cache *cache, const char *former, crs_encoder **fitted, crs_dataset **dataset) {
    crs_dataset *read = *dataset, *mapped;
    char why[CRS__CACHE_NOTE], *note = read->stats.cache;
    const size_t size = sizeof read->stats.cache;
    crs_error error = {0};
    if (crs__cache_save(cache, fitted ? *fitted : NULL, read, &error) != CRS_OK) {
        snprintf(note, size, "no cache: %.300s: %.150s", cache->path, error.what);
        return;
    }
    if (!crs__cache_load(cache, NULL, &mapped, why)) {
        snprintf(note, size, "no cache: %.300s, just written, %.150s", cache->path, why[0] ? why : "is gone");
        return;
    }
    if (former[0])
        snprintf(note, size, "the cache %.300s %.150s; made it again", cache->path, former);
    else
        snprintf(note, size, "wrote the cache %.300s", cache->path);
    memcpy(mapped->stats.cache, note, size);
    crs_dataset_free(read);
    *dataset = mapped;
}

crs_status crs_dataset_read(const char *path, const crs_config *config, const crs_encoder *encoder,
                            crs_encoder **fitted, crs_dataset **dataset, crs_error *error) {
    char why[CRS__CACHE_NOTE];
    crs__cache cache;
    *dataset = NULL;
    if (fitted)
        *fitted = NULL;
    if (config->format == CRS_FORMAT_LINES)
        return crs__fail_at(error, CRS_ERR_CONFIG, path, 0, -1, "the format lines has no labels",
                            "use a format with labels: fasttext, csv, tsv or folder");
    if (!config->cache[0] || (!encoder && !fitted))
        return read_text(path, config, encoder, fitted, dataset, error);
    const int usable = crs__cache_find(&cache, path, config, encoder, why);
    if (usable && crs__cache_load(&cache, encoder ? NULL : fitted, dataset, why)) {
        snprintf((*dataset)->stats.cache, sizeof(*dataset)->stats.cache, "taken from the cache %.300s", cache.path);
        return CRS_OK;
    }
    if (usable)
        crs__cache_prepare(&cache);
    CRS_TRY(read_text(path, config, encoder, fitted, dataset, error));
    if (usable)
        keep(&cache, why, encoder ? NULL : fitted, dataset);
    else
        snprintf((*dataset)->stats.cache, sizeof(*dataset)->stats.cache, "%s", why);
    return CRS_OK;
}
