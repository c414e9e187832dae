/* Threads of the library's own: how many, and starting one. Work on floats runs in the backends, not here. */
#ifndef CRS_THREADS_H
#define CRS_THREADS_H

#include <carousel/config.h>
#include <pthread.h>

/* What config's threads ask for; for 0 the processors that this process may use. At most CRS__THREADS_MAX: beyond it
 * one thread that reads cannot keep the others busy. */
enum { CRS__THREADS_MAX = 16 };
size_t crs__threads(const crs_config *config);

/* As pthread_create, but that signals go to the threads that the program itself has. */
int crs__thread_start(pthread_t *thread, void *(*run)(void *), void *user);

#endif
