/* What a check says: it passed, or why it did not. Checks are functions that return a verdict instead of asserting, so
 * that the same check can be expected to pass on a real table and to fail on a mutant. */
#ifndef CRS_TESTS_VERDICT_HPP
#define CRS_TESTS_VERDICT_HPP

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace crs {

class [[nodiscard]] Verdict {
  public:
    static Verdict pass() {
        return Verdict("");
    }
    static Verdict fail(const std::string &why) {
        return Verdict(why.empty() ? "failed" : why);
    }
    bool ok() const {
        return why_.empty();
    }
    const std::string &why() const {
        return why_;
    }
    /* The same verdict, with the place where it was reached in front of a failure. */
    Verdict in(const std::string &place) const {
        return ok() ? *this : Verdict(place + ": " + why_);
    }

  private:
    explicit Verdict(std::string why) : why_(std::move(why)) {}
    std::string why_;
};

#define CRS_TRY(verdict)                                                                                               \
    do {                                                                                                               \
        if (const ::crs::Verdict tried = (verdict); !tried.ok())                                                       \
            return tried;                                                                                              \
    } while (0)

/* printf into a string. */
std::string format(const char *text, ...) __attribute__((format(printf, 1, 2)));

/* Inputs and expected outputs by name, in double whatever the backend's real type. */
using Numbers = std::map<std::string, std::vector<double>>;

/* How far a result may be from what is expected: relative to the tensor's L2 norm and to its largest value, plus
 * `slack`, an absolute error that is no fault of the operation (rounding of the value a gradient was added to). */
struct Tolerance {
    double relative = 0;
    double slack = 0;
};

/* Sums of `terms` numbers, rounded to a real of real_size bytes: 4 * (1 + backward) * ceil(log2(terms)) * epsilon. The
 * logarithm stands for the error growth of a blocked sum, the 4 for the handful of roundings around it, and a backward
 * pass adds the forward's error to its own. */
double tolerance_of(size_t real_size, double terms, bool backward);

/* Both sides finite and within tolerance. A reference of zeros has no scale of its own: there the relative bound is
 * taken as absolute. */
Verdict compare(const std::string &name, const std::vector<double> &got, const std::vector<double> &want,
                Tolerance tolerance);

/* Seeded numbers of mixed sign. They are representable as float, so that every backend gets the same ones. */
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t bits();
    double uniform(double low, double high);
    int64_t below(int64_t n);
    std::vector<double> reals(int64_t n, double scale = 1);

  private:
    uint64_t state_;
};

} // namespace crs
#endif
