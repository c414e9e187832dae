/* What scale.py measures of the library without the command around it: reading a file, and making an epoch's batches of
 * it. Nothing is trained and nothing is compared here.
 *
 *     bench_scale read FILE [SETTING=VALUE...]       a data set, with a vocabulary made for it, or from a cache
 *     bench_scale batches FILE [SETTING=VALUE...]    that, and then every batch of the first epoch
 *
 * The answer is a line of JSON: seconds by the clock and of the processor, and whether a cache was taken. What the
 * process took in all is its parent's to find out. */
#include "../../../core/batch.h"
#include "../numbers.h"

#include <carousel/carousel.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Since when something is measured. */
typedef struct begin {
    double clock, processor;
} begin;

static begin start_now(void) {
    return (begin){monotonic_microseconds(), (double)clock() / CLOCKS_PER_SEC};
}

static void tell(const char *name, begin from) {
    printf("\"%s\": {\"clock\": %.6f, \"processor\": %.6f}, ", name, (monotonic_microseconds() - from.clock) * 1e-6,
           (double)clock() / CLOCKS_PER_SEC - from.processor);
}

static void set(crs_config *config, char *word) {
    crs_error error;
    char *value = strchr(word, '=');
    if (!value)
        fail("'%s' is not SETTING=VALUE", word);
    *value++ = '\0';
    if (crs_config_set(config, word, value, &error) != CRS_OK)
        fail("%s; %s", error.what, error.mend);
}

/* The bytes of ids are looked at, so that a batch that is not made cannot be measured. */
static uint64_t look_at(const crs_batch *batch) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < batch->T * batch->B; i++)
        sum += (uint64_t)batch->ids[i];
    return sum;
}

static void measure_batches(const crs_config *config, const crs_encoder *encoder, const crs_dataset *dataset) {
    crs__batches batches;
    crs_error error;
    const begin from = start_now();
    if (crs__batches_create(dataset, config, NULL, 0, crs_encoder_classes(encoder), config->batch, 0, &batches,
                            &error) != CRS_OK)
        fail("%s", error.what);
    uint64_t sum = 0;
    crs__batches_shuffle(&batches, 1);
    for (int64_t i = 0; i < batches.batches; i++) {
        const crs_batch batch = crs__batches_get(&batches, i);
        sum += look_at(&batch);
    }
    tell("making", from);
    printf("\"batches\": %lld, \"sum\": %llu, ", (long long)batches.batches, (unsigned long long)sum);
    crs__batches_free(&batches);
}

int main(int argc, char *argv[]) {
    crs_config config;
    crs_encoder *encoder;
    crs_dataset *dataset;
    crs_error error;
    const int batches = argc > 2 && strcmp(argv[1], "batches") == 0;
    if (argc < 3 || (!batches && strcmp(argv[1], "read") != 0))
        fail("give read or batches, a file, and settings");
    crs_config_init(&config);
    for (int i = 3; i < argc; i++)
        set(&config, argv[i]);
    const begin from = start_now();
    if (crs_dataset_read(argv[2], &config, NULL, &encoder, &dataset, &error) != CRS_OK)
        fail("%s: %s", argv[2], error.what);
    putchar('{');
    tell("reading", from);
    if (batches)
        measure_batches(&config, encoder, dataset);
    const crs_dataset_stats *stats = crs_dataset_statistics(dataset);
    /* Mapped is also a cache that was made just now. */
    const int cached = strncmp(stats->cache, "taken from the cache", strlen("taken from the cache")) == 0;
    printf("\"rows\": %lld, \"tokens\": %lld, \"distinct\": %lld, \"vocabulary\": %lld, \"classes\": %lld, "
           "\"bytes\": %zu, \"mapped\": %d, \"cached\": %d}\n",
           (long long)stats->rows, (long long)stats->tokens, (long long)stats->distinct_tokens,
           (long long)crs_encoder_vocabulary(encoder), (long long)crs_encoder_classes(encoder), stats->bytes,
           stats->mapped, cached);
    crs_dataset_free(dataset);
    crs_encoder_free(encoder);
    if (fflush(stdout) != 0)
        fail("standard output cannot be written");
    return 0;
}
