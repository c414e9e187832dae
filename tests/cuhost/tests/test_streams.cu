/* Streams, events and graphs: when queued work runs. */
#include "schedules.cuh"

#include <functional>

namespace {

__global__ void set(float *out, float value) {
    out[blockIdx.x * blockDim.x + threadIdx.x] = value;
}

__global__ void add(float *out, const float *in) {
    out[threadIdx.x] += in[threadIdx.x];
}

class Streams : public testing::Test {
  protected:
    void TearDown() override {
        cuhost_streams(CUHOST_LAZY);
        EXPECT_EQ(cuhost_alive(), 0);
    }
};

constexpr int n = 32;
constexpr size_t bytes = n * sizeof(float);

void copy_to_host(std::vector<float> &host, const DeviceArray<float> &device, cudaStream_t stream) {
    check(cudaMemcpyAsync(host.data(), device.get(), bytes, cudaMemcpyDeviceToHost, stream));
}

TEST_F(Streams, EagerWorkRunsAtTheCallAndLazyWorkWhenItMust) {
    for (cuhost_queueing queueing : {CUHOST_EAGER, CUHOST_LAZY}) {
        cuhost_streams(queueing);
        const Stream stream;
        const DeviceArray<float> device(n);
        std::vector<float> host(n, -1);
        launch({1, n, 0, stream.get()}, set, device.get(), 3.0f);
        copy_to_host(host, device, stream.get());
        EXPECT_EQ(host[0], queueing == CUHOST_EAGER ? 3 : -1);
        check(cudaStreamSynchronize(stream.get()));
        EXPECT_EQ(host, std::vector<float>(n, 3));
    }
}

/* Two streams that are ordered by events alone, many times over. */
TEST_F(Streams, EventsOrderThemUnderChaos) {
    cuhost_streams(CUHOST_CHAOS);
    for (unsigned seed = 0; seed < 10; seed++) {
        cuhost_schedule(CUHOST_RANDOM, seed);
        const Stream first, second;
        const Event ping(cudaEventDisableTiming), pong(cudaEventDisableTiming);
        const DeviceArray<float> one(n), sum(std::vector<float>(n, 0.0f));
        for (int round = 0; round < 5; round++) {
            launch({1, n, 0, first.get()}, set, one.get(), static_cast<float>(round));
            check(cudaEventRecord(ping.get(), first.get()));
            check(cudaStreamWaitEvent(second.get(), ping.get(), 0));
            launch({1, n, 0, second.get()}, add, sum.get(), one.get());
            check(cudaEventRecord(pong.get(), second.get()));
            check(cudaStreamWaitEvent(first.get(), pong.get(), 0));
        }
        check(cudaStreamSynchronize(second.get()));
        EXPECT_EQ(sum.host(), std::vector<float>(n, 10)) << seed;
    }
    cuhost_schedule(CUHOST_ALTERNATE, 1);
}

/* The null stream waits for blocking streams and they for it; the others go their own way. */
TEST_F(Streams, TheNullStreamWaitsForBlockingStreams) {
    for (unsigned flags : {cudaStreamDefault, cudaStreamNonBlocking}) {
        const bool blocking = flags == cudaStreamDefault;
        const Stream stream(flags);
        const DeviceArray<float> device(std::vector<float>(n, 1));
        std::vector<float> host(n, -1);
        launch({1, n, 0, stream.get()}, set, device.get(), 2.0f);
        copy_to_host(host, device, nullptr);
        check(cudaStreamSynchronize(nullptr));
        EXPECT_EQ(host[0], blocking ? 2 : 1);
        check(cudaDeviceSynchronize());

        launch({1, n}, set, device.get(), 5.0f);
        copy_to_host(host, device, stream.get());
        check(cudaStreamSynchronize(stream.get()));
        EXPECT_EQ(host[0], blocking ? 5 : 2);
    }
}

TEST_F(Streams, DestroyedOnesFinishTheirWork) {
    const DeviceArray<float> device(n);
    std::vector<float> host(n, -1);
    {
        const Stream stream;
        launch({1, n, 0, stream.get()}, set, device.get(), 4.0f);
        copy_to_host(host, device, stream.get());
    }
    EXPECT_EQ(host[0], -1) << "destroying a stream does not wait";
    check(cudaDeviceSynchronize());
    EXPECT_EQ(host[0], 4);
}

TEST_F(Streams, AskingGetsThereInTheEnd) {
    const Stream stream;
    const Event event;
    const DeviceArray<float> device(n);
    EXPECT_EQ(cudaStreamQuery(stream.get()), cudaSuccess);
    EXPECT_EQ(cudaEventQuery(event.get()), cudaSuccess) << "an event never recorded has nothing to wait for";
    launch({1, n, 0, stream.get()}, set, device.get(), 4.0f);
    EXPECT_EQ(cudaStreamQuery(stream.get()), cudaErrorNotReady);
    EXPECT_EQ(cudaStreamQuery(stream.get()), cudaSuccess);
    launch({1, n, 0, stream.get()}, set, device.get(), 4.0f);
    check(cudaEventRecord(event.get(), stream.get()));
    EXPECT_EQ(cudaEventQuery(event.get()), cudaErrorNotReady);
    EXPECT_EQ(cudaEventQuery(event.get()), cudaSuccess);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "not to be ready is no failure";
}

TEST_F(Streams, EventsTellTheTimeBetween) {
    const Event begin, end, untimed(cudaEventDisableTiming), unrecorded;
    const DeviceArray<float> device(100 * n);
    float milliseconds = -1;
    check(cudaEventRecord(begin.get(), nullptr));
    launch({100, n}, set, device.get(), 1.0f);
    check(cudaEventRecord(end.get(), nullptr));
    check(cudaEventRecord(untimed.get(), nullptr));
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()), cudaErrorNotReady);
    check(cudaEventSynchronize(untimed.get()));
    check(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
    EXPECT_GT(milliseconds, 0);
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin.get(), untimed.get()), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventElapsedTime(&milliseconds, begin.get(), unrecorded.get()), cudaErrorInvalidResourceHandle);
    cudaGetLastError();
}

TEST_F(Streams, HandlesThatAreGoneAreKnown) {
    cudaStream_t stream = nullptr;
    cudaEvent_t event = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    check(cudaEventCreateWithFlags(&event, cudaEventDefault));
    check(cudaStreamDestroy(stream));
    check(cudaEventDestroy(event));
    const Stream alive_stream;
    const Event alive_event;
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaStreamDestroy(stream), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaStreamWaitEvent(stream, alive_event.get(), 0), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaStreamWaitEvent(alive_stream.get(), event, 0), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventRecord(event, nullptr), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventSynchronize(event), cudaErrorInvalidResourceHandle);
    EXPECT_EQ(cudaEventDestroy(event), cudaErrorInvalidResourceHandle);
    cudaGetLastError();
}

class Graphs : public Streams {
  protected:
    cudaGraphExec_t executable_of(cudaGraph_t graph) {
        cudaGraphExec_t executable = nullptr;
        check(cudaGraphInstantiate(&executable, graph, 0));
        check(cudaGraphDestroy(graph));
        return executable;
    }
    cudaGraph_t end() {
        cudaGraph_t graph = nullptr;
        check(cudaStreamEndCapture(stream.get(), &graph));
        return graph;
    }
    void begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
        check(cudaStreamBeginCapture(stream.get(), mode));
    }
    const Stream stream;
    void TearDown() override {}
};

/* Nothing runs while it is recorded; copies read the host's memory when the graph runs; launches add up. */
TEST_F(Graphs, RunWhatWasRecorded) {
    const DeviceArray<float> one(n), sum(std::vector<float>(n, 0.0f));
    std::vector<float> host(n, 1);
    begin();
    check(cudaMemcpyAsync(one.get(), host.data(), bytes, cudaMemcpyHostToDevice, stream.get()));
    launch({1, n, 0, stream.get()}, add, sum.get(), one.get());
    cudaStreamCaptureStatus status;
    check(cudaStreamIsCapturing(stream.get(), &status));
    EXPECT_EQ(status, cudaStreamCaptureStatusActive);
    const cudaGraph_t graph = end();
    size_t nodes = 0;
    check(cudaGraphGetNodes(graph, nullptr, &nodes));
    EXPECT_EQ(nodes, 2u);
    cudaGraphExec_t executable = executable_of(graph);
    EXPECT_EQ(cudaGraphGetNodes(graph, nullptr, &nodes), cudaErrorInvalidValue) << "it is destroyed";
    cudaGetLastError();
    check(cudaDeviceSynchronize());
    EXPECT_EQ(sum.host(), std::vector<float>(n, 0));
    check(cudaGraphLaunch(executable, stream.get()));
    check(cudaStreamSynchronize(stream.get()));
    host.assign(n, 10);
    check(cudaGraphLaunch(executable, stream.get()));
    check(cudaGraphLaunch(executable, stream.get()));
    check(cudaGraphExecDestroy(executable)); /* what is queued goes on */
    check(cudaStreamSynchronize(stream.get()));
    EXPECT_EQ(sum.host(), std::vector<float>(n, 21));
    EXPECT_EQ(cudaGraphLaunch(executable, stream.get()), cudaErrorInvalidValue);
    cudaGetLastError();
}

/* Another stream takes part if it waits for an event of the capture, and must be waited for in turn. */
TEST_F(Graphs, ForkAndJoin) {
    for (bool join : {true, false}) {
        const Stream side;
        const Event forked(cudaEventDisableTiming), joined(cudaEventDisableTiming);
        const DeviceArray<float> left(n), right(n);
        begin();
        launch({1, n, 0, stream.get()}, set, left.get(), 1.0f);
        check(cudaEventRecord(forked.get(), stream.get()));
        check(cudaStreamWaitEvent(side.get(), forked.get(), 0));
        launch({1, n, 0, side.get()}, set, right.get(), 2.0f);
        check(cudaEventRecord(joined.get(), side.get()));
        if (join)
            check(cudaStreamWaitEvent(stream.get(), joined.get(), 0));
        launch({1, n, 0, stream.get()}, add, left.get(), right.get());
        cudaGraph_t graph = nullptr;
        if (!join) {
            EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaErrorStreamCaptureUnjoined);
            EXPECT_EQ(graph, nullptr);
            cudaGetLastError();
            continue;
        }
        cudaGraphExec_t executable = executable_of(end());
        check(cudaGraphLaunch(executable, side.get()));
        check(cudaStreamSynchronize(side.get()));
        EXPECT_EQ(left.host(), std::vector<float>(n, 3));
        check(cudaGraphExecDestroy(executable));
    }
}

/* What must not be called while a stream is recorded fails, and spoils the recording. */
TEST_F(Graphs, UnsafeCallsSpoilTheRecording) {
    const DeviceArray<float> device(n);
    const Event outside(cudaEventDisableTiming), inside(cudaEventDisableTiming);
    check(cudaEventRecord(outside.get(), nullptr));
    std::vector<float> host(n);
    float *memory = nullptr;
    const std::vector<std::pair<cudaError_t, std::function<cudaError_t()>>> calls = {
        {cudaErrorStreamCaptureUnsupported, [&] { return cudaStreamSynchronize(stream.get()); }},
        {cudaErrorStreamCaptureUnsupported, [&] { return cudaStreamQuery(stream.get()); }},
        {cudaErrorStreamCaptureUnsupported, [&] { return cudaDeviceSynchronize(); }},
        {cudaErrorStreamCaptureUnsupported, [&] { return cudaMalloc(&memory, bytes); }},
        {cudaErrorStreamCaptureUnsupported, [&] { return cudaFree(device.get()); }},
        {cudaErrorStreamCaptureUnsupported, [&] { return cudaMemset(device.get(), 0, bytes); }},
        {cudaErrorStreamCaptureUnsupported,
         [&] { return cudaMemcpy(host.data(), device.get(), bytes, cudaMemcpyDeviceToHost); }},
        {cudaErrorStreamCaptureIsolation, [&] { return cudaStreamWaitEvent(stream.get(), outside.get(), 0); }},
        {cudaErrorCapturedEvent, [&] { return cudaEventSynchronize(inside.get()); }},
        {cudaErrorCapturedEvent, [&] { return cudaEventQuery(inside.get()); }},
    };
    for (size_t i = 0; i < calls.size(); i++) {
        begin();
        check(cudaEventRecord(inside.get(), stream.get()));
        EXPECT_EQ(calls[i].second(), calls[i].first) << i;
        cudaGraph_t graph = nullptr;
        EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaErrorStreamCaptureInvalidated) << i;
        EXPECT_EQ(graph, nullptr);
    }
    begin(cudaStreamCaptureModeRelaxed);
    check(cudaMalloc(&memory, bytes));
    check(cudaGraphDestroy(end()));
    check(cudaFree(memory));
    cudaGetLastError();
}

TEST_F(Graphs, BeginAndEndMustMatch) {
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaErrorIllegalState);
    EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal), cudaErrorStreamCaptureUnsupported);
    begin();
    EXPECT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), cudaErrorIllegalState);
    check(cudaGraphDestroy(end()));
    cudaGetLastError();
}

} // namespace
