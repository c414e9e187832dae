/* Building a dataset in one pass: while the vocabulary is being fitted, ids are provisional numbers, and are put in
 * order at the end. */
#include "dataset_build.h"

#include "encoder.h"
#include "fail.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS = 128 }; /* of a text, looked up together */

struct crs_dataset_builder {
    crs_config config;
    const crs_encoder *encoder;  /* the one given, or made */
    crs_encoder *made;           /* while fitting, else NULL */
    crs__counter tokens, labels; /* while fitting: what ids and labels are provisional numbers of */
    crs__tokens cut;
    uint32_t *row; /* ids of the text being added */
    size_t row_size, row_capacity;
    crs_dataset *dataset;
    size_t ids_capacity, rows_capacity;
};

crs_status crs_dataset_builder_create(const crs_config *config, const crs_encoder *encoder,
                                      crs_dataset_builder **builder) {
    *builder = NULL;
    crs_dataset_builder *b = calloc(1, sizeof *b);
    crs_dataset *d = calloc(1, sizeof *d);
    crs_status status = b && d ? CRS_OK : CRS_ERR_MEMORY;
    if (status == CRS_OK && !encoder)
        status = crs__encoder_create(config, &b->made, NULL);
    if (status != CRS_OK) {
        free(b);
        free(d);
        return status;
    }
    b->config = *config;
    b->encoder = encoder ? encoder : b->made;
    b->dataset = d;
    d->id_bytes = !encoder || crs_encoder_vocabulary(encoder) > UINT16_MAX + 1 ? 4 : 2;
    *builder = b;
    return CRS_OK;
}

void crs_dataset_builder_free(crs_dataset_builder *b) {
    if (!b)
        return;
    crs_encoder_free(b->made);
    crs_dataset_free(b->dataset);
    crs__counter_clear(&b->tokens);
    crs__counter_clear(&b->labels);
    crs__tokens_clear(&b->cut);
    free(b->row);
    free(b);
}

/* ---- adding ---- */

/* Room for `count` more of `size` bytes each behind `used`. */
static crs_status reserve(void **block, size_t *capacity, size_t used, size_t count, size_t size) {
    if (used + count <= *capacity)
        return CRS_OK;
    size_t wanted = used + count + (used + count) / 2 + 64;
    void *grown = wanted > SIZE_MAX / size ? NULL : realloc(*block, wanted * size);
    if (!grown)
        return CRS_ERR_MEMORY;
    *block = grown;
    *capacity = wanted;
    return CRS_OK;
}

static crs_status reserve_rows(crs_dataset_builder *b) {
    crs_dataset *d = b->dataset;
    size_t rows = (size_t)d->stats.rows, capacity = b->rows_capacity;
    if (rows + 2 <= capacity)
        return CRS_OK;
    void *starts = d->starts, *labels = d->labels;
    crs_status status = reserve(&starts, &capacity, rows, 2, sizeof *d->starts);
    d->starts = starts;
    CRS_TRY(status);
    capacity = b->rows_capacity;
    status = reserve(&labels, &capacity, rows, 2, sizeof *d->labels);
    d->labels = labels;
    CRS_TRY(status);
    b->rows_capacity = capacity;
    d->starts[0] = 0;
    return CRS_OK;
}

/* Numbers or ids of the group's words to the end of b->row. */
static crs_status take_words(crs_dataset_builder *b, const crs__word *words, size_t count) {
    void *row = b->row;
    crs_status status = reserve(&row, &b->row_capacity, b->row_size, count, sizeof *b->row);
    b->row = row;
    CRS_TRY(status);
    if (b->made) {
        CRS_TRY(crs__counter_add_all(&b->tokens, words, count, b->row + b->row_size));
        b->row_size += count;
        return CRS_OK;
    }
    int64_t indices[WORDS];
    crs__counter_find_all(&b->encoder->tokens, words, count, indices);
    for (size_t i = 0; i < count; i++) {
        if (indices[i] < 0 && b->encoder->oov == CRS_OOV_DROP)
            b->dataset->stats.oov_tokens++;
        else
            b->row[b->row_size++] = indices[i] < 0 ? CRS_ID_OOV : CRS_ID_FIRST + (uint32_t)indices[i];
    }
    return CRS_OK;
}

/* Cuts the text into b->row: provisional numbers while fitting, else ids. */
static crs_status read_row(crs_dataset_builder *b, const char *text, size_t size) {
    crs__word words[WORDS];
    size_t count = 0;
    b->row_size = 0;
    CRS_TRY(crs__tokens_begin(&b->cut, &b->encoder->tokenizer, text, size));
    while (crs__tokens_next(&b->cut, &words[count].text, &words[count].size))
        if (++count == WORDS) {
            CRS_TRY(take_words(b, words, count));
            count = 0;
        }
    return take_words(b, words, count);
}

/* Where a row of `size` ids is cut to the length: *first and the number kept. */
static size_t cut_row(const crs_encoder *encoder, size_t size, size_t *first, crs_dataset_stats *stats) {
    size_t kept = size < encoder->length ? size : encoder->length;
    *first = encoder->truncate == CRS_SIDE_PRE ? size - kept : 0;
    stats->cut_rows += kept < size;
    stats->longest = (int64_t)kept > stats->longest ? (int64_t)kept : stats->longest;
    stats->empty_rows += kept == 0;
    return kept;
}

static crs_status store_row(crs_dataset_builder *b, int32_t label) {
    crs_dataset *d = b->dataset;
    size_t first = 0, kept = b->row_size, used = (size_t)d->stats.tokens;
    /* While fitting with oov=drop the whole row is kept until it is known what is dropped, since the cut comes after
     * it, as in Keras. Memory is then bounded by the data, not by length. */
    if (!b->made || b->encoder->oov == CRS_OOV_KEEP)
        kept = cut_row(b->encoder, b->row_size, &first, &d->stats);
    for (size_t i = 0; !b->made && i < kept; i++)
        d->stats.oov_tokens += b->row[first + i] == CRS_ID_OOV;
    CRS_TRY(reserve_rows(b));
    CRS_TRY(reserve(&d->ids, &b->ids_capacity, used, kept, d->id_bytes));
    if (d->id_bytes == 4 && kept > 0)
        memcpy((uint32_t *)d->ids + used, b->row + first, kept * sizeof(uint32_t));
    else
        for (size_t i = 0; i < kept; i++)
            ((uint16_t *)d->ids)[used + i] = (uint16_t)b->row[first + i];
    d->stats.tokens += (int64_t)kept;
    d->labels[d->stats.rows++] = label;
    d->starts[d->stats.rows] = d->stats.tokens;
    return CRS_OK;
}

crs_status crs__builder_add(crs_dataset_builder *b, const char *text, size_t text_size, const char *label,
                            size_t label_size, int *bad, crs_error *error) {
    int64_t class_ = 0;
    *bad = 1;
    if (!label || label_size == 0)
        return crs__fail(error, CRS_ERR_FORMAT, "the row has no label", "give each text a label");
    CRS_TRY(crs__check_text(text, text_size, "text", error));
    CRS_TRY(crs__check_text(label, label_size, "label", error));
    if (!b->made && (class_ = crs_encoder_class(b->encoder, label, label_size)) < 0)
        return crs__fail_label(b->encoder, label, label_size, error);
    *bad = 0;
    crs_status status = CRS_OK;
    uint32_t number = 0;
    if (b->made) {
        status = crs__counter_add(&b->labels, label, label_size, 1, &number);
        class_ = (int64_t)number;
    }
    if (status == CRS_OK)
        status = read_row(b, text, text_size);
    if (status == CRS_OK)
        status = store_row(b, (int32_t)class_);
    if (status == CRS_ERR_UNSUPPORTED)
        return crs__fail(error, status, "more than %d different tokens or labels", "use less data", CRS__COUNTER_MAX);
    return status == CRS_OK ? CRS_OK : crs__fail_memory(error, text_size, "a dataset's row");
}

crs_status crs_dataset_builder_add(crs_dataset_builder *b, const char *text, size_t text_size, const char *label,
                                   size_t label_size, crs_error *error) {
    int bad;
    return crs__builder_add(b, text, text_size, label, label_size, &bad, error);
}

/* ---- finishing ---- */

/* Puts final ids in the place of provisional numbers, dropping and cutting where that had to wait. Ids of 2 bytes
 * overwrite numbers of 4 from the front, which have been read by then. */
static void number_ids(crs_dataset *d, const crs_encoder *encoder, const uint32_t *map) {
    int drop = encoder->oov == CRS_OOV_DROP;
    size_t narrow = crs_encoder_vocabulary(encoder) <= UINT16_MAX + 1, written = 0;
    unsigned char *bytes = d->ids;
    size_t id_bytes = narrow ? 2 : 4;
    for (int64_t r = 0, begin = 0; r < d->stats.rows; r++) {
        int64_t end = d->starts[r + 1];
        size_t kept = 0, first = 0;
        uint32_t number, id;
        for (int64_t i = begin; i < end; i++) {
            memcpy(&number, bytes + (size_t)i * 4, 4);
            id = map[number];
            d->stats.oov_tokens += id == CRS_ID_OOV;
            if (drop && id == CRS_ID_OOV)
                continue;
            uint16_t half = (uint16_t)id;
            memcpy(bytes + (written + kept++) * id_bytes, narrow ? (void *)&half : (void *)&id, id_bytes);
        }
        if (drop) {
            kept = cut_row(encoder, kept, &first, &d->stats);
            memmove(bytes + written * id_bytes, bytes + (written + first) * id_bytes, kept * id_bytes);
        }
        written += kept;
        d->starts[r + 1] = (int64_t)written;
        begin = end;
    }
    d->id_bytes = id_bytes;
    d->stats.tokens = (int64_t)written;
}

static crs_status fit(crs_dataset_builder *b, crs_error *error) {
    crs_dataset *d = b->dataset;
    size_t tokens = b->tokens.count, labels = b->labels.count;
    if (labels == 1) {
        char shown[CRS__SHOWN];
        return crs__fail(error, CRS_ERR_FORMAT, "only one class, \"%s\", in all %lld rows",
                         "add rows of another class, or check which column holds the label",
                         crs__shown(crs__counter_text(&b->labels, 0), b->labels.entries[0].size, shown),
                         (long long)d->stats.rows);
    }
    if (tokens == 0)
        return crs__fail(error, CRS_ERR_FORMAT, "none of the %lld texts has a token",
                         "check which column holds the text, and --filters", (long long)d->stats.rows);
    uint32_t *ids = malloc((tokens + 1) * sizeof *ids);
    int32_t *classes = malloc((labels + 1) * sizeof *classes);
    crs_status status = ids && classes ? CRS_OK : CRS_ERR_MEMORY;
    if (status == CRS_OK)
        status = crs__encoder_take_tokens(b->made, &b->tokens, &b->config, ids);
    if (status == CRS_OK)
        status = crs__encoder_take_labels(b->made, &b->labels, classes);
    if (status == CRS_OK) {
        number_ids(d, b->made, ids);
        for (int64_t r = 0; r < d->stats.rows; r++)
            d->labels[r] = classes[d->labels[r]];
        d->stats.distinct_tokens = (int64_t)tokens;
    }
    free(ids);
    free(classes);
    return status == CRS_OK ? CRS_OK : crs__fail_memory(error, tokens * sizeof *ids, "the vocabulary");
}

static void *shrink(void *block, size_t bytes) {
    void *smaller = realloc(block, bytes > 0 ? bytes : 1);
    return smaller ? smaller : block;
}

static crs_status finish(crs_dataset_builder *b, crs_error *error) {
    crs_dataset *d = b->dataset;
    if (d->stats.rows == 0)
        return crs__fail(error, CRS_ERR_FORMAT, "there are no rows", "give at least one labelled text");
    if (b->made)
        CRS_TRY(fit(b, error));
    size_t rows = (size_t)d->stats.rows, id_size = (size_t)d->stats.tokens * d->id_bytes;
    d->ids = shrink(d->ids, id_size);
    d->starts = shrink(d->starts, (rows + 1) * sizeof *d->starts);
    d->labels = shrink(d->labels, rows * sizeof *d->labels);
    d->stats.bytes = sizeof *d + id_size + (rows + 1) * sizeof *d->starts + rows * sizeof *d->labels;
    return CRS_OK;
}

crs_status crs_dataset_builder_finish(crs_dataset_builder *b, crs_encoder **fitted, crs_dataset **dataset,
                                      crs_error *error) {
    *dataset = NULL;
    if (fitted)
        *fitted = NULL;
    crs_status status = b->made && !fitted
                            ? crs__fail(error, CRS_ERR_ARGUMENT, "no place for the fitted encoder", "give one")
                            : finish(b, error);
    if (status == CRS_OK) {
        *dataset = b->dataset;
        b->dataset = NULL;
        if (fitted)
            *fitted = b->made;
        b->made = NULL;
    }
    crs_dataset_builder_free(b);
    return status;
}
