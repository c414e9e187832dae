// Carousel's side: a stack of layers by the operations table of a backend, as core/layers would call it.
#ifndef CAROUSEL_BENCH_CAROUSEL_SIDE_HPP
#define CAROUSEL_BENCH_CAROUSEL_SIDE_HPP

#include "layers.hpp"

#include <memory>

// An open backend; cases come and go.
class Backend {
  public:
    Backend(const std::string &spec, crs_precision precision, const std::string &lstm);
    ~Backend();
    Backend(const Backend &) = delete;
    Backend &operator=(const Backend &) = delete;

    const crs_ops &ops() const {
        return *crs_backend_ops(backend);
    }
    crs_device *device() const {
        return crs_backend_device(backend);
    }
    const char *describe() const {
        return crs_backend_describe(backend);
    }
    void check(crs_status status, const char *what) const; // throws

  private:
    crs_backend *backend = nullptr;
};

std::unique_ptr<Side> make_carousel_side(const Backend &backend, const Numbers &numbers);

#endif
