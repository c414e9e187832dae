/* The backends under test. A new backend, or a variant that can be forced, is a line of `all`. */
#include "backends.hpp"

#include <algorithm>

extern "C" {
extern const crs_ops cpu_f32_ops;
extern const crs_ops cpu_f64_ops;
const struct blocked_kernels *cpu_blocked_kernels(const char *name);
#if CRS_WITH_CUDA
extern const crs_ops cuda_ops;
#endif
}

namespace crs {

static const crs_device_options automatic = {-1, 0, nullptr, CRS_FLOAT32, CRS_GRAPHS_AUTO};
static const crs_device_options simple = {-1, 0, "simple", CRS_FLOAT32, CRS_GRAPHS_AUTO};
static const crs_device_options blocked = {-1, 0, "blocked", CRS_FLOAT32, CRS_GRAPHS_AUTO};
static const crs_device_options blocked_v3 = {-1, 0, "blocked-v3", CRS_FLOAT32, CRS_GRAPHS_AUTO};
static const crs_device_options blocked_baseline = {-1, 0, "blocked-baseline", CRS_FLOAT32, CRS_GRAPHS_AUTO};
#if CRS_WITH_CUDA
static const crs_device_options steps = {-1, 0, "steps", CRS_FLOAT32, CRS_GRAPHS_AUTO};
static const crs_device_options persistent = {-1, 0, "persistent", CRS_FLOAT32, CRS_GRAPHS_AUTO};
#endif

static const std::vector<std::string> lstm = {"lstm"}, recurrent = {"rnn", "lstm", "gru"};
static const std::vector<std::string> with_variants = {"rnn", "lstm", "gru", "conv"};

static std::vector<Backend> make_all() {
    std::vector<Backend> backends = {
        {"cpu", &cpu_f32_ops, automatic, {}},
        {"cpu_double", &cpu_f64_ops, automatic, {}},
        {"cpu_simple", &cpu_f32_ops, simple, with_variants},
        {"cpu_blocked", &cpu_f32_ops, blocked, lstm}, /* what "cpu" chooses, forced */
        {"cpu_blocked_baseline", &cpu_f32_ops, blocked_baseline, with_variants},
    };
    if (cpu_blocked_kernels("v3"))
        backends.push_back({"cpu_blocked_v3", &cpu_f32_ops, blocked_v3, with_variants});
#if CRS_WITH_CUDA
    backends.push_back({"cuda", &cuda_ops, automatic, {}});
    backends.push_back({"cuda_steps", &cuda_ops, steps, recurrent});
    backends.push_back({"cuda_persistent", &cuda_ops, persistent, recurrent, 64});
#endif
    return backends;
}

static const std::vector<Backend> &all() {
    static const std::vector<Backend> backends = make_all();
    return backends;
}

std::vector<Backend> backends_for(const std::string &operation) {
    std::vector<Backend> chosen;
    for (const Backend &backend : all())
        if (backend.only.empty() || std::count(backend.only.begin(), backend.only.end(), operation) > 0)
            chosen.push_back(backend);
    return chosen;
}

const Backend &oracle() {
    static const Backend backend = {"oracle", &cpu_f64_ops, automatic, {}};
    return backend;
}

std::ostream &operator<<(std::ostream &out, const Backend &backend) {
    return out << backend.name;
}

Device::Device(const Backend &backend, int threads) : ops_(backend.ops) {
    crs_device_options options = backend.options;
    options.threads = threads;
    status_ = ops_->open(&options, &handle_, why_, sizeof why_);
}

Device::~Device() {
    if (status_ == CRS_OK)
        ops_->close(handle_);
}

Verdict Device::opened() const {
    return status_ == CRS_OK ? Verdict::pass()
                             : Verdict::fail(format("open of %s: status %d, %s", ops_->name, status_, why_));
}

} // namespace crs
