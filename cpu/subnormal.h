/* Numbers too small for a normal one are taken for zero in products, and in loops that meet many of them: gradients
 * that vanish on their way back through time, and an optimizer's means of gradients that have long been zero. A
 * processor takes some hundred cycles for each such number where it takes less than one for any other. Not a licence
 * for other inaccuracies, and nothing for the double build, which is the oracle. */
#ifndef CRS_CPU_SUBNORMAL_H
#define CRS_CPU_SUBNORMAL_H

#include "cpu.h"

#if defined(__SSE__) && !CRS_CPU_DOUBLE
#include <xmmintrin.h>

/* Of this thread, until restored: results and operands. Returns how it was, which is the caller's own choice. */
static inline unsigned cpu_subnormals_flush(void) {
    const unsigned flush_results = 0x8000, flush_operands = 0x0040, before = _mm_getcsr();
    _mm_setcsr(before | flush_results | flush_operands);
    return before;
}

static inline void cpu_subnormals_restore(unsigned before) {
    _mm_setcsr(before);
}

#else

static inline unsigned cpu_subnormals_flush(void) {
    return 0;
}

static inline void cpu_subnormals_restore(unsigned before) {
    (void)before;
}

#endif
#endif
