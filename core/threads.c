/* How many threads, and starting one. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "threads.h"

#include <sched.h>
#include <signal.h>

size_t crs__threads(const crs_config *config) {
    cpu_set_t allowed;
    size_t count = config->threads > 0 ? (size_t)config->threads : 1;
    if (config->threads == 0 && sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        count = (size_t)CPU_COUNT(&allowed);
    return count < 1 ? 1 : count < CRS__THREADS_MAX ? count : CRS__THREADS_MAX;
}

int crs__thread_start(pthread_t *thread, void *(*run)(void *), void *user) {
    sigset_t all, former;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    const int failed = pthread_create(thread, NULL, run, user);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return failed;
}
