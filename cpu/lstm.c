/* LSTM, variant "simple": the cell as readable loops. The march over time is recurrent.c's; "blocked" is blocked.c.
 * Hochreiter and Schmidhuber, "Long short-term memory", 1997; forget gate: Gers, Schmidhuber and Cummins, 2000. */
#include "clones.h"
#include "elementary.h"
#include "recurrent.h"

CPU_CLONES
static void lstm_cell(int64_t H, const real *restrict b, real *restrict z, const real *restrict c_before,
                      real *restrict c, real *restrict h) {
    for (int64_t j = 0; j < H; j++) {
        const real i = cpu_sigmoid(z[j] + b[j]);
        const real f = cpu_sigmoid(z[H + j] + b[H + j]);
        const real g = cpu_tanh(z[2 * H + j] + b[2 * H + j]);
        const real o = cpu_sigmoid(z[3 * H + j] + b[3 * H + j]);
        z[j] = i;
        z[H + j] = f;
        z[2 * H + j] = g;
        z[3 * H + j] = o;
        c[j] = f * c_before[j] + i * g;
        h[j] = o * cpu_tanh(c[j]);
    }
}

/* tanh(c) is computed again: that is cheaper than to store it and read it back. */
CPU_CLONES
static void lstm_cell_backward(int64_t H, real *restrict z, const real *restrict c_before, const real *restrict c,
                               real *restrict dh, real *restrict dc) {
    for (int64_t j = 0; j < H; j++) {
        const real i = z[j], f = z[H + j], g = z[2 * H + j], o = z[3 * H + j];
        const real tanh_c = cpu_tanh(c[j]);
        const real d = dc[j] + dh[j] * o * (1 - tanh_c * tanh_c);
        z[j] = d * g * i * (1 - i);
        z[H + j] = d * c_before[j] * f * (1 - f);
        z[2 * H + j] = d * i * (1 - g * g);
        z[3 * H + j] = dh[j] * tanh_c * o * (1 - o);
        dc[j] = d * f;
        dh[j] = 0;
    }
}

static void lstm_row(const recurrent_row *row) {
    lstm_cell(row->a->H, row->a->b, row->z, row->c_before, row->c, row->h);
}

static void lstm_row_backward(const recurrent_row *row) {
    lstm_cell_backward(row->a->H, row->z, row->c_before, row->c, row->dh, row->dc);
}

static const recurrent_cell lstm = {
    .gates = 4, .has_cell_state = 1, .blocked = BLOCKED_LSTM, .forward = lstm_row, .backward = lstm_row_backward};

size_t CPU_NAME(lstm_reserve)(const crs_device *device, const crs_recurrent *a) {
    (void)device;
    return cpu_recurrent_reserve(a, &lstm);
}

crs_status CPU_NAME(lstm_forward)(crs_device *device, const crs_recurrent *a) {
    return cpu_recurrent_forward(device, a, &lstm);
}

crs_status CPU_NAME(lstm_backward)(crs_device *device, const crs_recurrent *a) {
    return cpu_recurrent_backward(device, a, &lstm);
}
