/* Running a kernel: the one thing that the runtime asks of this folder. */
#ifndef CUHOST_EXECUTION_GRID_HPP
#define CUHOST_EXECUTION_GRID_HPP

#include "../cuhost_test.h"
#include "../language/kernel.hpp"

namespace cuhost {

struct Schedule {
    cuhost_order order = CUHOST_ALTERNATE;
    unsigned seed = 1;
};

struct Grid {
    dim3 blocks, threads;
    size_t dynamic_shared = 0, shared_limit = 0; /* bytes of a block */
    bool cooperative = false;                    /* all blocks are resident together */
    const Kernel *kernel = nullptr;
    Schedule schedule;
    long number = 0; /* of the launch, since the schedule was set */
};

struct Work {
    long launches = 0, threads = 0, switches = 0, barriers = 0;
};

/* Runs all threads to their end, and adds to `work`. Not for two OS threads at the same time. */
void run_grid(const Grid &grid, Work &work);

} // namespace cuhost

#endif
