/* How the reserve of a recurrent layer is cut up, and which steps are live. */
#include "march.h"

#include <limits.h>

/* Adds the bytes of d0*d1*d2 numbers, in whole cache lines, to *size, which becomes SIZE_MAX once it does not fit. */
static void size_add(size_t *size, int64_t d0, int64_t d1, int64_t d2) {
    size_t bytes;
    if (__builtin_mul_overflow((size_t)d0, (size_t)d1, &bytes) || __builtin_mul_overflow(bytes, (size_t)d2, &bytes) ||
        __builtin_mul_overflow(bytes, sizeof(real), &bytes) || __builtin_add_overflow(bytes, (size_t)63, &bytes) ||
        __builtin_add_overflow(*size, bytes / 64 * 64, size)) {
        *size = SIZE_MAX;
    }
}

/* Every part grows with T and B, so that the size holds for smaller ones too. */
size_t march_lay_out(march *m, const crs_recurrent *a, const recurrent_cell *cell, void *reserve) {
    const int64_t T = a->steps.T, B = a->steps.B, I = a->I, H = a->H, width = cell->gates * H;
    const int training = a->training != 0, has_cell_state = cell->has_cell_state;
    const int masks_input = training && a->input_mask.rate > 0;
    const int masks_state = training && a->recurrent_mask.rate > 0;
    const int has_inner_state = cell->inner_gates > 0;
    *m = (march){.a = a, .cell = cell, .width = width, .tiles = (B + MARCH_TILE - 1) / MARCH_TILE};
    m->outer = (cell->gates - cell->inner_gates) * H;
    m->cell_slots = training ? T + 1 : 2;
    m->step_slots = training ? T : 1;
    const struct {
        real **memory;
        int wanted;
        int64_t d0, d1, d2;
    } parts[] = {
        {&m->gates, 1, T, B, width},
        {&m->products, cell->separates, m->step_slots, B, width},
        {&m->inner, has_inner_state, m->step_slots, B, H},
        {&m->cells, has_cell_state, m->cell_slots, B, H},
        {&m->zeros, 1, H, 1, 1},
        {&m->R_transposed, 1, H, width, 1},
        {&m->input_mask, masks_input, B, I, 1},
        {&m->x_masked, masks_input, T, B, I},
        {&m->recurrent_mask, masks_state, B, H, 1},
        {&m->h_masked, masks_state, T, B, H},
        {&m->dh, training, B, H, 1},
        {&m->dc, training && has_cell_state, B, H, 1},
        {&m->dh_masked, masks_state, B, H, 1},
        {&m->d_inner, training && has_inner_state, B, H, 1},
        {&m->db, training, m->tiles, width, 1},
        {&m->db_hh, training && cell->separates, m->tiles, width, 1},
    };
    size_t size = 0;
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
        if (parts[p].wanted) {
            if (reserve)
                *parts[p].memory = (real *)(void *)((char *)reserve + size);
            size_add(&size, parts[p].d0, parts[p].d1, parts[p].d2);
        }
    }
    return size;
}

live_range rows_live(const crs_steps *steps, int64_t row, int64_t rows) {
    live_range all = {0, 0};
    for (int64_t b = row; b < row + rows; b++) {
        const live_range live = row_live(steps, b);
        if (live.first < live.end) {
            const int empty = all.first == all.end;
            all.first = empty || live.first < all.first ? live.first : all.first;
            all.end = empty || live.end > all.end ? live.end : all.end;
        }
    }
    return all;
}

crs_status march_prepare(march *m, const crs_recurrent *a, const recurrent_cell *cell) {
    march_lay_out(m, a, cell, a->reserve);
    m->live = rows_live(&a->steps, 0, a->steps.B);
    march_carry(a->H, NULL, m->zeros);
    if (!a->W && m->input_mask)
        return CRS_ERR_ARGUMENT;
    /* The BLAS counts in int; cpu_gemm cuts the rows, but these are lengths of rows. */
    const int64_t I = a->W ? a->I : 1;
    return m->width <= INT_MAX && I <= INT_MAX && a->ldy <= INT_MAX ? CRS_OK : CRS_ERR_UNSUPPORTED;
}
