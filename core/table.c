/* Cutting csv (by libcsv) and tsv into records. Which column is what is decided in columns.c. */
#include "table.h"

#include "fail.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* ---- records ---- */

void crs__record_clear(crs__record *record) {
    free(record->bytes);
    free(record->fields);
    *record = (crs__record){0};
}

crs_status crs__record_add(crs__record *record, const char *text, size_t size, crs_error *error) {
    if (record->count++ >= CRS__FIELDS_MAX)
        return CRS_OK;
    if (record->size + size > record->capacity || !record->bytes) {
        size_t capacity = 2 * (record->size + size) + 64;
        char *bytes = realloc(record->bytes, capacity);
        if (!bytes)
            return crs__fail_memory(error, capacity, "a row");
        record->bytes = bytes;
        record->capacity = capacity;
    }
    if (record->count > record->fields_capacity) {
        size_t capacity = 2 * record->count + 6;
        crs__span *fields = realloc(record->fields, capacity * sizeof *fields);
        if (!fields)
            return crs__fail_memory(error, capacity * sizeof *fields, "a row");
        record->fields = fields;
        record->fields_capacity = capacity;
    }
    if (size > 0)
        memcpy(record->bytes + record->size, text, size);
    record->fields[record->count - 1] = (crs__span){record->size, size};
    record->size += size;
    return CRS_OK;
}

const char *crs__record_field(const crs__record *record, size_t index, size_t *size) {
    *size = 0;
    if (index >= record->count || index >= CRS__FIELDS_MAX)
        return "";
    const char *text = record->bytes + record->fields[index].start;
    *size = record->fields[index].size;
    crs__trim(&text, size);
    return text;
}

static void restart_record(crs__record *record, int64_t line) {
    record->size = record->count = 0;
    record->line = line;
}

/* ---- tsv ---- */

/* Takes a field's quotes off where it is quoted throughout: it starts and ends with one and all within are doubled. */
static size_t unquote(char *text, size_t size) {
    if (size < 2 || text[0] != '"' || text[size - 1] != '"')
        return size;
    for (size_t i = 1; i < size - 1; i++)
        if (text[i] == '"' && (text[++i] != '"' || i == size - 1))
            return size;
    size_t kept = 0;
    for (size_t i = 1; i < size - 1; i++) {
        text[kept++] = text[i];
        i += text[i] == '"';
    }
    return kept;
}

static crs_status cut_tabs(crs__record *record, crs__line *line, crs_error *error) {
    for (size_t at = 0; at <= line->size;) {
        char *field = line->text + at, *tab = memchr(field, '\t', line->size - at);
        size_t size = tab ? (size_t)(tab - field) : line->size - at;
        at += size + 1;
        size = unquote(field, size);
        CRS_TRY(crs__record_add(record, field, size, error));
    }
    return CRS_OK;
}

/* ---- csv ---- */

static int is_newline(unsigned char c) {
    return c == '\n';
}

static void on_field(void *text, size_t size, void *user) {
    crs__table_parser *p = user;
    p->added = 1;
    if (p->status == CRS_OK)
        p->status = crs__record_add(p->record, text, size, p->error);
}

static void on_row(int terminator, void *user) {
    (void)terminator;
    ((crs__table_parser *)user)->row_done = 1;
}

static crs_status start_machine(crs__table_parser *p, crs_error *error) {
    if (csv_init(&p->machine, CSV_STRICT) != 0)
        return crs__fail_memory(error, sizeof p->machine, "the csv parser");
    /* Lines arrive without their CR, and a CR elsewhere is text. */
    csv_set_term_func(&p->machine, is_newline);
    csv_set_blk_size(&p->machine, 1 << 16);
    return CRS_OK;
}

static crs_status restart_machine(crs__table_parser *p, crs_error *error) {
    csv_free(&p->machine);
    return start_machine(p, error);
}

/* Gives bytes to libcsv. In strict mode it stops at a quote inside an unquoted field, which is only a character to
 * everyone else and let through here, and at text behind a closing quote, which is an error: read on, it would swallow
 * the rows that follow. *stopped gets the 1-based offset of the latter, or 0. */
static crs_status feed(crs__table_parser *p, const char *text, size_t size, size_t *stopped, crs_error *error) {
    p->error = error;
    p->status = CRS_OK;
    *stopped = 0;
    for (size_t at = 0; at < size && p->status == CRS_OK;) {
        at += csv_parse(&p->machine, text + at, size - at, on_field, on_row, p);
        if (at == size)
            break;
        if (csv_error(&p->machine) != CSV_EPARSE)
            return crs__fail_memory(error, size, "a csv field");
        if (p->machine.quoted) {
            *stopped = at + 1;
            break;
        }
        csv_set_opts(&p->machine, 0);
        at += csv_parse(&p->machine, text + at, 1, on_field, on_row, p);
        csv_set_opts(&p->machine, CSV_STRICT);
    }
    return p->status;
}

static crs_status fail_open_quote(const crs__table_parser *p, int64_t line, crs_error *error) {
    return crs__fail_at(
        error, CRS_ERR_FORMAT, crs__stream_name(p->stream), line, -1,
        "a quote that opens on this line is not closed within %d MiB or the file",
        "close it, or double it where it is part of the text; --skip-bad cannot tell where the row ends",
        CRS__LINE_MAX >> 20);
}

/* Gives a line and its newline to libcsv. *wrong is set with an error that spoils only this record. */
static crs_status feed_line(crs__table_parser *p, const crs__line *line, int *wrong, crs_error *error) {
    size_t stopped = 0;
    CRS_TRY(feed(p, line->text, line->size, &stopped, error));
    if (!stopped)
        CRS_TRY(feed(p, "\n", 1, &stopped, error));
    if (!stopped)
        return CRS_OK;
    CRS_TRY(restart_machine(p, error));
    p->row_done = *wrong = 1;
    return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(p->stream), line->number, -1,
                        "byte %zu of the line: text behind a closing quote",
                        "double the quotes that are part of a quoted field, or pass over such rows with --skip-bad",
                        stopped);
}

/* What a record has come to: its first error counts, unless a later one ends the reading. */
typedef struct outcome {
    crs_status status;
    int fatal;
    crs_error *error;
} outcome;

static void settle(outcome *o, crs_status got, int wrong, const crs_error *now) {
    if (got == CRS_OK || (wrong && o->status != CRS_OK))
        return;
    o->status = got;
    o->fatal = !wrong;
    *o->error = *now;
}

/* A record may span lines; a bad line spoils it, but its other lines are still read, to find its end. */
static crs_status parse_csv(crs__table_parser *p, crs__record *record, int *end, int *bad, crs_error *error) {
    outcome o = {CRS_OK, 0, error};
    crs_error now;
    int64_t quote_line = 0; /* where the quote that is open now began, or 0 */
    size_t total = 0;
    p->record = record;
    for (int done = 0; !done && !o.fatal;) {
        crs__line line;
        int wrong = 0;
        crs_status got = crs__stream_line(p->stream, &line, end, &now);
        settle(&o, got, line.bad, &now);
        if (o.fatal || (*end && !quote_line))
            break;
        total += line.size + 1;
        if (*end || total > CRS__LINE_MAX + 1) {
            *end = 0;
            got = fail_open_quote(p, quote_line, &now);
            settle(&o, got, 0, &now);
            break;
        }
        if (!quote_line)
            restart_record(record, line.number);
        p->row_done = p->added = 0;
        got = line.too_long ? restart_machine(p, &now) : feed_line(p, &line, &wrong, &now);
        settle(&o, got, wrong, &now);
        /* Without a finished row the newline was inside quotes, or the line was blank. The open field began on this
         * line where it is the record's first line or has ended a field before. */
        int blank = !p->row_done && !p->machine.quoted && record->count == 0;
        done = p->row_done || line.too_long || (blank && o.status != CRS_OK);
        if (blank)
            total = 0;
        else if (!quote_line || p->added)
            quote_line = line.number;
    }
    *bad = o.status != CRS_OK && !o.fatal;
    return o.status;
}

/* ---- both ---- */

crs_status crs__table_parser_init(crs__table_parser *p, crs__stream *stream, int csv, crs_error *error) {
    *p = (crs__table_parser){.stream = stream, .csv = csv};
    return csv ? start_machine(p, error) : CRS_OK;
}

void crs__table_parser_clear(crs__table_parser *p) {
    if (p->csv)
        csv_free(&p->machine);
}

crs_status crs__table_parse(crs__table_parser *p, crs__record *record, int *end, int *bad, crs_error *error) {
    *bad = 0;
    if (p->csv)
        return parse_csv(p, record, end, bad, error);
    for (;;) {
        crs__line line;
        crs_status status = crs__stream_line(p->stream, &line, end, error);
        *bad = line.bad;
        if (status != CRS_OK || *end)
            return status;
        const char *text = line.text;
        size_t size = line.size;
        crs__trim(&text, &size);
        if (size == 0)
            continue;
        restart_record(record, line.number);
        return cut_tabs(record, &line, error);
    }
}
