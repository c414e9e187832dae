/* Convolution over time and positions, and its backward, as matrix products. For each output the inputs in its window
 * are gathered into a row of columns, zeros for what is not there, and the rows are multiplied by W. The input's
 * gradient is gathered alike: for each input the gradients of the outputs that see it. Columns stand for a chunk of the
 * rows at a time, so that the scratch does not grow with the picture. The float build has a blocked variant, too
 * (conv_blocked.c). */
#include "conv.h"

#include "activation.h"
#include "conv_blocked.h"
#include "gemm.h"

#include <string.h>

#define CHUNK ((int64_t)1 << 20) /* numbers in the columns of a chunk, unless a single row has more */
#define PARALLEL_FROM 16384      /* elements; below it waking threads costs more than they save */

/* Columns to be gathered: those of a view's rows, at most so many rows at a time. */
typedef struct gather {
    conv_view view;
    int64_t columns; /* taps times width */
    int64_t rows, chunk;
    int is_source; /* the columns are the source itself */
} gather;

/* Rows of a chunk; depends on the sizes only. */
static int64_t chunk_of(int64_t rows, int64_t columns) {
    const int64_t most = CHUNK > columns ? CHUNK / columns : 1;
    return rows < most ? rows : most;
}

/* The window is one input, the same as the output, and all inputs are there. */
static int is_pointwise(const crs_conv *a) {
    const crs_window *w = &a->window;
    return w->size[0] * w->size[1] == 1 && w->stride[0] == 1 && w->stride[1] == 1 && w->before[0] == 0 &&
           w->before[1] == 0 && a->T_out == a->steps.T && a->P_out == a->P && !a->steps.start && !a->steps.len;
}

static gather gather_for(const conv_view *view) {
    const int64_t columns = view->taps * view->width;
    return (gather){.view = *view,
                    .columns = columns,
                    .rows = view->rows,
                    .chunk = chunk_of(view->rows, columns),
                    .is_source = is_pointwise(view->a)};
}

static gather gather_for_outputs(const crs_conv *a) {
    const conv_view view = conv_outputs(a);
    return gather_for(&view);
}

static gather gather_for_inputs(const crs_conv *a) {
    const conv_view view = conv_inputs(a);
    return gather_for(&view);
}

static void gather_row(const gather *g, int64_t row, real *columns) {
    const conv_view *v = &g->view;
    const crs_window *w = &v->a->window;
    const int64_t B = v->a->steps.B, p = row % v->P, b = row / v->P % B, t = row / v->P / B;
    const size_t bytes = (size_t)v->width * sizeof(real);
    for (int64_t i = 0; i < w->size[0]; i++) {
        const int64_t source_t = conv_step(v, t, i);
        for (int64_t j = 0; j < w->size[1]; j++, columns += v->width) {
            const real *seen = conv_source(v, t, b, source_t, conv_position(v, p, j));
            if (seen)
                memcpy(columns, seen, bytes);
            else
                memset(columns, 0, bytes);
        }
    }
}

/* The columns of `count` rows from row `first` on: in `scratch`, or the source where that has them. */
static const real *gather_columns(const crs_device *device, const gather *g, int64_t first, int64_t count,
                                  real *scratch) {
    if (g->is_source)
        return g->view.source + first * g->columns;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (count * g->columns >= PARALLEL_FROM)
    for (int64_t r = 0; r < count; r++)
        gather_row(g, first + r, scratch + r * g->columns);
    return scratch;
}

static int64_t rows_from(const gather *g, int64_t first) {
    return g->rows - first < g->chunk ? g->rows - first : g->chunk;
}

static int is_blocked(const crs_device *device) {
    return !CRS_CPU_DOUBLE && device->kernels;
}

/* The blocked variant leaves the gradients of large weights to the BLAS. */
static int has_blocked_weights(const crs_device *device, const crs_conv *a) {
    return is_blocked(device) && cpu_conv_blocked_weighs(device, a);
}

/* The reserve: W with its outputs behind its taps, then a chunk of columns; of that the blocked variant needs the
 * columns alone, or nothing. Both are of the order of W itself or of CHUNK, so that no size here can overflow. */
size_t CPU_NAME(conv_reserve)(const crs_device *device, const crs_conv *a) {
    const gather outputs = gather_for_outputs(a), inputs = gather_for_inputs(a);
    const int64_t forward = outputs.chunk * outputs.columns, backward = inputs.chunk * inputs.columns;
    if (has_blocked_weights(device, a))
        return 0;
    if (is_blocked(device))
        return (size_t)forward * sizeof(real);
    return (size_t)(outputs.columns * a->O + (forward > backward ? forward : backward)) * sizeof(real);
}

static crs_status simple_forward(crs_device *device, const crs_conv *a) {
    const gather g = gather_for_outputs(a);
    real *y = a->y;
    for (int64_t first = 0; first < g.rows; first += g.chunk) {
        const int64_t count = rows_from(&g, first);
        const cpu_product product = {.M = count,
                                     .N = a->O,
                                     .K = g.columns,
                                     .A = gather_columns(device, &g, first, count, a->reserve),
                                     .lda = g.columns,
                                     .B = a->W,
                                     .ldb = g.columns,
                                     .transpose_B = 1,
                                     .C = y + first * a->O,
                                     .ldc = a->O};
        const crs_status status = cpu_gemm(device, &product);
        if (status != CRS_OK)
            return status;
        cpu_activate_rows(device, a->activation, count, a->O, a->b, y + first * a->O);
    }
    return CRS_OK;
}

crs_status CPU_NAME(conv_forward)(crs_device *device, const crs_conv *a) {
    return is_blocked(device) ? cpu_conv_blocked_forward(device, a) : simple_forward(device, a);
}

/* dW += dy^T columns. */
static crs_status weights_backward(crs_device *device, const crs_conv *a) {
    const gather g = gather_for_outputs(a);
    crs_status status = CRS_OK;
    for (int64_t first = 0; status == CRS_OK && first < g.rows; first += g.chunk) {
        const int64_t count = rows_from(&g, first);
        const cpu_product product = {.M = a->O,
                                     .N = g.columns,
                                     .K = count,
                                     .A = (const real *)a->dy + first * a->O,
                                     .lda = a->O,
                                     .transpose_A = 1,
                                     .B = gather_columns(device, &g, first, count, a->reserve),
                                     .ldb = g.columns,
                                     .beta = 1,
                                     .C = a->dW,
                                     .ldc = g.columns};
        status = cpu_gemm(device, &product);
    }
    return status;
}

/* to[tap,o,:] = W[o,tap,:] */
static void turn_weights(const crs_device *device, const crs_conv *a, real *to) {
    const int64_t O = a->O, I = a->I, taps = a->window.size[0] * a->window.size[1], rows = taps * O;
    const real *W = a->W;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows * I >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        memcpy(to + r * I, W + (r % O * taps + r / O) * I, (size_t)I * sizeof(real));
}

/* dx = columns W, the columns being those of dy. */
static crs_status input_backward(crs_device *device, const crs_conv *a) {
    const gather g = gather_for_inputs(a);
    real *W = a->reserve, *columns = W + g.columns * a->I;
    crs_status status = CRS_OK;
    turn_weights(device, a, W);
    for (int64_t first = 0; status == CRS_OK && first < g.rows; first += g.chunk) {
        const int64_t count = rows_from(&g, first);
        const cpu_product product = {.M = count,
                                     .N = a->I,
                                     .K = g.columns,
                                     .A = gather_columns(device, &g, first, count, columns),
                                     .lda = g.columns,
                                     .B = W,
                                     .ldb = a->I,
                                     .C = (real *)a->dx + first * a->I,
                                     .ldc = a->I};
        status = cpu_gemm(device, &product);
    }
    return status;
}

crs_status CPU_NAME(conv_backward)(crs_device *device, const crs_conv *a) {
    const int64_t rows = a->T_out * a->steps.B * a->P_out;
    crs_status status = cpu_activate_backward(device, a->activation, rows, a->O, a->y, a->dy, a->db);
    if (status == CRS_OK)
        status = has_blocked_weights(device, a) ? cpu_conv_blocked_weights(device, a) : weights_backward(device, a);
    if (status == CRS_OK && a->dx)
        status = is_blocked(device) ? cpu_conv_blocked_inputs(device, a) : input_backward(device, a);
    return status;
}
