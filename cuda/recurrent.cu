/* The march over time of a recurrent layer, and what surrounds it. One product makes the inputs of all gates at all
 * steps; then each step is a product h R^T and one kernel of the cell; one product each makes dW, dR and dx afterwards.
 * Which steps are live stands in device memory, so all T steps are queued, and kernels look for themselves. */
#include "recurrent.cuh"

#include "gemm.cuh"
#include "philox.cuh"

/* ---- the reserve ---- */

/* Takes d0*d1*d2 numbers from the reserve, in pieces of 256 bytes, and adds them to *size, which becomes SIZE_MAX once
 * it does not fit. */
static float *take(void *reserve, size_t *size, int64_t d0, int64_t d1, int64_t d2) {
    float *piece = reserve ? (float *)((char *)reserve + *size) : NULL;
    size_t bytes;
    if (__builtin_mul_overflow((size_t)d0, (size_t)d1, &bytes) || __builtin_mul_overflow(bytes, (size_t)d2, &bytes) ||
        __builtin_mul_overflow(bytes, sizeof(float), &bytes) || __builtin_add_overflow(bytes, (size_t)255, &bytes) ||
        __builtin_add_overflow(*size, bytes / 256 * 256, size)) {
        *size = SIZE_MAX;
    }
    return piece;
}

/* Every part grows with T and B, so that the size holds for smaller ones too. */
size_t cuda_recurrent_lay_out(const crs_recurrent *a, int64_t gates, bool has_cell_state, bool march, recurrence *r) {
    const int64_t T = a->steps.T, B = a->steps.B, H = a->H;
    const bool training = a->training != 0, masks_state = training && a->recurrent_mask.rate > 0;
    size_t size = 0;
    *r = {};
    r->a = *a;
    r->width = gates * H;
    r->gates = take(a->reserve, &size, T, B, r->width);
    if (has_cell_state)
        r->cells = take(a->reserve, &size, training ? T : 1, B, H);
    if (training && a->input_mask.rate > 0)
        r->x_masked = take(a->reserve, &size, T, B, a->I);
    if (masks_state)
        r->h_masked = take(a->reserve, &size, T, B, H);
    if (march && masks_state)
        r->recurrent_mask = take(a->reserve, &size, B, H, 1);
    if (march && training)
        r->dh = take(a->reserve, &size, B, H, 1);
    if (march && training && has_cell_state)
        r->dc = take(a->reserve, &size, B, H, 1);
    return size;
}

/* ---- masks ---- */

/* At most 32 registers. */
static __global__ void draw_mask(int64_t n, crs_mask mask, const crs_step_state *state, float *factors) {
    const mask_generator factor(mask, state);
    for (int64_t e = cuda_first(); e < n; e += cuda_stride())
        factors[e] = factor(e);
}

/* At most 40 registers. y[t,e] = x[t,e] * mask[e] for e < n, where y may be x. A thread draws its factor once, for the
 * steps blockIdx.y, blockIdx.y + gridDim.y, and so on. */
static __global__ void mask_steps(int64_t T, int64_t n, crs_mask mask, const crs_step_state *state, const float *x,
                                  float *y) {
    const mask_generator draw(mask, state);
    for (int64_t e = cuda_first(); e < n; e += cuda_stride()) {
        const float factor = draw(e);
        for (int64_t t = blockIdx.y; t < T; t += gridDim.y)
            y[t * n + e] = x[t * n + e] * factor;
    }
}

static crs_status mask_inputs(crs_device *device, const recurrence &r, const float *x, float *y) {
    const crs_recurrent &a = r.a;
    const int64_t n = a.steps.B * a.I, T = a.steps.T;
    const dim3 grid(cuda_grid(device, n), (unsigned)(T < 32 ? T : 32));
    return cuda_launch(device, mask_steps, grid, dim3(CUDA_BLOCK), 0, T, n, a.input_mask, a.state, x, y);
}

/* ---- before and after the march ---- */

static const float *inputs_of(const recurrence &r) {
    return r.x_masked ? r.x_masked : (const float *)r.a.x;
}

crs_status cuda_recurrent_inputs(crs_device *device, const recurrence &r) {
    const crs_recurrent &a = r.a;
    if (r.x_masked)
        CRS_TRY(mask_inputs(device, r, (const float *)a.x, r.x_masked));
    cuda_product product = {};
    product.M = a.steps.T * a.steps.B;
    product.N = r.width;
    product.K = a.I;
    product.A = inputs_of(r);
    product.lda = a.I;
    product.B = (const float *)a.W;
    product.ldb = a.I;
    product.transpose_B = true;
    product.C = r.gates;
    product.ldc = r.width;
    return cuda_gemm(device, product);
}

/* dW += dgates^T x and dR += dgates^T h_before. The first step in running order has no h_before; at dead steps dgates
 * is zero. */
static crs_status weight_gradients(crs_device *device, const recurrence &r) {
    const crs_recurrent &a = r.a;
    const int64_t T = a.steps.T, B = a.steps.B;
    cuda_product product = {};
    product.M = r.width;
    product.N = a.I;
    product.K = T * B;
    product.A = r.gates;
    product.lda = r.width;
    product.transpose_A = true;
    product.B = inputs_of(r);
    product.ldb = a.I;
    product.beta = 1;
    product.C = (float *)a.dW;
    product.ldc = a.I;
    CRS_TRY(cuda_gemm(device, product));
    if (T < 2)
        return CRS_OK;
    const int64_t from = a.reverse ? 0 : 1, before = a.reverse ? 1 : 0;
    product.N = a.H;
    product.K = (T - 1) * B;
    product.A = r.gates + from * B * r.width;
    product.B = r.h_masked ? r.h_masked + from * B * a.H : (const float *)a.y + before * B * a.ldy;
    product.ldb = r.h_masked ? a.H : a.ldy;
    product.C = (float *)a.dR;
    product.ldc = a.H;
    return cuda_gemm(device, product);
}

/* dx = dgates W through the mask. */
static crs_status input_gradients(crs_device *device, const recurrence &r) {
    const crs_recurrent &a = r.a;
    float *dx = (float *)a.dx;
    cuda_product product = {};
    product.M = a.steps.T * a.steps.B;
    product.N = a.I;
    product.K = r.width;
    product.A = r.gates;
    product.lda = r.width;
    product.B = (const float *)a.W;
    product.ldb = a.I;
    product.C = dx;
    product.ldc = a.I;
    CRS_TRY(cuda_gemm(device, product));
    return r.x_masked ? mask_inputs(device, r, dx, dx) : CRS_OK;
}

crs_status cuda_recurrent_gradients(crs_device *device, const recurrence &r) {
    CRS_TRY(weight_gradients(device, r));
    CRS_TRY(cuda_column_sums(device, r.a.steps.T * r.a.steps.B, r.width, r.gates, r.width, (float *)r.a.db));
    return r.a.dx ? input_gradients(device, r) : CRS_OK;
}

/* ---- the march ---- */

/* Step number k in running order. */
static int64_t step_at(const recurrence &r, int64_t k) {
    return r.a.reverse ? r.a.steps.T - 1 - k : k;
}

static float *cells_after(const recurrence &r, int64_t k) {
    const int64_t slot = r.a.training ? step_at(r, k) : 0;
    return r.cells ? r.cells + slot * r.a.steps.B * r.a.H : NULL;
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
    s.b = (const float *)a.b;
    s.c_before = k > 0 ? cells_after(r, k - 1) : NULL;
    s.c = cells_after(r, k);
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
    return cuda_recurrent_lay_out(a, cell.gates, cell.has_cell_state, true, &r);
}

/* z += h_before R^T. */
static crs_status forward_product(crs_device *device, const recurrence &r, const recurrent_step &s) {
    cuda_product product = {};
    product.M = s.steps.B;
    product.N = r.width;
    product.K = s.H;
    product.A = r.h_masked ? r.h_masked + s.t * s.steps.B * s.H : s.h_before;
    product.lda = r.h_masked ? s.H : s.ldy;
    product.B = (const float *)r.a.R;
    product.ldb = s.H;
    product.transpose_B = true;
    product.beta = 1;
    product.C = s.z;
    product.ldc = r.width;
    return cuda_gemm(device, product);
}

crs_status cuda_march_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell &cell) {
    recurrence r;
    cuda_recurrent_lay_out(a, cell.gates, cell.has_cell_state, true, &r);
    CRS_TRY(cuda_recurrent_inputs(device, r));
    const int64_t n = a->steps.B * a->H;
    if (r.recurrent_mask)
        CRS_TRY(cuda_launch_over(device, n, draw_mask, n, a->recurrent_mask, a->state, r.recurrent_mask));
    for (int64_t k = 0; k < a->steps.T; k++) {
        recurrent_step s = step_of(r, k);
        if (k > 0)
            CRS_TRY(forward_product(device, r, s));
        if (s.t_after < 0)
            s.h_last = (float *)a->h_last;
        else if (r.h_masked)
            s.h_masked = r.h_masked + s.t_after * n;
        CRS_TRY(launch_step(device, cell.forward, s));
    }
    return CRS_OK;
}

/* dh += dz R. */
static crs_status backward_product(crs_device *device, const recurrence &r, const recurrent_step &s) {
    cuda_product product = {};
    product.M = s.steps.B;
    product.N = s.H;
    product.K = r.width;
    product.A = s.z;
    product.lda = r.width;
    product.B = (const float *)r.a.R;
    product.ldb = s.H;
    product.beta = 1;
    product.C = s.dh;
    product.ldc = s.H;
    return cuda_gemm(device, product);
}

crs_status cuda_march_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell &cell) {
    recurrence r;
    cuda_recurrent_lay_out(a, cell.gates, cell.has_cell_state, true, &r);
    for (int64_t k = a->steps.T - 1; k >= 0; k--) {
        recurrent_step s = step_of(r, k);
        s.dy = a->dy ? (const float *)a->dy + s.t * a->steps.B * a->ldy : NULL;
        s.dh_last = (const float *)a->dh_last;
        s.dh = r.dh;
        s.dc = r.dc;
        CRS_TRY(launch_step(device, cell.backward, s));
        if (k > 0)
            CRS_TRY(backward_product(device, r, s));
    }
    return cuda_recurrent_gradients(device, r);
}
