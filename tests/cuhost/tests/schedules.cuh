/* Tests that run under every schedule, and after which nothing is left. */
#ifndef CUHOST_TESTS_SCHEDULES_CUH
#define CUHOST_TESTS_SCHEDULES_CUH

#include "device.cuh"

#include "../cuhost_test.h"

#include <gtest/gtest.h>

class Schedules : public testing::TestWithParam<cuhost_order> {
  protected:
    void SetUp() override {
        cuhost_schedule(GetParam(), 7);
    }
    void TearDown() override {
        EXPECT_EQ(cuhost_alive(), 0);
        cuhost_schedule(CUHOST_ALTERNATE, 1);
    }
};

inline std::string schedule_name(const testing::TestParamInfo<cuhost_order> &order) {
    static const char *const names[] = {"forward", "reverse", "alternate", "random"};
    return names[order.param];
}

#define ALL_SCHEDULES(suite)                                                                                           \
    INSTANTIATE_TEST_SUITE_P(                                                                                          \
        , suite, testing::Values(CUHOST_FORWARD, CUHOST_REVERSE, CUHOST_ALTERNATE, CUHOST_RANDOM), schedule_name)

#endif
