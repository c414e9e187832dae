/* Rows of a dataset made into batches: which rows share a batch, and their ids time-major and padded. */
#ifndef CRS_BATCH_H
#define CRS_BATCH_H

#include <carousel/dataset.h>
#include <carousel/model.h>

/* One pass over a choice of rows. The arrays are of the size the largest batch needs and are used again for each. */
typedef struct crs__batches {
    const crs_dataset *dataset;
    const crs_config *config;
    int64_t count;                             /* rows of the pass */
    int64_t *chosen;                           /* [count] row numbers as given */
    int64_t *order;                            /* [count] places in chosen, in the order of the pass */
    int64_t *spare;                            /* [count] */
    int64_t *counts;                           /* [longest + 2] of the counting sort */
    int64_t batches;                           /* of the pass planned last */
    int64_t *first;                            /* [batches + 1] where in order each batch begins */
    int full_length;                           /* 1: every batch has config's length of steps */
    int64_t longest;                           /* most ids in a row */
    int64_t T, B;                              /* no batch is larger */
    int64_t limit;                             /* most ids in a batch, padding included, or 0: no matter */
    int64_t epoch;                             /* planned for training: 1-based; for evaluation: 0 */
    int32_t *ids, *start, *len, *labels, *row; /* [T * B], [B], [B], [B], [longest] */
} crs__batches;

/* Batches of at most `rows_per_batch` rows over the given rows (NULL: all, count is not read). Checks the rows: there
 * is one, each is within the dataset, no longer than config's length, and its label is below `classes`. full_length
 * (also without the mask): every batch has config's length of steps, else as many as its longest row. config and
 * dataset must outlive the batches. On failure there is nothing to free. */
crs_status crs__batches_create(const crs_dataset *dataset, const crs_config *config, const int64_t *rows, int64_t count,
                               int64_t classes, int64_t rows_per_batch, int full_length, crs__batches *batches,
                               crs_error *error);
void crs__batches_free(crs__batches *batches);

/* Plans epoch 1, 2, ...: a shuffle that depends on config's seed and the epoch alone. With bucket and mask on, rows of
 * like length share a batch: windows of 64 batches' worth of the shuffled rows are sorted by length, and the batches
 * shuffled in turn. (Without the mask every batch is as long as the settings' length: there is nothing to gain.) */
void crs__batches_shuffle(crs__batches *batches, int64_t epoch);

/* Plans an evaluation: all rows by length, those of the same length as given. */
void crs__batches_sort(crs__batches *batches);

/* The batch `index` of the plan. Its pointers stay good until the next call. In a pass for training tokens are replaced
 * as config's word_dropout asks, the same ones whenever seed, epoch and row are the same. */
crs_batch crs__batches_get(crs__batches *batches, int64_t index);

/* Places (in the rows as given) of the batch's rows: [B of the batch]. */
const int64_t *crs__batches_places(const crs__batches *batches, int64_t index);

/* Live steps of a batch. */
int64_t crs__batch_tokens(const crs_batch *batch);

#endif
