/* Convolution over time and positions, and its backward, as matrix products. For each output the inputs in its window
 * are gathered into a row of columns, zeros for what is not there, and the rows are multiplied by W. The input's
 * gradient is gathered alike: for each input the gradients of the outputs that see it. Columns stand for a chunk of the
 * rows at a time, so that the scratch does not grow with the picture. */
#include "conv.h"

#include "activation.h"
#include "gemm.h"
#include "live.h"

#include <string.h>

#define CHUNK ((int64_t)1 << 20) /* numbers in the columns of a chunk, unless a single row has more */
#define PARALLEL_FROM 16384      /* elements; below it waking threads costs more than they save */

/* Rows to be gathered: a row for every position of a [T,B,P], and in it for every tap of the window `width` neighbours
 * of the source, or zeros. */
typedef struct gather {
    const crs_conv *a;
    int64_t (*source_at)(const crs_window *w, int axis, int64_t row, int64_t tap, int64_t sources);
    int of_outputs;             /* rows are outputs and the source is x; else rows are inputs, the source is dy */
    int64_t T, P;               /* of the rows */
    int64_t source_T, source_P; /* of the source */
    int64_t width, columns;     /* of the source; taps times width */
    int64_t rows, chunk;        /* all, and at most so many at a time */
    int is_source;              /* the columns are the source itself */
    const real *source;
} gather;

static int64_t taps(const crs_conv *a) {
    return a->window.size[0] * a->window.size[1];
}

/* Rows of a chunk; depends on the sizes only. */
static int64_t chunk_of(int64_t rows, int64_t columns) {
    const int64_t most = CHUNK > columns ? CHUNK / columns : 1;
    return rows < most ? rows : most;
}

/* The window is one input, the same as the output, and all inputs are there. */
static int is_pointwise(const crs_conv *a) {
    const crs_window *w = &a->window;
    return taps(a) == 1 && w->stride[0] == 1 && w->stride[1] == 1 && w->before[0] == 0 && w->before[1] == 0 &&
           a->T_out == a->steps.T && a->P_out == a->P && !a->steps.start && !a->steps.len;
}

static gather gather_for_outputs(const crs_conv *a) {
    const int64_t rows = a->T_out * a->steps.B * a->P_out, columns = taps(a) * a->I;
    return (gather){.a = a,
                    .source_at = seen_input,
                    .of_outputs = 1,
                    .T = a->T_out,
                    .P = a->P_out,
                    .source_T = a->steps.T,
                    .source_P = a->P,
                    .width = a->I,
                    .columns = columns,
                    .rows = rows,
                    .chunk = chunk_of(rows, columns),
                    .is_source = is_pointwise(a),
                    .source = a->x};
}

static gather gather_for_inputs(const crs_conv *a) {
    const int64_t rows = a->steps.T * a->steps.B * a->P, columns = taps(a) * a->O;
    return (gather){.a = a,
                    .source_at = seeing_output,
                    .T = a->steps.T,
                    .P = a->P,
                    .source_T = a->T_out,
                    .source_P = a->P_out,
                    .width = a->O,
                    .columns = columns,
                    .rows = rows,
                    .chunk = chunk_of(rows, columns),
                    .is_source = is_pointwise(a),
                    .source = a->dy};
}

static void gather_row(const gather *g, int64_t row, real *columns) {
    const crs_window *w = &g->a->window;
    const int64_t B = g->a->steps.B, p = row % g->P, b = row / g->P % B, t = row / g->P / B;
    const size_t bytes = (size_t)g->width * sizeof(real);
    const live_range live = row_live(&g->a->steps, b);
    for (int64_t i = 0; i < w->size[0]; i++) {
        int64_t source_t = g->source_at(w, 0, t, i, g->source_T);
        if (source_t >= 0 && !is_live(live, g->of_outputs ? source_t : t))
            source_t = -1;
        for (int64_t j = 0; j < w->size[1]; j++, columns += g->width) {
            const int64_t source_p = source_t < 0 ? -1 : g->source_at(w, 1, p, j, g->source_P);
            if (source_p < 0)
                memset(columns, 0, bytes);
            else
                memcpy(columns, g->source + ((source_t * B + b) * g->source_P + source_p) * g->width, bytes);
        }
    }
}

/* The columns of `count` rows from row `first` on: in `scratch`, or the source where that has them. */
static const real *gather_columns(const crs_device *device, const gather *g, int64_t first, int64_t count,
                                  real *scratch) {
    if (g->is_source)
        return g->source + first * g->columns;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (count * g->columns >= PARALLEL_FROM)
    for (int64_t r = 0; r < count; r++)
        gather_row(g, first + r, scratch + r * g->columns);
    return scratch;
}

static int64_t rows_from(const gather *g, int64_t first) {
    return g->rows - first < g->chunk ? g->rows - first : g->chunk;
}

/* The reserve: W with its outputs behind its taps, then a chunk of columns. Both are of the order of W itself or of
 * CHUNK, so that no size here can overflow. */
size_t CPU_NAME(conv_reserve)(const crs_device *device, const crs_conv *a) {
    const gather outputs = gather_for_outputs(a), inputs = gather_for_inputs(a);
    const int64_t forward = outputs.chunk * outputs.columns, backward = inputs.chunk * inputs.columns;
    (void)device;
    return (size_t)(taps(a) * a->I * a->O + (forward > backward ? forward : backward)) * sizeof(real);
}

crs_status CPU_NAME(conv_forward)(crs_device *device, const crs_conv *a) {
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
    const int64_t O = a->O, I = a->I, rows = taps(a) * O;
    const real *W = a->W;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows * I >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        memcpy(to + r * I, W + (r % O * taps(a) + r / O) * I, (size_t)I * sizeof(real));
}

/* dx = columns W, the columns being those of dy. */
static crs_status input_backward(crs_device *device, const crs_conv *a) {
    const gather g = gather_for_inputs(a);
    real *W = a->reserve, *columns = W + taps(a) * a->I * a->O;
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
        status = weights_backward(device, a);
    if (status == CRS_OK && a->dx)
        status = input_backward(device, a);
    return status;
}
