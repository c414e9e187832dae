/* What the layer's own tests need of a GPU: a launch, and an array in its memory. What fails is thrown. Compiles under
 * nvcc too, as everything does that the tests call device code. */
#ifndef CUHOST_TESTS_DEVICE_CUH
#define CUHOST_TESTS_DEVICE_CUH

#include "../../../cuda/port.cuh"

#include <cooperative_groups.h>
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>
#include <vector>

inline void check(cudaError_t error) {
    if (error != cudaSuccess)
        throw std::runtime_error(std::string(cudaGetErrorName(error)) + ": " + cudaGetErrorString(error));
}

struct Launch {
    dim3 blocks = 1, threads = 1;
    size_t shared = 0;
    cudaStream_t stream = nullptr;
    bool cooperative = false;
};

template <class... Parameters, class... Arguments>
cudaError_t try_launch(const Launch &how, void (*kernel)(Parameters...), Arguments... arguments) {
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeCooperative;
    attribute.val.cooperative = 1;
    cudaLaunchConfig_t configuration = {};
    configuration.gridDim = how.blocks;
    configuration.blockDim = how.threads;
    configuration.dynamicSmemBytes = how.shared;
    configuration.stream = how.stream;
    configuration.attrs = &attribute;
    configuration.numAttrs = how.cooperative ? 1 : 0;
    return cudaLaunchKernelEx(&configuration, kernel, Parameters(arguments)...);
}

template <class... Parameters, class... Arguments>
void launch(const Launch &how, void (*kernel)(Parameters...), Arguments... arguments) {
    check(try_launch(how, kernel, arguments...));
}

/* n elements in device memory. */
template <class T> class DeviceArray {
  public:
    explicit DeviceArray(size_t n) : n_(n) {
        check(cudaMalloc(&elements_, n * sizeof(T)));
    }
    explicit DeviceArray(const std::vector<T> &host) : DeviceArray(host.size()) {
        check(cudaMemcpy(elements_, host.data(), n_ * sizeof(T), cudaMemcpyHostToDevice));
    }
    ~DeviceArray() {
        cudaFree(elements_);
    }
    DeviceArray(const DeviceArray &) = delete;
    DeviceArray &operator=(const DeviceArray &) = delete;

    T *get() const {
        return elements_;
    }
    size_t size() const {
        return n_;
    }
    std::vector<T> host() const {
        std::vector<T> copy(n_);
        check(cudaMemcpy(copy.data(), elements_, n_ * sizeof(T), cudaMemcpyDeviceToHost));
        return copy;
    }

  private:
    size_t n_;
    T *elements_ = nullptr;
};

class Stream {
  public:
    explicit Stream(unsigned flags = cudaStreamNonBlocking) {
        check(cudaStreamCreateWithFlags(&stream_, flags));
    }
    ~Stream() {
        cudaStreamDestroy(stream_);
    }
    Stream(const Stream &) = delete;
    Stream &operator=(const Stream &) = delete;
    cudaStream_t get() const {
        return stream_;
    }

  private:
    cudaStream_t stream_ = nullptr;
};

class Event {
  public:
    explicit Event(unsigned flags = cudaEventDefault) {
        check(cudaEventCreateWithFlags(&event_, flags));
    }
    ~Event() {
        cudaEventDestroy(event_);
    }
    Event(const Event &) = delete;
    Event &operator=(const Event &) = delete;
    cudaEvent_t get() const {
        return event_;
    }

  private:
    cudaEvent_t event_ = nullptr;
};

#endif
