/* The march over time of a recurrent layer: each step is a product h R^T and a kernel of the cell, and with an inner
 * state one more of each. Which steps are live stands in device memory, so all T steps are queued, and kernels look for
 * themselves. What surrounds the march is recurrent.cu's. */
#include "gemm.cuh"
#include "philox.cuh"
#include "recurrent.cuh"

/* At most 32 registers. */
static __global__ void draw_mask(int64_t n, crs_mask mask, const crs_step_state *state, float *factors) {
    const mask_generator factor(mask, state);
    for (int64_t e = cuda_first(); e < n; e += cuda_stride())
        factors[e] = factor(e);
}

/* Step number k in running order. */
static int64_t step_at(const recurrence &r, int64_t k) {
    return r.a.reverse ? r.a.steps.T - 1 - k : k;
}

/* Part of a step in memory that has width numbers for each row. NULL: there is none. */
static float *part_of(const recurrence &r, float *memory, int64_t k, int64_t width) {
    return memory ? memory + step_at(r, k) % r.step_slots * r.a.steps.B * width : NULL;
}

/* What forward and backward both need of the k-th step. */
static recurrent_step step_of(const recurrence &r, int64_t k) {
    const crs_recurrent &a = r.a;
    const int64_t t = step_at(r, k), B = a.steps.B;
    recurrent_step s = {};
    s.steps = a.steps;
    s.t = t;
    s.H = a.H;
    s.ldy = a.ldy;
    s.activation = a.activation;
    s.z = r.gates + t * B * r.width;
    s.product = part_of(r, r.products, k, r.width);
    s.inner = part_of(r, r.inner, k, a.H);
    s.b = (const float *)a.b;
    s.b_hh = (const float *)a.b_hh;
    s.c_before = k > 0 ? part_of(r, r.cells, k - 1, a.H) : NULL;
    s.c = part_of(r, r.cells, k, a.H);
    s.h_before = k > 0 ? (const float *)a.y + step_at(r, k - 1) * B * a.ldy : NULL;
    s.h = (float *)a.y + t * B * a.ldy;
    s.mask = r.recurrent_mask;
    s.t_after = k + 1 < a.steps.T ? step_at(r, k + 1) : -1;
    return s;
}

/* One thread for each unit of each row, as recurrent_step.cuh expects. */
static crs_status launch_step(crs_device *device, void (*kernel)(recurrent_step), const recurrent_step &s) {
    const int64_t across = (s.H + 31) / 32, down = (s.steps.B + 7) / 8;
    const dim3 grid((unsigned)across, (unsigned)(down < 65535 ? down : 65535));
    return cuda_launch(device, kernel, grid, dim3(32, 8), 0, s);
}

size_t cuda_march_reserve(const crs_recurrent *a, const recurrent_cell &cell) {
    recurrence r;
    return cuda_recurrent_lay_out(a, cell.kind, true, &r);
}

/* ---- forward ---- */

/* h_before R^T, added to z or put apart from it; without the gates of the inner state. */
static crs_status forward_product(crs_device *device, const recurrence &r, const recurrent_step &s) {
    cuda_product product = {};
    product.M = s.steps.B;
    product.N = r.outer;
    product.K = s.H;
    product.A = r.h_masked ? r.h_masked + s.t * s.steps.B * s.H : s.h_before;
    product.lda = r.h_masked ? s.H : s.ldy;
    product.B = (const float *)r.a.R;
    product.ldb = s.H;
    product.transpose_B = true;
    product.beta = s.product ? 0 : 1;
    product.C = s.product ? s.product : s.z;
    product.ldc = r.width;
    return cuda_gemm(device, product);
}

/* Makes the inner state, and its share of the gates. */
static crs_status forward_inner(crs_device *device, const recurrence &r, const recurrent_cell &cell,
                                const recurrent_step &s) {
    CRS_TRY(launch_step(device, cell.forward_inner, s));
    cuda_product product = {};
    product.M = s.steps.B;
    product.N = r.width - r.outer;
    product.K = s.H;
    product.A = s.inner;
    product.lda = s.H;
    product.B = (const float *)r.a.R + r.outer * s.H;
    product.ldb = s.H;
    product.transpose_B = true;
    product.beta = 1;
    product.C = s.z + r.outer;
    product.ldc = r.width;
    return cuda_gemm(device, product);
}

crs_status cuda_march_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell &cell) {
    recurrence r;
    cuda_recurrent_lay_out(a, cell.kind, true, &r);
    CRS_TRY(cuda_recurrent_inputs(device, r));
    const int64_t n = a->steps.B * a->H;
    if (r.recurrent_mask)
        CRS_TRY(cuda_launch_over(device, n, draw_mask, n, a->recurrent_mask, a->state, r.recurrent_mask));
    for (int64_t k = 0; k < a->steps.T; k++) {
        recurrent_step s = step_of(r, k);
        if (k > 0)
            CRS_TRY(forward_product(device, r, s));
        if (r.inner)
            CRS_TRY(forward_inner(device, r, cell, s));
        if (s.t_after < 0)
            s.h_last = (float *)a->h_last;
        else if (r.h_masked)
            s.h_masked = r.h_masked + s.t_after * n;
        CRS_TRY(launch_step(device, cell.forward, s));
    }
    return CRS_OK;
}

/* ---- backward ---- */

/* dh += the gradient of R h, times R; where there is a mask, dh_masked. */
static crs_status backward_product(crs_device *device, const recurrence &r, const recurrent_step &s) {
    cuda_product product = {};
    product.M = s.steps.B;
    product.N = s.H;
    product.K = r.outer;
    product.A = s.product ? s.product : s.z;
    product.lda = r.width;
    product.B = (const float *)r.a.R;
    product.ldb = s.H;
    product.beta = 1;
    product.C = s.dh_masked ? s.dh_masked : s.dh;
    product.ldc = s.H;
    return cuda_gemm(device, product);
}

/* Makes the gradient of the inner state, and what hangs on it. */
static crs_status backward_inner(crs_device *device, const recurrence &r, const recurrent_cell &cell,
                                 const recurrent_step &s) {
    cuda_product product = {};
    product.M = s.steps.B;
    product.N = s.H;
    product.K = r.width - r.outer;
    product.A = s.z + r.outer;
    product.lda = r.width;
    product.B = (const float *)r.a.R + r.outer * s.H;
    product.ldb = s.H;
    product.C = r.d_inner;
    product.ldc = s.H;
    CRS_TRY(cuda_gemm(device, product));
    return launch_step(device, cell.backward_inner, s);
}

crs_status cuda_march_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell &cell) {
    recurrence r;
    cuda_recurrent_lay_out(a, cell.kind, true, &r);
    for (int64_t k = a->steps.T - 1; k >= 0; k--) {
        recurrent_step s = step_of(r, k);
        s.dy = a->dy ? (const float *)a->dy + s.t * a->steps.B * a->ldy : NULL;
        s.dh_last = (const float *)a->dh_last;
        s.dh = r.dh;
        s.dc = r.dc;
        s.dh_masked = r.dh_masked;
        s.d_inner = r.d_inner;
        CRS_TRY(launch_step(device, cell.backward, s));
        if (r.inner)
            CRS_TRY(backward_inner(device, r, cell, s));
        if (k > 0)
            CRS_TRY(backward_product(device, r, s));
    }
    return cuda_recurrent_gradients(device, r);
}
