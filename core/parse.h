/* Shared by the reading of a model line and its complaints. */
#ifndef CRS_PARSE_H
#define CRS_PARSE_H

#include "layer.h"

#define CRS__COUNT_TYPE(name) +1
enum { CRS__LAYER_TYPE_COUNT = 0 CRS__LAYER_TYPES(CRS__COUNT_TYPE) };
#undef CRS__COUNT_TYPE
extern const crs__layer_type *const crs__layer_types[CRS__LAYER_TYPE_COUNT];

/* A part of the line. */
typedef struct crs__word {
    const char *line;
    size_t at, size;
} crs__word;

/* CRS_ERR_MODEL at the word: there is no such layer. */
crs_status crs__fail_kind(const crs__word *word, crs_error *error);
/* The layer has no such option. */
crs_status crs__fail_option(const crs__word *word, const crs__layer_type *type, crs_error *error);
/* An option of the layer that wants a value has none. */
crs_status crs__fail_no_value(const crs__word *word, const crs__layer_type *type, crs_error *error);
/* "WORD is no WHAT of OWNER". */
crs_status crs__fail_value(const crs__word *word, const char *owner, const char *what, const char *mend,
                           crs_error *error);
crs_status crs__fail_rate(const crs__word *word, const char *owner, crs_error *error);
crs_status crs__fail_twice(const crs__word *word, const char *name, crs_error *error);

#endif
