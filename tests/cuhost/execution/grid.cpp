/* A grid: its blocks one after another, or all together if the launch is cooperative. */
#include "grid.hpp"

#include "scheduler.hpp"

#include <numeric>

namespace cuhost {

/* The numbers of a grid's blocks in the order in which they run: number(i) = (first + i * stride) mod count. */
struct BlockOrder {
    uint64_t count, first = 0, stride = 1;

    explicit BlockOrder(const Grid &grid) : count(1ull * grid.blocks.x * grid.blocks.y * grid.blocks.z) {
        const cuhost_order order = grid.schedule.order;
        if (order == CUHOST_REVERSE || (order == CUHOST_ALTERNATE && grid.number % 2)) {
            first = stride = count - 1;
        } else if (order == CUHOST_RANDOM) {
            Random random(grid.schedule.seed + static_cast<uint64_t>(grid.number));
            first = random.below(count);
            do
                stride = 1 + random.below(count);
            while (std::gcd(stride, count) != 1);
        }
    }
    uint64_t number(uint64_t i) const {
        return (first + i * stride) % count;
    }
};

void run_grid(const Grid &grid, Work &work) {
    Scheduler &scheduler = Scheduler::get();
    scheduler.begin(grid);
    const BlockOrder order(grid);
    if (grid.cooperative) {
        std::vector<uint64_t> all(order.count);
        std::iota(all.begin(), all.end(), 0);
        scheduler.run_gang(all);
    } else {
        for (uint64_t i = 0; i < order.count; i++)
            scheduler.run_gang({order.number(i)});
    }
    scheduler.end(work);
    work.launches++;
}

} // namespace cuhost
