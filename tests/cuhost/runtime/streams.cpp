/* Streams, and waiting for the device. */
#include "devices.hpp"
#include "handles.hpp"
#include "queue.hpp"

using namespace cuhost;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *handle, unsigned flags) {
    const Call call(cudaErrorMemoryAllocation);
    if (call.error)
        return call.error;
    if (flags & ~static_cast<unsigned>(cudaStreamNonBlocking))
        return failed(cudaErrorInvalidValue);
    *handle = handles<CUstream_st>().create();
    (*handle)->blocking = !(flags & cudaStreamNonBlocking);
    (*handle)->device = current_device();
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *handle) {
    return cudaStreamCreateWithFlags(handle, cudaStreamDefault);
}

/* Does not wait: what is queued runs when something else makes it. */
cudaError_t cudaStreamDestroy(cudaStream_t handle) {
    const Call call;
    if (!handles<CUstream_st>().has(handle))
        return misuse(cudaErrorInvalidResourceHandle, "cudaStreamDestroy of a stream that does not exist");
    adopt(handle->last);
    handles<CUstream_st>().destroy(handle);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
    const Call call(cudaErrorLaunchFailure);
    if (call.error)
        return call.error;
    CUstream_st *stream = stream_of(handle);
    if (!stream)
        return misuse(cudaErrorInvalidResourceHandle, "cudaStreamSynchronize of a stream that does not exist");
    if (stream->capture) {
        stream->capture->invalid = true;
        return failed(cudaErrorStreamCaptureUnsupported);
    }
    state().statistics.synchronizations++;
    wait_for(stream->last);
    return cudaSuccess;
}

/* Not ready the first time it is asked with work to do; but who asks again and again gets there. */
cudaError_t cudaStreamQuery(cudaStream_t handle) {
    const Call call(cudaErrorLaunchFailure);
    if (call.error)
        return call.error;
    CUstream_st *stream = stream_of(handle);
    if (!stream)
        return misuse(cudaErrorInvalidResourceHandle, "cudaStreamQuery of a stream that does not exist");
    if (stream->capture) {
        stream->capture->invalid = true;
        return failed(cudaErrorStreamCaptureUnsupported);
    }
    if (!stream->last || stream->last->done)
        return cudaSuccess;
    wait_for(stream->last);
    return cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize() {
    const Call call(cudaErrorLaunchFailure);
    if (call.error)
        return call.error;
    if (capture_refuses())
        return failed(cudaErrorStreamCaptureUnsupported);
    state().statistics.synchronizations++;
    wait_for_all();
    return cudaSuccess;
}

/* A stream that waits for a captured event becomes part of that capture. */
cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
    const Call call(cudaErrorLaunchFailure);
    if (call.error)
        return call.error;
    CUstream_st *stream = stream_of(handle);
    if (!stream || !handles<CUevent_st>().has(event))
        return misuse(cudaErrorInvalidResourceHandle, "cudaStreamWaitEvent of a stream or event that does not exist");
    if (!event->capture) {
        if (stream->capture && event->recorded) {
            stream->capture->invalid = true;
            return failed(cudaErrorStreamCaptureIsolation);
        }
        if (event->recorded)
            append(
                *stream, [] {}, event->recorded);
        return cudaSuccess;
    }
    if (stream->capture && stream->capture != event->capture) {
        stream->capture->invalid = true;
        return failed(cudaErrorStreamCaptureIsolation);
    }
    if (!stream->capture) {
        stream->capture = event->capture;
        stream->seen.clear();
    }
    for (const auto &[other, count] : event->seen)
        if (stream->seen[other] < count)
            stream->seen[other] = count;
    return cudaSuccess;
}
