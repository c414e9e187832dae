// cuhost_sched.cpp - executes one kernel grid: every CUDA thread is a fiber, every block (or the whole
// grid of a cooperative launch) runs on one OS thread. Never compiled with -fsanitize=thread (CUHOST_TSAN
// instead).
#include "cuhost_impl.h"
#include "cuhost_test.h"
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <pthread.h>
#include <sys/mman.h>
#include <thread>
#include <vector>
#if CUHOST_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if CUHOST_TSAN
#include <sanitizer/tsan_interface.h>
#define TS(x) x
#else
#define TS(x) (void)0
#endif

__thread uint3 threadIdx, blockIdx; // the kernels see them const (cuhost.h)
__thread dim3 blockDim, gridDim;

// ---- context switch: callee-saved registers only (pop+jmp, not ret: keeps the return predictor out of it)
extern "C" void cuhost_switch(void **save_sp, void *load_sp);
#if defined(CUHOST_UCONTEXT) || !defined(__x86_64__)
#include <ucontext.h> // portable fallback: two system calls per switch
extern "C" void cuhost_switch(void **save_sp, void *load_sp) {
    ucontext_t here;
    *save_sp = &here;
    swapcontext(&here, (ucontext_t *)load_sp);
}
static void *new_context(char *top, void (*fn)(), size_t size) {
    auto *u = (ucontext_t *)((uintptr_t)(top - sizeof(ucontext_t)) & ~(uintptr_t)63);
    getcontext(u);
    u->uc_stack.ss_sp = top - size;
    u->uc_stack.ss_size = size - (size_t)(top - (char *)u);
    u->uc_link = nullptr;
    makecontext(u, fn, 0);
    return u;
}
#else
asm(".text\n.globl cuhost_switch\n.type cuhost_switch,@function\ncuhost_switch:\n"
    " pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
    " movq %rsp,(%rdi)\n movq %rsi,%rsp\n"
    " popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n popq %r8\n jmp *%r8\n"
    ".size cuhost_switch,.-cuhost_switch\n");
static void *new_context(char *top, void (*fn)(), size_t) {
    void **s = (void **)top;
    *--s = nullptr;
    *--s = (void *)fn;
    for (int i = 0; i < 6; i++)
        *--s = nullptr;
    return s;
}
#endif

namespace {
using std::vector;
const size_t STACK = 256 * 1024;
int g_policy = CUHOST_ALTERNATE;
unsigned g_seed = 1;
int g_workers = 0;
std::atomic<long> s_threads{0}, s_switches{0}, s_barriers{0};
long s_launches;
std::atomic<unsigned> g_launch_no{0};

struct Block;
struct Fiber {
    void *sp = nullptr;
    char *lo = nullptr;
    size_t size = 0;
    void *fake = nullptr;
    void *tsan = nullptr;
    Block *blk = nullptr;
    uint3 tid{};
    int lane = 0, warp = 0;
    unsigned pieces = 0;
    const char *what = nullptr, *file = nullptr;
    int line = 0; // where it waits
};
using Waiters = vector<Fiber *>;
struct Coll {
    unsigned mask, arrived, gen;
    int kind;
    const char *file;
    int line;
    uint64_t val[2][32];
    Waiters wait;
};
struct Warp {
    unsigned alive = 0, born = 0;
    char tok[2] = {0, 0};
    vector<std::unique_ptr<Coll>> colls;
};
struct Barrier {
    int arrived = 0, acc = 0, result = 0;
    unsigned phase = 0;
    char tok[2] = {0, 0};
    const char *file = nullptr;
    int line = 0;
    Waiters wait;
};
struct Piece {
    const void *key;
    size_t bytes;
    void *p;
};
struct Block {
    uint3 idx{};
    int nth = 0, alive = 0;
    size_t smem = 0, dyn = 0;
    Barrier bar;
    vector<Warp> warps;
    vector<Piece> dynp, statp;
    char alloc_tok = 0;
};

struct Worker {
    Fiber main;
    vector<Fiber *> pool;
    Waiters idle, ready;
    size_t ih = 0, rh = 0;
    vector<std::unique_ptr<Block>> blocks;
    vector<uint32_t> order;
    size_t started = 0, total = 0, live = 0, spins = 0;
    Barrier grid;
    const cuhost::Launch *L = nullptr;
    Fiber *cur = nullptr;
    uint64_t rng = 1;
    char tok_start = 0, tok_end = 0;
    long n_sw = 0, n_bar = 0;
    vector<void *> garbage;
    unsigned rnd() {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        return (unsigned)(rng >> 32);
    }
};
thread_local Worker *tw;
void fiber_entry();
// Under TSan each CUDA thread has its own TSan context; the layer itself runs in the worker's context.
// Switching contexts with flag 1 creates no happens-before edge: only barriers (release/acquire below) order
// CUDA threads.
struct InRuntime {
    InRuntime() {
        TS(__tsan_switch_to_fiber(tw->main.tsan, 1));
    }
    ~InRuntime() {
        TS(__tsan_switch_to_fiber(tw->cur->tsan, 1));
    }
};

Worker &worker() {
    if (!tw) {
        tw = new Worker;
        static std::mutex m;
        static vector<Worker *> *keep = new vector<Worker *>;
        {
            std::lock_guard<std::mutex> g(m);
            keep->push_back(tw);
        }
        pthread_attr_t a;
        void *lo;
        size_t n;
        pthread_getattr_np(pthread_self(), &a);
        pthread_attr_getstack(&a, &lo, &n);
        pthread_attr_destroy(&a);
        tw->main.lo = (char *)lo;
        tw->main.size = n;
        TS(tw->main.tsan = __tsan_get_current_fiber());
    }
    return *tw;
}
void set_tls(Fiber *f) {
    if (f->blk) {
        threadIdx = f->tid;
        blockIdx = f->blk->idx;
    }
}

void switch_to(Worker &w, Fiber *to) {
    Fiber *from = w.cur;
    if (from == to) {
        set_tls(to);
        return;
    }
    w.cur = to;
    w.n_sw++;
#if CUHOST_ASAN
    __sanitizer_start_switch_fiber(&from->fake, to->lo, to->size);
#endif
    cuhost_switch(&from->sp, to->sp);
#if CUHOST_ASAN
    __sanitizer_finish_switch_fiber(from->fake, nullptr, nullptr);
#endif
    set_tls(from);
}
Fiber *new_fiber(Worker &w) {
    Fiber *f = new Fiber;
    w.pool.push_back(f);
    char *m =
        (char *)mmap(nullptr, STACK + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED)
        cuhost::die("out of memory for fiber stacks");
    mprotect(m, 4096, PROT_NONE); // stack overflow -> SIGSEGV
    f->lo = m + 4096;
    f->size = STACK;
    f->sp = new_context(f->lo + STACK, fiber_entry, STACK);
    TS(f->tsan = __tsan_create_fiber(0));
    return f;
}
Fiber *idle_fiber(Worker &w) {
    if (w.ih == w.idle.size())
        return new_fiber(w);
    Fiber *f = w.idle[w.ih++];
    if (w.ih > 4096) {
        w.idle.erase(w.idle.begin(), w.idle.begin() + w.ih);
        w.ih = 0;
    }
    return f;
}
Fiber *pick(Worker &w) {
    size_t nu = w.total - w.started, nr = w.ready.size() - w.rh;
    if (nu + nr == 0)
        return nullptr;
    if (g_policy == CUHOST_RANDOM ? w.rnd() % (nu + nr) < nu : nu > 0) {
        Fiber *f;
        if (!CUHOST_TSAN && !w.cur->blk && w.cur != &w.main) {
            f = w.cur;
            w.idle.pop_back();
        } // a finished thread's fiber continues: no switch
        else
            f = idle_fiber(w);
        uint32_t id = w.order[w.started++];
        const dim3 &bd = w.L->block;
        uint32_t nth = bd.x * bd.y * bd.z, t = id % nth;
        f->blk = w.blocks[id / nth].get();
        f->tid = {t % bd.x, t / bd.x % bd.y, t / (bd.x * bd.y)};
        f->lane = t % 32;
        f->warp = t / 32;
        f->pieces = 0;
        f->what = nullptr;
        return f;
    }
    if (g_policy == CUHOST_RANDOM)
        std::swap(w.ready[w.rh], w.ready[w.rh + w.rnd() % nr]);
    Fiber *f = w.ready[w.rh++];
    if (w.rh == w.ready.size()) {
        w.ready.clear();
        w.rh = 0;
    }
    return f;
}
[[noreturn]] void deadlock(Worker &w) {
    fprintf(stderr,
            "cuhost: DEADLOCK in a kernel: %zu threads alive, none can run (a barrier or warp collective not "
            "reached by all)\n",
            w.live);
    int n = 0;
    for (Fiber *f : w.pool)
        if (f->blk && f->what && n++ < 8)
            fprintf(stderr, "  block (%u,%u,%u) thread (%u,%u,%u) waits in %s at %s:%d\n", f->blk->idx.x, f->blk->idx.y,
                    f->blk->idx.z, f->tid.x, f->tid.y, f->tid.z, f->what, f->file, f->line);
    abort();
}
void schedule(Worker &w) { // give the processor away
    Fiber *n = pick(w);
    if (!n) {
        if (w.live)
            deadlock(w);
        n = &w.main;
    }
    switch_to(w, n);
}
void wait_in(Worker &w, Waiters &q, const char *what, const char *file, int line) {
    Fiber *f = w.cur;
    f->what = what;
    f->file = file;
    f->line = line;
    q.push_back(f);
    schedule(w);
    f->what = nullptr;
}
void release(Worker &w, Waiters &q) {
    if (g_policy == CUHOST_ALTERNATE)
        std::reverse(q.begin(), q.end());
    w.ready.insert(w.ready.end(), q.begin(), q.end());
    q.clear();
    w.spins = 0;
}
void complete(Worker &w, Barrier &b) {
    b.phase++;
    b.result = b.acc;
    b.acc = b.arrived = 0;
    b.file = nullptr;
    w.n_bar++;
    release(w, b.wait);
}
int barrier(Worker &w, Barrier &b, int &alive, int pred, const char *what, const char *file, int line) {
    if (b.file && (b.line != line || strcmp(b.file, file)))
        cuhost::die("%s divergence: this thread is at %s:%d, another one waits at %s:%d", what, file, line, b.file,
                    b.line);
    b.file = file;
    b.line = line;
    b.acc += pred != 0;
    if (++b.arrived == alive) {
        Fiber *me = w.cur;
        b.wait.push_back(me);
        complete(w, b);
        me->what = nullptr;
        schedule(w);
    } else
        wait_in(w, b.wait, what, file, line);
    return b.result;
}
int sync(Barrier &b, int &alive, int pred, const char *what, const char *file, int line) {
    char *tok = &b.tok[b.phase & 1];
    (void)tok; // alternate: a fast thread's next release must not reach a slow thread's acquire
    TS(__tsan_release(tok));
    int r;
    {
        InRuntime rt;
        r = barrier(*tw, b, alive, pred, what, file, line);
    }
    TS(__tsan_acquire(tok));
    return r;
}
void thread_exit(Worker &w) {
    Fiber *f = w.cur;
    Block &b = *f->blk;
    Warp &wp = b.warps[f->warp];
    wp.alive &= ~(1u << f->lane);
    b.alive--;
    w.live--;
    f->blk = nullptr;
    w.idle.push_back(f);
    for (auto &c : wp.colls)
        if (c->arrived && (c->mask >> f->lane & 1))
            cuhost::die("lane %d returned while lanes of mask 0x%08x wait for it at %s:%d", f->lane, c->mask, c->file,
                        c->line);
    if (b.bar.arrived)
        cuhost::die("block (%u,%u,%u): thread (%u,%u,%u) returned while others wait in __syncthreads at %s:%d", b.idx.x,
                    b.idx.y, b.idx.z, f->tid.x, f->tid.y, f->tid.z, b.bar.file, b.bar.line);
}
void fiber_entry() {
#if CUHOST_ASAN
    __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
    Worker &w = *tw;
    for (;;) {
        set_tls(w.cur);
        TS(__tsan_switch_to_fiber(w.cur->tsan, 1));
        TS(__tsan_acquire(&w.tok_start));
        w.L->thunk->call();
        TS(__tsan_release(&w.tok_end));
        TS(__tsan_switch_to_fiber(w.main.tsan, 1));
        thread_exit(w);
        schedule(w);
    }
}
void *smem_alloc(Worker &w, Block &b, size_t bytes, size_t align) {
    void *p = nullptr;
    if (posix_memalign(&p, align < 16 ? 16 : align, bytes ? bytes : 1))
        abort();
    memset(p, 0xff, bytes);
    TS(__tsan_release(&b.alloc_tok));
    b.smem += bytes;
    if (b.smem > w.L->smem_limit)
        cuhost::die("block uses %zu bytes of shared memory, limit is %zu", b.smem, w.L->smem_limit);
    return p;
}
void run_gang(Worker &w, const cuhost::Launch &L, const uint64_t *ids,
              int n) { // n blocks, all resident together
    unsigned nth = L.block.x * L.block.y * L.block.z;
    w.L = &L;
    w.started = 0;
    w.total = w.live = (size_t)nth * n;
    w.ready.clear();
    w.rh = 0;
    w.spins = 0;
    while ((int)w.blocks.size() < n)
        w.blocks.emplace_back(new Block);
    for (int i = 0; i < n; i++) {
        Block &b = *w.blocks[i];
        uint64_t id = ids[i];
        b.idx = {(unsigned)(id % L.grid.x), (unsigned)(id / L.grid.x % L.grid.y), (unsigned)(id / L.grid.x / L.grid.y)};
        b.nth = b.alive = nth;
        b.smem = b.dyn = 0;
        b.bar.arrived = b.bar.acc = 0;
        b.bar.file = nullptr;
        b.warps.resize((nth + 31) / 32);
        for (unsigned k = 0; k < b.warps.size(); k++) {
            unsigned c = std::min(32u, nth - 32 * k);
            b.warps[k].born = b.warps[k].alive = c == 32 ? ~0u : (1u << c) - 1;
            b.warps[k].colls.clear();
        }
    }
    w.grid.arrived = 0;
    w.grid.file = nullptr;
    w.order.resize(w.total);
    std::iota(w.order.begin(), w.order.end(), 0);
    if (g_policy == CUHOST_REVERSE)
        std::reverse(w.order.begin(), w.order.end());
    if (g_policy == CUHOST_ALTERNATE && (g_launch_no & 1))
        std::reverse(w.order.begin(), w.order.end());
    if (g_policy == CUHOST_RANDOM)
        for (size_t i = w.total; i > 1; i--)
            std::swap(w.order[i - 1], w.order[w.rnd() % i]);
#if CUHOST_TSAN
    while (w.pool.size() < w.total + 13)
        w.idle.push_back(new_fiber(w)); // spare fibers: identities rotate between blocks
#endif
    blockDim = L.block;
    gridDim = L.grid;
    w.cur = &w.main;
    switch_to(w, pick(w));
    for (int i = 0; i < n; i++)
        for (auto *v : {&w.blocks[i]->dynp, &w.blocks[i]->statp}) {
            for (Piece &p : *v)
                if (CUHOST_TSAN)
                    w.garbage.push_back(p.p);
                else
                    free(p.p);
            v->clear();
        }
    s_threads += w.total;
    s_switches += w.n_sw;
    s_barriers += w.n_bar;
    w.n_sw = w.n_bar = 0;
}

struct Pool { // OS threads; block-parallel only, never under TSan
    std::mutex m;
    std::condition_variable go, done;
    const cuhost::Launch *L = nullptr;
    std::atomic<uint64_t> next{0};
    uint64_t nb = 0, mul = 1, add = 0;
    int busy = 0, gen = 0;
    unsigned seed = 0;
    vector<std::thread> th;
    void work() {
        Worker &w = worker();
        w.rng = 0x9E3779B97F4A7C15ull * (seed + 1) + (uint64_t)next * 77 + 1;
        for (uint64_t i; (i = next++) < nb;) {
            uint64_t id = (i * mul + add) % nb;
            run_gang(w, *L, &id, 1);
        }
    }
    void loop() {
        int seen = 0;
        for (;;) {
            {
                std::unique_lock<std::mutex> l(m);
                go.wait(l, [&] { return gen != seen; });
                seen = gen;
            }
            work();
            std::lock_guard<std::mutex> l(m);
            if (--busy == 0)
                done.notify_one();
        }
    }
    void run(const cuhost::Launch &l, int n) {
        L = &l;
        next = 0;
        nb = (uint64_t)l.grid.x * l.grid.y * l.grid.z;
        seed = g_seed + g_launch_no;
        mul = 1;
        add = 0;
        if (g_policy == CUHOST_REVERSE || (g_policy == CUHOST_ALTERNATE && (g_launch_no & 1))) {
            mul = nb - 1;
            add = nb - 1;
            if (!mul)
                mul = 1;
        }
        if (g_policy == CUHOST_RANDOM) {
            mul = seed * 2654435761u % nb;
            while (std::gcd(mul, nb) != 1)
                mul = mul + 1;
            add = seed % nb;
        }
        while ((int)th.size() < n - 1)
            th.emplace_back([this] { loop(); });
        if (n > 1) {
            std::lock_guard<std::mutex> g(m);
            busy = (int)th.size();
            gen++;
            go.notify_all();
        }
        work();
        if (n > 1) {
            std::unique_lock<std::mutex> g(m);
            done.wait(g, [&] { return busy == 0; });
        }
    }
};
struct Init {
    Init() {
        const char *s = getenv("CUHOST_SCHEDULE");
        if (s)
            g_policy = !strcmp(s, "forward") ? 0 : !strcmp(s, "reverse") ? 1 : !strcmp(s, "random") ? 3 : 2;
        if ((s = getenv("CUHOST_SEED")))
            g_seed = (unsigned)atoi(s);
        if ((s = getenv("CUHOST_WORKERS")))
            g_workers = atoi(s);
    }
} init_;
} // namespace

namespace cuhost {
void die(const char *fmt, ...) {
    va_list a;
    va_start(a, fmt);
    fputs("cuhost: KERNEL ERROR: ", stderr);
    vfprintf(stderr, fmt, a);
    va_end(a);
    if (tw && tw->cur && tw->cur->blk)
        fprintf(stderr, " [block (%u,%u,%u) thread (%u,%u,%u)]", blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x,
                threadIdx.y, threadIdx.z);
    fprintf(stderr, " (schedule %d, seed %u)\n", g_policy, g_seed);
#if CUHOST_ASAN
    __sanitizer_print_stack_trace();
#endif
    abort();
}
void sync_block(const char *f, int l) {
    Worker &w = *tw;
    Block &b = *w.cur->blk;
    if (b.alive != b.nth)
        die("%s:%d: __syncthreads after another thread of the block has returned", f, l);
    sync(b.bar, b.alive, 0, "__syncthreads", f, l);
}
int sync_block_count(int p, const char *f, int l) {
    Block &b = *tw->cur->blk;
    return sync(b.bar, b.alive, p, "__syncthreads_*", f, l);
}
void sync_grid(const char *f, int l) {
    Worker &w = *tw;
    if (!w.L->coop)
        die("grid.sync() in a launch that is not cooperative");
    int n = (int)w.live;
    sync(w.grid, n, 0, "grid.sync", f, l);
}
enum { K_SYNC = 1, K_SHFL, K_VOTE };
static const uint64_t *warp_exchange(unsigned m, uint64_t v, int kind, const char *file, int line) {
    Worker &w = *tw;
    Fiber *f = w.cur;
    Warp &wp = f->blk->warps[f->warp];
    if (!((m >> f->lane) & 1))
        die("%s:%d: lane %d is not in its own mask 0x%08x", file, line, f->lane, m);
    if (m & wp.born & ~wp.alive)
        die("%s:%d: mask 0x%08x names lanes that have returned", file, line, m);
    Coll *c = nullptr;
    for (auto &x : wp.colls)
        if (x->mask == m)
            c = x.get();
    if (!c)
        wp.colls.emplace_back(c = new Coll{m, 0, 0, 0, nullptr, 0, {}, {}});
    if (c->arrived && (c->kind != kind || c->line != line))
        die("warp divergence: lane %d at %s:%d, another lane waits at %s:%d", f->lane, file, line, c->file, c->line);
    unsigned g = c->gen & 1;
    if (!c->arrived)
        memset(c->val[g], 0xff, sizeof c->val[g]);
    c->kind = kind;
    c->file = file;
    c->line = line;
    c->arrived |= 1u << f->lane;
    c->val[g][f->lane] = v;
    if (c->arrived == (m & wp.alive)) {
        c->wait.push_back(f);
        c->gen++;
        c->arrived = 0;
        release(w, c->wait);
        schedule(w);
    } else
        wait_in(w, c->wait, "a warp collective", file, line);
    return c->val[g];
}
void sync_warp(unsigned m, const char *f, int l) {
    Warp &wp = tw->cur->blk->warps[tw->cur->warp];
    unsigned g = 0;
    for (auto &c : wp.colls)
        if (c->mask == m)
            g = c->gen;
    char *tok = &wp.tok[g & 1];
    (void)tok;
    TS(__tsan_release(tok));
    {
        InRuntime rt;
        warp_exchange(m, 0, K_SYNC, f, l);
    }
    TS(__tsan_acquire(tok));
}
uint64_t warp_shfl(unsigned m, uint64_t v, int src, const char *f,
                   int l) { // like the hardware: exchanges values, orders no memory
    if (src < 0 || !((m >> src) & 1))
        die("%s:%d: shuffle reads lane %d, which is not in mask 0x%08x", f, l, src, m);
    InRuntime rt;
    return warp_exchange(m, v, K_SHFL, f, l)[src];
}
unsigned warp_ballot(unsigned m, bool p, const char *f, int l) {
    InRuntime rt;
    const uint64_t *r = warp_exchange(m, p, K_VOTE, f, l);
    unsigned b = 0;
    for (int i = 0; i < 32; i++)
        if ((m >> i) & 1)
            b |= (unsigned)(r[i] == 1) << i;
    return b;
}
void yield(const char *f, int l) {
    InRuntime rt;
    Worker &w = *tw;
    if (++w.spins > 20000000)
        die("%s:%d: livelock in a spin loop", f, l);
    wait_in(w, w.ready, "a spin loop", f, l);
}
void fence() {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
unsigned lane_id() {
    return (unsigned)tw->cur->lane;
}
void *static_shared(const void *key, size_t bytes, size_t align) {
    Worker &w = *tw;
    Block &b = *w.cur->blk;
    void *r = nullptr;
    {
        InRuntime rt;
        for (Piece &p : b.statp)
            if (p.key == key)
                r = p.p;
        if (!r) {
            r = smem_alloc(w, b, bytes, align);
            b.statp.push_back({key, bytes, r});
        }
    }
    TS(__tsan_acquire(&b.alloc_tok));
    return r;
}
void *dyn_shared(size_t bytes, size_t align, bool rest) {
    Worker &w = *tw;
    Block &b = *w.cur->blk;
    unsigned i = w.cur->pieces++;
    size_t cap = w.L->dyn_smem;
    {
        InRuntime rt;
        if (rest)
            bytes = cap - b.dyn * (i > 0);
        if (i == b.dynp.size()) {
            size_t r = rest ? bytes : (bytes + 15) / 16 * 16;
            if (b.dyn + r > cap)
                die("kernel carves %zu bytes of dynamic shared memory, launched with %zu", b.dyn + r, cap);
            b.dyn += r;
            b.dynp.push_back({nullptr, bytes, smem_alloc(w, b, bytes, align)});
        } else if (!rest && b.dynp[i].bytes != bytes)
            die("threads carve dynamic shared memory differently (%zu / %zu bytes)", bytes, b.dynp[i].bytes);
    }
    TS(__tsan_acquire(&b.alloc_tok));
    return b.dynp[i].p;
}
void run_grid(const Launch &L) {
    static Pool *pool = new Pool;
    ++g_launch_no;
    s_launches++;
    Worker &w0 = worker();
    (void)w0;
    TS(__tsan_release(&w0.tok_start));
    uint64_t nb = (uint64_t)L.grid.x * L.grid.y * L.grid.z, work = nb * L.block.x * L.block.y * L.block.z;
    if (L.coop) {
        vector<uint64_t> ids(nb);
        std::iota(ids.begin(), ids.end(), 0);
        Worker &w = worker();
        w.rng = 0x9E3779B97F4A7C15ull * (g_seed + g_launch_no);
        run_gang(w, L, ids.data(), (int)nb);
    } else {
        int n = CUHOST_TSAN ? 1 : g_workers ? g_workers : (int)std::thread::hardware_concurrency();
        pool->run(L, nb < 2 || work < 2048 ? 1 : n);
    }
    TS(__tsan_acquire(&w0.tok_end));
    for (void *p : w0.garbage)
        free(p);
    w0.garbage.clear();
}
} // namespace cuhost
extern "C" {
void cuhost_schedule(int p, unsigned s) {
    g_policy = p;
    g_seed = s;
    g_launch_no = 0;
}
void cuhost_stats(struct cuhost_stats_t *s, int reset) {
    if (s)
        *s = {s_launches, s_threads, s_switches, s_barriers};
    if (reset) {
        s_launches = 0;
        s_threads = s_switches = s_barriers = 0;
    }
}
}
