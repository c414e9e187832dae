/* Convolution over time and positions, and its backward, as matrix products. For each output the inputs in its window
 * are gathered into a row of columns, zeros for what is not there, and the rows are multiplied by W. The input's
 * gradient is gathered alike: for each input the gradients of the outputs that see it. Columns stand for a chunk of the
 * rows at a time, so that what is gathered does not grow with the picture. */
#include "conv.cuh"

#include "activation.cuh"
#include "gemm.cuh"
#include "live.cuh"
#include "matrix.cuh"

/* Numbers in the columns of a chunk, unless a single row has more: enough rows to fill the largest devices. */
static constexpr int64_t CHUNK = (int64_t)1 << 22;

static int64_t taps(const crs_conv *a) {
    return a->window.size[0] * a->window.size[1];
}

/* Rows to be gathered: a row for every position of a [T,B,P], and in it for every tap of the window `width` neighbours
 * of the source, or zeros. */
struct conv_gather {
    crs_window window;
    crs_steps steps;            /* of the inputs */
    bool of_outputs;            /* rows are outputs and the source is x; else rows are inputs, the source is dy */
    int64_t P;                  /* of the rows */
    int64_t source_T, source_P; /* of the source */
    int64_t width, columns;     /* of the source; taps times width */
    int64_t rows, chunk;        /* all, and at most so many at a time */
    bool is_source;             /* the columns are the source itself */
    const float *source;

    int64_t rows_from(int64_t first) const {
        return rows - first < chunk ? rows - first : chunk;
    }
};

/* The window is one input, the same as the output, and all inputs are there. */
static bool is_pointwise(const crs_conv *a) {
    const crs_window &w = a->window;
    return taps(a) == 1 && w.stride[0] == 1 && w.stride[1] == 1 && w.before[0] == 0 && w.before[1] == 0 &&
           a->T_out == a->steps.T && a->P_out == a->P && !a->steps.start && !a->steps.len;
}

/* What does not depend on which way round it goes. Chunks depend on the sizes only. */
static conv_gather gather_of(const crs_conv *a, int64_t rows, int64_t width) {
    conv_gather g = {};
    g.window = a->window;
    g.steps = a->steps;
    g.width = width;
    g.columns = taps(a) * width;
    g.rows = rows;
    const int64_t most = CHUNK > g.columns ? CHUNK / g.columns : 1;
    g.chunk = rows < most ? rows : most;
    g.is_source = is_pointwise(a);
    return g;
}

static conv_gather gather_for_outputs(const crs_conv *a) {
    conv_gather g = gather_of(a, a->T_out * a->steps.B * a->P_out, a->I);
    g.of_outputs = true;
    g.P = a->P_out;
    g.source_T = a->steps.T;
    g.source_P = a->P;
    g.source = (const float *)a->x;
    return g;
}

static conv_gather gather_for_inputs(const crs_conv *a) {
    conv_gather g = gather_of(a, a->steps.T * a->steps.B * a->P, a->O);
    g.P = a->P;
    g.source_T = a->T_out;
    g.source_P = a->P_out;
    g.source = (const float *)a->dy;
    return g;
}

/* Where the source has the neighbours that stand in `row` at a tap; -1: nowhere. */
static __device__ __forceinline__ int64_t source_at(const conv_gather &g, int64_t row, int64_t tap) {
    const int64_t B = g.steps.B, step = row / g.P, p = row - step * g.P, t = step / B, b = step - t * B;
    const int64_t i = tap / g.window.size[1], j = tap - i * g.window.size[1];
    const live_steps live(g.steps, b);
    int64_t from_t, from_p;
    if (g.of_outputs) {
        from_t = seen_input(g.window, 0, t, i, g.source_T);
        from_p = seen_input(g.window, 1, p, j, g.source_P);
    } else {
        from_t = seeing_output(g.window, 0, t, i, g.source_T);
        from_p = seeing_output(g.window, 1, p, j, g.source_P);
    }
    const bool is_there = from_t >= 0 && from_p >= 0 && live.contains(g.of_outputs ? from_t : t);
    return is_there ? ((from_t * B + b) * g.source_P + from_p) * g.width : -1;
}

/* The columns of `count` rows from row `first` on: a matrix of rows times taps and the width. At most 64 registers. */
static __global__ void gather_rows(conv_gather g, int64_t first, int64_t count, float *__restrict__ columns) {
    const int64_t all_taps = g.window.size[0] * g.window.size[1];
    for (int64_t r = matrix_walk::first_row(); r < count * all_taps; r += matrix_walk::row_stride()) {
        const int64_t row = r / all_taps, from = source_at(g, first + row, r - row * all_taps);
        for (int64_t c = matrix_walk::first_column(); c < g.width; c += matrix_walk::column_stride())
            columns[r * g.width + c] = from < 0 ? 0 : g.source[from + c];
    }
}

/* *columns: those of `count` rows from row `first` on, in `scratch`, or the source where that has them. */
static crs_status gather_columns(crs_device *device, const conv_gather &g, int64_t first, int64_t count, float *scratch,
                                 const float **columns) {
    *columns = g.is_source ? g.source + first * g.columns : scratch;
    return g.is_source ? CRS_OK
                       : cuda_launch_matrix(device, count * (g.columns / g.width), g.width, gather_rows, g, first,
                                            count, scratch);
}

/* The reserve: W with its outputs behind its taps, then a chunk of columns. Both are of the order of W itself or of
 * CHUNK, so that no size here can overflow. */
size_t cuda_conv_reserve(const crs_device *, const crs_conv *a) {
    const conv_gather outputs = gather_for_outputs(a), inputs = gather_for_inputs(a);
    const int64_t forward = outputs.chunk * outputs.columns, backward = inputs.chunk * inputs.columns;
    return (size_t)(taps(a) * a->I * a->O + (forward > backward ? forward : backward)) * sizeof(float);
}

crs_status cuda_conv_forward(crs_device *device, const crs_conv *a) {
    const conv_gather g = gather_for_outputs(a);
    cuda_product product = {};
    product.N = a->O;
    product.K = g.columns;
    product.lda = g.columns;
    product.B = (const float *)a->W;
    product.ldb = g.columns;
    product.transpose_B = true;
    product.ldc = a->O;
    for (int64_t first = 0; first < g.rows; first += g.chunk) {
        product.M = g.rows_from(first);
        product.C = (float *)a->y + first * a->O;
        CRS_TRY(gather_columns(device, g, first, product.M, (float *)a->reserve, &product.A));
        CRS_TRY(cuda_gemm(device, product));
        CRS_TRY(cuda_activate(device, a->activation, product.M, a->O, (const float *)a->b, product.C));
    }
    return CRS_OK;
}

/* dW += dy^T columns. */
static crs_status weights_backward(crs_device *device, const crs_conv *a) {
    const conv_gather g = gather_for_outputs(a);
    cuda_product product = {};
    product.M = a->O;
    product.N = g.columns;
    product.lda = a->O;
    product.transpose_A = true;
    product.ldb = g.columns;
    product.beta = 1;
    product.C = (float *)a->dW;
    product.ldc = g.columns;
    for (int64_t first = 0; first < g.rows; first += g.chunk) {
        product.K = g.rows_from(first);
        product.A = (const float *)a->dy + first * a->O;
        CRS_TRY(gather_columns(device, g, first, product.K, (float *)a->reserve, &product.B));
        CRS_TRY(cuda_gemm(device, product));
    }
    return CRS_OK;
}

/* to[tap,o,:] = W[o,tap,:]. At most 56 registers. */
static __global__ void turn_taps(int64_t all_taps, int64_t O, int64_t I, const float *__restrict__ W,
                                 float *__restrict__ to) {
    for (int64_t r = matrix_walk::first_row(); r < all_taps * O; r += matrix_walk::row_stride()) {
        const int64_t tap = r / O, o = r - tap * O;
        for (int64_t i = matrix_walk::first_column(); i < I; i += matrix_walk::column_stride())
            to[r * I + i] = W[(o * all_taps + tap) * I + i];
    }
}

/* dx = columns W, the columns being those of dy. */
static crs_status input_backward(crs_device *device, const crs_conv *a) {
    const conv_gather g = gather_for_inputs(a);
    float *W = (float *)a->reserve, *columns = W + taps(a) * a->I * a->O;
    CRS_TRY(cuda_launch_matrix(device, taps(a) * a->O, a->I, turn_taps, taps(a), a->O, a->I, (const float *)a->W, W));
    cuda_product product = {};
    product.N = a->I;
    product.K = g.columns;
    product.lda = g.columns;
    product.B = W;
    product.ldb = a->I;
    product.ldc = a->I;
    for (int64_t first = 0; first < g.rows; first += g.chunk) {
        product.M = g.rows_from(first);
        product.C = (float *)a->dx + first * a->I;
        CRS_TRY(gather_columns(device, g, first, product.M, columns, &product.A));
        CRS_TRY(cuda_gemm(device, product));
    }
    return CRS_OK;
}

crs_status cuda_conv_backward(crs_device *device, const crs_conv *a) {
    const int64_t rows = a->T_out * a->steps.B * a->P_out;
    CRS_TRY(
        cuda_activate_backward(device, a->activation, rows, a->O, (const float *)a->y, (float *)a->dy, (float *)a->db));
    CRS_TRY(weights_backward(device, a));
    return a->dx ? input_backward(device, a) : CRS_OK;
}
