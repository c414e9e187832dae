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

enum class Norm { training, prediction, backward };

// bytes: x and y, or x, dy and dx, each once
template <Norm what> void batch_norm(benchmark::State &state) {
    Memory memory;
    crs_batch_norm a = {};
    a.steps.T = state.range(0);
    a.steps.B = state.range(1);
    a.P = 1;
    a.F = state.range(2);
    a.training = what != Norm::prediction;
    a.momentum = 0.99;
    a.epsilon = 1e-3;
    const int64_t n = a.steps.T * a.steps.B * a.F;
    a.gamma = memory.floats(a.F);
    a.beta = memory.floats(a.F);
    a.running_mean = memory.zeros(a.F);
    a.running_var = memory.zeros(a.F);
    a.x = memory.floats(n);
    a.y = memory.zeros(n);
    a.dy = memory.floats(n);
    a.dx = memory.zeros(n);
    a.dgamma = memory.zeros(a.F);
    a.dbeta = memory.zeros(a.F);
    a.reserve = memory.bytes(ops()->batch_norm_reserve(device(), &a));
    check(ops()->batch_norm_forward(device(), &a));
    run<crs_batch_norm>(state, nullptr, what == Norm::backward ? ops()->batch_norm_backward : ops()->batch_norm_forward,
                        a);
    tell_bytes(state, static_cast<double>(n) * sizeof(float) * (what == Norm::backward ? 3 : 2));
}

void batch_norm_sizes(benchmark::internal::Benchmark *b) {
    timed(b)->ArgNames({"T", "B", "F"})->Args({126, 64, 64})->Args({38, 64, 64})->Args({126, 64, 6});
}

BENCHMARK_TEMPLATE(batch_norm, Norm::training)->Apply(batch_norm_sizes)->Name("batch_norm_forward");
BENCHMARK_TEMPLATE(batch_norm, Norm::prediction)->Apply(batch_norm_sizes)->Name("batch_norm_prediction");
BENCHMARK_TEMPLATE(batch_norm, Norm::backward)->Apply(batch_norm_sizes)->Name("batch_norm_backward");

template <bool backward> void layer_norm(benchmark::State &state) {
    Memory memory;
    crs_layer_norm a = {};
    a.N = state.range(0);
    a.F = state.range(1);
    a.epsilon = 1e-3;
    a.gamma = memory.floats(a.F);
    a.beta = memory.floats(a.F);
    a.x = memory.floats(a.N * a.F);
    a.y = memory.zeros(a.N * a.F);
    a.dy = memory.floats(a.N * a.F);
    a.dx = memory.zeros(a.N * a.F);
    a.dgamma = memory.zeros(a.F);
    a.dbeta = memory.zeros(a.F);
    a.reserve = memory.bytes(ops()->layer_norm_reserve(device(), &a));
    check(ops()->layer_norm_forward(device(), &a));
    run<crs_layer_norm>(state, nullptr, backward ? ops()->layer_norm_backward : ops()->layer_norm_forward, a);
    tell_bytes(state, static_cast<double>(a.N * a.F) * sizeof(float) * (backward ? 3 : 2));
}

void layer_norm_sizes(benchmark::internal::Benchmark *b) {
    timed(b)->ArgNames({"N", "F"})->Args({8192, 64});
}

BENCHMARK_TEMPLATE(layer_norm, false)->Apply(layer_norm_sizes)->Name("layer_norm_forward");
BENCHMARK_TEMPLATE(layer_norm, true)->Apply(layer_norm_sizes)->Name("layer_norm_backward");

// Windows side by side; bytes: the larger side and the smaller one with its numbers of steps, each once
template <bool mean, bool backward> void window_pool(benchmark::State &state) {
    Memory memory;
    crs_window_pool a = {};
    a.steps.T = state.range(0);
    a.steps.B = state.range(1);
    a.P = state.range(2);
    a.F = state.range(3);
    a.window.size[0] = a.window.stride[0] = state.range(4);
    a.window.size[1] = a.window.stride[1] = state.range(5);
    a.window.dilation[0] = a.window.dilation[1] = 1;
    a.T_out = a.steps.T / a.window.size[0];
    a.P_out = a.P / a.window.size[1];
    a.mean = mean;
    const int64_t n = a.steps.T * a.steps.B * a.P * a.F, outputs = a.T_out * a.steps.B * a.P_out * a.F;
    a.x = memory.floats(n);
    a.y = memory.zeros(outputs);
    a.argmax = memory.integers(outputs, 0, 1);
    a.dy = memory.floats(outputs);
    a.dx = memory.zeros(n);
    check(ops()->window_pool_forward(device(), &a));
    run<crs_window_pool>(state, nullptr, backward ? ops()->window_pool_backward : ops()->window_pool_forward, a);
    tell_bytes(state, static_cast<double>(n + outputs * (mean ? 1 : 2)) * sizeof(float));
}

void window_pool_sizes(benchmark::internal::Benchmark *b) {
    timed(b)
        ->ArgNames({"T", "B", "P", "F", "steps", "positions"})
        ->Args({126, 64, 1, 64, 3, 1})
        ->Args({38, 64, 1, 64, 5, 1})
        ->Args({884, 1, 997, 6, 2, 2});
}

BENCHMARK_TEMPLATE(window_pool, false, false)->Apply(window_pool_sizes)->Name("window_max_forward");
BENCHMARK_TEMPLATE(window_pool, false, true)->Apply(window_pool_sizes)->Name("window_max_backward");
BENCHMARK_TEMPLATE(window_pool, true, false)->Apply(window_pool_sizes)->Name("window_mean_forward");
BENCHMARK_TEMPLATE(window_pool, true, true)->Apply(window_pool_sizes)->Name("window_mean_backward");

void dropout(benchmark::State &state) {
    Memory memory;
    crs_dropout a = {};
    a.n = a.period = state.range(0);
    a.mask.rate = 0.5;
    a.mask.seed = 7;
    a.state = memory.state();
    a.x = memory.floats(a.n);
    a.y = memory.zeros(a.n);
    run<crs_dropout>(state, nullptr, ops()->dropout, a);
    tell_bytes(state, static_cast<double>(a.n) * sizeof(float) * 2);
}

BENCHMARK(dropout)->Apply([](benchmark::internal::Benchmark *b) { timed(b)->ArgName("n")->Arg(524288); });

void norm(benchmark::State &state) {
    Memory memory;
    crs_norm a = {};
    a.n = state.range(0);
    a.g = memory.floats(a.n);
    a.state = memory.state();
    run<crs_norm>(state, nullptr, ops()->norm, a);
    tell_bytes(state, static_cast<double>(a.n) * sizeof(float));
}

// What clears the gradients.
void fill(benchmark::State &state) {
    Memory memory;
    const size_t bytes = static_cast<size_t>(state.range(0)) * sizeof(float);
    void *block = memory.bytes(bytes);
    for (auto _ : state)
        check(ops()->fill(device(), block, 0, bytes));
    tell_bytes(state, static_cast<double>(bytes));
}

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
    timed(b)->ArgName("n")->Arg(278817)->Arg(4194304)->Arg(67108864);
}

BENCHMARK_TEMPLATE(optimizer, CRS_SGD, 3)->Apply(optimizer_sizes)->Name("optimizer_sgd");
BENCHMARK_TEMPLATE(optimizer, CRS_RMSPROP, 5)->Apply(optimizer_sizes)->Name("optimizer_rmsprop");
BENCHMARK_TEMPLATE(optimizer, CRS_ADAM, 7)->Apply(optimizer_sizes)->Name("optimizer_adam");
BENCHMARK(norm)->Apply(optimizer_sizes);
BENCHMARK(fill)->Apply(optimizer_sizes);

} // namespace
