/* Planted bugs in the calls that the host makes: copies, streams, launches, products. */
#include "planted.cuh"

#include <cublas_v2.h>

static void wrong_copy_kind() {
    const DeviceArray<float> device(zeros(64));
    std::vector<float> host(64);
    check(cudaMemcpy(host.data(), device.get(), 64 * sizeof(float), cudaMemcpyHostToDevice));
}

static void copy_overrun() {
    const DeviceArray<float> device(zeros(64));
    std::vector<float> host(65);
    check(cudaMemcpy(host.data(), device.get(), 65 * sizeof(float), cudaMemcpyDeviceToHost));
}

static void missing_stream_synchronize() {
    const DeviceArray<float> device(zeros(64));
    const Stream stream;
    std::vector<float> host(64, -1);
    launch({1, 64, 0, stream.get()}, fill, device.get(), 64, 7.0f);
    check(cudaMemcpyAsync(host.data(), device.get(), 64 * sizeof(float), cudaMemcpyDeviceToHost, stream.get()));
    const std::vector<float> read = host; /* bug: before it has arrived */
    check(cudaStreamSynchronize(stream.get()));
    expect_same(read, std::vector<float>(64, 7));
}

/* One stream reads what another one writes. */
static void read_other_stream(bool wait) {
    const DeviceArray<float> device(zeros(64));
    const Stream writer, reader;
    const Event written(cudaEventDisableTiming);
    std::vector<float> host(64, -1);
    launch({1, 64, 0, writer.get()}, fill, device.get(), 64, 7.0f);
    check(cudaEventRecord(written.get(), writer.get()));
    if (wait)
        check(cudaStreamWaitEvent(reader.get(), written.get(), 0));
    check(cudaMemcpyAsync(host.data(), device.get(), 64 * sizeof(float), cudaMemcpyDeviceToHost, reader.get()));
    check(cudaStreamSynchronize(reader.get()));
    expect_same(host, std::vector<float>(64, 7));
}

static void missing_event() {
    read_other_stream(false);
}

static void control_event() {
    read_other_stream(true);
}

/* A buffer of the host is filled again while its copy is queued. */
static void reuse_buffer(float *buffer, bool wait) {
    const DeviceArray<float> first(zeros(64)), second(zeros(64));
    const Stream stream;
    const Event copied(cudaEventDisableTiming);
    const size_t bytes = 64 * sizeof(float);
    for (int i = 0; i < 64; i++)
        buffer[i] = 1;
    check(cudaMemcpyAsync(first.get(), buffer, bytes, cudaMemcpyHostToDevice, stream.get()));
    check(cudaEventRecord(copied.get(), stream.get()));
    if (wait)
        check(cudaEventSynchronize(copied.get()));
    for (int i = 0; i < 64; i++)
        buffer[i] = 2;
    check(cudaMemcpyAsync(second.get(), buffer, bytes, cudaMemcpyHostToDevice, stream.get()));
    check(cudaStreamSynchronize(stream.get()));
    expect_same(first.host(), std::vector<float>(64, 1));
    expect_same(second.host(), std::vector<float>(64, 2));
}

static void reuse_pinned(bool wait) {
    float *pinned = nullptr;
    check(cudaMallocHost(&pinned, 64 * sizeof(float)));
    try {
        reuse_buffer(pinned, wait);
    } catch (...) {
        cudaFreeHost(pinned);
        throw;
    }
    check(cudaFreeHost(pinned));
}

static void pinned_reused_too_early() {
    reuse_pinned(false);
}

static void control_pinned() {
    reuse_pinned(true);
}

/* Pageable memory is copied at the call. */
static void control_pageable() {
    std::vector<float> pageable(64);
    reuse_buffer(pageable.data(), false);
}

static void wait_while_capturing() {
    const Stream stream;
    cudaGraph_t graph = nullptr;
    check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal));
    cudaStreamSynchronize(stream.get()); /* bug, and nobody looks at what it says */
    check(cudaStreamEndCapture(stream.get(), &graph));
}

static void allocate_while_capturing() {
    const Stream stream;
    check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal));
    float *memory = nullptr;
    check(cudaMalloc(&memory, 64));
}

static void destroyed_stream() {
    const DeviceArray<float> device(zeros(64));
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    check(cudaStreamDestroy(stream));
    launch({1, 64, 0, stream}, fill, device.get(), 64, 1.0f);
}

static void too_many_threads() {
    const DeviceArray<float> device(zeros(64));
    launch({1, 1056}, fill, device.get(), 64, 1.0f);
}

static void too_much_shared_memory() {
    const DeviceArray<float> device(zeros(64));
    launch({1, 64, 50000}, fill, device.get(), 64, 1.0f);
}

static void free_twice() {
    float *memory = nullptr;
    check(cudaMalloc(&memory, 64));
    check(cudaFree(memory));
    check(cudaFree(memory));
}

/* 8 x 8 matrices in 64 floats each, and what is wrong of them in lda and ldb. */
static void multiply(int lda, int ldb) {
    const DeviceArray<float> a(zeros(64)), b(zeros(64)), c(zeros(64));
    const float one = 1, zero = 0;
    cublasHandle_t handle = nullptr;
    if (cublasCreate(&handle) != CUBLAS_STATUS_SUCCESS)
        throw std::runtime_error("cublasCreate");
    const cublasStatus_t status =
        cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 8, 8, 8, &one, a.get(), lda, b.get(), ldb, &zero, c.get(), 8);
    cublasDestroy(handle);
    if (status != CUBLAS_STATUS_SUCCESS)
        throw std::runtime_error(cublasGetStatusString(status));
}

static void small_leading_dimension() {
    multiply(7, 8);
}

static void product_overrun() {
    multiply(8, 9);
}

const std::vector<Planted> planted_in_calls = {
    {"wrong_copy_kind", wrong_copy_kind},
    {"copy_overrun", copy_overrun},
    {"missing_stream_synchronize", missing_stream_synchronize},
    {"missing_event", missing_event},
    {"control_event", control_event},
    {"pinned_reused_too_early", pinned_reused_too_early},
    {"control_pinned", control_pinned},
    {"control_pageable", control_pageable},
    {"wait_while_capturing", wait_while_capturing},
    {"allocate_while_capturing", allocate_while_capturing},
    {"destroyed_stream", destroyed_stream},
    {"too_many_threads", too_many_threads},
    {"too_much_shared_memory", too_much_shared_memory},
    {"free_twice", free_twice},
    {"small_leading_dimension", small_leading_dimension},
    {"product_overrun", product_overrun},
};
