/* Every call of a small program fails once: each says its own error, and nothing stays alive. */
#include "schedules.cuh"

#include <cublas_v2.h>

namespace {

__global__ void twice(float *values) {
    values[threadIdx.x] *= 2;
}

void check_blas(cublasStatus_t status) {
    if (status != CUBLAS_STATUS_SUCCESS)
        throw std::runtime_error(cublasGetStatusString(status));
}

class Blas {
  public:
    Blas() {
        check_blas(cublasCreate(&handle));
    }
    ~Blas() {
        cublasDestroy(handle);
    }
    Blas(const Blas &) = delete;
    Blas &operator=(const Blas &) = delete;
    cublasHandle_t handle = nullptr;
};

class Pinned {
  public:
    Pinned() {
        check(cudaMallocHost(&values, 16 * sizeof(float)));
    }
    ~Pinned() {
        cudaFreeHost(values);
    }
    Pinned(const Pinned &) = delete;
    Pinned &operator=(const Pinned &) = delete;
    float *values = nullptr;
};

class Graph {
  public:
    explicit Graph(cudaGraph_t graph) {
        const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
        cudaGraphDestroy(graph);
        check(error);
    }
    ~Graph() {
        cudaGraphExecDestroy(executable);
    }
    Graph(const Graph &) = delete;
    Graph &operator=(const Graph &) = delete;
    cudaGraphExec_t executable = nullptr;
};

/* Recorded in a stream; the end of a recording is reached whatever happens in it. */
cudaGraph_t record(cudaStream_t stream, float *values) {
    cudaGraph_t graph = nullptr;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    const cudaError_t error = try_launch({1, 16, 0, stream}, twice, values);
    const cudaError_t ended = cudaStreamEndCapture(stream, &graph);
    if (error && graph)
        cudaGraphDestroy(graph);
    check(error);
    check(ended);
    return graph;
}

/* Doubles sixteen ones twice, multiplies them as 4 x 4 matrices, and more: one call of each kind. */
std::vector<float> program() {
    int count, version;
    cudaDeviceProp properties;
    size_t free, total;
    check(cudaGetDeviceCount(&count));
    check(cudaSetDevice(count - 1));
    check(cudaGetDevice(&count));
    check(cudaGetDeviceProperties(&properties, 0));
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, 0));
    check(cudaRuntimeGetVersion(&version));
    check(cudaMemGetInfo(&free, &total));
    const Stream stream;
    const Event event;
    const DeviceArray<float> values(16), product(16);
    const Pinned pinned;
    const Blas blas;
    const size_t bytes = 16 * sizeof(float);
    const float one = 1, zero = 0;
    check_blas(cublasSetStream(blas.handle, stream.get()));
    check_blas(cublasSetMathMode(blas.handle, CUBLAS_DEFAULT_MATH));
    check(cudaFuncSetAttribute(twice, cudaFuncAttributeMaxDynamicSharedMemorySize, 50000));
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&count, twice, 16, 0));
    check(cudaMemsetAsync(values.get(), 0, bytes, stream.get()));
    std::fill_n(pinned.values, 16, 1.0f);
    check(cudaMemcpyAsync(values.get(), pinned.values, bytes, cudaMemcpyHostToDevice, stream.get()));
    launch({1, 16, 0, stream.get()}, twice, values.get());
    const Graph graph(record(stream.get(), values.get()));
    check(cudaGraphLaunch(graph.executable, stream.get()));
    check_blas(cublasSgemm(blas.handle, CUBLAS_OP_N, CUBLAS_OP_N, 4, 4, 4, &one, values.get(), 4, values.get(), 4,
                           &zero, product.get(), 4));
    check(cudaEventRecord(event.get(), stream.get()));
    check(cudaStreamWaitEvent(nullptr, event.get(), 0));
    check(cudaEventSynchronize(event.get()));
    check(cudaEventQuery(event.get()));
    check(cudaStreamSynchronize(stream.get()));
    check(cudaDeviceSynchronize());
    return product.host();
}

/* What each of its calls says when it fails, in order. */
const char *const failures[] = {
    "cudaErrorInitializationError", /* cudaGetDeviceCount */
    "cudaErrorInitializationError", /* cudaSetDevice */
    "cudaErrorInitializationError", /* cudaGetDevice */
    "cudaErrorInitializationError", /* cudaGetDeviceProperties */
    "cudaErrorInitializationError", /* cudaDeviceGetAttribute */
    "cudaErrorInitializationError", /* cudaMemGetInfo */
    "cudaErrorMemoryAllocation",    /* cudaStreamCreateWithFlags */
    "cudaErrorMemoryAllocation",    /* cudaEventCreateWithFlags */
    "cudaErrorMemoryAllocation",    /* cudaMalloc */
    "cudaErrorMemoryAllocation",    /* cudaMalloc */
    "cudaErrorMemoryAllocation",    /* cudaMallocHost */
    "resource allocation failed",   /* cublasCreate */
    "not initialized",              /* cublasSetStream */
    "not initialized",              /* cublasSetMathMode */
    "cudaErrorInvalidDeviceFunction",
    "cudaErrorInvalidDeviceFunction",
    "cudaErrorInvalidValue",             /* cudaMemsetAsync */
    "cudaErrorInvalidValue",             /* cudaMemcpyAsync */
    "cudaErrorLaunchOutOfResources",     /* the launch */
    "cudaErrorStreamCaptureUnsupported", /* cudaStreamBeginCapture */
    "cudaErrorLaunchOutOfResources",     /* the recorded launch */
    "cudaErrorStreamCaptureInvalidated", /* cudaStreamEndCapture */
    "cudaErrorMemoryAllocation",         /* cudaGraphInstantiate */
    "cudaErrorLaunchFailure",            /* cudaGraphLaunch */
    "failed to launch",                  /* cublasSgemm */
    "cudaErrorLaunchFailure",            /* cudaEventRecord */
    "cudaErrorLaunchFailure",            /* cudaStreamWaitEvent */
    "cudaErrorLaunchFailure",            /* cudaEventSynchronize */
    "cudaErrorLaunchFailure",            /* cudaEventQuery */
    "cudaErrorLaunchFailure",            /* cudaStreamSynchronize */
    "cudaErrorLaunchFailure",            /* cudaDeviceSynchronize */
    "cudaErrorInvalidValue",             /* cudaMemcpy */
};

TEST(Faults, EveryCallFailsInItsTurn) {
    cuhost_fail_at(0);
    EXPECT_EQ(program(), std::vector<float>(16, 64));
    const long calls = cuhost_fail_at(0);
    ASSERT_EQ(calls, static_cast<long>(std::size(failures)));
    for (long n = 1; n <= calls; n++) {
        cuhost_reset_statistics();
        cuhost_fail_at(n);
        std::string said = "nothing";
        try {
            program();
        } catch (const std::runtime_error &failure) {
            said = failure.what();
        }
        EXPECT_NE(said.find(failures[n - 1]), std::string::npos) << "call " << n << " said " << said;
        cuhost_statistics statistics;
        cuhost_get_statistics(&statistics);
        EXPECT_EQ(statistics.failures, 1) << n;
        EXPECT_EQ(cuhost_alive(), 0) << n;
        EXPECT_NE(cudaGetLastError(), cudaSuccess) << n;
    }
    cuhost_fail_at(calls + 1);
    EXPECT_EQ(program(), std::vector<float>(16, 64));
    EXPECT_EQ(cuhost_fail_at(0), calls);
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

/* With memory for n bytes: the program succeeds from what it needs on, and not before. */
TEST(Faults, MemoryRunsOut) {
    for (size_t bytes : {0, 63, 64, 127, 128}) {
        cuhost_memory(bytes);
        std::string said;
        try {
            program();
        } catch (const std::runtime_error &failure) {
            said = failure.what();
        }
        EXPECT_EQ(said, bytes < 128 ? "cudaErrorMemoryAllocation: out of memory" : "") << bytes;
        EXPECT_EQ(cuhost_alive(), 0) << bytes;
        cudaGetLastError();
    }
    cuhost_memory(size_t{8} << 30);
}

} // namespace
