/* Models for tests: a backend and a network that free themselves, and seeded batches. */
#ifndef CRS_TESTS_NETWORK_HPP
#define CRS_TESTS_NETWORK_HPP

#include "backends.hpp"

#include <carousel/carousel.h>

extern "C" {
#include "../core/registry.h"
}

#include <memory>

namespace crs {

struct FreeNetwork {
    void operator()(crs_backend *backend) const {
        crs_backend_close(backend);
    }
    void operator()(crs_model *model) const {
        crs_model_free(model);
    }
};
using BackendHandle = std::unique_ptr<crs_backend, FreeNetwork>;
using Model = std::unique_ptr<crs_model, FreeNetwork>;

/* NULL where it cannot be opened. */
inline BackendHandle open_backend(const std::string &spec, int threads = 1) {
    crs_backend *backend = nullptr;
    const crs_device_options options = {-1, threads, nullptr, CRS_FLOAT32, CRS_GRAPHS_AUTO};
    crs_backend_open(spec.c_str(), &options, &backend, nullptr);
    return BackendHandle(backend);
}

/* One of the list of backends under test, with its variant. */
inline BackendHandle open_backend(const Backend &backend) {
    crs_backend *opened = nullptr;
    crs__backend_open_ops(backend.ops, &backend.options, nullptr, &opened, nullptr);
    return BackendHandle(opened);
}

inline BackendHandle open_table(const crs_ops *ops) {
    crs_backend *backend = nullptr;
    const crs_device_options options = {-1, 1, nullptr, CRS_FLOAT32, CRS_GRAPHS_AUTO};
    crs__backend_open_ops(ops, &options, nullptr, &backend, nullptr);
    return BackendHandle(backend);
}

inline crs_model_task task_of(int64_t classes = 3, int64_t vocabulary = 7, int64_t length = 64) {
    crs_model_task task = {};
    task.vocabulary = vocabulary;
    task.classes = classes;
    task.length = length;
    task.seed = 11;
    return task;
}

/* NULL, and why in error, where it cannot be built. */
inline Model build_model(const std::string &line, const crs_model_task &task, const BackendHandle &backend,
                         crs_error *error = nullptr) {
    crs_model *model = nullptr;
    crs_model_create(line.c_str(), &task, backend.get(), &model, error);
    return Model(model);
}

inline std::vector<double> parameters_of(const Model &model) {
    std::vector<double> values(static_cast<size_t>(crs_model_parameters(model.get())));
    if (crs_model_get_parameters(model.get(), values.data()) != CRS_OK)
        values.clear();
    return values;
}

enum class Padding { none, post, pre, counted };

/* Rows of 0 to T tokens, or all of T; ids, labels and lengths from the seed. counted: padded, but start and len left
 * out. */
class RandomBatch {
  public:
    RandomBatch(int64_t T, int64_t B, const crs_model_task &task, Padding padding, uint64_t seed) : T_(T), B_(B) {
        Random random(seed);
        ids_.assign(static_cast<size_t>(T * B), 0);
        for (int64_t b = 0; b < B; b++) {
            /* The first row is full, the second empty, the others as it comes. */
            const int64_t len = padding == Padding::none || b == 0 ? T : b == 1 ? 0 : random.below(T + 1);
            const int64_t start = padding == Padding::pre ? T - len : 0;
            for (int64_t t = start; t < start + len; t++)
                ids_[static_cast<size_t>(t * B + b)] = static_cast<int32_t>(1 + random.below(task.vocabulary - 1));
            start_.push_back(static_cast<int32_t>(start));
            len_.push_back(static_cast<int32_t>(len));
            labels_.push_back(static_cast<int32_t>(random.below(task.classes)));
        }
        live_ = padding == Padding::post || padding == Padding::pre;
    }
    crs_batch get() const {
        return {T_, B_, ids_.data(), live_ ? start_.data() : nullptr, live_ ? len_.data() : nullptr, labels_.data()};
    }
    std::vector<int32_t> ids_, start_, len_, labels_;

  private:
    int64_t T_, B_;
    bool live_;
};

inline crs_training training_of(crs_optimizer_kind kind = CRS_SGD, double lr = 0.05) {
    crs_training training = {};
    training.optimizer.kind = kind;
    training.optimizer.rho = training.optimizer.beta1 = 0.9;
    training.optimizer.beta2 = 0.999;
    training.optimizer.epsilon = 1e-7;
    training.schedule.kind = CRS_CONSTANT;
    training.schedule.base_lr = lr;
    training.schedule.every = training.schedule.total = 1;
    return training;
}

} // namespace crs
#endif
