/* What the files of the benchmark share: a case to be measured, memory on the device, and measuring. */
#ifndef CAROUSEL_BENCH_H
#define CAROUSEL_BENCH_H

#include "numbers.h"

#include <carousel/carousel.h>

typedef enum bench_what {
    BENCH_LAYER, /* one LSTM layer: lstm_forward and lstm_backward of the operations table */
    BENCH_STEP   /* a training step of a classifier: embedding, layers of LSTM, dense, Adam */
} bench_what;

typedef struct bench_case {
    bench_what what;
    int64_t T, B, I, H;      /* as in ops.h; I is the layer's only */
    int64_t V, E, C, layers; /* the step's only */
    int64_t ragged;          /* 0: rows of T steps; else of the lengths that case_lengths draws */
    double recurrent;        /* layer: rate of the recurrent mask */
    int64_t seed;            /* of lengths, numbers and masks */
    int64_t warmup;          /* calls before anything is measured */
    int64_t repetitions;     /* measurements whose median is told */
    double milliseconds;     /* calls are queued one behind the other until a measurement takes so long */
    char numbers[512];       /* file to write what goes in and what comes out to, instead of measuring; or "" */
} bench_case;

/* Blocks of device memory, freed all at once. */
enum { BENCH_BLOCKS = 32 };

typedef struct bench {
    crs_backend *backend;
    const crs_ops *ops;
    crs_device *device;
    void *blocks[BENCH_BLOCKS];
    size_t block_count;
} bench;

/* Ends the program where status is not CRS_OK. `what` failed. */
void check(const bench *b, crs_status status, const char *what);

/* ---- the case (case.c) ---- */

/* words: "layer" or "step", then NAME=VALUE. */
bench_case case_parse(char *words[], size_t count);
void case_names(FILE *stream); /* what can be set, with the defaults */

int32_t *case_lengths(const bench_case *c); /* [B], all T or by draw_lengths */

/* ---- device memory ---- */

void *device_alloc(bench *b, size_t bytes); /* filled with zeros */
void *device_floats(bench *b, const float *values, size_t count);
void device_release(bench *b);

/* ---- measuring (lstm.c) ---- */

/* A kind of call; microseconds of it are told under its name. */
typedef struct bench_call {
    const char *name;
    void (*run)(bench *b, void *user);
} bench_call;

/* Measures the calls in turn and prints a line of JSON. Where there are two, the second is the first and something else
 * besides, and what it takes longer is told as `rest`. */
void measure(bench *b, const bench_case *c, const bench_call *calls, size_t count, const char *rest, void *user);

void run_layer(bench *b, const bench_case *c);
void run_step(bench *b, const bench_case *c);

#endif
