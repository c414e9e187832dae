/* Queued work. Streams and events are thin: each names an operation, and an operation knows which others come first. */
#ifndef CUHOST_RUNTIME_QUEUE_HPP
#define CUHOST_RUNTIME_QUEUE_HPP

#include "state.hpp"

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace cuhost {

using WorkFunction = std::function<void()>;

struct Operation {
    WorkFunction work;
    std::vector<std::shared_ptr<Operation>> before; /* run first */
    bool done = false;
    double milliseconds = 0; /* when it was done, on a clock that only goes forward */
};
using OperationPointer = std::shared_ptr<Operation>;

/* What a stream records instead of running it: the future graph. */
struct Capture {
    std::vector<WorkFunction> nodes;
    CUstream_st *origin = nullptr;
    bool relaxed = false; /* lets pass what is unsafe while capturing */
    bool invalid = false;
};

/* Of a captured stream or event: how much of each stream's captured work comes before. */
using Seen = std::map<const CUstream_st *, long>;

} // namespace cuhost

struct CUstream_st {
    cuhost::OperationPointer last; /* NULL: it never had any work */
    bool blocking = true;          /* waits for the null stream, and that for it */
    int device = 0;
    std::shared_ptr<cuhost::Capture> capture;
    cuhost::Seen seen; /* while it is captured */
};

struct CUevent_st {
    bool timed = true;
    cuhost::OperationPointer recorded;
    std::shared_ptr<cuhost::Capture> capture; /* in which it was recorded last */
    cuhost::Seen seen;
};

namespace cuhost {

/* The stream of a handle: 0 is the null stream. NULL: no stream that is alive. */
CUstream_st *stream_of(cudaStream_t handle);

/* Adds work to the stream, or to the graph that it records; runs it, or not, as the streams are set. */
cudaError_t enqueue(cudaStream_t handle, WorkFunction work);
/* The same for a stream that is not captured, after `first` (NULL: none) too. */
OperationPointer append(CUstream_st &stream, WorkFunction work, const OperationPointer &first);

/* Runs what the operation needs, and it; NULL: nothing. */
void wait_for(const OperationPointer &operation);
void wait_for_all();
/* Takes over the work of a stream that is destroyed. */
void adopt(const OperationPointer &operation);

/* Whether a capture forbids calls that are unsafe while capturing. If so, it is invalid from now on. */
bool capture_refuses();

} // namespace cuhost

#endif
