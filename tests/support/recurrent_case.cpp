/* The numbers of a recurrent layer's cases, and what is expected of them. */
#include "recurrent_case.hpp"

#include "philox.hpp"

#include <algorithm>
#include <cmath>

namespace crs {

crs_recurrent recurrent_sizes(const RecurrentShape &s) {
    crs_recurrent a = {};
    a.steps.T = s.T;
    a.steps.B = s.B;
    a.I = s.I;
    a.H = s.H;
    a.reverse = s.reverse;
    a.activation = s.variant.activation;
    a.reset_after = s.variant.reset_after;
    a.training = s.training;
    a.input_mask = {s.input_rate, 0x123456789abcdef1u, 3};
    a.recurrent_mask = {s.recurrent_rate, 0x123456789abcdef1u, 4};
    a.ldy = s.row();
    return a;
}

int64_t recurrent_input_width(const Cell &cell, const RecurrentShape &s) {
    return s.projected ? cell.gates * s.H : s.I;
}

Numbers recurrent_inputs(const Cell &cell, const RecurrentShape &s) {
    Random random(static_cast<uint64_t>(s.T * 1000003 + s.B * 10007 + s.I * 101 + s.H));
    const int64_t rows = cell.gates * s.H;
    Numbers in;
    add_live(s.live, s.T, s.B, random, &in);
    in["x"] = random.reals(s.T * s.B * recurrent_input_width(cell, s), s.scale);
    in["W"] = random.reals(rows * s.I, 1.5 / std::sqrt(static_cast<double>(s.I)));
    in["R"] = random.reals(rows * s.H, 1.5 / std::sqrt(static_cast<double>(s.H)));
    in["b"] = random.reals(rows, 0.5 * std::min(1.0, s.scale));
    in["dy"] = random.reals(s.T * s.B * s.H);
    in["dh_last"] = random.reals(s.B * s.H);
    in["dW"] = random.reals(rows * s.I);
    in["dR"] = random.reals(rows * s.H);
    in["db"] = random.reals(rows);
    if (s.variant.reset_after) {
        in["b_hh"] = random.reals(rows, 0.5 * std::min(1.0, s.scale));
        in["db_hh"] = random.reals(rows);
    }
    return in;
}

static double dot(const double *weights, const std::vector<double> &values) {
    double sum = 0;
    for (size_t i = 0; i < values.size(); i++)
        sum += weights[i] * values[i];
    return sum;
}

/* `n` elements of all, through the mask. */
static std::vector<double> masked(const double *all, const double *mask, int64_t n) {
    std::vector<double> values(all, all + n);
    for (size_t i = 0; i < values.size(); i++)
        values[i] *= mask[i];
    return values;
}

Numbers recurrent_reference(const Cell &cell, const RecurrentShape &s, const Numbers &in) {
    const crs_recurrent a = recurrent_sizes(s);
    const crs_mask none = {};
    const std::vector<double> x_mask = mask_factors(s.training ? a.input_mask : none, recurrent_step_number, s.B * s.I);
    const std::vector<double> h_mask =
        mask_factors(s.training ? a.recurrent_mask : none, recurrent_step_number, s.B * s.H);
    const double *x = in.at("x").data(), *W = in.at("W").data(), *R = in.at("R").data();
    RecurrentStep step = {};
    step.H = s.H;
    step.activation = s.variant.activation;
    step.reset_after = s.variant.reset_after;
    step.recurrent = [&](int64_t row, const std::vector<double> &state) {
        return dot(R + row * s.H, state) + (s.variant.reset_after ? in.at("b_hh")[row] : 0);
    };
    Numbers out;
    out["y"].resize(static_cast<size_t>(s.T * s.B * s.H));
    for (int64_t r = 0; r < s.B; r++) {
        std::vector<double> h(static_cast<size_t>(s.H)), c(h);
        for (int64_t k = 0; k < s.T; k++) {
            const int64_t t = s.reverse ? s.T - 1 - k : k;
            if (is_live(in, s.T, t, r)) {
                const double *xt = x + (t * s.B + r) * recurrent_input_width(cell, s);
                const std::vector<double> seen =
                    s.projected ? std::vector<double>() : masked(xt, &x_mask[r * s.I], s.I);
                step.input = in.at("b");
                for (int64_t row = 0; row < cell.gates * s.H; row++)
                    step.input[row] += s.projected ? xt[row] : dot(W + row * s.I, seen);
                step.h_before = h;
                step.h_masked = masked(h.data(), &h_mask[r * s.H], s.H);
                h = cell.step(step, &c);
            }
            std::copy(h.begin(), h.end(), out["y"].begin() + (t * s.B + r) * s.H);
        }
        if (s.h_last)
            out["h_last"].insert(out["h_last"].end(), h.begin(), h.end());
    }
    return out;
}

} // namespace crs
