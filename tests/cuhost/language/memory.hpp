/* Shared memory, and loads and stores that name a cache. Each shared array and each piece of dynamic memory is an
 * allocation of its own, one per block and filled with 0xFF, so that the address sanitizer sees what lies beyond it and
 * a float read before it was written is a NaN. */
#ifndef CUHOST_LANGUAGE_MEMORY_HPP
#define CUHOST_LANGUAGE_MEMORY_HPP

#include "hooks.hpp"

/* T name[n] in shared memory; T without a comma. */
#define CUDA_SHARED_ARRAY(T, name, n)                                                                                  \
    static char cuhost_key_of_##name;                                                                                  \
    T(&name)[n] = *static_cast<T(*)[n]>(::cuhost::shared_array(&cuhost_key_of_##name, sizeof(T[n]), alignof(T)))

/* Carves the dynamic shared memory of a launch in steps of 16 bytes, in every thread alike. A second object starts from
 * the beginning again, as it does on a GPU. */
struct dynamic_shared_memory {
    size_t taken = 0; /* bytes */

    template <class T> T *take(size_t n) {
        void *piece = ::cuhost::shared_piece(taken, n * sizeof(T));
        taken += (n * sizeof(T) + 15) / 16 * 16;
        return static_cast<T *>(piece);
    }
};

template <class T> T __ldg(const T *p) {
    return *p;
}
template <class T> T __ldca(const T *p) {
    return *p;
}
template <class T> T __ldcg(const T *p) {
    return *p;
}
template <class T> T __ldcs(const T *p) {
    return *p;
}
template <class T> void __stcg(T *p, T value) {
    *p = value;
}
template <class T> void __stcs(T *p, T value) {
    *p = value;
}

#endif
