/* First weights, as Keras draws them: Glorot and Bengio, "Understanding the difficulty of training deep feedforward
 * neural networks", AISTATS 2010; Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning
 * in deep linear neural networks", ICLR 2014. In double on the host, so that every backend starts from the same
 * numbers. */
#include "layer.h"
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void fill_uniform(crs__random *random, double limit, int64_t size, double *values) {
    for (int64_t i = 0; i < size; i++)
        values[i] = (2 * crs__random_unit(random) - 1) * limit;
}

/* Box and Muller 1958; 1 - unit is in (0, 1], so that the logarithm is finite. */
static double draw_normal(crs__random *random) {
    const double radius = sqrt(-2 * log(1 - crs__random_unit(random)));
    return radius * cos(6.283185307179586476925 * crs__random_unit(random));
}

/* Four sums side by side: a chain of dependent additions would set the pace. */
static double dot(int64_t n, const double *a, const double *b) {
    double sum[4] = {0, 0, 0, 0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

static void subtract(int64_t n, double factor, const double *a, double *b) {
    for (int64_t i = 0; i < n; i++)
        b[i] -= factor * a[i];
}

/* Orthonormal columns of [rows, columns], rows >= columns: the Q of a normal matrix with the diagonal of R positive,
 * which is what Keras' QR with the signs put right gives. Gram and Schmidt's method done twice is orthogonal to
 * rounding (Giraud, Langou and Rozloznik 2005). The vectors are worked on as rows, then transposed. */
static crs_status fill_orthogonal(crs__random *random, int64_t rows, int64_t columns, double *values) {
    double *vectors = malloc((size_t)rows * (size_t)columns * sizeof *vectors);
    if (!vectors)
        return CRS_ERR_MEMORY;
    for (int64_t j = 0; j < columns; j++) {
        double *vector = vectors + j * rows, norm = 0;
        /* A vector that (almost) lies in the span of the ones before it is drawn again. */
        while (!(norm > 1e-3)) {
            for (int64_t i = 0; i < rows; i++)
                vector[i] = draw_normal(random);
            for (int pass = 0; pass < 2; pass++)
                for (int64_t k = 0; k < j; k++)
                    subtract(rows, dot(rows, vectors + k * rows, vector), vectors + k * rows, vector);
            norm = sqrt(dot(rows, vector, vector));
        }
        for (int64_t i = 0; i < rows; i++)
            vector[i] /= norm;
    }
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            values[i * columns + j] = vectors[j * rows + i];
    free(vectors);
    return CRS_OK;
}

crs_status crs__initialise(const crs__tensor *tensor, uint64_t seed, double *values) {
    crs__random random = crs__random_of(seed, CRS__RANDOM_WEIGHTS, tensor->stream, 0);
    const int64_t rows = tensor->shape[0], columns = tensor->shape[1];
    switch (tensor->initialiser) {
    case CRS__INIT_GLOROT:
        fill_uniform(&random, sqrt(6.0 / (double)(rows + columns)), tensor->size, values);
        return CRS_OK;
    case CRS__INIT_ORTHOGONAL:
        return fill_orthogonal(&random, rows, columns, values);
    case CRS__INIT_EMBEDDING:
        fill_uniform(&random, 0.05, tensor->size, values);
        return CRS_OK;
    case CRS__INIT_ZEROS:
    case CRS__INIT_FORGET:
        memset(values, 0, (size_t)tensor->size * sizeof *values);
        /* Gates i f g o: the second quarter. */
        for (int64_t i = rows / 4; tensor->initialiser == CRS__INIT_FORGET && i < rows / 2; i++)
            values[i] = 1;
        return CRS_OK;
    }
    return CRS_ERR_ARGUMENT;
}
