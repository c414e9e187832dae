/* The safetensors format: eight bytes with the header's size (little-endian), a JSON header, the values. This part
 * knows F32 tensors and the metadata's strings, and nothing of models. */
#ifndef CRS_SAFETENSORS_H
#define CRS_SAFETENSORS_H

#include <carousel/status.h>
#include <jansson.h>
#include <stdio.h>

enum {
    CRS__HEADER_MAX = 100000000, /* bytes; the format's own bound */
    CRS__RANK_MAX = 4            /* a convolution's kernel */
};

typedef struct crs__stored {
    const char *name;             /* of the file's; lives as long as it */
    int64_t shape[CRS__RANK_MAX]; /* 1 beyond the rank */
    int rank;                     /* 1 to CRS__RANK_MAX */
    uint64_t size;                /* number of values */
    uint64_t offset;              /* of the first byte in the file */
} crs__stored;

typedef struct crs__safetensors {
    const char *path; /* the caller's */
    FILE *stream;
    json_t *header, *metadata; /* metadata is borrowed from header, or NULL */
    crs__stored *tensors;      /* in the order of their values */
    size_t count;
    uint64_t file_size, data; /* bytes; where the values begin */
} crs__safetensors;

/* Reads and checks everything but the values: afterwards the tensors cover the rest of the file, each byte once. On
 * failure there is nothing to close. path must outlive the file. */
crs_status crs__safetensors_open(const char *path, crs__safetensors *file, crs_error *error);
void crs__safetensors_close(crs__safetensors *file);

/* NULL: not there. */
const char *crs__safetensors_metadata(const crs__safetensors *file, const char *key);
const crs__stored *crs__safetensors_find(const crs__safetensors *file, const char *name);

/* Values [tensor->size]. CRS_ERR_NOT_FINITE, with tensor and place, where one is not finite. */
crs_status crs__safetensors_read(crs__safetensors *file, const crs__stored *tensor, double *values, crs_error *error);

/* The header for tensors whose values then follow in the same order; of these name, shape and rank are read.
 * metadata: an object of strings. A failed write is seen in the stream. Otherwise CRS_ERR_MEMORY, or
 * CRS_ERR_UNSUPPORTED where nobody could read so long a header. */
crs_status crs__safetensors_write_header(FILE *stream, const crs__stored *tensors, size_t count, json_t *metadata);
/* Rounds to float. CRS_ERR_NOT_FINITE: a value is not, as a float. */
crs_status crs__safetensors_write_values(FILE *stream, const double *values, int64_t n);

#endif
