/* Embedding: rows of a table looked up by id, and the gradient summed back into them.
 *
 * The gradient is a segmented sum: positions are sorted by id, so that the rows to be added to one row of the table
 * stand together, as a run. Runs are uneven (half of all positions may be padding), so the sorted rows are cut into
 * chunks of equal size instead. A chunk adds the runs that lie within it to the table. Its first and its last run may
 * go on in neighbouring chunks: their sums become two rows of a shorter sorted list, which is treated in the same way,
 * until one chunk is left. The order of every sum follows from the sizes and ids alone. */
#include "matrix.cuh"
#include "sort.cuh"

/* y[r,:] = table[ids[r],:]; Element: float, or float4 where rows are whole float4s. At most 56 registers. */
template <class Element>
static __global__ void look_up(int64_t rows, int64_t columns, const int32_t *__restrict__ ids,
                               const Element *__restrict__ table, Element *__restrict__ y) {
    for (int64_t r = matrix_walk::first_row(); r < rows; r += matrix_walk::row_stride()) {
        const Element *from = table + ids[r] * columns;
        for (int64_t e = matrix_walk::first_column(); e < columns; e += matrix_walk::column_stride())
            y[r * columns + e] = from[e];
    }
}

static bool is_aligned(const void *memory) {
    return (uintptr_t)memory % sizeof(float4) == 0;
}

crs_status cuda_embedding_forward(crs_device *device, const crs_embedding *a) {
    const int64_t rows = a->T * a->B;
    if (a->E % 4 == 0 && is_aligned(a->table) && is_aligned(a->y))
        return cuda_launch_matrix(device, rows, a->E / 4, look_up<float4>, rows, a->E / 4, a->ids,
                                  (const float4 *)a->table, (float4 *)a->y);
    return cuda_launch_matrix(device, rows, a->E, look_up<float>, rows, a->E, a->ids, (const float *)a->table,
                              (float *)a->y);
}

/* Rows to be summed by id. */
struct id_list {
    int64_t n;
    const int32_t *ids;       /* [n] ascending */
    const int32_t *positions; /* [n] which of `rows`, or NULL: 0, 1, 2 ... */
    const float *rows;        /* [.,E] */
};

/* What a chunk cannot add to the table: the sums of its first and of its last run (zeros where that is the same one).
 */
struct chunk_ends {
    int32_t *ids; /* [2 * chunks]; NULL: there is one chunk only, which adds everything */
    float *rows;  /* [2 * chunks,E] */
};

/* A chunk of the list: its rows first..end-1. */
struct id_chunk {
    int64_t first, end;
    int32_t first_id, last_id;

    __device__ __forceinline__ id_chunk(const id_list &list, int64_t chunk, int64_t size) {
        first = chunk * size;
        end = first + size < list.n ? first + size : list.n;
        first_id = list.ids[first];
        last_id = list.ids[end - 1];
    }
};

static constexpr int AHEAD = 8; /* rows whose loads are under way at once */

/* The runs of a chunk, in column e. */
static __device__ __forceinline__ void sum_chunk(const id_list &list, const id_chunk &chunk, int64_t E, int64_t e,
                                                 float *table, int32_t *end_ids, float *end_rows) {
    float sum = 0;
    for (int64_t from = chunk.first; from < chunk.end; from += AHEAD) {
        int32_t id[AHEAD + 1]; /* -1: past the end */
        float value[AHEAD], before[AHEAD];
#pragma unroll
        for (int k = 0; k <= AHEAD; k++)
            id[k] = from + k < chunk.end ? list.ids[from + k] : -1;
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            const int64_t i = from + k;
            const bool is_end = end_ids && (id[k] == chunk.first_id || id[k] == chunk.last_id);
            value[k] = i < chunk.end ? list.rows[(list.positions ? list.positions[i] : i) * E + e] : 0;
            before[k] = id[k] != id[k + 1] && !is_end ? table[id[k] * E + e] : 0;
        }
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            sum += value[k];
            if (id[k] == id[k + 1])
                continue;
            if (end_ids && id[k] == chunk.first_id)
                end_rows[e] = sum;
            else if (end_ids && id[k] == chunk.last_id)
                end_rows[E + e] = sum;
            else
                table[id[k] * E + e] = before[k] + sum;
            sum = 0;
        }
    }
}

/* A matrix of chunks x columns. At most 104 registers. */
static __global__ void sum_runs(id_list list, int64_t chunk_size, int64_t E, float *table, chunk_ends ends) {
    const int64_t chunks = (list.n + chunk_size - 1) / chunk_size;
    for (int64_t c = matrix_walk::first_row(); c < chunks; c += matrix_walk::row_stride()) {
        const id_chunk chunk(list, c, chunk_size);
        int32_t *end_ids = ends.ids ? ends.ids + 2 * c : NULL;
        float *end_rows = ends.ids ? ends.rows + 2 * c * E : NULL;
        for (int64_t e = matrix_walk::first_column(); e < E; e += matrix_walk::column_stride()) {
            sum_chunk(list, chunk, E, e, table, end_ids, end_rows);
            if (end_ids && chunk.first_id == chunk.last_id)
                end_rows[E + e] = 0;
            if (end_ids && e == 0) {
                end_ids[0] = chunk.first_id;
                end_ids[1] = chunk.last_id;
            }
        }
    }
}

/* The first list is long and its rows lie scattered: small chunks keep more of them in flight. The later ones are
 * short: there, few launches count. */
static constexpr int64_t FIRST_CHUNK = 32, LATER_CHUNK = 64;

static int64_t ends_of(int64_t n, int64_t chunk_size) {
    return 2 * ((n + chunk_size - 1) / chunk_size);
}

static size_t ends_size(int64_t n, int64_t E) {
    return ((size_t)n * (size_t)(E + 1) * sizeof(float) + 255) / 256 * 256;
}

static chunk_ends ends_at(void *place, int64_t n, int64_t E) {
    return {(int32_t *)place + n * E, (float *)place};
}

crs_status cuda_embedding_backward(crs_device *device, const crs_embedding *a) {
    const int64_t n = a->T * a->B, first_ends = ends_of(n, FIRST_CHUNK), later_ends = ends_of(first_ends, LATER_CHUNK);
    void *scratch;
    cuda_sorted sorted;
    CRS_TRY(
        cuda_scratch(device, cuda_sort_size(n) + ends_size(first_ends, a->E) + ends_size(later_ends, a->E), &scratch));
    CRS_TRY(cuda_sort(device, n, a->ids, a->V, scratch, &sorted));
    unsigned char *place = (unsigned char *)scratch + cuda_sort_size(n);
    chunk_ends written = ends_at(place, first_ends, a->E);
    chunk_ends other = ends_at(place + ends_size(first_ends, a->E), later_ends, a->E);
    id_list list = {n, sorted.ids, sorted.positions, (const float *)a->dy};
    for (int64_t chunk_size = FIRST_CHUNK;; chunk_size = LATER_CHUNK) {
        const int64_t ends = ends_of(list.n, chunk_size);
        const bool is_last = ends == 2;
        CRS_TRY(cuda_launch_matrix(device, ends / 2, a->E, sum_runs, list, chunk_size, a->E, (float *)a->dtable,
                                   is_last ? chunk_ends() : written));
        if (is_last)
            return CRS_OK;
        list = {ends, written.ids, NULL, written.rows};
        const chunk_ends read = written;
        written = other;
        other = read;
    }
}
