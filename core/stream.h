/* A file or standard input as lines, or as bytes: decompressed where it is compressed; lines are cut at newlines and
 * checked to be UTF-8. Memory is bounded whatever the input: two blocks, one line of at most CRS__LINE_MAX bytes, and
 * of .bz2 what its threads work on.
 */
#ifndef CRS_STREAM_H
#define CRS_STREAM_H

#include <carousel/status.h>

enum { CRS__LINE_MAX = 8 << 20 };

typedef struct crs__stream crs__stream;

typedef struct crs__line {
    char *text; /* not terminated, without the line's end; good (and writable) until the next call */
    size_t size;
    int64_t number; /* 1-based */
    int bad;        /* set with an error that concerns this line only: the next call goes on after it */
    int too_long;   /* such an error, and text is empty */
} crs__line;

/* path "-" is standard input. Opens, but reads nothing yet. */
crs_status crs__stream_open(const char *path, crs__stream **stream, crs_error *error);
void crs__stream_close(crs__stream *stream);

/* How many threads may decompress; 1 unless said before the first byte is taken. */
void crs__stream_threads(crs__stream *stream, size_t threads);

/* What errors call the input. */
const char *crs__stream_name(const crs__stream *stream);

/* The bytes at hand before the first line is taken: all of a short input, else a block's worth. */
crs_status crs__stream_peek(crs__stream *stream, const char **bytes, size_t *size, crs_error *error);

/* The next `wanted` bytes as they are; *taken is less only where the input ends. Not counted as lines. */
crs_status crs__stream_take(crs__stream *stream, void *bytes, size_t wanted, size_t *taken, crs_error *error);

/* The next line, as soon as it is there; a byte order mark at the start is dropped. *end is set after the last line. */
crs_status crs__stream_line(crs__stream *stream, crs__line *line, int *end, crs_error *error);

#endif
