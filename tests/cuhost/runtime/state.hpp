/* What the runtime functions share: settings, counters, errors, and how every call begins and fails. */
#ifndef CUHOST_RUNTIME_STATE_HPP
#define CUHOST_RUNTIME_STATE_HPP

#include "../cuhost_test.h"
#include "../execution/grid.hpp"
#include "../execution/random.hpp"

#include <cuda_runtime.h>

#include <mutex>

namespace cuhost {

struct Settings { /* one for each knob of cuhost_test.h */
    Schedule schedule;
    cuhost_queueing queueing = CUHOST_LAZY;
    int devices = 1, compute = 80;
    bool driver = true;
    size_t memory = size_t{8} << 30;
    long fail_at = 0;
};

struct State {
    State(); /* reads the environment */

    std::recursive_mutex mutex;
    Settings settings;
    long calls = 0;  /* fallible ones, since fail_at was set */
    long number = 0; /* of the next launch, since the schedule was set */
    Random chaos;    /* since the schedule was set */
    Work work;
    cuhost_statistics statistics{};
    cudaError_t sticky = cudaSuccess; /* what every call answers after device work went wrong */
};

State &state();

/* Puts the environment's values into `settings`; ends the program on one that is not known. */
void read_environment(Settings &settings);

/* A call of the runtime: holds the lock. A fallible one fails if it is its turn, if there is no device, or if device
 * work went wrong before. */
class Call {
  public:
    Call() : lock_(state().mutex) {}
    explicit Call(cudaError_t injected);

    cudaError_t error = cudaSuccess; /* else to be returned at once */

  private:
    std::lock_guard<std::recursive_mutex> lock_;
};

/* What the machine lacks: no driver, no device, or nothing. */
cudaError_t machine_error();

/* Remembers an error for cudaGetLastError and returns it. misuse() also says on stderr what the caller did wrong. */
cudaError_t failed(cudaError_t error);
cudaError_t misuse(cudaError_t error, const char *format, ...) __attribute__((format(printf, 2, 3)));

} // namespace cuhost

#endif
