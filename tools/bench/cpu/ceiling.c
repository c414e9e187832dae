/* The most multiply-adds that the machine does in a second: registers only, enough of them in flight to hide their
 * latency, vectors of the widest kind. Compiled for the machine it runs on, unlike the library. */
#include "network.h"

#include <omp.h>
#include <time.h>

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));

/* Two multiply-adds of a latency of 4 or 5 cycles begin in a cycle. */
enum { CHAINS = 12, LANES = VECTOR_BYTES / sizeof(float), TURNS = 100000 };

double processor_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static float run_chains(float factor, float addend) {
    vector sums[CHAINS], result = {0};
    const vector factors = factor + (vector){0}, addends = addend + (vector){0};
#pragma GCC unroll 12
    for (int k = 0; k < CHAINS; k++)
        sums[k] = (float)k + (vector){0};
    for (int turn = 0; turn < TURNS; turn++) {
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; k++)
            sums[k] = sums[k] * factors + addends;
    }
#pragma GCC unroll 12
    for (int k = 0; k < CHAINS; k++)
        result += sums[k];
    return result[0] + result[LANES - 1];
}

ceiling ceiling_measure(int threads, double milliseconds) {
    const double begin = monotonic_microseconds(), processor = processor_seconds();
    int64_t calls = 0;
    /* Whatever the compiler knew it could compute beforehand, and what nobody reads it could leave out. */
    const volatile float factor = 0.999f, addend = 0.001f;
    volatile float sink = 0;
#pragma omp parallel num_threads(threads) reduction(+ : calls)
    while (monotonic_microseconds() - begin < milliseconds * 1e3) {
        sink = run_chains(factor, addend);
        calls++;
    }
    (void)sink;
    const double operations = 2e-9 * (double)calls * TURNS * CHAINS * LANES;
    return (ceiling){.by_clock = operations / ((monotonic_microseconds() - begin) * 1e-6),
                     .by_processor = operations / ((processor_seconds() - processor) / threads)};
}
