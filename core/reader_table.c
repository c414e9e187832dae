/* Rows of a csv or tsv file: the first records are kept while the columns are found, then rows come one by one. */
#include "fail.h"
#include "reader.h"
#include "table.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_AT = 200 }; /* records, or CRS__LINE_MAX bytes, to find the columns by */

typedef struct table {
    crs__table_parser parser;
    char *path;
    crs__columns columns;
    crs__record record;
    /* The first records, and what came of reading each: handed out again in their order. */
    crs__record first[LOOK_AT];
    crs_error *errors[LOOK_AT]; /* NULL: none */
    int fatal;                  /* the last error of them ends the reading */
    size_t first_count, first_next;
} table;

/* Reads records to look at; bad ones are kept as errors. */
static crs_status read_first(table *t, crs_error *error) {
    size_t bytes = 0;
    int end = 0;
    while (t->first_count < LOOK_AT && bytes < CRS__LINE_MAX && !t->fatal) {
        crs__record *record = &t->first[t->first_count];
        int bad = 0;
        crs_error found;
        crs_status status = crs__table_parse(&t->parser, record, &end, &bad, &found);
        if (status == CRS_OK && end)
            break;
        if (status != CRS_OK) {
            crs_error *kept = malloc(sizeof *kept);
            if (!kept)
                return crs__fail_memory(error, sizeof *kept, "an error");
            *kept = found;
            t->errors[t->first_count] = kept;
            t->fatal = !bad;
        }
        bytes += record->size;
        t->first_count++;
    }
    return CRS_OK;
}

static crs_status find_columns(table *t, const crs_config *config, char *note, crs_error *error) {
    const char *name = crs__stream_name(t->parser.stream);
    crs__record good[LOOK_AT];
    size_t count = 0;
    const crs_error *first_error = NULL;
    for (size_t i = 0; i < t->first_count; i++)
        if (!t->errors[i])
            good[count++] = t->first[i];
        else if (!first_error)
            first_error = t->errors[i];
    /* Where a row is bad anyway, its error says more than one about columns. */
    if (first_error && (count == 0 || !config->skip_bad)) {
        *error = *first_error;
        return error->status;
    }
    if (count == 0)
        return crs__fail_at(error, CRS_ERR_FORMAT, name, 0, -1, "has no rows", "give a file with at least one row");
    CRS_TRY(crs__columns_find(good, count, config, name, &t->columns, note, CRS__NOTE, error));
    for (size_t i = 0; t->columns.header && i < t->first_count; i++)
        if (!t->errors[i]) {
            t->columns.header = 0;
            crs__record_clear(&t->first[i]); /* a cleared record, with no field, is passed over */
        }
    return CRS_OK;
}

/* The next record, of those kept at first or of the stream. */
static crs_status take(table *t, const crs__record **record, int *end, int *bad, crs_error *error) {
    while (t->first_next < t->first_count) {
        size_t i = t->first_next;
        if (i > 0)
            crs__record_clear(&t->first[i - 1]);
        *record = &t->first[i];
        *end = 0;
        if (t->errors[i]) {
            *error = *t->errors[i];
            *bad = !(t->fatal && i + 1 == t->first_count);
            t->first_next += (size_t)*bad;
            return error->status;
        }
        t->first_next++;
        if (t->first[i].count > 0)
            return CRS_OK;
    }
    *record = &t->record;
    return crs__table_parse(&t->parser, &t->record, end, bad, error);
}

static crs_status table_next(void *state, crs_row *row, int *end, int *bad, crs_error *error) {
    table *t = state;
    const crs__record *record;
    CRS_TRY(take(t, &record, end, bad, error));
    if (*end)
        return CRS_OK;
    const char *name = crs__stream_name(t->parser.stream);
    size_t needed = (t->columns.text > t->columns.label ? t->columns.text : t->columns.label) + 1;
    *bad = 1;
    if (record->count < needed)
        return crs__fail_at(error, CRS_ERR_FORMAT, name, record->line, -1,
                            "the row has %zu columns; column %zu is missing",
                            "complete the row, or pass over such rows with --skip-bad", record->count, needed);
    crs_row found = {.file = t->path, .line = record->line};
    found.label = crs__record_field(record, t->columns.label, &found.label_size);
    found.text = record->bytes + record->fields[t->columns.text].start;
    found.text_size = record->fields[t->columns.text].size;
    if (found.label_size == 0)
        return crs__fail_at(error, CRS_ERR_FORMAT, name, record->line, -1, "the label in column %zu is empty",
                            "complete the row, or pass over such rows with --skip-bad", t->columns.label + 1);
    *bad = 0;
    *row = found;
    return CRS_OK;
}

/* Leaves the stream to the caller. */
static void table_free(table *t) {
    for (size_t i = 0; i < t->first_count; i++) {
        crs__record_clear(&t->first[i]);
        free(t->errors[i]);
    }
    if (t->first_count < LOOK_AT)
        crs__record_clear(&t->first[t->first_count]);
    crs__record_clear(&t->record);
    crs__table_parser_clear(&t->parser);
    free(t->path);
    free(t);
}

static void table_close(void *state) {
    table *t = state;
    crs__stream *stream = t->parser.stream;
    table_free(t);
    crs__stream_close(stream);
}

crs_status crs__table_open(crs__stream *stream, const char *path, const crs_config *config, crs__rows *rows, char *note,
                           crs_error *error) {
    table *t = calloc(1, sizeof *t);
    if (!t || !(t->path = strdup(path))) {
        free(t);
        return crs__fail_memory(error, sizeof *t, "a reader");
    }
    crs_status status = crs__table_parser_init(&t->parser, stream, config->format == CRS_FORMAT_CSV, error);
    if (status == CRS_OK)
        status = read_first(t, error);
    if (status == CRS_OK)
        status = find_columns(t, config, note, error);
    if (status != CRS_OK) {
        table_free(t);
        return status;
    }
    *rows = (crs__rows){.next = table_next, .close = table_close, .state = t};
    return CRS_OK;
}
