/* Random numbers for schedules: the same for the same seed, everywhere. */
#ifndef CUHOST_EXECUTION_RANDOM_HPP
#define CUHOST_EXECUTION_RANDOM_HPP

#include <cstdint>

namespace cuhost {

/* Marsaglia's xorshift. */
class Random {
  public:
    explicit Random(uint64_t seed = 1) : state_((seed + 1) * 0x9E3779B97F4A7C15u | 1) {}

    /* Of 0..bound-1; bound > 0. */
    uint64_t below(uint64_t bound) {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return (state_ >> 11) % bound;
    }

  private:
    uint64_t state_;
};

} // namespace cuhost

#endif
