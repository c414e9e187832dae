/* The model line's words: layers between `|`, each a kind, a number and options. Judges each word alone and knows
 * nothing of shapes; what is said about a wrong one is parse_errors.c. */
#include "parse.h"

#include "fail.h"
#include "numbers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_ADDRESS(name) &crs__layer_##name,
const crs__layer_type *const crs__layer_types[CRS__LAYER_TYPE_COUNT] = {CRS__LAYER_TYPES(TYPE_ADDRESS)};
#undef TYPE_ADDRESS

enum { TEXT_SIZE = 384 };

/* ---- values ---- */

/* A whole number in 1..most. */
static int read_whole(const crs__word *w, int64_t most, int64_t *value) {
    *value = 0;
    for (size_t i = 0; i < w->size; i++) {
        const char c = w->line[w->at + i];
        if (c < '0' || c > '9' || *value > most)
            return 0;
        *value = *value * 10 + (c - '0');
    }
    return *value >= 1 && *value <= most;
}

/* "3", or "3x2" where two are wanted; alone it then stands for both. */
static int read_sizes(const crs__word *w, int wanted, int64_t sizes[2]) {
    const char *sign = memchr(w->line + w->at, 'x', w->size);
    if (!sign || wanted < 2) {
        const int fits = read_whole(w, CRS__UNITS_MAX, &sizes[0]);
        sizes[1] = wanted == 2 ? sizes[0] : 1;
        return fits;
    }
    const size_t first = (size_t)(sign - (w->line + w->at));
    const crs__word before = {w->line, w->at, first}, after = {w->line, w->at + first + 1, w->size - first - 1};
    return read_whole(&before, CRS__UNITS_MAX, &sizes[0]) && read_whole(&after, CRS__UNITS_MAX, &sizes[1]);
}

/* A finite number of 0 or more. */
static int read_real(const crs__word *w, double *value) {
    char text[64], *end;
    if (w->size >= sizeof text)
        return 0;
    memcpy(text, w->line + w->at, w->size);
    text[w->size] = '\0';
    const locale_t former = crs__numbers_begin();
    errno = 0;
    *value = strtod(text, &end);
    crs__numbers_end(former);
    /* Neither a sign, nor hexadecimal, nor what underflows to an option that is off. */
    return text[0] != '-' && text[0] != '+' && text[strspn(text, "0123456789.eE+-")] == '\0' && end != text && !*end &&
           errno == 0 && *value < 1e30;
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

static crs_status read_window(const crs__word *w, crs__spec *spec, crs_error *error) {
    const crs__layer_type *type = spec->type;
    if (spec->window[0])
        return crs__fail_twice(w, "the window", error);
    spec->window_column = w->at;
    if (read_sizes(w, type->window, spec->window))
        return CRS_OK;
    return crs__fail_value(w, type->kind, "window",
                           type->window == 1 ? "give a whole number of steps from 1 to 65536, for example 3"
                                             : "give steps and positions from 1 to 65536, for example 3x3",
                           error);
}

/* The first number of a layer that has one, and behind it the window of a layer that has one. */
static crs_status read_number(const crs__word *w, crs__spec *spec, crs_error *error) {
    const crs__layer_type *type = spec->type;
    if (type->number == CRS__NUMBER_NONE || (type->window && spec->number_column != spec->column))
        return type->window ? read_window(w, spec, error) : crs__fail_option(w, type, error);
    if (spec->number_column != spec->column)
        return crs__fail_twice(w, "the number", error);
    spec->number_column = w->at;
    if (type->number == CRS__NUMBER_RATE)
        return read_rate(w, &spec->number) ? CRS_OK : crs__fail_rate(w, type->kind, error);
    const int64_t most = type->number == CRS__NUMBER_OUTPUTS ? CRS__CLASSES_MAX : CRS__UNITS_MAX;
    int64_t units;
    if (!read_whole(w, most, &units)) {
        char mend[TEXT_SIZE];
        snprintf(mend, sizeof mend, "give a whole number from 1 to %lld, for example 64", (long long)most);
        return crs__fail_value(w, type->kind, "number of units", mend, error);
    }
    spec->number = (double)units;
    return CRS_OK;
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

static crs_status read_valued(const crs__word *name, const crs__word *value, crs__spec *spec, int index,
                              crs_error *error) {
    const crs__option *option = &spec->type->options[index];
    double *number = &spec->options[index];
    char text[TEXT_SIZE], mend[TEXT_SIZE];
    if (option->kind == CRS__OPTION_FLAG) {
        snprintf(text, sizeof text, "\"%s\" takes no value", option->name);
        snprintf(mend, sizeof mend, "write \"%s\" alone, or leave it out", option->name);
        return crs__model_error(error, name->at, text, mend);
    }
    if (option->kind == CRS__OPTION_RATE)
        return read_rate(value, number) ? CRS_OK : crs__fail_rate(value, option->name, error);
    if (option->kind == CRS__OPTION_REAL)
        return read_real(value, number) ? CRS_OK
                                        : crs__fail_value(value, option->name, "value",
                                                          "give a number of 0 or more, for example 1e-4", error);
    if (option->kind == CRS__OPTION_SIZES)
        return read_sizes(value, spec->type->window, spec->sizes[index])
                   ? CRS_OK
                   : crs__fail_value(value, option->name, "value",
                                     spec->type->window == 1 ? "give a whole number from 1 to 65536, for example 2"
                                                             : "give one whole number or two, for example 2 or 2x1",
                                     error);
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
    double bare = 0;
    int index = -1;
    if (!sign) {
        index = find_bare(type, w, &bare);
        for (size_t i = 0; index < 0 && i < type->option_count; i++)
            if (equals(w, type->options[i].name, strlen(type->options[i].name)))
                return crs__fail_no_value(w, type, error);
    }
    for (size_t i = 0; sign && i < type->option_count; i++)
        if (equals(&name, type->options[i].name, strlen(type->options[i].name)))
            index = (int)i;
    if (index < 0)
        return crs__fail_option(&name, type, error);
    const int again = spec->option_columns[index] != 0;
    if (sign) {
        const crs__word value = {w->line, w->at + name_size + 1, w->size - name_size - 1};
        CRS_TRY(read_valued(&name, &value, spec, index, error));
    } else {
        spec->options[index] = bare;
    }
    spec->option_columns[index] = w->at;
    return again ? crs__fail_twice(w, type->options[index].name, error) : CRS_OK;
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

/* That a layer has the numbers it cannot do without. */
static crs_status check_numbers(const crs__spec *spec, crs_error *error) {
    const crs__layer_type *type = spec->type;
    const int units = type->number == CRS__NUMBER_UNITS && spec->number_column == spec->column;
    const int rate = type->number == CRS__NUMBER_RATE && spec->number_column == spec->column;
    const int window = type->window && !spec->window[0];
    if (!units && !rate && !window)
        return CRS_OK;
    char what[TEXT_SIZE], mend[TEXT_SIZE];
    snprintf(what, sizeof what, "\"%s\" without a %s", type->kind,
             units  ? "number of units"
             : rate ? "rate"
                    : "window");
    snprintf(mend, sizeof mend, "write for example \"%s%s%s\"", type->kind,
             type->number == CRS__NUMBER_RATE    ? " 0.25"
             : type->number == CRS__NUMBER_UNITS ? " 64"
                                                 : "",
             type->window == 2   ? " 3x3"
             : type->window == 1 ? " 3"
                                 : "");
    return crs__model_error(error, spec->column, what, mend);
}

static crs_status read_layer(const char *line, size_t *at, crs__spec *spec, crs_error *error) {
    crs__word w = next_word(line, *at);
    if (w.size == 0)
        return crs__model_error(error, w.at,
                                w.at == strlen(line) && *at == 0 ? "there is no layer" : "a layer is missing",
                                "write layers between |, for example \"embedding 64 | lstm 64 | dense\"");
    memset(spec, 0, sizeof *spec);
    spec->column = spec->number_column = spec->window_column = w.at;
    for (size_t i = 0; i < CRS__OPTIONS_MAX; i++)
        spec->sizes[i][0] = spec->sizes[i][1] = 1;
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
    return check_numbers(spec, error);
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

int64_t crs_model_line_outputs(const char *line) {
    crs__spec specs[CRS__LAYERS_MAX] = {{0}};
    size_t count = 0;
    if (crs__parse_model(line, specs, &count, NULL) != CRS_OK || count == 0)
        return 0;
    return specs[count - 1].type == &crs__layer_dense ? (int64_t)specs[count - 1].number : 0;
}
