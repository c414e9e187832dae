/* The gated recurrent unit, with the reset gate after the product R h or before it. The march over time is
 * recurrent.c's. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
 * translation", 2014, have it before; after is how it can be had in one product a step. */
#include "clones.h"
#include "elementary.h"
#include "recurrent.h"

/* ---- reset after: R h stays apart from W x, since r gates its share of n ---- */

/* u: in R h; its third part is left as what r is multiplied by. */
CPU_CLONES
static void reset_after_cell(int64_t H, const real *restrict b, const real *restrict b_hh, real *restrict x,
                             real *restrict u, const real *restrict h_before, real *restrict h) {
    for (int64_t j = 0; j < H; j++) {
        const real r = cpu_sigmoid(x[j] + b[j] + (u[j] + b_hh[j]));
        const real z = cpu_sigmoid(x[H + j] + b[H + j] + (u[H + j] + b_hh[H + j]));
        const real gated = u[2 * H + j] + b_hh[2 * H + j];
        const real n = cpu_tanh(x[2 * H + j] + b[2 * H + j] + r * gated);
        x[j] = r;
        x[H + j] = z;
        x[2 * H + j] = n;
        u[2 * H + j] = gated;
        h[j] = (1 - z) * n + z * h_before[j];
    }
}

CPU_CLONES
static void reset_after_cell_backward(int64_t H, real *restrict x, real *restrict u, const real *restrict h_before,
                                      real *restrict dh) {
    for (int64_t j = 0; j < H; j++) {
        const real r = x[j], z = x[H + j], n = x[2 * H + j];
        const real dn = dh[j] * (1 - z) * (1 - n * n);
        const real dz = dh[j] * (h_before[j] - n) * z * (1 - z);
        const real dr = dn * u[2 * H + j] * r * (1 - r);
        x[j] = u[j] = dr;
        x[H + j] = u[H + j] = dz;
        x[2 * H + j] = dn;
        u[2 * H + j] = dn * r;
        dh[j] *= z;
    }
}

static void reset_after_forward(const recurrent_row *row) {
    const crs_recurrent *a = row->a;
    reset_after_cell(a->H, a->b, a->b_hh, row->z, row->product, row->h_before, row->h);
}

static void reset_after_backward(const recurrent_row *row) {
    reset_after_cell_backward(row->a->H, row->z, row->product, row->h_before, row->dh);
}

/* ---- reset before: the inner state is r h, which R_n multiplies ---- */

CPU_CLONES
static void reset_before_inner(int64_t H, const real *restrict b, real *restrict x, const real *restrict h_masked,
                               real *restrict inner) {
    for (int64_t j = 0; j < H; j++) {
        const real r = cpu_sigmoid(x[j] + b[j]);
        x[j] = r;
        x[H + j] = cpu_sigmoid(x[H + j] + b[H + j]);
        inner[j] = r * h_masked[j];
    }
}

CPU_CLONES
static void reset_before_inner_backward(int64_t H, real *restrict x, const real *restrict h_masked,
                                        const real *restrict d_inner, real *restrict dh_masked) {
    for (int64_t j = 0; j < H; j++) {
        const real r = x[j];
        x[j] = d_inner[j] * h_masked[j] * r * (1 - r);
        dh_masked[j] += d_inner[j] * r;
    }
}

CPU_CLONES
static void reset_before_cell(int64_t H, const real *restrict b, real *restrict x, const real *restrict h_before,
                              real *restrict h) {
    for (int64_t j = 0; j < H; j++) {
        const real z = x[H + j], n = cpu_tanh(x[2 * H + j] + b[2 * H + j]);
        x[2 * H + j] = n;
        h[j] = (1 - z) * n + z * h_before[j];
    }
}

CPU_CLONES
static void reset_before_cell_backward(int64_t H, real *restrict x, const real *restrict h_before, real *restrict dh) {
    for (int64_t j = 0; j < H; j++) {
        const real z = x[H + j], n = x[2 * H + j];
        x[H + j] = dh[j] * (h_before[j] - n) * z * (1 - z);
        x[2 * H + j] = dh[j] * (1 - z) * (1 - n * n);
        dh[j] *= z;
    }
}

static void reset_before_forward_inner(const recurrent_row *row) {
    reset_before_inner(row->a->H, row->a->b, row->z, row->h_masked, row->inner);
}

static void reset_before_backward_inner(const recurrent_row *row) {
    reset_before_inner_backward(row->a->H, row->z, row->h_masked, row->d_inner, row->dh_masked);
}

static void reset_before_forward(const recurrent_row *row) {
    reset_before_cell(row->a->H, row->a->b, row->z, row->h_before, row->h);
}

static void reset_before_backward(const recurrent_row *row) {
    reset_before_cell_backward(row->a->H, row->z, row->h_before, row->dh);
}

/* ---- the slots ---- */

static const recurrent_cell gru_reset_after = {.gates = 3,
                                               .separates = 1,
                                               .blocked = BLOCKED_GRU,
                                               .forward = reset_after_forward,
                                               .backward = reset_after_backward};
static const recurrent_cell gru_reset_before = {.gates = 3,
                                                .inner_gates = 1,
                                                .forward = reset_before_forward,
                                                .backward = reset_before_backward,
                                                .forward_inner = reset_before_forward_inner,
                                                .backward_inner = reset_before_backward_inner};

static const recurrent_cell *cell_of(const crs_recurrent *a) {
    return a->reset_after ? &gru_reset_after : &gru_reset_before;
}

/* The second bias belongs to reset after. */
static int biases_are_right(const crs_recurrent *a) {
    return (a->b_hh != NULL) == (a->reset_after != 0);
}

size_t CPU_NAME(gru_reserve)(const crs_device *device, const crs_recurrent *a) {
    (void)device;
    return cpu_recurrent_reserve(a, cell_of(a));
}

crs_status CPU_NAME(gru_forward)(crs_device *device, const crs_recurrent *a) {
    return biases_are_right(a) ? cpu_recurrent_forward(device, a, cell_of(a)) : CRS_ERR_ARGUMENT;
}

crs_status CPU_NAME(gru_backward)(crs_device *device, const crs_recurrent *a) {
    return biases_are_right(a) ? cpu_recurrent_backward(device, a, cell_of(a)) : CRS_ERR_ARGUMENT;
}
