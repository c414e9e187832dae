/* What happens in the cells of the blocked recurrent layers, forward and backward, a panel of units at a time. Not a
 * header to share: a part of blocked_kernels.c, of which each instruction set has a copy. */
#ifndef CRS_CPU_BLOCKED_CELLS_H
#define CRS_CPU_BLOCKED_CELLS_H

#include "blocked.h"
#include "lanes.h"

#define CELL_ROWS 4 /* rows whose cells are worked on at once */

LANES_INLINE vector slot(const float *z, int s) {
    return *(const vector_anywhere *)(z + s * LANES);
}

/* A gate, for the way back. */
LANES_INLINE void keep(const blocked_cells *c, float *to, vector gate, int64_t n) {
    if (c->streams)
        vector_stream(to, gate);
    else
        vector_store(to, gate, n);
}

/* The gradient of a slot: into z, and unit by unit where that is wanted. */
LANES_INLINE void put_gradient(const blocked_cells *c, int64_t r, int s, vector d, int64_t n) {
    *(vector_anywhere *)(c->z + (r * c->slots + s) * LANES) = d;
    if (c->d_gates && s < c->of_x.count)
        vector_store(c->d_gates + c->live[r] * c->ld_gates + c->place[s], d, n);
}

LANES_INLINE void rnn_forward_panel(const blocked_cells *c, int whole) {
    for (int64_t r = 0; r < c->rows; r++)
        for (int s = 0; s < c->slots; s++) {
            const vector z = slot(c->z + r * c->slots * LANES, s);
            const vector h = c->activation == CRS_TANH ? vector_tanh(z) : vector_at_least(0, z);
            vector_store(c->h + c->live[r] * c->ldh + c->place[s], h, whole ? LANES : c->count[s]);
        }
}

/* Both derivatives can be had from h. */
LANES_INLINE void rnn_backward_panel(const blocked_cells *c, int whole) {
    for (int64_t r = 0; r < c->rows; r++)
        for (int s = 0; s < c->slots; s++) {
            const int64_t n = whole ? LANES : c->count[s];
            const vector h = vector_load(c->h + c->live[r] * c->ldh + c->place[s], n);
            float *dh = c->dh + c->live[r] * c->ldd + c->unit + s * LANES;
            const vector d = *(const vector_anywhere *)dh;
            const vector positive = (vector)((vector_bits)d & (vector_bits)(h > 0.0F));
            put_gradient(c, r, s, c->activation == CRS_TANH ? d * (1.0F - h * h) : positive, n);
            *(vector_anywhere *)dh = (vector){0};
        }
}

/* Rows r..r+count-1. An inverse is dearer than a product: that of a product serves all its factors. With 1 + e^-z of i,
 * f and o called below_i, below_f and below_o, and g = over_g / below_g, it is
 *   gates kept       i = below_f / (below_i below_f), f likewise; g and o likewise; c = f c_before + i g
 *   none kept        c = (c_before below_i below_g + over_g below_f) / (below_i below_g below_f)
 *   both             h = over_c / (below_o below_c), where tanh c = over_c / below_c */
LANES_INLINE void lstm_forward_rows(const blocked_cells *c, int64_t r, int count, int64_t n, int keeps) {
    vector state[CELL_ROWS], below_o[CELL_ROWS];
    UNROLLED
    for (int j = 0; j < count; j++) {
        const float *z = c->z + (r + j) * 4 * LANES;
        const int64_t row = c->live[r + j];
        const vector before = vector_load(c->c_before + row * c->H + c->unit, n);
        vector parts[4] = {slot(z, 0), slot(z, 1), slot(z, 3), slot(z, 2)}; /* i f o g */
        vectors_exponentials(4, 3, parts);
        const vector below_i = parts[0], below_f = parts[1], over_g = parts[3], below_g = over_g + 2.0F;
        below_o[j] = parts[2];
        if (keeps) {
            const vector of_i_f = vector_inverse(below_i * below_f), of_g_o = vector_inverse(below_g * below_o[j]);
            const vector i = below_f * of_i_f, f = below_i * of_i_f, g = over_g * (below_o[j] * of_g_o);
            float *kept = c->gates + row * c->ld_gates;
            state[j] = f * before + i * g;
            keep(c, kept + c->place[0], i, n);
            keep(c, kept + c->place[1], f, n);
            keep(c, kept + c->place[2], g, n);
            keep(c, kept + c->place[3], below_g * of_g_o, n);
        } else {
            const vector below = below_i * below_g;
            state[j] = (before * below + over_g * below_f) * vector_inverse(below * below_f);
        }
        vector_store(c->c + row * c->H + c->unit, state[j], n);
    }
    vectors_exponentials(count, 0, state);
    UNROLLED
    for (int j = 0; j < count; j++)
        vector_store(c->h + c->live[r + j] * c->ldh + c->unit,
                     state[j] * vector_inverse(below_o[j] * (state[j] + 2.0F)), n);
}

LANES_INLINE void lstm_forward_units(const blocked_cells *cells, int64_t n, int keeps) {
    const blocked_cells c = *cells;
    int64_t r = 0;
    for (; r + CELL_ROWS <= c.rows; r += CELL_ROWS)
        lstm_forward_rows(&c, r, CELL_ROWS, n, keeps);
    for (; r < c.rows; r++)
        lstm_forward_rows(&c, r, 1, n, keeps);
}

LANES_INLINE void lstm_forward_panel(const blocked_cells *c, int whole) {
    const int64_t n = whole ? LANES : c->count[0];
    if (c->gates)
        lstm_forward_units(c, n, 1);
    else
        lstm_forward_units(c, n, 0);
}

/* tanh(c) is h / o: cheaper than to compute it again, or to read it back. o is zero only in lanes beyond the last unit,
 * whose gradients are to be zero. */
LANES_INLINE void lstm_backward_panel(const blocked_cells *cells, int whole) {
    const blocked_cells c = *cells;
    const int64_t n = whole ? LANES : c.count[0];
    for (int64_t r = 0; r < c.rows; r++) {
        const int64_t row = c.live[r], unit = row * c.H + c.unit;
        const float *gates = c.gates + row * c.ld_gates;
        const vector i = vector_load(gates + c.place[0], n), f = vector_load(gates + c.place[1], n);
        const vector g = vector_load(gates + c.place[2], n), o = vector_load(gates + c.place[3], n);
        float *dh_at = c.dh + row * c.ldd + c.unit, *dc_at = c.dc + row * c.ldd + c.unit;
        const vector dh = *(const vector_anywhere *)dh_at, before = vector_load(c.c_before + unit, n);
        const vector h = vector_load(c.h + row * c.ldh + c.unit, n);
        const vector tanh_c = h * vector_inverse(vector_at_least(0x1p-126F, o));
        const vector d = *(const vector_anywhere *)dc_at + dh * (o - h * tanh_c);
        put_gradient(&c, r, 0, d * g * (i - i * i), n);
        put_gradient(&c, r, 1, d * before * (f - f * f), n);
        put_gradient(&c, r, 2, d * i * (1.0F - g * g), n);
        put_gradient(&c, r, 3, dh * h * (1.0F - o), n);
        *(vector_anywhere *)dc_at = d * f;
        *(vector_anywhere *)dh_at = (vector){0};
    }
}

/* Reset after, the only kind: slots n_x, r, z, n_h. */
LANES_INLINE void gru_forward_panel(const blocked_cells *c, int whole) {
    const int64_t n = whole ? LANES : c->count[0];
    for (int64_t row = 0; row < c->rows; row++) {
        const float *sums_of_row = c->z + row * 4 * LANES;
        const int64_t at = c->live[row];
        const vector r = vector_sigmoid(slot(sums_of_row, 1)), z = vector_sigmoid(slot(sums_of_row, 2));
        const vector gated = slot(sums_of_row, 3), new = vector_tanh(slot(sums_of_row, 0) + r * gated);
        const vector before = vector_load(c->h_before + at * c->ldh_before + c->unit, n);
        vector_store(c->h + at * c->ldh + c->unit, (1.0F - z) * new + z *before, n);
        if (c->gates) {
            float *gates = c->gates + at * c->ld_gates;
            vector_store(gates + c->place[0], new, n);
            vector_store(gates + c->place[1], r, n);
            vector_store(gates + c->place[2], z, n);
            vector_store(c->products + at * c->ld_gates + c->place[3], gated, n);
        }
    }
}

LANES_INLINE void gru_backward_panel(const blocked_cells *c, int whole) {
    const int64_t n = whole ? LANES : c->count[0];
    for (int64_t row = 0; row < c->rows; row++) {
        const int64_t at = c->live[row];
        const float *gates = c->gates + at * c->ld_gates;
        const vector new = vector_load(gates + c->place[0], n), r = vector_load(gates + c->place[1], n);
        const vector z = vector_load(gates + c->place[2], n);
        const vector gated = vector_load(c->products + at * c->ld_gates + c->place[3], n);
        const vector before = vector_load(c->h_before + at * c->ldh_before + c->unit, n);
        float *dh_at = c->dh + at * c->ldd + c->unit;
        const vector dh = *(const vector_anywhere *)dh_at;
        const vector d_new = dh * (1.0F - z) * (1.0F - new *new), dz = dh * (before - new) * z * (1.0F - z);
        const vector dr = d_new * gated * r * (1.0F - r);
        put_gradient(c, row, 0, d_new, n);
        put_gradient(c, row, 1, dr, n);
        put_gradient(c, row, 2, dz, n);
        put_gradient(c, row, 3, d_new * r, n);
        if (c->d_products) {
            float *d_products = c->d_products + at * c->ld_gates;
            vector_store(d_products + c->place[1], dr, n);
            vector_store(d_products + c->place[2], dz, n);
            vector_store(d_products + c->place[3], d_new * r, n);
        }
        *(vector_anywhere *)dh_at = dh * z;
    }
}

/* Nearly all panels are whole, and their loads and stores are single instructions then. */
#define CELL(name)                                                                                                     \
    static void name(const blocked_cells *cells) {                                                                     \
        if (cells->count[cells->slots - 1] == LANES)                                                                   \
            name##_panel(cells, 1);                                                                                    \
        else                                                                                                           \
            name##_panel(cells, 0);                                                                                    \
    }
CELL(rnn_forward)
CELL(rnn_backward)
CELL(lstm_forward)
CELL(lstm_backward)
CELL(gru_forward)
CELL(gru_backward)

#endif
