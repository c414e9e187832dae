/* Work for several threads that has nothing to do with CUDA, in a file that is compiled for OpenMP. */
#ifndef CUHOST_TESTS_THREADS_HPP
#define CUHOST_TESTS_THREADS_HPP

/* 0 + 1 + ... + n-1, by OpenMP. */
long sum_in_parallel(int n);

#endif
