/* A vocabulary extended by the words that only a file of word vectors has. */
#include "vectors.h"

#include "encoder.h"
#include "fail.h"

typedef struct extending {
    crs__vectors_file file;
    crs_encoder *encoder;
    crs__tokens tokens;
    crs__counter taken; /* spellings to be added */
    size_t room;        /* for so many */
} extending;

/* A word counts as the encoder would see it in a text, where it must be one token. */
static crs_status take_row(void *user, int *bad, crs_error *error) {
    extending *e = user;
    const char *token, *another;
    size_t size, another_size;
    uint32_t index;
    *bad = 0;
    if (e->taken.count == e->room)
        return CRS_OK;
    crs_status status = crs__tokens_begin(&e->tokens, &e->encoder->tokenizer, e->file.token, e->file.token_size);
    if (status == CRS_OK && crs__tokens_next(&e->tokens, &token, &size) &&
        !crs__tokens_next(&e->tokens, &another, &another_size) &&
        crs__encoder_id(e->encoder, token, size) == CRS_ID_OOV)
        status = crs__counter_add(&e->taken, token, size, 1, &index);
    return status == CRS_OK ? CRS_OK : crs__fail_memory(error, e->file.token_size, "the vocabulary");
}

/* Only after the whole file was read without an error, so that one leaves the encoder as it was. */
static crs_status add_taken(extending *e, crs_error *error) {
    for (size_t i = 0; i < e->taken.count; i++) {
        uint32_t index;
        if (crs__counter_add(&e->encoder->tokens, crs__counter_text(&e->taken, i), e->taken.entries[i].size, 0,
                             &index) != CRS_OK)
            return crs__fail_memory(error, e->taken.entries[i].size, "the vocabulary");
    }
    return CRS_OK;
}

crs_status crs_vectors_extend(crs_encoder *encoder, const crs_config *config, const char *path, int64_t width,
                              int64_t *added, crs_error *error) {
    const int64_t vocabulary = crs_encoder_vocabulary(encoder);
    crs_error own;
    crs__vectors_skipped skipped = {0};
    extending e = {.encoder = encoder,
                   .room = config->vocabulary > vocabulary ? (size_t)(config->vocabulary - vocabulary) : 0};
    error = error ? error : &own;
    *added = 0;
    CRS_TRY(crs__vectors_open(path, width, &e.file, error));
    crs_status status = crs__vectors_each(&e.file, config->skip_bad, take_row, &e, &skipped, error);
    if (status == CRS_OK)
        status = add_taken(&e, error);
    if (status == CRS_OK)
        *added = (int64_t)e.taken.count;
    crs__counter_clear(&e.taken);
    crs__tokens_clear(&e.tokens);
    crs__vectors_close(&e.file);
    return status;
}
