/* The kernels of the blocked recurrent layers, compiled once per instruction set (cpu/CMakeLists.txt): products whose
 * sums stay in registers, moving rows, and the cells (blocked_cells.h). BLOCKED_TABLE names the table that this copy
 * defines. What is worked on when is decided in blocked.c, which knows no instruction set. */
#include "block.h"
#include "blocked.h"
#include "blocked_cells.h"

#define TILE (LANES == 16 ? 16 : 12)

_Static_assert(TILE <= BLOCKED_TILE_LIMIT && BLOCK_ROWS <= BLOCKED_SPARE && BLOCKED_SLOTS == BLOCK_COLUMNS,
               "blocked.h keeps room for less");
_Static_assert(TILE % ROWS(1) == 0 && TILE % ROWS(3) == 0 && TILE % ROWS(4) == 0,
               "the last block of a tile that is read or written in place would leave it");

/* sums[:, first..first+count-1] += A B. A's element (r, k) is a[r * row_step + k * step]; B is [K, ldb]. All but K must
 * be constants once this is inlined: then the sums are registers. */
LANES_INLINE void multiply(block *sums, int rows, int first, int count, int64_t K, const float *a, int64_t row_step,
                           int64_t step, const float *b, int64_t ldb) {
#pragma GCC unroll 4
    for (int64_t k = 0; k < K; k++) {
        vector factors[BLOCK_ROWS];
        UNROLLED
        for (int r = 0; r < rows; r++)
            factors[r] = vector_of(a[r * row_step + k * step]);
        UNROLLED
        for (int v = 0; v < count; v++) {
            const vector weights = *(const vector_anywhere *)(b + k * ldb + v * LANES);
            UNROLLED
            for (int r = 0; r < rows; r++)
                sums->sum[r][first + v] += factors[r] * weights;
        }
    }
}

static inline int64_t at_most(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- the gates' inputs ---- */

/* Rows begin..end-1 of the weights of x and h, which count as one behind the other. */
LANES_INLINE void sums_chunk(const blocked_sums *s, int slots, blocked_range of_x, blocked_range of_h, int64_t begin,
                             int64_t end) {
    const int64_t I = s->I, ldw = of_x.count * LANES, ldr = of_h.count * LANES, ldz = slots * LANES;
    const int64_t x_end = at_most(end, I), h_begin = begin > I ? begin - I : 0;
    const int from_start = begin == 0 && s->start != NULL;
    for (int64_t row = 0; row < s->rows; row += ROWS(slots)) {
        block sums;
        if (from_start)
            block_load(&sums, ROWS(slots), slots, s->start, 0);
        else
            block_load(&sums, ROWS(slots), slots, s->z + row * ldz, ldz);
        if (begin < x_end)
            multiply(&sums, ROWS(slots), of_x.first, of_x.count, x_end - begin, s->x + row * s->ldx + begin, s->ldx, 1,
                     s->W + begin * ldw, ldw);
        if (end > I)
            multiply(&sums, ROWS(slots), of_h.first, of_h.count, end - I - h_begin, s->h + row * s->ldh + h_begin,
                     s->ldh, 1, s->R + h_begin * ldr, ldr);
        block_store(&sums, ROWS(slots), slots, s->z + row * ldz, ldz);
    }
}

LANES_INLINE void sums_of(const blocked_sums *s, int slots, blocked_range of_x, blocked_range of_h) {
    const int64_t K = s->I + s->H;
    for (int64_t begin = 0; begin == 0 || begin < K; begin += BLOCK_CHUNK)
        sums_chunk(s, slots, of_x, of_h, begin, at_most(begin + BLOCK_CHUNK, K));
}

static void sums(const blocked_sums *s) {
    if (s->of_h.first == 1)
        sums_of(s, 4, (blocked_range){0, 3}, (blocked_range){1, 3});
    else if (s->slots == 4)
        sums_of(s, 4, (blocked_range){0, 4}, (blocked_range){0, 4});
    else if (s->slots == 3)
        sums_of(s, 3, (blocked_range){0, 3}, (blocked_range){0, 3});
    else if (s->slots == 2)
        sums_of(s, 2, (blocked_range){0, 2}, (blocked_range){0, 2});
    else
        sums_of(s, 1, (blocked_range){0, 1}, (blocked_range){0, 1});
}

static void spread(const blocked_cells *c, const float *start, const float *x) {
    const int64_t width = c->slots * LANES;
    for (int64_t r = 0; r < c->rows; r++) {
        const float *from = x + c->live[r] * c->ld_gates;
        float *z = c->z + r * width;
        for (int s = 0; s < c->slots; s++) {
            const int of_x = s >= c->of_x.first && s < c->of_x.first + c->of_x.count;
            const vector bias = *(const vector_anywhere *)(start + s * LANES);
            vector_store(z + s * LANES, of_x ? bias + vector_load(from + c->place[s], c->count[s]) : bias, LANES);
        }
    }
}

/* ---- the gradients of x and h ---- */

/* Columns column..column+vectors*LANES-1, from the panels first..end-1. */
LANES_INLINE void inputs_chunk(const blocked_inputs *p, int vectors, int64_t column, int64_t first, int64_t end) {
    const int64_t ldd = p->slots * LANES, K = p->of.count * LANES, ldb = vectors * LANES;
    const float *B = p->B + column * p->panels * K;
    for (int64_t row = 0; row < p->rows; row += ROWS(vectors)) {
        float *out = p->out + row * p->ldo + column;
        block sums = {0};
        if (first > 0 || p->adds)
            block_load(&sums, ROWS(vectors), vectors, out, p->ldo);
        for (int64_t panel = first; panel < end; panel++)
            multiply(&sums, ROWS(vectors), 0, vectors, K, p->d + (panel * p->d_rows + row) * ldd + p->of.first * LANES,
                     ldd, 1, B + panel * K * ldb, ldb);
        block_store(&sums, ROWS(vectors), vectors, out, p->ldo);
    }
}

LANES_INLINE void inputs_columns(const blocked_inputs *p, int vectors, int64_t column) {
    const int64_t rows_of_panel = p->of.count * LANES,
                  at_once = rows_of_panel < BLOCK_CHUNK ? BLOCK_CHUNK / rows_of_panel : 1;
    for (int64_t panel = 0; panel < p->panels; panel += at_once)
        inputs_chunk(p, vectors, column, panel, at_most(panel + at_once, p->panels));
}

static void inputs(const blocked_inputs *p) {
    const int64_t vectors = (p->columns + LANES - 1) / LANES;
    int64_t v = 0;
    for (; v + 4 <= vectors; v += 4)
        inputs_columns(p, 4, v * LANES);
    if (vectors - v == 3)
        inputs_columns(p, 3, v * LANES);
    else if (vectors - v == 2)
        inputs_columns(p, 2, v * LANES);
    else if (vectors - v == 1)
        inputs_columns(p, 1, v * LANES);
}

/* ---- the gradients of W, R and b ---- */

LANES_INLINE void weights_of(const blocked_weights *w, int count) {
    const int64_t ldd = w->slots * LANES, ldw = count * LANES;
    for (int64_t panel = 0; panel < w->panels; panel++) {
        const float *d = w->d + panel * w->d_rows * ldd + w->of.first * LANES;
        float *dW = w->dW + panel * (w->features + BLOCKED_SPARE) * ldw;
        for (int64_t feature = 0; feature < w->features; feature += ROWS(count)) {
            /* The rows' own sum is made first: many small terms are not lost one by one in a large total. */
            block sums = {0};
            const float *rows = d;
            for (int64_t i = 0; i < w->stretches; i++) {
                const blocked_stretch *s = &w->s[i];
                multiply(&sums, ROWS(count), 0, count, s->rows, s->at + feature, 1, s->ld, rows, ldd);
                rows += s->rows * ldd;
            }
            block_add(&sums, ROWS(count), count, dW + feature * ldw, ldw);
            block_store(&sums, ROWS(count), count, dW + feature * ldw, ldw);
        }
    }
}

static void weights(const blocked_weights *w) {
    if (w->of.count == 4)
        weights_of(w, 4);
    else if (w->of.count == 3)
        weights_of(w, 3);
    else if (w->of.count == 2)
        weights_of(w, 2);
    else
        weights_of(w, 1);
}

static void biases(const blocked_weights *w, float *db) {
    const int64_t ldd = w->slots * LANES;
    for (int64_t panel = 0; panel < w->panels; panel++)
        for (int s = 0; s < w->slots; s++) {
            const float *d = w->d + panel * w->d_rows * ldd + s * LANES;
            vector sum = {0};
            for (int64_t row = 0; row < w->rows; row++)
                sum += *(const vector_anywhere *)(d + row * ldd);
            *(vector_anywhere *)(db + panel * ldd + s * LANES) += sum;
        }
}

/* ---- moving rows ---- */

LANES_INLINE void rows_move(const blocked_rows *m, int adds, int masks) {
    for (int64_t i = 0; i < m->rows; i++) {
        const float *from = m->from + (m->from_row ? m->from_row[i] : i) * m->ld_from;
        const float *mask = masks ? m->mask + (m->from_row ? m->from_row : m->to_row)[i] * m->n : NULL;
        float *to = m->to + (m->to_row ? m->to_row[i] : i) * m->ld_to;
        for (int64_t j = 0; j < m->n; j += LANES) {
            const int64_t n = m->n - j;
            vector x = vector_load(from + j, n);
            if (masks)
                x *= vector_load(mask + j, n);
            if (adds)
                x += vector_load(to + j, n);
            vector_store(to + j, x, n);
        }
    }
}

static void copy(const blocked_rows *m) {
    if (m->mask)
        rows_move(m, 0, 1);
    else
        rows_move(m, 0, 0);
}

static void add(const blocked_rows *m) {
    if (m->mask)
        rows_move(m, 1, 1);
    else
        rows_move(m, 1, 0);
}

/* ---- the table ---- */

extern const blocked_kernels BLOCKED_TABLE;
extern const struct conv_kernels CONV_TABLE;

const blocked_kernels BLOCKED_TABLE = {.name = BLOCKED_NAME,
                                       .lanes = LANES,
                                       .tile = TILE,
                                       .settle = LANES == 16 ? vector_stream_settle : NULL,
                                       .sums = sums,
                                       .inputs = inputs,
                                       .weights = weights,
                                       .biases = biases,
                                       .spread = spread,
                                       .copy = copy,
                                       .add = add,
                                       .cells = {[BLOCKED_RNN] = {rnn_forward, rnn_backward},
                                                 [BLOCKED_LSTM] = {lstm_forward, lstm_backward},
                                                 [BLOCKED_GRU] = {gru_forward, gru_backward}},
                                       .conv = &CONV_TABLE};
