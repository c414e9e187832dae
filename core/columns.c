/* Finding a table's header, text column and label column. */
#include "fail.h"
#include "numbers.h"
#include "table.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Column names people use, the most telling first. */
static const char *const text_names[] = {"text",      "sentence", "review",   "document", "content",
                                         "comment",   "phrase",   "tweet",    "body",     "message",
                                         "utterance", "question", "headline", "title",    NULL};
static const char *const label_names[] = {"label",  "class", "category", "sentiment", "target", "emotion",
                                          "intent", "topic", "stars",    "rating",    "y",      NULL};
static const char *const other_names[] = {"id", "index", "idx", NULL};

enum { LABEL_BYTES = 64 }; /* a found label column has no longer value */

typedef struct sample {
    const crs__record *records;
    size_t count, columns;
    const char *name; /* of the file */
} sample;

static int same(const char *text, size_t size, const char *word) {
    return strlen(word) == size && strncasecmp(text, word, size) == 0;
}

static int rank(const char *const *names, const char *text, size_t size) {
    for (int i = 0; names[i]; i++)
        if (same(text, size, names[i]))
            return i;
    return -1;
}

static int is_number(const char *text, size_t size) {
    char copy[40], *stop;
    if (size == 0 || size >= sizeof copy)
        return 0;
    memcpy(copy, text, size);
    copy[size] = 0;
    const locale_t former = crs__numbers_begin();
    strtod(copy, &stop);
    crs__numbers_end(former);
    return *stop == 0;
}

/* The 1-based number a column setting gives, or 0 where it is a name. */
static size_t column_number(const char *setting) {
    size_t digits = strspn(setting, "0123456789");
    return digits > 0 && digits < 8 && setting[digits] == 0 ? strtoul(setting, NULL, 10) : 0;
}

/* ---- header ---- */

static int recurs(const sample *s, size_t column) {
    size_t size, other;
    const char *head = crs__record_field(&s->records[0], column, &size);
    for (size_t r = 1; size > 0 && r < s->count; r++) {
        const char *text = crs__record_field(&s->records[r], column, &other);
        if (other == size && memcmp(text, head, size) == 0)
            return 1;
    }
    return 0;
}

/* 1 where the first cell of a column stands above numbers only, at least two. */
static int above_numbers(const sample *s, size_t column) {
    size_t size;
    for (size_t r = 1; r < s->count; r++) {
        const char *text = crs__record_field(&s->records[r], column, &size);
        if (!is_number(text, size))
            return 0;
    }
    return s->count > 2;
}

/* The first record names the columns where it holds a name that was asked for, or two names people use; or where none
 * of its cells is a number or comes back further down, and it holds one such name or a word above a column of numbers.
 */
static int looks_like_header(const sample *s, const crs_config *config) {
    size_t known = 0, size;
    int like_data = 0, above = 0;
    for (size_t c = 0; c < s->columns; c++) {
        const char *text = crs__record_field(&s->records[0], c, &size);
        const char *asked[] = {config->text_column, config->label_column};
        for (int i = 0; i < 2; i++)
            if (asked[i][0] && !column_number(asked[i]) && same(text, size, asked[i]))
                return 1;
        known += rank(text_names, text, size) >= 0 || rank(label_names, text, size) >= 0 ||
                 rank(other_names, text, size) >= 0;
        like_data |= is_number(text, size) || recurs(s, c);
        above |= size > 0 && above_numbers(s, c);
    }
    return known >= 2 || (!like_data && (known == 1 || above));
}

/* ---- columns by name or number ---- */

static crs_status fail_columns(const sample *s, const char *what, crs_error *error) {
    return crs__fail_at(error, CRS_ERR_FORMAT, s->name, s->records[0].line, -1, "%s",
                        "say which columns they are with --text-column and --label-column (a name in the header, or a "
                        "number from 1 on)",
                        what);
}

static crs_status asked_column(const sample *s, int header, const char *setting, const char *flag, size_t *column,
                               crs_error *error) {
    size_t number = column_number(setting), size;
    if (number > 0) {
        if (number > s->columns || number > CRS__FIELDS_MAX)
            return crs__fail_at(error, CRS_ERR_CONFIG, s->name, s->records[0].line, -1,
                                "there is no column %zu: the first rows have %zu", "give %s a number in that range",
                                number, s->columns, flag);
        *column = number - 1;
        return CRS_OK;
    }
    char names[192] = "";
    for (int exact = 1; header && exact >= 0; exact--)
        for (size_t c = 0; c < s->columns; c++) {
            const char *text = crs__record_field(&s->records[0], c, &size);
            if (same(text, size, setting) && (!exact || memcmp(text, setting, size) == 0)) {
                *column = c;
                return CRS_OK;
            }
            size_t used = strlen(names);
            char shown[CRS__SHOWN];
            if (exact)
                snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", crs__shown(text, size, shown));
        }
    if (!header)
        return crs__fail_at(error, CRS_ERR_CONFIG, s->name, s->records[0].line, -1,
                            "no column is named \"%s\": there is no header", "give %s a number from 1 on", setting,
                            flag);
    return crs__fail_at(error, CRS_ERR_CONFIG, s->name, s->records[0].line, -1,
                        "no column is named \"%s\"; the header has: %s", "give %s one of these names, or a number",
                        setting, names, flag);
}

/* The column whose header comes first in names; columns where there is none. */
static size_t named_column(const sample *s, const char *const *names, size_t not_this) {
    size_t best = s->columns, size;
    int best_rank = -1;
    for (size_t c = 0; c < s->columns; c++) {
        const char *text = crs__record_field(&s->records[0], c, &size);
        int r = rank(names, text, size);
        if (c != not_this && r >= 0 && (best_rank < 0 || r < best_rank)) {
            best = c;
            best_rank = r;
        }
    }
    return best;
}

/* ---- columns by what they hold ---- */

typedef struct measure {
    size_t filled, distinct, longest;
    double mean; /* bytes */
} measure;

static measure measure_column(const sample *s, size_t column, int header) {
    measure m = {0};
    size_t size, other;
    for (size_t r = (size_t)header; r < s->count; r++) {
        const char *text = crs__record_field(&s->records[r], column, &size);
        int seen = 0;
        for (size_t q = (size_t)header; q < r && !seen && size > 0; q++) {
            const char *before = crs__record_field(&s->records[q], column, &other);
            seen = other == size && memcmp(text, before, size) == 0;
        }
        m.filled += size > 0;
        m.distinct += size > 0 && !seen;
        m.longest = size > m.longest ? size : m.longest;
        m.mean += (double)size;
    }
    size_t rows = s->count - (size_t)header;
    m.mean /= rows > 0 ? (double)rows : 1;
    return m;
}

/* The longest column on average; columns where a second one is nearly as long. */
static size_t longest_column(const sample *s, const measure *m, size_t not_this) {
    size_t best = s->columns;
    for (size_t c = 0; c < s->columns; c++)
        if (c != not_this && m[c].mean > 0 && (best == s->columns || m[c].mean > m[best].mean))
            best = c;
    for (size_t c = 0; c < s->columns; c++)
        if (best < s->columns && c != not_this && c != best && m[c].mean > 0.7 * m[best].mean &&
            m[c].distinct >= m[best].distinct)
            return s->columns;
    return best;
}

/* The one column that could hold labels: short values, mostly there, that come back; columns where there are
 * none or several. */
static size_t label_like_column(const sample *s, const measure *m, size_t rows, size_t not_this) {
    size_t best = s->columns, candidates = 0;
    /* A column with one value only is no rival to one with several. */
    for (size_t least = 2; least >= 1 && candidates == 0; least--)
        for (size_t c = 0; c < s->columns; c++) {
            size_t most = rows * 3 / 4 > 8 ? rows * 3 / 4 : 8;
            if (c != not_this && 4 * m[c].filled >= 3 * rows && m[c].longest <= LABEL_BYTES && m[c].distinct >= least &&
                m[c].distinct <= most && m[c].distinct <= m[not_this].distinct) {
                best = c;
                candidates++;
            }
        }
    return candidates == 1 ? best : s->columns;
}

static crs_status look(const sample *s, crs__columns *found, int know_text, int know_label, crs_error *error) {
    size_t rows = s->count - (size_t)found->header;
    if (rows == 0)
        return fail_columns(s, "no row to find the text and label columns by", error);
    measure *m = calloc(s->columns, sizeof *m);
    if (!m)
        return crs__fail_memory(error, s->columns * sizeof *m, "looking at columns");
    for (size_t c = 0; c < s->columns; c++)
        m[c] = measure_column(s, c, found->header);
    if (!know_text)
        found->text = longest_column(s, m, know_label ? found->label : s->columns);
    if (!know_label && found->text < s->columns)
        found->label = label_like_column(s, m, rows, found->text);
    free(m);
    if (found->text >= s->columns)
        return fail_columns(s, "cannot tell which column holds the text: none is clearly the longest", error);
    if (found->label >= s->columns)
        return fail_columns(s, "cannot tell which column holds the label: not just one has short values that come back",
                            error);
    return CRS_OK;
}

static void describe(const sample *s, const crs__columns *found, int csv, char *note, size_t note_size) {
    char text[CRS__SHOWN + 4] = "", label[CRS__SHOWN + 4] = "", shown[CRS__SHOWN];
    size_t size;
    if (found->header) {
        const char *name = crs__record_field(&s->records[0], found->text, &size);
        snprintf(text, sizeof text, " (%s)", crs__shown(name, size, shown));
        name = crs__record_field(&s->records[0], found->label, &size);
        snprintf(label, sizeof label, " (%s)", crs__shown(name, size, shown));
    }
    snprintf(note, note_size, "%s, %s, label in column %zu%s, text in column %zu%s", csv ? "csv" : "tsv",
             found->header ? "header" : "no header", found->label + 1, label, found->text + 1, text);
}

crs_status crs__columns_find(const crs__record *records, size_t count, const crs_config *config, const char *name,
                             crs__columns *columns, char *note, size_t note_size, crs_error *error) {
    sample s = {.records = records, .count = count, .name = name};
    for (size_t r = 0; r < count; r++)
        s.columns = records[r].count > s.columns ? records[r].count : s.columns;
    if (s.columns > CRS__FIELDS_MAX)
        s.columns = CRS__FIELDS_MAX;
    if (s.columns < 2)
        return crs__fail_at(error, CRS_ERR_FORMAT, name, records[0].line, -1, "the rows have one column only",
                            "give a file with text and label in columns of their own, or another --format");
    crs__columns found = {s.columns, s.columns, 0};
    found.header = config->header == CRS_FLAG_ON || (config->header == CRS_FLAG_AUTO && looks_like_header(&s, config));
    if (config->text_column[0])
        CRS_TRY(asked_column(&s, found.header, config->text_column, "--text-column", &found.text, error));
    if (config->label_column[0])
        CRS_TRY(asked_column(&s, found.header, config->label_column, "--label-column", &found.label, error));
    if (found.header && found.text == s.columns)
        found.text = named_column(&s, text_names, found.label);
    if (found.header && found.label == s.columns)
        found.label = named_column(&s, label_names, found.text);
    if (found.text == s.columns || found.label == s.columns)
        CRS_TRY(look(&s, &found, found.text < s.columns, found.label < s.columns, error));
    if (found.text == found.label)
        return fail_columns(&s, "text and label are the same column", error);
    describe(&s, &found, config->format == CRS_FORMAT_CSV, note, note_size);
    *columns = found;
    return CRS_OK;
}
