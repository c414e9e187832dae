/* The entrance to the blocked recurrent layers, for recurrent.c. Float only. */
#ifndef CRS_CPU_BLOCKED_MARCH_H
#define CRS_CPU_BLOCKED_MARCH_H

#include "recurrent.h"

/* Both need device->kernels, a kind of cell that is blocked, and the reserve of cpu_recurrent_reserve. The cell gives
 * its layout; its functions are not called. */
crs_status cpu_blocked_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell);
crs_status cpu_blocked_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell);

#endif
