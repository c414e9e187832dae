/* Queued work: what runs before what, and when. */
#include "queue.hpp"

#include "devices.hpp"
#include "handles.hpp"
#include "memory.hpp"

#include <chrono>

namespace cuhost {

static CUstream_st &null_stream() {
    static CUstream_st *stream = new CUstream_st;
    return *stream;
}

/* Work of streams that are no more. */
static std::vector<OperationPointer> &orphans() {
    static std::vector<OperationPointer> *all = new std::vector<OperationPointer>;
    return *all;
}

CUstream_st *stream_of(cudaStream_t handle) {
    if (handle == nullptr || handle == cudaStreamLegacy)
        return &null_stream();
    return handles<CUstream_st>().has(handle) ? handle : nullptr;
}

static double now() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static void run(Operation &operation) {
    operation.done = true;
    if (!state().sticky)
        operation.work();
    operation.milliseconds = now();
    operation.work = nullptr;
    operation.before.clear();
}

/* Without recursion: a queue may be long. */
void wait_for(const OperationPointer &last) {
    if (!last || last->done)
        return;
    const DeviceAccess access;
    std::vector<OperationPointer> path{last};
    while (!path.empty()) {
        const OperationPointer operation = path.back();
        const size_t length = path.size();
        for (const OperationPointer &first : operation->before)
            if (!operation->done && first && !first->done)
                path.push_back(first);
        if (path.size() > length)
            continue;
        path.pop_back();
        if (!operation->done)
            run(*operation);
    }
}

void wait_for_all() {
    const DeviceAccess access;
    handles<CUstream_st>().for_each([](CUstream_st &stream) { wait_for(stream.last); });
    wait_for(null_stream().last);
    for (const OperationPointer &operation : orphans())
        wait_for(operation);
    orphans().clear();
}

void adopt(const OperationPointer &operation) {
    if (operation && !operation->done)
        orphans().push_back(operation);
}

/* Under chaos, some stream may get as far as its last operation, at any time. */
static void run_by_chance() {
    Random &random = state().chaos;
    std::vector<CUstream_st *> streams{&null_stream()};
    handles<CUstream_st>().for_each([&](CUstream_st &stream) { streams.push_back(&stream); });
    while (random.below(2))
        wait_for(streams[random.below(streams.size())]->last);
}

OperationPointer append(CUstream_st &stream, WorkFunction work, const OperationPointer &first) {
    const OperationPointer operation = std::make_shared<Operation>();
    operation->work = std::move(work);
    operation->before = {stream.last, first};
    if (&stream == &null_stream())
        handles<CUstream_st>().for_each([&](CUstream_st &other) {
            if (other.blocking)
                operation->before.push_back(other.last);
        });
    else if (stream.blocking)
        operation->before.push_back(null_stream().last);
    stream.last = operation;
    if (state().settings.queueing == CUHOST_EAGER)
        wait_for(operation);
    else if (state().settings.queueing == CUHOST_CHAOS)
        run_by_chance();
    return operation;
}

cudaError_t enqueue(cudaStream_t handle, WorkFunction work) {
    CUstream_st *stream = stream_of(handle);
    if (!stream)
        return misuse(cudaErrorInvalidResourceHandle, "work for a stream that does not exist");
    if (stream->capture) {
        stream->capture->nodes.push_back(std::move(work));
        stream->seen[stream]++;
    } else {
        append(*stream, std::move(work), nullptr);
    }
    return cudaSuccess;
}

bool capture_refuses() {
    bool refuses = false;
    handles<CUstream_st>().for_each([&](CUstream_st &stream) {
        if (stream.capture && !stream.capture->relaxed) {
            stream.capture->invalid = true;
            refuses = true;
        }
    });
    return refuses;
}

} // namespace cuhost
