// What the benchmarks of single operations share: the device, its memory, and what is told of a run.
#ifndef CAROUSEL_BENCH_OPERATIONS_H
#define CAROUSEL_BENCH_OPERATIONS_H

#include "flops.h"
#include "network.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

// Set by main before any benchmark runs.
extern int threads;
extern crs_backend *backend;
extern double ceiling_gflops; // by processor time, which other programs disturb less

inline const crs_ops *ops() {
    return crs_backend_ops(backend);
}

inline crs_device *device() {
    return crs_backend_device(backend);
}

inline void check(crs_status status) {
    if (status != CRS_OK)
        fail("%s", crs_backend_failure(backend, status));
}

// Device memory of one benchmark.
class Memory {
  public:
    ~Memory() {
        for (void *block : blocks)
            ops()->free(device(), block);
    }
    void *bytes(size_t count) {
        void *block;
        check(ops()->alloc(device(), count > 0 ? count : 1, &block));
        blocks.push_back(block);
        check(ops()->fill(device(), block, 0, count));
        return block;
    }
    void *zeros(int64_t count) {
        return bytes(static_cast<size_t>(count) * sizeof(float));
    }
    void *floats(int64_t count, double limit = 0.1) {
        float *drawn = draw_uniforms(static_cast<size_t>(count), limit, blocks.size());
        void *block = upload(drawn, static_cast<size_t>(count) * sizeof *drawn);
        free(drawn);
        return block;
    }
    int32_t *integers(int64_t count, int32_t from, int32_t to) {
        int32_t *drawn = draw_integers(static_cast<size_t>(count), from, to, blocks.size());
        void *block = upload(drawn, static_cast<size_t>(count) * sizeof *drawn);
        free(drawn);
        return static_cast<int32_t *>(block);
    }
    crs_step_state *state() {
        crs_step_state first = {};
        first.step = 1;
        first.lr = 1e-3;
        first.grad_scale = 1;
        return static_cast<crs_step_state *>(upload(&first, sizeof first));
    }

  private:
    void *upload(const void *from, size_t count) {
        void *block = bytes(count);
        check(ops()->upload(device(), block, from, count));
        return block;
    }
    std::vector<void *> blocks;
};

// By the processor time of all threads, which other programs disturb less than the clock: as if all threads were at
// work all the time.
inline void tell_flops(benchmark::State &state, double flops) {
    const double done = flops * 1e-9 * static_cast<double>(state.iterations()) * threads;
    state.counters["GFLOP/s"] = benchmark::Counter(done, benchmark::Counter::kIsRate);
    state.counters["of_ceiling"] = benchmark::Counter(done / ceiling_gflops, benchmark::Counter::kIsRate);
}

inline void tell_bytes(benchmark::State &state, double bytes) {
    const double moved = bytes * 1e-9 * static_cast<double>(state.iterations()) * threads;
    state.counters["GB/s"] = benchmark::Counter(moved, benchmark::Counter::kIsRate);
}

// Every call of `timed`, with `before` outside of the clock.
template <class Args>
void run(benchmark::State &state, crs_status (*before)(crs_device *, const Args *),
         crs_status (*timed)(crs_device *, const Args *), const Args &args) {
    for (auto _ : state) {
        if (before) {
            state.PauseTiming();
            check(before(device(), &args));
            state.ResumeTiming();
        }
        check(timed(device(), &args));
    }
}

inline benchmark::internal::Benchmark *timed(benchmark::internal::Benchmark *b) {
    return b->MeasureProcessCPUTime()->Unit(benchmark::kMicrosecond);
}

#endif
