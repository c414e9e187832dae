/* Recording what streams do as a graph, and launching it. A graph runs its nodes in the order in which they were
 * recorded: that two streams of a graph lack an event between them is not seen. */
#include "graphs.hpp"

#include "handles.hpp"

using namespace cuhost;

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
    const Call call(cudaErrorStreamCaptureUnsupported);
    if (call.error)
        return call.error;
    CUstream_st *stream = stream_of(handle);
    if (!stream)
        return misuse(cudaErrorInvalidResourceHandle, "cudaStreamBeginCapture of a stream that does not exist");
    if (stream != handle) /* the null stream cannot be captured */
        return failed(cudaErrorStreamCaptureUnsupported);
    if (stream->capture)
        return failed(cudaErrorIllegalState);
    stream->capture = std::make_shared<Capture>();
    stream->capture->origin = stream;
    stream->capture->relaxed = mode == cudaStreamCaptureModeRelaxed;
    stream->seen.clear();
    return cudaSuccess;
}

/* All captured work must come before the end of the stream in which the capture began. */
static bool all_joined(const Capture &capture) {
    bool joined = true;
    handles<CUstream_st>().for_each([&](CUstream_st &stream) {
        if (stream.capture.get() == &capture && stream.seen[&stream] > capture.origin->seen[&stream])
            joined = false;
    });
    return joined;
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
    const Call call(cudaErrorStreamCaptureInvalidated);
    *graph = nullptr;
    CUstream_st *stream = stream_of(handle);
    if (!stream)
        return misuse(cudaErrorInvalidResourceHandle, "cudaStreamEndCapture of a stream that does not exist");
    if (!stream->capture || stream->capture->origin != stream)
        return call.error ? call.error : failed(cudaErrorIllegalState);
    const std::shared_ptr<Capture> capture = stream->capture;
    const bool joined = all_joined(*capture);
    handles<CUstream_st>().for_each([&](CUstream_st &other) {
        if (other.capture == capture)
            other.capture = nullptr;
    });
    if (call.error) /* the capture has ended nevertheless */
        return call.error;
    if (capture->invalid)
        return failed(cudaErrorStreamCaptureInvalidated);
    if (!joined)
        return failed(cudaErrorStreamCaptureUnjoined);
    *graph = handles<CUgraph_st>().create();
    (*graph)->nodes = std::move(capture->nodes);
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus *status) {
    const Call call(cudaErrorInvalidValue);
    if (call.error)
        return call.error;
    const CUstream_st *stream = stream_of(handle);
    if (!stream)
        return misuse(cudaErrorInvalidResourceHandle, "cudaStreamIsCapturing of a stream that does not exist");
    *status = !stream->capture           ? cudaStreamCaptureStatusNone
              : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

/* Nodes are counted only: they are no handles here. */
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count) {
    const Call call(cudaErrorInvalidValue);
    if (call.error)
        return call.error;
    if (!handles<CUgraph_st>().has(graph))
        return misuse(cudaErrorInvalidValue, "cudaGraphGetNodes of a graph that does not exist");
    if (nodes)
        return misuse(cudaErrorNotSupported, "cudaGraphGetNodes: the nodes themselves are not emulated");
    *count = graph->nodes.size();
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long) {
    const Call call(cudaErrorMemoryAllocation);
    if (call.error)
        return call.error;
    if (!handles<CUgraph_st>().has(graph))
        return misuse(cudaErrorInvalidValue, "cudaGraphInstantiate of a graph that does not exist");
    *executable = handles<CUgraphExec_st>().create();
    (*executable)->nodes = std::make_shared<const std::vector<WorkFunction>>(graph->nodes);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags) {
    return cudaGraphInstantiate(executable, graph, flags);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    const Call call(cudaErrorLaunchFailure);
    if (call.error)
        return call.error;
    if (!handles<CUgraphExec_st>().has(executable))
        return misuse(cudaErrorInvalidValue, "cudaGraphLaunch of a graph that does not exist");
    return enqueue(stream, [nodes = executable->nodes] {
        for (const WorkFunction &node : *nodes)
            node();
        state().statistics.graph_launches++;
    });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    const Call call;
    if (!handles<CUgraph_st>().destroy(graph))
        return misuse(cudaErrorInvalidValue, "cudaGraphDestroy of a graph that does not exist");
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    const Call call;
    if (!handles<CUgraphExec_st>().destroy(executable))
        return misuse(cudaErrorInvalidValue, "cudaGraphExecDestroy of a graph that does not exist");
    return cudaSuccess;
}
