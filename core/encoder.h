/* The encoder from within: the dataset's builder fits one and encodes with it. */
#ifndef CRS_ENCODER_H
#define CRS_ENCODER_H

#include "counter.h"
#include "tokenize.h"

#include <carousel/dataset.h>

struct crs_encoder {
    crs__tokenizer tokenizer;
    int oov, truncate;
    size_t length;
    crs__counter tokens; /* index + CRS_ID_FIRST is the id */
    crs__counter labels; /* index is the class */
};

/* Without tokens and labels. */
crs_status crs__encoder_create(const crs_config *config, crs_encoder **encoder, crs_error *error);
int32_t crs__encoder_id(const crs_encoder *encoder, const char *token, size_t size);

/* text is UTF-8 without NUL? */
crs_status crs__check_text(const char *text, size_t size, const char *what, crs_error *error);
/* Fills encoder's labels with those counted, in the order of classes; map [labels->count] gets each one's class. */
crs_status crs__encoder_take_labels(crs_encoder *encoder, const crs__counter *labels, uint32_t *map);
/* Fills encoder's tokens with those counted that config keeps; map [tokens->count] gets each one's id. Of equal counts
 * the lower rank comes first. */
crs_status crs__encoder_take_tokens(crs_encoder *encoder, const crs__counter *tokens, const uint32_t *ranks,
                                    const crs_config *config, uint32_t *map);
/* Says that a label is none of the encoder's. */
crs_status crs__fail_label(const crs_encoder *encoder, const char *label, size_t size, crs_error *error);

#endif
