/* Bias and activation behind a product, and their backward: what dense, conv and onehot have in common. */
#ifndef CRS_CPU_ACTIVATION_H
#define CRS_CPU_ACTIVATION_H

#include "cpu.h"

/* y = act(y + b) for n neighbours, on the calling thread. */
#define cpu_activate CPU_NAME(activate)
void cpu_activate(crs_activation activation, int64_t n, const real *restrict b, real *restrict y);

/* The same for each row of y [N,O], by all threads. */
#define cpu_activate_rows CPU_NAME(activate_rows)
void cpu_activate_rows(const crs_device *device, crs_activation activation, int64_t N, int64_t O, const real *b,
                       real *y);

/* dy [N,O] becomes the gradient before the activation, and its column sums are added to db [O]: one pass over y and dy.
 * The sums keep their digits over any number of rows. Uses cpu_scratch: CRS_ERR_MEMORY. */
#define cpu_activate_backward CPU_NAME(activate_backward)
crs_status cpu_activate_backward(crs_device *device, crs_activation activation, int64_t N, int64_t O, const real *y,
                                 real *dy, real *db);

#endif
