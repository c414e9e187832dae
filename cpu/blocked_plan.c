/* Packing for the blocked recurrent layers: which unit stands in which lane, the weights in that order, and where the
 * sums of their gradients go. */
#include "blocked_plan.h"

/* Bytes of the weights' gradients up to which a tile sums them up while its activations are at hand; beyond, they would
 * drive those from the second-level cache, and the BLAS is as good. */
#define FUSED_LIMIT (1024 * 1024)
#define STREAMED (1 << 20)  /* bytes of gates from which on they would not be found in the cache on the way back */
#define GROUPS 32           /* most partial sums of the gradients */
#define PARALLEL_FROM 65536 /* numbers; below it waking threads costs more than they save */
#define ADDED 4096          /* numbers of the partial sums that a thread adds up at a time */

static int64_t divide_up(int64_t n, int64_t by) {
    return (n + by - 1) / by;
}

static int64_t lanes_of(const blocked_plan *p) {
    return p->kernels->lanes;
}

/* ---- which unit stands where ---- */

static void lay_out_units(blocked_plan *p) {
    const int64_t vectors = divide_up(p->a->H, lanes_of(p));
    if (p->m.cell->blocked == BLOCKED_RNN) {
        p->panels = divide_up(vectors, BLOCKED_SLOTS);
        p->slots = (int)divide_up(vectors, p->panels);
        p->ldd = p->panels * p->slots * lanes_of(p);
    } else {
        p->panels = vectors;
        p->slots = BLOCKED_SLOTS;
        p->ldd = p->panels * lanes_of(p);
    }
    p->of_x = (blocked_range){0, p->m.cell->blocked == BLOCKED_GRU ? 3 : p->slots};
    p->of_h = (blocked_range){p->m.cell->blocked == BLOCKED_GRU ? 1 : 0, p->of_x.count};
}

void cpu_blocked_place(const blocked_plan *p, int64_t panel, blocked_cells *cells) {
    static const int gru_gates[BLOCKED_SLOTS] = {2, 0, 1, 2}; /* of n_x, r, z, n_h in PyTorch's order r z n */
    const int64_t H = p->a->H, lanes = lanes_of(p);
    const int64_t units = p->m.cell->blocked == BLOCKED_RNN ? p->slots * lanes : lanes;
    cells->slots = p->slots;
    cells->of_x = p->of_x;
    cells->H = H;
    cells->unit = panel * units;
    for (int s = 0; s < p->slots; s++) {
        const int64_t unit = cells->unit + (p->m.cell->blocked == BLOCKED_RNN ? s * lanes : 0);
        const int64_t gate = p->m.cell->blocked == BLOCKED_RNN   ? 0
                             : p->m.cell->blocked == BLOCKED_GRU ? gru_gates[s]
                                                                 : s;
        const int64_t left = H - unit;
        cells->count[s] = left < 0 ? 0 : left < lanes ? left : lanes;
        cells->place[s] = gate * H + unit;
    }
}

/* ---- memory ---- */

/* Hands out n numbers of the scratch, in whole cache lines; `base` NULL: only counts. */
static float *take(float *base, int64_t *used, int64_t n) {
    float *taken = base ? base + *used : NULL;
    *used += divide_up(n, 16) * 16;
    return taken;
}

static int64_t take_partial(const blocked_plan *p, float *base, blocked_partial *partial) {
    const int64_t lanes = lanes_of(p);
    int64_t used = 0;
    partial->dW = take(base, &used, p->fused ? p->panels * (p->I + BLOCKED_SPARE) * p->of_x.count * lanes : 0);
    partial->dR = take(base, &used, p->fused ? p->panels * (p->a->H + BLOCKED_SPARE) * p->of_h.count * lanes : 0);
    partial->db = take(base, &used, p->panels * p->slots * lanes);
    return used;
}

static int64_t take_work(const blocked_plan *p, float *base, blocked_work *work) {
    const int64_t lanes = lanes_of(p), tile = p->kernels->tile,
                  rows = (p->backward ? p->rows_held : tile) + BLOCKED_SPARE;
    const int64_t x_columns = divide_up(p->I, lanes) * lanes, columns = x_columns > p->ldd ? x_columns : p->ldd;
    int64_t used = 0;
    work->x = take(base, &used, rows * p->I + BLOCKED_SPARE);
    work->h = take(base, &used, rows * p->a->H + BLOCKED_SPARE);
    work->z = take(base, &used, (tile + BLOCKED_SPARE) * p->slots * lanes);
    work->d = take(base, &used, p->backward ? p->panels * p->d_rows * p->slots * lanes : 0);
    work->out = take(base, &used, p->backward ? (tile + BLOCKED_SPARE) * columns : 0);
    work->dh = take(base, &used, p->backward ? tile * p->ldd : 0);
    work->dc = take(base, &used, p->backward ? tile * p->ldd : 0);
    return used;
}

static int64_t take_weights(blocked_plan *p, float *base) {
    const int64_t lanes = lanes_of(p), H = p->a->H;
    const int64_t for_x = p->panels * p->of_x.count * lanes, for_h = p->panels * p->of_h.count * lanes;
    int64_t used = 0;
    p->W = take(base, &used, p->backward ? 0 : p->I * for_x);
    p->R = take(base, &used, p->backward ? 0 : H * for_h);
    p->start = take(base, &used, p->backward ? 0 : p->panels * p->slots * lanes);
    p->W_back = take(base, &used, p->backward ? divide_up(p->I, lanes) * lanes * for_x : 0);
    p->R_back = take(base, &used, p->backward ? divide_up(H, lanes) * lanes * for_h : 0);
    return used;
}

blocked_partial cpu_blocked_partial_of(const blocked_plan *p, int64_t group) {
    blocked_partial partial;
    take_partial(p, p->partial.dW + group * p->partial_size, &partial);
    march_carry(p->partial_size, NULL, partial.dW);
    return partial;
}

blocked_work cpu_blocked_work_of(const blocked_plan *p, int thread) {
    blocked_work work;
    take_work(p, p->work.x + thread * p->work_size, &work);
    march_carry(p->work_size, NULL, work.x);
    return work;
}

/* ---- weights ---- */

/* Threads to move rows of so many numbers. */
static int threads_for(const blocked_plan *p, int64_t rows, int64_t columns) {
    return rows * columns < PARALLEL_FROM ? 1 : p->threads;
}

/* W [G*H,columns], one column behind the other, for the sums: a panel's slots side by side. */
static void pack_sums(const blocked_plan *p, blocked_range of, const float *W, int64_t columns, float *packed) {
    const int64_t lanes = lanes_of(p), size = columns * of.count * lanes;
#pragma omp parallel for schedule(static) num_threads(threads_for(p, p->panels, size))
    for (int64_t panel = 0; panel < p->panels; panel++) {
        blocked_cells cells;
        cpu_blocked_place(p, panel, &cells);
        march_carry(size, NULL, packed + panel * size);
        for (int s = 0; s < of.count; s++) {
            const float *rows = W + cells.place[of.first + s] * columns;
            float *to = packed + panel * size + s * lanes;
            for (int64_t k = 0; k < columns; k++)
                for (int64_t l = 0; l < cells.count[of.first + s]; l++)
                    to[k * of.count * lanes + l] = rows[l * columns + k];
        }
    }
}

/* The same for the gradients of what W multiplies: rows in the order of the sums, columns BLOCKED_SLOTS vectors wide.
 */
static void pack_back(const blocked_plan *p, blocked_range of, const float *W, int64_t columns, float *packed) {
    const int64_t lanes = lanes_of(p), rows = p->panels * of.count * lanes;
#pragma omp parallel for schedule(static) num_threads(threads_for(p, columns, rows))
    for (int64_t first = 0; first < columns; first += BLOCKED_SLOTS * lanes) {
        const int64_t left = divide_up(columns - first, lanes);
        const int64_t width = (left < BLOCKED_SLOTS ? left : BLOCKED_SLOTS) * lanes;
        const int64_t n = columns - first < width ? columns - first : width;
        march_carry(rows * width, NULL, packed + first * rows);
        for (int64_t panel = 0; panel < p->panels; panel++) {
            blocked_cells cells;
            cpu_blocked_place(p, panel, &cells);
            for (int s = 0; s < of.count; s++)
                for (int64_t l = 0; l < cells.count[of.first + s]; l++)
                    march_carry(n, W + (cells.place[of.first + s] + l) * columns + first,
                                packed + first * rows + ((panel * of.count + s) * lanes + l) * width);
        }
    }
}

/* A GRU's second bias is that of the slots of h, whose r and z it shares with the first. */
static void pack_biases(const blocked_plan *p) {
    const float *b = p->a->b, *b_hh = p->a->b_hh;
    blocked_cells cells;
    march_carry(p->panels * p->slots * lanes_of(p), NULL, p->start);
    for (int64_t panel = 0; panel < p->panels; panel++) {
        cpu_blocked_place(p, panel, &cells);
        for (int s = 0; s < p->slots; s++)
            for (int64_t l = 0; l < cells.count[s]; l++) {
                float *start = p->start + (panel * p->slots + s) * lanes_of(p) + l;
                *start = s < p->of_x.count ? b[cells.place[s] + l] : 0;
                if (b_hh && s >= p->of_h.first)
                    *start += b_hh[cells.place[s] + l];
            }
    }
}

crs_status cpu_blocked_prepare(blocked_plan *p, const blocked_kernels *kernels, const crs_recurrent *a,
                               const recurrent_cell *cell, int backward, int threads) {
    *p = (blocked_plan){.a = a, .kernels = kernels, .backward = backward};
    const crs_status status = march_prepare(&p->m, a, cell);
    if (status != CRS_OK)
        return status;
    lay_out_units(p);
    const int64_t I = a->W ? a->I : 0, wide = p->panels * p->slots * kernels->lanes;
    p->fused = (I + a->H) * wide <= FUSED_LIMIT / (int64_t)sizeof(float);
    p->streams = kernels->settle && a->H % kernels->lanes == 0 && (uintptr_t)p->m.gates % 64 == 0 &&
                 a->steps.T * a->steps.B * p->m.width > STREAMED / (int64_t)sizeof(float);
    p->I = p->fused ? I : 0;
    p->rows_held = p->fused ? BLOCKED_HELD : kernels->tile;
    p->d_rows = p->rows_held + BLOCKED_SPARE;
    p->tiles = divide_up(a->steps.B, kernels->tile);
    p->groups = p->tiles < GROUPS ? p->tiles : GROUPS;
    const int64_t shares = backward ? p->groups : p->tiles;
    p->workers = shares < threads ? (int)shares : threads;
    p->threads = p->workers > 1 ? threads : 1;
    return CRS_OK;
}

crs_status cpu_blocked_pack(blocked_plan *p, crs_device *device) {
    blocked_plan sizes = *p;
    const int64_t weights = take_weights(&sizes, NULL);
    p->partial_size = p->backward ? take_partial(p, NULL, &p->partial) : 0;
    p->work_size = take_work(p, NULL, &p->work);
    const int64_t n = weights + p->groups * p->partial_size + p->workers * p->work_size;
    float *scratch = cpu_scratch(device, (size_t)n * sizeof *scratch);
    if (!scratch)
        return CRS_ERR_MEMORY;
    take_weights(p, scratch);
    if (p->backward)
        take_partial(p, scratch + weights, &p->partial);
    take_work(p, scratch + weights + p->groups * p->partial_size, &p->work);
    if (p->backward) {
        if (p->I > 0 && p->a->dx)
            pack_back(p, p->of_x, p->a->W, p->I, p->W_back);
        pack_back(p, p->of_h, p->a->R, p->a->H, p->R_back);
    } else {
        if (p->I > 0)
            pack_sums(p, p->of_x, p->a->W, p->I, p->W);
        pack_sums(p, p->of_h, p->a->R, p->a->H, p->R);
        pack_biases(p);
    }
    return CRS_OK;
}

/* ---- gradients of the weights ---- */

static void add_weights(const blocked_plan *p, blocked_range of, const float *packed, int64_t columns, float *dW) {
    const int64_t lanes = lanes_of(p), width = of.count * lanes;
    blocked_cells cells;
    for (int64_t panel = 0; panel < p->panels; panel++) {
        cpu_blocked_place(p, panel, &cells);
        for (int s = 0; s < of.count; s++)
            for (int64_t l = 0; l < cells.count[of.first + s]; l++) {
                const float *from = packed + panel * (columns + BLOCKED_SPARE) * width + s * lanes + l;
                float *row = dW + (cells.place[of.first + s] + l) * columns;
                for (int64_t k = 0; k < columns; k++)
                    row[k] += from[k * width];
            }
    }
}

static void add_biases(const blocked_plan *p, blocked_range of, const float *packed, float *db) {
    blocked_cells cells;
    for (int64_t panel = 0; panel < p->panels; panel++) {
        cpu_blocked_place(p, panel, &cells);
        for (int s = of.first; s < of.first + of.count; s++)
            for (int64_t l = 0; l < cells.count[s]; l++)
                db[cells.place[s] + l] += packed[(panel * p->slots + s) * lanes_of(p) + l];
    }
}

int64_t cpu_blocked_next(int64_t *next) {
    int64_t taken;
#pragma omp atomic capture
    taken = (*next)++;
    return taken;
}

void cpu_blocked_add_partials(const blocked_plan *p) {
    float *sum = p->partial.dW;
#pragma omp parallel for schedule(static) num_threads(threads_for(p, p->groups, p->partial_size))
    for (int64_t first = 0; first < p->partial_size; first += ADDED) {
        const int64_t left = p->partial_size - first, end = first + (left < ADDED ? left : ADDED);
        for (int64_t group = 1; group < p->groups; group++)
            for (int64_t n = first; n < end; n++)
                sum[n] += sum[group * p->partial_size + n];
    }
    if (p->I > 0)
        add_weights(p, p->of_x, p->partial.dW, p->I, p->a->dW);
    if (p->fused)
        add_weights(p, p->of_h, p->partial.dR, p->a->H, p->a->dR);
    add_biases(p, p->of_x, p->partial.db, p->a->db);
    if (p->a->db_hh)
        add_biases(p, p->of_h, p->partial.db, p->a->db_hh);
}
