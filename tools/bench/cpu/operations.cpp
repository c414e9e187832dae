// Single operations of the CPU backend, measured by Google Benchmark at the sizes of the networks that are compared:
// floating-point operations of matrix products a second and their share of the machine's ceiling ("of_ceiling", to
// which Google Benchmark puts a "/s"), or, of operations that only move memory, bytes a second. Of a backward alone:
// the forward that has to precede it is not in the clock.
//
//     bench_operations [--benchmark_filter=lstm] [--benchmark_min_time=0.5]; BENCH_THREADS=2 for two threads
//
// C++, since that is what the library is for. It compares with nothing; compare.py does.
#include "flops.h"
#include "network.h"

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <vector>

namespace {

int threads = 1;
crs_backend *backend;
double ceiling_gflops; // by processor time, which other programs disturb less

const crs_ops *ops() {
    return crs_backend_ops(backend);
}

crs_device *device() {
    return crs_backend_device(backend);
}

void check(crs_status status) {
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
void tell_flops(benchmark::State &state, double flops) {
    const double done = flops * 1e-9 * static_cast<double>(state.iterations()) * threads;
    state.counters["GFLOP/s"] = benchmark::Counter(done, benchmark::Counter::kIsRate);
    state.counters["of_ceiling"] = benchmark::Counter(done / ceiling_gflops, benchmark::Counter::kIsRate);
}

void tell_bytes(benchmark::State &state, double bytes) {
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

benchmark::internal::Benchmark *timed(benchmark::internal::Benchmark *b) {
    return b->MeasureProcessCPUTime()->Unit(benchmark::kMicrosecond);
}

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

// ---- what moves memory: bytes that have to be read and written, each once ----

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

int main(int argc, char *argv[]) {
    if (const char *given = std::getenv("BENCH_THREADS"))
        threads = std::atoi(given);
    if (threads < 1)
        fail("BENCH_THREADS has to be a number from 1");
    crs_device_options options = {};
    options.index = -1;
    options.threads = threads;
    crs_error error;
    if (crs_backend_open("cpu", &options, &backend, &error) != CRS_OK)
        fail("%s", error.what);
    ceiling_gflops = ceiling_measure(threads, 500).by_processor;
    benchmark::AddCustomContext("backend", crs_backend_describe(backend));
    benchmark::AddCustomContext("ceiling", std::to_string(ceiling_gflops) + " GFLOP/s");
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    crs_backend_close(backend);
    return 0;
}
