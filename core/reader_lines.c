/* One row a line: fastText's "__label__X text", and plain lines without a label. */
#include "fail.h"
#include "reader.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prefix[] = "__label__";
enum { PREFIX = sizeof prefix - 1 };

typedef struct lines {
    crs__stream *stream;
    char *path;
    int labelled;
} lines;

static int is_label(const char *text, size_t size) {
    return size >= PREFIX && memcmp(text, prefix, PREFIX) == 0;
}

static int is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* 1 where a word of the text is a label. */
static int has_label(const char *text, size_t size) {
    for (size_t at = 0; at + PREFIX <= size; at++) {
        const char *found = memchr(text + at, '_', size - at);
        if (!found)
            return 0;
        at = (size_t)(found - text);
        if ((at == 0 || is_blank(text[at - 1])) && is_label(text + at, size - at))
            return 1;
    }
    return 0;
}

/* Splits "__label__X text" into row's label and text. */
static crs_status split(const lines *l, const crs__line *line, crs_row *row, crs_error *error) {
    const char *name = crs__stream_name(l->stream), *text = line->text;
    size_t size = line->size;
    crs__trim(&text, &size);
    if (!is_label(text, size))
        return crs__fail_at(error, CRS_ERR_FORMAT, name, line->number, -1, "the line does not start with __label__",
                            "write __label__NAME before the text, or give the right --format");
    size_t stop = PREFIX;
    while (stop < size && !is_blank(text[stop]))
        stop++;
    if (stop == PREFIX)
        return crs__fail_at(error, CRS_ERR_FORMAT, name, line->number, -1, "the label after __label__ is empty",
                            "write the class's name right behind __label__");
    if (has_label(text + stop, size - stop))
        return crs__fail_at(error, CRS_ERR_FORMAT, name, line->number, -1, "the line has several labels",
                            "keep one label a line; or pass over such lines with --skip-bad");
    row->label = text + PREFIX;
    row->label_size = stop - PREFIX;
    row->text = text + stop;
    row->text_size = size - stop;
    crs__trim(&row->text, &row->text_size);
    return CRS_OK;
}

static crs_status lines_next(void *state, crs_row *row, int *end, int *bad, crs_error *error) {
    lines *l = state;
    for (;;) {
        crs__line line;
        crs_status status = crs__stream_line(l->stream, &line, end, error);
        *bad = line.bad;
        if (status != CRS_OK || *end)
            return status;
        const char *text = line.text;
        size_t size = line.size;
        crs__trim(&text, &size);
        if (l->labelled && size == 0)
            continue;
        crs_row found = {.text = line.text, .text_size = line.size, .file = l->path, .line = line.number};
        if (l->labelled) {
            *bad = 1;
            CRS_TRY(split(l, &line, &found, error));
            *bad = 0;
        }
        *row = found;
        return CRS_OK;
    }
}

static void lines_close(void *state) {
    lines *l = state;
    crs__stream_close(l->stream);
    free(l->path);
    free(l);
}

crs_status crs__lines_open(crs__stream *stream, const char *path, const crs_config *config, crs__rows *rows, char *note,
                           crs_error *error) {
    lines *l = calloc(1, sizeof *l);
    char *copy = strdup(path);
    if (!l || !copy) {
        free(l);
        free(copy);
        return crs__fail_memory(error, sizeof *l, "a reader");
    }
    *l = (lines){.stream = stream, .path = copy, .labelled = config->format == CRS_FORMAT_FASTTEXT};
    *rows = (crs__rows){.next = lines_next, .close = lines_close, .state = l};
    snprintf(note, CRS__NOTE, "%s", l->labelled ? "fastText, __label__ before the text" : "lines without labels");
    return CRS_OK;
}
