/* Philox4x32-10, the tests' own. */
#include "philox.hpp"

namespace crs {

std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
    for (int round = 0; round < 10; round++) {
        const uint64_t left = uint64_t{0xD2511F53} * counter[0], right = uint64_t{0xCD9E8D57} * counter[2];
        counter = {static_cast<uint32_t>(right >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(right),
                   static_cast<uint32_t>(left >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(left)};
        key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
    }
    return counter;
}

std::vector<double> mask_factors(const crs_mask &mask, uint64_t step, int64_t n) {
    std::vector<double> factors(static_cast<size_t>(n), 1.0);
    if (mask.rate == 0)
        return factors;
    const uint32_t threshold = static_cast<uint32_t>(mask.rate * 4294967296.0);
    for (uint64_t e = 0; e < static_cast<uint64_t>(n); e++) {
        const uint64_t block = e / 4;
        const std::array<uint32_t, 4> words = philox4x32_10(
            {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), static_cast<uint32_t>(step), mask.site},
            {static_cast<uint32_t>(mask.seed), static_cast<uint32_t>(mask.seed >> 32)});
        factors[e] = words[e % 4] >= threshold ? 1 / (1 - mask.rate) : 0;
    }
    return factors;
}

} // namespace crs
