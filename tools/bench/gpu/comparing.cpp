// Whether two sides compute the same, before which nothing is timed; and medians.
#include "layers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

double Errors::worst() const {
    return std::max({y, dx, dW, dR, db});
}

double tolerance_of(crs_precision precision) {
    return precision == CRS_TF32 ? 2e-2 : 1e-4;
}

// Norms of the difference and of what is wanted, over several tensors.
struct Norms {
    double difference = 0, wanted = 0;

    void add(const char *name, const std::vector<float> &got, const std::vector<float> &want) {
        if (got.size() != want.size())
            throw Refused(std::string(name) + ": " + std::to_string(got.size()) + " numbers against " +
                          std::to_string(want.size()));
        for (size_t i = 0; i < got.size(); i++) {
            const double g = static_cast<double>(got[i]), w = static_cast<double>(want[i]);
            if (!std::isfinite(g) || !std::isfinite(w))
                throw Refused(std::string(name) + " is not finite");
            difference += (g - w) * (g - w);
            wanted += w * w;
        }
    }
};

static double error_of(const char *name, const Norms &norms, double tolerance) {
    const double error = std::sqrt(norms.difference) / std::max(std::sqrt(norms.wanted), 1e-30);
    if (error <= tolerance)
        return error;
    char why[128];
    snprintf(why, sizeof why, "%s differs by %.2e in relative L2, %g is allowed", name, error, tolerance);
    throw Refused(why);
}

static double compare_tensor(const char *name, const std::vector<float> &got, const std::vector<float> &want,
                             double tolerance) {
    Norms norms;
    norms.add(name, got, want);
    return error_of(name, norms, tolerance);
}

Errors compare_results(const Results &got, const Results &want, double tolerance) {
    Errors errors;
    errors.y = compare_tensor("y", got.y, want.y, tolerance);
    errors.dx = compare_tensor("dx", got.dx, want.dx, tolerance);
    if (got.gradients.size() != want.gradients.size())
        throw Refused("the layers are not as many");
    for (size_t i = 0; i < got.gradients.size(); i++) {
        const Weights &g = got.gradients[i], &w = want.gradients[i];
        errors.dW = std::max(errors.dW, compare_tensor("dW", g.W, w.W, tolerance));
        errors.dR = std::max(errors.dR, compare_tensor("dR", g.R, w.R, tolerance));
        Norms biases;
        biases.add("db", g.b, w.b);
        biases.add("db_hh", g.b_hh, w.b_hh);
        errors.db = std::max(errors.db, error_of("db", biases, tolerance));
    }
    return errors;
}

Middle middle_of(std::vector<double> values) {
    for (const double value : values)
        if (!std::isfinite(value))
            throw std::runtime_error("a time is not finite");
    if (values.empty())
        throw std::runtime_error("there are no rounds");
    std::sort(values.begin(), values.end());
    const size_t n = values.size();
    return {(values[(n - 1) / 2] + values[n / 2]) / 2, values.front(), values.back()};
}

void falsify(Results &results, const std::string &tensor) {
    const auto enlarge = [](std::vector<float> &values) {
        for (float &value : values)
            value *= 1.05f;
    };
    if (tensor == "y" || tensor == "dx")
        return enlarge(tensor == "y" ? results.y : results.dx);
    if (tensor != "dW" && tensor != "dR" && tensor != "db")
        throw std::runtime_error("there is no tensor '" + tensor + "'; give y, dx, dW, dR or db");
    for (Weights &weights : results.gradients)
        enlarge(tensor == "dW" ? weights.W : tensor == "dR" ? weights.R : weights.b);
}
