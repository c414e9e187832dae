/* What tests ask the layer: what ran, and what is alive. */
#include "../blas/context.hpp"
#include "graphs.hpp"
#include "handles.hpp"
#include "memory.hpp"

using namespace cuhost;

template <class T> static long alive() {
    return static_cast<long>(handles<T>().size());
}

void cuhost_get_statistics(struct cuhost_statistics *statistics) {
    const Call call;
    const Work &work = state().work;
    *statistics = state().statistics;
    statistics->launches = work.launches;
    statistics->threads = work.threads;
    statistics->switches = work.switches;
    statistics->barriers = work.barriers;
    count_memory(*statistics);
    statistics->streams = alive<CUstream_st>();
    statistics->events = alive<CUevent_st>();
    statistics->graphs = alive<CUgraph_st>();
    statistics->executable_graphs = alive<CUgraphExec_st>();
    statistics->blas_handles = alive<cublasContext>();
}

void cuhost_reset_statistics(void) {
    const Call call;
    state().work = Work();
    state().statistics = cuhost_statistics();
    cuhost_statistics now{};
    count_memory(now);
    state().statistics.peak_device_bytes = now.device_bytes;
}

long cuhost_alive(void) {
    cuhost_statistics now;
    cuhost_get_statistics(&now);
    return now.device_blocks + now.pinned_blocks + now.streams + now.events + now.graphs + now.executable_graphs +
           now.blas_handles;
}
