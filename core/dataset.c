/* Datasets, asked. Building one is in dataset_build.c, reading one from a file in dataset_read.c. */
#include "dataset_build.h"

#include <stdlib.h>
#include <sys/mman.h>

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
    if (dataset->mapping) {
        munmap(dataset->mapping, dataset->mapping_size);
    } else {
        free(dataset->ids);
        free(dataset->starts);
        free(dataset->labels);
    }
    free(dataset);
}
