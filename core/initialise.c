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

/* Eight sums side by side: a chain of dependent additions would set the pace. */
static double dot(int64_t n, const double *a, const double *b) {
    double sum[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* ---- orthonormal vectors ---- */

enum { PANEL = 16 }; /* vectors that stay in the cache while the earlier ones pass by */

static void draw_vector(crs__random *random, int64_t n, double *vector) {
    for (int64_t i = 0; i < n; i++)
        vector[i] = draw_normal(random);
}

/* Takes the part along a unit vector out of another. */
static void project(int64_t n, const double *unit, double *vector) {
    const double along = dot(n, unit, vector);
    for (int64_t i = 0; i < n; i++)
        vector[i] -= along * unit[i];
}

/* Makes vector j of length 1 and orthogonal to all before it; those before `first` have been taken out already, when
 * its norm was `norm`. Where more than half of it went, rounding has left too much, and it is done once more. */
static void finish_vector(crs__random *random, int64_t n, double *vectors, int64_t j, int64_t first, double norm) {
    double *vector = vectors + j * n;
    for (;;) {
        for (int64_t k = first; k < j; k++)
            project(n, vectors + k * n, vector);
        const double left = sqrt(dot(n, vector, vector));
        if (left > norm / 2) {
            for (int64_t i = 0; i < n; i++)
                vector[i] /= left;
            return;
        }
        norm = left;
        first = 0;
        if (norm == 0) {
            draw_vector(random, n, vector);
            norm = sqrt(dot(n, vector, vector));
        }
    }
}

/* Orthonormal columns of [rows, columns], rows >= columns: the Q of a normal matrix with the diagonal of R positive,
 * which is what Keras' QR with the signs put right gives. Gram and Schmidt's method, modified, repeated where needed
 * (Daniel, Gragg, Kaufman and Stewart 1976). The vectors are worked on as rows, then transposed. */
static crs_status fill_orthogonal(crs__random *random, int64_t rows, int64_t columns, double *values) {
    double *vectors = malloc((size_t)rows * (size_t)columns * sizeof *vectors), norms[PANEL];
    if (!vectors)
        return CRS_ERR_MEMORY;
    for (int64_t begin = 0; begin < columns; begin += PANEL) {
        const int64_t end = begin + PANEL < columns ? begin + PANEL : columns;
        for (int64_t j = begin; j < end; j++) {
            draw_vector(random, rows, vectors + j * rows);
            norms[j - begin] = sqrt(dot(rows, vectors + j * rows, vectors + j * rows));
        }
        for (int64_t k = 0; k < begin; k++)
            for (int64_t j = begin; j < end; j++)
                project(rows, vectors + k * rows, vectors + j * rows);
        for (int64_t j = begin; j < end; j++)
            finish_vector(random, rows, vectors, j, begin, norms[j - begin]);
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
        fill_uniform(&random, sqrt(6.0 / ((double)(rows + columns) * (double)tensor->taps)), tensor->size, values);
        return CRS_OK;
    case CRS__INIT_ONES:
        for (int64_t i = 0; i < tensor->size; i++)
            values[i] = 1;
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
