/* What the files of the CPU backend share. Every source of this folder is compiled twice: CRS_CPU_DOUBLE=0 gives the
 * float backend "cpu", 1 the double backend "cpu-double", the oracle. */
#ifndef CRS_CPU_H
#define CRS_CPU_H

#include <carousel/ops.h>

#if CRS_CPU_DOUBLE
typedef double real;
#define CPU_NAME(name) cpu_f64_##name
#else
typedef float real;
#define CPU_NAME(name) cpu_f32_##name
#endif

struct crs_device {
    int threads;
    const struct blocked_kernels *kernels; /* of the blocked variants; NULL: the readable loops */
    char description[160];
    void *scratch; /* grow-only, see cpu_scratch */
    size_t scratch_size;
};

#define CPU_DECLARE(slot, args) crs_status CPU_NAME(slot)(crs_device * device, const args *a);
CRS_COMPUTE_SLOTS(CPU_DECLARE)
#undef CPU_DECLARE
#define CPU_DECLARE(slot, args) size_t CPU_NAME(slot)(const crs_device *device, const args *a);
CRS_RESERVE_SLOTS(CPU_DECLARE)
#undef CPU_DECLARE

/* Scratch of at least `bytes`, 64-byte aligned, valid until the next call; NULL: out of memory. */
#define cpu_scratch CPU_NAME(scratch)
void *cpu_scratch(crs_device *device, size_t bytes);

#endif
