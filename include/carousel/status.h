/* What can go wrong, and how it is told. The library never prints, exits or aborts: a function that can fail returns a
 * crs_status; calls that open, read or parse something also fill a crs_error with the place and the mend. */
#ifndef CAROUSEL_STATUS_H
#define CAROUSEL_STATUS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One line per status: the enum, its name and its text come from here. */
#define CRS_STATUS_LIST(X)                                                                                             \
    X(CRS_OK, "ok")                                                                                                    \
    X(CRS_ERR_ARGUMENT, "invalid argument")                                                                            \
    X(CRS_ERR_CONFIG, "invalid setting")                                                                               \
    X(CRS_ERR_MODEL, "invalid model description")                                                                      \
    X(CRS_ERR_MEMORY, "out of memory")                                                                                 \
    X(CRS_ERR_IO, "input or output failed")                                                                            \
    X(CRS_ERR_FORMAT, "malformed input")                                                                               \
    X(CRS_ERR_EXISTS, "output exists already")                                                                         \
    X(CRS_ERR_BACKEND, "backend failure")                                                                              \
    X(CRS_ERR_NO_DEVICE, "no usable device")                                                                           \
    X(CRS_ERR_UNSUPPORTED, "not supported")                                                                            \
    X(CRS_ERR_NOT_FINITE, "a value is not finite")                                                                     \
    X(CRS_ERR_INTERRUPTED, "interrupted")

typedef enum crs_status {
#define CRS_STATUS_ENUM(name, text) name,
    CRS_STATUS_LIST(CRS_STATUS_ENUM)
#undef CRS_STATUS_ENUM
        CRS_STATUS_COUNT
} crs_status;

/* Where, what and the mend. Strings are always terminated; a text that is too long is cut. */
typedef struct crs_error {
    crs_status status;
    char file[256]; /* the input concerned, or "" */
    int64_t line;   /* 1-based line in `file`, or 0 where lines mean nothing */
    int64_t offset; /* byte offset in `file`, or -1 */
    char what[384]; /* what is wrong */
    char mend[256]; /* what to do about it, or "" */
} crs_error;

/* "CRS_ERR_IO" and "input or output failed". Never NULL, also for a number that is no status. */
const char *crs_status_name(crs_status status);
const char *crs_status_text(crs_status status);

/* Writes "FILE:LINE: WHAT; MEND" (leaving out what is not known) into buffer, cut at size. Returns buffer. */
const char *crs_error_text(const crs_error *error, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#endif
