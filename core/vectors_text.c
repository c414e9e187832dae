/* Word vectors as lines: a token, then its numbers. The token may hold blanks (GloVe's 840B has such), so numbers are
 * counted from the line's end. */
#include "fail.h"
#include "utf8.h"
#include "vectors.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 127 }; /* characters of a number */

static int is_blank(char c) {
    return c == ' ' || c == '\t';
}

static size_t skip_digits(const char *text, size_t size, size_t at) {
    while (at < size && text[at] >= '0' && text[at] <= '9')
        at++;
    return at;
}

/* 1 for a decimal number as C writes it, with or without an exponent; not for "nan" and "inf". */
static int is_number(const char *text, size_t size) {
    size_t at = size > 0 && (text[0] == '-' || text[0] == '+'), start = at;
    at = skip_digits(text, size, at);
    size_t digits = at - start;
    if (at < size && text[at] == '.') {
        start = ++at;
        at = skip_digits(text, size, at);
        digits += at - start;
    }
    if (digits > 0 && at < size && (text[at] == 'e' || text[at] == 'E')) {
        at += at + 1 < size && (text[at + 1] == '-' || text[at + 1] == '+') ? 2 : 1;
        start = at;
        at = skip_digits(text, size, at);
        digits = at - start;
    }
    return digits > 0 && at == size && size <= NUMBER_MAX;
}

/* The last field of a line whose blanks at the end have been taken off: where it begins. */
static size_t last_field(const char *line, size_t size) {
    while (size > 0 && !is_blank(line[size - 1]))
        size--;
    return size;
}

static size_t cut_blanks(const char *line, size_t size) {
    while (size > 0 && (is_blank(line[size - 1]) || line[size - 1] == '\r'))
        size--;
    return size;
}

int64_t crs__vectors_count_numbers(const char *line, size_t size, int64_t most, size_t *start) {
    int64_t count = 0;
    *start = size;
    for (size_t end = cut_blanks(line, size); count < most && end > 0; count++) {
        const size_t field = last_field(line, end);
        if (!is_number(line + field, end - field))
            break;
        *start = field;
        end = cut_blanks(line, field);
    }
    return count;
}

/* ---- what is wrong with a line ---- */

static const char *const mend_line = "correct it or fetch the file again, or pass over such lines with --skip-bad";

static crs_status fail_number(const crs__vectors_file *file, const char *text, size_t size, crs_error *error) {
    char shown[CRS__SHOWN];
    return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(file->stream), file->line, -1,
                        "\"%s\" is no finite number", "%s", crs__shown(text, size, shown), mend_line);
}

/* Of a line that ends in `found` numbers, from start on, and should end in more. */
static crs_status fail_fields(const crs__vectors_file *file, const char *line, size_t start, int64_t found,
                              crs_error *error) {
    const size_t end = cut_blanks(line, start), last = last_field(line, end);
    int64_t fields = found;
    for (size_t left = end; left > 0; fields++)
        left = cut_blanks(line, last_field(line, left));
    if (fields == file->width + 1)
        return fail_number(file, line + last, end - last, error);
    return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(file->stream), file->line, -1,
                        "the line has %lld fields; a token and %lld numbers were expected", "%s", (long long)fields,
                        (long long)file->width, mend_line);
}

static crs_status fail_token(const crs__vectors_file *file, const char *what, crs_error *error) {
    return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(file->stream), file->line, -1,
                        "the line has %s %lld numbers", "%s", what, (long long)file->width, mend_line);
}

/* ---- rows ---- */

static crs_status split(crs__vectors_file *file, const crs__line *line, crs_error *error) {
    size_t start, first = 0;
    const int64_t found = crs__vectors_count_numbers(line->text, line->size, file->width, &start);
    if (found < file->width)
        return fail_fields(file, line->text, found ? start : line->size, found, error);
    const size_t end = cut_blanks(line->text, start), last = last_field(line->text, end);
    while (first < end && is_blank(line->text[first]))
        first++;
    if (first == end)
        return fail_token(file, "no token before its", error);
    /* Tokens with blanks never end in a number, so this is a line with too many. */
    if (last > first && is_number(line->text + last, end - last))
        return fail_token(file, "more than", error);
    file->token = line->text + first;
    file->token_size = end - first;
    file->numbers = line->text + start;
    file->numbers_size = line->size - start;
    return CRS_OK;
}

crs_status crs__vectors_text_next(crs__vectors_file *file, int *end, int *bad, crs_error *error) {
    crs__line line;
    crs_status status;
    do {
        status = crs__stream_line(file->stream, &line, end, error);
        if (*end || (status != CRS_OK && !line.bad))
            return status;
    } while (status == CRS_OK && cut_blanks(line.text, line.size) == 0);
    file->rows++;
    file->line = line.number;
    if (status == CRS_OK)
        status = split(file, &line, error);
    *bad = status != CRS_OK;
    return status;
}

crs_status crs__vectors_text_values(const crs__vectors_file *file, double *values, crs_error *error) {
    const char *at = file->numbers, *end = at + file->numbers_size;
    for (int64_t i = 0; i < file->width; i++) {
        char number[NUMBER_MAX + 1];
        size_t size = 0;
        while (at < end && is_blank(*at))
            at++;
        while (at + size < end && !is_blank(at[size]) && size < NUMBER_MAX)
            size++;
        memcpy(number, at, size);
        number[size] = '\0';
        values[i] = strtod(number, NULL);
        if (!(fabs(values[i]) <= FLT_MAX))
            return fail_number(file, at, size, error);
        at += size;
    }
    return CRS_OK;
}
