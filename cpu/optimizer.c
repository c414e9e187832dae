/* The optimizers, each one pass over the flat block of weights: memory is the limit, arithmetic is free. */
#include "clones.h"
#include "cpu.h"
#include "subnormal.h"

#include <math.h>

#define CHUNK 16384 /* weights a thread takes at a time */

#if CRS_CPU_DOUBLE
#define SQRT sqrt
#else
#define SQRT sqrtf
#endif

/* What the loops need, computed in double and rounded once. */
typedef struct coefficients {
    real scale;              /* of the gradient: clipping */
    real lr;                 /* adam and adamw: with the bias corrections in it */
    real l2;                 /* weight decay added to the gradient */
    real shrink;             /* adamw: fraction of a weight taken off first */
    real momentum;           /* adam and adamw: beta1 */
    real fresh;              /* adam and adamw: 1 - beta1 */
    real decay, decay_fresh; /* of v: rho or beta2, and 1 minus it */
    real epsilon;
} coefficients;

static coefficients coefficients_of(const crs_optimizer *a) {
    const crs_step_state *state = a->state;
    coefficients k = {.scale = (real)state->grad_scale,
                      .lr = (real)state->lr,
                      .l2 = (real)a->weight_decay,
                      .momentum = (real)a->momentum,
                      .decay = (real)a->rho,
                      .decay_fresh = (real)(1 - a->rho),
                      .epsilon = (real)a->epsilon};
    if (a->kind == CRS_ADAM || a->kind == CRS_ADAMW) {
        const double t = (double)state->step;
        k.lr = (real)(state->lr * sqrt(1 - pow(a->beta2, t)) / (1 - pow(a->beta1, t)));
        k.momentum = (real)a->beta1;
        k.fresh = (real)(1 - a->beta1);
        k.decay = (real)a->beta2;
        k.decay_fresh = (real)(1 - a->beta2);
    }
    if (a->kind == CRS_ADAMW) {
        k.l2 = 0;
        k.shrink = (real)(state->lr * a->weight_decay);
    }
    return k;
}

CPU_CLONES
static void sgd(coefficients k, int64_t first, int64_t end, const real *restrict g, real *restrict w) {
    for (int64_t i = first; i < end; i++)
        w[i] -= k.lr * (k.scale * g[i] + k.l2 * w[i]);
}

CPU_CLONES
static void sgd_momentum(coefficients k, int nesterov, int64_t first, int64_t end, const real *restrict g,
                         real *restrict w, real *restrict m) {
    for (int64_t i = first; i < end; i++) {
        const real down = k.lr * (k.scale * g[i] + k.l2 * w[i]);
        m[i] = k.momentum * m[i] - down;
        w[i] += nesterov ? k.momentum * m[i] - down : m[i];
    }
}

CPU_CLONES
static void rmsprop(coefficients k, int64_t first, int64_t end, const real *restrict g, real *restrict w,
                    real *restrict v) {
    for (int64_t i = first; i < end; i++) {
        const real gradient = k.scale * g[i] + k.l2 * w[i];
        v[i] = k.decay * v[i] + k.decay_fresh * gradient * gradient;
        w[i] -= k.lr * gradient / SQRT(v[i] + k.epsilon);
    }
}

CPU_CLONES
static void rmsprop_momentum(coefficients k, int64_t first, int64_t end, const real *restrict g, real *restrict w,
                             real *restrict m, real *restrict v) {
    for (int64_t i = first; i < end; i++) {
        const real gradient = k.scale * g[i] + k.l2 * w[i];
        v[i] = k.decay * v[i] + k.decay_fresh * gradient * gradient;
        m[i] = k.momentum * m[i] + k.lr * gradient / SQRT(v[i] + k.epsilon);
        w[i] -= m[i];
    }
}

CPU_CLONES
static void adam(coefficients k, int64_t first, int64_t end, const real *restrict g, real *restrict w, real *restrict m,
                 real *restrict v) {
    for (int64_t i = first; i < end; i++) {
        const real gradient = k.scale * g[i] + k.l2 * w[i];
        m[i] = k.momentum * m[i] + k.fresh * gradient;
        v[i] = k.decay * v[i] + k.decay_fresh * gradient * gradient;
        w[i] -= k.shrink * w[i] + k.lr * m[i] / (SQRT(v[i]) + k.epsilon);
    }
}

/* The weights first..end-1. */
static void update(const crs_optimizer *a, coefficients k, int64_t first, int64_t end) {
    const real *g = a->g;
    real *w = a->w, *m = a->m, *v = a->v;
    switch (a->kind) {
    case CRS_SGD:
        if (m)
            sgd_momentum(k, a->nesterov, first, end, g, w, m);
        else
            sgd(k, first, end, g, w);
        break;
    case CRS_RMSPROP:
        if (a->momentum > 0)
            rmsprop_momentum(k, first, end, g, w, m, v);
        else
            rmsprop(k, first, end, g, w, v);
        break;
    case CRS_ADAM:
    case CRS_ADAMW:
        adam(k, first, end, g, w, m, v);
        break;
    }
}

crs_status CPU_NAME(optimizer)(crs_device *device, const crs_optimizer *a) {
    const int64_t chunks = (a->n + CHUNK - 1) / CHUNK;
    if (a->state->bad_step != 0)
        return CRS_OK;
    const coefficients k = coefficients_of(a);
#pragma omp parallel for schedule(static) num_threads(device->threads) if (chunks > 1)
    for (int64_t c = 0; c < chunks; c++) {
        const int64_t first = c * CHUNK;
        const unsigned before = cpu_subnormals_flush();
        update(a, k, first, a->n - first < CHUNK ? a->n : first + CHUNK);
        cpu_subnormals_restore(before);
    }
    return CRS_OK;
}
