/* Radix sort: one stable pass for every digit of the ids, lowest first, as many as V asks for. A pass counts the digits
 * of every tile, turns the counts into places, and moves the ids there. Only integers are added up, so the result does
 * not depend on who comes first. */
#include "sort.cuh"

static constexpr int DIGIT_BITS = 8, DIGITS = 1 << DIGIT_BITS;
static constexpr int WARPS = CUDA_BLOCK / CUDA_WARP, ROUNDS = 4; /* a lane takes so many ids of a tile */
static constexpr int WARP_TILE = ROUNDS * CUDA_WARP, TILE = WARPS * WARP_TILE;
static_assert(DIGITS == CUDA_BLOCK, "a thread for every digit");

static __device__ __forceinline__ int digit_of(int32_t id, int shift) {
    return (int)((uint32_t)id >> shift) & (DIGITS - 1);
}

/* counts[digit,tile]: how often the digit occurs in the tile. A block per tile. At most 24 registers. */
static __global__ void count_digits(int64_t n, const int32_t *__restrict__ ids, int shift,
                                    uint32_t *__restrict__ counts) {
    CUDA_SHARED_ARRAY(uint32_t, count, DIGITS);
    count[threadIdx.x] = 0;
    __syncthreads();
    for (int round = 0; round < ROUNDS * WARPS; round += WARPS) {
        const int64_t i = (int64_t)blockIdx.x * TILE + round * CUDA_WARP + threadIdx.x;
        if (i < n)
            atomicAdd(&count[digit_of(ids[i], shift)], 1u);
    }
    __syncthreads();
    counts[(int64_t)threadIdx.x * gridDim.x + blockIdx.x] = count[threadIdx.x];
}

/* The sum of the values of the lanes before this one. All lanes of the warp call it. */
static __device__ __forceinline__ uint32_t sum_before(uint32_t value) {
    const int lane = (int)(threadIdx.x % CUDA_WARP);
    uint32_t sum = value;
    for (int distance = 1; distance < CUDA_WARP; distance *= 2) {
        const uint32_t other = __shfl_up_sync(0xffffffffu, sum, distance);
        sum += lane >= distance ? other : 0;
    }
    return sum - value;
}

/* Each count becomes the number of equal digits in earlier tiles; totals[digit] is that of all tiles. A warp per digit.
 * At most 40 registers. */
static __global__ void place_tiles(int64_t tiles, uint32_t *counts, uint32_t *totals) {
    const int64_t digit = (int64_t)blockIdx.x * WARPS + threadIdx.x / CUDA_WARP;
    const int lane = (int)(threadIdx.x % CUDA_WARP);
    uint32_t before = 0;
    for (int64_t from = 0; from < tiles; from += CUDA_WARP) {
        const bool mine = from + lane < tiles;
        uint32_t *count = counts + digit * tiles + from + lane;
        const uint32_t value = mine ? *count : 0, earlier = sum_before(value);
        if (mine)
            *count = before + earlier;
        before += __shfl_sync(0xffffffffu, earlier + value, CUDA_WARP - 1);
    }
    if (lane == 0)
        totals[digit] = before;
}

/* The sum of the totals of smaller digits than the thread's own. All threads call it, and pass a barrier in it. */
static __device__ __forceinline__ uint32_t smaller_digits(const uint32_t *totals) {
    CUDA_SHARED_ARRAY(uint32_t, of_warps, WARPS);
    const uint32_t total = totals[threadIdx.x], earlier = sum_before(total);
    const int warp = (int)(threadIdx.x / CUDA_WARP);
    if (threadIdx.x % CUDA_WARP == CUDA_WARP - 1)
        of_warps[warp] = earlier + total;
    __syncthreads();
    uint32_t sum = earlier;
    for (int k = 0; k < warp; k++)
        sum += of_warps[k];
    return sum;
}

/* The lanes of the warp that have the same digit. All lanes call it. */
static __device__ __forceinline__ unsigned lanes_like_me(int digit) {
    unsigned same = 0xffffffffu;
    for (int bit = 0; bit < DIGIT_BITS; bit++) {
        const bool is_set = digit >> bit & 1;
        const unsigned set = __ballot_sync(0xffffffffu, is_set);
        same &= is_set ? set : ~set;
    }
    return same;
}

/* Moves a tile's ids, with their positions (NULL: 0, 1, 2 ...), to where they belong. Each warp first numbers the equal
 * digits of its own part of the tile, in order; then these numbers are shifted by what stands before. A block per tile.
 * At most 56 registers. */
static __global__ void move_ids(int64_t n, const int32_t *__restrict__ ids, const int32_t *__restrict__ positions,
                                int shift, const uint32_t *__restrict__ counts, const uint32_t *__restrict__ totals,
                                int32_t *__restrict__ moved_ids, int32_t *__restrict__ moved_positions) {
    CUDA_SHARED_ARRAY(uint32_t, next, WARPS * DIGITS); /* of each warp: the next number, later the first place */
    const int warp = (int)(threadIdx.x / CUDA_WARP), lane = (int)(threadIdx.x % CUDA_WARP);
    const int64_t first = (int64_t)blockIdx.x * TILE + warp * WARP_TILE + lane;
    int32_t id[ROUNDS];
    uint32_t number[ROUNDS];
    for (int k = 0; k < WARPS; k++)
        next[k * DIGITS + threadIdx.x] = 0;
    uint32_t place = smaller_digits(totals) + counts[(int64_t)threadIdx.x * gridDim.x + blockIdx.x];
#pragma unroll
    for (int k = 0; k < ROUNDS; k++) {
        const int64_t i = first + k * CUDA_WARP;
        id[k] = i < n ? ids[i] : 0; /* what is past the end comes behind all, in nobody's way */
        const int digit = digit_of(id[k], shift);
        const unsigned same = lanes_like_me(digit), before = same & ((1u << lane) - 1);
        number[k] = next[warp * DIGITS + digit] + (uint32_t)__popc(before);
        __syncwarp();
        if (before == 0)
            next[warp * DIGITS + digit] += (uint32_t)__popc(same);
        __syncwarp();
    }
    __syncthreads();
    for (int k = 0; k < WARPS; k++) {
        const uint32_t count = next[k * DIGITS + threadIdx.x];
        next[k * DIGITS + threadIdx.x] = place;
        place += count;
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < ROUNDS; k++) {
        const int64_t i = first + k * CUDA_WARP;
        if (i < n) {
            const uint32_t to = next[warp * DIGITS + digit_of(id[k], shift)] + number[k];
            moved_ids[to] = id[k];
            moved_positions[to] = positions ? positions[i] : (int32_t)i;
        }
    }
}

/* ---- the passes ---- */

static int64_t tiles_of(int64_t n) {
    return (n + TILE - 1) / TILE;
}

static size_t padded(int64_t numbers) {
    return ((size_t)numbers * sizeof(int32_t) + 255) / 256 * 256;
}

size_t cuda_sort_size(int64_t n) {
    return 4 * padded(n) + padded(DIGITS * tiles_of(n)) + padded(DIGITS);
}

crs_status cuda_sort(crs_device *device, int64_t n, const int32_t *ids, int64_t V, void *scratch, cuda_sorted *sorted) {
    if (n > INT32_MAX)
        return CRS_ERR_UNSUPPORTED;
    unsigned char *place = (unsigned char *)scratch;
    int32_t *buffers[4]; /* ids and positions, twice: a pass reads one pair and writes the other */
    for (int32_t *&buffer : buffers) {
        buffer = (int32_t *)place;
        place += padded(n);
    }
    uint32_t *totals = (uint32_t *)place, *counts = totals + padded(DIGITS) / sizeof(uint32_t);
    const unsigned tiles = (unsigned)tiles_of(n);
    *sorted = {ids, NULL};
    /* Ids are int32_t, and a single one needs a pass too: it gives the positions. */
    int side = 0;
    for (int shift = 0; shift == 0 || (shift < 32 && (V - 1) >> shift > 0); shift += DIGIT_BITS, side = 2 - side) {
        CRS_TRY(cuda_launch(device, count_digits, dim3(tiles), dim3(CUDA_BLOCK), 0, n, sorted->ids, shift, counts));
        CRS_TRY(cuda_launch(device, place_tiles, dim3(DIGITS / WARPS), dim3(CUDA_BLOCK), 0, (int64_t)tiles, counts,
                            totals));
        CRS_TRY(cuda_launch(device, move_ids, dim3(tiles), dim3(CUDA_BLOCK), 0, n, sorted->ids, sorted->positions,
                            shift, (const uint32_t *)counts, (const uint32_t *)totals, buffers[side],
                            buffers[side + 1]));
        *sorted = {buffers[side], buffers[side + 1]};
    }
    return CRS_OK;
}
