/* The recurrent layers, variant "blocked": the march over time with the kernels of blocked_kernels.c. A thread takes a
 * tile of rows through time; at each step the tile's live rows are moved together, and what is dead costs no more than
 * its copies. Small layers meet their weights once a step, and the gradients of the weights are summed up while the
 * activations are still in the cache; large ones leave what can be done over all steps at once to the BLAS, as the
 * readable march does (march_products.c). Tiles, and the groups of tiles whose sums are made apart, follow from the
 * sizes: results do not depend on the number of threads. */
#include "blocked_march.h"

#include "blocked_plan.h"

#include <omp.h>

/* The rows of a tile at one step. */
typedef struct tile_step {
    int64_t k, t;   /* in running order, and as a place in memory */
    int64_t row, n; /* the tile's first row, its rows */
    int64_t before; /* first row, over all steps, of the step before; unused where k is 0 */
    int64_t at;     /* the same of this one */
    int64_t live_count;
    int32_t live[BLOCKED_TILE_LIMIT], dead[BLOCKED_TILE_LIMIT]; /* which of the rows, 0..n-1 */
} tile_step;

static void step_find(const blocked_plan *p, int64_t tile, int64_t k, tile_step *s) {
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

/* What x and h are at the live rows, through the masks, one row behind the other. h is zero before the first step. */
static void gather(const blocked_plan *p, const tile_step *s, float *x, float *h) {
    const crs_recurrent *a = p->a;
    const march *m = &p->m;
    blocked_rows rows = {.rows = s->live_count, .n = p->I, .from_row = s->live};
    if (p->I > 0) {
        rows.from = (const float *)a->x + s->at * p->I;
        rows.mask = m->input_mask ? m->input_mask + s->row * p->I : NULL;
        rows.to = x;
        rows.ld_from = rows.ld_to = p->I;
        p->kernels->copy(&rows);
    }
    rows.from = s->k > 0 ? (const float *)a->y + s->before * a->ldy : m->zeros;
    rows.ld_from = s->k > 0 ? a->ldy : 0;
    rows.mask = m->recurrent_mask ? m->recurrent_mask + s->row * a->H : NULL;
    rows.to = h;
    rows.n = rows.ld_to = a->H;
    p->kernels->copy(&rows);
}

/* What the cells of a step see, save for what depends on the panel or the direction. */
static blocked_cells cells_at(const blocked_plan *p, const tile_step *s) {
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
static void carry_dead(const blocked_plan *p, const tile_step *s) {
    const crs_recurrent *a = p->a;
    const int64_t H = a->H;
    for (int64_t i = 0; i < s->n - s->live_count; i++) {
        const int64_t r = s->dead[i];
        const float *h_before = s->k > 0 ? (const float *)a->y + (s->before + r) * a->ldy : NULL;
        march_carry(H, h_before, (float *)a->y + (s->at + r) * a->ldy);
        if (p->m.cells)
            march_carry(H, cell_at(&p->m, s->k, s->row + r), cell_at(&p->m, s->k + 1, s->row + r));
    }
}

/* Where the BLAS makes dR it needs what R was multiplied by, which is zero in effect where a row is dead. */
static void keep_masked(const blocked_plan *p, const tile_step *s, const float *h) {
    if (p->fused || !p->m.h_masked)
        return;
    const int64_t H = p->a->H;
    for (int64_t i = 0; i < s->live_count; i++)
        march_carry(H, h + i * H, h_masked_at(&p->m, s->t, s->row + s->live[i]));
    for (int64_t i = 0; i < s->n - s->live_count; i++)
        march_carry(H, NULL, h_masked_at(&p->m, s->t, s->row + s->dead[i]));
}

static void step_forward(const blocked_plan *p, const tile_step *s, const blocked_work *work) {
    const crs_recurrent *a = p->a;
    const blocked_kernels *kernels = p->kernels;
    const int64_t H = a->H, panel_start = p->slots * kernels->lanes;
    const float *products = p->I > 0 ? NULL : a->W ? p->m.gates : a->x;
    blocked_cells cells = cells_at(p, s);
    cells.z = work->z;
    blocked_sums sums = {.rows = s->live_count,
                         .I = p->I,
                         .H = s->k > 0 ? H : 0,
                         .slots = p->slots,
                         .of_x = p->of_x,
                         .of_h = p->of_h,
                         .x = work->x,
                         .h = work->h,
                         .ldx = p->I,
                         .ldh = H,
                         .z = work->z};
    const blocked_cell cell = p->m.cell->blocked == BLOCKED_RNN    ? kernels->rnn[0]
                              : p->m.cell->blocked == BLOCKED_LSTM ? kernels->lstm[0]
                                                                   : kernels->gru[0];
    for (int64_t panel = 0; panel < p->panels; panel++) {
        blocked_place(p, panel, &cells);
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
    tile_step s;
    for (int64_t k = 0; k < T; k++) {
        step_find(p, tile, k, &s);
        if (k == 0 && p->m.cells)
            march_carry(s.n * H, NULL, cell_at(&p->m, 0, s.row));
        carry_dead(p, &s);
        gather(p, &s, work->x, work->h);
        keep_masked(p, &s, work->h);
        if (s.live_count > 0)
            step_forward(p, &s, work);
    }
    /* What was stored past the caches is in order with nothing until then, and backward may run on another thread. */
    if (p->streams)
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (int64_t r = 0; a->h_last && r < s.n; r++)
        march_carry(H, (const float *)a->y + (s.at + r) * a->ldy, (float *)a->h_last + (s.row + r) * a->ldy);
}

crs_status cpu_blocked_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell) {
    blocked_plan p;
    crs_status status = blocked_prepare(&p, device->kernels, a, cell, 0);
    if (status != CRS_OK)
        return status;
    march_draw_masks(device, &p.m);
    if (a->W && !p.fused)
        status = march_inputs(device, &p.m);
    if (status == CRS_OK)
        status = blocked_pack(&p, device);
    if (status != CRS_OK)
        return status;
#pragma omp parallel for schedule(dynamic, 1) num_threads(device->threads)
    for (int64_t tile = 0; tile < p.tiles; tile++) {
        const blocked_work work = blocked_work_of(&p, omp_get_thread_num());
        tile_forward(&p, tile, &work);
    }
    return CRS_OK;
}

/* ---- backward ---- */

/* What forward left lies far from the processor, and the rows of a tile are too short a stretch for it to see the
 * pattern: what the step before this one needs is asked for in shares, between the pieces of this one's work. */
static void fetch(const float *from, int64_t n, int64_t share, int64_t shares) {
    const int64_t line = 64 / sizeof *from, lines = n / line + 1;
    for (int64_t i = lines * share / shares; i < lines * (share + 1) / shares; i++)
        __builtin_prefetch(from + i * line);
}

static void fetch_before(const blocked_plan *p, const tile_step *s, int64_t share, int64_t shares) {
    const crs_recurrent *a = p->a;
    const march *m = &p->m;
    if (s->k == 0)
        return;
    const int64_t t = step_at(m, s->k - 1), at = t * a->steps.B + s->row;
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
static float *gates_gradient_at(const blocked_plan *p, const tile_step *s) {
    const crs_recurrent *a = p->a;
    if (!p->fused)
        return gates_at(&p->m, s->t, s->row);
    return !a->W && a->dx ? (float *)a->dx + s->at * p->m.width : NULL;
}

/* The gradient of the state goes by where a row is dead, and nothing else has one. */
static void clear_dead(const blocked_plan *p, const tile_step *s) {
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
static void cells_backward(const blocked_plan *p, const tile_step *s, const blocked_work *work, int64_t held) {
    const blocked_kernels *kernels = p->kernels;
    const int64_t width = p->slots * kernels->lanes;
    blocked_cells cells = cells_at(p, s);
    cells.dh = work->dh;
    cells.dc = work->dc;
    cells.d_gates = gates_gradient_at(p, s);
    cells.d_products = p->fused ? NULL : cells.products;
    const blocked_cell cell = p->m.cell->blocked == BLOCKED_RNN    ? kernels->rnn[1]
                              : p->m.cell->blocked == BLOCKED_LSTM ? kernels->lstm[1]
                                                                   : kernels->gru[1];
    for (int64_t panel = 0; panel < p->panels; panel++) {
        fetch_before(p, s, panel, p->panels + 2);
        blocked_place(p, panel, &cells);
        cells.z = work->d + (panel * p->d_rows + held) * width;
        cell(&cells);
    }
}

/* dh += the gradient of R h, times R, through the mask; dx likewise, where it is made here. */
static void inputs_backward(const blocked_plan *p, const tile_step *s, const blocked_work *work, int64_t held) {
    const crs_recurrent *a = p->a;
    const int64_t H = a->H, I = p->I, lanes = p->kernels->lanes;
    blocked_inputs product = {.rows = s->live_count,
                              .panels = p->panels,
                              .columns = H,
                              .slots = p->slots,
                              .of = p->of_h,
                              .d = work->d + held * p->slots * lanes,
                              .d_rows = p->d_rows,
                              .B = p->R_back,
                              .out = work->out,
                              .ldo = p->ldd};
    fetch_before(p, s, p->panels, p->panels + 2);
    if (s->k > 0) {
        p->kernels->inputs(&product);
        p->kernels->add(&(blocked_rows){.rows = s->live_count,
                                        .n = H,
                                        .from = work->out,
                                        .ld_from = p->ldd,
                                        .mask = p->m.recurrent_mask ? p->m.recurrent_mask + s->row * H : NULL,
                                        .to_row = s->live,
                                        .to = work->dh,
                                        .ld_to = p->ldd});
    }
    fetch_before(p, s, p->panels + 1, p->panels + 2);
    if (I == 0 || !a->dx)
        return;
    product.columns = I;
    product.of = p->of_x;
    product.B = p->W_back;
    product.ldo = (I + lanes - 1) / lanes * lanes;
    p->kernels->inputs(&product);
    p->kernels->copy(&(blocked_rows){.rows = s->live_count,
                                     .n = I,
                                     .from = work->out,
                                     .ld_from = product.ldo,
                                     .mask = p->m.input_mask ? p->m.input_mask + s->row * I : NULL,
                                     .to_row = s->live,
                                     .to = (float *)a->dx + s->at * I,
                                     .ld_to = I});
}

/* The rows held so far, into the sums of the weights' gradients. */
static void weights_backward(const blocked_plan *p, const blocked_work *work, const blocked_partial *partial,
                             int64_t held) {
    const int64_t H = p->a->H;
    blocked_weights weights = {.rows = held,
                               .panels = p->panels,
                               .features = H,
                               .slots = p->slots,
                               .of = p->of_h,
                               .s = work->h,
                               .lds = H,
                               .d = work->d,
                               .d_rows = p->d_rows,
                               .dW = partial->dR};
    p->kernels->biases(&weights, partial->db);
    if (!p->fused)
        return;
    p->kernels->weights(&weights);
    if (p->I == 0)
        return;
    weights.features = weights.lds = p->I;
    weights.of = p->of_x;
    weights.s = work->x;
    weights.dW = partial->dW;
    p->kernels->weights(&weights);
}

/* What comes from outside onto the gradient of the state, whether a row is live or not. */
static void add_gradient(const blocked_plan *p, const tile_step *s, const float *from, const blocked_work *work) {
    p->kernels->add(&(blocked_rows){
        .rows = s->n, .n = p->a->H, .from = from, .ld_from = p->a->ldy, .to = work->dh, .ld_to = p->ldd});
}

static void tile_backward(const blocked_plan *p, int64_t tile, const blocked_work *work,
                          const blocked_partial *partial) {
    const crs_recurrent *a = p->a;
    int64_t held = 0;
    tile_step s;
    march_carry(p->kernels->tile * p->ldd, NULL, work->dh);
    march_carry(p->kernels->tile * p->ldd, NULL, work->dc);
    for (int64_t k = a->steps.T - 1; k >= 0; k--) {
        step_find(p, tile, k, &s);
        if (a->dh_last && k == a->steps.T - 1)
            add_gradient(p, &s, (const float *)a->dh_last + s.row * a->ldy, work);
        if (a->dy)
            add_gradient(p, &s, (const float *)a->dy + s.at * a->ldy, work);
        clear_dead(p, &s);
        if (s.live_count == 0)
            continue;
        if (held + s.live_count > p->rows_held) {
            weights_backward(p, work, partial, held);
            held = 0;
        }
        if (p->fused)
            gather(p, &s, work->x + held * p->I, work->h + held * a->H);
        cells_backward(p, &s, work, held);
        inputs_backward(p, &s, work, held);
        held += s.live_count;
    }
    weights_backward(p, work, partial, held);
}

crs_status cpu_blocked_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell *cell) {
    blocked_plan p;
    crs_status status = blocked_prepare(&p, device->kernels, a, cell, 1);
    if (status == CRS_OK)
        status = blocked_pack(&p, device);
    if (status != CRS_OK)
        return status;
#pragma omp parallel for schedule(dynamic, 1) num_threads(device->threads)
    for (int64_t group = 0; group < p.groups; group++) {
        const blocked_work work = blocked_work_of(&p, omp_get_thread_num());
        const blocked_partial partial = blocked_partial_of(&p, group);
        for (int64_t tile = group * p.tiles / p.groups; tile < (group + 1) * p.tiles / p.groups; tile++)
            tile_backward(&p, tile, &work, &partial);
    }
    blocked_add_partials(&p);
    return p.fused ? CRS_OK : march_gradients(device, &p.m);
}
