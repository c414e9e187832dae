/* Events: points in a stream's work. */
#include "devices.hpp"
#include "handles.hpp"
#include "queue.hpp"

using namespace cuhost;

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *handle, unsigned flags) {
    const Call call(cudaErrorMemoryAllocation);
    if (call.error)
        return call.error;
    *handle = handles<CUevent_st>().create();
    (*handle)->timed = !(flags & cudaEventDisableTiming);
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *handle) {
    return cudaEventCreateWithFlags(handle, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t handle) {
    const Call call;
    if (!handles<CUevent_st>().destroy(handle))
        return misuse(cudaErrorInvalidResourceHandle, "cudaEventDestroy of an event that does not exist");
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
    const Call call(cudaErrorLaunchFailure);
    if (call.error)
        return call.error;
    CUstream_st *stream = stream_of(handle);
    if (!stream || !handles<CUevent_st>().has(event))
        return misuse(cudaErrorInvalidResourceHandle, "cudaEventRecord of a stream or event that does not exist");
    event->capture = stream->capture;
    if (stream->capture)
        event->seen = stream->seen;
    else
        event->recorded = append(
            *stream, [] {}, nullptr);
    return cudaSuccess;
}

/* What waiting for the event, or asking for it, finds wrong. */
static cudaError_t usable(cudaEvent_t event) {
    if (!handles<CUevent_st>().has(event))
        return misuse(cudaErrorInvalidResourceHandle, "an event that does not exist");
    if (event->capture) {
        event->capture->invalid = true;
        return failed(cudaErrorCapturedEvent);
    }
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    const Call call(cudaErrorLaunchFailure);
    if (call.error)
        return call.error;
    if (const cudaError_t error = usable(event))
        return error;
    state().statistics.synchronizations++;
    wait_for(event->recorded);
    return cudaSuccess;
}

/* As cudaStreamQuery: not ready the first time. */
cudaError_t cudaEventQuery(cudaEvent_t event) {
    const Call call(cudaErrorLaunchFailure);
    if (call.error)
        return call.error;
    if (const cudaError_t error = usable(event))
        return error;
    if (!event->recorded || event->recorded->done)
        return cudaSuccess;
    wait_for(event->recorded);
    return cudaErrorNotReady;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end) {
    const Call call(cudaErrorInvalidResourceHandle);
    if (call.error)
        return call.error;
    for (cudaEvent_t event : {begin, end}) {
        if (const cudaError_t error = usable(event))
            return error;
        if (!event->timed || !event->recorded)
            return failed(cudaErrorInvalidResourceHandle);
    }
    if (!begin->recorded->done || !end->recorded->done)
        return failed(cudaErrorNotReady);
    *milliseconds = static_cast<float>(end->recorded->milliseconds - begin->recorded->milliseconds);
    return cudaSuccess;
}
