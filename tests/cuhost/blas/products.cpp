/* The part of cuBLAS that the backend uses: products. */
#include "context.hpp"
#include "gemm.hpp"

#include "../runtime/memory.hpp"
#include "../runtime/queue.hpp"

#include <algorithm>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace cuhost {

/* One operand, or `count` of them, `stride` elements apart. */
template <class T> struct Operand {
    T *elements;
    int ld;
    long long stride = 0;
    bool transposed = false;

    /* Whether `count` matrices of that size as stored lie in device memory. */
    bool fits(int rows, int columns, int count) const {
        if (rows == 0 || columns == 0)
            return true;
        const size_t last = static_cast<size_t>(stride) * static_cast<size_t>(count - 1);
        const size_t one = static_cast<size_t>(columns - 1) * static_cast<size_t>(ld) + static_cast<size_t>(rows);
        return is_device_memory(elements, (last + one) * sizeof(T));
    }
    Matrix<T> matrix(int number) const {
        return {elements + number * stride, static_cast<size_t>(ld), transposed};
    }
};

struct Sizes {
    int m, n, k, count;
};

template <class In, class Out>
static const char *wrong_sizes(Sizes s, const Operand<const In> &a, const Operand<const In> &b, const Operand<Out> &c) {
    if (s.m < 0 || s.n < 0 || s.k < 0 || s.count < 0)
        return "a product of a negative size";
    if (a.ld < std::max(1, a.transposed ? s.k : s.m))
        return "lda is less than the rows of A";
    if (b.ld < std::max(1, b.transposed ? s.n : s.k))
        return "ldb is less than the rows of B";
    if (c.ld < std::max(1, s.m))
        return "ldc is less than the rows of C";
    if (a.stride < 0 || b.stride < 0 || c.stride < 0)
        return "a negative stride";
    return nullptr;
}

/* Alpha and beta: numbers at the call, or device memory that is read when the work runs. */
struct Factors {
    const float *alpha, *beta;
    bool on_device;
    float alpha_now, beta_now;

    Factors(const cublasContext &context, const float *alpha_, const float *beta_)
        : alpha(alpha_), beta(beta_), on_device(context.pointer_mode == CUBLAS_POINTER_MODE_DEVICE),
          alpha_now(on_device ? 0 : *alpha_), beta_now(on_device ? 0 : *beta_) {}
};

template <class In, class Out>
static cublasStatus_t product(cublasHandle_t handle, Sizes s, const float *alpha, Operand<const In> a,
                              Operand<const In> b, const float *beta, Operand<Out> c, bool fast = false) {
    const Call call(cudaErrorLaunchFailure);
    if (call.error)
        return CUBLAS_STATUS_EXECUTION_FAILED;
    if (!is_handle(handle))
        return CUBLAS_STATUS_NOT_INITIALIZED;
    if (const char *wrong = wrong_sizes(s, a, b, c))
        return misused(wrong);
    if (s.m == 0 || s.n == 0 || s.count == 0)
        return CUBLAS_STATUS_SUCCESS;
    if (!a.fits(a.transposed ? s.k : s.m, a.transposed ? s.m : s.k, s.count) ||
        !b.fits(b.transposed ? s.n : s.k, b.transposed ? s.k : s.n, s.count) || !c.fits(s.m, s.n, s.count)) {
        misused("an operand is not device memory, or too small");
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    const Factors factors(*handle, alpha, beta);
    /* Older devices have no TF32, and compute in full. */
    const bool tf32 = (fast || handle->math == CUBLAS_TF32_TENSOR_OP_MATH) && state().settings.compute >= 80;
    const cudaError_t error = enqueue(handle->stream, [=] {
        const float alpha_then = factors.on_device ? *factors.alpha : factors.alpha_now;
        const float beta_then = factors.on_device ? *factors.beta : factors.beta_now;
        const GemmSize size{static_cast<size_t>(s.m), static_cast<size_t>(s.n), static_cast<size_t>(s.k)};
        for (int i = 0; i < s.count; i++)
            gemm(size, alpha_then, a.matrix(i), b.matrix(i), beta_then, c.matrix(i), tf32);
        state().statistics.products += s.count;
    });
    return error ? CUBLAS_STATUS_EXECUTION_FAILED : CUBLAS_STATUS_SUCCESS;
}

/* Conjugates are for complex numbers: here they are transposes. */
static bool transposes(cublasOperation_t operation) {
    return operation != CUBLAS_OP_N;
}

/* A GemmEx whose element types are known. */
template <class In, class Out>
static cublasStatus_t product_of(cublasHandle_t handle, Sizes s, const void *alpha, Operand<const void> a,
                                 Operand<const void> b, const void *beta, Operand<void> c, bool fast) {
    return product<In, Out>(handle, s, static_cast<const float *>(alpha),
                            {static_cast<const In *>(a.elements), a.ld, 0, a.transposed},
                            {static_cast<const In *>(b.elements), b.ld, 0, b.transposed},
                            static_cast<const float *>(beta), {static_cast<Out *>(c.elements), c.ld}, fast);
}

} // namespace cuhost

using namespace cuhost;

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
                           const float *alpha, const float *a, int lda, const float *b, int ldb, const float *beta,
                           float *c, int ldc) {
    return product<float, float>(handle, {m, n, k, 1}, alpha, {a, lda, 0, transposes(op_a)},
                                 {b, ldb, 0, transposes(op_b)}, beta, {c, ldc});
}

cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,
                                         int n, int k, const float *alpha, const float *a, int lda, long long stride_a,
                                         const float *b, int ldb, long long stride_b, const float *beta, float *c,
                                         int ldc, long long stride_c, int count) {
    return product<float, float>(handle, {m, n, k, count}, alpha, {a, lda, stride_a, transposes(op_a)},
                                 {b, ldb, stride_b, transposes(op_b)}, beta, {c, ldc, stride_c});
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k,
                            const void *alpha, const void *a, cudaDataType type_a, int lda, const void *b,
                            cudaDataType type_b, int ldb, const void *beta, void *c, cudaDataType type_c, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t) {
    if (type_a != type_b || (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_FAST_TF32))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    static const struct {
        cudaDataType in, out;
        decltype(&product_of<float, float>) call;
    } types[] = {{CUDA_R_32F, CUDA_R_32F, product_of<float, float>},
                 {CUDA_R_16F, CUDA_R_32F, product_of<__half, float>},
                 {CUDA_R_16F, CUDA_R_16F, product_of<__half, __half>},
                 {CUDA_R_16BF, CUDA_R_32F, product_of<__nv_bfloat16, float>},
                 {CUDA_R_16BF, CUDA_R_16BF, product_of<__nv_bfloat16, __nv_bfloat16>}};
    for (const auto &one : types)
        if (one.in == type_a && one.out == type_c)
            return one.call(handle, {m, n, k, 1}, alpha, {a, lda, 0, transposes(op_a)}, {b, ldb, 0, transposes(op_b)},
                            beta, {c, ldc}, compute == CUBLAS_COMPUTE_32F_FAST_TF32);
    return CUBLAS_STATUS_NOT_SUPPORTED;
}
