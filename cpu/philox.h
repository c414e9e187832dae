/* The random masks of ops.h ("Randomness"), for every operation that drops something. */
#ifndef CRS_CPU_PHILOX_H
#define CRS_CPU_PHILOX_H

#include "cpu.h"

/* Writes the factors, 0 or 1/(1-rate), of the mask's elements first..first+n-1 at the step into out [n]; ones where the
 * rate is 0. `first` need not be a multiple of 4, n may be 0. Runs on the calling thread: elements depend on their
 * number only, so callers may split a mask among threads at will. */
#define cpu_mask CPU_NAME(mask)
void cpu_mask(const crs_mask *mask, uint64_t step, int64_t first, int64_t n, real *out);

#endif
