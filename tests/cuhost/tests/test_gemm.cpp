/* The layer's matrix product against three plain loops in double. */
#include "../cuhost_test.h"

#include <cmath>
#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

namespace {

const float not_a_number = std::numeric_limits<float>::quiet_NaN();

template <class T> float value(T element) {
    return static_cast<float>(element);
}

/* Column-major: ld from a column to the next. Numbers that every type holds exactly; what pads a column is NaN. */
template <class T> std::vector<T> matrix(int rows, int columns, int ld, int seed) {
    std::vector<T> elements(static_cast<size_t>(ld) * static_cast<size_t>(columns - 1) + static_cast<size_t>(rows),
                            static_cast<T>(not_a_number));
    for (int j = 0; j < columns; j++)
        for (int i = 0; i < rows; i++)
            elements[static_cast<size_t>(j * ld + i)] =
                static_cast<T>(0.25f * static_cast<float>((i * 7 + j * 5 + seed) % 11 - 5));
    return elements;
}

template <class T> class Device {
  public:
    explicit Device(const std::vector<T> &host) : size_(host.size()) {
        EXPECT_EQ(cudaMalloc(&elements, size_ * sizeof(T)), cudaSuccess);
        EXPECT_EQ(cudaMemcpy(elements, host.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
    }
    ~Device() {
        cudaFree(elements);
    }
    Device(const Device &) = delete;
    Device &operator=(const Device &) = delete;
    std::vector<T> host() const {
        std::vector<T> copy(size_);
        EXPECT_EQ(cudaMemcpy(copy.data(), elements, size_ * sizeof(T), cudaMemcpyDeviceToHost), cudaSuccess);
        return copy;
    }
    T *elements = nullptr;

  private:
    size_t size_;
};

class Gemm : public testing::Test {
  protected:
    void SetUp() override {
        ASSERT_EQ(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
    }
    void TearDown() override {
        EXPECT_EQ(cublasDestroy(handle), CUBLAS_STATUS_SUCCESS);
        EXPECT_EQ(cuhost_alive(), 0);
    }
    cublasHandle_t handle = nullptr;
};

const cublasOperation_t operations[] = {CUBLAS_OP_N, CUBLAS_OP_T};

/* One element of alpha op(A) op(B) + beta C. */
template <class In, class Out>
double expected(int i, int j, int k, cublasOperation_t op_a, cublasOperation_t op_b, const std::vector<In> &a, int lda,
                const std::vector<In> &b, int ldb, const std::vector<Out> &c, int ldc, double alpha, double beta) {
    double sum = 0;
    for (int l = 0; l < k; l++)
        sum += static_cast<double>(value(a[static_cast<size_t>(op_a == CUBLAS_OP_N ? l * lda + i : i * lda + l)])) *
               value(b[static_cast<size_t>(op_b == CUBLAS_OP_N ? j * ldb + l : l * ldb + j)]);
    return alpha * sum + (beta == 0 ? 0 : beta * value(c[static_cast<size_t>(j * ldc + i)]));
}

template <class In, class Out>
void test_types(cublasHandle_t handle, cudaDataType in, cudaDataType out, double tolerance) {
    const int m = 5, n = 7, k = 6, ldc = m + 3;
    const float alpha = 1.5f, beta = 0.5f;
    for (cublasOperation_t op_a : operations)
        for (cublasOperation_t op_b : operations) {
            const bool ta = op_a != CUBLAS_OP_N, tb = op_b != CUBLAS_OP_N;
            const int lda = (ta ? k : m) + 1, ldb = (tb ? n : k) + 2;
            const std::vector<In> a = matrix<In>(ta ? k : m, ta ? m : k, lda, 1);
            const std::vector<In> b = matrix<In>(tb ? n : k, tb ? k : n, ldb, 2);
            const std::vector<Out> c = matrix<Out>(m, n, ldc, 3);
            const Device<In> da(a), db(b);
            const Device<Out> dc(c);
            ASSERT_EQ(cublasGemmEx(handle, op_a, op_b, m, n, k, &alpha, da.elements, in, lda, db.elements, in, ldb,
                                   &beta, dc.elements, out, ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
                      CUBLAS_STATUS_SUCCESS);
            const std::vector<Out> got = dc.host();
            for (size_t e = 0; e < got.size(); e++) {
                const int i = static_cast<int>(e) % ldc, j = static_cast<int>(e) / ldc;
                if (i >= m) {
                    EXPECT_TRUE(std::isnan(value(got[e]))) << "what pads column " << j << " was written";
                    continue;
                }
                const double want = expected(i, j, k, op_a, op_b, a, lda, b, ldb, c, ldc, alpha, beta);
                EXPECT_NEAR(value(got[e]), want, tolerance * (1 + std::fabs(want))) << i << ", " << j;
            }
        }
}

TEST_F(Gemm, EveryTranspositionOfEveryType) {
    test_types<float, float>(handle, CUDA_R_32F, CUDA_R_32F, 1e-6);
    test_types<__half, float>(handle, CUDA_R_16F, CUDA_R_32F, 1e-6);
    test_types<__half, __half>(handle, CUDA_R_16F, CUDA_R_16F, 1e-3);
    test_types<__nv_bfloat16, float>(handle, CUDA_R_16BF, CUDA_R_32F, 1e-6);
    test_types<__nv_bfloat16, __nv_bfloat16>(handle, CUDA_R_16BF, CUDA_R_16BF, 8e-3);
}

TEST_F(Gemm, BatchesOfEveryTransposition) {
    const int m = 3, n = 2, k = 4, count = 5, stride = 21;
    const float alpha = 2, beta = -1;
    for (cublasOperation_t op_a : operations)
        for (cublasOperation_t op_b : operations) {
            const int lda = op_a == CUBLAS_OP_N ? m : k, ldb = op_b == CUBLAS_OP_N ? k : n;
            const std::vector<float> a = matrix<float>(stride, count, stride, 1),
                                     b = matrix<float>(stride, count, stride, 4);
            const std::vector<float> c = matrix<float>(stride, count, stride, 7);
            const Device<float> da(a), db(b), dc(c);
            ASSERT_EQ(cublasSgemmStridedBatched(handle, op_a, op_b, m, n, k, &alpha, da.elements, lda, stride,
                                                db.elements, ldb, stride, &beta, dc.elements, m, stride, count),
                      CUBLAS_STATUS_SUCCESS);
            const std::vector<float> got = dc.host();
            for (int q = 0; q < count; q++) {
                const auto part = [&](const std::vector<float> &all) {
                    return std::vector<float>(all.begin() + q * stride, all.begin() + (q + 1) * stride);
                };
                const std::vector<float> one = part(got), before = part(c);
                for (int e = 0; e < stride; e++) {
                    const double want = e < m * n ? expected(e % m, e / m, k, op_a, op_b, part(a), lda, part(b), ldb,
                                                             before, m, alpha, beta)
                                                  : before[static_cast<size_t>(e)];
                    EXPECT_EQ(one[static_cast<size_t>(e)], want) << "element " << e << " of product " << q;
                }
            }
        }
}

TEST_F(Gemm, ReadsNothingThatAFactorOfZeroRemoves) {
    const float zero = 0, one = 1;
    const std::vector<float> nans(4, not_a_number), twos(4, 2);
    const Device<float> a(twos), b(twos), unread(nans), c(nans), d(twos);
    ASSERT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, a.elements, 2, b.elements, 2, &zero,
                          c.elements, 2),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(c.host(), std::vector<float>(4, 8));
    ASSERT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &zero, unread.elements, 2, b.elements, 2, &one,
                          d.elements, 2),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(d.host(), twos);
    ASSERT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 0, &one, unread.elements, 2, b.elements, 2, &zero,
                          d.elements, 2),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(d.host(), std::vector<float>(4, 0));
}

TEST_F(Gemm, FactorsInDeviceMemoryAreReadWhenTheWorkRuns) {
    const std::vector<float> twos(4, 2), factors{3, 1};
    const Device<float> a(twos), b(twos), c(twos), f(std::vector<float>(2));
    ASSERT_EQ(cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_DEVICE), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cudaMemcpyAsync(f.elements, factors.data(), 8, cudaMemcpyHostToDevice, nullptr), cudaSuccess);
    ASSERT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, f.elements, a.elements, 2, b.elements, 2,
                          f.elements + 1, c.elements, 2),
              CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(c.host(), std::vector<float>(4, 3 * 8 + 2));
}

/* The last element of each operand counts, and no more: 2 x 3 by 3 x 4, leading dimensions 5, 6, 7. */
TEST_F(Gemm, OperandsMustBeLargeEnoughAndOnTheDevice) {
    const float one = 1, zero = 0;
    const size_t sizes[3] = {5 * 2 + 2, 6 * 3 + 3, 7 * 3 + 2};
    const auto product = [&](const float *a, const float *b, float *c) {
        return cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 4, 3, &one, a, 5, b, 6, &zero, c, 7);
    };
    for (int small = -1; small < 3; small++) {
        const auto floats = [&](int which) { return std::vector<float>(sizes[which] - (which == small)); };
        const Device<float> a(floats(0)), b(floats(1)), c(floats(2));
        EXPECT_EQ(product(a.elements, b.elements, c.elements),
                  small < 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED)
            << small;
        EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    }
    std::vector<float> host(sizes[2]);
    const Device<float> a(std::vector<float>(sizes[0], 1)), b(std::vector<float>(sizes[1], 1));
    EXPECT_EQ(product(a.elements, b.elements, host.data()), CUBLAS_STATUS_EXECUTION_FAILED);
    EXPECT_EQ(product(host.data(), b.elements, a.elements), CUBLAS_STATUS_EXECUTION_FAILED);
}

TEST_F(Gemm, SizesAndHandlesAreChecked) {
    const float one = 1, zero = 0;
    const Device<float> d(std::vector<float>(100));
    const auto product = [&](cublasHandle_t with, int m, int n, int k, int lda, int ldb, int ldc) {
        return cublasSgemm(with, CUBLAS_OP_N, CUBLAS_OP_T, m, n, k, &one, d.elements, lda, d.elements, ldb, &zero,
                           d.elements, ldc);
    };
    EXPECT_EQ(product(handle, 4, 3, 2, 4, 3, 4), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(product(handle, 4, 3, 2, 3, 3, 4), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(product(handle, 4, 3, 2, 4, 2, 4), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(product(handle, 4, 3, 2, 4, 3, 3), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(product(handle, -1, 3, 2, 4, 3, 4), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(product(handle, 0, 3, 2, 4, 3, 4), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(product(nullptr, 4, 3, 2, 4, 3, 4), CUBLAS_STATUS_NOT_INITIALIZED);
    EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, d.elements, CUDA_R_64F, 1, d.elements,
                           CUDA_R_64F, 1, &zero, d.elements, CUDA_R_64F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_NOT_SUPPORTED);
    EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

/* TF32 has ten bits of mantissa: the eleventh is rounded away where it is asked for, and the device has it. */
TEST_F(Gemm, RoundsFactorsToTF32WhereAsked) {
    const float one = 1, zero = 0, fine = 1 + 1.0f / 4096, coarse = 1 + 1.0f / 1024;
    const auto square = [&](float x, cublasComputeType_t compute) {
        const Device<float> a({x}), c({0.0f});
        EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.elements, CUDA_R_32F, 1, a.elements,
                               CUDA_R_32F, 1, &zero, c.elements, CUDA_R_32F, 1, compute, CUBLAS_GEMM_DEFAULT),
                  CUBLAS_STATUS_SUCCESS);
        return c.host()[0];
    };
    EXPECT_EQ(square(fine, CUBLAS_COMPUTE_32F), fine * fine);
    EXPECT_EQ(square(fine, CUBLAS_COMPUTE_32F_FAST_TF32), 1);
    EXPECT_EQ(square(coarse, CUBLAS_COMPUTE_32F_FAST_TF32), coarse * coarse);
    EXPECT_TRUE(std::isnan(square(not_a_number, CUBLAS_COMPUTE_32F_FAST_TF32)));
    EXPECT_TRUE(std::isinf(square(std::numeric_limits<float>::infinity(), CUBLAS_COMPUTE_32F_FAST_TF32)));
    ASSERT_EQ(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(square(fine, CUBLAS_COMPUTE_32F), 1);
    cuhost_devices(1, 75);
    EXPECT_EQ(square(fine, CUBLAS_COMPUTE_32F), fine * fine);
    cuhost_devices(1, 80);
}

TEST_F(Gemm, HandlesKeepTheirSettings) {
    cublasMath_t mode;
    ASSERT_EQ(cublasSetMathMode(handle, CUBLAS_PEDANTIC_MATH), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cublasGetMathMode(handle, &mode), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(mode, CUBLAS_PEDANTIC_MATH);
    int version = 0;
    EXPECT_EQ(cublasGetVersion(handle, &version), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(version, CUBLAS_VERSION);

    const Device<float> workspace(std::vector<float>(256));
    EXPECT_EQ(cublasSetWorkspace(handle, workspace.elements, 1024), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasSetWorkspace(handle, workspace.elements, 1025), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_EQ(cublasSetWorkspace(handle, workspace.elements + 1, 1000), CUBLAS_STATUS_INVALID_VALUE);

    cudaStream_t stream = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    EXPECT_EQ(cublasSetStream(handle, stream), CUBLAS_STATUS_SUCCESS);
    ASSERT_EQ(cudaStreamDestroy(stream), cudaSuccess);
    EXPECT_EQ(cublasSetStream(handle, stream), CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_STREQ(cublasGetStatusString(CUBLAS_STATUS_ALLOC_FAILED), "the resource allocation failed");
}

} // namespace
