/* The long short-term memory. */
#include "recurrent.hpp"

#include <cmath>

namespace crs {

static double sigmoid(double z) {
    return 1 / (1 + std::exp(-z));
}

static double step(crs_activation, const double *sums, double *c) {
    const double i = sigmoid(sums[0]), f = sigmoid(sums[1]), g = std::tanh(sums[2]), o = sigmoid(sums[3]);
    *c = f * *c + i * g;
    return o * std::tanh(*c);
}

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    static const Cell cell = {4,   &crs_ops::lstm_reserve, &crs_ops::lstm_forward, &crs_ops::lstm_backward, {CRS_TANH},
                              step};
    return check_recurrent(cell, under_test, oracle);
}

} // namespace crs
