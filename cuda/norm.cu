/* L2 norm of the gradient and the clipping factor that follows from it. In double, in two stages whose order of
 * addition follows from the size alone. */
#include "reduce.cuh"
#include "step_state.cuh"

#include <math.h>

static constexpr int64_t CHUNK = 8192; /* elements of a partial sum */

/* At most 48 registers. */
static __global__ void square_chunks(int64_t n, const float *__restrict__ g, double *__restrict__ partial) {
    for (int64_t chunk = blockIdx.x; chunk * CHUNK < n; chunk += gridDim.x) {
        const int64_t end = (chunk + 1) * CHUNK < n ? (chunk + 1) * CHUNK : n;
        double sum = 0;
        for (int64_t i = chunk * CHUNK + threadIdx.x; i < end; i += CUDA_BLOCK)
            sum += (double)g[i] * (double)g[i];
        sum = cuda_block_sum(sum);
        if (threadIdx.x == 0)
            partial[chunk] = sum;
    }
}

/* One block. At most 48 registers. */
static __global__ void finish_norm(int64_t chunks, const double *__restrict__ partial, double max_norm,
                                   crs_step_state *state) {
    double sum = 0;
    for (int64_t chunk = threadIdx.x; chunk < chunks; chunk += CUDA_BLOCK)
        sum += partial[chunk];
    sum = cuda_block_sum(sum);
    if (threadIdx.x == 0) {
        const double norm = sqrt(sum);
        state->grad_norm = norm;
        state->grad_scale = max_norm > 0 && norm > max_norm ? max_norm / norm : 1;
        cuda_note_bad_step(state, norm);
    }
}

crs_status cuda_norm(crs_device *device, const crs_norm *a) {
    const int64_t chunks = (a->n + CHUNK - 1) / CHUNK;
    void *partial;
    CRS_TRY(cuda_scratch(device, (size_t)chunks * sizeof(double), &partial));
    CRS_TRY(cuda_launch(device, square_chunks, dim3(cuda_grid(device, chunks * CUDA_BLOCK)), dim3(CUDA_BLOCK), 0, a->n,
                        (const float *)a->g, (double *)partial));
    return cuda_launch(device, finish_norm, dim3(1), dim3(CUDA_BLOCK), 0, chunks, (const double *)partial, a->max_norm,
                       a->state);
}
