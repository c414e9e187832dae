/* What a kind of input gives the reader: rows one by one. */
#ifndef CRS_READER_H
#define CRS_READER_H

#include "stream.h"

#include <carousel/dataset.h>

enum { CRS__NOTE = 192 };

/* As crs_reader_next, but error is never NULL, and *bad (0 before the call) is set to 1 with an error that concerns
 * one row only: the next call goes on after it. */
typedef struct crs__rows {
    crs_status (*next)(void *state, crs_row *row, int *end, int *bad, crs_error *error);
    void (*close)(void *state);
    void *state;
} crs__rows;

/* Each fills rows and note ([CRS__NOTE]) on success; then, and only then, the stream belongs to rows. */
crs_status crs__lines_open(crs__stream *stream, const char *path, const crs_config *config, crs__rows *rows, char *note,
                           crs_error *error); /* fastText, plain lines */
crs_status crs__table_open(crs__stream *stream, const char *path, const crs_config *config, crs__rows *rows, char *note,
                           crs_error *error); /* csv, tsv */
/* The format that the file's name says, as --format auto has it, or CRS_FORMAT_AUTO. */
crs_format crs__format_by_name(const char *path);
crs_status crs__folder_open(const char *path, crs__rows *rows, char *note, crs_error *error);

#endif
