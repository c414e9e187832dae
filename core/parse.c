/* The model line's words: layers between `|`, each a kind, a number and options. Judges each word alone and knows
 * nothing of shapes; what is said about a wrong one is parse_errors.c. */
#include "parse.h"

#include "fail.h"

#include <stdio.h>
#include <string.h>

#define TYPE_ADDRESS(name) &crs__layer_##name,
const crs__layer_type *const crs__layer_types[CRS__LAYER_TYPE_COUNT] = {CRS__LAYER_TYPES(TYPE_ADDRESS)};
#undef TYPE_ADDRESS

enum { TEXT_SIZE = 384 };

/* ---- values ---- */

/* A whole number in 1..CRS__UNITS_MAX. */
static int read_units(const crs__word *w, double *value) {
    int64_t number = 0;
    for (size_t i = 0; i < w->size; i++) {
        const char c = w->line[w->at + i];
        if (c < '0' || c > '9' || number > CRS__UNITS_MAX)
            return 0;
        number = number * 10 + (c - '0');
    }
    *value = (double)number;
    return number >= 1 && number <= CRS__UNITS_MAX;
}

/* A decimal fraction in [0, 1), of at most 15 digits: then digits and power of ten are exact, and their quotient is
 * rounded once, so that the value is strtod's whatever the locale. */
static int read_rate(const crs__word *w, double *value) {
    double digits = 0, power = 1;
    int count = 0, point = 0;
    for (size_t i = 0; i < w->size; i++) {
        const char c = w->line[w->at + i];
        if (c == '.' && !point) {
            point = 1;
            continue;
        }
        if (c < '0' || c > '9' || ++count > 15)
            return 0;
        digits = digits * 10 + (c - '0');
        power *= point ? 10 : 1;
    }
    *value = digits / power;
    return count > 0 && *value < 1;
}

static crs_status read_number(const crs__word *w, crs__spec *spec, crs_error *error) {
    const crs__layer_type *type = spec->type;
    if (type->number == CRS__NUMBER_NONE)
        return crs__fail_option(w, type, error);
    if (spec->number_column != spec->column)
        return crs__fail_twice(w, "the number", error);
    spec->number_column = w->at;
    if (type->number == CRS__NUMBER_RATE)
        return read_rate(w, &spec->number) ? CRS_OK : crs__fail_rate(w, type->kind, error);
    return read_units(w, &spec->number) ? CRS_OK
                                        : crs__fail_value(w, type->kind, "number of units",
                                                          "give a whole number from 1 to 65536, for example 64", error);
}

/* ---- options ---- */

static int equals(const crs__word *w, const char *text, size_t size) {
    return w->size == size && memcmp(w->line + w->at, text, size) == 0;
}

/* Index of the word among the |-separated choices, or -1. */
static int find_choice(const char *choices, const crs__word *w) {
    for (int index = 0;; index++) {
        const size_t size = strcspn(choices, "|");
        if (equals(w, choices, size))
            return index;
        if (!choices[size])
            return -1;
        choices += size + 1;
    }
}

/* The option a word without `=` means: a flag by its name, or a choice by its value. */
static int find_bare(const crs__layer_type *type, const crs__word *w, double *value) {
    for (size_t i = 0; i < type->option_count; i++) {
        const crs__option *option = &type->options[i];
        int choice = 1;
        if (option->kind == CRS__OPTION_CHOICE)
            choice = find_choice(option->choices, w);
        else if (option->kind != CRS__OPTION_FLAG || !equals(w, option->name, strlen(option->name)))
            choice = -1;
        if (choice >= 0) {
            *value = choice;
            return (int)i;
        }
    }
    return -1;
}

static crs_status read_valued(const crs__word *name, const crs__word *value, const crs__option *option, double *number,
                              crs_error *error) {
    char text[TEXT_SIZE], mend[TEXT_SIZE];
    if (option->kind == CRS__OPTION_FLAG) {
        snprintf(text, sizeof text, "\"%s\" takes no value", option->name);
        snprintf(mend, sizeof mend, "write \"%s\" alone, or leave it out", option->name);
        return crs__model_error(error, name->at, text, mend);
    }
    if (option->kind == CRS__OPTION_RATE)
        return read_rate(value, number) ? CRS_OK : crs__fail_rate(value, option->name, error);
    const int choice = find_choice(option->choices, value);
    *number = choice;
    snprintf(mend, sizeof mend, "give one of %s", option->choices);
    return choice >= 0 ? CRS_OK : crs__fail_value(value, option->name, "value", mend, error);
}

static crs_status read_option(const crs__word *w, crs__spec *spec, crs_error *error) {
    const crs__layer_type *type = spec->type;
    const char *sign = memchr(w->line + w->at, '=', w->size);
    const size_t name_size = sign ? (size_t)(sign - (w->line + w->at)) : w->size;
    const crs__word name = {w->line, w->at, name_size};
    double number = 0;
    int index = -1;
    if (!sign) {
        index = find_bare(type, w, &number);
        for (size_t i = 0; index < 0 && i < type->option_count; i++)
            if (equals(w, type->options[i].name, strlen(type->options[i].name)))
                return crs__fail_no_value(w, type, error);
    }
    for (size_t i = 0; sign && i < type->option_count; i++)
        if (equals(&name, type->options[i].name, strlen(type->options[i].name)))
            index = (int)i;
    if (index < 0)
        return crs__fail_option(&name, type, error);
    if (sign) {
        const crs__word value = {w->line, w->at + name_size + 1, w->size - name_size - 1};
        CRS_TRY(read_valued(&name, &value, &type->options[index], &number, error));
    }
    if (spec->option_columns[index])
        return crs__fail_twice(w, type->options[index].name, error);
    spec->options[index] = number;
    spec->option_columns[index] = w->at;
    return CRS_OK;
}

/* ---- layers ---- */

static int is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next word of the layer, of size 0 at its end. */
static crs__word next_word(const char *line, size_t at) {
    while (is_space(line[at]))
        at++;
    crs__word w = {line, at, 0};
    while (line[at + w.size] && line[at + w.size] != '|' && !is_space(line[at + w.size]))
        w.size++;
    return w;
}

static crs_status read_layer(const char *line, size_t *at, crs__spec *spec, crs_error *error) {
    crs__word w = next_word(line, *at);
    if (w.size == 0)
        return crs__model_error(error, w.at,
                                w.at == strlen(line) && *at == 0 ? "there is no layer" : "a layer is missing",
                                "write layers between |, for example \"embedding 64 | lstm 64 | dense\"");
    memset(spec, 0, sizeof *spec);
    spec->column = spec->number_column = w.at;
    for (size_t i = 0; i < CRS__LAYER_TYPE_COUNT; i++)
        if (equals(&w, crs__layer_types[i]->kind, strlen(crs__layer_types[i]->kind)))
            spec->type = crs__layer_types[i];
    if (!spec->type)
        return crs__fail_kind(&w, error);
    for (;;) {
        spec->size = w.at + w.size - spec->column;
        w = next_word(line, w.at + w.size);
        if (w.size == 0)
            break;
        const int number = strchr("0123456789.+-", line[w.at]) != NULL;
        CRS_TRY(number ? read_number(&w, spec, error) : read_option(&w, spec, error));
    }
    *at = w.at;
    const crs__number_kind kind = spec->type->number;
    if ((kind == CRS__NUMBER_UNITS || kind == CRS__NUMBER_RATE) && spec->number_column == spec->column) {
        char what[TEXT_SIZE], mend[TEXT_SIZE];
        const int rate = kind == CRS__NUMBER_RATE;
        snprintf(what, sizeof what, "\"%s\" without a %s", spec->type->kind, rate ? "rate" : "number of units");
        snprintf(mend, sizeof mend, "write for example \"%s %s\"", spec->type->kind, rate ? "0.25" : "64");
        return crs__model_error(error, spec->column, what, mend);
    }
    return CRS_OK;
}

crs_status crs__parse_model(const char *line, crs__spec specs[CRS__LAYERS_MAX], size_t *count, crs_error *error) {
    size_t at = 0;
    for (*count = 0;; at++) {
        if (*count == CRS__LAYERS_MAX)
            return crs__model_error(error, at, "more layers than 64", "make the network shallower");
        CRS_TRY(read_layer(line, &at, &specs[*count], error));
        (*count)++;
        if (!line[at])
            return CRS_OK;
    }
}
