// Single operations of the CPU backend, measured by Google Benchmark at the sizes of the networks that are compared:
// floating-point operations of matrix products a second and their share of the machine's ceiling ("of_ceiling", to
// which Google Benchmark puts a "/s"), or, of operations that only move memory, bytes a second. Of a backward alone:
// the forward that has to precede it is not in the clock.
//
//     bench_operations [--benchmark_filter=lstm] [--benchmark_min_time=0.5]; BENCH_THREADS=2 for two threads
//
// C++, since that is what the library is for. It compares with nothing; compare.py does.
#include "operations.hpp"

int threads = 1;
crs_backend *backend;
double ceiling_gflops;

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
