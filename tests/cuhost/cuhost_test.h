// cuhost_test.h - knobs for tests (C linkage; link with the cuhost library)
#pragma once
#ifdef __cplusplus
extern "C" {
#endif
enum {
    CUHOST_FORWARD,
    CUHOST_REVERSE,
    CUHOST_ALTERNATE,
    CUHOST_RANDOM
}; // fiber order; env CUHOST_SCHEDULE=forward|reverse|alternate|random, CUHOST_SEED
void cuhost_schedule(int policy, unsigned seed);
enum { CUHOST_EAGER, CUHOST_LAZY, CUHOST_CHAOS }; // stream execution; env CUHOST_STREAMS=eager|lazy|chaos
void cuhost_streams(int mode);
void cuhost_devices(int count, int compute); // pretend sm_75 / sm_90...; count 0 = no GPU
long cuhost_fail_at(long n); // n-th fallible call from now fails (0 = off); returns calls seen since last set
struct cuhost_stats_t {
    long launches, threads, switches, barriers;
};
void cuhost_stats(struct cuhost_stats_t *s, int reset);
#ifdef __cplusplus
}
#endif
