/* A dataset from within, for the builder and for reading files into one. */
#ifndef CRS_DATASET_BUILD_H
#define CRS_DATASET_BUILD_H

#include <carousel/dataset.h>

/* Rows of ids, one after the other in one block. */
struct crs_dataset {
    void *ids;       /* uint16_t or uint32_t: [tokens] */
    size_t id_bytes; /* 2 or 4 */
    int64_t *starts; /* [rows + 1], in ids */
    int32_t *labels; /* [rows] */
    crs_dataset_stats stats;
};

/* As crs_dataset_builder_add; *bad is set to 1 with an error that concerns this row only. */
crs_status crs__builder_add(crs_dataset_builder *builder, const char *text, size_t text_size, const char *label,
                            size_t label_size, int *bad, crs_error *error);

#endif
