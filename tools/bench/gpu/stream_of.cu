/* The stream of a CUDA device, which ops.h does not show: the benchmark records its events there, captures what is
 * queued there in graphs, and has the other side queue there too. */
#include "stream_of.h"

#include "../../../cuda/cuda.cuh"

cudaStream_t stream_of(const crs_device *device) {
    return device->stream;
}
