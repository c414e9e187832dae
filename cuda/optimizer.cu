/* The optimizers, each one pass over the flat block of weights: memory is the limit, arithmetic is free. */
#include "cuda.cuh"

#include <math.h>

/* What an update needs besides the numbers of its weight, computed in double and rounded once. */
struct coefficients {
    float scale;              /* of the gradient: clipping */
    float lr;                 /* adam and adamw: with the bias corrections in it */
    float l2;                 /* weight decay added to the gradient */
    float shrink;             /* adamw: fraction of a weight taken off first */
    float momentum;           /* adam and adamw: beta1 */
    float fresh;              /* adam and adamw: 1 - beta1 */
    float decay, decay_fresh; /* of v: rho or beta2, and 1 minus it */
    float epsilon;
};

template <crs_optimizer_kind kind> static __device__ coefficients coefficients_of(const crs_optimizer &a) {
    coefficients k = {};
    const double t = (double)a.state->step, lr = a.state->lr;
    const bool adam = kind == CRS_ADAM || kind == CRS_ADAMW;
    k.scale = (float)a.state->grad_scale;
    k.lr = (float)(adam ? lr * sqrt(1 - pow(a.beta2, t)) / (1 - pow(a.beta1, t)) : lr);
    k.l2 = kind == CRS_ADAMW ? 0 : (float)a.weight_decay;
    k.shrink = kind == CRS_ADAMW ? (float)(lr * a.weight_decay) : 0;
    k.momentum = (float)(adam ? a.beta1 : a.momentum);
    k.fresh = (float)(1 - a.beta1);
    k.decay = (float)(adam ? a.beta2 : a.rho);
    k.decay_fresh = (float)(1 - (adam ? a.beta2 : a.rho));
    k.epsilon = (float)a.epsilon;
    return k;
}

/* One weight's step: returns the new weight. m and v: NULL where the kind has none. */
template <crs_optimizer_kind kind>
static __device__ __forceinline__ float updated(const coefficients &k, const crs_optimizer &a, float g, float w,
                                                float *m, float *v) {
    const float gradient = k.scale * g + k.l2 * w;
    if (kind == CRS_SGD) {
        const float down = k.lr * gradient;
        if (!m)
            return w - down;
        *m = k.momentum * *m - down;
        return w + (a.nesterov ? k.momentum * *m - down : *m);
    }
    *v = k.decay * *v + k.decay_fresh * gradient * gradient;
    if (kind == CRS_RMSPROP) {
        const float down = k.lr * gradient / sqrtf(*v + k.epsilon);
        if (!(k.momentum > 0))
            return w - down;
        *m = k.momentum * *m + down;
        return w - *m;
    }
    *m = k.momentum * *m + k.fresh * gradient;
    return w - (k.shrink * w + k.lr * *m / (sqrtf(*v) + k.epsilon));
}

/* After a bad step the weights stay the last good ones. One thread of a block works the coefficients out for all of it.
 * At most 56 registers. */
template <crs_optimizer_kind kind> static __global__ void update(crs_optimizer a) {
    CUDA_SHARED_ARRAY(coefficients, shared, 1);
    CUDA_SHARED_ARRAY(bool, is_bad, 1);
    if (threadIdx.x == 0) {
        shared[0] = coefficients_of<kind>(a);
        is_bad[0] = a.state->bad_step != 0;
    }
    __syncthreads();
    const coefficients k = shared[0];
    const float *__restrict__ g = (const float *)a.g;
    float *__restrict__ w = (float *)a.w, *__restrict__ m = (float *)a.m, *__restrict__ v = (float *)a.v;
    for (int64_t i = is_bad[0] ? a.n : cuda_first(); i < a.n; i += cuda_stride())
        w[i] = updated<kind>(k, a, g[i], w[i], m ? m + i : NULL, v ? v + i : NULL);
}

crs_status cuda_optimizer(crs_device *device, const crs_optimizer *a) {
    switch (a->kind) {
    case CRS_SGD:
        return cuda_launch_over(device, a->n, update<CRS_SGD>, *a);
    case CRS_RMSPROP:
        return cuda_launch_over(device, a->n, update<CRS_RMSPROP>, *a);
    case CRS_ADAM:
        return cuda_launch_over(device, a->n, update<CRS_ADAM>, *a);
    case CRS_ADAMW:
        return cuda_launch_over(device, a->n, update<CRS_ADAMW>, *a);
    }
    return CRS_ERR_UNSUPPORTED;
}
