/* The part of cuBLAS that the backend uses: handles and their settings. */
#include "context.hpp"

#include "../runtime/handles.hpp"
#include "../runtime/memory.hpp"
#include "../runtime/queue.hpp"

namespace cuhost {

cublasStatus_t misused(const char *what) {
    misuse(cudaErrorInvalidValue, "cuBLAS: %s", what);
    return CUBLAS_STATUS_INVALID_VALUE;
}

bool is_handle(cublasHandle_t handle) {
    return handles<cublasContext>().has(handle);
}

} // namespace cuhost

using namespace cuhost;

cublasStatus_t cublasCreate(cublasHandle_t *handle) {
    const Call call(cudaErrorMemoryAllocation);
    if (call.error)
        return call.error == cudaErrorMemoryAllocation ? CUBLAS_STATUS_ALLOC_FAILED : CUBLAS_STATUS_NOT_INITIALIZED;
    *handle = handles<cublasContext>().create();
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
    const Call call;
    return handles<cublasContext>().destroy(handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
    const Call call(cudaErrorInvalidResourceHandle);
    if (call.error || !is_handle(handle))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (!stream_of(stream))
        return misused("cublasSetStream to a stream that does not exist");
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes) {
    const Call call(cudaErrorInvalidValue);
    if (call.error || !is_handle(handle))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0 || !is_device_memory(workspace, bytes))
        return misused("a workspace that is not device memory, or not aligned to 256 bytes");
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
    const Call call(cudaErrorInvalidValue);
    if (call.error || !is_handle(handle))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->math = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetMathMode(cublasHandle_t handle, cublasMath_t *mode) {
    const Call call;
    if (!is_handle(handle))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    *mode = handle->math;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode) {
    const Call call(cudaErrorInvalidValue);
    if (call.error || !is_handle(handle))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    handle->pointer_mode = mode;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion(cublasHandle_t, int *version) {
    *version = CUBLAS_VER_MAJOR * 10000 + CUBLAS_VER_MINOR * 100 + CUBLAS_VER_PATCH;
    return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "the operation completed successfully";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "the library was not initialized";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "the resource allocation failed";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "the function failed to launch on the GPU";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "the functionality requested is not supported";
    default:
        return "an unknown cuBLAS status";
    }
}
