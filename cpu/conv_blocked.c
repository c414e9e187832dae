/* Blocked convolution: which rows see what, how the weights are packed for the kernels, and which thread takes which
 * rows. A tile of rows, and the partial sums of gradients that tiles are added to, follow from the sizes alone, so that
 * the bits do not depend on the number of threads. */
#include "conv_blocked.h"

#include "blocked.h"
#include "conv.h"
#include "subnormal.h"

#include <omp.h>
#include <string.h>

#define PARTIAL_LIMIT (1024 * 1024) /* bytes of one partial sum; beyond, the BLAS is as good */
#define GROUPS 16                   /* most partial sums */
#define ALIGNMENT 64
#define PARALLEL_FROM 16384 /* elements; below it waking threads costs more than they save */

/* What a thread works in. */
typedef struct conv_work {
    const float **seen;
    unsigned char *any;
    float *z; /* [CONV_TILE,CONV_VECTORS*lanes] */
    float *d; /* [CONV_TILE,padded] rows of gradients in whole vectors, where they are not so already */
} conv_work;

/* Where its parts lie, in bytes from its start; `size`: all of them, a multiple of ALIGNMENT. */
typedef struct work_layout {
    size_t seen, any, z, d, size;
} work_layout;

typedef struct conv_plan {
    const conv_kernels *kernels;
    conv_view view;
    int64_t K;               /* taps times width: rows of the packed weights */
    int64_t columns, padded; /* of the product: those that exist, and in whole vectors */
    int64_t wide;            /* columns of a whole group of them */
    int64_t tiles, groups;
    int threads;
    float *zeros;   /* [width] */
    float *start;   /* [padded] */
    float *W;       /* group of columns after group of columns, each [K,vectors*lanes] */
    float *partial; /* [groups,K*padded], likewise */
    char *works;    /* one conv_work's memory after the other, a thread each */
    work_layout work;
} conv_plan;

static int64_t divide_up(int64_t n, int64_t by) {
    return (n + by - 1) / by;
}

/* Vectors of the group of columns that begins at `column`. */
static int vectors_from(const conv_plan *p, int64_t column) {
    const int64_t left = (p->padded - column) / p->kernels->lanes;
    return left < CONV_VECTORS ? (int)left : CONV_VECTORS;
}

static conv_plan plan(const crs_device *device, const conv_view *view, int64_t columns, int groups) {
    const conv_kernels *kernels = device->kernels->conv;
    conv_plan p = {.kernels = kernels, .view = *view, .K = view->taps * view->width, .columns = columns};
    p.padded = divide_up(columns, kernels->lanes) * kernels->lanes;
    p.wide = CONV_VECTORS * kernels->lanes;
    p.threads = device->threads;
    p.tiles = divide_up(view->rows, CONV_TILE);
    p.groups = groups ? (p.tiles < GROUPS ? p.tiles : GROUPS) : 0;
    return p;
}

/* ---- memory ---- */

/* Where the next `bytes` begin, in whole cache lines. */
static size_t reserve(size_t *used, int64_t bytes) {
    const size_t at = *used;
    *used += (size_t)divide_up(bytes, ALIGNMENT) * ALIGNMENT;
    return at;
}

/* Hands them out; `base` NULL: only counts. */
static void *take(char *base, size_t *used, int64_t bytes) {
    const size_t at = reserve(used, bytes);
    return base ? base + at : NULL;
}

static size_t take_shared(conv_plan *p, char *base) {
    size_t used = 0;
    p->zeros = take(base, &used, p->view.width * (int64_t)sizeof(float));
    p->start = take(base, &used, p->padded * (int64_t)sizeof(float));
    p->W = take(base, &used, p->groups ? 0 : p->K * p->padded * (int64_t)sizeof(float));
    p->partial = take(base, &used, p->groups * p->K * p->padded * (int64_t)sizeof(float));
    return used;
}

static work_layout lay_out_work(const conv_plan *p) {
    const int64_t z = CONV_TILE * p->wide, d = CONV_TILE * p->padded;
    work_layout layout = {0};
    layout.seen = reserve(&layout.size, p->view.taps * CONV_TILE * (int64_t)sizeof(float *));
    layout.any = reserve(&layout.size, p->view.taps);
    layout.z = reserve(&layout.size, p->groups ? 0 : z * (int64_t)sizeof(float));
    layout.d = reserve(&layout.size, p->groups && p->padded != p->columns ? d * (int64_t)sizeof(float) : 0);
    return layout;
}

static crs_status take_all(conv_plan *p, crs_device *device) {
    const size_t shared = take_shared(p, NULL);
    p->work = lay_out_work(p);
    char *scratch = cpu_scratch(device, shared + (size_t)device->threads * p->work.size);
    if (!scratch)
        return CRS_ERR_MEMORY;
    take_shared(p, scratch);
    p->works = scratch + shared;
    memset(p->zeros, 0, (size_t)p->view.width * sizeof *p->zeros);
    memset(p->start, 0, (size_t)p->padded * sizeof *p->start);
    return CRS_OK;
}

static conv_work work_of(const conv_plan *p, int thread) {
    char *base = p->works + (size_t)thread * p->work.size;
    return (conv_work){.seen = (void *)(base + p->work.seen),
                       .any = (void *)(base + p->work.any),
                       .z = (void *)(base + p->work.z),
                       .d = (void *)(base + p->work.d)};
}

/* ---- what the rows of a tile see ---- */

/* Rows row..row+count-1 of the tile, which are (t,b,at) and the next ones of the batch. */
static void see_rows(const conv_plan *p, int64_t t, int64_t b, int64_t at, int64_t row, int64_t count,
                     const conv_work *work) {
    const conv_view *v = &p->view;
    const int64_t *size = v->a->window.size;
    for (int64_t i = 0; i < size[0]; i++) {
        const int64_t source_t = conv_step(v, t, i);
        for (int64_t j = 0; j < size[1]; j++) {
            const int64_t source_p = conv_position(v, at, j), tap = i * size[1] + j;
            const float **seen = work->seen + tap * CONV_TILE + row;
            for (int64_t r = 0; r < count; r++) {
                const float *source = conv_source(v, t, b + r, source_t, source_p);
                seen[r] = source ? source : p->zeros;
                work->any[tap] |= source != NULL;
            }
        }
    }
}

static conv_tile see(const conv_plan *p, int64_t first, const conv_work *work) {
    const conv_view *v = &p->view;
    const int64_t B = v->a->steps.B, left = v->rows - first, rows = left < CONV_TILE ? left : CONV_TILE;
    memset(work->any, 0, (size_t)v->taps);
    for (int64_t row = 0, count; row < rows; row += count) {
        const int64_t at = (first + row) % v->P, b = (first + row) / v->P % B, t = (first + row) / v->P / B;
        count = v->P > 1 ? 1 : rows - row < B - b ? rows - row : B - b;
        see_rows(p, t, b, at, row, count, work);
    }
    for (int64_t tap = 0; tap < v->taps; tap++)
        for (int64_t row = rows; row < CONV_TILE; row++)
            work->seen[tap * CONV_TILE + row] = p->zeros;
    return (conv_tile){rows, v->taps, v->width, work->seen, work->any};
}

/* ---- products: the forward, and the gradients of the inputs ---- */

/* to[k,l] = W[o] through tap and feature number k, o the column. */
static void pack_forward(const conv_plan *p, const float *W) {
#pragma omp parallel for schedule(static) num_threads(p->threads) if (p->K * p->columns >= PARALLEL_FROM)
    for (int64_t column = 0; column < p->padded; column++) {
        const int64_t group = column / p->wide * p->wide;
        const int64_t ld = vectors_from(p, group) * p->kernels->lanes;
        float *to = p->W + group * p->K + column - group;
        for (int64_t k = 0; k < p->K; k++)
            to[k * ld] = column < p->columns ? W[column * p->K + k] : 0;
    }
}

/* to[tap and output number k,l] = W[output,tap,i], i the column. */
static void pack_back(const conv_plan *p, const float *W) {
    const int64_t O = p->view.width, taps = p->view.taps;
#pragma omp parallel for schedule(static) num_threads(p->threads) if (p->K * p->columns >= PARALLEL_FROM)
    for (int64_t k = 0; k < p->K; k++)
        for (int64_t column = 0; column < p->padded; column += p->wide) {
            const int64_t ld = vectors_from(p, column) * p->kernels->lanes, left = p->columns - column;
            float *to = p->W + column * p->K + k * ld;
            memset(to, 0, (size_t)ld * sizeof *to);
            memcpy(to, W + (k % O * taps + k / O) * p->columns + column, (size_t)(left < ld ? left : ld) * sizeof *to);
        }
}

static void tile_product(const conv_plan *p, int64_t first, crs_activation activation, float *out,
                         const conv_work *work) {
    const conv_tile tile = see(p, first, work);
    for (int64_t column = 0; column < p->columns; column += p->wide) {
        const int vectors = vectors_from(p, column);
        const int64_t left = p->columns - column, ld = vectors * p->kernels->lanes;
        p->kernels->sums(&(conv_sums){
            .tile = tile, .vectors = vectors, .W = p->W + column * p->K, .start = p->start + column, .z = work->z});
        p->kernels->finish(&(conv_finish){.rows = tile.rows,
                                          .columns = left < ld ? left : ld,
                                          .vectors = vectors,
                                          .activation = activation,
                                          .z = work->z,
                                          .y = out + first * p->columns + column,
                                          .ldy = p->columns});
    }
}

static void product(const conv_plan *p, crs_activation activation, float *out) {
#pragma omp parallel for schedule(static) num_threads(p->threads) if (p->tiles > 1)
    for (int64_t tile = 0; tile < p->tiles; tile++) {
        const conv_work work = work_of(p, omp_get_thread_num());
        const unsigned before = cpu_subnormals_flush();
        tile_product(p, tile * CONV_TILE, activation, out, &work);
        cpu_subnormals_restore(before);
    }
}

crs_status cpu_conv_blocked_forward(crs_device *device, const crs_conv *a) {
    const conv_view view = conv_outputs(a);
    conv_plan p = plan(device, &view, a->O, 0);
    const crs_status status = take_all(&p, device);
    if (status != CRS_OK)
        return status;
    memcpy(p.start, a->b, (size_t)a->O * sizeof *p.start);
    pack_forward(&p, a->W);
    product(&p, a->activation, a->y);
    return CRS_OK;
}

crs_status cpu_conv_blocked_inputs(crs_device *device, const crs_conv *a) {
    const conv_view view = conv_inputs(a);
    conv_plan p = plan(device, &view, a->I, 0);
    const crs_status status = take_all(&p, device);
    if (status != CRS_OK)
        return status;
    pack_back(&p, a->W);
    product(&p, CRS_LINEAR, a->dx);
    return CRS_OK;
}

/* ---- the gradients of the weights ---- */

/* partial [K*padded] += those of one tile. */
static void tile_weights(const conv_plan *p, int64_t first, float *partial, const conv_work *work) {
    const conv_tile tile = see(p, first, work);
    const float *d = (const float *)p->view.a->dy + first * p->columns;
    if (p->padded != p->columns) {
        /* What stands behind a row's columns takes part in sums that nobody reads. */
        for (int64_t r = 0; r < tile.rows; r++)
            memcpy(work->d + r * p->padded, d + r * p->columns, (size_t)p->columns * sizeof *d);
        d = work->d;
    }
    for (int64_t column = 0; column < p->columns; column += p->wide)
        p->kernels->weights(&(conv_weights){.tile = tile,
                                            .vectors = vectors_from(p, column),
                                            .d = d + column,
                                            .ldd = p->padded,
                                            .dW = partial + column * p->K});
}

/* dW[o,k] += the partial sums' [k,o], added up in their order. */
static void add_partials(const conv_plan *p, int64_t k, float *dW) {
    const int64_t size = p->K * p->padded;
    for (int64_t column = 0; column < p->columns; column += p->wide) {
        const int64_t ld = vectors_from(p, column) * p->kernels->lanes, left = p->columns - column;
        float *sums = p->partial + column * p->K + k * ld;
        for (int64_t group = 1; group < p->groups; group++)
            for (int64_t l = 0; l < ld; l++)
                sums[l] += sums[group * size + l];
        for (int64_t l = 0; l < ld && l < left; l++)
            dW[(column + l) * p->K + k] += sums[l];
    }
}

int cpu_conv_blocked_weighs(const crs_device *device, const crs_conv *a) {
    const conv_view view = conv_outputs(a);
    const conv_plan p = plan(device, &view, a->O, 1);
    return p.K * p.padded <= PARTIAL_LIMIT / (int64_t)sizeof(float);
}

crs_status cpu_conv_blocked_weights(crs_device *device, const crs_conv *a) {
    const conv_view view = conv_outputs(a);
    conv_plan p = plan(device, &view, a->O, 1);
    const crs_status status = take_all(&p, device);
    if (status != CRS_OK)
        return status;
    const int64_t size = p.K * p.padded;
#pragma omp parallel num_threads(p.threads) if (p.groups > 1)
    {
        const conv_work work = work_of(&p, omp_get_thread_num());
        const unsigned before = cpu_subnormals_flush();
#pragma omp for schedule(static)
        for (int64_t group = 0; group < p.groups; group++) {
            float *partial = p.partial + group * size;
            memset(partial, 0, (size_t)size * sizeof *partial);
            for (int64_t tile = group * p.tiles / p.groups; tile < (group + 1) * p.tiles / p.groups; tile++)
                tile_weights(&p, tile * CONV_TILE, partial, &work);
        }
#pragma omp for schedule(static)
        for (int64_t k = 0; k < p.K; k++)
            add_partials(&p, k, a->dW);
        cpu_subnormals_restore(before);
    }
    return CRS_OK;
}
