/* How batch normalisation cuts its rows into tiles, and tiles into pieces that fill vectors. The cuts follow from the
 * sizes and live steps alone, since they decide the order of the sums. */
#ifndef CRS_CPU_BATCH_NORM_TILES_H
#define CRS_CPU_BATCH_NORM_TILES_H

#include "cpu.h"

#define TILE_ROWS 128 /* rows of a partial sum */
#define COLUMNS 64    /* features worked on at once: a tile of them stays in the first-level cache */

/* Some rows, in pieces. Narrow rows that lie side by side are taken several at a time, as a piece of up to COLUMNS
 * columns, so that vectors are full. */
typedef struct tile {
    int64_t at[TILE_ROWS]; /* where the pieces begin, in elements */
    int64_t pieces, columns;
    int64_t rows;
} tile;

/* All rows of tile i, and its live ones. */
#define cpu_tile_all CPU_NAME(tile_all)
#define cpu_tile_live CPU_NAME(tile_live)
void cpu_tile_all(const crs_batch_norm *a, int64_t i, tile *cut);
void cpu_tile_live(const crs_batch_norm *a, int64_t i, tile *cut);

static inline int64_t rows_of(const crs_batch_norm *a) {
    return a->steps.T * a->steps.B * a->P;
}

static inline int64_t tiles_of(const crs_batch_norm *a) {
    return (rows_of(a) + TILE_ROWS - 1) / TILE_ROWS;
}

/* How many features are worked on at once from the f-th on. */
static inline int64_t columns_from(const crs_batch_norm *a, int64_t f) {
    return a->F - f < COLUMNS ? a->F - f : COLUMNS;
}

/* Of a piece, from the f-th feature on: more features than are worked on at once never share a piece. */
static inline int64_t columns_of(const crs_batch_norm *a, const tile *cut, int64_t f) {
    return a->F > COLUMNS ? columns_from(a, f) : cut->columns;
}

/* Of an array with a number for each column of a piece. */
static inline int64_t width_of(const crs_batch_norm *a) {
    return a->F < COLUMNS ? COLUMNS : a->F;
}

/* Repeats the numbers of narrow rows for the other rows of a piece. */
static inline void widen(const crs_batch_norm *a, double *numbers) {
    for (int64_t j = a->F; j < COLUMNS; j++)
        numbers[j] = numbers[j - a->F];
}

/* Adds the sums of the rows of a piece up, for each of its features. */
static inline void fold(int64_t features, int64_t columns, double *sums) {
    for (int64_t j = features; j < columns; j++)
        sums[j % features] += sums[j];
}

#endif
