/* The simple recurrent layer, with tanh and ReLU. */
#include "recurrent.hpp"

#include <cmath>

namespace crs {

static std::vector<double> step(const RecurrentStep &s, std::vector<double> *) {
    std::vector<double> h;
    for (int64_t j = 0; j < s.H; j++) {
        const double sum = s.input[j] + s.recurrent(j, s.h_masked);
        h.push_back(s.activation == CRS_RELU ? std::fmax(0, sum) : std::tanh(sum));
    }
    return h;
}

/* There are two activations, and no other is taken for one of them. */
static Verdict check_activations(const Backend &under_test) {
    const Device device(under_test, 1);
    for (const crs_activation activation : {CRS_LINEAR, CRS_SIGMOID}) {
        crs_recurrent a = {};
        a.activation = activation;
        const crs_status forward = device.ops().rnn_forward(device.handle(), &a);
        const crs_status backward = device.ops().rnn_backward(device.handle(), &a);
        if (forward != CRS_ERR_ARGUMENT || backward != CRS_ERR_ARGUMENT)
            return Verdict::fail(format("activation %d: status %d and %d", activation, forward, backward));
    }
    return Verdict::pass();
}

Verdict check_operation(const Backend &under_test, const Backend &oracle) {
    static const Cell cell = {1,
                              &crs_ops::rnn_reserve,
                              &crs_ops::rnn_forward,
                              &crs_ops::rnn_backward,
                              {{CRS_TANH, false}, {CRS_RELU, false}},
                              step};
    CRS_TRY(check_recurrent(cell, under_test, oracle));
    return check_activations(under_test);
}

} // namespace crs
