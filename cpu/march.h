/* What one call of a recurrent layer works on: its reserve cut up, its live steps, where things lie, and the products
 * over all steps. The march itself is recurrent.c. */
#ifndef CRS_CPU_MARCH_H
#define CRS_CPU_MARCH_H

#include "live.h"
#include "recurrent.h"

#include <string.h>

#define MARCH_TILE 16 /* rows of the batch that one thread takes through time together */

/* The reserve, cut up, and what else follows from the arguments. */
typedef struct march {
    const crs_recurrent *a;
    const recurrent_cell *cell;
    int64_t width;        /* G*H */
    int64_t outer;        /* width of the gates whose R multiplies h, the others' multiplies the inner state */
    int64_t tiles;        /* of the batch */
    int64_t cell_slots;   /* training T+1: slot k is c before the k-th step in running order; else two in turn */
    int64_t step_slots;   /* training T: slot t is step t's; else one for all */
    live_range live;      /* of all rows */
    real *gates;          /* [T,B,G*H] inputs of the gates, then the gates, then their gradients */
    real *products;       /* [step_slots,B,G*H] R h and its gradient, or NULL: summed up in gates */
    real *inner;          /* [step_slots,B,H] inner states, or NULL */
    real *cells;          /* [cell_slots,B,H], or NULL where the kind of cell has none */
    real *zeros;          /* [H] the state before the first step */
    real *R_transposed;   /* [H,G*H] the BLAS is much faster at this product of few rows */
    real *input_mask;     /* [B,I], or NULL: no mask */
    real *x_masked;       /* [T,B,I], or NULL */
    real *recurrent_mask; /* [B,H], or NULL: no mask */
    real *h_masked;       /* [T,B,H] what R was multiplied by at each step, or NULL */
    real *dh, *dc;        /* [B,H] gradient of the state, on its way back */
    real *dh_masked;      /* [B,H] gradient of h_masked, or NULL */
    real *d_inner;        /* [B,H] gradient of the inner state, or NULL */
    real *db;             /* [tiles,G*H] each tile's share */
    real *db_hh;          /* [tiles,G*H] likewise, or NULL */
} march;

#define march_lay_out CPU_NAME(march_lay_out)
#define march_prepare CPU_NAME(march_prepare)
#define march_inputs CPU_NAME(march_inputs)
#define march_gradients CPU_NAME(march_gradients)
#define march_multiply CPU_NAME(march_multiply)
#define march_add CPU_NAME(march_add)
#define march_draw_masks CPU_NAME(march_draw_masks)
#define rows_live CPU_NAME(rows_live)

/* Cuts `reserve` up and returns its size; NULL: only the size is wanted. */
size_t march_lay_out(march *m, const crs_recurrent *a, const recurrent_cell *cell, void *reserve);

/* All of m. CRS_ERR_UNSUPPORTED: a row is too long for the BLAS. CRS_ERR_ARGUMENT: an input mask without W. */
crs_status march_prepare(march *m, const crs_recurrent *a, const recurrent_cell *cell);

/* Before all else forward. */
void march_draw_masks(crs_device *device, const march *m);

/* Before the march: makes the inputs' share of the gates at the steps where any row is live. */
crs_status march_inputs(crs_device *device, const march *m);

/* After the march back: dW, dR and dx from the gradients of the gates. */
crs_status march_gradients(crs_device *device, const march *m);

/* y = x mask; y may be x. */
void march_multiply(int64_t n, const real *x, const real *mask, real *y);

/* y += x mask; mask NULL: ones. */
void march_add(int64_t n, const real *x, const real *mask, real *y);

/* The steps at which any of the rows is live; where none is, [0, 0). */
live_range rows_live(const crs_steps *steps, int64_t row, int64_t rows);

/* Copies or, where there is nothing to copy, clears. */
static inline void march_carry(int64_t n, const real *from, real *to) {
    if (from)
        memcpy(to, from, (size_t)n * sizeof *to);
    else
        memset(to, 0, (size_t)n * sizeof *to);
}

/* Step number k in running order. */
static inline int64_t step_at(const march *m, int64_t k) {
    return m->a->reverse ? m->a->steps.T - 1 - k : k;
}

static inline real *gates_at(const march *m, int64_t t, int64_t row) {
    return m->gates + (t * m->a->steps.B + row) * m->width;
}

/* Where R h is put at step t: into the sum of the gates, or apart from it. */
static inline real *product_at(const march *m, int64_t t, int64_t row) {
    return m->products ? m->products + (t % m->step_slots * m->a->steps.B + row) * m->width : gates_at(m, t, row);
}

/* The following are NULL where there is none. */
static inline real *inner_at(const march *m, int64_t t, int64_t row) {
    return m->inner ? m->inner + (t % m->step_slots * m->a->steps.B + row) * m->a->H : NULL;
}

static inline real *h_masked_at(const march *m, int64_t t, int64_t row) {
    return m->h_masked ? m->h_masked + (t * m->a->steps.B + row) * m->a->H : NULL;
}

/* The cell state before the k-th step in running order. */
static inline real *cell_at(const march *m, int64_t k, int64_t row) {
    return m->cells ? m->cells + (k % m->cell_slots * m->a->steps.B + row) * m->a->H : NULL;
}

/* A row of a state's gradient. */
static inline real *gradient_at(const march *m, real *gradients, int64_t row) {
    return gradients ? gradients + row * m->a->H : NULL;
}

static inline real *h_at(const march *m, int64_t t, int64_t row) {
    return (real *)m->a->y + (t * m->a->steps.B + row) * m->a->ldy;
}

static inline int64_t tile_rows(const march *m, int64_t tile) {
    const int64_t left = m->a->steps.B - tile * MARCH_TILE;
    return left < MARCH_TILE ? left : MARCH_TILE;
}

#endif
