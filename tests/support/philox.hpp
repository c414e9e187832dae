/* Philox4x32-10 once more, written from the paper (Salmon et al., SC 2011), and the masks that ops.h makes of it. The
 * backends have their own: these are here to disagree with them. */
#ifndef CRS_TESTS_PHILOX_HPP
#define CRS_TESTS_PHILOX_HPP

#include <carousel/ops.h>

#include <array>
#include <vector>

namespace crs {

std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/* The factor of each of n elements: 0, or 1/(1-rate). Ones where the rate is 0. */
std::vector<double> mask_factors(const crs_mask &mask, uint64_t step, int64_t n);

} // namespace crs
#endif
