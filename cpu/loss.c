/* Losses on logits, with their gradient, probabilities and counts. Where rows are narrow everything is computed in
 * double, also in the float build: what a float loss loses to rounding then comes from the logits alone. The softmax of
 * a wide row, of which there may be a hundred thousand classes, takes exponentials of the build's own type, which the
 * compiler vectorises; sums are of doubles there too. */
#include "clones.h"
#include "elementary.h"
#include "step_state.h"

#define PARALLEL_FROM 2048 /* logits; below it waking threads costs more than they save */
#define WIDE_FROM 64       /* classes */

/* One row on its way: what it reads, what it writes and what comes of it. */
typedef struct loss_row {
    const real *z;    /* [C] */
    real *p, *dz;     /* [C] or NULL: not wanted */
    int64_t C, label; /* label -1: none */
    double smoothing;
    double scale;      /* of the gradient */
    double loss;       /* before its class weight; 0 without a label */
    int64_t predicted; /* the most probable class */
} loss_row;

/* Classes are compared by their logits, which order them as the probabilities do but never round to 1. */
static void set_probability(loss_row *row, int64_t c, double probability) {
    if (row->p)
        row->p[c] = (real)probability;
    if (row->C == 1)
        row->predicted = probability > 0.5;
    else if (row->z[c] > row->z[row->predicted])
        row->predicted = c;
}

/* Target of class c before smoothing. */
static double target(const loss_row *row, int64_t c) {
    return row->C == 1 ? (double)row->label : (double)(c == row->label);
}

/* Target of class c, of which label smoothing has spread a part over `sides` equal shares. */
static double smoothed(const loss_row *row, int64_t c, int64_t sides) {
    return (1 - row->smoothing) * target(row, c) + row->smoothing / (double)sides;
}

/* log softmax(z)_c = (z_c - max) - log(sum): differences first, so that large logits neither overflow nor cancel. */
static void softmax_row(loss_row *row) {
    const real *z = row->z;
    const int64_t C = row->C;
    double max = (double)z[0], sum = 0;
    for (int64_t c = 1; c < C; c++)
        max = (double)z[c] > max ? (double)z[c] : max;
    for (int64_t c = 0; c < C; c++)
        sum += exp((double)z[c] - max);
    const double log_sum = log(sum), total = C == 1 ? smoothed(row, 0, C) : 1; /* total: of the targets */
    for (int64_t c = 0; c < C; c++) {
        const double shifted = (double)z[c] - max, probability = exp(shifted) / sum;
        set_probability(row, c, probability);
        if (row->label >= 0) {
            const double q = smoothed(row, c, C);
            row->loss += q > 0 ? q * (log_sum - shifted) : 0;
            if (row->dz)
                row->dz[c] = (real)(row->scale * (total * probability - q));
        }
    }
    if (isnan(sum))
        row->loss = sum; /* a logit that is not finite tells even where its target is 0 */
}

/* ---- wide rows ---- */

#define LARGEST 16 /* candidates side by side, for the vectoriser */

CPU_CLONES
static real largest(int64_t C, const real *z) {
    real best[LARGEST];
    int64_t c = 0;
    for (int l = 0; l < LARGEST; l++)
        best[l] = z[0];
    for (; c + LARGEST <= C; c += LARGEST)
        for (int l = 0; l < LARGEST; l++)
            best[l] = z[c + l] > best[l] ? z[c + l] : best[l];
    for (; c < C; c++)
        best[0] = z[c] > best[0] ? z[c] : best[0];
    for (int l = 1; l < LARGEST; l++)
        best[0] = best[l] > best[0] ? best[l] : best[0];
    return best[0];
}

/* The sum of exp(z - max), and each of them where e is not NULL. */
CPU_CLONES
static double exponentials(int64_t C, const real *restrict z, real max, real *restrict e) {
    double sum = 0;
    if (!e) {
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < C; c++)
            sum += (double)cpu_exp(z[c] - max);
        return sum;
    }
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < C; c++) {
        e[c] = cpu_exp(z[c] - max);
        sum += (double)e[c];
    }
    return sum;
}

CPU_CLONES
static double sum_of_differences(int64_t C, const real *z, double from) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < C; c++)
        sum += from - (double)z[c];
    return sum;
}

/* y = a x + b; y may be x. */
CPU_CLONES
static void scale_and_shift(int64_t C, const real *x, double a, double b, real *y) {
    for (int64_t c = 0; c < C; c++)
        y[c] = (real)(a * (double)x[c] + b);
}

/* What softmax_row says of one class at a time, for all at once. */
static void wide_softmax_row(loss_row *row) {
    const real *z = row->z;
    const int64_t C = row->C;
    const real max = largest(C, z);
    real *e = row->p ? row->p : row->dz;
    const double sum = exponentials(C, z, max, e), log_sum = log(sum), share = row->smoothing / (double)C;
    int64_t first = 0;
    while (first < C && z[first] != max)
        first++;
    row->predicted = first < C ? first : 0;
    if (row->label >= 0)
        row->loss = (1 - row->smoothing) * (log_sum - ((double)z[row->label] - (double)max));
    if (row->label >= 0 && share > 0)
        row->loss += row->smoothing * log_sum + share * sum_of_differences(C, z, (double)max);
    if (row->dz && row->label >= 0) {
        /* The difference of two numbers that may be nearly alike, made before it is rounded; e may be dz. */
        const double of_label = (double)e[row->label] / sum - share - (1 - row->smoothing);
        scale_and_shift(C, e, row->scale / sum, -row->scale * share, row->dz);
        row->dz[row->label] = (real)(row->scale * of_label);
    }
    if (row->p)
        scale_and_shift(C, row->p, 1 / sum, 0, row->p);
    if (isnan(sum))
        row->loss = sum;
}

/* -log p = softplus(-z) and -log(1-p) = softplus(z), with softplus(z) = max(z,0) + log(1 + exp(-|z|)). */
static void sigmoid_row(loss_row *row) {
    const double C = (double)row->C;
    for (int64_t c = 0; c < row->C; c++) {
        const double z = (double)row->z[c], small = exp(-fabs(z));
        const double probability = (z >= 0 ? 1 : small) / (1 + small);
        set_probability(row, c, probability);
        if (row->label >= 0) {
            const double q = smoothed(row, c, 2);
            row->loss += ((z >= 0 ? (1 - q) * z : -q * z) + log1p(small)) / C;
            if (row->dz)
                row->dz[c] = (real)(row->scale * (probability - q) / C);
        }
    }
}

static void squared_row(loss_row *row) {
    const double C = (double)row->C;
    for (int64_t c = 0; c < row->C; c++) {
        set_probability(row, c, (double)row->z[c]);
        if (row->label >= 0) {
            const double difference = (double)row->z[c] - target(row, c);
            row->loss += difference * difference / C;
            if (row->dz)
                row->dz[c] = (real)(row->scale * 2 * difference / C);
        }
    }
}

/* Writes what row b owns, its weighted loss included; 1 if the predicted class is the label. */
static int one_row(const crs_loss *a, int64_t b, double *loss) {
    const int64_t at = b * a->C, label = a->labels ? a->labels[b] : -1;
    const double weight = a->labels && a->class_weight ? (double)((const real *)a->class_weight)[label] : 1;
    loss_row row = {.z = (const real *)a->logits + at,
                    .p = a->probabilities ? (real *)a->probabilities + at : NULL,
                    .dz = a->dlogits ? (real *)a->dlogits + at : NULL,
                    .C = a->C,
                    .label = label,
                    .smoothing = a->label_smoothing,
                    .scale = weight / (double)a->B};
    switch (a->kind) {
    case CRS_SOFTMAX_CROSS_ENTROPY:
        (row.C < WIDE_FROM ? softmax_row : wide_softmax_row)(&row);
        break;
    case CRS_SIGMOID_CROSS_ENTROPY:
        sigmoid_row(&row);
        break;
    case CRS_MEAN_SQUARED_ERROR:
        squared_row(&row);
        break;
    }
    *loss = weight * row.loss;
    return row.predicted == label;
}

crs_status CPU_NAME(loss)(crs_device *device, const crs_loss *a) {
    double *losses = cpu_scratch(device, (size_t)a->B * sizeof(double));
    uint64_t correct = 0;
    double sum = 0;
    if (!losses)
        return CRS_ERR_MEMORY;
#pragma omp parallel for schedule(static) num_threads(device->threads) reduction(+ : correct) \
    if (a->B * a->C >= PARALLEL_FROM)
    for (int64_t b = 0; b < a->B; b++)
        correct += (uint64_t)one_row(a, b, &losses[b]);
    if (!a->labels)
        return CRS_OK;
    for (int64_t b = 0; b < a->B; b++) {
        sum += losses[b];
        if (a->row_loss)
            ((real *)a->row_loss)[b] = (real)losses[b];
    }
    a->state->loss_sum += sum;
    a->state->rows += (uint64_t)a->B;
    a->state->correct += correct;
    cpu_note_bad_step(a->state, sum);
    return CRS_OK;
}
