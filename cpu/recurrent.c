/* The march over time of a recurrent layer. One product makes the inputs of all gates at all steps; then threads take
 * tiles of rows of the batch through time, each tile on its own; one product each makes dW, dR and dx afterwards
 * (march_products.c). Tiles have a fixed size, so that results do not depend on the number of threads. */
#include "recurrent.h"

#include "blocked_march.h"
#include "gemm.h"
#include "march.h"
#include "subnormal.h"

/* The double build has the readable loops alone. */
static int is_blocked(const crs_device *device, const recurrent_cell *cell) {
    return !CRS_CPU_DOUBLE && device->kernels && cell->blocked != BLOCKED_NONE;
}

size_t cpu_recurrent_reserve(const crs_recurrent *a, const recurrent_cell *cell) {
    march m;
    return march_lay_out(&m, a, cell, NULL);
}

/* What the cell sees of a row at step k in running order. */
static recurrent_row row_at(const march *m, int64_t k, int64_t row) {
    const int64_t t = step_at(m, k);
    const real *h_before = k > 0 ? h_at(m, step_at(m, k - 1), row) : m->zeros;
    real *dh = gradient_at(m, m->dh, row);
    return (recurrent_row){.a = m->a,
                           .z = gates_at(m, t, row),
                           .product = m->products ? product_at(m, t, row) : NULL,
                           .inner = inner_at(m, t, row),
                           .c_before = cell_at(m, k, row),
                           .c = cell_at(m, k + 1, row),
                           .h_before = h_before,
                           .h_masked = m->h_masked ? h_masked_at(m, t, row) : h_before,
                           .h = h_at(m, t, row),
                           .dh = dh,
                           .dc = gradient_at(m, m->dc, row),
                           .d_inner = gradient_at(m, m->d_inner, row),
                           .dh_masked = m->dh_masked ? gradient_at(m, m->dh_masked, row) : dh};
}

/* ---- forward ---- */

static void transpose_R(const march *m, int threads) {
    const int64_t H = m->a->H, width = m->width;
    const real *R = m->a->R;
#pragma omp parallel for schedule(static) num_threads(threads) if (width * H >= 65536)
    for (int64_t j = 0; j < H; j++)
        for (int64_t i = 0; i < width; i++)
            m->R_transposed[j * width + i] = R[i * H + j];
}

/* h_{t-1} R^T for the rows of a tile at step k > 0, without the gates of the inner state. */
static void tile_product(const march *m, int64_t k, int64_t row, int64_t rows) {
    const crs_recurrent *a = m->a;
    const int64_t t = step_at(m, k), H = a->H;
    const real *h = h_at(m, step_at(m, k - 1), row);
    int64_t ldh = a->ldy;
    if (m->h_masked) {
        real *masked = h_masked_at(m, t, row);
        for (int64_t b = 0; b < rows; b++)
            march_multiply(H, h + b * ldh, m->recurrent_mask + (row + b) * H, masked + b * H);
        h = masked;
        ldh = H;
    }
    const cpu_product product = {.M = rows,
                                 .N = m->outer,
                                 .K = H,
                                 .A = h,
                                 .lda = ldh,
                                 .B = m->R_transposed,
                                 .ldb = m->width,
                                 .beta = m->products ? 0 : 1,
                                 .C = product_at(m, t, row),
                                 .ldc = m->width};
    cpu_gemm_tile(&product);
}

/* What tile_product would have made of states that are all zero, and what tile_inner makes of dead rows. */
static void tile_without_product(const march *m, int64_t t, int64_t row, int64_t rows) {
    if (m->h_masked)
        march_carry(rows * m->a->H, NULL, h_masked_at(m, t, row));
    if (m->products)
        march_carry(rows * m->width, NULL, product_at(m, t, row));
    if (m->inner)
        march_carry(rows * m->a->H, NULL, inner_at(m, t, row));
}

/* The inner states of a tile's rows at step k, which are zero where the row is dead, and their share of the gates. */
static void tile_inner(const march *m, int64_t k, int64_t row, int64_t rows) {
    const crs_recurrent *a = m->a;
    const int64_t t = step_at(m, k), H = a->H;
    for (int64_t b = row; b < row + rows; b++) {
        const recurrent_row seen = row_at(m, k, b);
        if (is_live(row_live(&a->steps, b), t))
            m->cell->forward_inner(&seen);
        else
            march_carry(H, NULL, seen.inner);
    }
    const cpu_product product = {.M = rows,
                                 .N = m->width - m->outer,
                                 .K = H,
                                 .A = inner_at(m, t, row),
                                 .lda = H,
                                 .B = m->R_transposed + m->outer,
                                 .ldb = m->width,
                                 .beta = 1,
                                 .C = gates_at(m, t, row) + m->outer,
                                 .ldc = m->width};
    cpu_gemm_tile(&product);
}

/* One step of a row: through the cell where it is live, else the state is copied. */
static void row_forward(const march *m, int64_t k, int64_t row) {
    const recurrent_row seen = row_at(m, k, row);
    if (is_live(row_live(&m->a->steps, row), step_at(m, k))) {
        m->cell->forward(&seen);
        return;
    }
    march_carry(m->a->H, seen.h_before, seen.h);
    if (seen.c)
        march_carry(m->a->H, seen.c_before, seen.c);
}

static void tile_forward(const march *m, int64_t row, int64_t rows) {
    const crs_recurrent *a = m->a;
    const int64_t T = a->steps.T, H = a->H;
    const live_range live = rows_live(&a->steps, row, rows);
    if (m->cells)
        march_carry(rows * H, NULL, cell_at(m, 0, row));
    for (int64_t k = 0; k < T; k++) {
        const int64_t t = step_at(m, k);
        if (k > 0 && is_live(live, t))
            tile_product(m, k, row, rows);
        else
            tile_without_product(m, t, row, rows);
        if (m->inner && is_live(live, t))
            tile_inner(m, k, row, rows);
        for (int64_t b = row; b < row + rows; b++)
            row_forward(m, k, b);
    }
    for (int64_t b = row; a->h_last && b < row + rows; b++)
        march_carry(H, h_at(m, step_at(m, T - 1), b), (real *)a->h_last + b * a->ldy);
}

crs_status cpu_recurrent_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell) {
    if (is_blocked(device, cell))
        return cpu_blocked_forward(device, a, cell);
    march m;
    crs_status status = march_prepare(&m, a, cell);
    if (status != CRS_OK)
        return status;
    transpose_R(&m, device->threads);
    march_draw_masks(device, &m);
    status = march_inputs(device, &m);
    if (status != CRS_OK)
        return status;
#pragma omp parallel for schedule(dynamic, 1) num_threads(device->threads)
    for (int64_t tile = 0; tile < m.tiles; tile++)
        tile_forward(&m, tile * MARCH_TILE, tile_rows(&m, tile));
    return CRS_OK;
}

/* ---- backward ---- */

/* One step of a row, backwards: the gradients of its gates, which are zero where it is dead and the gradient of the
 * state goes by. */
static void row_backward(const march *m, int64_t k, int64_t row) {
    const crs_recurrent *a = m->a;
    const int64_t t = step_at(m, k), H = a->H;
    const recurrent_row seen = row_at(m, k, row);
    if (a->dy)
        march_add(H, (const real *)a->dy + (t * a->steps.B + row) * a->ldy, NULL, seen.dh);
    if (m->dh_masked)
        march_carry(H, NULL, seen.dh_masked);
    if (is_live(row_live(&a->steps, row), t)) {
        m->cell->backward(&seen);
        return;
    }
    march_carry(m->width, NULL, seen.z);
    if (seen.product)
        march_carry(m->width, NULL, seen.product);
}

/* The gradient of the inner states, and what hangs on it. */
static void tile_inner_backward(const march *m, int64_t k, int64_t row, int64_t rows) {
    const crs_recurrent *a = m->a;
    const int64_t t = step_at(m, k), H = a->H;
    const cpu_product product = {.M = rows,
                                 .N = H,
                                 .K = m->width - m->outer,
                                 .A = gates_at(m, t, row) + m->outer,
                                 .lda = m->width,
                                 .B = (const real *)a->R + m->outer * H,
                                 .ldb = H,
                                 .C = m->d_inner + row * H,
                                 .ldc = H};
    cpu_gemm_tile(&product);
    for (int64_t b = row; b < row + rows; b++) {
        const recurrent_row seen = row_at(m, k, b);
        if (is_live(row_live(&a->steps, b), t))
            m->cell->backward_inner(&seen);
    }
}

/* dh += the gradient of R h, times R, through the mask; that of rows which are dead at the step is zero. */
static void tile_product_backward(const march *m, int64_t t, int64_t row, int64_t rows) {
    const crs_recurrent *a = m->a;
    const int64_t H = a->H;
    const cpu_product product = {.M = rows,
                                 .N = H,
                                 .K = m->outer,
                                 .A = product_at(m, t, row),
                                 .lda = m->width,
                                 .B = a->R,
                                 .ldb = H,
                                 .beta = 1,
                                 .C = (m->dh_masked ? m->dh_masked : m->dh) + row * H,
                                 .ldc = H};
    cpu_gemm_tile(&product);
    if (m->dh_masked)
        march_add(rows * H, m->dh_masked + row * H, m->recurrent_mask + row * H, m->dh + row * H);
}

static void tile_backward(const march *m, int64_t tile) {
    const crs_recurrent *a = m->a;
    const int64_t H = a->H, row = tile * MARCH_TILE, rows = tile_rows(m, tile);
    const live_range live = rows_live(&a->steps, row, rows);
    real *db = m->db + tile * m->width, *db_hh = m->db_hh ? m->db_hh + tile * m->width : NULL;
    march_carry(m->width, NULL, db);
    if (db_hh)
        march_carry(m->width, NULL, db_hh);
    if (m->dc)
        march_carry(rows * H, NULL, m->dc + row * H);
    for (int64_t b = row; b < row + rows; b++)
        march_carry(H, a->dh_last ? (const real *)a->dh_last + b * a->ldy : NULL, m->dh + b * H);
    for (int64_t k = a->steps.T - 1; k >= 0; k--) {
        const int64_t t = step_at(m, k);
        for (int64_t b = row; b < row + rows; b++)
            row_backward(m, k, b);
        if (!is_live(live, t))
            continue;
        if (m->inner)
            tile_inner_backward(m, k, row, rows);
        cpu_column_sums(rows, m->width, gates_at(m, t, row), m->width, db);
        if (db_hh)
            cpu_column_sums(rows, m->width, product_at(m, t, row), m->width, db_hh);
        if (k > 0)
            tile_product_backward(m, t, row, rows);
    }
}

crs_status cpu_recurrent_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell) {
    if (is_blocked(device, cell))
        return cpu_blocked_backward(device, a, cell);
    march m;
    const crs_status status = march_prepare(&m, a, cell);
    if (status != CRS_OK)
        return status;
#pragma omp parallel for schedule(dynamic, 1) num_threads(device->threads)
    for (int64_t tile = 0; tile < m.tiles; tile++) {
        const unsigned before = cpu_subnormals_flush();
        tile_backward(&m, tile);
        cpu_subnormals_restore(before);
    }
    for (int64_t tile = 0; tile < m.tiles; tile++) {
        march_add(m.width, m.db + tile * m.width, NULL, a->db);
        if (m.db_hh)
            march_add(m.width, m.db_hh + tile * m.width, NULL, a->db_hh);
    }
    return march_gradients(device, &m);
}
