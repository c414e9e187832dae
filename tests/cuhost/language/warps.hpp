/* Collectives of a warp. They exchange values and order no memory, as on a GPU: for that there is __syncwarp. */
#ifndef CUHOST_LANGUAGE_WARPS_HPP
#define CUHOST_LANGUAGE_WARPS_HPP

#include "bits.hpp"
#include "hooks.hpp"

namespace cuhost {

template <class T> T shuffle_value(unsigned mask, T value, int source, Place place) {
    return from_bits<T>(shuffle(mask, to_bits(value), source, place));
}

/* The first lane of this lane's group of `width` lanes. */
inline int group_begin(int width) {
    return lane() & ~(width - 1);
}

} // namespace cuhost

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, cuhost::Place place = cuhost::here()) {
    return cuhost::shuffle_value(mask, value, cuhost::group_begin(width) + (source & (width - 1)), place);
}

/* The others give a lane its own value where the source would lie outside of its group. */
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, cuhost::Place place = cuhost::here()) {
    const int lane = cuhost::lane();
    const int source = lane - static_cast<int>(delta);
    return cuhost::shuffle_value(mask, value, source < cuhost::group_begin(width) ? lane : source, place);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, cuhost::Place place = cuhost::here()) {
    const int lane = cuhost::lane();
    const int source = lane + static_cast<int>(delta);
    return cuhost::shuffle_value(mask, value, source >= cuhost::group_begin(width) + width ? lane : source, place);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize, cuhost::Place place = cuhost::here()) {
    const int lane = cuhost::lane();
    const int source = lane ^ lane_mask;
    return cuhost::shuffle_value(mask, value, source >= cuhost::group_begin(width) + width ? lane : source, place);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, cuhost::Place place = cuhost::here()) {
    return cuhost::ballot(mask, predicate != 0, place);
}
inline int __any_sync(unsigned mask, int predicate, cuhost::Place place = cuhost::here()) {
    return cuhost::ballot(mask, predicate != 0, place) != 0;
}
inline int __all_sync(unsigned mask, int predicate, cuhost::Place place = cuhost::here()) {
    return cuhost::ballot(mask, predicate == 0, place) == 0;
}

#endif
