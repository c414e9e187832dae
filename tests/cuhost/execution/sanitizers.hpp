/* What the sanitizers must be told: the address sanitizer of every change of stack and of memory that the host may not
 * touch; the thread sanitizer of who runs and of what a barrier orders. Without a sanitizer these are nothing.
 *
 * The layer itself is not compiled for the thread sanitizer, being the hardware: CMake defines CUHOST_RACE_CHECK. Each
 * CUDA thread is then an identity of the sanitizer's own. Going from one to another creates no order between them; only
 * release and acquire of a token do. So a missing barrier is a data race, whatever the schedule and the result.
 *
 * The sanitizer remembers four accesses of every eight bytes, and lets a new one take the place of any: what is long
 * past and ordered drives out what would be a race. forget_accesses() makes room. */
#ifndef CUHOST_EXECUTION_SANITIZERS_HPP
#define CUHOST_EXECUTION_SANITIZERS_HPP

#include <cstddef>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define CUHOST_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CUHOST_ADDRESS_SANITIZER 1
#endif
#endif
#ifndef CUHOST_ADDRESS_SANITIZER
#define CUHOST_ADDRESS_SANITIZER 0
#endif
#ifndef CUHOST_RACE_CHECK
#define CUHOST_RACE_CHECK 0
#endif

#if CUHOST_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if CUHOST_RACE_CHECK
#include <sanitizer/tsan_interface.h>
#endif

namespace cuhost {

constexpr bool race_check = CUHOST_RACE_CHECK;

using Identity = void *; /* of a thread, to the thread sanitizer */

#if CUHOST_RACE_CHECK
inline Identity own_identity() {
    return __tsan_get_current_fiber();
}
inline Identity new_identity() {
    return __tsan_create_fiber(0);
}
inline void become(Identity identity) {
    __tsan_switch_to_fiber(identity, __tsan_switch_to_fiber_no_sync);
}
inline void release(char *token) {
    __tsan_release(token);
}
inline void acquire(char *token) {
    __tsan_acquire(token);
}
inline void forget_accesses() {
    __tsan_flush_memory();
}
#else
inline Identity own_identity() {
    return nullptr;
}
inline Identity new_identity() {
    return nullptr;
}
inline void become(Identity) {}
inline void release(char *) {}
inline void acquire(char *) {}
inline void forget_accesses() {}
#endif

#if CUHOST_ADDRESS_SANITIZER
inline void poison(const void *memory, size_t bytes) {
    __asan_poison_memory_region(memory, bytes);
}
inline void unpoison(const void *memory, size_t bytes) {
    __asan_unpoison_memory_region(memory, bytes);
}
inline void print_stack() {
    __sanitizer_print_stack_trace();
}
#else
inline void poison(const void *, size_t) {}
inline void unpoison(const void *, size_t) {}
inline void print_stack() {}
#endif

/* The identities of fibers. clang's sanitizer tells no more than 256 threads apart at a time, and with more than that
 * it forgets races. So fibers share them in turn, and a race between two threads that share one is not seen. Their
 * number is a prime: threads at a distance in which kernels think are not among those. */
class Identities {
  public:
    Identity next() {
        if (!race_check)
            return nullptr;
        if (all_.size() < most) {
            all_.push_back(new_identity());
            return all_.back();
        }
        turn_ = (turn_ + 1) % most;
        return all_[turn_];
    }

  private:
    static constexpr size_t most = 239;
    std::vector<Identity> all_;
    size_t turn_ = 0;
};

} // namespace cuhost

#endif
