/* The matrix product of cuBLAS, column-major: C = alpha op(A) op(B) + beta C with op(A) m x k, op(B) k x n. Products
 * are summed in float, whatever the elements are. Plain loops on purpose: a library's product is not compiled for the
 * sanitizers, and would hide what it overruns. */
#ifndef CUHOST_BLAS_GEMM_HPP
#define CUHOST_BLAS_GEMM_HPP

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace cuhost {

template <class T> struct Matrix {
    T *elements;
    size_t ld; /* elements from a column to the next */
    bool transposed = false;

    T &at(size_t row, size_t column) const {
        return transposed ? elements[row * ld + column] : elements[column * ld + row];
    }
};

struct GemmSize {
    size_t m, n, k;
};

/* A factor as TF32 holds it: ten bits of mantissa, to the nearest. Infinities and NaN stay what they are. */
inline float rounded_to_tf32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7F800000u) != 0x7F800000u)
        bits = (bits + 0x1000u) & ~0x1FFFu;
    memcpy(&value, &bits, sizeof bits);
    return value;
}

/* tf32: the factors are rounded to it, as tensor cores do. */
template <class In, class Out>
void gemm(GemmSize size, float alpha, Matrix<const In> a, Matrix<const In> b, float beta, Matrix<Out> c,
          bool tf32 = false) {
    const auto factor_of = [tf32](In element) {
        return tf32 ? rounded_to_tf32(static_cast<float>(element)) : static_cast<float>(element);
    };
    const size_t m = size.m, k = alpha == 0 ? 0 : size.k; /* with alpha 0, A and B are not read */
    std::vector<float> packed(m * k), column(m); /* A's columns, one after another, for an inner loop of stride 1 */
    for (size_t l = 0; l < k; l++)
        for (size_t i = 0; i < m; i++)
            packed[l * m + i] = factor_of(a.at(i, l));
    for (size_t j = 0; j < size.n; j++) {
        column.assign(m, 0.0f);
        for (size_t l = 0; l < k; l++) {
            const float factor = factor_of(b.at(l, j));
            for (size_t i = 0; i < m; i++)
                column[i] += packed[l * m + i] * factor;
        }
        for (size_t i = 0; i < m; i++) {
            Out &element = c.at(i, j);
            /* with beta 0, C is not read */
            element = static_cast<Out>(alpha * column[i] + (beta == 0 ? 0.0f : beta * static_cast<float>(element)));
        }
    }
}

} // namespace cuhost

#endif
