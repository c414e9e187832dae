/* What tests set in the layer, and what they ask it. Each knob has an environment variable too, for programs that are
 * driven from outside; a value or a CUHOST_ variable that is not known ends the program at once. Knobs are turned while
 * no work is queued. */
#ifndef CUHOST_TEST_H
#define CUHOST_TEST_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In which order threads run, and blocks. CUHOST_SCHEDULE=forward|reverse|alternate|random, CUHOST_SEED=n.
 * alternate turns round at every launch and every barrier. The same seed gives the same random order, and chaos. */
enum cuhost_order { CUHOST_FORWARD, CUHOST_REVERSE, CUHOST_ALTERNATE, CUHOST_RANDOM };
void cuhost_schedule(enum cuhost_order order, unsigned seed);

/* When queued work runs. CUHOST_STREAMS=eager|lazy|chaos.
 * eager: at the call. lazy: when something waits for it, which is the latest that CUDA allows. chaos: by chance. */
enum cuhost_queueing { CUHOST_EAGER, CUHOST_LAZY, CUHOST_CHAOS };
void cuhost_streams(enum cuhost_queueing queueing);

/* The machine: so many devices (0: none) of that compute capability, 75 for 7.5. CUHOST_DEVICES=n, CUHOST_COMPUTE=nn.
 * Known are 60, 70, 75, 80, 86, 89, 90, 100 and 120. */
void cuhost_devices(int count, int compute);

/* Whether the driver is new enough for the runtime (0: or there is none). CUHOST_DRIVER=sufficient|insufficient. */
void cuhost_driver(int sufficient);

/* Bytes of memory of each device. CUHOST_MEMORY=bytes. */
void cuhost_memory(size_t bytes);

/* The n-th fallible call from now fails, and only that one (0: none does). CUHOST_FAIL_AT=n counts from the start.
 * Returns the number of fallible calls since it was last set. What frees or destroys is not fallible. */
long cuhost_fail_at(long n);

struct cuhost_statistics {
    /* since the start, or since cuhost_reset_statistics() */
    long launches;         /* kernels that ran */
    long threads;          /* CUDA threads that ran */
    long switches;         /* changes from one to another */
    long barriers;         /* passed: of blocks, warps' not counted, and of grids */
    long graph_launches;   /* graphs that ran */
    long copies;           /* copies and fills that ran */
    long products;         /* matrix products that ran */
    long synchronizations; /* calls that waited for a stream, an event or the device */
    long failures;         /* calls that cuhost_fail_at made fail */
    size_t peak_device_bytes;
    /* alive now */
    size_t device_bytes;
    long device_blocks, pinned_blocks, streams, events, graphs, executable_graphs, blas_handles;
};
void cuhost_get_statistics(struct cuhost_statistics *statistics);
void cuhost_reset_statistics(void);

/* How much is alive that should have been freed: the sum of the counts of the last line. */
long cuhost_alive(void);

#ifdef __cplusplus
}
#endif

#endif
