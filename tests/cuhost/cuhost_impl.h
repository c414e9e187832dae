#pragma once
#include <cstdint>
#include <cuda_runtime.h>
#include <functional>
#include <memory>
#ifndef CUHOST_ASAN
#if defined(__SANITIZE_ADDRESS__)
#define CUHOST_ASAN 1
#else
#define CUHOST_ASAN 0
#endif
#endif
#ifndef CUHOST_TSAN
#define CUHOST_TSAN 0
#endif
namespace cuhost {
struct Thunk {
    virtual void call() const = 0;
    virtual ~Thunk() {}
}; // same as in cuhost.h
struct Launch {
    dim3 grid, block;
    size_t dyn_smem = 0, smem_limit = 0;
    bool coop = false;
    const Thunk *thunk = nullptr;
};
void run_grid(const Launch &);
[[noreturn]] void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
cudaError_t enqueue(cudaStream_t, std::function<void()>); // used by the cuBLAS subset
bool is_device_range(const void *p, size_t bytes);
cudaError_t enter(cudaError_t injected); // fault injection + sticky errors
} // namespace cuhost
