/* What the RNN and the LSTM have in common: memory, masks, the march over time and the weight gradients. What happens
 * in a cell, and how a state goes back through it, is theirs: rnn.c, lstm.c. */
#ifndef CRS_CPU_RECURRENT_H
#define CRS_CPU_RECURRENT_H

#include "cpu.h"

/* A kind of cell. Both functions work on one live row at one step; where the kind has no cell state, the c are NULL. */
typedef struct recurrent_cell {
    int64_t gates; /* G */
    int has_cell_state;
    /* z [G*H]: in W x + R h, without bias; out the activated gates. b [G*H]; c_prev, c, h [H]. */
    void (*forward)(const crs_recurrent *a, const real *b, real *z, const real *c_prev, real *c, real *h);
    /* z: in the activated gates, out their gradient before the activation. dh, dc [H]: in the gradient of h and c; out
     * dh is zero (the march adds R's share) and dc is the gradient of c_prev. */
    void (*backward)(const crs_recurrent *a, real *z, const real *c_prev, const real *c, const real *h, real *dh,
                     real *dc);
} recurrent_cell;

#define cpu_recurrent_reserve CPU_NAME(recurrent_reserve)
#define cpu_recurrent_forward CPU_NAME(recurrent_forward)
#define cpu_recurrent_backward CPU_NAME(recurrent_backward)
size_t cpu_recurrent_reserve(const crs_recurrent *a, const recurrent_cell *cell);
crs_status cpu_recurrent_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell);
crs_status cpu_recurrent_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell);

#endif
