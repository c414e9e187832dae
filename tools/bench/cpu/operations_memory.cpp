// Operations that move memory: bytes that have to be read and written, each once.
#include "operations.hpp"

namespace {

template <bool backward> void embedding(benchmark::State &state) {
    Memory memory;
    crs_embedding a = {};
    a.T = 128;
    a.B = state.range(0);
    a.V = state.range(1);
    a.E = state.range(2);
    a.ids = memory.integers(a.T * a.B, 1, static_cast<int32_t>(a.V));
    a.table = memory.floats(a.V * a.E);
    a.dtable = memory.zeros(a.V * a.E);
    a.y = memory.zeros(a.T * a.B * a.E);
    a.dy = memory.floats(a.T * a.B * a.E);
    run<crs_embedding>(state, nullptr, backward ? ops()->embedding_backward : ops()->embedding_forward, a);
    tell_bytes(state, static_cast<double>(a.T * a.B * a.E) * sizeof(float) * (backward ? 3 : 2));
}

void embedding_sizes(benchmark::internal::Benchmark *b) {
    timed(b)->ArgNames({"B", "V", "E"})->Args({128, 8192, 32})->Args({64, 8192, 64});
}

BENCHMARK_TEMPLATE(embedding, false)->Apply(embedding_sizes)->Name("embedding_forward");
BENCHMARK_TEMPLATE(embedding, true)->Apply(embedding_sizes)->Name("embedding_backward");

template <bool backward> void pool_max(benchmark::State &state) {
    Memory memory;
    crs_pool a = {};
    a.steps.T = state.range(0);
    a.steps.B = state.range(1);
    a.F = state.range(2);
    a.kind = CRS_POOL_MAX;
    a.x = memory.floats(a.steps.T * a.steps.B * a.F);
    a.y = memory.zeros(a.steps.B * a.F);
    a.argmax = memory.integers(a.steps.B * a.F, 0, 1);
    a.dy = memory.floats(a.steps.B * a.F);
    a.dx = memory.zeros(a.steps.T * a.steps.B * a.F);
    check(ops()->pool_forward(device(), &a));
    run<crs_pool>(state, nullptr, backward ? ops()->pool_backward : ops()->pool_forward, a);
    tell_bytes(state, static_cast<double>(a.steps.T * a.steps.B * a.F) * sizeof(float));
}

void pool_sizes(benchmark::internal::Benchmark *b) {
    timed(b)->ArgNames({"T", "B", "F"})->Args({128, 64, 128});
}

BENCHMARK_TEMPLATE(pool_max, false)->Apply(pool_sizes)->Name("pool_max_forward");
BENCHMARK_TEMPLATE(pool_max, true)->Apply(pool_sizes)->Name("pool_max_backward");

// streams: arrays that a step reads or writes, so many times n numbers
template <crs_optimizer_kind kind, int streams> void optimizer(benchmark::State &state) {
    Memory memory;
    crs_optimizer a = {};
    a.n = state.range(0);
    a.kind = kind;
    a.rho = a.beta1 = 0.9;
    a.beta2 = 0.999;
    a.epsilon = 1e-7;
    a.state = memory.state();
    a.g = memory.floats(a.n);
    a.w = memory.floats(a.n);
    a.m = memory.zeros(a.n);
    a.v = memory.zeros(a.n);
    run<crs_optimizer>(state, nullptr, ops()->optimizer, a);
    tell_bytes(state, static_cast<double>(a.n) * sizeof(float) * streams);
}

void optimizer_sizes(benchmark::internal::Benchmark *b) {
    timed(b)->ArgName("n")->Arg(278817)->Arg(4194304);
}

BENCHMARK_TEMPLATE(optimizer, CRS_SGD, 3)->Apply(optimizer_sizes)->Name("optimizer_sgd");
BENCHMARK_TEMPLATE(optimizer, CRS_RMSPROP, 5)->Apply(optimizer_sizes)->Name("optimizer_rmsprop");
BENCHMARK_TEMPLATE(optimizer, CRS_ADAM, 7)->Apply(optimizer_sizes)->Name("optimizer_adam");

} // namespace
