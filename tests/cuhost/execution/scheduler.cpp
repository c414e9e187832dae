/* The scheduler, and how a kernel that is wrong ends the program. */
#include "scheduler.hpp"

#include "failure.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <numeric>

/* Device code sees them constant (cuhost.h): while one of its threads runs they are. */
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuhost {

/* Under the race check, so many fibers more than threads are resident: the threads of the next block, who get those
 * that have been idle longest, have other identities than their counterparts in this one. */
static constexpr size_t spare_fibers = 13;

Scheduler &Scheduler::get() {
    static Scheduler *scheduler = new Scheduler; /* never destroyed: fibers may be used until the end */
    return *scheduler;
}

void Scheduler::begin(const Grid &grid) {
    grid_ = &grid;
    const cuhost_order order = grid.schedule.order;
    backwards_ = order == CUHOST_REVERSE || (order == CUHOST_ALTERNATE && grid.number % 2);
    random_ = Random(grid.schedule.seed + 77 * static_cast<uint64_t>(grid.number));
    blockDim = grid.threads;
    gridDim = grid.blocks;
    main_.identity = own_identity();
    current_ = &main_;
    forget_accesses(); /* those before a launch are ordered before all in it */
    release(&grid_begins_);
}

void Scheduler::end(Work &work) {
    acquire(&grid_ends_);
    for (void *memory : discarded_)
        free(memory);
    discarded_.clear();
    work.threads += work_.threads;
    work.switches += work_.switches;
    work.barriers += work_.barriers;
    work_ = Work();
    current_ = nullptr;
    grid_ = nullptr;
}

void Scheduler::prepare_block(Block &block, uint64_t number) {
    const dim3 &blocks = grid_->blocks;
    block.index = {static_cast<unsigned>(number % blocks.x), static_cast<unsigned>(number / blocks.x % blocks.y),
                   static_cast<unsigned>(number / blocks.x / blocks.y)};
    block.threads = block.alive = static_cast<int>(grid_->threads.x * grid_->threads.y * grid_->threads.z);
    block.shared_bytes = grid_->dynamic_shared;
    block.warps.resize(static_cast<size_t>(block.threads + warp_size - 1) / warp_size);
    int left = block.threads;
    for (Warp &warp : block.warps) {
        warp.born = warp.alive = left >= warp_size ? full_mask : (1u << left) - 1;
        warp.collectives.clear();
        left -= warp_size;
    }
}

void Scheduler::order_threads() {
    order_.resize(total_);
    std::iota(order_.begin(), order_.end(), 0);
    if (backwards_)
        std::reverse(order_.begin(), order_.end());
    if (grid_->schedule.order == CUHOST_RANDOM)
        for (size_t i = total_; i > 1; i--)
            std::swap(order_[i - 1], order_[random_.below(i)]);
}

void Scheduler::run_gang(const std::vector<uint64_t> &numbers) {
    while (blocks_.size() < numbers.size())
        blocks_.push_back(std::make_unique<Block>());
    for (size_t i = 0; i < numbers.size(); i++)
        prepare_block(*blocks_[i], numbers[i]);
    started_ = 0;
    alive_ = total_ = numbers.size() * static_cast<size_t>(blocks_[0]->threads);
    pauses_ = 0;
    order_threads();
    while (race_check && fibers_.size() < total_ + spare_fibers)
        idle_.push_back(&new_fiber());
    go_to(*pick());
    work_.threads += static_cast<long>(total_);
    for (size_t i = 0; i < numbers.size(); i++) {
        Block &block = *blocks_[i];
        for (const SharedArray &array : block.arrays)
            discard(array.memory);
        for (const SharedPiece &piece : block.pieces)
            discard(piece.memory);
        block.arrays.clear();
        block.pieces.clear();
    }
}

void Scheduler::discard(void *memory) {
    if (race_check) /* the next block's memory at the same address would look like this one's */
        discarded_.push_back(memory);
    else
        free(memory);
}

Fiber &Scheduler::new_fiber() {
    fibers_.push_back(std::make_unique<Fiber>(fiber_entry, identities_.next()));
    return *fibers_.back();
}

Fiber &Scheduler::idle_fiber() {
    if (idle_.empty())
        return new_fiber();
    Fiber *fiber = idle_.front();
    idle_.pop_front();
    return *fiber;
}

/* The next thread in order gets a fiber: that of the thread which has just returned, so that nothing is switched, save
 * that under the race check two threads that follow each other must not be taken for one. */
Fiber *Scheduler::start_next() {
    Fiber *fiber;
    if (!race_check && current_ != &main_ && !current_->block) {
        fiber = current_;
        idle_.pop_back();
    } else {
        fiber = &idle_fiber();
    }
    const uint32_t number = order_[started_++];
    const uint32_t threads = static_cast<uint32_t>(blocks_[0]->threads), thread = number % threads;
    const dim3 &size = grid_->threads;
    fiber->block = blocks_[number / threads].get();
    fiber->index = {thread % size.x, thread / size.x % size.y, thread / size.x / size.y};
    fiber->lane = static_cast<int>(thread) % warp_size;
    fiber->warp = static_cast<int>(thread) / warp_size;
    fiber->waits_in = nullptr;
    pauses_ = 0;
    return fiber;
}

/* Who runs next, or NULL. Threads that are to start go before those that can go on, save under the random schedule. */
Fiber *Scheduler::pick() {
    const size_t to_start = total_ - started_;
    if (to_start + ready_.size() == 0)
        return nullptr;
    const bool by_chance = grid_->schedule.order == CUHOST_RANDOM;
    if (by_chance ? random_.below(to_start + ready_.size()) < to_start : to_start > 0)
        return start_next();
    if (by_chance)
        std::swap(ready_.front(), ready_[random_.below(ready_.size())]);
    Fiber *fiber = ready_.front();
    ready_.pop_front();
    return fiber;
}

void Scheduler::go_to(Fiber &fiber) {
    Fiber &from = *current_;
    if (&from != &fiber) {
        current_ = &fiber;
        work_.switches++;
        switch_fiber(from, fiber);
    }
    if (from.block) /* back again, and no longer the one that was last shown */
        show_thread();
}

void Scheduler::show_thread() {
    threadIdx = current_->index;
    blockIdx = current_->block->index;
}

void Scheduler::give_away() {
    Fiber *next = pick();
    if (!next && alive_)
        deadlock();
    go_to(next ? *next : main_);
}

void Scheduler::wait(Waiting &queue, const char *what, Place place) {
    Fiber &fiber = *current_;
    fiber.waits_in = what;
    fiber.place = place;
    queue.push_back(&fiber);
    give_away();
    fiber.waits_in = nullptr;
}

void Scheduler::open(Waiting &queue) {
    queue.push_back(current_);
    if (grid_->schedule.order == CUHOST_ALTERNATE)
        std::reverse(queue.begin(), queue.end());
    ready_.insert(ready_.end(), queue.begin(), queue.end());
    queue.clear();
    pauses_ = 0;
    give_away();
}

/* As many pauses as a spin lock that all threads want would need, and more, and nothing has come of it. */
void Scheduler::pause(Place place) {
    if (++pauses_ > 1000000 + 4 * static_cast<uint64_t>(alive_) * alive_)
        die("%s:%d: livelock: threads wait in a loop for what never comes", place.file, place.line);
    Fiber &fiber = *current_;
    fiber.waits_in = "a spin loop";
    fiber.place = place;
    ready_.push_back(&fiber);
    give_away();
    fiber.waits_in = nullptr;
}

void Scheduler::fiber_entry() {
    fiber_started();
    Scheduler &scheduler = get();
    for (;;) {
        scheduler.run_thread();
        scheduler.thread_returned();
        scheduler.give_away();
    }
}

void Scheduler::run_thread() {
    show_thread();
    become(thread_identity());
    acquire(&grid_begins_);
    grid_->kernel->run_thread();
    release(&grid_ends_);
    become(layer_identity());
}

void Scheduler::thread_returned() {
    const Fiber &fiber = *current_;
    Block &block = *fiber.block;
    Warp &warp = block.warps[static_cast<size_t>(fiber.warp)];
    warp.alive &= ~(1u << fiber.lane);
    block.alive--;
    alive_--;
    for (const auto &collective : warp.collectives)
        if (collective->arrived && (collective->mask >> fiber.lane & 1))
            die("lane %d returned while lanes of mask 0x%08x wait for it at %s:%d", fiber.lane, collective->mask,
                collective->place.file, collective->place.line);
    if (block.barrier.arrived)
        die("a thread returned while others of its block wait in a barrier at %s:%d", block.barrier.place.file,
            block.barrier.place.line);
    pauses_ = 0;
    current_->block = nullptr;
    idle_.push_back(current_);
}

void Scheduler::deadlock() const {
    int told = 0;
    for (const auto &fiber : fibers_)
        if (fiber->block && fiber->waits_in && told++ < 8)
            fprintf(stderr, "cuhost: block (%u,%u,%u) thread (%u,%u,%u) waits in %s at %s:%d\n", fiber->block->index.x,
                    fiber->block->index.y, fiber->block->index.z, fiber->index.x, fiber->index.y, fiber->index.z,
                    fiber->waits_in, fiber->place.file, fiber->place.line);
    die("deadlock: %zu threads have not returned and none can run", alive_);
}

void die(const char *format, ...) {
    fputs("cuhost: KERNEL ERROR: ", stderr);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    Scheduler &scheduler = Scheduler::get();
    if (scheduler.running_thread())
        fprintf(stderr, " [block (%u,%u,%u) thread (%u,%u,%u), schedule %d, seed %u]", blockIdx.x, blockIdx.y,
                blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, scheduler.grid().schedule.order,
                scheduler.grid().schedule.seed);
    fputc('\n', stderr);
    print_stack();
    abort();
}

} // namespace cuhost
