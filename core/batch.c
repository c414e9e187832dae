/* Batches: the order of a pass over rows, and the rows' ids made time-major. Not the text (dataset.c), and nothing that
 * a network computes. */
#include "batch.h"

#include "fail.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

enum { CRS_WINDOW_BATCHES = 64 }; /* enough rows that a batch is of nearly one length, few enough to stay random */

/* ---- what is asked for ---- */

/* Takes the rows over, each one checked. */
static crs_status choose_rows(crs__batches *batches, const int64_t *chosen, int64_t classes, crs_error *error) {
    const crs_dataset *dataset = batches->dataset;
    const int64_t rows = crs_dataset_rows(dataset), length = batches->config->length;
    for (int64_t i = 0; i < batches->count; i++) {
        const int64_t row = chosen ? chosen[i] : i;
        if (row < 0 || row >= rows)
            return crs__fail(error, CRS_ERR_ARGUMENT, "row %lld is not in the dataset", "row numbers go from 0 to %lld",
                             (long long)row, (long long)(rows - 1));
        const int64_t ids = crs_dataset_length(dataset, row), label = crs_dataset_label(dataset, row);
        if (ids > length)
            return crs__fail(error, CRS_ERR_ARGUMENT, "row %lld has %lld tokens, but the length is %lld",
                             "read the dataset with the same settings", (long long)row, (long long)ids,
                             (long long)length);
        if (label < 0 || label >= classes)
            return crs__fail(error, CRS_ERR_ARGUMENT, "row %lld is of class %lld, but the model has %lld classes",
                             "read the dataset with the model's encoder", (long long)row, (long long)label,
                             (long long)classes);
        batches->chosen[i] = row;
        batches->longest = ids > batches->longest ? ids : batches->longest;
    }
    return CRS_OK;
}

static crs_status allocate_rows(crs__batches *batches, crs_error *error) {
    const int64_t n = batches->count;
    batches->chosen = calloc((size_t)n, sizeof *batches->chosen);
    batches->order = calloc((size_t)n, sizeof *batches->order);
    batches->spare = calloc((size_t)n, sizeof *batches->spare);
    batches->first = calloc((size_t)(n + 1), sizeof *batches->first);
    if (!batches->chosen || !batches->order || !batches->spare || !batches->first)
        return crs__fail_memory(error, (size_t)n * 4 * sizeof(int64_t), "the order of the rows");
    return CRS_OK;
}

/* Time steps of a batch whose longest row has `longest` ids. */
static int64_t steps_of(const crs__batches *batches, int64_t longest) {
    if (batches->full_length)
        return batches->config->length;
    return longest > 0 ? longest : 1;
}

static crs_status allocate_batch(crs__batches *batches, int64_t rows_per_batch, crs_error *error) {
    const int64_t T = steps_of(batches, batches->longest);
    const int64_t B = rows_per_batch < batches->count ? rows_per_batch : batches->count;
    batches->T = T;
    batches->B = B;
    const int64_t ids = T > INT64_MAX / B ? INT64_MAX : T * B;
    batches->ids = calloc((size_t)ids, sizeof *batches->ids);
    batches->start = calloc((size_t)B, sizeof *batches->start);
    batches->len = calloc((size_t)B, sizeof *batches->len);
    batches->labels = calloc((size_t)B, sizeof *batches->labels);
    batches->row = calloc((size_t)(batches->longest + 1), sizeof *batches->row);
    batches->counts = calloc((size_t)(batches->longest + 2), sizeof *batches->counts);
    if (!batches->ids || !batches->start || !batches->len || !batches->labels || !batches->row || !batches->counts)
        return crs__fail_memory(error, (uint64_t)ids > SIZE_MAX / sizeof(int32_t) ? SIZE_MAX : (size_t)ids * 4,
                                "a batch");
    return CRS_OK;
}

crs_status crs__batches_create(const crs_dataset *dataset, const crs_config *config, const int64_t *rows, int64_t count,
                               int64_t classes, int64_t rows_per_batch, int full_length, crs__batches *batches,
                               crs_error *error) {
    *batches = (crs__batches){.dataset = dataset, .config = config, .full_length = full_length || !config->mask};
    batches->count = rows ? count : crs_dataset_rows(dataset);
    if (batches->count < 1)
        return crs__fail(error, CRS_ERR_ARGUMENT, "there are no rows", "give at least one row");
    if (rows_per_batch < 1 || config->length < 1)
        return crs__fail(error, CRS_ERR_CONFIG, "a batch of %lld rows of length %lld has no room for a token",
                         "set both batch and length to 1 or more", (long long)rows_per_batch,
                         (long long)config->length);
    crs_status status = allocate_rows(batches, error);
    if (status == CRS_OK)
        status = choose_rows(batches, rows, classes, error);
    if (status == CRS_OK)
        status = allocate_batch(batches, rows_per_batch, error);
    if (status != CRS_OK)
        crs__batches_free(batches);
    return status;
}

void crs__batches_free(crs__batches *batches) {
    free(batches->chosen);
    free(batches->order);
    free(batches->spare);
    free(batches->counts);
    free(batches->first);
    free(batches->ids);
    free(batches->start);
    free(batches->len);
    free(batches->labels);
    free(batches->row);
    *batches = (crs__batches){0};
}

/* ---- the order of a pass ---- */

static int64_t length_at(const crs__batches *batches, int64_t place) {
    return crs_dataset_length(batches->dataset, batches->chosen[place]);
}

/* Sorts places [count] by length, keeping the order of equal ones. */
static void sort_by_length(crs__batches *batches, int64_t *places, int64_t count) {
    int64_t *below = batches->counts;
    memset(below, 0, (size_t)(batches->longest + 2) * sizeof *below);
    for (int64_t i = 0; i < count; i++)
        below[length_at(batches, places[i]) + 1]++;
    for (int64_t length = 0; length < batches->longest; length++)
        below[length + 1] += below[length];
    for (int64_t i = 0; i < count; i++)
        batches->spare[below[length_at(batches, places[i])]++] = places[i];
    memcpy(places, batches->spare, (size_t)count * sizeof *places);
}

/* Cuts the order every B rows. */
static void cut_evenly(crs__batches *batches) {
    batches->batches = 0;
    for (int64_t at = 0; at < batches->count; at += batches->B)
        batches->first[batches->batches++] = at;
    batches->first[batches->batches] = batches->count;
}

/* Shuffles whole batches: afterwards they lie in their new order, the short one wherever it fell. */
static void shuffle_batches(crs__batches *batches, crs__random *random) {
    const int64_t B = batches->B, n = batches->batches, last = batches->count - (n - 1) * B;
    for (int64_t i = 0; i < n; i++)
        batches->first[i] = i;
    crs__random_shuffle(random, batches->first, n);
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t old = batches->first[i], rows = old == n - 1 ? last : B;
        memcpy(batches->spare + at, batches->order + old * B, (size_t)rows * sizeof *batches->spare);
        batches->first[i] = at;
        at += rows;
    }
    int64_t *order = batches->order;
    batches->order = batches->spare;
    batches->spare = order;
}

void crs__batches_shuffle(crs__batches *batches, int64_t epoch) {
    crs__random random = crs__random_of(batches->config->seed, CRS__RANDOM_SHUFFLE, (uint64_t)epoch, 0);
    batches->epoch = epoch;
    for (int64_t i = 0; i < batches->count; i++)
        batches->order[i] = i;
    crs__random_shuffle(&random, batches->order, batches->count);
    cut_evenly(batches);
    if (!batches->config->bucket || batches->full_length)
        return;
    for (int64_t b = 0; b < batches->batches; b += CRS_WINDOW_BATCHES) {
        const int64_t beyond = b + CRS_WINDOW_BATCHES < batches->batches ? b + CRS_WINDOW_BATCHES : batches->batches;
        sort_by_length(batches, batches->order + batches->first[b], batches->first[beyond] - batches->first[b]);
    }
    shuffle_batches(batches, &random);
}

void crs__batches_sort(crs__batches *batches) {
    batches->epoch = 0;
    for (int64_t i = 0; i < batches->count; i++)
        batches->order[i] = i;
    sort_by_length(batches, batches->order, batches->count);
    cut_evenly(batches);
}

/* ---- one batch ---- */

static void drop_words(const crs__batches *batches, int64_t row, int32_t *ids, int64_t count) {
    crs__random random =
        crs__random_of(batches->config->seed, CRS__RANDOM_WORDS, (uint64_t)batches->epoch, (uint64_t)row);
    for (int64_t i = 0; i < count; i++)
        if (crs__random_unit(&random) < batches->config->word_dropout)
            ids[i] = CRS_ID_OOV;
}

crs_batch crs__batches_get(crs__batches *batches, int64_t index) {
    const crs_config *config = batches->config;
    const int64_t *places = crs__batches_places(batches, index);
    const int64_t B = batches->first[index + 1] - batches->first[index];
    int64_t longest = 0;
    for (int64_t b = 0; b < B; b++) {
        const int64_t length = length_at(batches, places[b]);
        longest = length > longest ? length : longest;
    }
    const int64_t T = steps_of(batches, longest);
    memset(batches->ids, 0, (size_t)(T * B) * sizeof *batches->ids);
    for (int64_t b = 0; b < B; b++) {
        const int64_t row = batches->chosen[places[b]], length = length_at(batches, places[b]);
        const int64_t start = config->pad == CRS_SIDE_PRE ? T - length : 0;
        crs_dataset_ids(batches->dataset, row, batches->row);
        if (batches->epoch > 0 && config->word_dropout > 0)
            drop_words(batches, row, batches->row, length);
        for (int64_t t = 0; t < length; t++)
            batches->ids[(start + t) * B + b] = batches->row[t];
        batches->start[b] = (int32_t)start;
        batches->len[b] = (int32_t)length;
        batches->labels[b] = (int32_t)crs_dataset_label(batches->dataset, row);
    }
    return (crs_batch){.T = T,
                       .B = B,
                       .ids = batches->ids,
                       .start = config->mask ? batches->start : NULL,
                       .len = config->mask ? batches->len : NULL,
                       .labels = batches->labels};
}

const int64_t *crs__batches_places(const crs__batches *batches, int64_t index) {
    return batches->order + batches->first[index];
}

int64_t crs__batch_tokens(const crs_batch *batch) {
    if (!batch->len)
        return batch->T * batch->B;
    int64_t tokens = 0;
    for (int64_t b = 0; b < batch->B; b++)
        tokens += batch->len[b];
    return tokens;
}
