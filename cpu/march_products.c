/* The products of a recurrent layer that are taken over all steps at once, and the masks: the inputs' share of the
 * gates before the march, dW, dR and dx after it. */
#include "clones.h"
#include "gemm.h"
#include "march.h"
#include "philox.h"

CPU_CLONES
void march_multiply(int64_t n, const real *x, const real *restrict mask, real *y) {
    for (int64_t j = 0; j < n; j++)
        y[j] = x[j] * mask[j];
}

CPU_CLONES
static void add_to(int64_t n, const real *restrict x, real *restrict y) {
    for (int64_t j = 0; j < n; j++)
        y[j] += x[j];
}

CPU_CLONES
static void add_masked(int64_t n, const real *restrict x, const real *restrict mask, real *restrict y) {
    for (int64_t j = 0; j < n; j++)
        y[j] += x[j] * mask[j];
}

void march_add(int64_t n, const real *x, const real *mask, real *y) {
    if (mask)
        add_masked(n, x, mask, y);
    else
        add_to(n, x, y);
}

/* ---- before the march ---- */

void march_draw_masks(crs_device *device, const march *m) {
    const crs_recurrent *a = m->a;
    if (!m->input_mask && !m->recurrent_mask)
        return;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int64_t tile = 0; tile < m->tiles; tile++) {
        const int64_t row = tile * MARCH_TILE, rows = tile_rows(m, tile);
        if (m->recurrent_mask)
            cpu_mask(&a->recurrent_mask, a->state->step, row * a->H, rows * a->H, m->recurrent_mask + row * a->H);
        if (m->input_mask)
            cpu_mask(&a->input_mask, a->state->step, row * a->I, rows * a->I, m->input_mask + row * a->I);
    }
}

/* n elements at each of the steps where any row is live. */
static void copy_steps(const march *m, int threads, int64_t n, const real *from, real *to) {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t t = m->live.first; t < m->live.end; t++)
        march_carry(n, from + t * n, to + t * n);
}

crs_status march_inputs(crs_device *device, const march *m) {
    const crs_recurrent *a = m->a;
    const int64_t B = a->steps.B, I = a->I;
    if (m->input_mask) {
#pragma omp parallel for schedule(static) num_threads(device->threads)
        for (int64_t t = m->live.first; t < m->live.end; t++)
            march_multiply(B * I, (const real *)a->x + t * B * I, m->input_mask, m->x_masked + t * B * I);
    }
    if (!a->W) {
        copy_steps(m, device->threads, B * m->width, a->x, m->gates);
        return CRS_OK;
    }
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

/* ---- after the march back ---- */

/* dW += dgates^T x. */
static crs_status input_weights(crs_device *device, const march *m) {
    const crs_recurrent *a = m->a;
    const int64_t B = a->steps.B, I = a->I, first = m->live.first, end = m->live.end;
    const real *x = m->x_masked ? m->x_masked : a->x;
    const cpu_product product = {.M = m->width,
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
    return cpu_gemm(device, &product);
}

/* dR += the gradient of R h, transposed, times what R was multiplied by. The first step in running order has no
 * h_{t-1}, and before the first live one it is zero. */
static crs_status recurrent_weights(crs_device *device, const march *m) {
    const crs_recurrent *a = m->a;
    const int64_t B = a->steps.B, H = a->H, first = m->live.first, end = m->live.end;
    if (end - first < 2)
        return CRS_OK;
    const int64_t from = a->reverse ? first : first + 1, before = a->reverse ? first + 1 : first;
    cpu_product product = {.M = m->outer,
                           .N = H,
                           .K = (end - first - 1) * B,
                           .A = product_at(m, from, 0),
                           .lda = m->width,
                           .transpose_A = 1,
                           .B = m->h_masked ? h_masked_at(m, from, 0) : h_at(m, before, 0),
                           .ldb = m->h_masked ? H : a->ldy,
                           .beta = 1,
                           .C = a->dR,
                           .ldc = H};
    const crs_status status = cpu_gemm(device, &product);
    if (status != CRS_OK || !m->inner)
        return status;
    product.M = m->width - m->outer;
    product.A = gates_at(m, from, 0) + m->outer;
    product.B = inner_at(m, from, 0);
    product.ldb = H;
    product.C = (real *)a->dR + m->outer * H;
    return cpu_gemm(device, &product);
}

/* dx = dgates W through the mask, or dgates itself; zero at the steps where all rows are dead. */
static crs_status inputs_gradient(crs_device *device, const march *m) {
    const crs_recurrent *a = m->a;
    const int64_t T = a->steps.T, first = m->live.first, end = m->live.end;
    const int64_t I = a->W ? a->I : m->width, n = a->steps.B * I;
    real *dx = a->dx;
    march_carry(first * n, NULL, dx);
    march_carry((T - end) * n, NULL, dx + end * n);
    if (!a->W) {
        copy_steps(m, device->threads, n, m->gates, dx);
        return CRS_OK;
    }
    const cpu_product product = {.M = (end - first) * a->steps.B,
                                 .N = I,
                                 .K = m->width,
                                 .A = gates_at(m, first, 0),
                                 .lda = m->width,
                                 .B = a->W,
                                 .ldb = I,
                                 .C = dx + first * n,
                                 .ldc = I};
    const crs_status status = product.M > 0 ? cpu_gemm(device, &product) : CRS_OK;
    if (m->input_mask) {
#pragma omp parallel for schedule(static) num_threads(device->threads)
        for (int64_t t = first; t < end; t++)
            march_multiply(n, dx + t * n, m->input_mask, dx + t * n);
    }
    return status;
}

crs_status march_gradients(crs_device *device, const march *m) {
    crs_status status = CRS_OK;
    if (m->live.first < m->live.end) {
        status = m->a->W ? input_weights(device, m) : CRS_OK;
        if (status == CRS_OK)
            status = recurrent_weights(device, m);
    }
    return status == CRS_OK && m->a->dx ? inputs_gradient(device, m) : status;
}
