/* Atomic operations. On a GPU they are relaxed; here they acquire and release, so that the thread sanitizer takes the
 * usual "write, fence, count" idioms for what they are. */
#ifndef CUHOST_LANGUAGE_ATOMICS_HPP
#define CUHOST_LANGUAGE_ATOMICS_HPP

#include "bits.hpp"

#include <type_traits>

namespace cuhost {

/* T where it must not be deduced: the pointer alone says of which type an atomic is. */
template <class T> struct Same { using Type = T; };
template <class T> using Value = typename Same<T>::Type;

/* Replaces *address by change(*address) and returns what it was. */
template <class T, class Change> T atomically(T *address, Change change) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "atomics of four or eight bytes");
    using Word __attribute__((may_alias)) = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    Word *word = reinterpret_cast<Word *>(address);
    Word old = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    for (;;) {
        const T changed = change(from_bits<T>(old));
        if (__atomic_compare_exchange_n(word, &old, static_cast<Word>(to_bits(changed)), false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return from_bits<T>(old);
    }
}

} // namespace cuhost

template <class T> T atomicAdd(T *address, cuhost::Value<T> value) {
    return cuhost::atomically(address, [value](T old) { return static_cast<T>(old + value); });
}
template <class T> T atomicSub(T *address, cuhost::Value<T> value) {
    return cuhost::atomically(address, [value](T old) { return static_cast<T>(old - value); });
}
template <class T> T atomicMax(T *address, cuhost::Value<T> value) {
    return cuhost::atomically(address, [value](T old) { return old < value ? value : old; });
}
template <class T> T atomicMin(T *address, cuhost::Value<T> value) {
    return cuhost::atomically(address, [value](T old) { return value < old ? value : old; });
}
template <class T> T atomicOr(T *address, cuhost::Value<T> value) {
    return cuhost::atomically(address, [value](T old) { return static_cast<T>(old | value); });
}
template <class T> T atomicAnd(T *address, cuhost::Value<T> value) {
    return cuhost::atomically(address, [value](T old) { return static_cast<T>(old & value); });
}
template <class T> T atomicXor(T *address, cuhost::Value<T> value) {
    return cuhost::atomically(address, [value](T old) { return static_cast<T>(old ^ value); });
}
template <class T> T atomicExch(T *address, cuhost::Value<T> value) {
    return cuhost::atomically(address, [value](T) { return value; });
}
template <class T> T atomicCAS(T *address, cuhost::Value<T> expected, cuhost::Value<T> value) {
    return cuhost::atomically(address, [expected, value](T old) { return old == expected ? value : old; });
}
inline unsigned atomicInc(unsigned *address, unsigned limit) {
    return cuhost::atomically(address, [limit](unsigned old) { return old >= limit ? 0 : old + 1; });
}
inline unsigned atomicDec(unsigned *address, unsigned limit) {
    return cuhost::atomically(address, [limit](unsigned old) { return old == 0 || old > limit ? limit : old - 1; });
}

#endif
