/* What a window over time and positions sees, as ops.h has it, and a convolution written out in double: the reference
 * of conv and of onehot, whose input it takes in full. */
#ifndef CRS_TESTS_WINDOW_HPP
#define CRS_TESTS_WINDOW_HPP

#include "live.hpp"

#include <cmath>

namespace crs {

/* A convolution's sizes. */
struct ConvShape {
    int64_t T, B, P, I, O;
    crs_window window;
    int64_t T_out, P_out;
    crs_activation activation = CRS_LINEAR;
    Live live = Live::all;
    bool dx = true;

    int64_t columns() const {
        return window.size[0] * window.size[1] * I;
    }
    int64_t outputs() const {
        return T_out * B * P_out * O;
    }
    std::string text() const {
        const auto number = [](int64_t n) { return static_cast<long long>(n); };
        return format("T %lld>%lld B %lld P %lld>%lld I %lld O %lld size %lldx%lld stride %lldx%lld dilation %lldx%lld "
                      "before %lld,%lld act %d live %d dx %d",
                      number(T), number(T_out), number(B), number(P), number(P_out), number(I), number(O),
                      number(window.size[0]), number(window.size[1]), number(window.stride[0]),
                      number(window.stride[1]), number(window.dilation[0]), number(window.dilation[1]),
                      number(window.before[0]), number(window.before[1]), activation, static_cast<int>(live), dx);
    }
};

/* Outputs along an axis where the window may reach `after` beyond the end: at least one. */
inline int64_t outputs_along(int64_t inputs, const crs_window &w, int axis, int64_t after) {
    const int64_t room = inputs + w.before[axis] + after - (w.size[axis] - 1) * w.dilation[axis] - 1;
    return room < 0 ? 1 : room / w.stride[axis] + 1;
}

/* A shape with as many outputs as see nothing beyond the end but what `after` says. */
inline ConvShape conv_shape(int64_t T, int64_t B, int64_t P, int64_t I, int64_t O, const crs_window &window,
                            int64_t after_time = 0, int64_t after_positions = 0) {
    return {
        T, B, P, I, O, window, outputs_along(T, window, 0, after_time), outputs_along(P, window, 1, after_positions)};
}

inline double conv_activate(crs_activation activation, double z) {
    switch (activation) {
    case CRS_LINEAR:
        return z;
    case CRS_RELU:
        return z > 0 ? z : 0;
    case CRS_TANH:
        return std::tanh(z);
    case CRS_SIGMOID:
        return 1 / (1 + std::exp(-z));
    }
    return std::nan("");
}

inline double conv_slope(crs_activation activation, double z) {
    switch (activation) {
    case CRS_LINEAR:
        return 1;
    case CRS_RELU:
        return z > 0;
    case CRS_TANH:
        return 1 / (std::cosh(z) * std::cosh(z));
    case CRS_SIGMOID:
        return 1 / ((1 + std::exp(-z)) * (1 + std::exp(z)));
    }
    return std::nan("");
}

/* Calls seen(tap, first element of W's row of I, first element of x's row of I) for all that output (t,b,p) sees. */
template <class Seen>
void each_seen(const ConvShape &s, const Numbers &in, int64_t t, int64_t b, int64_t p, const Seen &seen) {
    const crs_window &w = s.window;
    for (int64_t i = 0; i < w.size[0]; i++)
        for (int64_t j = 0; j < w.size[1]; j++) {
            const int64_t at_t = t * w.stride[0] + i * w.dilation[0] - w.before[0];
            const int64_t at_p = p * w.stride[1] + j * w.dilation[1] - w.before[1];
            if (at_t >= 0 && at_t < s.T && at_p >= 0 && at_p < s.P && is_live(in, s.T, at_t, b))
                seen((i * w.size[1] + j) * s.I, ((at_t * s.B + b) * s.P + at_p) * s.I);
        }
}

/* Outputs and gradients from the formula; x as given, whatever `in` has. Sums are long double: added up one by one, in
 * double they would be less exact than those of the backend in double. */
inline Numbers conv_reference(const ConvShape &s, const Numbers &in, const std::vector<double> &x) {
    const std::vector<double> &W = in.at("W");
    const int64_t columns = s.columns();
    std::vector<double> y, dz;
    std::vector<long double> dx(x.size()), dW(W.size()), db(in.at("b").size());
    for (int64_t row = 0; row < s.T_out * s.B * s.P_out; row++) {
        const int64_t p = row % s.P_out, b = row / s.P_out % s.B, t = row / s.P_out / s.B;
        std::vector<long double> z(in.at("b").begin(), in.at("b").end());
        each_seen(s, in, t, b, p, [&](int64_t column, int64_t from) {
            for (int64_t o = 0; o < s.O; o++)
                for (int64_t i = 0; i < s.I; i++)
                    z[o] += static_cast<long double>(W[o * columns + column + i]) * x[from + i];
        });
        for (int64_t o = 0; o < s.O; o++) {
            y.push_back(conv_activate(s.activation, static_cast<double>(z[o])));
            dz.push_back(in.at("dy")[row * s.O + o] * conv_slope(s.activation, static_cast<double>(z[o])));
            db[o] += dz.back();
        }
        each_seen(s, in, t, b, p, [&](int64_t column, int64_t from) {
            for (int64_t o = 0; o < s.O; o++)
                for (int64_t i = 0; i < s.I; i++) {
                    dW[o * columns + column + i] += dz[row * s.O + o] * x[from + i];
                    dx[from + i] += dz[row * s.O + o] * W[o * columns + column + i];
                }
        });
    }
    Numbers out = {{"y", y}, {"dy", dz}, {"dW", {dW.begin(), dW.end()}}, {"db", {db.begin(), db.end()}}};
    if (s.dx)
        out["dx"].assign(dx.begin(), dx.end());
    return out;
}

/* The longest sum behind an element: a window's inputs, all outputs in a gradient. */
inline double conv_terms(const ConvShape &s) {
    return static_cast<double>(s.columns() + s.T_out * s.B * s.P_out + s.O);
}

} // namespace crs
#endif
