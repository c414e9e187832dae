/* cudaLaunchKernelEx, the one way to launch a kernel here: <<<>>> is no C++. */
#ifndef CUHOST_LANGUAGE_LAUNCH_HPP
#define CUHOST_LANGUAGE_LAUNCH_HPP

#include "kernel.hpp"

#include <tuple>
#include <type_traits>
#include <utility>

namespace cuhost {

template <class... Parameters> class BoundKernel final : public Kernel {
  public:
    BoundKernel(void (*function)(Parameters...), Parameters... arguments)
        : function_(function), arguments_(arguments...) {}
    void run_thread() const override {
        std::apply(function_, arguments_); /* every thread has parameters of its own, as on a GPU */
    }

  private:
    void (*function_)(Parameters...);
    std::tuple<Parameters...> arguments_;
};

/* The pointers among a kernel's arguments. */
template <size_t capacity> struct Pointers {
    const void *values[capacity + 1];
    int n = 0;

    template <class T> void add(const T &argument) {
        if constexpr (std::is_pointer_v<T>)
            values[n++] = reinterpret_cast<const void *>(argument);
        else
            (void)argument;
    }
};

template <class... Parameters>
cudaError_t launch_parameters(const cudaLaunchConfig_t *configuration, void (*function)(Parameters...),
                              Parameters... arguments) {
    static_assert((std::is_trivially_copyable_v<Parameters> && ...), "kernel parameters must be trivially copyable");
    static_assert((0 + ... + sizeof(Parameters)) <= 4096, "kernel parameters exceed 4 KiB");
    Pointers<sizeof...(Parameters)> pointers;
    (pointers.add(arguments), ...);
    return launch(configuration, reinterpret_cast<const void *>(function),
                  std::make_shared<BoundKernel<Parameters...>>(function, arguments...), pointers.values, pointers.n);
}

template <class... Parameters, class... Arguments>
cudaError_t launch_kernel(const cudaLaunchConfig_t *configuration, void (*function)(Parameters...),
                          Arguments &&...arguments) {
    return launch_parameters<Parameters...>(configuration, function, std::forward<Arguments>(arguments)...);
}

} // namespace cuhost

/* A macro: NVIDIA's header has a template of this name, which forgets the kernel's type. */
#define cudaLaunchKernelEx ::cuhost::launch_kernel

#endif
