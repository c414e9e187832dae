/* Tables inside the reader: one row as fields, the parser that cuts it, and the choice of columns. */
#ifndef CRS_TABLE_H
#define CRS_TABLE_H

#include "stream.h"

#include <carousel/config.h>
#include <csv.h>

/* Fields beyond this many are counted, not kept: no column there can be used. */
enum { CRS__FIELDS_MAX = 1024 };

typedef struct crs__span {
    size_t start, size;
} crs__span;

typedef struct crs__record {
    char *bytes; /* the fields one after the other */
    size_t size, capacity;
    crs__span *fields; /* [min(count, CRS__FIELDS_MAX)], in bytes */
    size_t count, fields_capacity;
    int64_t line; /* on which it starts */
} crs__record;

void crs__record_clear(crs__record *record); /* frees what it holds */
/* Copies a field to the record's end. Memory is all that can fail. */
crs_status crs__record_add(crs__record *record, const char *text, size_t size, crs_error *error);
/* The field (0-based) with white space trimmed; an empty one where the record has fewer. */
const char *crs__record_field(const crs__record *record, size_t index, size_t *size);

/* Cuts a stream into records. */
typedef struct crs__table_parser {
    crs__stream *stream;
    int csv; /* else tsv */
    struct csv_parser machine;
    crs__record *record; /* the one being filled */
    int row_done, added; /* set by libcsv's callbacks during one line */
    crs_status status;
    crs_error *error;
} crs__table_parser;

crs_status crs__table_parser_init(crs__table_parser *parser, crs__stream *stream, int csv, crs_error *error);
void crs__table_parser_clear(crs__table_parser *parser); /* leaves the stream open */
/* The next record that is not blank. *bad as in crs__rows. */
crs_status crs__table_parse(crs__table_parser *parser, crs__record *record, int *end, int *bad, crs_error *error);

/* Which columns (0-based) hold text and label, and whether the first record is a header; found by config and by looking
 * at the first records. name is for errors, note ([note_size]) gets what was found. */
typedef struct crs__columns {
    size_t text, label;
    int header;
} crs__columns;
crs_status crs__columns_find(const crs__record *records, size_t count, const crs_config *config, const char *name,
                             crs__columns *columns, char *note, size_t note_size, crs_error *error);

#endif
