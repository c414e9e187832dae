/* A case: its words, and the lengths of its rows. */
#include "bench.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

static const bench_case defaults = {.T = 128,
                                    .B = 32,
                                    .I = 32,
                                    .H = 32,
                                    .V = 8192,
                                    .E = 32,
                                    .C = 2,
                                    .layers = 2,
                                    .seed = 1,
                                    .warmup = 3,
                                    .repetitions = 5,
                                    .milliseconds = 20};

static const struct {
    const char *name;
    size_t offset;
    int real; /* double; else int64_t */
    double least, most;
    const char *help;
} fields[] = {
    {"T", offsetof(bench_case, T), 0, 1, 1e6, "time steps"},
    {"B", offsetof(bench_case, B), 0, 1, 1e6, "rows"},
    {"I", offsetof(bench_case, I), 0, 1, 1e5, "inputs of the layer"},
    {"H", offsetof(bench_case, H), 0, 1, 1e5, "hidden units"},
    {"V", offsetof(bench_case, V), 0, 2, 1e8, "step: vocabulary"},
    {"E", offsetof(bench_case, E), 0, 1, 1e5, "step: embedding width"},
    {"C", offsetof(bench_case, C), 0, 2, 1e5, "step: classes"},
    {"layers", offsetof(bench_case, layers), 0, 1, 16, "step: layers of LSTM"},
    {"ragged", offsetof(bench_case, ragged), 0, 0, 1, "1: rows of several lengths, log-normal; 0: all of T steps"},
    {"recurrent", offsetof(bench_case, recurrent), 1, 0, 0.99, "layer: rate of the recurrent mask"},
    {"seed", offsetof(bench_case, seed), 0, 0, 1e15, "of numbers, lengths and masks"},
    {"warmup", offsetof(bench_case, warmup), 0, 0, 1e6, "calls before the measured ones"},
    {"repetitions", offsetof(bench_case, repetitions), 0, 1, 1e3, "measurements, of which the median is told"},
    {"milliseconds", offsetof(bench_case, milliseconds), 1, 0, 1e5, "of a measurement, at least"},
};
enum { FIELDS = sizeof fields / sizeof *fields };

static void set_field(bench_case *c, const char *name, size_t name_size, const char *value) {
    for (size_t i = 0; i < FIELDS; i++) {
        if (strlen(fields[i].name) != name_size || strncmp(fields[i].name, name, name_size) != 0)
            continue;
        char *end;
        errno = 0;
        const double number = strtod(value, &end);
        if (errno || end == value || *end || !(number >= fields[i].least && number <= fields[i].most) ||
            (!fields[i].real && number != floor(number)))
            fail("%s=%s does not fit; give a %snumber from %g to %g", fields[i].name, value,
                 fields[i].real ? "" : "whole ", fields[i].least, fields[i].most);
        char *field = (char *)c + fields[i].offset;
        if (fields[i].real)
            *(double *)(void *)field = number;
        else
            *(int64_t *)(void *)field = (int64_t)number;
        return;
    }
    case_names(stderr);
    fail("there is no '%.*s'", (int)name_size, name);
}

bench_case case_parse(char *words[], size_t count) {
    bench_case c = defaults;
    if (strcmp(words[0], "layer") != 0 && strcmp(words[0], "step") != 0)
        fail("a case begins with 'layer' or 'step', not with '%s'", words[0]);
    c.what = strcmp(words[0], "layer") == 0 ? BENCH_LAYER : BENCH_STEP;
    for (size_t i = 1; i < count; i++) {
        const char *value = strchr(words[i], '=');
        if (!value)
            fail("'%s' is not NAME=VALUE", words[i]);
        const size_t name_size = (size_t)(value++ - words[i]);
        if (name_size != strlen("numbers") || strncmp(words[i], "numbers", name_size) != 0)
            set_field(&c, words[i], name_size, value);
        else if ((size_t)snprintf(c.numbers, sizeof c.numbers, "%s", value) >= sizeof c.numbers)
            fail("numbers=%s is too long", value);
    }
    return c;
}

void case_names(FILE *stream) {
    for (size_t i = 0; i < FIELDS; i++) {
        const char *field = (const char *)&defaults + fields[i].offset;
        fprintf(stream, "  %-13s %s (%g)\n", fields[i].name, fields[i].help,
                fields[i].real ? *(const double *)(const void *)field : (double)*(const int64_t *)(const void *)field);
    }
    fputs("  numbers       file to write inputs and results to, instead of measuring\n", stream);
}

int32_t *case_lengths(const bench_case *c) {
    if (c->ragged)
        return draw_lengths(c->T, c->B, (uint64_t)c->seed);
    int32_t *lengths = host_memory((size_t)c->B, sizeof *lengths);
    for (int64_t r = 0; r < c->B; r++)
        lengths[r] = (int32_t)c->T;
    return lengths;
}
