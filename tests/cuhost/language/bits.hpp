/* The bits of a value, for what treats values as words: shuffles, atomics and the intrinsics that reinterpret. */
#ifndef CUHOST_LANGUAGE_BITS_HPP
#define CUHOST_LANGUAGE_BITS_HPP

#include <cstdint>
#include <cstring>

namespace cuhost {

template <class T> uint64_t to_bits(T value) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "values of at most eight bytes");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    return bits;
}

template <class T> T from_bits(uint64_t bits) {
    T value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

} // namespace cuhost

#endif
