/* Random numbers that follow from a seed, host memory, the clock and arrays in files: what the programs of the
 * benchmark have in common. Whatever fails ends the program with one line that says why: half a benchmark is none. */
#ifndef CAROUSEL_BENCH_NUMBERS_H
#define CAROUSEL_BENCH_NUMBERS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void *host_memory(size_t count, size_t size); /* zeros; to be freed, as what the next ones return */
double monotonic_microseconds(void);

/* ---- random numbers ---- */

uint64_t draw(uint64_t *state);
/* Lengths, [B]: log-normal as those of reviews are, roughly, with median 0.35 T and sigma 0.6, at least 1 and at most
 * T; the first is T, since a batch is as long as its longest row. */
int32_t *draw_lengths(int64_t T, int64_t B, uint64_t seed);
float *draw_uniforms(size_t count, double limit, uint64_t seed);               /* in +-limit */
int32_t *draw_integers(size_t count, int32_t from, int32_t to, uint64_t seed); /* from..to-1 */

/* ---- arrays in files ---- */

/* One array: a line "NAME float32|int32 COUNT", then the values as they lie in memory. */
void write_floats(FILE *file, const char *name, const float *values, size_t count);
void write_integers(FILE *file, const char *name, const int32_t *values, size_t count);
FILE *numbers_open(const char *path);
void numbers_close(FILE *file, const char *path);

#ifdef __cplusplus
}
#endif
#endif
