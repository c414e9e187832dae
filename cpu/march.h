/* What one call of a recurrent layer works on: its reserve cut up, its live steps, and where things lie. The march
 * itself is recurrent.c. */
#ifndef CRS_CPU_MARCH_H
#define CRS_CPU_MARCH_H

#include "live.h"
#include "recurrent.h"

#define MARCH_TILE 16 /* rows of the batch that one thread takes through time together */

/* The reserve, cut up, and what else follows from the arguments. */
typedef struct march {
    const crs_recurrent *a;
    const recurrent_cell *cell;
    int64_t width;        /* G*H */
    int64_t tiles;        /* of the batch */
    int64_t cell_slots;   /* training T+1: slot k is c before the k-th step in running order; else two in turn */
    live_range live;      /* of all rows */
    real *gates;          /* [T,B,G*H] inputs of the gates, then the gates, then their gradients */
    real *cells;          /* [cell_slots,B,H], or NULL where the kind of cell has none */
    real *R_transposed;   /* [H,G*H] the BLAS is much faster at this product of few rows */
    real *input_mask;     /* [B,I], or NULL: no mask */
    real *x_masked;       /* [T,B,I], or NULL */
    real *recurrent_mask; /* [B,H], or NULL: no mask */
    real *h_masked;       /* [T,B,H] what R was multiplied by at each step, or NULL */
    real *dh, *dc;        /* [B,H] gradient of the state, on its way back */
    real *db;             /* [tiles,G*H] each tile's share */
} march;

#define march_lay_out CPU_NAME(march_lay_out)
#define march_prepare CPU_NAME(march_prepare)
#define rows_live CPU_NAME(rows_live)

/* Cuts `reserve` up and returns its size; NULL: only the size is wanted. */
size_t march_lay_out(march *m, const crs_recurrent *a, const recurrent_cell *cell, void *reserve);

/* All of m. CRS_ERR_UNSUPPORTED: a row is too long for the BLAS. */
crs_status march_prepare(march *m, const crs_recurrent *a, const recurrent_cell *cell);

/* The steps at which any of the rows is live; where none is, [0, 0). */
live_range rows_live(const crs_steps *steps, int64_t row, int64_t rows);

/* Step number k in running order. */
static inline int64_t step_at(const march *m, int64_t k) {
    return m->a->reverse ? m->a->steps.T - 1 - k : k;
}

static inline real *gates_at(const march *m, int64_t t, int64_t row) {
    return m->gates + (t * m->a->steps.B + row) * m->width;
}

/* The cell state before the k-th step in running order; NULL where there is none. */
static inline real *cell_at(const march *m, int64_t k, int64_t row) {
    return m->cells ? m->cells + (k % m->cell_slots * m->a->steps.B + row) * m->a->H : NULL;
}

static inline real *h_at(const march *m, int64_t t, int64_t row) {
    return (real *)m->a->y + (t * m->a->steps.B + row) * m->a->ldy;
}

static inline int64_t tile_rows(const march *m, int64_t tile) {
    const int64_t left = m->a->steps.B - tile * MARCH_TILE;
    return left < MARCH_TILE ? left : MARCH_TILE;
}

#endif
