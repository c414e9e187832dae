/* Embedding: rows of a table looked up by id, and the gradient summed back into them. */
#include "clones.h"
#include "cpu.h"

#include <string.h>

#define LINE ((int64_t)(64 / sizeof(real))) /* reals of a cache line: threads do not share one */
#define PARALLEL_FROM 16384                 /* elements; below it waking threads costs more than they save */

crs_status CPU_NAME(embedding_forward)(crs_device *device, const crs_embedding *a) {
    const int64_t rows = a->T * a->B, E = a->E;
    const real *table = a->table;
    real *y = a->y;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (rows * E >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        memcpy(y + r * E, table + a->ids[r] * E, (size_t)E * sizeof(real));
    return CRS_OK;
}

/* Adds to the columns first..end-1 of the table rows whose id leaves `part` when divided by `parts`. */
CPU_CLONES
static void scatter(const crs_embedding *a, int64_t first, int64_t end, int64_t part, int64_t parts) {
    const int64_t rows = a->T * a->B, E = a->E;
    for (int64_t r = 0; r < rows; r++) {
        if (a->ids[r] % parts != part)
            continue;
        const real *restrict dy = (const real *)a->dy + r * E;
        real *restrict dtable = (real *)a->dtable + a->ids[r] * E;
        for (int64_t e = first; e < end; e++)
            dtable[e] += dy[e];
    }
}

/* Every element belongs to one thread, which walks the positions in order: the sum is the same however the table is
 * dealt out. Columns are dealt first, since ids are uneven (most positions may be padding). */
crs_status CPU_NAME(embedding_backward)(crs_device *device, const crs_embedding *a) {
    const int64_t threads = a->T * a->B * a->E >= PARALLEL_FROM ? device->threads : 1;
    const int64_t lines = (a->E + LINE - 1) / LINE;
    const int64_t columns = threads < lines ? threads : lines, parts = threads / columns;
#pragma omp parallel for schedule(static) num_threads((int)threads) if (threads > 1)
    for (int64_t i = 0; i < columns * parts; i++) {
        const int64_t column = i / parts;
        const int64_t first = lines * column / columns * LINE, end = lines * (column + 1) / columns * LINE;
        scatter(a, first, end < a->E ? end : a->E, i % parts, parts);
    }
    return CRS_OK;
}
