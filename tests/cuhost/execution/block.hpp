/* What the threads of a block share: barrier, warps and shared memory. State only; barriers.cpp, warps.cpp and
 * shared_memory.cpp work on it. */
#ifndef CUHOST_EXECUTION_BLOCK_HPP
#define CUHOST_EXECUTION_BLOCK_HPP

#include "fiber.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace cuhost {

constexpr int warp_size = 32;

/* Two tokens for what is used again and again. With one, a fast thread's next release would reach a slow thread's
 * acquire, and hide that nothing orders what lies between. */
struct Tokens {
    char token[2] = {0, 0};

    char *of(unsigned generation) {
        return &token[generation & 1];
    }
};

struct Barrier {
    int arrived = 0;
    int votes = 0;  /* of those that arrived: predicates that held */
    int result = 0; /* votes of the last time that it opened */
    unsigned generation = 0;
    Place place{}; /* where the others wait */
    Tokens tokens{};
    std::vector<Fiber *> waiting{};
};

enum class CollectiveKind { none, synchronize, shuffle, ballot };

/* The meetings of the lanes of one mask. Values of two generations: fast lanes may be at the next one already. */
struct Collective {
    explicit Collective(unsigned mask_) : mask(mask_) {}

    const unsigned mask;
    unsigned arrived = 0; /* lanes */
    unsigned generation = 0;
    CollectiveKind kind = CollectiveKind::none;
    Place place{};
    Tokens tokens{};
    std::array<std::array<uint64_t, warp_size>, 2> values{};
    std::vector<Fiber *> waiting{};
};

struct Warp {
    unsigned born = 0, alive = 0; /* lanes */
    std::vector<std::unique_ptr<Collective>> collectives{};
};

struct SharedArray {
    const void *key;
    void *memory;
};

struct SharedPiece { /* of the dynamic shared memory */
    size_t offset, bytes;
    void *memory;
};

struct Block {
    uint3 index{};
    int threads = 0, alive = 0;
    Barrier barrier{};
    std::vector<Warp> warps{};
    size_t shared_bytes = 0; /* of arrays and of dynamic memory */
    std::vector<SharedArray> arrays{};
    std::vector<SharedPiece> pieces{};
    char allocated = 0; /* token: memory is filled before a thread sees it */
};

} // namespace cuhost

#endif
