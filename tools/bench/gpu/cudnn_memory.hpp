// Device memory and descriptors of cuDNN's side, which free themselves, and checked calls.
#ifndef CAROUSEL_BENCH_CUDNN_MEMORY_HPP
#define CAROUSEL_BENCH_CUDNN_MEMORY_HPP

#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <stdexcept>
#include <string>
#include <vector>

#if CUDNN_MAJOR < 9
#error "cuDNN 9 or later is needed"
#endif

inline void check_cuda(cudaError_t error, const char *what) {
    if (error == cudaSuccess)
        return;
    cudaGetLastError();
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

inline void check_cudnn(cudnnStatus_t status, const char *what) {
    if (status == CUDNN_STATUS_SUCCESS)
        return;
    char told[512] = "";
    cudnnGetLastErrorString(told, sizeof told);
    std::string why = std::string(what) + ": " + cudnnGetErrorString(status);
    if (told[0])
        why += std::string(", ") + std::string(told).substr(0, std::string(told).find('\n'));
    throw std::runtime_error(why);
}

#define CUDNN_CALL(function, ...) check_cudnn(function(__VA_ARGS__), #function)

// Bytes of the device. Copies are queued on the stream and waited for.
class DeviceBytes {
  public:
    DeviceBytes(cudaStream_t on, size_t count) : stream(on), size(count) {
        if (size > 0)
            check_cuda(cudaMalloc(&memory, size), "cudaMalloc");
    }
    template <class T>
    DeviceBytes(cudaStream_t on, const std::vector<T> &values) : DeviceBytes(on, values.size() * sizeof(T)) {
        upload(memory, values.data(), size);
    }
    DeviceBytes(DeviceBytes &&other) noexcept : stream(other.stream), memory(other.memory), size(other.size) {
        other.memory = nullptr;
    }
    DeviceBytes &operator=(DeviceBytes &&) = delete;
    ~DeviceBytes() {
        cudaFree(memory);
    }
    template <class T = void> T *get() const {
        return static_cast<T *>(memory);
    }
    size_t bytes() const {
        return size;
    }
    void fill(int byte) const {
        if (size > 0)
            check_cuda(cudaMemsetAsync(memory, byte, size, stream), "cudaMemsetAsync");
    }
    void upload(void *to, const void *from, size_t count) const {
        check_cuda(cudaMemcpyAsync(to, from, count, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
        check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    }
    std::vector<float> floats(const void *from, size_t count) const {
        std::vector<float> values(count);
        check_cuda(cudaMemcpyAsync(values.data(), from, count * sizeof(float), cudaMemcpyDeviceToHost, stream),
                   "cudaMemcpyAsync");
        check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
        return values;
    }
    std::vector<float> floats() const {
        return floats(memory, size / sizeof(float));
    }

  private:
    cudaStream_t stream;
    void *memory = nullptr;
    size_t size;
};

// A descriptor of cuDNN.
template <class T, cudnnStatus_t (*create)(T *), cudnnStatus_t (*destroy)(T)> class Descriptor {
  public:
    Descriptor() {
        check_cudnn(create(&descriptor), "a descriptor");
    }
    ~Descriptor() {
        destroy(descriptor);
    }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    operator T() const {
        return descriptor;
    }

  private:
    T descriptor = nullptr;
};

using Handle = Descriptor<cudnnHandle_t, cudnnCreate, cudnnDestroy>;
using RnnDescriptor = Descriptor<cudnnRNNDescriptor_t, cudnnCreateRNNDescriptor, cudnnDestroyRNNDescriptor>;
using DataDescriptor =
    Descriptor<cudnnRNNDataDescriptor_t, cudnnCreateRNNDataDescriptor, cudnnDestroyRNNDataDescriptor>;
using TensorDescriptor = Descriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using DropoutDescriptor =
    Descriptor<cudnnDropoutDescriptor_t, cudnnCreateDropoutDescriptor, cudnnDestroyDropoutDescriptor>;

#endif
