/* The recurrent layers, variant "blocked": the march back through time, and the gradients that are summed up on the
 * way. Forward, and what the variant is, is blocked.c. */
#include "blocked_march.h"

#include "blocked_plan.h"
#include "subnormal.h"

#include <omp.h>

/* What forward left lies far from the processor, and the rows of a tile are too short a stretch for it to see the
 * pattern: what the step before this one needs is asked for in shares, between the pieces of this one's work. */
static void fetch(const float *from, int64_t n, int64_t share, int64_t shares) {
    const int64_t line = 64 / sizeof *from, lines = n / line + 1;
    for (int64_t i = lines * share / shares; i < lines * (share + 1) / shares; i++)
        __builtin_prefetch(from + i * line, 0, 2);
}

static void fetch_before(const blocked_plan *p, const blocked_step *s, int64_t share, int64_t shares) {
    const crs_recurrent *a = p->a;
    const march *m = &p->m;
    if (s->k == 0)
        return;
    const int64_t t = step_at(m, s->k - 1), at = t * a->steps.B + s->row;
    if (m->cell->blocked != BLOCKED_RNN)
        fetch(gates_at(m, t, s->row), s->n * m->width, share, shares);
    if (m->cells)
        fetch(cell_at(m, s->k - 1, s->row), s->n * a->H, share, shares);
    if (p->I > 0)
        fetch((const float *)a->x + at * p->I, s->n * p->I, share, shares);
    if (a->dy)
        fetch((const float *)a->dy + at * a->ldy, s->n * a->ldy, share, shares);
    if (s->k > 1)
        fetch((const float *)a->y + (step_at(m, s->k - 2) * a->steps.B + s->row) * a->ldy, s->n * a->ldy, share,
              shares);
}

/* Where a row's gradient of W x goes unit by unit: to the BLAS, in place of the gates, or straight into dx. */
static float *gates_gradient_at(const blocked_plan *p, const blocked_step *s) {
    const crs_recurrent *a = p->a;
    if (!p->fused)
        return gates_at(&p->m, s->t, s->row);
    return !a->W && a->dx ? (float *)a->dx + s->at * p->m.width : NULL;
}

/* The gradient of the state goes by where a row is dead, and nothing else has one. */
static void clear_dead(const blocked_plan *p, const blocked_step *s) {
    const crs_recurrent *a = p->a;
    const int64_t width = p->m.width;
    for (int64_t i = 0; i < s->n - s->live_count; i++) {
        const int64_t r = s->dead[i];
        if (p->fused && a->dx && a->W)
            march_carry(a->I, NULL, (float *)a->dx + (s->at + r) * a->I);
        float *d_gates = gates_gradient_at(p, s);
        if (d_gates)
            march_carry(width, NULL, d_gates + r * width);
        if (!p->fused && p->m.products)
            march_carry(width, NULL, product_at(&p->m, s->t, s->row + r));
    }
}

/* The cells of a step; the gradients of the live rows' sums become rows held.. of d. */
static void cells_backward(const blocked_plan *p, const blocked_step *s, const blocked_work *work, int64_t held) {
    const blocked_kernels *kernels = p->kernels;
    const int64_t width = p->slots * kernels->lanes;
    blocked_cells cells = cpu_blocked_cells_at(p, s);
    cells.dh = work->dh;
    cells.dc = work->dc;
    cells.d_gates = gates_gradient_at(p, s);
    cells.d_products = p->fused ? NULL : cells.products;
    const blocked_cell cell = kernels->cells[p->m.cell->blocked][1];
    for (int64_t panel = 0; panel < p->panels; panel++) {
        fetch_before(p, s, panel, p->panels + 2);
        cpu_blocked_place(p, panel, &cells);
        cells.z = work->d + (panel * p->d_rows + held) * width;
        cell(&cells);
    }
}

/* The product, added to dh at the live rows, or put into dx: at once where that is a whole tile of rows, else through
 * work->out and the mask. */
static void add_to_state(const blocked_plan *p, const blocked_step *s, const blocked_work *work,
                         blocked_inputs *product) {
    const float *mask = p->m.recurrent_mask;
    product->ldo = p->ldd;
    product->adds = s->live_count == p->kernels->tile && !mask;
    product->out = product->adds ? work->dh : work->out;
    p->kernels->inputs(product);
    if (!product->adds)
        p->kernels->add(&(blocked_rows){.rows = s->live_count,
                                        .n = p->a->H,
                                        .from = work->out,
                                        .ld_from = p->ldd,
                                        .mask = mask ? mask + s->row * p->a->H : NULL,
                                        .to_row = s->live,
                                        .to = work->dh,
                                        .ld_to = p->ldd});
}

static void put_into_dx(const blocked_plan *p, const blocked_step *s, const blocked_work *work,
                        blocked_inputs *product) {
    const int64_t I = p->I, lanes = p->kernels->lanes;
    const float *mask = p->m.input_mask;
    float *dx = (float *)p->a->dx + s->at * I;
    const int at_once = s->live_count == p->kernels->tile && I % lanes == 0 && !mask;
    product->adds = 0;
    product->ldo = (I + lanes - 1) / lanes * lanes;
    product->out = at_once ? dx : work->out;
    p->kernels->inputs(product);
    if (!at_once)
        p->kernels->copy(&(blocked_rows){.rows = s->live_count,
                                         .n = I,
                                         .from = work->out,
                                         .ld_from = product->ldo,
                                         .mask = mask ? mask + s->row * I : NULL,
                                         .to_row = s->live,
                                         .to = dx,
                                         .ld_to = I});
}

/* dh += the gradient of R h, times R; dx likewise, where it is made here. */
static void inputs_backward(const blocked_plan *p, const blocked_step *s, const blocked_work *work, int64_t held) {
    const crs_recurrent *a = p->a;
    blocked_inputs product = {.rows = s->live_count,
                              .panels = p->panels,
                              .columns = a->H,
                              .slots = p->slots,
                              .of = p->of_h,
                              .d = work->d + held * p->slots * p->kernels->lanes,
                              .d_rows = p->d_rows,
                              .B = p->R_back};
    fetch_before(p, s, p->panels, p->panels + 2);
    if (s->k > 0)
        add_to_state(p, s, work, &product);
    fetch_before(p, s, p->panels + 1, p->panels + 2);
    if (p->I == 0 || !a->dx)
        return;
    product.columns = p->I;
    product.of = p->of_x;
    product.B = p->W_back;
    put_into_dx(p, s, work, &product);
}

/* What the rows held so far were made from, in the order in which they were taken. */
typedef struct held_rows {
    int64_t rows, x_count, h_count;
    blocked_stretch x[BLOCKED_HELD], h[BLOCKED_HELD];
} held_rows;

/* Becomes the last of `held`, or a part of it. */
static void hold(blocked_stretch *held, int64_t *count, blocked_stretch next) {
    blocked_stretch *last = *count > 0 ? &held[*count - 1] : NULL;
    if (last && last->ld == next.ld && last->at + last->rows * last->ld == next.at)
        last->rows += next.rows;
    else
        held[(*count)++] = next;
}

/* The rows held so far, into the sums of the weights' gradients. */
static void weights_backward(const blocked_plan *p, const blocked_work *work, const blocked_partial *partial,
                             const held_rows *held) {
    blocked_weights weights = {.rows = held->rows,
                               .panels = p->panels,
                               .features = p->a->H,
                               .slots = p->slots,
                               .of = p->of_h,
                               .s = held->h,
                               .stretches = held->h_count,
                               .d = work->d,
                               .d_rows = p->d_rows,
                               .dW = partial->dR};
    p->kernels->biases(&weights, partial->db);
    if (!p->fused)
        return;
    p->kernels->weights(&weights);
    if (p->I == 0)
        return;
    weights.features = p->I;
    weights.of = p->of_x;
    weights.s = held->x;
    weights.stretches = held->x_count;
    weights.dW = partial->dW;
    p->kernels->weights(&weights);
}

/* What comes from outside onto the gradient of the state, whether a row is live or not. */
static void add_gradient(const blocked_plan *p, const blocked_step *s, const float *from, const blocked_work *work) {
    p->kernels->add(&(blocked_rows){
        .rows = s->n, .n = p->a->H, .from = from, .ld_from = p->a->ldy, .to = work->dh, .ld_to = p->ldd});
}

static void tile_backward(const blocked_plan *p, int64_t tile, const blocked_work *work,
                          const blocked_partial *partial) {
    const crs_recurrent *a = p->a;
    held_rows held = {0};
    blocked_step s;
    march_carry(p->kernels->tile * p->ldd, NULL, work->dh);
    march_carry(p->kernels->tile * p->ldd, NULL, work->dc);
    for (int64_t k = a->steps.T - 1; k >= 0; k--) {
        cpu_blocked_step_find(p, tile, k, &s);
        if (a->dh_last && k == a->steps.T - 1)
            add_gradient(p, &s, (const float *)a->dh_last + s.row * a->ldy, work);
        if (a->dy)
            add_gradient(p, &s, (const float *)a->dy + s.at * a->ldy, work);
        clear_dead(p, &s);
        if (s.live_count == 0)
            continue;
        if (held.rows + s.live_count > p->rows_held) {
            weights_backward(p, work, partial, &held);
            held.rows = held.x_count = held.h_count = 0;
        }
        if (p->fused) {
            const blocked_seen seen = cpu_blocked_see(p, &s, work->x + held.rows * p->I, work->h + held.rows * a->H);
            hold(held.x, &held.x_count, seen.x);
            hold(held.h, &held.h_count, seen.h);
        }
        cells_backward(p, &s, work, held.rows);
        inputs_backward(p, &s, work, held.rows);
        held.rows += s.live_count;
    }
    weights_backward(p, work, partial, &held);
}

crs_status cpu_blocked_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell) {
    blocked_plan p;
    crs_status status = cpu_blocked_prepare(&p, device->kernels, a, cell, 1, device->threads);
    if (status == CRS_OK)
        status = cpu_blocked_pack(&p, device);
    if (status != CRS_OK)
        return status;
    int64_t next = 0;
#pragma omp parallel num_threads(p.threads)
    if (omp_get_thread_num() < p.workers) {
        const blocked_work work = cpu_blocked_work_of(&p, omp_get_thread_num());
        const unsigned before = cpu_subnormals_flush();
        for (int64_t group; (group = cpu_blocked_next(&next)) < p.groups;) {
            const blocked_partial partial = cpu_blocked_partial_of(&p, group);
            for (int64_t tile = group * p.tiles / p.groups; tile < (group + 1) * p.tiles / p.groups; tile++)
                tile_backward(&p, tile, &work, &partial);
        }
        cpu_subnormals_restore(before);
    }
    cpu_blocked_add_partials(&p);
    return p.fused ? CRS_OK : march_gradients(device, &p.m);
}
