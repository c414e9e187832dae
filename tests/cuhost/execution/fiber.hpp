/* Fibers: stacks that the processor can be given to. No scheduling here. */
#ifndef CUHOST_EXECUTION_FIBER_HPP
#define CUHOST_EXECUTION_FIBER_HPP

#include "../language/hooks.hpp"
#include "sanitizers.hpp"

#include <cuda_runtime.h>

namespace cuhost {

struct Block;

struct Fiber {
    /* An own stack with a guard page below it, at first in entry(), which must not return. To the thread sanitizer what
     * runs on a stack is always the same thread: otherwise the stack itself would be memory that threads race for. */
    Fiber(void (*entry)(), Identity identity);
    /* The stack that calls run_grid(), of whichever OS thread. */
    Fiber() = default;
    Fiber(const Fiber &) = delete;
    Fiber &operator=(const Fiber &) = delete;

    void *context = nullptr; /* where it goes on */
    const void *stack = nullptr;
    size_t stack_bytes = 0;
    void *fake_stack = nullptr; /* the address sanitizer's */
    Identity identity = nullptr;

    /* The CUDA thread that it is at present; block NULL: none. */
    Block *block = nullptr;
    uint3 index{};
    int lane = 0, warp = 0;
    const char *waits_in = nullptr; /* NULL: it does not wait */
    Place place{};
};

/* Gives the processor from one fiber to another; returns when it comes back. */
void switch_fiber(Fiber &from, Fiber &to);

/* The first thing a fiber does. */
void fiber_started();

} // namespace cuhost

#endif
