/* Which steps of which rows are live: the patterns that operations over time are tested with. */
#ifndef CRS_TESTS_LIVE_HPP
#define CRS_TESTS_LIVE_HPP

#include "bench.hpp"

#include <algorithm>

namespace crs {

enum class Live {
    all,    /* start and len NULL */
    ragged, /* start NULL; lengths with 0, 1 and T among them */
    left,   /* the same lengths, padded on the left */
    middle, /* padding on both sides */
    start,  /* len given as T - start */
    nearly  /* all rows in the middle, some of them at the ends */
};

/* Puts "start" and "len", as the pattern has them, among the inputs. */
inline void add_live(Live live, int64_t T, int64_t B, Random &random, Numbers *inputs) {
    if (live == Live::all)
        return;
    for (int64_t b = 0; b < B; b++) {
        int64_t len = b == 1 ? 0 : b == 2 ? 1 : b == 3 ? T : b == 0 ? 1 + random.below(T) : random.below(T + 1);
        int64_t start = live == Live::left ? T - len : 0;
        if (live == Live::middle || live == Live::start)
            start = random.below(T - len + 1);
        if (live == Live::start)
            len = T - start;
        if (live == Live::nearly) {
            start = random.below(T / 3 + 1);
            len = T - start - random.below(T / 3 + 1);
        }
        (*inputs)["len"].push_back(static_cast<double>(len));
        if (live != Live::ragged)
            (*inputs)["start"].push_back(static_cast<double>(start));
    }
}

inline bool is_live(const Numbers &inputs, int64_t T, int64_t t, int64_t b) {
    const auto starts = inputs.find("start"), lengths = inputs.find("len");
    const size_t row = static_cast<size_t>(b);
    const int64_t start = starts == inputs.end() ? 0 : static_cast<int64_t>(starts->second[row]);
    const int64_t len = lengths == inputs.end() ? T : static_cast<int64_t>(lengths->second[row]);
    return t >= start && t < start + len;
}

inline crs_steps steps_of(Bench &bench, int64_t T, int64_t B, const Numbers &inputs) {
    crs_steps steps = {T, B, nullptr, nullptr};
    if (inputs.count("start"))
        steps.start = bench.labels("start", inputs.at("start"));
    if (inputs.count("len"))
        steps.len = bench.labels("len", inputs.at("len"));
    return steps;
}

} // namespace crs
#endif
