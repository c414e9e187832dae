/* The gated recurrent unit, with the reset gate after the product of the recurrence and before it. */
#include "recurrent.hpp"

#include <cmath>

namespace crs {

static double sigmoid(double z) {
    return 1 / (1 + std::exp(-z));
}

static std::vector<double> step(const RecurrentStep &s, std::vector<double> *) {
    std::vector<double> r, z, h, reset;
    for (int64_t j = 0; j < s.H; j++) {
        r.push_back(sigmoid(s.input[j] + s.recurrent(j, s.h_masked)));
        z.push_back(sigmoid(s.input[s.H + j] + s.recurrent(s.H + j, s.h_masked)));
        reset.push_back(r[j] * s.h_masked[j]);
    }
    for (int64_t j = 0; j < s.H; j++) {
        const int64_t row = 2 * s.H + j;
        const double gated = s.reset_after ? r[j] * s.recurrent(row, s.h_masked) : s.recurrent(row, reset);
        h.push_back((1 - z[j]) * std::tanh(s.input[row] + gated) + z[j] * s.h_before[j]);
    }
    return h;
}

/* The second bias belongs to reset after: where the two disagree, nothing is guessed. */
static Verdict check_biases(const Backend &under_test) {
    const Device device(under_test, 1);
    for (const bool reset_after : {false, true}) {
        const float bias = 0;
        crs_recurrent a = {};
        a.reset_after = reset_after;
        a.b_hh = reset_after ? nullptr : &bias;
        const crs_status forward = device.ops().gru_forward(device.handle(), &a);
        const crs_status backward = device.ops().gru_backward(device.handle(), &a);
        if (forward != CRS_ERR_ARGUMENT || backward != CRS_ERR_ARGUMENT)
            return Verdict::fail(format("reset_after %d: status %d and %d", reset_after, forward, backward));
    }
    return Verdict::pass();
}

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    static const Cell cell = {3,
                              &crs_ops::gru_reserve,
                              &crs_ops::gru_forward,
                              &crs_ops::gru_backward,
                              {{CRS_TANH, true}, {CRS_TANH, false, true}},
                              step};
    CRS_TRY(check_recurrent(cell, under_test, oracle));
    return check_biases(under_test);
}

} // namespace crs
