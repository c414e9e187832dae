/* Start of a step: its number and its learning rate. In double, by one thread: the step is known on the device only. */
#include "cuda.cuh"

#include <math.h>

/* sin(pi/2 x) for 0 <= x <= 1, by its series, whose terms beyond x^21 a double does not see. CUDA's sin and cos keep a
 * way out for huge arguments that needs a stack. */
static __device__ double quarter_sine(double x) {
    const double angle = 1.57079632679489661923 * x;
    double nested = 1;
    for (int k = 20; k > 0; k -= 2)
        nested = 1 - angle * angle / (k * (k + 1)) * nested;
    return angle * nested;
}

/* (1 + cos(pi done)) / 2 = sin^2(pi/2 (1 - done)), without the cancellation. */
static __device__ double cosine(const crs_schedule &a, int64_t s) {
    const double left = s < a.total ? (double)(a.total - s) / (double)(a.total - a.warmup) : 0,
                 sine = quarter_sine(left);
    return a.floor_lr + (a.base_lr - a.floor_lr) * sine * sine;
}

static __device__ double learning_rate(const crs_schedule &a, int64_t s) {
    if (s < a.warmup)
        return a.base_lr * (double)(s + 1) / (double)a.warmup;
    if (a.kind == CRS_STEP)
        return a.base_lr * pow(a.rate, (double)((s - a.warmup) / a.every));
    return a.kind == CRS_COSINE ? cosine(a, s) : a.base_lr;
}

/* One thread. At most 40 registers. */
static __global__ void start_step(crs_schedule a) {
    a.state->lr = learning_rate(a, (int64_t)a.state->step);
    a.state->step++;
}

crs_status cuda_schedule(crs_device *device, const crs_schedule *a) {
    return cuda_launch(device, start_step, dim3(1), dim3(1), 0, *a);
}
