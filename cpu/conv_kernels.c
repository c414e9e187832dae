/* The kernels of blocked convolution, compiled once per instruction set (cpu/CMakeLists.txt): products of rows that lie
 * anywhere, whose sums stay in registers. CONV_TABLE names the table that this copy defines. */
#include "block.h"
#include "conv_blocked.h"

_Static_assert(CONV_VECTORS <= BLOCK_COLUMNS, "a block cannot hold a group of columns");
_Static_assert(CONV_TILE % ROWS(1) == 0 && CONV_TILE % ROWS(3) == 0 && CONV_TILE % ROWS(4) == 0,
               "the last block of a tile would leave it");

/* sums += A B: row r of A begins at a[r][first], B is [K, vectors*LANES]. */
LANES_INLINE void multiply_rows(block *sums, int rows, int vectors, int64_t K, const float *const *a, int64_t first,
                                const float *b) {
    const float *row[BLOCK_ROWS];
    UNROLLED
    for (int r = 0; r < rows; r++)
        row[r] = a[r] + first;
#pragma GCC unroll 4
    for (int64_t k = 0; k < K; k++) {
        vector factors[BLOCK_ROWS];
        UNROLLED
        for (int r = 0; r < rows; r++)
            factors[r] = vector_of(row[r][k]);
        UNROLLED
        for (int v = 0; v < vectors; v++) {
            const vector weights = *(const vector_anywhere *)(b + (k * vectors + v) * LANES);
            UNROLLED
            for (int r = 0; r < rows; r++)
                sums->sum[r][v] += factors[r] * weights;
        }
    }
}

/* ---- what rows see, times W ---- */

/* Features feature..feature+count-1 of the taps first..end-1. */
LANES_INLINE void sums_piece(const conv_sums *s, int vectors, int64_t first, int64_t end, int64_t feature,
                             int64_t count) {
    const conv_tile *tile = &s->tile;
    const int64_t ldz = vectors * LANES;
    const int from_start = first == 0 && feature == 0;
    for (int64_t row = 0; row < tile->rows; row += ROWS(vectors)) {
        float *z = s->z + row * ldz;
        block sums;
        if (from_start)
            block_load(&sums, ROWS(vectors), vectors, s->start, 0);
        else
            block_load(&sums, ROWS(vectors), vectors, z, ldz);
        for (int64_t tap = first; tap < end; tap++) {
            if (!tile->any[tap])
                continue;
            multiply_rows(&sums, ROWS(vectors), vectors, count, tile->seen + tap * CONV_TILE + row, feature,
                          s->W + (tap * tile->width + feature) * ldz);
        }
        block_store(&sums, ROWS(vectors), vectors, z, ldz);
    }
}

LANES_INLINE void sums_of(const conv_sums *s, int vectors) {
    const int64_t taps = s->tile.taps, width = s->tile.width, at_once = width < BLOCK_CHUNK ? BLOCK_CHUNK / width : 1;
    for (int64_t tap = 0; tap < taps; tap += at_once)
        for (int64_t feature = 0; feature < width; feature += BLOCK_CHUNK)
            sums_piece(s, vectors, tap, tap + at_once < taps ? tap + at_once : taps, feature,
                       width - feature < BLOCK_CHUNK ? width - feature : BLOCK_CHUNK);
}

static void sums(const conv_sums *s) {
    if (s->vectors == 4)
        sums_of(s, 4);
    else if (s->vectors == 3)
        sums_of(s, 3);
    else if (s->vectors == 2)
        sums_of(s, 2);
    else
        sums_of(s, 1);
}

LANES_INLINE void finish_rows(const conv_finish *f, crs_activation activation) {
    const int64_t ldz = f->vectors * LANES;
    for (int64_t r = 0; r < f->rows; r++)
        for (int64_t j = 0; j < f->columns; j += LANES) {
            vector x = *(const vector_anywhere *)(f->z + r * ldz + j);
            if (activation == CRS_RELU)
                x = vector_at_least(0, x);
            else if (activation == CRS_TANH)
                x = vector_tanh(x);
            else if (activation == CRS_SIGMOID)
                x = vector_sigmoid(x);
            vector_store(f->y + r * f->ldy + j, x, f->columns - j);
        }
}

static void finish(const conv_finish *f) {
    switch (f->activation) {
    case CRS_LINEAR:
        finish_rows(f, CRS_LINEAR);
        break;
    case CRS_RELU:
        finish_rows(f, CRS_RELU);
        break;
    case CRS_TANH:
        finish_rows(f, CRS_TANH);
        break;
    case CRS_SIGMOID:
        finish_rows(f, CRS_SIGMOID);
        break;
    }
}

/* ---- the gradients of W ---- */

/* Features feature..feature+features-1 of one tap. */
LANES_INLINE void weights_block(const conv_weights *w, int vectors, int features, int64_t tap, int64_t feature) {
    const float *const *seen = w->tile.seen + tap * CONV_TILE;
    float *dW = w->dW + (tap * w->tile.width + feature) * vectors * LANES;
    /* The rows' own sum is made first: many small terms are not lost one by one in a large total. */
    block sums = {0};
#pragma GCC unroll 4
    for (int64_t row = 0; row < w->tile.rows; row++) {
        const float *x = seen[row] + feature, *d = w->d + row * w->ldd;
        vector factors[BLOCK_ROWS];
        UNROLLED
        for (int f = 0; f < features; f++)
            factors[f] = vector_of(x[f]);
        UNROLLED
        for (int v = 0; v < vectors; v++) {
            const vector gradients = *(const vector_anywhere *)(d + v * LANES);
            UNROLLED
            for (int f = 0; f < features; f++)
                sums.sum[f][v] += factors[f] * gradients;
        }
    }
    block_add(&sums, features, vectors, dW, vectors * LANES);
    block_store(&sums, features, vectors, dW, vectors * LANES);
}

LANES_INLINE void weights_of(const conv_weights *w, int vectors) {
    for (int64_t tap = 0; tap < w->tile.taps; tap++) {
        int64_t feature = 0;
        if (!w->tile.any[tap])
            continue;
        for (; feature + ROWS(vectors) <= w->tile.width; feature += ROWS(vectors))
            weights_block(w, vectors, ROWS(vectors), tap, feature);
        for (; feature < w->tile.width; feature++)
            weights_block(w, vectors, 1, tap, feature);
    }
}

static void weights(const conv_weights *w) {
    if (w->vectors == 4)
        weights_of(w, 4);
    else if (w->vectors == 3)
        weights_of(w, 3);
    else if (w->vectors == 2)
        weights_of(w, 2);
    else
        weights_of(w, 1);
}

extern const conv_kernels CONV_TABLE;

const conv_kernels CONV_TABLE = {.lanes = LANES, .sums = sums, .finish = finish, .weights = weights};
