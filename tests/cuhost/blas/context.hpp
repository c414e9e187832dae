/* What a cuBLAS handle holds, and how its calls fail. */
#ifndef CUHOST_BLAS_CONTEXT_HPP
#define CUHOST_BLAS_CONTEXT_HPP

#include <cublas_v2.h>

struct cublasContext {
    cudaStream_t stream = nullptr;
    cublasPointerMode_t pointer_mode = CUBLAS_POINTER_MODE_HOST; /* where alpha and beta are */
    cublasMath_t math = CUBLAS_DEFAULT_MATH;
};

namespace cuhost {

bool is_handle(cublasHandle_t handle);
cublasStatus_t misused(const char *what);

} // namespace cuhost

#endif
