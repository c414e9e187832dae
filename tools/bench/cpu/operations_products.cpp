// Operations that are matrix products: recurrent layers, convolution, dense.
#include "operations.hpp"

namespace {

// ---- recurrent layers ----

enum class Cell { rnn = 1, gru = 3, lstm = 4 }; // gates

crs_recurrent place_recurrent(Memory &memory, int64_t G, int64_t B, int64_t I, int64_t H) {
    const int64_t T = 128;
    crs_recurrent a = {};
    a.steps.T = T;
    a.steps.B = B;
    a.I = I;
    a.H = a.ldy = H;
    a.activation = CRS_TANH;
    a.reset_after = a.training = 1;
    a.state = memory.state();
    a.x = memory.floats(T * B * I, 1);
    a.W = memory.floats(G * H * I);
    a.R = memory.floats(G * H * H);
    a.b = memory.floats(G * H);
    a.y = memory.zeros(T * B * H);
    a.dy = memory.floats(T * B * H);
    a.dx = memory.zeros(T * B * I);
    a.dW = memory.zeros(G * H * I);
    a.dR = memory.zeros(G * H * H);
    a.db = memory.zeros(G * H);
    if (G == 3) {
        a.b_hh = memory.floats(G * H);
        a.db_hh = memory.zeros(G * H);
    }
    return a;
}

template <Cell cell, bool backward> void recurrent(benchmark::State &state) {
    const int64_t G = static_cast<int64_t>(cell), B = state.range(0), I = state.range(1), H = state.range(2);
    Memory memory;
    crs_recurrent a = place_recurrent(memory, G, B, I, H);
    const auto *table = ops();
    const auto reserve = cell == Cell::rnn   ? table->rnn_reserve
                         : cell == Cell::gru ? table->gru_reserve
                                             : table->lstm_reserve;
    const auto forward = cell == Cell::rnn   ? table->rnn_forward
                         : cell == Cell::gru ? table->gru_forward
                                             : table->lstm_forward;
    const auto back = cell == Cell::rnn   ? table->rnn_backward
                      : cell == Cell::gru ? table->gru_backward
                                          : table->lstm_backward;
    a.reserve = memory.bytes(reserve(device(), &a));
    run(state, backward ? forward : nullptr, backward ? back : forward, a);
    tell_flops(state, flops_recurrent(a.steps.T * B, I, H, G) * (backward ? FLOPS_BACKWARD : 1));
}

void lstm_sizes(benchmark::internal::Benchmark *b) {
    timed(b)
        ->ArgNames({"B", "I", "H"})
        ->Args({128, 32, 32})
        ->Args({64, 128, 64})
        ->Args({64, 256, 256})
        ->Args({64, 512, 512});
}

void rnn_sizes(benchmark::internal::Benchmark *b) {
    timed(b)->ArgNames({"B", "I", "H"})->Args({128, 64, 128})->Args({128, 128, 128});
}

void gru_sizes(benchmark::internal::Benchmark *b) {
    timed(b)->ArgNames({"B", "I", "H"})->Args({128, 32, 32})->Args({64, 64, 64});
}

BENCHMARK_TEMPLATE(recurrent, Cell::lstm, false)->Apply(lstm_sizes)->Name("lstm_forward");
BENCHMARK_TEMPLATE(recurrent, Cell::lstm, true)->Apply(lstm_sizes)->Name("lstm_backward");
BENCHMARK_TEMPLATE(recurrent, Cell::gru, false)->Apply(gru_sizes)->Name("gru_forward");
BENCHMARK_TEMPLATE(recurrent, Cell::gru, true)->Apply(gru_sizes)->Name("gru_backward");
BENCHMARK_TEMPLATE(recurrent, Cell::rnn, false)->Apply(rnn_sizes)->Name("rnn_forward");
BENCHMARK_TEMPLATE(recurrent, Cell::rnn, true)->Apply(rnn_sizes)->Name("rnn_backward");

// ---- convolution and dense ----

template <bool backward> void conv(benchmark::State &state) {
    const int64_t T = state.range(0), B = state.range(1), I = state.range(2), O = state.range(3), K = state.range(4);
    Memory memory;
    crs_conv a = {};
    a.steps.T = T;
    a.steps.B = B;
    a.P = a.P_out = 1;
    a.I = I;
    a.T_out = T - K + 1;
    a.O = O;
    a.window.size[0] = K;
    a.window.size[1] = a.window.stride[0] = a.window.stride[1] = a.window.dilation[0] = a.window.dilation[1] = 1;
    a.activation = CRS_RELU;
    a.x = memory.floats(T * B * I, 1);
    a.W = memory.floats(O * K * I);
    a.b = memory.floats(O);
    a.y = memory.zeros(a.T_out * B * O);
    a.dy = memory.floats(a.T_out * B * O);
    a.dx = memory.zeros(T * B * I);
    a.dW = memory.zeros(O * K * I);
    a.db = memory.zeros(O);
    a.reserve = memory.bytes(ops()->conv_reserve(device(), &a));
    check(ops()->conv_forward(device(), &a));
    run<crs_conv>(state, nullptr, backward ? ops()->conv_backward : ops()->conv_forward, a);
    tell_flops(state, flops_conv(a.T_out * B, K, I, O) * (backward ? FLOPS_BACKWARD : 1));
}

void conv_sizes(benchmark::internal::Benchmark *b) {
    timed(b)
        ->ArgNames({"T", "B", "I", "O", "K"})
        ->Args({128, 64, 64, 64, 3})
        ->Args({42, 64, 64, 64, 5})
        ->Args({128, 128, 64, 32, 3});
}

BENCHMARK_TEMPLATE(conv, false)->Apply(conv_sizes)->Name("conv_forward");
BENCHMARK_TEMPLATE(conv, true)->Apply(conv_sizes)->Name("conv_backward");

template <bool backward> void dense(benchmark::State &state) {
    Memory memory;
    crs_dense a = {};
    a.N = state.range(0);
    a.I = state.range(1);
    a.O = state.range(2);
    a.activation = CRS_LINEAR;
    a.x = memory.floats(a.N * a.I, 1);
    a.W = memory.floats(a.O * a.I);
    a.b = memory.floats(a.O);
    a.y = memory.zeros(a.N * a.O);
    a.dy = memory.floats(a.N * a.O);
    a.dx = memory.zeros(a.N * a.I);
    a.dW = memory.zeros(a.O * a.I);
    a.db = memory.zeros(a.O);
    run<crs_dense>(state, nullptr, backward ? ops()->dense_backward : ops()->dense_forward, a);
    tell_flops(state, flops_product(a.N, a.I, a.O) * (backward ? FLOPS_BACKWARD : 1));
}

void dense_sizes(benchmark::internal::Benchmark *b) {
    timed(b)->ArgNames({"N", "I", "O"})->Args({128, 128, 32})->Args({64, 64, 100})->Args({16384, 64, 128});
}

BENCHMARK_TEMPLATE(dense, false)->Apply(dense_sizes)->Name("dense_forward");
BENCHMARK_TEMPLATE(dense, true)->Apply(dense_sizes)->Name("dense_backward");

} // namespace
