/* Word vectors into an embedding: which row of the file is which token's, and what was found. How rows are read is
 * vectors_text.c's and vectors_binary.c's. */
#include "vectors.h"

#include "encoder.h"
#include "fail.h"
#include "network.h"
#include "numbers.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NOT_FOUND, FOLDED, EXACT };

/* Tokens of the vocabulary by their folded spelling, of which several may share one: "the", "The". */
typedef struct matcher {
    const crs_encoder *encoder;
    crs__tokenizer folding;
    crs__tokens folded;   /* the text folded last */
    crs__counter keys;    /* folded spellings */
    int32_t *first;       /* [vocabulary] of a key: the first id; 0: none */
    int32_t *next;        /* [vocabulary] of an id: the next of the same key; 0: none */
    unsigned char *found; /* [vocabulary] of an id */
} matcher;

/* ---- folding ---- */

/* What is left of a token once case, normal form and separating characters count for nothing; size 0: nothing. */
static crs_status fold(matcher *m, const char *token, size_t token_size, const char **key, size_t *size) {
    CRS_TRY(crs__tokens_begin(&m->folded, &m->folding, token, token_size));
    *key = m->folded.text;
    *size = m->folded.size;
    if (*size > 0 && (*key)[*size - 1] == ' ')
        --*size;
    if (*size > 0 && **key == ' ') {
        ++*key;
        --*size;
    }
    return CRS_OK;
}

/* The encoder's own tokenizer, but that it always lower-cases and leaves single spaces, as between the words of an
 * n-gram. */
static crs_status begin_folding(matcher *m, const crs_config *config) {
    crs_config folding = *config;
    folding.lowercase = 1;
    folding.ngrams = 2;
    return crs__tokenizer_init(&m->folding, &folding);
}

static void matcher_clear(matcher *m) {
    crs__tokens_clear(&m->folded);
    crs__counter_clear(&m->keys);
    free(m->first);
    free(m->next);
    free(m->found);
}

static crs_status matcher_init(matcher *m, const crs_classifier *classifier) {
    const int64_t vocabulary = crs_encoder_vocabulary(classifier->encoder);
    *m = (matcher){.encoder = classifier->encoder};
    m->first = calloc((size_t)vocabulary, sizeof *m->first);
    m->next = calloc((size_t)vocabulary, sizeof *m->next);
    m->found = calloc((size_t)vocabulary, sizeof *m->found);
    crs_status status = m->first && m->next && m->found ? CRS_OK : CRS_ERR_MEMORY;
    if (status == CRS_OK)
        status = begin_folding(m, &classifier->config);
    for (int64_t id = vocabulary - 1; id >= CRS_ID_FIRST && status == CRS_OK; id--) {
        const char *token = crs_encoder_token(m->encoder, id), *key;
        size_t size;
        uint32_t index;
        status = fold(m, token, strlen(token), &key, &size);
        if (status != CRS_OK || size == 0)
            continue;
        status = crs__counter_add(&m->keys, key, size, 1, &index);
        if (status == CRS_OK) {
            m->next[id] = m->first[index];
            m->first[index] = (int32_t)id;
        }
    }
    return status;
}

/* ---- rows of the file to rows of the table ---- */

typedef struct loading {
    crs__vectors_file file;
    matcher matcher;
    double *table;  /* [vocabulary, width] */
    double *values; /* [width] of one row */
    crs__vectors_skipped skipped;
} loading;

static void put(loading *l, int64_t id, int how) {
    const size_t width = (size_t)l->file.width;
    memcpy(l->table + (size_t)id * width, l->values, width * sizeof *l->values);
    l->matcher.found[id] = (unsigned char)how;
}

/* Gives the row at hand to the tokens that want it. */
static crs_status take_row(void *user, int *bad, crs_error *error) {
    loading *l = user;
    matcher *m = &l->matcher;
    const char *key;
    size_t size;
    const int32_t same = crs__encoder_id(m->encoder, l->file.token, l->file.token_size);
    const int exact = same != CRS_ID_OOV && m->found[same] != EXACT;
    if (fold(m, l->file.token, l->file.token_size, &key, &size) != CRS_OK)
        return crs__fail_memory(error, l->file.token_size, "a token");
    const int64_t index = size > 0 ? crs__counter_find(&m->keys, key, size) : -1;
    int wanted = exact;
    for (int32_t id = index < 0 ? 0 : m->first[index]; id && !wanted; id = m->next[id])
        wanted = m->found[id] == NOT_FOUND;
    if (!wanted)
        return CRS_OK;
    *bad = 1;
    CRS_TRY(crs__vectors_values(&l->file, l->values, error));
    *bad = 0;
    if (exact)
        put(l, same, EXACT);
    for (int32_t id = index < 0 ? 0 : m->first[index]; id; id = m->next[id])
        if (m->found[id] == NOT_FOUND)
            put(l, id, FOLDED);
    return CRS_OK;
}

/* ---- what was found ---- */

static crs_status count_tokens(const matcher *m, const crs_dataset *dataset, const int64_t *rows, int64_t count,
                               crs_vectors_coverage *coverage) {
    const int64_t all = rows ? count : crs_dataset_rows(dataset), longest = crs_dataset_statistics(dataset)->longest;
    int32_t *ids = malloc((size_t)(longest > 0 ? longest : 1) * sizeof *ids);
    if (!ids)
        return CRS_ERR_MEMORY;
    for (int64_t r = 0; r < all; r++) {
        const int64_t row = rows ? rows[r] : r, length = crs_dataset_length(dataset, row);
        crs_dataset_ids(dataset, row, ids);
        for (int64_t i = 0; i < length; i++)
            coverage->covered += m->found[ids[i]] != NOT_FOUND;
        coverage->tokens += length;
    }
    free(ids);
    return CRS_OK;
}

static crs_status count_found(const loading *l, crs_vectors_coverage *coverage, crs_error *error) {
    const int64_t vocabulary = crs_encoder_vocabulary(l->matcher.encoder);
    *coverage = (crs_vectors_coverage){.format = crs__vectors_format_name(l->file.format),
                                       .vectors = l->file.rows - l->skipped.count,
                                       .width = l->file.width,
                                       .skipped = l->skipped.count,
                                       .vocabulary = vocabulary - CRS_ID_FIRST,
                                       .first_skipped = l->skipped.first};
    for (int64_t id = CRS_ID_FIRST; id < vocabulary; id++) {
        coverage->exact += l->matcher.found[id] == EXACT;
        coverage->folded += l->matcher.found[id] == FOLDED;
    }
    if (coverage->exact + coverage->folded > 0)
        return CRS_OK;
    return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(l->file.stream), 0, -1,
                        "none of its %lld tokens is in the vocabulary of %lld",
                        "give vectors of the data's language and of the same kind of --tokens",
                        (long long)coverage->vectors, (long long)coverage->vocabulary);
}

/* ---- the whole ---- */

static const crs__tensor *embedding_of(const crs_model *model, crs_error *error) {
    const crs__layer *layer = &model->layers[0];
    if (layer->type == &crs__layer_embedding)
        return &model->tensors[layer->tensors];
    crs__fail(error, CRS_ERR_MODEL, "word vectors need an embedding, but the model begins with \"%.100s\"",
              "begin the line with \"embedding N | \", or leave out --vectors", layer->text);
    return NULL;
}

static crs_status open_fitting(const char *path, const crs__tensor *embedding, crs__vectors_file *file,
                               crs_error *error) {
    const int64_t width = embedding->shape[1];
    CRS_TRY(crs__vectors_open(path, width, file, error));
    if (file->width == width)
        return CRS_OK;
    crs__fail_at(error, CRS_ERR_MODEL, crs__stream_name(file->stream), 0, -1,
                 "its vectors have %lld numbers, the embedding %lld",
                 "write \"embedding %lld\", or give vectors of that width", (long long)file->width, (long long)width,
                 (long long)file->width);
    crs__vectors_close(file);
    return CRS_ERR_MODEL;
}

static crs_status load(loading *l, crs_classifier *classifier, const crs__tensor *embedding, crs_error *error) {
    crs_model *model = classifier->model;
    const size_t bytes = (size_t)embedding->size * sizeof *l->table;
    l->table = malloc(bytes);
    l->values = malloc((size_t)l->file.width * sizeof *l->values);
    if (!l->table || !l->values || matcher_init(&l->matcher, classifier) != CRS_OK)
        return crs__fail_memory(error, bytes, "word vectors");
    const crs_status status =
        crs__model_get_values(model, model->weights, embedding->offset, embedding->size, l->table);
    if (status != CRS_OK)
        return crs__fail(error, status, "reading %s from the device: %s", NULL, embedding->name,
                         crs_backend_failure(crs_model_backend(model), status));
    return crs__vectors_each(&l->file, classifier->config.skip_bad, take_row, l, &l->skipped, error);
}

static crs_status store(const loading *l, crs_model *model, const crs__tensor *embedding, crs_error *error) {
    const crs_status status = crs__model_set_values(model, embedding->offset, embedding->size, l->table);
    return status == CRS_OK ? CRS_OK
                            : crs__fail(error, status, "writing %s to the device: %s", NULL, embedding->name,
                                        crs_backend_failure(crs_model_backend(model), status));
}

crs_status crs_vectors_load(crs_classifier *classifier, const char *path, const crs_dataset *dataset,
                            const int64_t *rows, int64_t count, crs_vectors_coverage *coverage, crs_error *error) {
    crs_error own;
    crs_vectors_coverage unwanted;
    loading l = {0};
    error = error ? error : &own;
    coverage = coverage ? coverage : &unwanted;
    const crs__tensor *embedding = embedding_of(classifier->model, error);
    if (!embedding)
        return CRS_ERR_MODEL;
    CRS_TRY(open_fitting(path, embedding, &l.file, error));
    const locale_t former = crs__numbers_begin();
    crs_status status = load(&l, classifier, embedding, error);
    crs__numbers_end(former);
    if (status == CRS_OK)
        status = count_found(&l, coverage, error);
    if (status == CRS_OK && dataset && count_tokens(&l.matcher, dataset, rows, count, coverage) != CRS_OK)
        status = crs__fail_memory(error, (size_t)crs_dataset_statistics(dataset)->longest, "a row of the dataset");
    if (status == CRS_OK)
        status = store(&l, classifier->model, embedding, error);
    matcher_clear(&l.matcher);
    crs__vectors_close(&l.file);
    free(l.table);
    free(l.values);
    return status;
}

crs_status crs_vectors_check(const crs_model *model, const char *path, crs_error *error) {
    struct stat info;
    crs__vectors_file file;
    const crs__tensor *embedding = embedding_of(model, error);
    if (!embedding)
        return CRS_ERR_MODEL;
    if (strcmp(path, "-") == 0 || (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)))
        return CRS_OK;
    CRS_TRY(open_fitting(path, embedding, &file, error));
    crs__vectors_close(&file);
    return CRS_OK;
}
