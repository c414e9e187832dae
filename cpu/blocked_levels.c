/* Which instruction sets the blocked kernels were compiled for, and which of them the machine runs. A table that is
 * looked up when a device is opened, so that it works with every compiler and under the sanitizers, unlike the
 * loader's choice of clones.h. */
#include "blocked.h"

#include <string.h>

#if BLOCKED_X86_LEVELS
extern const blocked_kernels cpu_blocked_v4, cpu_blocked_v3;

/* What CMakeLists.txt compiles them with. */
static int runs_v4(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

static int runs_v3(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

extern const blocked_kernels cpu_blocked_baseline;

static int runs_baseline(void) {
    return 1;
}

const blocked_kernels *cpu_blocked_kernels(const char *name) {
    static const struct {
        const blocked_kernels *kernels;
        int (*runs)(void);
    } levels[] = {
#if BLOCKED_X86_LEVELS
        {&cpu_blocked_v4, runs_v4},
        {&cpu_blocked_v3, runs_v3},
#endif
        {&cpu_blocked_baseline, runs_baseline},
    };
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if ((!name || strcmp(name, levels[i].kernels->name) == 0) && levels[i].runs())
            return levels[i].kernels;
    return NULL;
}
