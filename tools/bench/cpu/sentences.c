/* A classifier asked for one sentence at a time, from text to probabilities: what an answer takes, not what many do. */
#include "network.h"

#include <stdlib.h>
#include <string.h>

enum { WORD_SIZE = 32 };

/* A capital at its head, a comma now and then, a full stop: a tokenizer has something to do. */
static char *write_sentence(const network_case *c, uint64_t seed) {
    char *text = host_memory((size_t)c->T, WORD_SIZE);
    size_t used = 0;
    for (int64_t i = 0; i < c->T; i++) {
        const unsigned number = (unsigned)(draw(&seed) % (uint64_t)(c->V - CRS_ID_FIRST));
        const char *after = i + 1 == c->T ? "." : draw(&seed) % 8 == 0 ? ", " : " ";
        used += (size_t)snprintf(text + used, WORD_SIZE, "%s%u%s", i == 0 ? "Word" : "word", number, after);
    }
    return text;
}

static void add(crs_dataset_builder *builder, const char *text, const char *label) {
    crs_error error;
    if (crs_dataset_builder_add(builder, text, strlen(text), label, strlen(label), &error) != CRS_OK)
        fail("%s", error.what);
}

/* An encoder that knows every word. */
static crs_encoder *build_encoder(const crs_config *config, const network_case *c) {
    crs_dataset_builder *builder;
    crs_encoder *encoder;
    crs_dataset *dataset;
    crs_error error;
    if (crs_dataset_builder_create(config, NULL, &builder) != CRS_OK)
        fail("out of memory");
    for (int64_t number = 0; number < c->V - CRS_ID_FIRST; number++) {
        char word[WORD_SIZE];
        snprintf(word, sizeof word, "word%lld", (long long)number);
        add(builder, word, number % 2 ? "good" : "bad");
    }
    if (crs_dataset_builder_finish(builder, &encoder, &dataset, &error) != CRS_OK)
        fail("%s", error.what);
    crs_dataset_free(dataset);
    return encoder;
}

void sentences_open(crs_backend *backend, const network_case *c, sentences *s) {
    crs_config config;
    crs_error error;
    crs_config_init(&config);
    config.length = c->T;
    config.vocabulary = c->V;
    config.seed = (uint64_t)c->seed;
    if (crs_config_set(&config, "model", c->line, &error) != CRS_OK ||
        crs_classifier_create(&config, build_encoder(&config, c), backend, &s->classifier, &error) != CRS_OK)
        fail("%s", error.what);
    if (c->numbers[0] && crs_classifier_save(s->classifier, c->numbers, 1, &error) != CRS_OK)
        fail("%s", error.what);
    s->count = c->B;
    s->texts = host_memory((size_t)s->count, sizeof *s->texts);
    for (int64_t i = 0; i < s->count; i++)
        s->texts[i] = write_sentence(c, ((uint64_t)c->seed << 8) + (uint64_t)i);
}

void sentences_predict(sentences *s) {
    const char *text = s->texts[s->next];
    crs_error error;
    if (crs_classifier_predict(s->classifier, &text, 1, s->probabilities, &s->logit, &error) != CRS_OK)
        fail("%s", error.what);
    s->next = (s->next + 1) % s->count;
}

void sentences_close(sentences *s) {
    crs_classifier_free(s->classifier);
    for (int64_t i = 0; i < s->count; i++)
        free(s->texts[i]);
    free(s->texts);
    memset(s, 0, sizeof *s);
}
