/* Labelled text in: files are read row by row, texts become ids of tokens, labels become classes. The text itself is
 * not kept: a dataset holds 16- or 32-bit ids. */
#ifndef CAROUSEL_DATASET_H
#define CAROUSEL_DATASET_H

#include <carousel/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- rows of a file ---- */

/* One labelled text. The pointers stay good until the next call on the reader; neither string is terminated. Text is
 * valid UTF-8 without NUL bytes. label is NULL where the format has none (CRS_FORMAT_LINES). */
typedef struct crs_row {
    const char *text, *label;
    size_t text_size, label_size;
    const char *file; /* path as given; of a folder, the file within */
    int64_t line;     /* 1-based line the row starts on */
} crs_row;

typedef struct crs_reader crs_reader;

/* Opens a file, a folder with a sub-folder per class, or "-" for standard input; .bz2 .gz .xz .zst are decompressed by
 * content. Reads config's fields under "data". */
crs_status crs_reader_open(const char *path, const crs_config *config, crs_reader **reader, crs_error *error);

/* Next row. *end is set to 1, and row left alone, after the last. A bad line is an error with file, line, reason and
 * mend; with skip_bad it is counted and passed over. */
crs_status crs_reader_next(crs_reader *reader, crs_row *row, int *end, crs_error *error);

/* One line on what was found out by looking, e.g. "tsv, no header, label in column 1, text in column 2"; never NULL. */
const char *crs_reader_note(const crs_reader *reader);
int64_t crs_reader_skipped(const crs_reader *reader);
/* The error of the first bad line passed over, or NULL. */
const crs_error *crs_reader_first_skipped(const crs_reader *reader);
void crs_reader_close(crs_reader *reader);

/* ---- text to ids, label to class ---- */

enum { CRS_ID_PADDING = 0, CRS_ID_OOV = 1, CRS_ID_FIRST = 2 };

/* Tokenizer settings, vocabulary and labels; what a saved model needs in order to read text. Immutable once made, but
 * for crs_vectors_extend.
 * Ids: 0 padding, 1 out of vocabulary, then tokens by falling count (ties: the first seen first). Classes are the
 * labels sorted by bytes, or by value where every label is an integer. */
typedef struct crs_encoder crs_encoder;

int64_t crs_encoder_vocabulary(const crs_encoder *encoder); /* rows an embedding needs */
int64_t crs_encoder_classes(const crs_encoder *encoder);
const char *crs_encoder_token(const crs_encoder *encoder, int64_t id);                 /* NULL outside */
const char *crs_encoder_label(const crs_encoder *encoder, int64_t class_);             /* NULL outside */
int64_t crs_encoder_class(const crs_encoder *encoder, const char *label, size_t size); /* -1: unknown */

/* Token ids of a text, cut to the settings' length on the settings' side; not padded. ids [capacity >= length]. */
crs_status crs_encoder_encode(const crs_encoder *encoder, const char *text, size_t size, int32_t *ids, size_t capacity,
                              size_t *count, crs_error *error);

/* Vocabulary and labels as one JSON text (malloc, the caller frees) and back; settings come from config. */
crs_status crs_encoder_to_json(const crs_encoder *encoder, char **json);
crs_status crs_encoder_from_json(const char *json, const crs_config *config, crs_encoder **encoder, crs_error *error);
void crs_encoder_free(crs_encoder *encoder);

/* ---- datasets ---- */

typedef struct crs_dataset crs_dataset;

typedef struct crs_dataset_stats {
    int64_t rows, skipped;
    int64_t tokens;          /* kept ids */
    int64_t cut_rows;        /* rows longer than length */
    int64_t oov_tokens;      /* outside of the vocabulary: with oov=keep of the kept ids, with oov=drop those dropped */
    int64_t empty_rows;      /* rows without a token */
    int64_t distinct_tokens; /* before the vocabulary was cut (fitting only) */
    int64_t longest;         /* most ids in a row */
    size_t bytes;            /* memory the dataset holds, or, if it is mapped, the size of the file */
    char note[192];          /* crs_reader_note of the file read, or "" */
    int mapped;              /* 1: it is a mapped file, whose pages the system loads and drops as it sees fit */
    char cache[512];         /* what came of config's `cache`, as one line, or "" */
} crs_dataset_stats;

/* From rows in memory: create, add, finish. With encoder NULL the vocabulary and the labels are fitted on the rows
 * added, and finish hands out a new encoder; otherwise rows are encoded with it, and a label it does not know is an
 * error. */
typedef struct crs_dataset_builder crs_dataset_builder;
crs_status crs_dataset_builder_create(const crs_config *config, const crs_encoder *encoder,
                                      crs_dataset_builder **builder);
crs_status crs_dataset_builder_add(crs_dataset_builder *builder, const char *text, size_t text_size, const char *label,
                                   size_t label_size, crs_error *error);
/* Frees the builder, whatever it returns. fitted: where the builder had no encoder, else NULL. No rows, or one class
 * only when fitting, is an error. */
crs_status crs_dataset_builder_finish(crs_dataset_builder *builder, crs_encoder **fitted, crs_dataset **dataset,
                                      crs_error *error);
void crs_dataset_builder_free(crs_dataset_builder *builder);

/* From a file, by the reader. encoder as above; where it is NULL, config's `rows` bounds the rows. With config's
 * `cache` set to a folder, what was read is kept there and mapped, and the same data with the same settings is not read
 * again; a cache that does not hold is made again, and one that cannot be written is done without. */
crs_status crs_dataset_read(const char *path, const crs_config *config, const crs_encoder *encoder,
                            crs_encoder **fitted, crs_dataset **dataset, crs_error *error);

int64_t crs_dataset_rows(const crs_dataset *dataset);
int64_t crs_dataset_length(const crs_dataset *dataset, int64_t row); /* ids in a row */
int64_t crs_dataset_label(const crs_dataset *dataset, int64_t row);  /* class */
void crs_dataset_ids(const crs_dataset *dataset, int64_t row, int32_t *ids);
const crs_dataset_stats *crs_dataset_statistics(const crs_dataset *dataset);
void crs_dataset_free(crs_dataset *dataset);

#ifdef __cplusplus
}
#endif
#endif
