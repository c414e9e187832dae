/* Barriers of a block and of a grid. */
#include "failure.hpp"
#include "scheduler.hpp"

#include <cstring>

namespace cuhost {

static bool same_place(Place a, Place b) {
    return a.line == b.line && strcmp(a.file, b.file) == 0;
}

static int arrive(Scheduler &scheduler, Barrier &barrier, int expected, bool predicate, const char *what, Place place) {
    if (barrier.arrived > 0 && !same_place(barrier.place, place))
        die("divergence in %s: this thread is at %s:%d, another one waits at %s:%d", what, place.file, place.line,
            barrier.place.file, barrier.place.line);
    barrier.place = place;
    barrier.votes += predicate;
    if (++barrier.arrived < expected) {
        scheduler.wait(barrier.waiting, what, place);
    } else {
        barrier.result = barrier.votes;
        barrier.votes = barrier.arrived = 0;
        barrier.generation++;
        scheduler.count_barrier();
        scheduler.open(barrier.waiting);
    }
    return barrier.result;
}

/* What a thread did before the barrier happens before what any does after it: all release, all acquire. */
static int pass(Scheduler &scheduler, Barrier &barrier, int expected, bool predicate, const char *what, Place place) {
    char *token = barrier.tokens.of(barrier.generation);
    release(token);
    int result;
    {
        const InLayer in_layer;
        result = arrive(scheduler, barrier, expected, predicate, what, place);
    }
    acquire(token);
    return result;
}

int synchronize_block(bool predicate, Place place) {
    Scheduler &scheduler = Scheduler::get();
    Block &block = scheduler.block();
    if (block.alive != block.threads)
        die("%s:%d: a barrier of the block after one of its threads has returned", place.file, place.line);
    return pass(scheduler, block.barrier, block.threads, predicate, "a barrier of the block", place);
}

void synchronize_grid(Place place) {
    Scheduler &scheduler = Scheduler::get();
    if (!scheduler.grid().cooperative)
        die("%s:%d: a barrier of the grid in a launch that is not cooperative", place.file, place.line);
    if (scheduler.some_returned())
        die("%s:%d: a barrier of the grid after one of its threads has returned", place.file, place.line);
    pass(scheduler, scheduler.grid_barrier, scheduler.alive(), false, "a barrier of the grid", place);
}

void pause(Place place) {
    const InLayer in_layer;
    Scheduler::get().pause(place);
}

} // namespace cuhost
