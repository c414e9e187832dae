/* Floating-point operations of the matrix products in a layer, the one place where they are counted: 2 for a multiply
 * and an add. Activations, sums and the update are not counted, so that figures of different programs compare. */
#ifndef CAROUSEL_BENCH_FLOPS_H
#define CAROUSEL_BENCH_FLOPS_H

#include <stdint.h>

/* [rows,inputs] times [inputs,outputs]. */
static inline double flops_product(int64_t rows, int64_t inputs, int64_t outputs) {
    return 2.0 * (double)rows * (double)inputs * (double)outputs;
}

/* One direction of a recurrent layer with G gates over so many live steps of all rows together. */
static inline double flops_recurrent(int64_t live, int64_t I, int64_t H, int64_t G) {
    return flops_product(live, I + H, G * H);
}

/* outputs: places of the window, of all rows together. */
static inline double flops_conv(int64_t outputs, int64_t size, int64_t I, int64_t O) {
    return flops_product(outputs, size * I, O);
}

/* A backward has two products, for the inputs' gradients and the weights', where forward has one. */
enum { FLOPS_BACKWARD = 2, FLOPS_STEP = 3 };

#endif
