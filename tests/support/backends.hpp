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
    std::vector<std::string> only; /* the operations it is worth running for; none: all */
    int64_t largest_H = 0;         /* hidden units that a forced variant holds at most; 0: any number */
};

std::ostream &operator<<(std::ostream &out, const Backend &backend);

/* All backends to be tested with that operation. */
std::vector<Backend> backends_for(const std::string &operation);

/* The backend that the others are measured against: the CPU in double. */
const Backend &oracle();

/* At the start of a test: skips it where the device's kind is not there, which GoogleTest prints and counts; a failure
 * where CRS_REQUIRE_CUDA says that it must be. */
#define CRS_SKIP_WITHOUT_DEVICE(device)                                                                                \
    do {                                                                                                               \
        if ((device).status() == CRS_ERR_NO_DEVICE && CRS_REQUIRE_CUDA)                                                \
            FAIL() << "CRS_REQUIRE_CUDA, but " << (device).opened().why();                                             \
        if ((device).status() == CRS_ERR_NO_DEVICE)                                                                    \
            GTEST_SKIP() << (device).opened().why();                                                                   \
    } while (0)

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
