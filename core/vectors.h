/* A file of word vectors as rows: which format it has, and one token with its numbers after the other. Which rows are
 * wanted, and where they go, is vectors.c's. */
#ifndef CRS_VECTORS_H
#define CRS_VECTORS_H

#include "stream.h"

#include <carousel/vectors.h>

typedef enum crs__vectors_format {
    CRS__VECTORS_GLOVE,  /* lines "token x1 ... xE" */
    CRS__VECTORS_TEXT,   /* a line "count E", then such lines: word2vec's text, fastText's .vec */
    CRS__VECTORS_BINARY, /* a line "count E", then "token " and E floats, little-endian: word2vec's binary */
    CRS__VECTORS_FORMATS
} crs__vectors_format;

typedef struct crs__vectors_file {
    crs__stream *stream;
    crs__vectors_format format;
    int64_t width, rows; /* rows: taken so far, bad ones included */
    int64_t promised;    /* rows by the header, or -1 */
    int64_t offset;      /* binary: bytes taken so far */
    /* the row taken last */
    const char *token;
    size_t token_size;
    char *numbers; /* text: from the first number to the line's end; not terminated */
    size_t numbers_size;
    int64_t line;       /* text: 1-based */
    char *held;         /* binary: the token */
    unsigned char *raw; /* binary: [4 * width], the floats as they stand in the file */
} crs__vectors_file;

/* What messages call a format. */
const char *crs__vectors_format_name(crs__vectors_format format);

/* Opens the file and finds its format and width. `width` is the one hoped for, which decides where the file does not;
 * whether it is the one found is for the caller to ask. */
crs_status crs__vectors_open(const char *path, int64_t width, crs__vectors_file *file, crs_error *error);
void crs__vectors_close(crs__vectors_file *file);

/* The next row's token, after a check that `width` numbers follow. *end is set after the last. *bad is set with an
 * error that concerns this row only: the next call goes on after it. */
crs_status crs__vectors_next(crs__vectors_file *file, int *end, int *bad, crs_error *error);
/* The numbers [width] of the row taken last. An error, which concerns this row only, where one is not finite as a
 * float. The caller has called crs__numbers_begin. */
crs_status crs__vectors_values(const crs__vectors_file *file, double *values, crs_error *error);

typedef struct crs__vectors_skipped {
    int64_t count;
    crs_error first; /* of the first bad row passed over */
} crs__vectors_skipped;

/* Calls take for every row; it sets *bad with an error that concerns the row only. Bad rows, and a number of rows that
 * is not the one promised, are passed over with skip_bad. */
typedef crs_status crs__vectors_take(void *user, int *bad, crs_error *error);
crs_status crs__vectors_each(crs__vectors_file *file, int skip_bad, crs__vectors_take *take, void *user,
                             crs__vectors_skipped *skipped, crs_error *error);

/* The two kinds of rows, behind the above. */
crs_status crs__vectors_text_next(crs__vectors_file *file, int *end, int *bad, crs_error *error);
crs_status crs__vectors_text_values(const crs__vectors_file *file, double *values, crs_error *error);
crs_status crs__vectors_binary_begin(crs__vectors_file *file, size_t header_size, crs_error *error);
crs_status crs__vectors_binary_next(crs__vectors_file *file, int *end, int *bad, crs_error *error);
void crs__vectors_binary_values(const crs__vectors_file *file, double *values);

/* How many fields at the end of a line are numbers; *start is where the first of them begins. At most `most` are
 * looked at. */
int64_t crs__vectors_count_numbers(const char *line, size_t size, int64_t most, size_t *start);

#endif
