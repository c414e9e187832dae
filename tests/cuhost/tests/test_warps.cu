/* Threads that meet: barriers, warps, cooperative groups. */
#include "schedules.cuh"

namespace {

class Warps : public Schedules {};
ALL_SCHEDULES(Warps);

constexpr unsigned all = 0xffffffffu;

/* Six numbers of each lane: the four shuffles over the warp, and two within groups of eight. */
__global__ void shuffle_around(int *out) {
    const int lane = static_cast<int>(threadIdx.x % 32), value = 100 + lane;
    int *mine = out + threadIdx.x * 6;
    mine[0] = __shfl_sync(all, value, (lane + 5) % 32);
    mine[1] = __shfl_up_sync(all, value, 3);
    mine[2] = __shfl_down_sync(all, value, 3);
    mine[3] = __shfl_xor_sync(all, value, 9);
    mine[4] = __shfl_down_sync(all, value, 2, 8);
    mine[5] = __shfl_sync(all, value, 3, 8);
}

TEST_P(Warps, Shuffles) {
    const DeviceArray<int> out(64 * 6);
    launch({1, 64}, shuffle_around, out.get());
    const std::vector<int> got = out.host();
    for (int i = 0; i < 64; i++) {
        const int lane = i % 32;
        EXPECT_EQ(got[i * 6], 100 + (lane + 5) % 32);
        EXPECT_EQ(got[i * 6 + 1], 100 + (lane < 3 ? lane : lane - 3));
        EXPECT_EQ(got[i * 6 + 2], 100 + (lane > 28 ? lane : lane + 3));
        EXPECT_EQ(got[i * 6 + 3], 100 + (lane ^ 9));
        EXPECT_EQ(got[i * 6 + 4], 100 + (lane % 8 > 5 ? lane : lane + 2));
        EXPECT_EQ(got[i * 6 + 5], 100 + lane / 8 * 8 + 3);
    }
}

/* The halves of a warp go different ways, and meet again. */
__global__ void go_apart(double *out) {
    const bool lower = threadIdx.x < 16;
    const unsigned half = lower ? 0x0000ffffu : 0xffff0000u;
    double value = threadIdx.x;
    if (lower)
        value += __shfl_xor_sync(half, value, 1);
    else
        value -= __shfl_xor_sync(half, value, 1);
    value = __shfl_sync(half, value, 0, 16);
    __syncwarp(half);
    __syncwarp();
    out[threadIdx.x] = value;
}

TEST_P(Warps, MasksOfHalfAWarp) {
    const DeviceArray<double> out(32);
    launch({1, 32}, go_apart, out.get());
    const std::vector<double> got = out.host();
    for (int i = 0; i < 32; i++)
        EXPECT_EQ(got[i], i < 16 ? 1 : -1) << i;
}

__global__ void vote(unsigned *out) {
    const unsigned i = threadIdx.x;
    const unsigned votes[] = {__ballot_sync(all, i & 1),
                              static_cast<unsigned>(__any_sync(all, i == 5)),
                              static_cast<unsigned>(__all_sync(all, i < 31)),
                              static_cast<unsigned>(__syncthreads_count(i < 7)),
                              static_cast<unsigned>(__syncthreads_or(i == 40)),
                              static_cast<unsigned>(__syncthreads_and(i < 64))};
    if (i % 32 == 0)
        for (int k = 0; k < 6; k++)
            out[i / 32 * 6 + k] = votes[k];
}

TEST_P(Warps, Votes) {
    const DeviceArray<unsigned> out(12);
    launch({1, 64}, vote, out.get());
    EXPECT_EQ(out.host(), (std::vector<unsigned>{0xaaaaaaaau, 1, 0, 7, 1, 1, 0xaaaaaaaau, 0, 0, 7, 1, 1}));
}

/* A warp that is not full, and lanes that talk through shared memory. */
__global__ void rotate_in_warp(int *out) {
    CUDA_SHARED_ARRAY(int, values, 40);
    const unsigned i = threadIdx.x, warp = i / 32 * 32, lanes = i < 32 ? 32 : 8;
    const unsigned mask = i < 32 ? all : 0xffu;
    values[i] = static_cast<int>(i);
    for (int turn = 0; turn < 5; turn++) {
        __syncwarp(mask);
        const int next = values[warp + (i - warp + 1) % lanes];
        __syncwarp(mask);
        values[i] = next;
    }
    out[i] = values[i];
}

TEST_P(Warps, BarriersOfAWarp) {
    const DeviceArray<int> out(40);
    launch({1, 40}, rotate_in_warp, out.get());
    const std::vector<int> got = out.host();
    for (int i = 0; i < 40; i++)
        EXPECT_EQ(got[i], i < 32 ? (i + 5) % 32 : 32 + (i - 32 + 5) % 8) << i;
}

__global__ void count_block(int *out) {
    const cooperative_groups::thread_block block = cooperative_groups::this_thread_block();
    CUDA_SHARED_ARRAY(int, ones, 64);
    ones[block.thread_rank()] = 1;
    block.sync();
    int sum = 0;
    for (unsigned i = 0; i < block.size(); i++)
        sum += ones[i];
    out[block.thread_rank()] = sum;
}

TEST_P(Warps, ThreadBlocks) {
    const DeviceArray<int> out(64);
    launch({1, dim3(4, 8, 2)}, count_block, out.get());
    EXPECT_EQ(out.host(), std::vector<int>(64, 64));
}

/* Every step adds what all blocks had after the step before. */
__global__ void add_over_grid(int *values, int steps) {
    const cooperative_groups::grid_group grid = cooperative_groups::this_grid();
    const unsigned long long i = grid.thread_rank();
    for (int step = 0; step < steps; step++) {
        int sum = 0;
        for (unsigned k = 0; k < gridDim.x; k++)
            sum += values[k * blockDim.x];
        grid.sync();
        values[i] = sum;
        grid.sync();
    }
}

TEST_P(Warps, CooperativeGrids) {
    const DeviceArray<int> values(std::vector<int>(4 * 40, 1));
    launch({4, 40, 0, nullptr, true}, add_over_grid, values.get(), 3);
    EXPECT_EQ(values.host(), std::vector<int>(4 * 40, 64));
}

/* A lock that every thread of a block takes, and holds while others run. */
__global__ void count_under_lock(int *lock, int *count) {
    for (bool counted = false; !counted;) {
        if (atomicCAS(lock, 0, 1) == 0) {
            const int seen = *count;
            __nanosleep(10);
            *count = seen + 1;
            counted = true;
            __threadfence();
            atomicExch(lock, 0);
        } else {
            __nanosleep(10);
        }
    }
}

TEST_P(Warps, SpinLocks) {
    const DeviceArray<int> lock(std::vector<int>(1)), count(std::vector<int>(1));
    launch({2, 48}, count_under_lock, lock.get(), count.get());
    EXPECT_EQ(count.host()[0], 96);
}

/* In which order the threads of a block come, and in which they go on after a barrier. */
__global__ void note_order(int *next, int *order) {
    const int thread = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    order[atomicAdd(&next[0], 1)] = thread;
    __syncthreads();
    order[60 + atomicAdd(&next[1], 1)] = thread;
}

struct Order {
    std::vector<int> coming, going_on;
};

Order order_under(cuhost_order policy, unsigned seed) {
    cuhost_schedule(policy, seed);
    const DeviceArray<int> next(std::vector<int>(2)), order(2 * 60);
    launch({3, 20}, note_order, next.get(), order.get());
    const std::vector<int> both = order.host();
    cuhost_schedule(CUHOST_ALTERNATE, 1);
    return {{both.begin(), both.begin() + 60}, {both.begin() + 60, both.end()}};
}

TEST(Orders, AreWhatTheySay) {
    std::vector<int> counting, backwards, blocks_backwards;
    for (int i = 0; i < 60; i++) {
        counting.push_back(i);
        backwards.push_back(59 - i);
        blocks_backwards.push_back(i / 20 * 20 + 19 - i % 20);
    }
    const Order forward = order_under(CUHOST_FORWARD, 1), reverse = order_under(CUHOST_REVERSE, 1);
    EXPECT_EQ(forward.coming, counting);
    EXPECT_EQ(forward.going_on, counting);
    EXPECT_EQ(reverse.coming, backwards);
    EXPECT_EQ(reverse.going_on, backwards);
    const Order alternate = order_under(CUHOST_ALTERNATE, 1);
    EXPECT_EQ(alternate.coming, counting);
    EXPECT_EQ(alternate.going_on, blocks_backwards);
}

/* The same seed, the same order; another one, another. */
TEST(Orders, ByChanceFollowTheSeed) {
    const Order one = order_under(CUHOST_RANDOM, 1), same = order_under(CUHOST_RANDOM, 1);
    const Order other = order_under(CUHOST_RANDOM, 2);
    EXPECT_EQ(one.coming, same.coming);
    EXPECT_EQ(one.going_on, same.going_on);
    EXPECT_NE(one.coming, other.coming);
    EXPECT_NE(one.coming, order_under(CUHOST_FORWARD, 1).coming);
    EXPECT_NE(one.going_on, one.coming) << "a barrier shuffles once more";
}

/* Every launch turns the alternate order round. */
TEST(Orders, AlternateFromLaunchToLaunch) {
    const DeviceArray<int> next(std::vector<int>(2)), order(2 * 60);
    cuhost_schedule(CUHOST_ALTERNATE, 1);
    std::vector<int> first;
    for (int i = 0; i < 3; i++) {
        check(cudaMemset(next.get(), 0, 2 * sizeof(int)));
        launch({3, 20}, note_order, next.get(), order.get());
        first.push_back(order.host()[0]);
    }
    EXPECT_EQ(first, (std::vector<int>{0, 59, 0}));
}

} // namespace
