/* Random numbers that follow from a seed, host memory, the clock and arrays in files: what the programs of the
 * benchmark have in common. */
#define _GNU_SOURCE /* program_invocation_short_name */
#include "numbers.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

_Noreturn void fail(const char *format, ...) {
    va_list arguments;
    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void *host_memory(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory)
        fail("out of memory: %zu times %zu bytes", count, size);
    return memory;
}

double monotonic_microseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec * 1e-3;
}

/* ---- random numbers ---- */

/* SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). */
uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* In [0,1). */
static double draw_uniform(uint64_t *state) {
    return (double)(draw(state) >> 11) * 0x1p-53;
}

/* By Box and Muller. */
static double draw_normal(uint64_t *state) {
    const double radius = sqrt(-2 * log(1 - draw_uniform(state)));
    return radius * cos(2 * 3.14159265358979323846 * draw_uniform(state));
}

int32_t *draw_lengths(int64_t T, int64_t B, uint64_t seed) {
    int32_t *lengths = host_memory((size_t)B, sizeof *lengths);
    for (int64_t r = 0; r < B; r++) {
        const double drawn = round(0.35 * (double)T * exp(0.6 * draw_normal(&seed)));
        lengths[r] = (int32_t)(r > 0 ? fmin(fmax(drawn, 1), (double)T) : (double)T);
    }
    return lengths;
}

float *draw_uniforms(size_t count, double limit, uint64_t seed) {
    float *values = host_memory(count, sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(limit * (2 * draw_uniform(&seed) - 1));
    return values;
}

int32_t *draw_integers(size_t count, int32_t from, int32_t to, uint64_t seed) {
    int32_t *values = host_memory(count, sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = from + (int32_t)(draw(&seed) % (uint64_t)(to - from));
    return values;
}

/* ---- arrays in files ---- */

static void write_array(FILE *file, const char *name, const char *type, const void *values, size_t count, size_t size) {
    fprintf(file, "%s %s %zu\n", name, type, count);
    fwrite(values, size, count, file);
}

void write_floats(FILE *file, const char *name, const float *values, size_t count) {
    write_array(file, name, "float32", values, count, sizeof *values);
}

void write_integers(FILE *file, const char *name, const int32_t *values, size_t count) {
    write_array(file, name, "int32", values, count, sizeof *values);
}

FILE *numbers_open(const char *path) {
    FILE *file = fopen(path, "wb");
    if (!file)
        fail("%s: %s", path, strerror(errno));
    return file;
}

void numbers_close(FILE *file, const char *path) {
    const int failed = ferror(file);
    if (fclose(file) != 0 || failed)
        fail("%s: cannot be written in full", path);
}
