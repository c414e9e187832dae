/* The scheduler: which CUDA thread runs, which wait, and which are still to start. */
#ifndef CUHOST_EXECUTION_SCHEDULER_HPP
#define CUHOST_EXECUTION_SCHEDULER_HPP

#include "block.hpp"
#include "grid.hpp"
#include "random.hpp"

#include <deque>

namespace cuhost {

using Waiting = std::vector<Fiber *>;

class Scheduler {
  public:
    /* There is one: CUDA threads know no other way to it. */
    static Scheduler &get();

    /* A kernel's run: begin, gangs of blocks, end. */
    void begin(const Grid &grid);
    /* Runs the blocks of these numbers, all resident together, until all their threads have returned. */
    void run_gang(const std::vector<uint64_t> &numbers);
    void end(Work &work);

    /* For the CUDA thread that runs. */
    Fiber &current() {
        return *current_;
    }
    Block &block() {
        return *current_->block;
    }
    const Grid &grid() const {
        return *grid_;
    }
    bool running_thread() const {
        return current_ && current_->block;
    }
    /* Waits in the queue until a thread opens it, which is one that the queue waited for. */
    void wait(Waiting &queue, const char *what, Place place);
    void open(Waiting &queue);
    /* Lets the others go first. */
    void pause(Place place);

    /* For the whole grid: barrier, threads that have not returned yet, and whether one has. */
    Barrier grid_barrier{};
    int alive() const {
        return static_cast<int>(alive_);
    }
    bool some_returned() const {
        return alive_ != total_;
    }
    void count_barrier() {
        work_.barriers++;
    }

    /* To the thread sanitizer: who the CUDA thread is, and the OS thread, as which the layer acts. */
    Identity thread_identity() const {
        return current_->identity;
    }
    Identity layer_identity() const {
        return main_.identity;
    }

  private:
    [[noreturn]] static void fiber_entry();
    void run_thread();
    void thread_returned();
    void prepare_block(Block &block, uint64_t number);
    void order_threads();
    Fiber &new_fiber();
    Fiber &idle_fiber();
    Fiber *start_next();
    Fiber *pick();
    void give_away();
    void go_to(Fiber &fiber);
    void show_thread();
    void discard(void *memory);
    [[noreturn]] void deadlock() const;

    const Grid *grid_ = nullptr;
    bool backwards_ = false;
    Random random_;
    std::vector<std::unique_ptr<Block>> blocks_;
    std::vector<uint32_t> order_; /* of the gang's threads: block * threads + thread */
    size_t started_ = 0, total_ = 0, alive_ = 0;
    uint64_t pauses_ = 0; /* since a thread last started, ended or was released */
    std::vector<void *> discarded_;
    Work work_;

    Fiber main_;
    Fiber *current_ = nullptr;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::deque<Fiber *> idle_, ready_;
    Identities identities_;
    char grid_begins_ = 0, grid_ends_ = 0; /* tokens */
};

/* While one lives, a CUDA thread has entered the layer. What the layer then does on its own account (its memory, its
 * lists) the thread sanitizer must not take for the kernel's doing. */
class InLayer {
  public:
    InLayer() {
        become(Scheduler::get().layer_identity());
    }
    ~InLayer() {
        become(Scheduler::get().thread_identity());
    }
    InLayer(const InLayer &) = delete;
    InLayer &operator=(const InLayer &) = delete;
};

} // namespace cuhost

#endif
