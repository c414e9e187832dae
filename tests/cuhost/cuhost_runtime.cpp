// cuhost_runtime.cpp - the CUDA runtime functions the library uses, on host memory, prototyped by the real
// headers. Anything not listed here fails at link time.
#include "cuhost_impl.h"
#include "cuhost_test.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>
#if CUHOST_ASAN
#include <sanitizer/asan_interface.h>
#endif
struct Op {
    std::function<void()> fn;
    std::vector<std::shared_ptr<Op>> deps;
    bool done = false;
};
using OpP = std::shared_ptr<Op>;
struct CUgraph_st {
    std::vector<std::function<void()>> nodes;
};
struct CUgraphExec_st {
    std::vector<std::function<void()>> nodes;
};
struct CUstream_st {
    OpP tail;
    bool nonblocking = false;
    CUgraph_st *cap = nullptr;
    bool cap_origin = false;
};
struct CUevent_st {
    OpP op;
    CUgraph_st *cap = nullptr;
    std::shared_ptr<double> t = std::make_shared<double>(-1);
};
namespace {
enum Kind { DEV, PINNED, MANAGED };
struct Alloc {
    size_t n;
    Kind k;
};
std::recursive_mutex g_m;
using Lock = std::lock_guard<std::recursive_mutex>;
std::map<uintptr_t, Alloc> g_mem;
std::map<const void *, int> g_dyn;
std::vector<CUstream_st *> g_streams;
CUstream_st g_null;
cudaError_t g_last = cudaSuccess, g_sticky = cudaSuccess;
int g_mode = CUHOST_LAZY, g_sm = 90, g_count = 1, g_dev_depth = 0;
long g_calls = 0, g_fail = 0;
unsigned g_rng = 12345;
struct Init {
    Init() {
        const char *s = getenv("CUHOST_STREAMS");
        if (s)
            g_mode = !strcmp(s, "eager") ? 0 : !strcmp(s, "chaos") ? 2 : 1;
        if ((s = getenv("CUHOST_COMPUTE")))
            g_sm = atoi(s);
    }
} init_;
cudaError_t err(cudaError_t e) {
    if (e)
        g_last = e;
    return e;
}
// device memory is ASan-poisoned except while a device operation runs: a host dereference is reported
void poison(bool on) {
    (void)on;
#if CUHOST_ASAN
    for (auto &a : g_mem)
        if (a.second.k == DEV) {
            if (on)
                __asan_poison_memory_region((void *)a.first, a.second.n);
            else
                __asan_unpoison_memory_region((void *)a.first, a.second.n);
        }
#endif
}
struct DevScope {
    DevScope() {
        if (!g_dev_depth++)
            poison(false);
    }
    ~DevScope() {
        if (!--g_dev_depth)
            poison(true);
    }
};
const Alloc *find(const void *p, size_t n, size_t *room = nullptr) {
    auto it = g_mem.upper_bound((uintptr_t)p);
    if (it == g_mem.begin())
        return nullptr;
    --it;
    size_t off = (uintptr_t)p - it->first;
    if (off > it->second.n)
        return nullptr;
    if (room)
        *room = it->second.n - off;
    return off + n <= it->second.n ? &it->second : nullptr;
}
bool inside(const void *p, bool *dev) {
    const Alloc *a = find(p, 1);
    *dev = a && a->k != PINNED;
    return a;
}
void run(const OpP &root) { // depth-first over dependencies, iterative
    if (!root || root->done)
        return;
    DevScope d;
    std::vector<OpP> st{root};
    while (!st.empty()) {
        OpP o = st.back();
        bool ready = true;
        if (!o->done)
            for (auto &x : o->deps)
                if (x && !x->done) {
                    st.push_back(x);
                    ready = false;
                }
        if (!ready)
            continue;
        st.pop_back();
        if (o->done)
            continue;
        o->done = true;
        if (!g_sticky)
            o->fn();
        o->fn = nullptr;
        o->deps.clear();
    }
}
CUstream_st *str(cudaStream_t s) {
    return s == nullptr || s == cudaStreamLegacy ? &g_null : s;
}
OpP push(CUstream_st *s, std::function<void()> fn, OpP extra = nullptr) {
    auto o = std::make_shared<Op>();
    o->fn = std::move(fn);
    o->deps = {s->tail, extra};
    if (s == &g_null) {
        for (auto *x : g_streams)
            if (!x->nonblocking)
                o->deps.push_back(x->tail);
    } else if (!s->nonblocking)
        o->deps.push_back(g_null.tail);
    s->tail = o;
    if (g_mode == CUHOST_EAGER)
        run(o);
    else if (g_mode == CUHOST_CHAOS)
        while ((g_rng = g_rng * 1664525u + 1013904223u) >> 31) {
            auto k = (g_rng >> 8) % (g_streams.size() + 1);
            run(k ? g_streams[k - 1]->tail : g_null.tail);
        }
    return o;
}
void drain() {
    DevScope d;
    for (auto *s : g_streams)
        run(s->tail);
    run(g_null.tail);
}
bool capturing() {
    for (auto *s : g_streams)
        if (s->cap)
            return true;
    return false;
}
cudaError_t bad(const char *what) {
    fprintf(stderr, "cuhost: %s\n", what);
    return err(cudaErrorInvalidValue);
}
cudaError_t check_copy(const void *d, const void *s, size_t n, cudaMemcpyKind k) {
    bool dd, sd;
    bool di = inside(d, &dd), si = inside(s, &sd);
    if (k == cudaMemcpyHostToDevice && (!dd || (si && sd && find(s, 0)->k == DEV)))
        return bad("cudaMemcpy HostToDevice: wrong kind of pointer");
    if (k == cudaMemcpyDeviceToHost && (!sd || (di && dd && find(d, 0)->k == DEV)))
        return bad("cudaMemcpy DeviceToHost: wrong kind of pointer");
    if (k == cudaMemcpyDeviceToDevice && (!dd || !sd))
        return bad("cudaMemcpy DeviceToDevice: wrong kind of pointer");
    if ((di && !find(d, n)) || (si && !find(s, n)))
        return bad("cudaMemcpy: range leaves the allocation");
    return cudaSuccess;
}
cudaError_t alloc(void **p, size_t n, Kind k) {
    if (cudaError_t e = cuhost::enter(cudaErrorMemoryAllocation))
        return e;
    if (!p)
        return err(cudaErrorInvalidValue);
    if (capturing() && k != PINNED)
        return err(cudaErrorStreamCaptureUnsupported);
    *p = nullptr;
    if (!n)
        return cudaSuccess;
    if (n > ((size_t)8 << 30))
        return err(cudaErrorMemoryAllocation);
    if (posix_memalign(p, 256, n))
        return err(cudaErrorMemoryAllocation);
    memset(*p, 0xff, n);
    Lock l(g_m);
    g_mem[(uintptr_t)*p] = {n, k}; // NaN: reading uninitialised device memory shows
#if CUHOST_ASAN
    if (k == DEV && !g_dev_depth)
        __asan_poison_memory_region(*p, n);
#endif
    return cudaSuccess;
}
cudaError_t release(void *p) {
    if (!p)
        return cudaSuccess;
    Lock l(g_m);
    if (capturing())
        return err(cudaErrorStreamCaptureUnsupported);
    drain();
    auto it = g_mem.find((uintptr_t)p);
    if (it == g_mem.end())
        return bad("cudaFree of a pointer that is not an allocation");
#if CUHOST_ASAN
    __asan_unpoison_memory_region(p, it->second.n);
#endif
    g_mem.erase(it);
    free(p);
    return cudaSuccess;
}
} // namespace
namespace cuhost {
cudaError_t enter(cudaError_t injected) {
    ++g_calls;
    if (g_fail && g_calls == g_fail)
        return err(injected);
    if (g_count == 0)
        return err(cudaErrorNoDevice);
    return g_sticky;
}
bool is_device_range(const void *p, size_t n) {
    const Alloc *a = find(p, n);
    return a && (a->k != PINNED);
}
cudaError_t enqueue(cudaStream_t s_, std::function<void()> fn) {
    Lock l(g_m);
    CUstream_st *s = str(s_);
    if (s->cap)
        s->cap->nodes.push_back(std::move(fn));
    else
        push(s, std::move(fn));
    return cudaSuccess;
}
cudaError_t launch(const cudaLaunchConfig_t *c, const void *fn, std::unique_ptr<Thunk> t, const void *const *ptrs,
                   int np) {
    if (cudaError_t e = enter(cudaErrorLaunchOutOfResources))
        return e;
    Lock lk(g_m);
    Launch L;
    L.grid = c->gridDim;
    L.block = c->blockDim;
    L.dyn_smem = c->dynamicSmemBytes;
    uint64_t th = (uint64_t)L.block.x * L.block.y * L.block.z, nb = (uint64_t)L.grid.x * L.grid.y * L.grid.z;
    for (unsigned i = 0; i < c->numAttrs; i++)
        if (c->attrs[i].id == cudaLaunchAttributeCooperative)
            L.coop = c->attrs[i].val.cooperative;
        else
            return bad("launch attribute not emulated");
    if (!th || !nb || th > 1024 || L.block.z > 64 || L.grid.x > 2147483647u || L.grid.y > 65535 || L.grid.z > 65535)
        return err(cudaErrorInvalidConfiguration);
    auto it = g_dyn.find(fn);
    size_t lim = it == g_dyn.end() ? 48 * 1024 : (size_t)it->second;
    if (L.dyn_smem > lim)
        return err(cudaErrorInvalidValue);
    L.smem_limit = lim < 48 * 1024 ? 48 * 1024 : lim;
    if (L.coop) {
        int occ;
        cudaOccupancyMaxActiveBlocksPerMultiprocessor(&occ, fn, (int)th, L.dyn_smem);
        int sms;
        cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0);
        if (nb > (uint64_t)occ * sms)
            return err(cudaErrorCooperativeLaunchTooLarge);
    }
    for (int i = 0; i < np; i++)
        if (ptrs[i] && !find(ptrs[i], 0)) {
            fprintf(stderr, "cuhost: kernel pointer argument %d (%p) is not device memory\n", i, ptrs[i]);
            g_sticky = cudaErrorIllegalAddress;
            return err(g_sticky);
        }
    std::shared_ptr<Thunk> sp(std::move(t));
    return enqueue(c->stream, [L, sp]() mutable {
        L.thunk = sp.get();
        run_grid(L);
    });
}
} // namespace cuhost
using cuhost::enter;
#define ENTER(e)                                                                                                       \
    do {                                                                                                               \
        if (cudaError_t e_ = enter(e))                                                                                 \
            return e_;                                                                                                 \
    } while (0)
extern "C" {
void cuhost_streams(int m) {
    g_mode = m;
}
void cuhost_devices(int n, int sm) {
    if (sm)
        g_sm = sm;
    g_count = n;
}
long cuhost_fail_at(long n) {
    long c = g_calls;
    g_calls = 0;
    g_fail = n;
    return c;
}

cudaError_t cudaGetDeviceCount(int *n) {
    *n = g_count;
    return g_count ? cudaSuccess : err(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int *d) {
    *d = 0;
    return g_count ? cudaSuccess : err(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int d) {
    if (!g_count)
        return err(cudaErrorNoDevice);
    return d >= 0 && d < g_count ? cudaSuccess : err(cudaErrorInvalidDevice);
}
cudaError_t cudaRuntimeGetVersion(int *v) {
    *v = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *v) {
    *v = g_count ? CUDART_VERSION : 0;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int d) {
    if (d < 0 || d >= g_count)
        return err(cudaErrorInvalidDevice);
    memset((void *)p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "cuhost emulated sm_%d", g_sm);
    p->major = g_sm / 10;
    p->minor = g_sm % 10;
    p->totalGlobalMem = (size_t)8 << 30;
    p->multiProcessorCount = g_sm >= 90 ? 132 : 40;
    p->warpSize = 32;
    p->maxThreadsPerBlock = 1024;
    p->maxThreadsPerMultiProcessor = g_sm >= 80 ? 2048 : 1024;
    p->sharedMemPerBlock = 48 << 10;
    p->sharedMemPerBlockOptin = g_sm >= 90 ? 227 << 10 : g_sm >= 80 ? 163 << 10 : 64 << 10;
    p->sharedMemPerMultiprocessor = p->sharedMemPerBlockOptin + 1024;
    p->regsPerBlock = 65536;
    p->cooperativeLaunch = 1;
    p->maxGridSize[0] = 2147483647;
    p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
    p->maxThreadsDim[2] = 64;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *v, cudaDeviceAttr a, int d) {
    cudaDeviceProp p;
    if (cudaError_t e = cudaGetDeviceProperties(&p, d))
        return e;
    switch (a) {
    case cudaDevAttrMultiProcessorCount:
        *v = p.multiProcessorCount;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *v = (int)p.sharedMemPerBlockOptin;
        break;
    case cudaDevAttrCooperativeLaunch:
        *v = 1;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *v = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *v = p.minor;
        break;
    default:
        return bad("cudaDeviceGetAttribute: attribute not emulated");
    }
    return cudaSuccess;
}
cudaError_t cudaMalloc(void **p, size_t n) {
    return alloc(p, n, DEV);
}
cudaError_t cudaMallocHost(void **p, size_t n) {
    return alloc(p, n, PINNED);
}
cudaError_t cudaHostAlloc(void **p, size_t n, unsigned) {
    return alloc(p, n, PINNED);
}
cudaError_t cudaFree(void *p) {
    return release(p);
}
cudaError_t cudaFreeHost(void *p) {
    return release(p);
}
cudaError_t cudaMemGetInfo(size_t *f, size_t *t) {
    *f = *t = (size_t)8 << 30;
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *d, const void *s, size_t n, cudaMemcpyKind k, cudaStream_t st) {
    ENTER(cudaErrorIllegalAddress);
    Lock l(g_m);
    if (cudaError_t e = check_copy(d, s, n, k))
        return e;
    return cuhost::enqueue(st, [=] { memcpy(d, s, n); });
}
cudaError_t cudaMemcpy(void *d, const void *s, size_t n, cudaMemcpyKind k) {
    cudaError_t e = cudaMemcpyAsync(d, s, n, k, nullptr);
    return e ? e : cudaStreamSynchronize(nullptr);
}
cudaError_t cudaMemcpy2DAsync(void *d, size_t dp, const void *s, size_t sp, size_t w, size_t h, cudaMemcpyKind k,
                              cudaStream_t st) {
    ENTER(cudaErrorIllegalAddress);
    Lock l(g_m);
    if (w > dp || w > sp)
        return err(cudaErrorInvalidPitchValue);
    if (!h || !w)
        return cudaSuccess;
    if (cudaError_t e = check_copy(d, s, w, k))
        return e;
    return cuhost::enqueue(st, [=] {
        for (size_t i = 0; i < h; i++)
            memcpy((char *)d + i * dp, (const char *)s + i * sp, w);
    });
}
cudaError_t cudaMemsetAsync(void *d, int v, size_t n, cudaStream_t st) {
    ENTER(cudaErrorIllegalAddress);
    Lock l(g_m);
    if (n && !cuhost::is_device_range(d, n))
        return bad("cudaMemset: not a device range");
    return cuhost::enqueue(st, [=] { memset(d, v, n); });
}
cudaError_t cudaMemset(void *d, int v, size_t n) {
    return cudaMemsetAsync(d, v, n, nullptr);
}
cudaError_t cudaMemcpyToSymbol(const void *sym, const void *s, size_t n, size_t off, cudaMemcpyKind) {
    ENTER(cudaErrorInvalidSymbol);
    Lock l(g_m);
    drain();
    memcpy((char *)sym + off, s, n);
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned f) {
    ENTER(cudaErrorMemoryAllocation);
    Lock l(g_m);
    *s = new CUstream_st;
    (*s)->nonblocking = f & cudaStreamNonBlocking;
    g_streams.push_back(*s);
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *s) {
    return cudaStreamCreateWithFlags(s, 0);
}
cudaError_t cudaStreamDestroy(cudaStream_t s) {
    Lock l(g_m);
    if (!s)
        return err(cudaErrorInvalidResourceHandle);
    run(s->tail);
    for (auto it = g_streams.begin(); it != g_streams.end(); ++it)
        if (*it == s) {
            g_streams.erase(it);
            delete s;
            return cudaSuccess;
        }
    return err(cudaErrorInvalidResourceHandle);
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
    ENTER(cudaErrorLaunchFailure);
    Lock l(g_m);
    if (str(s)->cap)
        return err(cudaErrorStreamCaptureUnsupported);
    run(str(s)->tail);
    return err(g_sticky);
}
cudaError_t cudaStreamQuery(cudaStream_t s) {
    Lock l(g_m);
    OpP t = str(s)->tail;
    if (!t || t->done)
        return g_sticky;
    if (g_mode == CUHOST_LAZY)
        run(t);
    return cudaErrorNotReady;
}
cudaError_t cudaDeviceSynchronize() {
    ENTER(cudaErrorLaunchFailure);
    Lock l(g_m);
    if (capturing())
        return err(cudaErrorStreamCaptureUnsupported);
    drain();
    return err(g_sticky);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned) {
    ENTER(cudaErrorMemoryAllocation);
    *e = new CUevent_st;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *e) {
    return cudaEventCreateWithFlags(e, 0);
}
cudaError_t cudaEventDestroy(cudaEvent_t e) {
    delete e;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s_) {
    ENTER(cudaErrorLaunchFailure);
    Lock l(g_m);
    CUstream_st *s = str(s_);
    e->cap = s->cap;
    if (s->cap)
        return cudaSuccess;
    auto t = e->t;
    e->op = push(s, [t] {
        *t = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
    });
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
    ENTER(cudaErrorLaunchFailure);
    Lock l(g_m);
    if (e->cap)
        return err(cudaErrorCapturedEvent);
    run(e->op);
    return err(g_sticky);
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b) {
    if (*a->t < 0 || *b->t < 0)
        return err(cudaErrorNotReady);
    *ms = (float)(*b->t - *a->t);
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s_, cudaEvent_t e, unsigned) {
    ENTER(cudaErrorLaunchFailure);
    Lock l(g_m);
    CUstream_st *s = str(s_);
    if (e->cap) {
        s->cap = e->cap;
        return cudaSuccess;
    }
    push(
        s, [] {}, e->op);
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t f, void *u) {
    ENTER(cudaErrorLaunchFailure);
    return cuhost::enqueue(s, [=] { f(u); });
}
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
    ENTER(cudaErrorStreamCaptureUnsupported);
    Lock l(g_m);
    if (str(s) == &g_null || s->cap)
        return err(cudaErrorStreamCaptureUnsupported);
    s->cap = new CUgraph_st;
    s->cap_origin = true;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g) {
    ENTER(cudaErrorStreamCaptureInvalidated);
    Lock l(g_m);
    if (!s->cap || !s->cap_origin)
        return err(cudaErrorIllegalState);
    *g = s->cap;
    for (auto *x : g_streams)
        if (x->cap == *g) {
            x->cap = nullptr;
            x->cap_origin = false;
        }
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long) {
    ENTER(cudaErrorMemoryAllocation);
    *x = new CUgraphExec_st{g->nodes};
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t x, cudaStream_t s) {
    ENTER(cudaErrorLaunchFailure);
    auto n = x->nodes;
    return cuhost::enqueue(s, [n] {
        for (auto &f : n)
            f();
    });
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) {
    delete g;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x) {
    delete x;
    return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void *f, cudaFuncAttribute a, int v) {
    ENTER(cudaErrorInvalidValue);
    if (a == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        int m;
        cudaDeviceGetAttribute(&m, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0);
        if (v > m)
            return err(cudaErrorInvalidValue);
        Lock l(g_m);
        g_dyn[f] = v;
    }
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *, int bs, size_t smem,
                                                                   unsigned) {
    cudaDeviceProp p;
    if (cudaError_t e = cudaGetDeviceProperties(&p, 0))
        return e;
    *n = p.maxThreadsPerMultiProcessor / (bs > 0 ? bs : 1);
    if (smem && (size_t)*n > p.sharedMemPerMultiprocessor / (smem + 1024))
        *n = (int)(p.sharedMemPerMultiprocessor / (smem + 1024));
    if (*n > 16)
        *n = 16;
    return cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, const void *f, int bs, size_t smem) {
    return cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(n, f, bs, smem, 0);
}
cudaError_t cudaGetLastError() {
    cudaError_t e = g_last;
    g_last = g_sticky;
    return e;
}
cudaError_t cudaPeekAtLastError() {
    return g_last;
}
const char *cudaGetErrorName(cudaError_t e) {
    return e == cudaSuccess                 ? "cudaSuccess"
           : e == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation"
           : e == cudaErrorNoDevice         ? "cudaErrorNoDevice"
           : e == cudaErrorInvalidValue     ? "cudaErrorInvalidValue"
                                            : "cudaError";
}
const char *cudaGetErrorString(cudaError_t e) {
    return cudaGetErrorName(e);
}
}
