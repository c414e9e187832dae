/* Setting rows aside for validation. */
#include "fail.h"
#include "random.h"

#include <carousel/trainer.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Marks the last rows, from where Keras' validation_split cuts. */
static int64_t mark_last(double fraction, int64_t rows, char *aside) {
    const int64_t train = (int64_t)((double)rows * (1 - fraction));
    memset(aside, 0, (size_t)train);
    memset(aside + train, 1, (size_t)(rows - train));
    return rows - train;
}

/* How many rows of each class are set aside: the fraction to the nearest whole, but never all; where that is none at
 * all, one of the largest class. */
static int64_t share_out(double fraction, const int64_t *counts, int64_t classes, int64_t *shares) {
    int64_t total = 0, largest = 0;
    for (int64_t c = 0; c < classes; c++) {
        const int64_t nearest = llround(fraction * (double)counts[c]);
        shares[c] = nearest < counts[c] ? nearest : counts[c] - (counts[c] > 0);
        total += shares[c];
        largest = counts[c] > counts[largest] ? c : largest;
    }
    if (total > 0 || counts[largest] < 2)
        return total;
    shares[largest] = 1;
    return 1;
}

/* Marks each class's share of rows, drawn at random: the rows are grouped by class, each group is shuffled. */
static int64_t mark_stratified(const crs_dataset *dataset, const crs_config *config, int64_t classes, int64_t *numbers,
                               char *aside) {
    const int64_t rows = crs_dataset_rows(dataset);
    int64_t *grouped = numbers, *counts = numbers + rows, *begins = counts + classes, *shares = begins + classes;
    memset(aside, 0, (size_t)rows);
    for (int64_t r = 0; r < rows; r++)
        counts[crs_dataset_label(dataset, r)]++;
    for (int64_t c = 1; c < classes; c++)
        begins[c] = begins[c - 1] + counts[c - 1];
    const int64_t total = share_out(config->validation, counts, classes, shares);
    for (int64_t r = 0; r < rows; r++)
        grouped[begins[crs_dataset_label(dataset, r)]++] = r;
    for (int64_t c = 0; c < classes; c++) {
        crs__random random = crs__random_of(config->seed, CRS__RANDOM_SPLIT, (uint64_t)c, 0);
        int64_t *group = grouped + begins[c] - counts[c];
        crs__random_shuffle(&random, group, counts[c]);
        for (int64_t i = 0; i < shares[c]; i++)
            aside[group[i]] = 1;
    }
    return total;
}

static crs_status mark(const crs_dataset *dataset, const crs_config *config, char *aside, int64_t *total,
                       crs_error *error) {
    const int64_t rows = crs_dataset_rows(dataset);
    if (config->validation_split == CRS_SPLIT_LAST) {
        *total = mark_last(config->validation, rows, aside);
        return CRS_OK;
    }
    int64_t classes = 1;
    for (int64_t r = 0; r < rows; r++)
        classes = crs_dataset_label(dataset, r) >= classes ? crs_dataset_label(dataset, r) + 1 : classes;
    int64_t *numbers = calloc((size_t)rows + 3 * (size_t)classes, sizeof *numbers);
    if (!numbers)
        return crs__fail_memory(error, ((size_t)rows + 3 * (size_t)classes) * sizeof *numbers, "splitting rows");
    *total = mark_stratified(dataset, config, classes, numbers, aside);
    free(numbers);
    return CRS_OK;
}

static crs_status check_counts(const crs_config *config, int64_t rows, int64_t total, crs_error *error) {
    if (total > 0 && total < rows)
        return CRS_OK;
    return crs__fail(error, CRS_ERR_CONFIG, "a validation fraction of %g of %lld rows leaves no row for %s",
                     total > 0 ? "set a smaller one" : "set a larger one, use more rows, or none with --validation 0",
                     config->validation, (long long)rows, total > 0 ? "training" : "validation");
}

crs_status crs_split_rows(const crs_dataset *dataset, const crs_config *config, int64_t **train, int64_t *train_count,
                          int64_t **validation, int64_t *validation_count, crs_error *error) {
    const int64_t rows = crs_dataset_rows(dataset);
    int64_t total = 0;
    *train = *validation = NULL;
    *train_count = *validation_count = 0;
    if (!(config->validation > 0 && config->validation < 1))
        return crs__fail(error, CRS_ERR_CONFIG, "a validation fraction of %g splits nothing",
                         "set validation to more than 0 and less than 1", config->validation);
    char *aside = malloc((size_t)rows + 1);
    if (!aside)
        return crs__fail_memory(error, (size_t)rows + 1, "splitting rows");
    crs_status status = mark(dataset, config, aside, &total, error);
    if (status == CRS_OK)
        status = check_counts(config, rows, total, error);
    if (status == CRS_OK) {
        *train = malloc((size_t)(rows - total) * sizeof **train);
        *validation = malloc((size_t)total * sizeof **validation);
        if (!*train || !*validation) {
            free(*train);
            free(*validation);
            *train = *validation = NULL;
            status = crs__fail_memory(error, (size_t)rows * sizeof **train, "splitting rows");
        }
    }
    for (int64_t r = 0; status == CRS_OK && r < rows; r++) {
        if (aside[r])
            (*validation)[(*validation_count)++] = r;
        else
            (*train)[(*train_count)++] = r;
    }
    free(aside);
    return status;
}
