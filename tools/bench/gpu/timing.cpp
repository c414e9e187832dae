// Chains of calls, their graphs, and the clock.
#include "timing.hpp"

const char *const part_names[PARTS] = {"forward", "backward_data", "backward_weights", "backward", "whole"};

static void check(cudaError_t error, const char *what) {
    if (error == cudaSuccess)
        return;
    cudaGetLastError();
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// ---- a side ----

enum { WARM_UP = 2 };

Handles::~Handles() {
    for (const cudaGraphExec_t graph : graphs)
        if (graph)
            cudaGraphExecDestroy(graph);
    for (const cudaEvent_t event : {begin, end})
        if (event)
            cudaEventDestroy(event);
}

Runner::Runner(Side &which, cudaStream_t on, bool as_graphs) : side(which), captured(as_graphs), stream(on) {
    check(cudaEventCreate(&handles.begin), "cudaEventCreate");
    check(cudaEventCreate(&handles.end), "cudaEventCreate");
    for (int i = 0; i < WARM_UP; i++)
        queue(WHOLE);
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    for (int chain = 0; captured && chain < CHAINS; chain++)
        capture(static_cast<Chain>(chain));
}

void Runner::queue(Chain chain) {
    if (handles.graphs[chain]) {
        check(cudaGraphLaunch(handles.graphs[chain], stream), "cudaGraphLaunch");
        return;
    }
    side.forward();
    if (chain >= AND_DATA)
        side.backward_data();
    if (chain >= WHOLE)
        side.backward_weights();
}

void Runner::capture(Chain chain) {
    cudaGraph_t graph = nullptr;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    std::string why;
    try {
        queue(chain);
    } catch (const std::runtime_error &error) { // the capture has to be ended all the same
        why = error.what();
    }
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
    if (!why.empty() || ended != cudaSuccess) {
        if (graph)
            cudaGraphDestroy(graph);
        cudaGetLastError();
        throw std::runtime_error("not captured: " + (why.empty() ? std::string(cudaGetErrorString(ended)) : why));
    }
    const cudaError_t made = cudaGraphInstantiate(&handles.graphs[chain], graph, 0);
    cudaGraphDestroy(graph);
    check(made, "cudaGraphInstantiate");
}

// ---- the clock ----

double Runner::time(Chain chain, int64_t count) {
    float milliseconds = 0;
    check(cudaEventRecord(handles.begin, stream), "cudaEventRecord");
    for (int64_t i = 0; i < count; i++)
        queue(chain);
    check(cudaEventRecord(handles.end, stream), "cudaEventRecord");
    check(cudaEventSynchronize(handles.end), "cudaEventSynchronize");
    check(cudaEventElapsedTime(&milliseconds, handles.begin, handles.end), "cudaEventElapsedTime");
    return static_cast<double>(milliseconds) * 1e3 / static_cast<double>(count);
}

int64_t Runner::count_for(Chain chain, double milliseconds) {
    constexpr int64_t MOST = 1 << 14;
    int64_t count = 1;
    while (count < MOST && time(chain, count) * static_cast<double>(count) < milliseconds * 1e3)
        count *= 2;
    return count;
}

void Runner::calibrate(double milliseconds) {
    for (int chain = 0; chain < CHAINS; chain++)
        counts[chain] = count_for(static_cast<Chain>(chain), milliseconds);
}

double Runner::measure_once(Chain chain, double milliseconds) {
    return time(chain, count_for(chain, milliseconds));
}

void Runner::measure() {
    const double forward = time(FORWARD, counts[FORWARD]);
    const double and_data = side.split ? time(AND_DATA, counts[AND_DATA]) : 0;
    const double whole = time(WHOLE, counts[WHOLE]);
    times["forward"].push_back(forward);
    times["backward"].push_back(whole - forward);
    times["whole"].push_back(whole);
    if (side.split) {
        times["backward_data"].push_back(and_data - forward);
        times["backward_weights"].push_back(whole - and_data);
    }
}

void measure_rounds(const std::vector<Runner *> &runners, int64_t rounds, double milliseconds) {
    for (Runner *runner : runners)
        runner->calibrate(milliseconds);
    for (int64_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < runners.size(); i++)
            runners[(static_cast<size_t>(round) + i) % runners.size()]->measure();
}
