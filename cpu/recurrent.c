/* The march over time of a recurrent layer. One product makes the inputs of all gates at all steps; then threads take
 * tiles of rows of the batch through time, each tile on its own; one product each makes dW, dR and dx afterwards. Tiles
 * have a fixed size, so that results do not depend on the number of threads. */
#include "recurrent.h"

#include "clones.h"
#include "gemm.h"
#include "march.h"
#include "philox.h"

#include <string.h>

CPU_CLONES
static void multiply(int64_t n, const real *x, const real *restrict mask, real *y) {
    for (int64_t j = 0; j < n; j++)
        y[j] = x[j] * mask[j];
}

CPU_CLONES
static void add_to(int64_t n, const real *restrict x, real *restrict y) {
    for (int64_t j = 0; j < n; j++)
        y[j] += x[j];
}

/* Copies or, where there is nothing to copy, clears. */
static void carry(int64_t n, const real *from, real *to) {
    if (from)
        memcpy(to, from, (size_t)n * sizeof *to);
    else
        memset(to, 0, (size_t)n * sizeof *to);
}

size_t cpu_recurrent_reserve(const crs_recurrent *a, const recurrent_cell *cell) {
    march m;
    return march_lay_out(&m, a, cell, NULL);
}

static void transpose_R(const march *m, int threads) {
    const int64_t H = m->a->H, width = m->width;
    const real *R = m->a->R;
#pragma omp parallel for schedule(static) num_threads(threads) if (width * H >= 65536)
    for (int64_t j = 0; j < H; j++)
        for (int64_t i = 0; i < width; i++)
            m->R_transposed[j * width + i] = R[i * H + j];
}

/* Draws the masks of a tile's rows and applies the input mask at the steps where any row is live. */
static void mask_tile(const march *m, int64_t row, int64_t rows) {
    const crs_recurrent *a = m->a;
    const int64_t B = a->steps.B, I = a->I, H = a->H;
    if (m->recurrent_mask)
        cpu_mask(&a->recurrent_mask, a->state->step, row * H, rows * H, m->recurrent_mask + row * H);
    if (m->input_mask) {
        cpu_mask(&a->input_mask, a->state->step, row * I, rows * I, m->input_mask + row * I);
        for (int64_t t = m->live.first; t < m->live.end; t++) {
            const int64_t at = (t * B + row) * I;
            multiply(rows * I, (const real *)a->x + at, m->input_mask + row * I, m->x_masked + at);
        }
    }
}

/* gates += h_{t-1} R^T for the rows of a tile at step k > 0. */
static void tile_product(const march *m, int64_t k, int64_t row, int64_t rows) {
    const crs_recurrent *a = m->a;
    const int64_t t = step_at(m, k), H = a->H;
    const real *h = h_at(m, step_at(m, k - 1), row);
    int64_t ldh = a->ldy;
    if (m->h_masked) {
        real *masked = m->h_masked + (t * a->steps.B + row) * H;
        for (int64_t b = 0; b < rows; b++)
            multiply(H, h + b * ldh, m->recurrent_mask + (row + b) * H, masked + b * H);
        h = masked;
        ldh = H;
    }
    const cpu_product product = {.M = rows,
                                 .N = m->width,
                                 .K = H,
                                 .A = h,
                                 .lda = ldh,
                                 .B = m->R_transposed,
                                 .ldb = m->width,
                                 .beta = 1,
                                 .C = gates_at(m, t, row),
                                 .ldc = m->width};
    cpu_gemm_tile(&product);
}

/* One step of a row: through the cell where it is live, else the state is copied. */
static void row_forward(const march *m, int64_t k, int64_t row) {
    const crs_recurrent *a = m->a;
    const int64_t t = step_at(m, k);
    const real *c_prev = cell_at(m, k, row);
    real *c = cell_at(m, k + 1, row), *h = h_at(m, t, row);
    if (is_live(row_live(&a->steps, row), t)) {
        m->cell->forward(a, a->b, gates_at(m, t, row), c_prev, c, h);
        return;
    }
    carry(a->H, k > 0 ? h_at(m, step_at(m, k - 1), row) : NULL, h);
    if (c)
        carry(a->H, c_prev, c);
}

static void tile_forward(const march *m, int64_t row, int64_t rows) {
    const crs_recurrent *a = m->a;
    const int64_t T = a->steps.T, H = a->H;
    const live_range live = rows_live(&a->steps, row, rows);
    if (m->cells)
        carry(rows * H, NULL, cell_at(m, 0, row));
    for (int64_t k = 0; k < T; k++) {
        const int64_t t = step_at(m, k);
        if (k > 0 && is_live(live, t))
            tile_product(m, k, row, rows);
        else if (m->h_masked)
            carry(rows * H, NULL, m->h_masked + (t * a->steps.B + row) * H);
        for (int64_t b = row; b < row + rows; b++)
            row_forward(m, k, b);
    }
    for (int64_t b = row; a->h_last && b < row + rows; b++)
        carry(H, h_at(m, step_at(m, T - 1), b), (real *)a->h_last + b * a->ldy);
}

/* The inputs' share of the gates, at the steps where any row is live. */
static crs_status input_product(crs_device *device, const march *m) {
    const crs_recurrent *a = m->a;
    const int64_t B = a->steps.B, I = a->I;
    const real *x = m->x_masked ? m->x_masked : a->x;
    const cpu_product product = {.M = (m->live.end - m->live.first) * B,
                                 .N = m->width,
                                 .K = I,
                                 .A = x + m->live.first * B * I,
                                 .lda = I,
                                 .B = a->W,
                                 .ldb = I,
                                 .transpose_B = 1,
                                 .C = gates_at(m, m->live.first, 0),
                                 .ldc = m->width};
    return product.M > 0 ? cpu_gemm(device, &product) : CRS_OK;
}

crs_status cpu_recurrent_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell) {
    march m;
    crs_status status = march_prepare(&m, a, cell);
    if (status != CRS_OK)
        return status;
    transpose_R(&m, device->threads);
    if (m.input_mask || m.recurrent_mask) {
#pragma omp parallel for schedule(static) num_threads(device->threads)
        for (int64_t tile = 0; tile < m.tiles; tile++)
            mask_tile(&m, tile * MARCH_TILE, tile_rows(&m, tile));
    }
    status = input_product(device, &m);
    if (status != CRS_OK)
        return status;
#pragma omp parallel for schedule(dynamic, 1) num_threads(device->threads)
    for (int64_t tile = 0; tile < m.tiles; tile++)
        tile_forward(&m, tile * MARCH_TILE, tile_rows(&m, tile));
    return CRS_OK;
}

/* One step of a row, backwards: the gradients of its gates, which are zero where it is dead and the gradient of the
 * state goes by. */
static void row_backward(const march *m, int64_t k, int64_t row) {
    const crs_recurrent *a = m->a;
    const int64_t t = step_at(m, k), H = a->H;
    real *dh = m->dh + row * H;
    if (a->dy)
        add_to(H, (const real *)a->dy + (t * a->steps.B + row) * a->ldy, dh);
    if (is_live(row_live(&a->steps, row), t)) {
        m->cell->backward(a, gates_at(m, t, row), cell_at(m, k, row), cell_at(m, k + 1, row), h_at(m, t, row), dh,
                          m->dc ? m->dc + row * H : NULL);
    } else {
        carry(m->width, NULL, gates_at(m, t, row));
    }
}

/* dh += dgates R, through the mask; rows that are dead at the step add nothing and are not masked. */
static void tile_product_backward(const march *m, int64_t t, int64_t row, int64_t rows) {
    const crs_recurrent *a = m->a;
    const int64_t H = a->H;
    const cpu_product product = {.M = rows,
                                 .N = H,
                                 .K = m->width,
                                 .A = gates_at(m, t, row),
                                 .lda = m->width,
                                 .B = a->R,
                                 .ldb = H,
                                 .beta = 1,
                                 .C = m->dh + row * H,
                                 .ldc = H};
    cpu_gemm_tile(&product);
    for (int64_t b = row; m->recurrent_mask && b < row + rows; b++)
        if (is_live(row_live(&a->steps, b), t))
            multiply(H, m->dh + b * H, m->recurrent_mask + b * H, m->dh + b * H);
}

static void tile_backward(const march *m, int64_t tile) {
    const crs_recurrent *a = m->a;
    const int64_t H = a->H, row = tile * MARCH_TILE, rows = tile_rows(m, tile);
    const live_range live = rows_live(&a->steps, row, rows);
    real *db = m->db + tile * m->width;
    carry(m->width, NULL, db);
    if (m->dc)
        carry(rows * H, NULL, m->dc + row * H);
    for (int64_t b = row; b < row + rows; b++)
        carry(H, a->dh_last ? (const real *)a->dh_last + b * a->ldy : NULL, m->dh + b * H);
    for (int64_t k = a->steps.T - 1; k >= 0; k--) {
        const int64_t t = step_at(m, k);
        for (int64_t b = row; b < row + rows; b++)
            row_backward(m, k, b);
        if (is_live(live, t)) {
            cpu_column_sums(rows, m->width, gates_at(m, t, row), m->width, db);
            if (k > 0)
                tile_product_backward(m, t, row, rows);
        }
    }
}

/* dW += dgates^T x and dR += dgates^T h_{t-1}, over all live steps; the first step in running order has no h_{t-1}, and
 * before the first live one it is zero. */
static crs_status weight_products(crs_device *device, const march *m) {
    const crs_recurrent *a = m->a;
    const int64_t B = a->steps.B, I = a->I, H = a->H, first = m->live.first, end = m->live.end;
    const real *x = m->x_masked ? m->x_masked : a->x;
    cpu_product product = {.M = m->width,
                           .N = I,
                           .K = (end - first) * B,
                           .A = gates_at(m, first, 0),
                           .lda = m->width,
                           .transpose_A = 1,
                           .B = x + first * B * I,
                           .ldb = I,
                           .beta = 1,
                           .C = a->dW,
                           .ldc = I};
    const crs_status status = cpu_gemm(device, &product);
    if (status != CRS_OK || end - first < 2)
        return status;
    const int64_t from = a->reverse ? first : first + 1, before = a->reverse ? first + 1 : first;
    product.N = H;
    product.K = (end - first - 1) * B;
    product.A = gates_at(m, from, 0);
    product.B = m->h_masked ? m->h_masked + from * B * H : h_at(m, before, 0);
    product.ldb = m->h_masked ? H : a->ldy;
    product.C = a->dR;
    product.ldc = H;
    return cpu_gemm(device, &product);
}

/* dx = dgates W through the mask; zero at the steps where all rows are dead. */
static crs_status input_product_backward(crs_device *device, const march *m) {
    const crs_recurrent *a = m->a;
    const int64_t T = a->steps.T, B = a->steps.B, I = a->I, first = m->live.first, end = m->live.end;
    real *dx = a->dx;
    const cpu_product product = {.M = (end - first) * B,
                                 .N = I,
                                 .K = m->width,
                                 .A = gates_at(m, first, 0),
                                 .lda = m->width,
                                 .B = a->W,
                                 .ldb = I,
                                 .C = dx + first * B * I,
                                 .ldc = I};
    const crs_status status = product.M > 0 ? cpu_gemm(device, &product) : CRS_OK;
    carry(first * B * I, NULL, dx);
    carry((T - end) * B * I, NULL, dx + end * B * I);
    if (m->input_mask) {
#pragma omp parallel for schedule(static) num_threads(device->threads)
        for (int64_t t = first; t < end; t++)
            multiply(B * I, dx + t * B * I, m->input_mask, dx + t * B * I);
    }
    return status;
}

crs_status cpu_recurrent_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell) {
    march m;
    crs_status status = march_prepare(&m, a, cell);
    if (status != CRS_OK)
        return status;
#pragma omp parallel for schedule(dynamic, 1) num_threads(device->threads)
    for (int64_t tile = 0; tile < m.tiles; tile++)
        tile_backward(&m, tile);
    for (int64_t tile = 0; tile < m.tiles; tile++)
        add_to(m.width, m.db + tile * m.width, a->db);
    if (m.live.first < m.live.end)
        status = weight_products(device, &m);
    if (status == CRS_OK && a->dx)
        status = input_product_backward(device, &m);
    return status;
}
