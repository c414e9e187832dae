/* What surrounds the way of a recurrent layer through time, whichever it is: the reserve, masks, the product that makes
 * the inputs of all gates at all steps, and those that make dW, dR and dx afterwards. */
#include "recurrent.cuh"

#include "gemm.cuh"
#include "memory.cuh"
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
size_t cuda_recurrent_lay_out(const crs_recurrent *a, const recurrent_kind &kind, bool march, recurrence *r) {
    const int64_t T = a->steps.T, B = a->steps.B, H = a->H;
    const bool training = a->training != 0, masks_state = training && a->recurrent_mask.rate > 0;
    size_t size = 0;
    *r = {};
    r->a = *a;
    r->width = kind.gates * H;
    r->outer = (kind.gates - kind.inner_gates) * H;
    r->step_slots = training ? T : 1;
    const struct {
        float **memory;
        bool wanted;
        int64_t d0, d1, d2;
    } parts[] = {
        {&r->gates, true, T, B, r->width},
        {&r->products, kind.separates, r->step_slots, B, r->width},
        {&r->inner, kind.inner_gates > 0, r->step_slots, B, H},
        {&r->cells, kind.has_cell_state, r->step_slots, B, H},
        {&r->x_masked, training && a->input_mask.rate > 0, T, B, a->I},
        {&r->h_masked, masks_state, T, B, H},
        {&r->recurrent_mask, march && masks_state, B, H, 1},
        {&r->dh, march && training, B, H, 1},
        {&r->dc, march && training && kind.has_cell_state, B, H, 1},
        {&r->dh_masked, march && masks_state, B, H, 1},
        {&r->d_inner, march && training && kind.inner_gates > 0, B, H, 1},
    };
    for (const auto &part : parts)
        if (part.wanted)
            *part.memory = take(a->reserve, &size, part.d0, part.d1, part.d2);
    return size;
}

/* ---- masks ---- */

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

static size_t gates_size(const recurrence &r) {
    return (size_t)(r.a.steps.T * r.a.steps.B * r.width) * sizeof *r.gates;
}

crs_status cuda_recurrent_inputs(crs_device *device, const recurrence &r) {
    const crs_recurrent &a = r.a;
    if (!a.W)
        return r.x_masked ? CRS_ERR_ARGUMENT : cuda_memory_copy(device, r.gates, a.x, gates_size(r));
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

/* dW += dgates^T x; at dead steps dgates is zero. */
static crs_status input_weights(crs_device *device, const recurrence &r) {
    const crs_recurrent &a = r.a;
    cuda_product product = {};
    product.M = r.width;
    product.N = a.I;
    product.K = a.steps.T * a.steps.B;
    product.A = r.gates;
    product.lda = r.width;
    product.transpose_A = true;
    product.B = inputs_of(r);
    product.ldb = a.I;
    product.beta = 1;
    product.C = (float *)a.dW;
    product.ldc = a.I;
    return cuda_gemm(device, product);
}

/* dR += the gradient of R h, transposed, times what R was multiplied by. The first step in running order has no
 * h_before. */
static crs_status recurrent_weights(crs_device *device, const recurrence &r) {
    const crs_recurrent &a = r.a;
    const int64_t T = a.steps.T, B = a.steps.B, H = a.H;
    if (T < 2)
        return CRS_OK;
    const int64_t from = a.reverse ? 0 : 1, before = a.reverse ? 1 : 0;
    cuda_product product = {};
    product.M = r.outer;
    product.N = H;
    product.K = (T - 1) * B;
    product.A = (r.products ? r.products : r.gates) + from * B * r.width;
    product.lda = r.width;
    product.transpose_A = true;
    product.B = r.h_masked ? r.h_masked + from * B * H : (const float *)a.y + before * B * a.ldy;
    product.ldb = r.h_masked ? H : a.ldy;
    product.beta = 1;
    product.C = (float *)a.dR;
    product.ldc = H;
    CRS_TRY(cuda_gemm(device, product));
    if (!r.inner)
        return CRS_OK;
    product.M = r.width - r.outer;
    product.A = r.gates + from * B * r.width + r.outer;
    product.B = r.inner + from * B * H;
    product.ldb = H;
    product.C = (float *)a.dR + r.outer * H;
    return cuda_gemm(device, product);
}

/* dx = dgates W through the mask, or dgates itself. */
static crs_status input_gradients(crs_device *device, const recurrence &r) {
    const crs_recurrent &a = r.a;
    if (!a.W)
        return cuda_memory_copy(device, a.dx, r.gates, gates_size(r));
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
    const int64_t rows = r.a.steps.T * r.a.steps.B;
    if (r.a.W)
        CRS_TRY(input_weights(device, r));
    CRS_TRY(recurrent_weights(device, r));
    CRS_TRY(cuda_column_sums(device, rows, r.width, r.gates, r.width, (float *)r.a.db));
    if (r.products)
        CRS_TRY(cuda_column_sums(device, rows, r.width, r.products, r.width, (float *)r.a.db_hh));
    return r.a.dx ? input_gradients(device, r) : CRS_OK;
}
