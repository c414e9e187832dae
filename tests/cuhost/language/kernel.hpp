/* A kernel with its arguments, without their types: what a launch hands to execution/. */
#ifndef CUHOST_LANGUAGE_KERNEL_HPP
#define CUHOST_LANGUAGE_KERNEL_HPP

#include <cuda_runtime.h>

#include <memory>

namespace cuhost {

class Kernel {
  public:
    virtual ~Kernel() = default;
    virtual void run_thread() const = 0;
};

/* Checks a launch and queues it. `function` names the kernel; the pointers are those among its arguments. */
cudaError_t launch(const cudaLaunchConfig_t *configuration, const void *function, std::shared_ptr<const Kernel> kernel,
                   const void *const *pointers, int n_pointers);

} // namespace cuhost

#endif
