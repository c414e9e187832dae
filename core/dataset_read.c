/* Datasets from a file: by the reader, the builder and their threads. */
#include "dataset_build.h"
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

crs_status crs_dataset_read(const char *path, const crs_config *config, const crs_encoder *encoder,
                            crs_encoder **fitted, crs_dataset **dataset, crs_error *error) {
    *dataset = NULL;
    if (fitted)
        *fitted = NULL;
    if (config->format == CRS_FORMAT_LINES)
        return crs__fail_at(error, CRS_ERR_CONFIG, path, 0, -1, "the format lines has no labels",
                            "use a format with labels: fasttext, csv, tsv or folder");
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
