/* Gradients against finite differences. */
#include "operation.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace crs {

/* A central difference with step h errs by h^2 f'''/6 (truncation) and by epsilon |f| / h (rounding); h = epsilon^(1/3)
 * balances the two at about epsilon^(2/3) = 4e-11, in units of the loss and of its third derivative. The bound leaves a
 * factor of about 1000 for losses and curvatures larger than the gradient. */
static const double step = 6e-6;
static const double bound = 5e-8;

static Verdict loss_of(const std::function<Verdict(const Numbers &, Result *)> &run, const Numbers &inputs,
                       const Pairs &outputs_and_seeds, double *loss) {
    Result result;
    CRS_TRY(run(inputs, &result));
    *loss = 0;
    for (const auto &[output, seed] : outputs_and_seeds) {
        const std::vector<double> &values = result.at(output).values, &weights = inputs.at(seed);
        if (values.size() != weights.size())
            return Verdict::fail(output + " and " + seed + " differ in size");
        for (size_t i = 0; i < values.size(); i++)
            *loss += weights[i] * values[i];
    }
    return Verdict::pass();
}

Verdict check_gradients(const std::function<Verdict(const Numbers &, Result *)> &run, const Numbers &inputs,
                        const Pairs &outputs_and_seeds, const Pairs &gradients_and_inputs) {
    Result analytic;
    CRS_TRY(run(inputs, &analytic));
    for (const auto &[gradient, input] : gradients_and_inputs) {
        Numbers moved = inputs;
        std::vector<double> &values = moved.at(input), differences;
        for (double &value : values) {
            const double at = value, h = step * std::max(1.0, std::fabs(at));
            double above = 0, below = 0;
            value = at + h;
            CRS_TRY(loss_of(run, moved, outputs_and_seeds, &above));
            value = at - h;
            CRS_TRY(loss_of(run, moved, outputs_and_seeds, &below));
            value = at;
            differences.push_back((above - below) / ((at + h) - (at - h)));
        }
        const Tensor &tensor = analytic.at(gradient);
        CRS_TRY(compare(gradient, tensor.values, differences, {bound, tensor.slack}));
    }
    return Verdict::pass();
}

} // namespace crs
