/* A dataset from within, for the builder and for reading files into one. */
#ifndef CRS_DATASET_BUILD_H
#define CRS_DATASET_BUILD_H

#include "shard.h"

#include <carousel/dataset.h>

/* Rows of ids, one after the other in one block. */
struct crs_dataset {
    void *ids;       /* uint16_t or uint32_t: [tokens] */
    size_t id_bytes; /* 2 or 4 */
    int64_t *starts; /* [rows + 1], in ids */
    int32_t *labels; /* [rows] */
    void *mapping;   /* the file that holds all of these, [mapping_size] bytes, or NULL: they are allocated */
    size_t mapping_size;
    crs_dataset_stats stats;
};

/* Rows are added to shards, one of which each thread has to itself, and pieces of rows to the builder, where their
 * numbers say in which order they stand. */
struct crs_dataset_builder {
    crs_config config;
    const crs_encoder *encoder; /* the one given, or made */
    crs_encoder *made;          /* while fitting, else NULL */
    crs__shard *shards;
    size_t shard_count;
    crs__piece **pieces; /* [piece_count], without gaps once all are there */
    size_t piece_count, piece_capacity;
};

/* Makes `count` shards of one that nothing was added to. */
crs_status crs__builder_split(crs_dataset_builder *builder, size_t count);
/* Takes the rows that were added to the shard since the last time, as the piece of that number. Not to be called by two
 * threads at once. */
crs_status crs__builder_take(crs_dataset_builder *builder, size_t shard, size_t number);

/* Adds what the reader gives, but at most `limit` good rows (0: all), by this thread and as many others as config's
 * threads allow. The result does not depend on their number: neither the dataset nor which error is given. */
crs_status crs__builder_read(crs_dataset_builder *builder, crs_reader *reader, int64_t limit, int64_t *skipped,
                             crs_error *error);

/* What the numbers of each shard mean, once the encoder is made: ids and classes. */
typedef struct crs__numbering {
    uint32_t **ids, **classes; /* [shards][numbers]; NULL: nothing was fitted, numbers are ids and classes */
    size_t shards;
    int64_t distinct; /* tokens before the vocabulary was cut */
} crs__numbering;

/* Makes the encoder of all that was added, `rows` rows. The shards' counters are used up. */
crs_status crs__numbering_make(crs_dataset_builder *builder, int64_t rows, crs__numbering *numbering, crs_error *error);
void crs__numbering_free(crs__numbering *numbering);

#endif
