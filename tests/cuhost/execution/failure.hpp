/* How the layer ends a program whose kernel is wrong: with what happened, where, and under which schedule. */
#ifndef CUHOST_EXECUTION_FAILURE_HPP
#define CUHOST_EXECUTION_FAILURE_HPP

namespace cuhost {

/* Prints "cuhost: KERNEL ERROR: ..." with the thread that runs, and aborts. */
[[noreturn]] void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

} // namespace cuhost

#endif
