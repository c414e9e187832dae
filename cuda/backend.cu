/* The CUDA device: how it is found and opened, and the table of operations that the rest of the library sees. */
#include "memory.cuh"
#include "repeat.cuh"
#include "variant.cuh"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What cuBLAS recommends: 32 MiB from compute capability 9.0 on, 4 MiB before (cublasSetWorkspace). */
static size_t blas_workspace_size(const cudaDeviceProp &properties) {
    return (size_t)(properties.major >= 9 ? 32 : 4) << 20;
}

/* ---- failures ---- */

crs_status cuda_failed(const crs_device *device, cudaError_t error, const char *what) {
    snprintf(device->explanation, sizeof device->explanation, "%.150s: %s", what, cudaGetErrorString(error));
    cudaGetLastError(); /* else the next launch would report it once more */
    return error == cudaErrorMemoryAllocation ? CRS_ERR_MEMORY : CRS_ERR_BACKEND;
}

crs_status cuda_blas_failed(const crs_device *device, cublasStatus_t error, const char *what) {
    snprintf(device->explanation, sizeof device->explanation, "%.150s: %s", what, cublasGetStatusString(error));
    return error == CUBLAS_STATUS_ALLOC_FAILED ? CRS_ERR_MEMORY : CRS_ERR_BACKEND;
}

/* ---- finding a device ---- */

/* Asks the device whether this build has code for it. At most 8 registers. */
static __global__ void any_kernel() {} // GCOV_EXCL_LINE: asked about, never launched

/* How many devices there are. 0: `why` says why not. */
static int device_count(char *why, size_t why_size) {
    int count = 0, version = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0)
        return count;
    cudaGetLastError();
    cudaRuntimeGetVersion(&version);
    if (error == cudaErrorInsufficientDriver)
        snprintf(why, why_size, "no NVIDIA driver, or one older than CUDA %d.%d needs", version / 1000,
                 version % 1000 / 10);
    else if (error == cudaSuccess || error == cudaErrorNoDevice)
        snprintf(why, why_size, "no NVIDIA GPU is visible");
    else
        snprintf(why, why_size, "looking for NVIDIA GPUs failed: %s", cudaGetErrorString(error));
    return 0;
}

/* Makes device number `index` the current one and asks it what it is. */
static crs_status look_at_device(int index, cudaDeviceProp *properties, char *why, size_t why_size) {
    cudaFuncAttributes attributes;
    cudaError_t error = cudaSetDevice(index);
    if (error == cudaSuccess)
        error = cudaGetDeviceProperties(properties, index);
    if (error == cudaSuccess)
        error = cudaFuncGetAttributes(&attributes, (const void *)any_kernel);
    if (error == cudaSuccess)
        return CRS_OK;
    cudaGetLastError();
    snprintf(why, why_size, "GPU %d cannot be used: %s", index, cudaGetErrorString(error));
    return CRS_ERR_NO_DEVICE;
}

/* The device asked for, or the first usable one. */
static crs_status choose_device(int wanted, int *index, cudaDeviceProp *properties, char *why, size_t why_size) {
    const int count = device_count(why, why_size);
    if (count == 0)
        return CRS_ERR_NO_DEVICE;
    if (wanted >= count) {
        snprintf(why, why_size, "there is no GPU number %d: %d visible, counted from 0", wanted, count);
        return CRS_ERR_NO_DEVICE;
    }
    for (*index = wanted < 0 ? 0 : wanted; *index < count; ++*index) {
        const crs_status status = look_at_device(*index, properties, why, why_size);
        if (status == CRS_OK || wanted >= 0)
            return status;
    }
    return CRS_ERR_NO_DEVICE;
}

/* ---- opening ---- */

/* The variants of recurrent layers, and how the device describes itself with them: which one runs where it may choose
 * follows from a call's sizes. */
static_assert(PERSISTENT_UNITS == 64, "the description says so");
static const struct {
    const char *name;
    recurrent_variant variant;
    const char *says;
} variants[] = {
    {"auto", recurrent_variant::automatic,
     "lstm=auto (persistent up to 64 units, steps above and in a GRU that resets before)"},
    {"steps", recurrent_variant::steps, "lstm=steps"},
    {"persistent", recurrent_variant::persistent, "lstm=persistent (steps in a GRU that resets before)"},
};

static crs_status check_options(const crs_device_options *options, recurrent_variant *variant, char *why,
                                size_t why_size) {
    const char *name = options->lstm ? options->lstm : "auto";
    for (const auto &known : variants)
        if (strcmp(known.name, name) == 0) {
            *variant = known.variant;
            return CRS_OK;
        }
    snprintf(why, why_size, "CUDA has no variant '%s' of recurrent layers; use auto, steps or persistent", name);
    return CRS_ERR_UNSUPPORTED;
}

static crs_status check_precision(const cudaDeviceProp &properties, crs_precision precision, char *why,
                                  size_t why_size) {
    if (precision == CRS_FLOAT32 || properties.major >= 8)
        return CRS_OK;
    snprintf(why, why_size, "%s has no TF32 (compute capability %d.%d, 8.0 is needed); use --precision float32",
             properties.name, properties.major, properties.minor);
    return CRS_ERR_UNSUPPORTED;
}

/* Stream, cuBLAS, staging and recordings. What was made stands in the device also on failure, for device_close. */
static crs_status make_handles(crs_device *device, const cudaDeviceProp &properties,
                               const crs_device_options *options) {
    const size_t workspace = blas_workspace_size(properties);
    CUDA_TRY(device, cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking));
    CRS_TRY(cuda_memory_alloc(device, workspace, &device->blas_workspace));
    CUDA_BLAS_TRY(device, cublasCreate(&device->blas));
    CUDA_BLAS_TRY(device, cublasSetStream(device->blas, device->stream));
    CUDA_BLAS_TRY(device, cublasSetWorkspace(device->blas, device->blas_workspace, workspace));
    CUDA_BLAS_TRY(device, cublasSetMathMode(device->blas, options->precision == CRS_TF32 ? CUBLAS_TF32_TENSOR_OP_MATH
                                                                                         : CUBLAS_DEFAULT_MATH));
    CRS_TRY(cuda_staging_create(device));
    return options->graphs == CRS_GRAPHS_OFF ? CRS_OK : cuda_recordings_create(device);
}

void cuda_describe_graphs(crs_device *device, const char *how, const char *why) {
    snprintf(device->description + device->described, sizeof device->description - device->described,
             ", graphs=%s%.180s", how, why);
}

static crs_status describe(crs_device *device, const cudaDeviceProp &properties, crs_precision precision) {
    int runtime = 0, blas = 0;
    CUDA_TRY(device, cudaRuntimeGetVersion(&runtime));
    CUDA_BLAS_TRY(device, cublasGetVersion(device->blas, &blas));
    snprintf(device->description, sizeof device->description,
             "GPU %d, %.80s, compute capability %d.%d, %.1f GiB, CUDA %d.%d, cuBLAS %d, %s, %s", device->index,
             properties.name, properties.major, properties.minor, (double)properties.totalGlobalMem / 1073741824.0,
             runtime / 1000, runtime % 1000 / 10, blas, precision == CRS_TF32 ? "TF32" : "float32",
             variants[(int)device->variant].says);
    device->described = strlen(device->description);
    cuda_describe_graphs(device, device->recordings ? "auto" : "off", "");
    return CRS_OK;
}

static void device_close(crs_device *device) {
    if (!device)
        return;
    cudaSetDevice(device->index);
    if (device->stream)
        cudaStreamSynchronize(device->stream);
    if (device->blas)
        cublasDestroy(device->blas);
    cuda_recordings_free(device);
    cuda_staging_free(device);
    cuda_memory_free(device, device->scratch);
    cuda_memory_free(device, device->blas_workspace);
    if (device->stream)
        cudaStreamDestroy(device->stream);
    free(device);
}

static crs_status device_open(const crs_device_options *options, crs_device **device, char *why, size_t why_size) {
    recurrent_variant variant;
    cudaDeviceProp properties;
    int index;
    *device = NULL;
    CRS_TRY(check_options(options, &variant, why, why_size));
    CRS_TRY(choose_device(options->index, &index, &properties, why, why_size));
    CRS_TRY(check_precision(properties, options->precision, why, why_size));
    crs_device *opened = (crs_device *)calloc(1, sizeof *opened);
    if (!opened) {
        snprintf(why, why_size, "out of memory"); // GCOV_EXCL_LINE: the host's memory does not run out in the tests
        return CRS_ERR_MEMORY;                    // GCOV_EXCL_LINE
    }
    opened->index = index;
    opened->multiprocessors = properties.multiProcessorCount;
    opened->variant = variant;
    crs_status status = make_handles(opened, properties, options);
    if (status == CRS_OK)
        status = describe(opened, properties, options->precision);
    if (status != CRS_OK) {
        snprintf(why, why_size, "GPU %d, %s: %s", index, properties.name,
                 opened->explanation[0] ? opened->explanation : "out of memory");
        device_close(opened);
        return status;
    }
    *device = opened;
    return CRS_OK;
}

static const char *device_describe(const crs_device *device) {
    return device->description;
}

static const char *device_explain(const crs_device *device) {
    return device->explanation;
}

static crs_status device_sync(crs_device *device) {
    CUDA_TRY(device, cudaStreamSynchronize(device->stream));
    return CRS_OK;
}

/* ---- the table ---- */

/* A program may have several devices open, and the runtime's current one is the calling thread's: every slot sets it.
 */
template <auto slot, class... Arguments> static crs_status on_device(crs_device *device, Arguments... arguments) {
    device->explanation[0] = '\0';
    CUDA_TRY(device, cudaSetDevice(device->index));
    return slot(device, arguments...);
}

extern "C" {
extern const crs_ops cuda_ops;
const crs_ops cuda_ops = {"cuda",
                          sizeof(float),
                          device_open,
                          device_close,
                          device_describe,
                          device_explain,
                          on_device<cuda_memory_alloc>,
                          cuda_memory_free,
                          on_device<cuda_memory_fill>,
                          on_device<cuda_memory_copy>,
                          on_device<cuda_memory_upload>,
                          on_device<cuda_memory_download>,
                          on_device<device_sync>,
                          on_device<cuda_repeat>,
#define CUDA_RESERVE_ENTRY(slot, args) cuda_##slot,
                          CRS_RESERVE_SLOTS(CUDA_RESERVE_ENTRY)
#undef CUDA_RESERVE_ENTRY
#define CUDA_ENTRY(slot, args) on_device<cuda_##slot>,
                              CRS_COMPUTE_SLOTS(CUDA_ENTRY)
#undef CUDA_ENTRY
};
}
