/* Pretrained word vectors: the rows of a file put into a network's embedding before training. */
#ifndef CAROUSEL_VECTORS_H
#define CAROUSEL_VECTORS_H

#include <carousel/classifier.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What was found of what is needed. */
typedef struct crs_vectors_coverage {
    const char *format;      /* "GloVe text", "word2vec text" (fastText's .vec too) or "word2vec binary" */
    int64_t vectors, width;  /* rows of the file, without those skipped; numbers in each */
    int64_t skipped;         /* bad rows passed over (skip_bad) */
    int64_t vocabulary;      /* tokens of the vocabulary, padding and out-of-vocabulary not counted */
    int64_t exact, folded;   /* of these, found as they stand, and found but for case, normal form or filters */
    int64_t tokens, covered; /* tokens of the rows given, and how many of them have a vector now */
    crs_error first_skipped; /* the error of the first row passed over; its status is CRS_OK where there is none */
} crs_vectors_coverage;

/* Reads a file of word vectors, told by its content (also .bz2 .gz .xz .zst), and puts those of the vocabulary's tokens
 * into the table of the classifier's embedding, whose width must be theirs. A model line with "frozen" keeps them as
 * they are; otherwise training goes on from them.
 *
 * A token takes the row that spells it exactly. Where the file has none, it takes the first row that is spelt alike
 * once both are in normal form C, in lower case and without the characters that separate words. Of several rows of one
 * spelling the first counts. Every other row of the table keeps its first weights, as do padding and out-of-vocabulary:
 * they are small beside pretrained ones, so that an unknown word says little until training makes it say more.
 *
 * The file is read as a stream, and memory is bounded by the table. A malformed row is an error with line or byte
 * offset; with the classifier's skip_bad it is counted and passed over. Numbers of rows that are not needed are
 * checked for their form only. Not one token found is an error. After an error the model is as before.
 *
 * coverage counts the tokens of `rows` [count] of dataset (rows NULL: all; dataset NULL: none). */
crs_status crs_vectors_load(crs_classifier *classifier, const char *path, const crs_dataset *dataset,
                            const int64_t *rows, int64_t count, crs_vectors_coverage *coverage, crs_error *error);

/* Adds words of the file to the vocabulary: the first ones that it has not, as it would see them in a text, as long as
 * config->vocabulary leaves room. Texts to come have words that the training text had not; so they have their vectors.
 * For an encoder fitted by crs_dataset_read or a builder with the same config, before it encodes anything else; ids
 * given so far stay as they are. width: of the embedding to be. Rows are checked, and passed over, as by
 * crs_vectors_load, which is to follow; so the file cannot be a pipe. After an error of the file the encoder is as
 * before. */
crs_status crs_vectors_extend(crs_encoder *encoder, const crs_config *config, const char *path, int64_t width,
                              int64_t *added, crs_error *error);

/* Whether the file can be opened and is of the width of the model's embedding: told at once, before data are read. A
 * file that can be read once only, such as a pipe, is not looked at. */
crs_status crs_vectors_check(const crs_model *model, const char *path, crs_error *error);

#ifdef __cplusplus
}
#endif
#endif
