/* CPU_CLONES before a function compiles it for every x86-64, for AVX2 with FMA (x86-64-v3) and for AVX-512 (-v4); the
 * loader takes the best the machine runs. The library so stays portable without -march. Put it on functions that hold
 * only a loop: the body of an OpenMP region is outlined and would not be cloned, so the region calls the clone.
 *
 * Levels, not processors: arch=haswell would be taken on a Haswell only, and on nothing newer. Empty where it cannot
 * work: the resolvers run before the sanitizers are set up, and clang 14 gives the resolvers of static functions global
 * names, which clash. */
#ifndef CRS_CPU_CLONES_H
#define CRS_CPU_CLONES_H

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(CRS_SANITIZED) && !defined(__clang__) && __GNUC__ >= 12
#define CPU_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CPU_CLONES
#endif

/* Before a function that clones share: a call of it would be of code for every x86-64. */
#define CPU_INLINE static inline __attribute__((always_inline))

#endif
