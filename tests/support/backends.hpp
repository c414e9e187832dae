/* The backends under test: one list, which every operation's test runs through. */
#ifndef CRS_TESTS_BACKENDS_HPP
#define CRS_TESTS_BACKENDS_HPP

#include "verdict.hpp"

#include <carousel/ops.h>

#include <ostream>

namespace crs {

struct Backend {
    std::string name; /* as it stands in the test's name */
    const crs_ops *ops;
    crs_device_options options;
    std::string only; /* the one operation it is worth running for, or "": all */
};

std::ostream &operator<<(std::ostream &out, const Backend &backend);

/* All backends to be tested with that operation. */
std::vector<Backend> backends_for(const std::string &operation);

/* The backend that the others are measured against: the CPU in double. */
const Backend &oracle();

/* An open device of a backend. */
class Device {
  public:
    Device(const Backend &backend, int threads);
    ~Device();
    Device(const Device &) = delete;
    Device &operator=(const Device &) = delete;

    const crs_ops &ops() const {
        return *ops_;
    }
    crs_device *handle() const {
        return handle_;
    }
    /* What open returned; the reason where it failed is in opened(). */
    crs_status status() const {
        return status_;
    }
    Verdict opened() const;

  private:
    const crs_ops *ops_;
    crs_device *handle_ = nullptr;
    crs_status status_;
    char why_[256] = "";
};

} // namespace crs
#endif
