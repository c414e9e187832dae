/* Where a gradient check takes its batches from: rows of a dataset as training would, or random ones. */
#include "fail.h"
#include "gradcheck.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

/* ---- random data ---- */

static crs_status allocate_random(crs__check_source *source, crs_error *error) {
    const size_t B = (size_t)source->B;
    if (source->B > CRS__STEPS_TIMES_ROWS_MAX / source->T)
        return crs__fail(error, CRS_ERR_MEMORY, "a batch of %lld steps and %lld rows is too large",
                         "use a smaller batch or length", (long long)source->T, (long long)source->B);
    source->ids = calloc((size_t)source->T * B, sizeof *source->ids);
    source->start = calloc(B, sizeof *source->start);
    source->len = calloc(B, sizeof *source->len);
    source->labels = calloc(B, sizeof *source->labels);
    if (!source->ids || !source->start || !source->len || !source->labels)
        return crs__fail_memory(error, ((size_t)source->T + 3) * B * sizeof *source->ids, "a batch");
    return CRS_OK;
}

/* Rows of all lengths: the first are of all steps, of none and of one. */
static int64_t draw_length(crs__random *random, int64_t row, int64_t T) {
    const int64_t drawn = crs__random_below(random, T + 1);
    return row == 0 ? T : row == 1 ? 0 : row == 2 ? 1 : drawn;
}

static crs_batch draw_batch(crs__check_source *source, int64_t step) {
    const crs_gradcheck_options *options = source->options;
    const int64_t T = source->T, B = source->B;
    crs__random random = crs__random_of(options->config->seed, CRS__RANDOM_CHECK, CRS__CHECK_BATCH, (uint64_t)step);
    memset(source->ids, 0, (size_t)(T * B) * sizeof *source->ids);
    for (int64_t b = 0; b < B; b++) {
        const int64_t len = draw_length(&random, b, T), start = options->config->pad == CRS_SIDE_PRE ? T - len : 0;
        for (int64_t t = start; t < start + len; t++)
            source->ids[t * B + b] = (int32_t)(1 + crs__random_below(&random, options->vocabulary - 1));
        source->start[b] = (int32_t)start;
        source->len[b] = (int32_t)len;
        source->labels[b] = (int32_t)crs__random_below(&random, options->classes);
    }
    const int mask = options->config->mask;
    return (crs_batch){.T = T,
                       .B = B,
                       .ids = source->ids,
                       .start = mask ? source->start : NULL,
                       .len = mask ? source->len : NULL,
                       .labels = source->labels};
}

/* ---- either ---- */

crs_status crs__check_source_create(const crs_gradcheck_options *options, int full_length, crs__check_source *source,
                                    crs_error *error) {
    const crs_config *config = options->config;
    *source = (crs__check_source){.options = options, .T = config->length, .B = config->batch, .steps_per_epoch = 1};
    if (!options->dataset)
        return allocate_random(source, error);
    CRS_TRY(crs__batches_create(options->dataset, config, NULL, 0, options->classes, config->batch, full_length,
                                &source->rows, error));
    source->T = source->rows.T;
    source->B = source->rows.B;
    crs__batches_shuffle(&source->rows, 1);
    source->steps_per_epoch = source->rows.batches;
    return CRS_OK;
}

void crs__check_source_free(crs__check_source *source) {
    if (source->rows.count > 0)
        crs__batches_free(&source->rows);
    free(source->ids);
    free(source->start);
    free(source->len);
    free(source->labels);
    *source = (crs__check_source){0};
}

crs_batch crs__check_source_get(crs__check_source *source, int64_t step) {
    if (source->rows.count == 0)
        return draw_batch(source, step);
    const int64_t epoch = step / source->steps_per_epoch + 1;
    if (epoch != source->rows.epoch)
        crs__batches_shuffle(&source->rows, epoch);
    return crs__batches_get(&source->rows, step % source->steps_per_epoch);
}
