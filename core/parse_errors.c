/* What is said about a wrong word of a model line, and what would be right. */
#include "fail.h"
#include "parse.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 384, QUOTE_SIZE = 72, NEAR_SIZE = 24 };

crs_status crs__model_error(crs_error *error, size_t column, const char *what, const char *mend) {
    return crs__fail_at(error, CRS_ERR_MODEL, NULL, 0, (int64_t)column, "model line: %s", "%s", what, mend);
}

/* ---- messages ---- */

/* The word as it may be shown: cut, and every byte outside of printable ASCII as \xNN. */
static const char *quote(const crs__word *w, char buffer[QUOTE_SIZE]) {
    size_t used = 0;
    for (size_t i = 0; i < w->size; i++) {
        const unsigned char byte = (unsigned char)w->line[w->at + i];
        if (used + 8 >= QUOTE_SIZE) {
            memcpy(buffer + used, "...", 4);
            return buffer;
        }
        used += (size_t)sprintf(buffer + used, isprint(byte) && byte < 0x80 ? "%c" : "\\x%02x", byte);
    }
    buffer[used] = '\0';
    return buffer;
}

static void append(char text[TEXT_SIZE], const char *more, size_t size) {
    const size_t used = strlen(text), room = TEXT_SIZE - 1 - used, n = size < room ? size : room;
    memcpy(text + used, more, n);
    text[used + n] = '\0';
}

static void append_text(char text[TEXT_SIZE], const char *more) {
    append(text, more, strlen(more));
}

/* Edits (insert, delete, replace; case is free) that turn the word into `name`, or a large number. */
static size_t edits(const crs__word *w, const char *name, size_t name_size) {
    if (w->size >= NEAR_SIZE || name_size >= NEAR_SIZE)
        return NEAR_SIZE;
    size_t row[NEAR_SIZE + 1];
    for (size_t j = 0; j <= name_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= w->size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= name_size; j++) {
            const int same = tolower((unsigned char)w->line[w->at + i - 1]) == name[j - 1];
            size_t best = diagonal + !same;
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[name_size];
}

/* Keeps `name` as the nearest one where it is near enough: at most a third of its letters, and at most two, differ. */
typedef struct nearest {
    const char *name;
    size_t size, edits;
} nearest;

static void consider(nearest *best, const crs__word *w, const char *name, size_t size) {
    const size_t distance = edits(w, name, size);
    if (distance <= 2 && distance * 3 <= size + 2 && (!best->name || distance < best->edits))
        *best = (nearest){name, size, distance};
}

static void append_nearest(char mend[TEXT_SIZE], const nearest *best) {
    if (!best->name)
        return;
    append_text(mend, "did you mean \"");
    append(mend, best->name, best->size);
    append_text(mend, "\"? ");
}

crs_status crs__fail_kind(const crs__word *w, crs_error *error) {
    char what[TEXT_SIZE], mend[TEXT_SIZE] = "", shown[QUOTE_SIZE];
    nearest best = {0};
    for (size_t i = 0; i < CRS__LAYER_TYPE_COUNT; i++)
        consider(&best, w, crs__layer_types[i]->kind, strlen(crs__layer_types[i]->kind));
    append_nearest(mend, &best);
    append_text(mend, "layers are ");
    for (size_t i = 0; i < CRS__LAYER_TYPE_COUNT; i++) {
        append_text(mend, i ? ", " : "");
        append_text(mend, crs__layer_types[i]->kind);
    }
    snprintf(what, sizeof what, "there is no layer \"%s\"", quote(w, shown));
    return crs__model_error(error, w->at, what, mend);
}

/* "lstm takes a number of units, seq, dropout=RATE, ..." */
static void append_usage(char mend[TEXT_SIZE], const crs__layer_type *type) {
    static const char *const numbers[] = {[CRS__NUMBER_NONE] = "",
                                          [CRS__NUMBER_UNITS] = "a number of units",
                                          [CRS__NUMBER_OUTPUTS] = "a number of units",
                                          [CRS__NUMBER_RATE] = "a rate"};
    append_text(mend, type->kind);
    append_text(mend, " takes ");
    int first = 1;
    if (type->number != CRS__NUMBER_NONE) {
        append_text(mend, numbers[type->number]);
        first = 0;
    }
    if (type->window) {
        append_text(mend, first ? "" : ", ");
        append_text(mend, type->window == 1 ? "a window" : "a window such as 3x3");
        first = 0;
    }
    for (size_t i = 0; i < type->option_count; i++, first = 0) {
        const crs__option *option = &type->options[i];
        append_text(mend, first ? "" : ", ");
        append_text(mend, option->name);
        append_text(mend, option->kind == CRS__OPTION_FLAG ? "" : "=");
        append_text(mend, option->choices                     ? option->choices
                          : option->kind == CRS__OPTION_RATE  ? "RATE"
                          : option->kind == CRS__OPTION_REAL  ? "X"
                          : option->kind == CRS__OPTION_SIZES ? "N"
                                                              : "");
    }
    append_text(mend, first ? "no options" : "");
}

crs_status crs__fail_option(const crs__word *w, const crs__layer_type *type, crs_error *error) {
    char what[TEXT_SIZE], mend[TEXT_SIZE] = "", shown[QUOTE_SIZE];
    nearest best = {0};
    for (size_t i = 0; i < type->option_count; i++) {
        consider(&best, w, type->options[i].name, strlen(type->options[i].name));
        for (const char *choice = type->options[i].choices; choice && *choice;) {
            const size_t size = strcspn(choice, "|");
            consider(&best, w, choice, size);
            choice += size + (choice[size] != '\0');
        }
    }
    append_nearest(mend, &best);
    append_usage(mend, type);
    snprintf(what, sizeof what, "\"%s\" has no option \"%s\"", type->kind, quote(w, shown));
    return crs__model_error(error, w->at, what, mend);
}

crs_status crs__fail_no_value(const crs__word *w, const crs__layer_type *type, crs_error *error) {
    char what[TEXT_SIZE], mend[TEXT_SIZE] = "", shown[QUOTE_SIZE];
    append_usage(mend, type);
    snprintf(what, sizeof what, "\"%s\" without a value", quote(w, shown));
    return crs__model_error(error, w->at, what, mend);
}

crs_status crs__fail_value(const crs__word *w, const char *owner, const char *what, const char *mend,
                           crs_error *error) {
    char text[TEXT_SIZE], shown[QUOTE_SIZE];
    snprintf(text, sizeof text, "\"%s\" is no %s of %s", quote(w, shown), what, owner);
    return crs__model_error(error, w->at, text, mend);
}

crs_status crs__fail_rate(const crs__word *w, const char *owner, crs_error *error) {
    return crs__fail_value(w, owner, "rate", "give a decimal number from 0 to below 1, for example 0.25", error);
}

crs_status crs__fail_twice(const crs__word *w, const char *name, crs_error *error) {
    char what[TEXT_SIZE];
    snprintf(what, sizeof what, "%s is given twice in one layer", name);
    return crs__model_error(error, w->at, what, "keep one of them; layers are separated by |");
}
