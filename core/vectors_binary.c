/* Word vectors as word2vec's program writes them: a token, a space, and floats as they are in memory. Some writers put
 * a newline behind each vector, some do not. Bytes are counted, since there are no lines to name. */
#include "fail.h"
#include "utf8.h"
#include "vectors.h"

#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 4096 }; /* bytes */

static crs_status take(crs__vectors_file *file, void *bytes, size_t wanted, size_t *taken, crs_error *error) {
    const crs_status status = crs__stream_take(file->stream, bytes, wanted, taken, error);
    file->offset += (int64_t)*taken;
    if (status != CRS_OK && error)
        error->offset = file->offset;
    return status;
}

crs_status crs__vectors_binary_begin(crs__vectors_file *file, size_t header_size, crs_error *error) {
    size_t taken;
    const size_t bytes = 4 * (size_t)file->width;
    file->held = malloc(TOKEN_MAX > header_size ? TOKEN_MAX : header_size);
    file->raw = malloc(bytes);
    if (!file->held || !file->raw)
        return crs__fail_memory(error, bytes, "a word vector");
    return take(file, file->held, header_size, &taken, error);
}

/* ---- what is wrong ---- */

static crs_status fail_end(const crs__vectors_file *file, crs_error *error) {
    return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(file->stream), 0, file->offset,
                        "the file ends within vector %lld of %lld", "it is cut off: fetch it again",
                        (long long)file->rows + 1, (long long)file->promised);
}

static crs_status fail_row(const crs__vectors_file *file, int64_t offset, const char *what, crs_error *error) {
    return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(file->stream), 0, offset, "vector %lld %s",
                        "fetch the file again, or pass over such vectors with --skip-bad", (long long)file->rows, what);
}

/* ---- rows ---- */

/* Nothing but newlines may follow the last vector. */
static crs_status finish(crs__vectors_file *file, int *end, crs_error *error) {
    char byte;
    size_t taken;
    for (;;) {
        CRS_TRY(take(file, &byte, 1, &taken, error));
        *end = taken == 0;
        if (*end)
            return CRS_OK;
        if (byte != '\n')
            return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(file->stream), 0, file->offset - 1,
                                "more follows the %lld vectors that the header promises",
                                "the header or the file is damaged: fetch it again", (long long)file->promised);
    }
}

static crs_status take_token(crs__vectors_file *file, crs_error *error) {
    char byte;
    size_t taken;
    file->token = file->held;
    file->token_size = 0;
    for (;;) {
        CRS_TRY(take(file, &byte, 1, &taken, error));
        if (taken == 0)
            return fail_end(file, error);
        if (byte == ' ')
            return CRS_OK;
        if (byte == '\n' && file->token_size == 0)
            continue;
        if (file->token_size == TOKEN_MAX)
            return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(file->stream), 0, file->offset - TOKEN_MAX - 1,
                                "the token of vector %lld does not end within %d bytes",
                                "the file is damaged: fetch it again", (long long)file->rows + 1, (int)TOKEN_MAX);
        file->held[file->token_size++] = byte;
    }
}

static uint32_t bits_of(const unsigned char *raw) {
    return (uint32_t)raw[0] | (uint32_t)raw[1] << 8 | (uint32_t)raw[2] << 16 | (uint32_t)raw[3] << 24;
}

static crs_status check_row(const crs__vectors_file *file, crs_error *error) {
    const uint32_t exponent = 0x7f800000; /* all ones in infinities and NaNs alone */
    const int64_t numbers = file->offset - 4 * file->width, start = numbers - 1 - (int64_t)file->token_size;
    if (file->token_size == 0)
        return fail_row(file, start, "has no token", error);
    if (crs__utf8_check(file->token, file->token_size) < file->token_size)
        return fail_row(file, start, "has a token that is not valid UTF-8", error);
    for (int64_t i = 0; i < file->width; i++)
        if ((bits_of(file->raw + 4 * i) & exponent) == exponent)
            return fail_row(file, numbers + 4 * i, "has a value that is not finite", error);
    return CRS_OK;
}

crs_status crs__vectors_binary_next(crs__vectors_file *file, int *end, int *bad, crs_error *error) {
    if (file->rows == file->promised)
        return finish(file, end, error);
    size_t taken;
    const size_t bytes = 4 * (size_t)file->width;
    CRS_TRY(take_token(file, error));
    CRS_TRY(take(file, file->raw, bytes, &taken, error));
    if (taken < bytes)
        return fail_end(file, error);
    file->rows++;
    const crs_status status = check_row(file, error);
    *bad = status != CRS_OK;
    return status;
}

void crs__vectors_binary_values(const crs__vectors_file *file, double *values) {
    for (int64_t i = 0; i < file->width; i++) {
        const uint32_t bits = bits_of(file->raw + 4 * i);
        float value;
        memcpy(&value, &bits, sizeof value);
        values[i] = (double)value;
    }
}
