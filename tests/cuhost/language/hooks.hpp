/* What device code asks of the layer: the functions behind the language that the other headers of this folder spell.
 * Called by a CUDA thread while its kernel runs; implemented in execution/. */
#ifndef CUHOST_LANGUAGE_HOOKS_HPP
#define CUHOST_LANGUAGE_HOOKS_HPP

#include <cstddef>
#include <cstdint>

namespace cuhost {

/* A line of a kernel's source. As a default argument, here() is the line of the call. */
struct Place {
    const char *file = nullptr;
    int line = 0;
};

constexpr Place here(const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
}

constexpr unsigned full_mask = 0xffffffffu;

/* Barriers. Those of a block return in how many of its threads the predicate held. */
int synchronize_block(bool predicate, Place place);
void synchronize_grid(Place place);
void synchronize_warp(unsigned mask, Place place);

/* Collectives of a warp: every lane of mask gives something and gets what lane `source` gave, or one bit of each. */
uint64_t shuffle(unsigned mask, uint64_t given, int source, Place place);
unsigned ballot(unsigned mask, bool predicate, Place place);
int lane();

/* Lets other threads run: every loop that waits for another thread must call it (as __nanosleep). */
void pause(Place place);

/* Shared memory of the block: the array declared at `key`, and the piece at `offset` of the launch's dynamic memory. */
void *shared_array(const void *key, size_t bytes, size_t alignment);
void *shared_piece(size_t offset, size_t bytes);

} // namespace cuhost

#endif
