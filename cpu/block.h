/* A block of sums that stays in registers while products are added to it: what the blocked kernels of recurrent layers
 * and of convolutions have in common. Only for sources that are compiled once per instruction set. All arguments that
 * are int must be constants once a function is inlined: then the sums are registers. */
#ifndef CRS_CPU_BLOCK_H
#define CRS_CPU_BLOCK_H

#include "lanes.h"

#define BLOCK_ROWS 8    /* most rows of a block */
#define BLOCK_COLUMNS 4 /* most vectors of its rows */

#define BLOCK_CHUNK 128 /* rows of weights that stay in the first-level cache while they meet all rows of a tile */

/* Rows of a block of so many vectors: as many as the registers hold beside one row of weights. */
#if LANES == 16
#define ROWS(vectors) ((vectors) == 4 ? 4 : 8)
#else
#define ROWS(vectors) ((vectors) == 4 ? 3 : (vectors) == 3 ? 4 : 6)
#endif

typedef struct block {
    vector sum[BLOCK_ROWS][BLOCK_COLUMNS];
} block;

LANES_INLINE void block_load(block *sums, int rows, int vectors, const float *from, int64_t ld) {
    UNROLLED
    for (int r = 0; r < rows; r++) {
        UNROLLED
        for (int v = 0; v < vectors; v++)
            sums->sum[r][v] = *(const vector_anywhere *)(from + r * ld + v * LANES);
    }
}

LANES_INLINE void block_add(block *sums, int rows, int vectors, const float *from, int64_t ld) {
    UNROLLED
    for (int r = 0; r < rows; r++) {
        UNROLLED
        for (int v = 0; v < vectors; v++)
            sums->sum[r][v] += *(const vector_anywhere *)(from + r * ld + v * LANES);
    }
}

LANES_INLINE void block_store(const block *sums, int rows, int vectors, float *to, int64_t ld) {
    UNROLLED
    for (int r = 0; r < rows; r++) {
        UNROLLED
        for (int v = 0; v < vectors; v++)
            *(vector_anywhere *)(to + r * ld + v * LANES) = sums->sum[r][v];
    }
}

#endif
