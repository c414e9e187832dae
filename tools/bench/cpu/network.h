/* What the files of bench_network share: Carousel's side of the comparison on the CPU. */
#ifndef CAROUSEL_BENCH_NETWORK_H
#define CAROUSEL_BENCH_NETWORK_H

#include "../numbers.h"

#include <carousel/carousel.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a network is made from. */
typedef struct network_case {
    char line[1024]; /* the model line */
    int64_t T, B, V;
    int64_t batches; /* different ones, taken in turn */
    int64_t ragged;  /* 1: lengths by draw_lengths, padding is skipped; 0: all rows of T steps */
    int64_t seed;
    char numbers[512]; /* file that tells the other sides what this one drew and computed */
} network_case;

/* A network, and the batches it is trained on in turn. */
typedef struct network {
    crs_model *model;
    crs_batch *batches; /* [count] */
    int32_t *ids, *len, *labels;
    int64_t count, next;
    float *logits; /* [B, outputs] of the last prediction */
    double flops;  /* of a forward on one batch, on average */
} network;

/* Floating-point operations of a forward over so many live steps of B rows of T; fails at a layer it cannot count. */
double network_flops(const crs_model *model, int64_t T, int64_t B, int64_t live);

void network_open(crs_backend *backend, const network_case *c, network *n);
void network_train(crs_backend *backend, network *n);                                 /* one step on the next batch */
void network_predict(crs_backend *backend, network *n);                               /* of the next batch */
void network_write_weights(crs_backend *backend, const network *n, const char *path); /* those that are trained */
double network_loss(crs_backend *backend, network *n); /* mean since it was last asked for */
void network_close(network *n);

/* A classifier of texts: its sentences, what it makes of them, and the encoder's words. */
typedef struct sentences {
    crs_classifier *classifier;
    char **texts; /* [count] */
    int64_t count, next;
    float probabilities[2], logit; /* of the last one */
} sentences;

/* T: words of a sentence; B: sentences. */
void sentences_open(crs_backend *backend, const network_case *c, sentences *s);
void sentences_predict(sentences *s); /* the next one, from text to probabilities */
void sentences_close(sentences *s);

/* Billions of floating-point operations a second that so many threads do in a loop of multiply-adds on registers alone,
 * for some milliseconds; by the clock, and by the time the processor gave them. */
typedef struct ceiling {
    double by_clock, by_processor;
} ceiling;

ceiling ceiling_measure(int threads, double milliseconds);

/* Seconds of all threads that the processor gave this program. */
double processor_seconds(void);

#ifdef __cplusplus
}
#endif

#endif
