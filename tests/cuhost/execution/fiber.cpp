/* The context switch, and the stacks that it goes between. */
#include "fiber.hpp"

#include "failure.hpp"

#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__) && !defined(CUHOST_UCONTEXT)

/* Saves what a called function must preserve, and takes it from the other stack. It ends with a jump, not with `ret`:
 * the processor would predict the wrong address. */
extern "C" void cuhost_switch_context(void **saved, void *next);
asm(".text\n"
    ".globl cuhost_switch_context\n"
    ".type cuhost_switch_context,@function\n"
    "cuhost_switch_context:\n"
    "    pushq %rbp\n"
    "    pushq %rbx\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbx\n"
    "    popq %rbp\n"
    "    popq %r8\n"
    "    jmp *%r8\n"
    ".size cuhost_switch_context, .-cuhost_switch_context\n");

static void *new_context(char *stack, size_t bytes, void (*entry)()) {
    void **top = reinterpret_cast<void **>(stack + bytes);
    *--top = nullptr; /* where a return address would be: the stack is aligned as after a call */
    *--top = reinterpret_cast<void *>(entry);
    for (int preserved = 0; preserved < 6; preserved++)
        *--top = nullptr;
    return top;
}

#else

#include <ucontext.h>

/* Elsewhere, with two system calls a switch. The saved context lies on the stack that it is of. */
static void cuhost_switch_context(void **saved, void *next) {
    ucontext_t here;
    *saved = &here;
    swapcontext(&here, static_cast<ucontext_t *>(next));
}

static void *new_context(char *stack, size_t bytes, void (*entry)()) {
    const size_t room = (sizeof(ucontext_t) + 63) / 64 * 64;
    ucontext_t *context = reinterpret_cast<ucontext_t *>(stack + bytes - room);
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = bytes - room;
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
    return context;
}

#endif

#if CUHOST_RACE_CHECK
/* A process with threads sleeps for a second at its end, to find races there. Fibers count as threads, and never run
 * then. (TSAN_OPTIONS has the last word.) */
extern "C" const char *__tsan_default_options() {
    return "atexit_sleep_ms=0";
}
#endif

namespace cuhost {

static constexpr size_t fiber_stack_bytes = 256 * 1024;

Fiber::Fiber(void (*entry)(), Identity identity_) : stack_bytes(fiber_stack_bytes), identity(identity_) {
    const size_t guard = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    void *mapped =
        mmap(nullptr, guard + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED || mprotect(mapped, guard, PROT_NONE))
        die("no memory for another thread's stack");
    char *lowest = static_cast<char *>(mapped) + guard;
    stack = lowest;
    context = new_context(lowest, stack_bytes, entry);
}

#if CUHOST_ADDRESS_SANITIZER

/* Who gave the processor away last. The sanitizer tells on arrival where that stack lies: of an OS thread's own stack
 * nobody else knows. */
static Fiber *left;

static void arrived(void *fake_stack) {
    __sanitizer_finish_switch_fiber(fake_stack, &left->stack, &left->stack_bytes);
}

void switch_fiber(Fiber &from, Fiber &to) {
    left = &from;
    __sanitizer_start_switch_fiber(&from.fake_stack, to.stack, to.stack_bytes);
    cuhost_switch_context(&from.context, to.context);
    arrived(from.fake_stack);
}

void fiber_started() {
    arrived(nullptr);
}

#else

void switch_fiber(Fiber &from, Fiber &to) {
    cuhost_switch_context(&from.context, to.context);
}

void fiber_started() {}

#endif

} // namespace cuhost
