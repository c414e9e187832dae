/* A penalty on weights: its value joins the loss, its gradient the gradient. The value is summed in double, in two
 * stages whose order of addition follows from the size alone. */
#include "reduce.cuh"
#include "step_state.cuh"

static constexpr int64_t CHUNK = 8192; /* weights of a partial sum */

/* At most 48 registers. */
static __global__ void penalise_chunks(crs_penalty a, double *__restrict__ partial) {
    const float *__restrict__ w = (const float *)a.w;
    float *__restrict__ g = (float *)a.g;
    const float step = (float)a.l1, slope = (float)(2 * a.l2);
    for (int64_t chunk = blockIdx.x; chunk * CHUNK < a.n; chunk += gridDim.x) {
        const int64_t end = (chunk + 1) * CHUNK < a.n ? (chunk + 1) * CHUNK : a.n;
        double magnitudes = 0, squares = 0;
        for (int64_t i = chunk * CHUNK + threadIdx.x; i < end; i += CUDA_BLOCK) {
            const float value = w[i], sign = (float)((value > 0) - (value < 0));
            magnitudes += (double)fabsf(value);
            squares += (double)value * (double)value;
            g[i] += step * sign + slope * value;
        }
        const double sum = cuda_block_sum(a.l1 * magnitudes + a.l2 * squares);
        if (threadIdx.x == 0)
            partial[chunk] = sum;
    }
}

/* One block. At most 48 registers. */
static __global__ void add_penalty(int64_t chunks, const double *__restrict__ partial, int64_t rows,
                                   crs_step_state *state) {
    double sum = 0;
    for (int64_t chunk = threadIdx.x; chunk < chunks; chunk += CUDA_BLOCK)
        sum += partial[chunk];
    sum = cuda_block_sum(sum);
    if (threadIdx.x == 0) {
        state->loss_sum += (double)rows * sum;
        cuda_note_bad_step(state, sum);
    }
}

crs_status cuda_penalty(crs_device *device, const crs_penalty *a) {
    const int64_t chunks = (a->n + CHUNK - 1) / CHUNK;
    void *partial;
    CRS_TRY(cuda_scratch(device, (size_t)chunks * sizeof(double), &partial));
    CRS_TRY(cuda_launch(device, penalise_chunks, dim3(cuda_grid(device, chunks * CUDA_BLOCK)), dim3(CUDA_BLOCK), 0, *a,
                        (double *)partial));
    return cuda_launch(device, add_penalty, dim3(1), dim3(CUDA_BLOCK), 0, chunks, (const double *)partial, a->rows,
                       a->state);
}
