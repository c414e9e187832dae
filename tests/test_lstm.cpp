/* The long short-term memory. */
#include "recurrent.hpp"

#include <cmath>

namespace crs {

static double sigmoid(double z) {
    return 1 / (1 + std::exp(-z));
}

static std::vector<double> step(const RecurrentStep &s, std::vector<double> *c) {
    std::vector<double> h;
    for (int64_t j = 0; j < s.H; j++) {
        const auto sum = [&](int64_t gate) {
            const int64_t row = gate * s.H + j;
            return s.input[row] + s.recurrent(row, s.h_masked);
        };
        const double i = sigmoid(sum(0)), f = sigmoid(sum(1)), g = std::tanh(sum(2)), o = sigmoid(sum(3));
        (*c)[j] = f * (*c)[j] + i * g;
        h.push_back(o * std::tanh((*c)[j]));
    }
    return h;
}

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    static const Cell cell = {
        4, &crs_ops::lstm_reserve, &crs_ops::lstm_forward, &crs_ops::lstm_backward, {{CRS_TANH, false}}, step};
    return check_recurrent(cell, under_test, oracle);
}

} // namespace crs
