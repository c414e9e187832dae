/* The plain recurrent layer, with tanh or relu. The march over time is recurrent.c's. */
#include "clones.h"
#include "elementary.h"
#include "recurrent.h"

CPU_CLONES
static void rnn_cell(int64_t H, crs_activation activation, const real *restrict b, const real *restrict z,
                     real *restrict h) {
    if (activation == CRS_TANH) {
        for (int64_t j = 0; j < H; j++)
            h[j] = cpu_tanh(z[j] + b[j]);
    } else {
        for (int64_t j = 0; j < H; j++) {
            const real sum = z[j] + b[j];
            h[j] = sum < 0 ? 0 : sum;
        }
    }
}

/* Both derivatives can be had from h. */
CPU_CLONES
static void rnn_cell_backward(int64_t H, crs_activation activation, real *restrict z, const real *restrict h,
                              real *restrict dh) {
    if (activation == CRS_TANH) {
        for (int64_t j = 0; j < H; j++) {
            z[j] = dh[j] * (1 - h[j] * h[j]);
            dh[j] = 0;
        }
    } else {
        for (int64_t j = 0; j < H; j++) {
            z[j] = h[j] > 0 ? dh[j] : 0;
            dh[j] = 0;
        }
    }
}

static void rnn_row(const recurrent_row *row) {
    rnn_cell(row->a->H, row->a->activation, row->a->b, row->z, row->h);
}

static void rnn_row_backward(const recurrent_row *row) {
    rnn_cell_backward(row->a->H, row->a->activation, row->z, row->h, row->dh);
}

static const recurrent_cell rnn = {
    .gates = 1, .blocked = BLOCKED_RNN, .forward = rnn_row, .backward = rnn_row_backward};

static int activation_is_known(const crs_recurrent *a) {
    return a->activation == CRS_TANH || a->activation == CRS_RELU;
}

size_t CPU_NAME(rnn_reserve)(const crs_device *device, const crs_recurrent *a) {
    (void)device;
    return cpu_recurrent_reserve(a, &rnn);
}

crs_status CPU_NAME(rnn_forward)(crs_device *device, const crs_recurrent *a) {
    return activation_is_known(a) ? cpu_recurrent_forward(device, a, &rnn) : CRS_ERR_ARGUMENT;
}

crs_status CPU_NAME(rnn_backward)(crs_device *device, const crs_recurrent *a) {
    return activation_is_known(a) ? cpu_recurrent_backward(device, a, &rnn) : CRS_ERR_ARGUMENT;
}
