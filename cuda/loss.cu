/* Losses on logits, with their gradient, probabilities and counts. Rows are few and narrow, so everything is computed
 * in double: what a float loss loses to rounding then comes from the logits alone. */
#include "matrix.cuh"
#include "reduce.cuh"
#include "step_state.cuh"

#include <limits.h>
#include <math.h>

/* A row belongs to a group of neighbouring lanes of a warp, which deal its classes out among them. */
struct loss_row {
    const float *z; /* [C] */
    int64_t C, label;
    int lane, lanes; /* of the group */
    double smoothing;

    /* Target of class c, of which label smoothing has spread a part over `sides` equal shares. */
    __device__ __forceinline__ double target(int64_t c, int64_t sides) const {
        const double sharp = C == 1 ? (double)label : (double)(c == label);
        return (1 - smoothing) * sharp + smoothing / (double)sides;
    }
};

/* The largest logit and, of the classes that have it, the lowest. Classes are compared by their logits, which order
 * them as the probabilities do but never round to 1. A NaN is nobody's maximum: it makes the loss one. */
struct largest_logit {
    double value;
    int64_t c;

    __device__ __forceinline__ void include(double other, int64_t other_c) {
        if (other > value || (other == value && other_c < c)) {
            value = other;
            c = other_c;
        }
    }
};

static __device__ largest_logit largest_of(const loss_row &row) {
    largest_logit largest = {-INFINITY, LLONG_MAX};
    for (int64_t c = row.lane; c < row.C; c += row.lanes)
        largest.include((double)row.z[c], c);
    for (int distance = row.lanes / 2; distance > 0; distance /= 2) {
        const double value = __shfl_xor_sync(0xffffffffu, largest.value, distance);
        const long long c = __shfl_xor_sync(0xffffffffu, (long long)largest.c, distance);
        largest.include(value, c);
    }
    return largest;
}

/* What one class contributes: its probability, its share of the row's loss, and the gradient of the row's loss. */
struct class_terms {
    double probability, loss, gradient;
};

/* log softmax(z)_c = (z_c - max) - log(sum): differences first, so that large logits neither overflow nor cancel. */
struct softmax {
    double max, sum, log_sum;

    __device__ softmax(const loss_row &row, double largest) : max(largest) {
        double part = 0;
        for (int64_t c = row.lane; c < row.C; c += row.lanes)
            part += exp((double)row.z[c] - max);
        sum = cuda_lanes_sum(part, row.lanes);
        log_sum = log(sum);
    }
    /* A logit that is not finite makes the sum a NaN, and tells even where its target is 0. */
    __device__ class_terms terms(const loss_row &row, int64_t c) const {
        const double shifted = (double)row.z[c] - max, probability = exp(shifted) / sum, q = row.target(c, row.C);
        const double total = row.C == 1 ? q : 1; /* of the targets */
        return {probability, sum == sum ? (q > 0 ? q * (log_sum - shifted) : 0) : sum, total * probability - q};
    }
};

/* -log p = softplus(-z) and -log(1-p) = softplus(z), with softplus(z) = max(z,0) + log(1 + exp(-|z|)). */
struct sigmoid {
    __device__ sigmoid(const loss_row &, double) {}
    __device__ class_terms terms(const loss_row &row, int64_t c) const {
        const double z = (double)row.z[c], small = exp(-fabs(z)), q = row.target(c, 2), C = (double)row.C;
        const double probability = (z >= 0 ? 1 : small) / (1 + small);
        return {probability, ((z >= 0 ? (1 - q) * z : -q * z) + log1p(small)) / C, (probability - q) / C};
    }
};

struct squared {
    __device__ squared(const loss_row &, double) {}
    __device__ class_terms terms(const loss_row &row, int64_t c) const {
        const double z = (double)row.z[c], C = (double)row.C;
        const double difference = z - (row.C == 1 ? (double)row.label : (double)(c == row.label));
        return {z, difference * difference / C, 2 * difference / C};
    }
};

/* Everything that a row owns, and its weighted loss and whether its prediction is its label. `Kind`: one of the above.
 * Lanes past the last row go through the motions, because their warp's shuffles need them. At most 96 registers. */
template <class Kind> static __global__ void row_losses(crs_loss a, int lanes, double *losses, double *correct) {
    const int64_t groups = cuda_stride() / lanes, rounds = (a.B + groups - 1) / groups;
    for (int64_t round = 0; round < rounds; round++) {
        const int64_t group = round * groups + cuda_first() / lanes, b = group < a.B ? group : a.B - 1;
        const int64_t label = a.labels ? a.labels[b] : 0;
        const double weight = a.labels && a.class_weight ? (double)((const float *)a.class_weight)[label] : 1;
        const loss_row row = {(const float *)a.logits + b * a.C, a.C,   label,
                              (int)(threadIdx.x % lanes),        lanes, a.label_smoothing};
        const largest_logit largest = largest_of(row);
        const Kind kind(row, largest.value);
        int64_t predicted = largest.c;
        double loss = 0;
        for (int64_t c = row.lane; c < a.C; c += lanes) {
            const class_terms terms = kind.terms(row, c);
            loss += terms.loss;
            if (a.C == 1)
                predicted = terms.probability > 0.5;
            if (group < a.B && a.probabilities)
                ((float *)a.probabilities)[b * a.C + c] = (float)terms.probability;
            if (group < a.B && a.dlogits)
                ((float *)a.dlogits)[b * a.C + c] = (float)(weight / (double)a.B * terms.gradient);
        }
        loss = weight * cuda_lanes_sum(loss, lanes);
        if (group < a.B && row.lane == 0 && losses) {
            losses[b] = loss;
            correct[b] = predicted == label;
            if (a.row_loss)
                ((float *)a.row_loss)[b] = (float)loss;
        }
    }
}

/* One block. At most 64 registers. */
static __global__ void add_rows(int64_t B, const double *__restrict__ losses, const double *__restrict__ correct,
                                crs_step_state *state) {
    double loss = 0, hits = 0;
    for (int64_t b = threadIdx.x; b < B; b += CUDA_BLOCK) {
        loss += losses[b];
        hits += correct[b];
    }
    loss = cuda_block_sum(loss);
    hits = cuda_block_sum(hits);
    if (threadIdx.x == 0) {
        state->loss_sum += loss;
        state->rows += (uint64_t)B;
        state->correct += (uint64_t)hits;
        cuda_note_bad_step(state, loss);
    }
}

template <class Kind>
static crs_status launch_rows(crs_device *device, const crs_loss *a, double *losses, double *correct) {
    const unsigned lanes = cuda_lanes(a->C);
    return cuda_launch_over(device, a->B * lanes, row_losses<Kind>, *a, lanes, losses, correct);
}

static crs_status all_rows(crs_device *device, const crs_loss *a, double *losses, double *correct) {
    switch (a->kind) {
    case CRS_SOFTMAX_CROSS_ENTROPY:
        return launch_rows<softmax>(device, a, losses, correct);
    case CRS_SIGMOID_CROSS_ENTROPY:
        return launch_rows<sigmoid>(device, a, losses, correct);
    case CRS_MEAN_SQUARED_ERROR:
        return launch_rows<squared>(device, a, losses, correct);
    }
    return CRS_ERR_UNSUPPORTED;
}

crs_status cuda_loss(crs_device *device, const crs_loss *a) {
    if (!a->labels)
        return all_rows(device, a, NULL, NULL);
    void *scratch;
    CRS_TRY(cuda_scratch(device, 2 * (size_t)a->B * sizeof(double), &scratch));
    double *losses = (double *)scratch, *correct = losses + a->B;
    CRS_TRY(all_rows(device, a, losses, correct));
    return cuda_launch(device, add_rows, dim3(1), dim3(CUDA_BLOCK), 0, a->B, (const double *)losses,
                       (const double *)correct, a->state);
}
