/* Planted bugs: each a small program, wrong on purpose, that a build of the tests must notice (test_planted.cpp says
 * which). A bug returns normally if nothing was noticed. */
#ifndef CUHOST_TESTS_PLANTED_CUH
#define CUHOST_TESTS_PLANTED_CUH

#include "../device.cuh"

struct Planted {
    const char *name;
    void (*run)();
};

extern const std::vector<Planted> planted_in_memory, planted_in_order, planted_in_grids, planted_in_calls;

/* The program's own check of its result: throws if they are not the same. */
class WrongResult : public std::runtime_error {
    using std::runtime_error::runtime_error;
};
template <class T> void expect_same(const std::vector<T> &got, const std::vector<T> &expected) {
    for (size_t i = 0; i < expected.size(); i++)
        if (!(got.at(i) == expected[i]))
            throw WrongResult("element " + std::to_string(i) + " is " + std::to_string(got[i]) + " and not " +
                              std::to_string(expected[i]));
}

/* Zeros in device memory, in a time when no bug has struck yet. */
inline std::vector<float> zeros(size_t n) {
    return std::vector<float>(n);
}

__global__ void fill(float *out, int n, float value);

#endif
