/* Comparing, and the seeded numbers that are compared. */
#include "verdict.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdarg>
#include <cstdint>
#include <cstdio>

namespace crs {

std::string format(const char *text, ...) {
    char buffer[512];
    va_list args;
    va_start(args, text);
    vsnprintf(buffer, sizeof buffer, text, args);
    va_end(args);
    return buffer;
}

double tolerance_of(size_t real_size, double terms, bool backward) {
    const double epsilon = real_size == sizeof(float) ? FLT_EPSILON : DBL_EPSILON;
    return 4 * (1 + backward) * std::ceil(std::log2(std::max(2.0, terms))) * epsilon;
}

Verdict compare(const std::string &name, const std::vector<double> &got, const std::vector<double> &want,
                Tolerance tolerance) {
    if (got.size() != want.size())
        return Verdict::fail(format("%s has %zu elements, want %zu", name.c_str(), got.size(), want.size()));
    double square_error = 0, square_norm = 0, max_error = 0, max_want = 0;
    size_t worst = 0;
    for (size_t i = 0; i < got.size(); i++) {
        if (!std::isfinite(got[i]) || !std::isfinite(want[i]))
            return Verdict::fail(format("%s[%zu] is not finite: got %g, want %g", name.c_str(), i, got[i], want[i]));
        const double error = std::fabs(got[i] - want[i]);
        square_error += error * error;
        square_norm += want[i] * want[i];
        max_want = std::max(max_want, std::fabs(want[i]));
        if (error > max_error) {
            max_error = error;
            worst = i;
        }
    }
    const double error = std::sqrt(square_error), norm = square_norm > 0 ? std::sqrt(square_norm) : 1;
    const double scale = max_want > 0 ? max_want : 1;
    const double slack = tolerance.slack * std::sqrt(static_cast<double>(got.size()));
    if (error <= tolerance.relative * norm + slack && max_error <= tolerance.relative * scale + tolerance.slack)
        return Verdict::pass();
    return Verdict::fail(
        format("%s: relative L2 error %.3g, largest error %.3g of %.3g at [%zu] (got %.9g, want %.9g), "
               "tolerance %.3g + %.3g",
               name.c_str(), error / norm, max_error, scale, worst, got[worst], want[worst], tolerance.relative,
               tolerance.slack));
}

/* SplitMix64 (Steele, Lea and Flood 2014): any seed will do, also 0. */
uint64_t Random::bits() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

double Random::uniform(double low, double high) {
    const double u = static_cast<double>(bits() >> 11) * 0x1p-53;
    return static_cast<float>(low + (high - low) * u);
}

int64_t Random::below(int64_t n) {
    return static_cast<int64_t>(bits() % static_cast<uint64_t>(n));
}

std::vector<double> Random::reals(int64_t n, double scale) {
    std::vector<double> values(static_cast<size_t>(n));
    for (double &value : values)
        value = uniform(-scale, scale);
    return values;
}

} // namespace crs
