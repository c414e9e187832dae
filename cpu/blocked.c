/* The recurrent layers, variant "blocked": the march over time with the kernels of blocked_kernels.c. A thread takes a
 * tile of rows through time; at each step the tile's live rows are moved together, and what is dead costs no more than
 * its copies. Small layers meet their weights once a step, and the gradients of the weights are summed up while the
 * activations are still in the cache; large ones leave what can be done over all steps at once to the BLAS, as the
 * readable march does (march_products.c). Tiles, and the groups of tiles whose sums are made apart, follow from the
 * sizes: results do not depend on the number of threads. */
#include "blocked_march.h"

#include "blocked_plan.h"

#include <omp.h>

void cpu_blocked_step_find(const blocked_plan *p, int64_t tile, int64_t k, blocked_step *s) {
    const crs_steps *steps = &p->a->steps;
    s->k = k;
    s->t = step_at(&p->m, k);
    s->row = tile * p->kernels->tile;
    s->n = steps->B - s->row < p->kernels->tile ? steps->B - s->row : p->kernels->tile;
    s->at = s->t * steps->B + s->row;
    s->before = k > 0 ? step_at(&p->m, k - 1) * steps->B + s->row : 0;
    int64_t live = 0, dead = 0;
    for (int32_t r = 0; r < s->n; r++) {
        if (is_live(row_live(steps, s->row + r), s->t))
            s->live[live++] = r;
        else
            s->dead[dead++] = r;
    }
    s->live_count = live;
}

/* The rows of a tile, of which the first is row `first` of all steps: can they be read where they lie? On the way back
 * whole blocks of columns are read, which must not end behind the last row of all. */
static int reads_in_place(const blocked_plan *p, const blocked_step *s, int64_t first) {
    const int64_t rows = p->a->steps.T * p->a->steps.B;
    return s->live_count == p->kernels->tile && (!p->backward || first + s->n + BLOCKED_SPARE <= rows);
}

static blocked_stretch gather(const blocked_plan *p, const blocked_step *s, const blocked_stretch *from, int64_t n,
                              const float *mask, float *to) {
    p->kernels->copy(&(blocked_rows){.rows = s->live_count,
                                     .n = n,
                                     .from = from->at,
                                     .mask = mask ? mask + s->row * n : NULL,
                                     .ld_from = from->ld,
                                     .from_row = s->live,
                                     .to = to,
                                     .ld_to = n});
    return (blocked_stretch){s->live_count, n, to};
}

blocked_seen cpu_blocked_see(const blocked_plan *p, const blocked_step *s, float *x, float *h) {
    const crs_recurrent *a = p->a;
    const march *m = &p->m;
    blocked_seen seen = {{0}, {s->live_count, 0, m->zeros}};
    if (p->I > 0) {
        seen.x = (blocked_stretch){s->live_count, p->I, (const float *)a->x + s->at * p->I};
        if (m->input_mask || !reads_in_place(p, s, s->at))
            seen.x = gather(p, s, &seen.x, p->I, m->input_mask, x);
    }
    if (s->k > 0)
        seen.h = (blocked_stretch){s->live_count, a->ldy, (const float *)a->y + s->before * a->ldy};
    if (s->k == 0 || m->recurrent_mask || !reads_in_place(p, s, s->before))
        seen.h = gather(p, s, &seen.h, a->H, m->recurrent_mask, h);
    return seen;
}

blocked_cells cpu_blocked_cells_at(const blocked_plan *p, const blocked_step *s) {
    const crs_recurrent *a = p->a;
    const march *m = &p->m;
    return (blocked_cells){.rows = s->live_count,
                           .live = s->live,
                           .activation = a->activation,
                           .h_before = s->k > 0 ? (const float *)a->y + s->before * a->ldy : m->zeros,
                           .ldh_before = s->k > 0 ? a->ldy : 0,
                           .h = (float *)a->y + s->at * a->ldy,
                           .ldh = a->ldy,
                           .c_before = cell_at(m, s->k, s->row),
                           .c = cell_at(m, s->k + 1, s->row),
                           .ld_gates = m->width,
                           .streams = p->streams,
                           .gates = a->training ? gates_at(m, s->t, s->row) : NULL,
                           .products = m->products ? product_at(m, s->t, s->row) : NULL,
                           .ldd = p->ldd};
}

/* ---- forward ---- */

/* Dead rows keep their state. */
static void carry_dead(const blocked_plan *p, const blocked_step *s) {
    const crs_recurrent *a = p->a;
    const int64_t H = a->H;
    for (int64_t i = 0; i < s->n - s->live_count; i++) {
        const int64_t r = s->dead[i];
        float *h = (float *)a->y + (s->at + r) * a->ldy;
        if (s->k > 0)
            memcpy(h, (const float *)a->y + (s->before + r) * a->ldy, (size_t)H * sizeof *h);
        else
            memset(h, 0, (size_t)H * sizeof *h);
        if (p->m.cells)
            march_carry(H, cell_at(&p->m, s->k, s->row + r), cell_at(&p->m, s->k + 1, s->row + r));
    }
}

/* Where the BLAS makes dR it needs what R was multiplied by, which is zero in effect where a row is dead. */
static void keep_masked(const blocked_plan *p, const blocked_step *s, const float *h) {
    if (p->fused || !p->m.h_masked)
        return;
    const int64_t H = p->a->H;
    for (int64_t i = 0; i < s->live_count; i++)
        march_carry(H, h + i * H, h_masked_at(&p->m, s->t, s->row + s->live[i]));
    for (int64_t i = 0; i < s->n - s->live_count; i++)
        march_carry(H, NULL, h_masked_at(&p->m, s->t, s->row + s->dead[i]));
}

/* The next step's: what is read, and what is written and would otherwise be waited for. */
static void fetch_next(const blocked_plan *p, const blocked_step *s) {
    const crs_recurrent *a = p->a;
    if (s->k + 1 == a->steps.T)
        return;
    const int64_t t = step_at(&p->m, s->k + 1), at = t * a->steps.B + s->row;
    const float *x = (const float *)a->x + at * p->I;
    for (int64_t i = 0; i < s->n * p->I; i += 16)
        __builtin_prefetch(x + i, 0, 2);
    float *y = (float *)a->y + at * a->ldy;
    for (int64_t r = 0; r < s->n; r++)
        for (int64_t i = 0; i < a->H; i += 16)
            __builtin_prefetch(y + r * a->ldy + i, 1, 2);
    if (!a->training || !p->m.cells)
        return;
    float *c = cell_at(&p->m, s->k + 2, s->row);
    for (int64_t i = 0; i < s->n * a->H; i += 16)
        __builtin_prefetch(c + i, 1, 2);
}

static void step_forward(const blocked_plan *p, const blocked_step *s, const blocked_seen *seen,
                         const blocked_work *work) {
    const crs_recurrent *a = p->a;
    const blocked_kernels *kernels = p->kernels;
    const int64_t H = a->H, panel_start = p->slots * kernels->lanes;
    const float *products = p->I > 0 ? NULL : a->W ? p->m.gates : a->x;
    blocked_cells cells = cpu_blocked_cells_at(p, s);
    cells.z = work->z;
    blocked_sums sums = {.rows = s->live_count,
                         .I = p->I,
                         .H = s->k > 0 ? H : 0,
                         .slots = p->slots,
                         .of_x = p->of_x,
                         .of_h = p->of_h,
                         .x = seen->x.at,
                         .h = seen->h.at,
                         .ldx = seen->x.ld,
                         .ldh = seen->h.ld,
                         .z = work->z};
    const blocked_cell cell = kernels->cells[p->m.cell->blocked][0];
    for (int64_t panel = 0; panel < p->panels; panel++) {
        cpu_blocked_place(p, panel, &cells);
        const float *start = p->start + panel * panel_start;
        sums.W = p->W + panel * p->I * p->of_x.count * kernels->lanes;
        sums.R = p->R + panel * H * p->of_h.count * kernels->lanes;
        sums.start = products ? NULL : start;
        if (products)
            kernels->spread(&cells, start, products + s->at * p->m.width);
        kernels->sums(&sums);
        cell(&cells);
    }
}

static void tile_forward(const blocked_plan *p, int64_t tile, const blocked_work *work) {
    const crs_recurrent *a = p->a;
    const int64_t T = a->steps.T, H = a->H;
    blocked_step s = {0};
    for (int64_t k = 0; k < T; k++) {
        cpu_blocked_step_find(p, tile, k, &s);
        if (k == 0 && p->m.cells)
            march_carry(s.n * H, NULL, cell_at(&p->m, 0, s.row));
        carry_dead(p, &s);
        const blocked_seen seen = cpu_blocked_see(p, &s, work->x, work->h);
        keep_masked(p, &s, seen.h.at);
        fetch_next(p, &s);
        if (s.live_count > 0)
            step_forward(p, &s, &seen, work);
    }
    if (p->streams) /* backward may run on another thread */
        p->kernels->settle();
    for (int64_t r = 0; a->h_last && r < s.n; r++)
        march_carry(H, (const float *)a->y + (s.at + r) * a->ldy, (float *)a->h_last + (s.row + r) * a->ldy);
}

crs_status cpu_blocked_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell) {
    blocked_plan p;
    crs_status status = cpu_blocked_prepare(&p, device->kernels, a, cell, 0, device->threads);
    if (status != CRS_OK)
        return status;
    march_draw_masks(device, &p.m);
    if (a->W && !p.fused)
        status = march_inputs(device, &p.m);
    if (status == CRS_OK)
        status = cpu_blocked_pack(&p, device);
    if (status != CRS_OK)
        return status;
    int64_t next = 0;
#pragma omp parallel num_threads(p.threads)
    if (omp_get_thread_num() < p.workers) {
        const blocked_work work = cpu_blocked_work_of(&p, omp_get_thread_num());
        for (int64_t tile; (tile = cpu_blocked_next(&next)) < p.tiles;)
            tile_forward(&p, tile, &work);
    }
    return CRS_OK;
}
