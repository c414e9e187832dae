/* Losses on logits, with their gradient, probabilities and counts. Rows are few and narrow, so everything is computed
 * in double, also in the float build: what a float loss loses to rounding then comes from the logits alone. */
#include "cpu.h"
#include "step_state.h"

#define PARALLEL_FROM 2048 /* logits; below it waking threads costs more than they save */

/* Target of class c before smoothing. */
static double target(const crs_loss *a, int64_t b, int64_t c) {
    return a->C == 1 ? (double)a->labels[b] : (double)(c == a->labels[b]);
}

/* Target of class c, of which label smoothing has spread a part over `sides` equal shares. */
static double smoothed(const crs_loss *a, int64_t b, int64_t c, int64_t sides) {
    return (1 - a->label_smoothing) * target(a, b, c) + a->label_smoothing / (double)sides;
}

static double row_weight(const crs_loss *a, int64_t b) {
    return a->class_weight ? (double)((const real *)a->class_weight)[a->labels[b]] : 1;
}

/* Probability and logit order classes alike, and logits do not saturate: 0.99.. rounded to 1 is no tie. */
static int is_correct(const crs_loss *a, int64_t b, const real *z) {
    if (a->C == 1) {
        const int above_half = a->kind == CRS_SOFTMAX_CROSS_ENTROPY   ? 1
                               : a->kind == CRS_SIGMOID_CROSS_ENTROPY ? z[0] > 0
                                                                      : z[0] > (real)0.5;

        return above_half == a->labels[b];
    }

    int64_t best = 0;

    for (int64_t c = 1; c < a->C; c++) {
        best = z[c] > z[best] ? c : best;
    }
    return best == a->labels[b];
}

/* The row functions return the row's loss before its class weight (0 without labels); `scale` is the row's factor in
 * the gradient. p and dz may be NULL. */

/* log softmax(z)_c = (z_c - max) - log(sum): differences first, so that large logits neither overflow nor cancel. */
static double softmax_row(const crs_loss *a, int64_t b, double scale, const real *z, real *p, real *dz) {
    const int64_t C = a->C;
    double max = (double)z[0], sum = 0, loss = 0;

    for (int64_t c = 1; c < C; c++) {
        max = (double)z[c] > max ? (double)z[c] : max;
    }
    for (int64_t c = 0; c < C; c++) {
        sum += exp((double)z[c] - max);
    }

    const double log_sum = log(sum);
    const double total = a->labels && C == 1 ? smoothed(a, b, 0, C) : 1; /* of the targets */

    for (int64_t c = 0; a->labels && c < C; c++) {
        const double q = smoothed(a, b, c, C);

        loss += q > 0 ? q * (log_sum - ((double)z[c] - max)) : 0;
    }
    for (int64_t c = 0; c < C; c++) {
        const double probability = exp((double)z[c] - max) / sum;

        if (p) {
            p[c] = (real)probability;
        }
        if (dz) {
            dz[c] = (real)(scale * (total * probability - smoothed(a, b, c, C)));
        }
    }
    return isnan(sum) ? sum : loss; /* a logit that is not finite tells even where its target is 0 */
}

/* -log p = softplus(-z) and -log(1-p) = softplus(z), with softplus(z) = max(z,0) + log(1 + exp(-|z|)). */
static double sigmoid_row(const crs_loss *a, int64_t b, double scale, const real *z, real *p, real *dz) {
    const double C = (double)a->C;
    double loss = 0;

    for (int64_t c = 0; c < a->C; c++) {
        const double logit = (double)z[c], small = exp(-fabs(logit));
        const double probability = (logit >= 0 ? 1 : small) / (1 + small);

        if (p) {
            p[c] = (real)probability;
        }
        if (a->labels) {
            const double q = smoothed(a, b, c, 2);

            loss += (logit >= 0 ? (1 - q) * logit : -q * logit) + log1p(small);
            if (dz) {
                dz[c] = (real)(scale * (probability - q) / C);
            }
        }
    }
    return loss / C;
}

static double squared_row(const crs_loss *a, int64_t b, double scale, const real *z, real *p, real *dz) {
    const double C = (double)a->C;
    double loss = 0;

    for (int64_t c = 0; c < a->C; c++) {
        if (p) {
            p[c] = z[c];
        }
        if (a->labels) {
            const double difference = (double)z[c] - target(a, b, c);

            loss += difference * difference;
            if (dz) {
                dz[c] = (real)(scale * 2 * difference / C);
            }
        }
    }
    return loss / C;
}

/* The weighted loss of row b; writes what the row owns. */
static double loss_row(const crs_loss *a, int64_t b) {
    const real *z = (const real *)a->logits + b * a->C;
    real *p = a->probabilities ? (real *)a->probabilities + b * a->C : NULL;
    real *dz = a->labels && a->dlogits ? (real *)a->dlogits + b * a->C : NULL;
    const double weight = a->labels ? row_weight(a, b) : 0, scale = weight / (double)a->B;

    switch (a->kind) {
    case CRS_SOFTMAX_CROSS_ENTROPY:
        return weight * softmax_row(a, b, scale, z, p, dz);
    case CRS_SIGMOID_CROSS_ENTROPY:
        return weight * sigmoid_row(a, b, scale, z, p, dz);
    case CRS_MEAN_SQUARED_ERROR:
        break;
    }
    return weight * squared_row(a, b, scale, z, p, dz);
}

crs_status CPU_NAME(loss)(crs_device *device, const crs_loss *a) {
    double *losses = cpu_scratch(device, (size_t)a->B * sizeof(double));
    uint64_t correct = 0;
    double sum = 0;

    if (!losses) {
        return CRS_ERR_MEMORY;
    }
#pragma omp parallel for schedule(static) num_threads(device->threads) reduction(+ : correct) \
    if (a->B * a->C >= PARALLEL_FROM)
    for (int64_t b = 0; b < a->B; b++) {
        losses[b] = loss_row(a, b);
        if (a->labels) {
            correct += (uint64_t)is_correct(a, b, (const real *)a->logits + b * a->C);
        }
    }
    if (!a->labels) {
        return CRS_OK;
    }
    for (int64_t b = 0; b < a->B; b++) {
        sum += losses[b];
        if (a->row_loss) {
            ((real *)a->row_loss)[b] = (real)losses[b];
        }
    }
    a->state->loss_sum += sum;
    a->state->rows += (uint64_t)a->B;
    a->state->correct += correct;
    cpu_note_bad_step(a->state, sum);
    return CRS_OK;
}
