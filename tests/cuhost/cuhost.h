// cuhost.h - force-included (g++ -include) when .cu sources are compiled for host execution.
// Real CUDA headers supply types, enums, prototypes; this file supplies the device side of the language.
#pragma once
#define CUHOST 1
#include <cuda_runtime.h> // without __CUDACC__ these headers define __global__, __device__... as nothing
#undef __shared__
#undef __launch_bounds__
#undef __cluster_dims__
#define __shared__ CUHOST_ERROR_declare_shared_memory_with_CUDA_SHARED_ARRAY_or_dynamic_shared_memory
#define __launch_bounds__(...)
#define __cluster_dims__(...) CUHOST_ERROR_clusters_are_not_emulated
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

// ---- built-in variables: TLS, rewritten at every fiber switch (a block never leaves its OS thread)
extern __thread const uint3 threadIdx, blockIdx;
extern __thread const dim3 blockDim, gridDim;
constexpr int warpSize = 32;

namespace cuhost {
// ---- runtime entry points (cuhost.cpp)
void sync_block(const char *file, int line);
int sync_block_count(int pred, const char *file, int line); // number of non-zero predicates
uint64_t warp_shfl(unsigned mask, uint64_t v, int src_lane, const char *file,
                   int line); // every lane of mask gives v, gets src_lane's
unsigned warp_ballot(unsigned mask, bool p, const char *file, int line);
void sync_warp(unsigned mask, const char *file, int line);
void sync_grid(const char *file, int line);
void yield(const char *file, int line);
void fence();
unsigned lane_id();
void *static_shared(const void *key, size_t bytes, size_t align);
void *dyn_shared(size_t bytes, size_t align, bool rest); // next piece / everything that is left
[[noreturn]] void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
struct Thunk {
    virtual void call() const = 0;
    virtual ~Thunk() {}
};
cudaError_t launch(const cudaLaunchConfig_t *, const void *fn, std::unique_ptr<Thunk>, const void *const *ptr_args,
                   int nptr);

template <class... P> struct BoundKernel final : Thunk {
    void (*k)(P...);
    std::tuple<P...> a;
    BoundKernel(void (*k_)(P...), P... p) : k(k_), a(p...) {}
    void call() const override {
        std::apply(k, a);
    } // parameters copied per thread, as on a GPU
};
template <class T> inline void collect(const void **v, int &n, const T &x) {
    if constexpr (std::is_pointer_v<T>)
        v[n++] = (const void *)x;
    else
        (void)v, (void)n, (void)x;
}
template <class... P, class... A> cudaError_t launch_ex(const cudaLaunchConfig_t *c, void (*k)(P...), A &&...a) {
    static_assert((std::is_trivially_copyable_v<P> && ...), "kernel parameters must be trivially copyable");
    static_assert((0 + ... + sizeof(P)) <= 4096, "kernel parameters exceed 4 KiB");
    return [&](P... p) {
        const void *v[sizeof...(P) + 1];
        int n = 0;
        (collect(v, n, p), ...);
        return launch(c, (const void *)k, std::make_unique<BoundKernel<P...>>(k, p...), v, n);
    }(std::forward<A>(a)...);
}
template <class T> uint64_t bits(T v) {
    static_assert(sizeof(T) <= 8);
    uint64_t b = 0;
    std::memcpy(&b, &v, sizeof v);
    return b;
}
template <class T> T from_bits(uint64_t b) {
    T v;
    std::memcpy(&v, &b, sizeof v);
    return v;
}
template <class T> T shfl(unsigned m, T v, int src, int width, bool up, bool clampv, const char *f, int l) {
    int lane = (int)lane_id(), base = lane & ~(width - 1);
    int s = clampv ? ((up ? src < base : src >= base + width) ? lane : src) : base + (src & (width - 1));
    return from_bits<T>(warp_shfl(m, bits(v), s, f, l));
}
// ---- atomics: relaxed on a GPU; acq_rel here so that threadfence idioms do not look like races to TSan
template <class T, class F> T atomic_rmw(T *p, F f) {
    using U = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    static_assert(sizeof(T) == sizeof(U));
    U o = __atomic_load_n((U *)p, __ATOMIC_ACQUIRE);
    for (;;) {
        T n = f(from_bits<T>(o));
        U nb = (U)bits(n);
        if (__atomic_compare_exchange_n((U *)p, &o, nb, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
            return from_bits<T>(o);
    }
}
} // namespace cuhost

// ---- language surface
#define __syncthreads() ::cuhost::sync_block(__FILE__, __LINE__)
#define __syncthreads_count(p) ::cuhost::sync_block_count((p), __FILE__, __LINE__)
#define __syncthreads_or(p) (::cuhost::sync_block_count((p) ? 1 : 0, __FILE__, __LINE__) != 0)
#define __syncthreads_and(p) (::cuhost::sync_block_count((p) ? 0 : 1, __FILE__, __LINE__) == 0)
#define CUHOST_SEL_(_1, _2, _3, _4, NAME, ...) NAME
#define __syncwarp(...) ::cuhost::sync_warp(0xffffffffu __VA_OPT__(&(__VA_ARGS__)), __FILE__, __LINE__)
#define CUHOST_W_(m, v, s, w, up, cl) ::cuhost::shfl((m), (v), (s), (w), up, cl, __FILE__, __LINE__)
#define __shfl_sync3(m, v, s) CUHOST_W_(m, v, s, 32, false, false)
#define __shfl_sync4(m, v, s, w) CUHOST_W_(m, v, s, w, false, false)
#define __shfl_up_sync3(m, v, d) CUHOST_W_(m, v, (int)::cuhost::lane_id() - (int)(d), 32, true, true)
#define __shfl_up_sync4(m, v, d, w) CUHOST_W_(m, v, (int)::cuhost::lane_id() - (int)(d), w, true, true)
#define __shfl_down_sync3(m, v, d) CUHOST_W_(m, v, (int)::cuhost::lane_id() + (int)(d), 32, false, true)
#define __shfl_down_sync4(m, v, d, w) CUHOST_W_(m, v, (int)::cuhost::lane_id() + (int)(d), w, false, true)
#define __shfl_xor_sync3(m, v, x) CUHOST_W_(m, v, (int)::cuhost::lane_id() ^ (int)(x), 32, false, true)
#define __shfl_xor_sync4(m, v, x, w) CUHOST_W_(m, v, (int)::cuhost::lane_id() ^ (int)(x), w, false, true)
#define __shfl_sync(...) CUHOST_SEL_(__VA_ARGS__, __shfl_sync4, __shfl_sync3, , )(__VA_ARGS__)
#define __shfl_up_sync(...) CUHOST_SEL_(__VA_ARGS__, __shfl_up_sync4, __shfl_up_sync3, , )(__VA_ARGS__)
#define __shfl_down_sync(...) CUHOST_SEL_(__VA_ARGS__, __shfl_down_sync4, __shfl_down_sync3, , )(__VA_ARGS__)
#define __shfl_xor_sync(...) CUHOST_SEL_(__VA_ARGS__, __shfl_xor_sync4, __shfl_xor_sync3, , )(__VA_ARGS__)
#define __ballot_sync(m, p) ::cuhost::warp_ballot((m), (p), __FILE__, __LINE__)
#define __any_sync(m, p) (::cuhost::warp_ballot((m), (p), __FILE__, __LINE__) != 0)
#define __all_sync(m, p) (::cuhost::warp_ballot((m), !(p), __FILE__, __LINE__) == 0)
#define __nanosleep(ns) ((void)(ns), ::cuhost::yield(__FILE__, __LINE__)) // spin loops MUST contain it
inline void __threadfence() {
    cuhost::fence();
}
inline void __threadfence_block() {
    cuhost::fence();
}
inline void __threadfence_system() {
    cuhost::fence();
}
template <class T> T __ldg(const T *p) {
    return *p;
}
template <class T> T __ldcg(const T *p) {
    return *(const volatile T *)p;
}
template <class T> void __stcg(T *p, T v) {
    *(volatile T *)p = v;
}

template <class T> T atomicAdd(T *p, T v) {
    return cuhost::atomic_rmw(p, [v](T o) { return (T)(o + v); });
}
template <class T> T atomicSub(T *p, T v) {
    return cuhost::atomic_rmw(p, [v](T o) { return (T)(o - v); });
}
template <class T> T atomicMax(T *p, T v) {
    return cuhost::atomic_rmw(p, [v](T o) { return o < v ? v : o; });
}
template <class T> T atomicMin(T *p, T v) {
    return cuhost::atomic_rmw(p, [v](T o) { return v < o ? v : o; });
}
template <class T> T atomicExch(T *p, T v) {
    return cuhost::atomic_rmw(p, [v](T) { return v; });
}
template <class T> T atomicOr(T *p, T v) {
    return cuhost::atomic_rmw(p, [v](T o) { return (T)(o | v); });
}
template <class T> T atomicAnd(T *p, T v) {
    return cuhost::atomic_rmw(p, [v](T o) { return (T)(o & v); });
}
template <class T> T atomicCAS(T *p, T c, T v) {
    return cuhost::atomic_rmw(p, [c, v](T o) { return o == c ? v : o; });
}
inline unsigned atomicInc(unsigned *p, unsigned lim) {
    return cuhost::atomic_rmw(p, [lim](unsigned o) { return o >= lim ? 0u : o + 1; });
}

// math intrinsics (glibc declares functions of the same names, hence macros)
#define __expf(x) ::expf(x)
#define __logf(x) ::logf(x)
#define __sinf(x) ::sinf(x)
#define __cosf(x) ::cosf(x)
#define __powf(x, y) ::powf((x), (y))
inline float __fdividef(float a, float b) {
    return a / b;
}
inline float __frcp_rn(float a) {
    return 1.0f / a;
}
inline float __fmaf_rn(float a, float b, float c) {
    return fmaf(a, b, c);
}
inline float __saturatef(float a) {
    return a < 0 ? 0 : a > 1 ? 1 : a;
}
inline float rsqrtf(float a) {
    return 1.0f / sqrtf(a);
}
inline unsigned __float_as_uint(float f) {
    return cuhost::from_bits<unsigned>(cuhost::bits(f));
}
inline int __float_as_int(float f) {
    return cuhost::from_bits<int>(cuhost::bits(f));
}
inline float __int_as_float(int i) {
    return cuhost::from_bits<float>(cuhost::bits(i));
}
inline float __uint_as_float(unsigned i) {
    return cuhost::from_bits<float>(cuhost::bits(i));
}
inline int __popc(unsigned x) {
    return __builtin_popcount(x);
}
inline int __ffs(int x) {
    return __builtin_ffs(x);
}
inline int __clz(int x) {
    return x ? __builtin_clz((unsigned)x) : 32;
}
inline int min(int a, int b) {
    return a < b ? a : b;
}
inline int max(int a, int b) {
    return a > b ? a : b;
}
inline unsigned min(unsigned a, unsigned b) {
    return a < b ? a : b;
}
inline unsigned max(unsigned a, unsigned b) {
    return a > b ? a : b;
}
inline float min(float a, float b) {
    return fminf(a, b);
}
inline float max(float a, float b) {
    return fmaxf(a, b);
}

// ---- the three spellings that differ between nvcc and host (nvcc versions: cuda/port.cuh)
#define cudaLaunchKernelEx ::cuhost::launch_ex
template <class R, class... P> cudaError_t cudaFuncSetAttribute(R (*f)(P...), cudaFuncAttribute a, int v) {
    return ::cudaFuncSetAttribute((const void *)f, a, v);
}
template <class R, class... P>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, R (*f)(P...), int bs, size_t sm) {
    return ::cudaOccupancyMaxActiveBlocksPerMultiprocessor(n, (const void *)f, bs, sm);
}
template <class T>
cudaError_t cudaMemcpyToSymbol(const T &s, const void *p, size_t n, size_t off = 0,
                               cudaMemcpyKind k = cudaMemcpyHostToDevice) {
    return ::cudaMemcpyToSymbol((const void *)&s, p, n, off, k);
}
#define CUDA_SHARED_ARRAY(T, name, n)                                                                                  \
    static char cuhost_key_##name;                                                                                     \
    T(&name)[n] = *static_cast<T(*)[n]>(::cuhost::static_shared(&cuhost_key_##name, sizeof(T[n]), alignof(T)))
#define CUDA_DYNAMIC_SHARED(T) static_cast<T *>(::cuhost::dyn_shared(0, 16, true))
struct dynamic_shared_memory { // carves dynamic shared memory; each piece gets its own redzones here
    template <class T> T *take(size_t n) {
        return static_cast<T *>(::cuhost::dyn_shared(n * sizeof(T), 16, false));
    }
};

namespace cooperative_groups { // the real header is empty without __CUDACC__
struct grid_group {
    void sync() const {
        ::cuhost::sync_grid("cooperative_groups", 0);
    }
};
struct thread_block {
    void sync() const {
        ::cuhost::sync_block("cooperative_groups", 0);
    }
    unsigned thread_rank() const {
        return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    }
    unsigned size() const {
        return blockDim.x * blockDim.y * blockDim.z;
    }
};
inline grid_group this_grid() {
    return {};
}
inline thread_block this_thread_block() {
    return {};
}
} // namespace cooperative_groups
