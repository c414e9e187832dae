/* Shared memory of a block: allocated when its first thread comes to the declaration, filled with 0xFF. */
#include "failure.hpp"
#include "scheduler.hpp"

#include <cstdlib>
#include <cstring>

namespace cuhost {

static constexpr size_t step = 16; /* of dynamic memory */

static void *filled(Block &block, size_t bytes, size_t alignment) {
    void *memory = nullptr;
    if (posix_memalign(&memory, alignment < step ? step : alignment, bytes ? bytes : 1))
        die("no memory for %zu bytes of shared memory", bytes);
    memset(memory, 0xFF, bytes);
    release(&block.allocated);
    return memory;
}

static void *find_array(Block &block, const void *key, size_t bytes, size_t alignment) {
    for (const SharedArray &array : block.arrays)
        if (array.key == key)
            return array.memory;
    block.shared_bytes += bytes;
    const size_t limit = Scheduler::get().grid().shared_limit;
    if (block.shared_bytes > limit)
        die("the block has %zu bytes of shared memory, the limit is %zu", block.shared_bytes, limit);
    block.arrays.push_back({key, filled(block, bytes, alignment)});
    return block.arrays.back().memory;
}

static void *find_piece(Block &block, size_t offset, size_t bytes) {
    const size_t end = offset + (bytes + step - 1) / step * step, launched = Scheduler::get().grid().dynamic_shared;
    if (end > launched)
        die("the kernel carves %zu bytes of dynamic shared memory and was launched with %zu", end, launched);
    for (const SharedPiece &piece : block.pieces) {
        if (piece.offset == offset && piece.bytes == bytes)
            return piece.memory;
        if (piece.bytes && bytes && piece.offset < offset + bytes && offset < piece.offset + piece.bytes)
            die("threads carve dynamic shared memory differently: %zu bytes at %zu, and %zu bytes at %zu", bytes,
                offset, piece.bytes, piece.offset);
    }
    block.pieces.push_back({offset, bytes, filled(block, bytes, step)});
    return block.pieces.back().memory;
}

void *shared_array(const void *key, size_t bytes, size_t alignment) {
    Block &block = Scheduler::get().block();
    void *memory;
    {
        const InLayer in_layer;
        memory = find_array(block, key, bytes, alignment);
    }
    acquire(&block.allocated);
    return memory;
}

void *shared_piece(size_t offset, size_t bytes) {
    Block &block = Scheduler::get().block();
    void *memory;
    {
        const InLayer in_layer;
        memory = find_piece(block, offset, bytes);
    }
    acquire(&block.allocated);
    return memory;
}

} // namespace cuhost
