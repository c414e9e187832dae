/* Opening a file of word vectors: its format and width, found by looking at its first bytes. */
#include "vectors.h"

#include "fail.h"
#include "layer.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

const char *crs__vectors_format_name(crs__vectors_format format) {
    static const char *const names[CRS__VECTORS_FORMATS] = {
        [CRS__VECTORS_GLOVE] = "GloVe text",
        [CRS__VECTORS_TEXT] = "word2vec text",
        [CRS__VECTORS_BINARY] = "word2vec binary",
    };
    return names[format];
}

static crs_status fail_file(const crs__vectors_file *file, int64_t line, const char *what, const char *mend,
                            crs_error *error) {
    return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(file->stream), line, -1, "%s", "%s", what, mend);
}

/* Files that are near to what is wanted, and not it. */
static crs_status refuse_others(const crs__vectors_file *file, const char *bytes, size_t size, crs_error *error) {
    if (size == 0)
        return fail_file(file, 0, "is empty", "give a file of word vectors", error);
    if (size >= 4 && memcmp(bytes, "PK\3\4", 4) == 0)
        return fail_file(file, 0, "is a ZIP archive", "unpack it, and name the file of vectors inside", error);
    if (size >= 4 && memcmp(bytes, "\xba\x16\x4f\x2f", 4) == 0)
        return fail_file(file, 0, "is fastText's own .bin", "give the .vec file that belongs to it", error);
    return CRS_OK;
}

/* A whole number at *at, which moves behind it and the blanks that follow; -1 where there is none. Beyond 18 digits any
 * number is as absurd as another. */
static int64_t read_whole(const char *line, size_t size, size_t *at) {
    int64_t value = 0;
    size_t digits = 0;
    for (; *at < size && line[*at] >= '0' && line[*at] <= '9'; ++*at, digits++)
        value = digits < 18 ? value * 10 + (line[*at] - '0') : INT64_MAX;
    const size_t end = *at;
    while (*at < size && (line[*at] == ' ' || line[*at] == '\t' || line[*at] == '\r'))
        ++*at;
    return digits > 0 && (*at > end || *at == size) ? value : -1;
}

/* 1 where a line is "count width". */
static int read_header(const char *line, size_t size, int64_t *count, int64_t *width) {
    size_t at = 0;
    *count = read_whole(line, size, &at);
    *width = *count < 0 ? -1 : read_whole(line, size, &at);
    return *width >= 0 && at == size;
}

/* Whether the rows behind a header are binary: the first is no line of text with enough numbers, and where its numbers
 * would be stand bytes that no text has. */
static int is_binary(const char *rows, size_t size, int64_t width) {
    const char *newline = memchr(rows, '\n', size), *space = memchr(rows, ' ', size);
    size_t start, first = space ? (size_t)(space - rows) + 1 : 0, end = first + 4 * (size_t)width;
    if (crs__vectors_count_numbers(rows, newline ? (size_t)(newline - rows) : size, width, &start) == width)
        return 0;
    end = end < size ? end : size;
    for (size_t i = first; i < end; i++)
        if ((unsigned char)rows[i] < ' ' && rows[i] != '\t' && rows[i] != '\n' && rows[i] != '\r')
            return 1;
    return crs__utf8_check(rows + first, size - first) < end - first;
}

/* The numbers in a line without a header, where the token may be a number itself. */
static int64_t width_of_line(const char *line, size_t size) {
    size_t start;
    const int64_t numbers = crs__vectors_count_numbers(line, size, INT64_MAX, &start);
    return numbers > 0 && start == 0 ? numbers - 1 : numbers;
}

/* Width of a file without a header by its first two lines, so that one that is damaged does not mislead. A line that
 * does not end in what is at hand says nothing: the width hoped for is then put to the test by reading. */
static int64_t find_width(const char *bytes, size_t size, int64_t hoped) {
    enum { SHORT = 1 << 15 }; /* of an input that is longer, more than this is at hand */
    const int cut = size > SHORT;
    int64_t widths[2] = {0};
    for (int i = 0; i < 2; i++) {
        const char *newline = memchr(bytes, '\n', size);
        if (!newline && cut)
            return i == 0 || widths[0] < 1 ? hoped : widths[0];
        const size_t line = newline ? (size_t)(newline - bytes) : size;
        widths[i] = width_of_line(bytes, line);
        if (widths[i] == hoped)
            return hoped;
        bytes += newline ? line + 1 : line;
        size -= newline ? line + 1 : line;
    }
    return widths[0] > 0 ? widths[0] : widths[1];
}

static crs_status find_format(crs__vectors_file *file, int64_t hoped, crs_error *error) {
    const char *bytes;
    size_t size;
    CRS_TRY(crs__stream_peek(file->stream, &bytes, &size, error));
    CRS_TRY(refuse_others(file, bytes, size, error));
    const char *newline = memchr(bytes, '\n', size);
    const size_t first = newline ? (size_t)(newline - bytes) : size;
    file->promised = -1;
    if (!read_header(bytes, first, &file->promised, &file->width)) {
        file->promised = -1;
        file->format = CRS__VECTORS_GLOVE;
        file->width = find_width(bytes, size, hoped);
        return file->width > 0
                   ? CRS_OK
                   : fail_file(file, 1, "a word and its numbers were expected",
                               "give word vectors: GloVe text, word2vec text or binary, fastText .vec", error);
    }
    if (file->promised < 1 || file->promised > INT32_MAX || file->width < 1 || file->width > CRS__UNITS_MAX)
        return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(file->stream), 1, -1,
                            "the header promises %lld vectors of %lld numbers",
                            "they are 1 to %d, of 1 to %d: fetch or make the file again", (long long)file->promised,
                            (long long)file->width, INT32_MAX, (int)CRS__UNITS_MAX);
    const size_t header = newline ? first + 1 : first;
    file->format = is_binary(bytes + header, size - header, file->width) ? CRS__VECTORS_BINARY : CRS__VECTORS_TEXT;
    if (file->format == CRS__VECTORS_BINARY)
        return crs__vectors_binary_begin(file, header, error);
    crs__line line;
    int end;
    return crs__stream_line(file->stream, &line, &end, error);
}

crs_status crs__vectors_open(const char *path, int64_t width, crs__vectors_file *file, crs_error *error) {
    *file = (crs__vectors_file){0};
    CRS_TRY(crs__stream_open(path, &file->stream, error));
    const crs_status status = find_format(file, width, error);
    if (status != CRS_OK)
        crs__vectors_close(file);
    return status;
}

void crs__vectors_close(crs__vectors_file *file) {
    crs__stream_close(file->stream);
    free(file->held);
    free(file->raw);
    *file = (crs__vectors_file){0};
}

crs_status crs__vectors_next(crs__vectors_file *file, int *end, int *bad, crs_error *error) {
    *end = *bad = 0;
    return file->format == CRS__VECTORS_BINARY ? crs__vectors_binary_next(file, end, bad, error)
                                               : crs__vectors_text_next(file, end, bad, error);
}

crs_status crs__vectors_values(const crs__vectors_file *file, double *values, crs_error *error) {
    if (file->format != CRS__VECTORS_BINARY)
        return crs__vectors_text_values(file, values, error);
    crs__vectors_binary_values(file, values);
    return CRS_OK;
}

crs_status crs__vectors_each(crs__vectors_file *file, int skip_bad, crs__vectors_take *take, void *user,
                             crs__vectors_skipped *skipped, crs_error *error) {
    for (;;) {
        int end, bad;
        crs_status status = crs__vectors_next(file, &end, &bad, error);
        if (status == CRS_OK && end)
            break;
        if (status == CRS_OK)
            status = take(user, &bad, error);
        if (status != CRS_OK && !(bad && skip_bad))
            return status;
        if (status != CRS_OK && skipped->count++ == 0)
            skipped->first = *error;
    }
    if (file->promised < 0 || file->rows == file->promised || skip_bad)
        return CRS_OK;
    return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(file->stream), 1, -1,
                        "the header promises %lld vectors, and %lld follow",
                        "fetch the file again, correct the header, or pass over this with --skip-bad",
                        (long long)file->promised, (long long)file->rows);
}
