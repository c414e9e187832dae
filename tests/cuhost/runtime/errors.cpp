/* Errors: how calls fail, by their own fault or on purpose, and what errors are called. */
#include "state.hpp"

#include <cstdarg>
#include <cstdio>

namespace cuhost {

static thread_local cudaError_t last; /* of the OS thread */

cudaError_t failed(cudaError_t error) {
    last = error;
    return error;
}

cudaError_t misuse(cudaError_t error, const char *format, ...) {
    fputs("cuhost: ", stderr);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return failed(error);
}

Call::Call(cudaError_t injected) : lock_(state().mutex) {
    State &s = state();
    s.calls++;
    if (s.calls == s.settings.fail_at) {
        s.statistics.failures++;
        error = injected;
    } else if (machine_error()) {
        error = machine_error();
    } else {
        error = s.sticky;
    }
    if (error)
        failed(error);
}

struct ErrorText {
    cudaError_t error;
    const char *name, *text;
};

#define ERROR_TEXT(error, text)                                                                                        \
    { error, #error, text }
static const ErrorText error_texts[] = {
    ERROR_TEXT(cudaSuccess, "no error"),
    ERROR_TEXT(cudaErrorInvalidValue, "invalid argument"),
    ERROR_TEXT(cudaErrorMemoryAllocation, "out of memory"),
    ERROR_TEXT(cudaErrorInitializationError, "initialization error"),
    ERROR_TEXT(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ERROR_TEXT(cudaErrorInvalidSymbol, "invalid device symbol"),
    ERROR_TEXT(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    ERROR_TEXT(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    ERROR_TEXT(cudaErrorInvalidDeviceFunction, "invalid device function"),
    ERROR_TEXT(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    ERROR_TEXT(cudaErrorInvalidDevice, "invalid device ordinal"),
    ERROR_TEXT(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ERROR_TEXT(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    ERROR_TEXT(cudaErrorNotReady, "device not ready"),
    ERROR_TEXT(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    ERROR_TEXT(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    ERROR_TEXT(cudaErrorLaunchFailure, "unspecified launch failure"),
    ERROR_TEXT(cudaErrorCooperativeLaunchTooLarge, "too many blocks in cooperative launch"),
    ERROR_TEXT(cudaErrorNotSupported, "operation not supported"),
    ERROR_TEXT(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    ERROR_TEXT(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    ERROR_TEXT(cudaErrorStreamCaptureUnjoined, "capture has work that was not joined to the stream it began in"),
    ERROR_TEXT(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    ERROR_TEXT(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
    ERROR_TEXT(cudaErrorUnknown, "unknown error"),
};
#undef ERROR_TEXT

static const ErrorText *text_of(cudaError_t error) {
    for (const ErrorText &text : error_texts)
        if (text.error == error)
            return &text;
    return nullptr;
}

} // namespace cuhost

using namespace cuhost;

cudaError_t cudaGetLastError() {
    const Call call;
    const cudaError_t error = last;
    last = state().sticky;
    return error;
}

cudaError_t cudaPeekAtLastError() {
    return last;
}

const char *cudaGetErrorName(cudaError_t error) {
    const ErrorText *text = text_of(error);
    return text ? text->name : "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) {
    const ErrorText *text = text_of(error);
    return text ? text->text : "unrecognized error code";
}
