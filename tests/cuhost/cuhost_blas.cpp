// cuhost_blas.cpp - cuBLAS subset: column-major reference GEMM, instrumented by the sanitizers (OpenBLAS
// would hide overruns)
#include "cuhost_impl.h"
#include <cstdio>
#include <cstring>
#include <cublas_v2.h>
#include <vector>
struct cublasContext {
    cudaStream_t s = nullptr;
    cublasPointerMode_t pm = CUBLAS_POINTER_MODE_HOST;
};
namespace {
template <class T> float ld(const T *p) {
    return (float)*p;
}
template <class T> void st(T *p, float v) {
    *p = (T)v;
}
template <class TI, class TO>
void gemm(bool ta, bool tb, int m, int n, int k, float al, const TI *A, int lda, const TI *B, int ldb, float be, TO *C,
          int ldc) {
    std::vector<float> acc(m), a((size_t)m * k); // A unpacked to k-major, so the inner loop vectorises
    if (al != 0)
        for (int l = 0; l < k; l++)
            for (int i = 0; i < m; i++)
                a[(size_t)l * m + i] = ld(&A[ta ? (size_t)i * lda + l : (size_t)l * lda + i]);
    for (int j = 0; j < n; j++) {
        std::fill(acc.begin(), acc.end(), 0.f);
        if (al != 0)
            for (int l = 0; l < k; l++) {
                float b = ld(&B[tb ? (size_t)l * ldb + j : (size_t)j * ldb + l]);
                const float *ap = &a[(size_t)l * m];
                float *cp = acc.data();
                for (int i = 0; i < m; i++)
                    cp[i] += ap[i] * b;
            }
        for (int i = 0; i < m; i++) {
            TO *c = &C[(size_t)j * ldc + i];
            st(c, al * acc[i] + (be == 0 ? 0.f : be * ld(c)));
        }
    }
}
bool ok_dims(bool ta, bool tb, int m, int n, int k, int lda, int ldb, int ldc) {
    return m >= 0 && n >= 0 && k >= 0 && lda >= std::max(1, ta ? k : m) && ldb >= std::max(1, tb ? n : k) &&
           ldc >= std::max(1, m);
}
template <class TI, class TO>
cublasStatus_t go(cublasHandle_t h, cublasOperation_t oa, cublasOperation_t ob, int m, int n, int k, const float *al,
                  const TI *A, int lda, long long sa, const TI *B, int ldb, long long sb, const float *be, TO *C,
                  int ldc, long long sc, int cnt) {
    if (!h)
        return CUBLAS_STATUS_NOT_INITIALIZED;
    bool ta = oa != CUBLAS_OP_N, tb = ob != CUBLAS_OP_N;
    if (!ok_dims(ta, tb, m, n, k, lda, ldb, ldc) || cnt < 0) {
        fprintf(stderr, "cuhost: GEMM with invalid sizes m=%d n=%d k=%d lda=%d ldb=%d ldc=%d\n", m, n, k, lda, ldb,
                ldc);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    if (!m || !n || !cnt)
        return CUBLAS_STATUS_SUCCESS;
    if (cuhost::enter(cudaErrorLaunchFailure))
        return CUBLAS_STATUS_EXECUTION_FAILED;
    auto span = [](int r, int c, int ld_) { return (size_t)(c - 1) * ld_ + r; };
    size_t na = k ? span(ta ? k : m, ta ? m : k, lda) : 0, nbb = k ? span(tb ? n : k, tb ? k : n, ldb) : 0,
           nc = span(m, n, ldc);
    if (!cuhost::is_device_range(A, (na + (size_t)sa * (cnt - 1)) * sizeof(TI)) ||
        !cuhost::is_device_range(B, (nbb + (size_t)sb * (cnt - 1)) * sizeof(TI)) ||
        !cuhost::is_device_range(C, (nc + (size_t)sc * (cnt - 1)) * sizeof(TO))) {
        fprintf(stderr, "cuhost: GEMM operand is not device memory or is too small\n");
        return CUBLAS_STATUS_EXECUTION_FAILED;
    }
    bool dev = h->pm == CUBLAS_POINTER_MODE_DEVICE;
    float a0 = dev ? 0 : *al, b0 = dev ? 0 : *be;
    cuhost::enqueue(h->s, [=] {
        float a = dev ? *al : a0, b = dev ? *be : b0;
        for (int i = 0; i < cnt; i++)
            gemm(ta, tb, m, n, k, a, A + i * sa, lda, B + i * sb, ldb, b, C + i * sc, ldc);
    });
    return CUBLAS_STATUS_SUCCESS;
}
} // namespace
extern "C" {
cublasStatus_t cublasCreate_v2(cublasHandle_t *h) {
    if (cuhost::enter(cudaErrorMemoryAllocation))
        return CUBLAS_STATUS_ALLOC_FAILED;
    *h = new cublasContext;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy_v2(cublasHandle_t h) {
    delete h;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream_v2(cublasHandle_t h, cudaStream_t s) {
    h->s = s;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace_v2(cublasHandle_t, void *, size_t) {
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t, cublasMath_t) {
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetPointerMode_v2(cublasHandle_t h, cublasPointerMode_t m) {
    h->pm = m;
    return CUBLAS_STATUS_SUCCESS;
}
const char *cublasGetStatusString(cublasStatus_t s) {
    return s == CUBLAS_STATUS_SUCCESS ? "success" : "cublas error";
}
cublasStatus_t cublasSgemm_v2(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                              const float *al, const float *A, int lda, const float *B, int ldb, const float *be,
                              float *C, int ldc) {
    return go(h, ta, tb, m, n, k, al, A, lda, 0, B, ldb, 0, be, C, ldc, 0, 1);
}
cublasStatus_t cublasSgemmStridedBatched(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n,
                                         int k, const float *al, const float *A, int lda, long long sa, const float *B,
                                         int ldb, long long sb, const float *be, float *C, int ldc, long long sc,
                                         int cnt) {
    return go(h, ta, tb, m, n, k, al, A, lda, sa, B, ldb, sb, be, C, ldc, sc, cnt);
}
cublasStatus_t cublasGemmEx(cublasHandle_t h, cublasOperation_t ta, cublasOperation_t tb, int m, int n, int k,
                            const void *al, const void *A, cudaDataType At, int lda, const void *B, cudaDataType Bt,
                            int ldb, const void *be, void *C, cudaDataType Ct, int ldc, cublasComputeType_t ct,
                            cublasGemmAlgo_t) {
    if (At != Bt || (ct != CUBLAS_COMPUTE_32F && ct != CUBLAS_COMPUTE_32F_FAST_TF32))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    const float *a = (const float *)al, *b = (const float *)be;
#define CASE(t1, T1, t2, T2)                                                                                           \
    if (At == t1 && Ct == t2)                                                                                          \
    return go(h, ta, tb, m, n, k, a, (const T1 *)A, lda, 0, (const T1 *)B, ldb, 0, b, (T2 *)C, ldc, 0, 1)
    CASE(CUDA_R_32F, float, CUDA_R_32F, float);
    CASE(CUDA_R_16F, __half, CUDA_R_32F, float);
    CASE(CUDA_R_16F, __half, CUDA_R_16F, __half);
    CASE(CUDA_R_16BF, __nv_bfloat16, CUDA_R_32F, float);
    CASE(CUDA_R_16BF, __nv_bfloat16, CUDA_R_16BF, __nv_bfloat16);
    return CUBLAS_STATUS_NOT_SUPPORTED;
}
}
