/* Datasets: read from a file, and asked. Building one is in dataset_build.c. */
#include "dataset_build.h"
#include "fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- from a file ---- */

/* Says where in the input an error of the builder's belongs. */
static crs_status place(crs_error *error, crs_status status, const char *file, int64_t line) {
    if (error && status != CRS_OK) {
        snprintf(error->file, sizeof error->file, "%s", strcmp(file, "-") == 0 ? "standard input" : file);
        error->line = line;
    }
    return status;
}

/* At most `limit` good rows, where it is not 0. */
static crs_status add_rows(crs_dataset_builder *builder, crs_reader *reader, int skip_bad, int64_t limit,
                           crs_dataset_stats *counted, crs_error *error) {
    crs_row row;
    for (int64_t added = 0; limit == 0 || added < limit;) {
        int end, bad;
        CRS_TRY(crs_reader_next(reader, &row, &end, error));
        if (end)
            break;
        crs_status status = crs__builder_add(builder, row.text, row.text_size, row.label, row.label_size, &bad, error);
        if (status != CRS_OK && !(bad && skip_bad))
            return place(error, status, row.file, row.line);
        counted->skipped += status != CRS_OK;
        added += status == CRS_OK;
    }
    counted->skipped += crs_reader_skipped(reader);
    snprintf(counted->note, sizeof counted->note, "%s", crs_reader_note(reader));
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
    if (status != CRS_OK) {
        crs_reader_close(reader);
        return crs__fail(error, status, "cannot start a dataset",
                         "check length, vocabulary and filters, and the memory left");
    }
    crs_dataset_stats counted = {0};
    status = add_rows(builder, reader, config->skip_bad, encoder ? 0 : config->rows, &counted, error);
    crs_reader_close(reader);
    if (status != CRS_OK) {
        crs_dataset_builder_free(builder);
        return status;
    }
    CRS_TRY(place(error, crs_dataset_builder_finish(builder, fitted, dataset, error), path, 0));
    (*dataset)->stats.skipped = counted.skipped;
    memcpy((*dataset)->stats.note, counted.note, sizeof counted.note);
    return CRS_OK;
}

/* ---- asking ---- */

int64_t crs_dataset_rows(const crs_dataset *dataset) {
    return dataset->stats.rows;
}

int64_t crs_dataset_length(const crs_dataset *dataset, int64_t row) {
    return dataset->starts[row + 1] - dataset->starts[row];
}

int64_t crs_dataset_label(const crs_dataset *dataset, int64_t row) {
    return dataset->labels[row];
}

void crs_dataset_ids(const crs_dataset *dataset, int64_t row, int32_t *ids) {
    int64_t start = dataset->starts[row], count = crs_dataset_length(dataset, row);
    const uint16_t *narrow = dataset->ids;
    const uint32_t *wide = dataset->ids;
    for (int64_t i = 0; i < count; i++)
        ids[i] = dataset->id_bytes == 2 ? narrow[start + i] : (int32_t)wide[start + i];
}

const crs_dataset_stats *crs_dataset_statistics(const crs_dataset *dataset) {
    return &dataset->stats;
}

void crs_dataset_free(crs_dataset *dataset) {
    if (!dataset)
        return;
    free(dataset->ids);
    free(dataset->starts);
    free(dataset->labels);
    free(dataset);
}
