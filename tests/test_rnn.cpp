/* The simple recurrent layer, with tanh and ReLU. */
#include "recurrent.hpp"

#include <cmath>

namespace crs {

static double step(crs_activation activation, const double *sums, double *) {
    return activation == CRS_RELU ? std::fmax(0, sums[0]) : std::tanh(sums[0]);
}

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    static const Cell cell = {
        1, &crs_ops::rnn_reserve, &crs_ops::rnn_forward, &crs_ops::rnn_backward, {CRS_TANH, CRS_RELU}, step};
    return check_recurrent(cell, under_test, oracle);
}

} // namespace crs
