// The other side: cuDNN's recurrent layers. cudnn_side.cpp has them; where a build has no cuDNN, cudnn_absent.cpp
// stands in for it.
#ifndef CAROUSEL_BENCH_CUDNN_SIDE_HPP
#define CAROUSEL_BENCH_CUDNN_SIDE_HPP

#include "layers.hpp"

#include <memory>

struct CUstream_st; // cudaStream_t points to it

// A way to run a case on cuDNN.
struct CudnnWay {
    const char *algorithm; // "standard", "persist static", "persist static small h", "persist dynamic"
    bool packed;           // rows without padding; else padded to T steps
};

class Cudnn {
  public:
    virtual ~Cudnn() = default;
    virtual std::string version() const = 0; // "9.10.2"
    virtual std::vector<CudnnWay> ways() const = 0;
    // Tried once. Throws, in cuDNN's own words, where it has not got that way for this case.
    virtual std::unique_ptr<Side> make_side(const CudnnWay &way, const Numbers &numbers, crs_precision precision) = 0;
};

// NULL where this build has none. Everything is queued on the stream.
std::unique_ptr<Cudnn> open_cudnn(CUstream_st *stream);

#endif
