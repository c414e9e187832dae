/* See stream_of.cu. */
#ifndef CAROUSEL_BENCH_STREAM_OF_H
#define CAROUSEL_BENCH_STREAM_OF_H

#include <carousel/ops.h>
#include <cuda_runtime_api.h>

cudaStream_t stream_of(const crs_device *device);

#endif
