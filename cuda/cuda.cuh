/* What the files of the CUDA backend share: the device, how a failure is noted, and how a kernel is launched.
 *
 * Kernels count in int64_t and run a grid-stride loop, so that any size fits any grid. All work goes to the device's
 * one stream; nothing here waits but what ops.h lets wait. */
#ifndef CRS_CUDA_CUH
#define CRS_CUDA_CUH

#include "port.cuh"

#include <carousel/ops.h>
#include <cublas_v2.h>

enum class recurrent_variant { automatic, steps, persistent };

struct cuda_staging;    /* pinned memory that uploads pass through: memory.cu */
struct cuda_recordings; /* graphs of work that comes back: repeat.cu */

struct crs_device {
    int index;
    int multiprocessors;
    cudaStream_t stream;
    cublasHandle_t blas;
    void *blas_workspace; /* ours, so that cuBLAS allocates nothing in a step and gives the same bits each time */
    cuda_staging *staging;
    void *scratch; /* grow-only, see cuda_scratch */
    size_t scratch_size;
    cuda_recordings *recordings; /* NULL: nothing is recorded, as it was asked for */
    recurrent_variant variant;
    mutable char explanation[256]; /* of the last failure */
    char description[448];
    size_t described; /* bytes of it that come before what is said of graphs */
};

#define CUDA_DECLARE(slot, args) crs_status cuda_##slot(crs_device *device, const args *a);
CRS_COMPUTE_SLOTS(CUDA_DECLARE)
#undef CUDA_DECLARE
#define CUDA_DECLARE(slot, args) size_t cuda_##slot(const crs_device *device, const args *a);
CRS_RESERVE_SLOTS(CUDA_DECLARE)
#undef CUDA_DECLARE

/* Notes what failed for ops.explain, clears the runtime's error where it can be cleared, and returns the status to pass
 * on. `what`: the call, as written. */
crs_status cuda_failed(const crs_device *device, cudaError_t error, const char *what);
crs_status cuda_blas_failed(const crs_device *device, cublasStatus_t error, const char *what);

/* What the device's description says of graphs: `how` and `why`, one after the other. */
void cuda_describe_graphs(crs_device *device, const char *how, const char *why);

/* Return from the calling function where the call failed. */
#define CUDA_TRY(device, call)                                                                                         \
    do {                                                                                                               \
        const cudaError_t cuda_try_error = (call);                                                                     \
        if (cuda_try_error != cudaSuccess)                                                                             \
            return cuda_failed(device, cuda_try_error, #call);                                                         \
    } while (0)
#define CUDA_BLAS_TRY(device, call)                                                                                    \
    do {                                                                                                               \
        const cublasStatus_t cuda_try_error = (call);                                                                  \
        if (cuda_try_error != CUBLAS_STATUS_SUCCESS)                                                                   \
            return cuda_blas_failed(device, cuda_try_error, #call);                                                    \
    } while (0)
#define CRS_TRY(call)                                                                                                  \
    do {                                                                                                               \
        const crs_status crs_try_status = (call);                                                                      \
        if (crs_try_status != CRS_OK)                                                                                  \
            return crs_try_status;                                                                                     \
    } while (0)

/* Device memory of at least `bytes`, 256-byte aligned, valid until the next call; work already queued may still use
 * what it was given before. */
crs_status cuda_scratch(crs_device *device, size_t bytes, void **memory);

/* Threads of a block where nothing speaks for another number. */
enum { CUDA_BLOCK = 256, CUDA_WARP = 32 };

/* Blocks of CUDA_BLOCK threads for a grid-stride loop over n >= 1 elements: enough to fill the device, no more. */
static inline unsigned cuda_grid(const crs_device *device, int64_t n) {
    const int64_t wanted = (n + CUDA_BLOCK - 1) / CUDA_BLOCK, most = (int64_t)device->multiprocessors * 16;
    return (unsigned)(wanted < most ? wanted : most);
}

/* First element and stride of the calling thread's grid-stride loop. */
static __device__ __forceinline__ int64_t cuda_first() {
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}
static __device__ __forceinline__ int64_t cuda_stride() {
    return (int64_t)gridDim.x * blockDim.x;
}

/* Queues a kernel. Arguments are converted to the kernel's parameter types. */
template <class... Parameters, class... Arguments>
static crs_status cuda_launch(crs_device *device, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                              size_t shared_memory, Arguments... arguments) {
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_memory;
    config.stream = device->stream;
    CUDA_TRY(device, cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
    return CRS_OK;
}

/* The same over n >= 1 elements, in blocks of CUDA_BLOCK threads. */
template <class... Parameters, class... Arguments>
static crs_status cuda_launch_over(crs_device *device, int64_t n, void (*kernel)(Parameters...),
                                   Arguments... arguments) {
    return cuda_launch(device, kernel, dim3(cuda_grid(device, n)), dim3(CUDA_BLOCK), 0, arguments...);
}

#endif
