/* What the recurrent layers have in common: memory, masks, the march over time and the weight gradients. What happens
 * in a cell, and how a state goes back through it, is theirs: rnn.c, lstm.c, gru.c. */
#ifndef CRS_CPU_RECURRENT_H
#define CRS_CPU_RECURRENT_H

#include "blocked.h"
#include "cpu.h"

/* One live row at one step, as a cell sees it. What its kind does not have is NULL. */
typedef struct recurrent_row {
    const crs_recurrent *a;
    real *z;       /* [G*H] forward: in W x + R h, without bias, out the gates; backward: in the gates, out their
                      gradient before the activation */
    real *product; /* [G*H] of a kind that separates, whose z lacks it. Forward: in R h, without bias, out whatever
                      backward needs; backward: out its gradient */
    real *inner;   /* [H] forward_inner: out the inner state */
    const real *c_before; /* [H] */
    real *c;              /* [H] forward: out */
    const real *h_before; /* [H] */
    const real *h_masked; /* [H] h_before through the mask of the recurrence */
    real *h;              /* [H] forward: out */
    real *dh;             /* [H] backward: in the gradient of h, out what of it goes to h_before other than through R */
    real *dc;             /* [H] backward: in the gradient of c, out that of c_before */
    real *d_inner;        /* [H] backward_inner: in the gradient of the inner state */
    real *dh_masked;      /* [H] backward_inner: the gradient of h_masked, added to; it may be dh */
} recurrent_row;

/* A kind of cell. The R of most gates multiplies h_before. Where that of the last ones multiplies an inner state
 * instead, made of h_before and the other gates, forward_inner makes the other gates and the inner state, and forward
 * the rest; backward leaves what hangs on the inner state to backward_inner. */
typedef struct recurrent_cell {
    int64_t gates;       /* G */
    int64_t inner_gates; /* how many of them, the last ones, see the inner state; 0: there is none */
    int has_cell_state;
    int separates; /* W x and R h do not meet in a sum; then there is no inner state */
    blocked_kind blocked;
    void (*forward)(const recurrent_row *row);
    void (*backward)(const recurrent_row *row);
    void (*forward_inner)(const recurrent_row *row);
    void (*backward_inner)(const recurrent_row *row);
} recurrent_cell;

#define cpu_recurrent_reserve CPU_NAME(recurrent_reserve)
#define cpu_recurrent_forward CPU_NAME(recurrent_forward)
#define cpu_recurrent_backward CPU_NAME(recurrent_backward)
size_t cpu_recurrent_reserve(const crs_recurrent *a, const recurrent_cell *cell);
/* Both by the variant that the device was opened with, or by the readable loops where the blocked one has no such cell.
 */
crs_status cpu_recurrent_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell);
crs_status cpu_recurrent_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell);

#endif
