/* The rows of a batch normalisation in tiles: which of them are live, and how many make a piece. */
#include "batch_norm_tiles.h"

#include "live.h"

static int64_t tile_end(const crs_batch_norm *a, int64_t i) {
    const int64_t rows = rows_of(a);
    return rows - i * TILE_ROWS < TILE_ROWS ? rows : (i + 1) * TILE_ROWS;
}

/* The live rows of tile i; returns how many. Steps and positions are counted along, since a division costs more than
 * the sums of a narrow row. */
static int64_t live_rows(const crs_batch_norm *a, int64_t i, int64_t *live) {
    const int64_t first = i * TILE_ROWS, end = tile_end(a, i), B = a->steps.B;
    int64_t t = first / a->P / B, b = first / a->P % B, p = first % a->P, n = 0;
    for (int64_t row = first; row < end; row++) {
        if (is_live(row_live(&a->steps, b), t))
            live[n++] = row;
        if (++p < a->P)
            continue;
        p = 0;
        if (++b == B) {
            b = 0;
            t++;
        }
    }
    return n;
}

void cpu_tile_all(const crs_batch_norm *a, int64_t i, tile *cut) {
    const int64_t first = i * TILE_ROWS, F = a->F;
    int64_t together = 1;
    cut->rows = tile_end(a, i) - first;
    while (2 * together * F <= COLUMNS && cut->rows % (2 * together) == 0)
        together *= 2;
    cut->columns = together * F;
    cut->pieces = cut->rows / together;
    for (int64_t k = 0; k < cut->pieces; k++)
        cut->at[k] = (first + k * together) * F;
}

void cpu_tile_live(const crs_batch_norm *a, int64_t i, tile *cut) {
    cpu_tile_all(a, i, cut);
    if (!a->steps.start && !a->steps.len)
        return;
    int64_t live[TILE_ROWS];
    const int64_t n = live_rows(a, i, live);
    if (n == cut->rows)
        return;
    cut->rows = cut->pieces = n;
    cut->columns = a->F;
    for (int64_t k = 0; k < n; k++)
        cut->at[k] = live[k] * a->F;
}
