/* What is set from outside, in the environment: that it does what it says, and that nothing unknown is passed over. */
#include "../../support/process.hpp"

#include <gtest/gtest.h>

namespace {

/* A program of the planted ones with these variables set. */
Result run_with(const std::vector<std::string> &settings, const std::string &program) {
    std::vector<std::string> arguments{"env"};
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    arguments.insert(arguments.end(), {CUHOST_PLANTED, program});
    return run(arguments);
}

void expect_failure(const std::vector<std::string> &settings, const std::string &error) {
    const Result result = run_with(settings, "control_event");
    EXPECT_EQ(result.status, 3) << result.out << result.err;
    EXPECT_NE(result.out.find(error), std::string::npos) << result.out << result.err;
}

TEST(Settings, ThatAreNotKnownEndTheProgram) {
    for (const char *setting :
         {"CUHOST_SCHEDULE=backwards", "CUHOST_SCHEDULE=", "CUHOST_SEED=x", "CUHOST_SEED=-1", "CUHOST_SEED=4294967296",
          "CUHOST_STREAMS=LAZY", "CUHOST_DEVICES=-1", "CUHOST_DEVICES=1x", "CUHOST_DEVICES=65", "CUHOST_COMPUTE=91",
          "CUHOST_COMPUTE=9.0", "CUHOST_DRIVER=none", "CUHOST_MEMORY=-1", "CUHOST_MEMORY=1G", "CUHOST_FAIL_AT=-1",
          "CUHOST_FAIL_AT=99999999999999999999", "CUHOST_STREAM=lazy", "CUHOST_=1"}) {
        const Result result = run_with({setting}, "control_event");
        EXPECT_EQ(result.status, 2) << setting;
        EXPECT_EQ(result.out, "") << setting;
        EXPECT_EQ(result.err.find(std::string("cuhost: ") + setting + " is not known; "), 0u) << result.err;
    }
}

TEST(Settings, Defaults) {
    EXPECT_EQ(run_with({}, "control_event").status, 0);
    EXPECT_EQ(
        run_with({"CUHOST_SCHEDULE=alternate", "CUHOST_SEED=1", "CUHOST_STREAMS=lazy", "CUHOST_DEVICES=1",
                  "CUHOST_COMPUTE=80", "CUHOST_DRIVER=sufficient", "CUHOST_MEMORY=8589934592", "CUHOST_FAIL_AT=0"},
                 "control_event")
            .status,
        0);
}

TEST(Settings, Machine) {
    expect_failure({"CUHOST_DEVICES=0"}, "cudaErrorNoDevice");
    expect_failure({"CUHOST_DRIVER=insufficient"}, "cudaErrorInsufficientDriver");
    expect_failure({"CUHOST_MEMORY=255"}, "cudaErrorMemoryAllocation");
    EXPECT_EQ(run_with({"CUHOST_MEMORY=256"}, "control_event").status, 0);
}

/* Its first calls are cudaMalloc, cudaMemcpy and the creation of two streams and an event. */
TEST(Settings, Failures) {
    expect_failure({"CUHOST_FAIL_AT=1"}, "cudaErrorMemoryAllocation");
    expect_failure({"CUHOST_FAIL_AT=2"}, "cudaErrorInvalidValue");
    expect_failure({"CUHOST_FAIL_AT=6"}, "cudaErrorLaunchOutOfResources");
    EXPECT_EQ(run_with({"CUHOST_FAIL_AT=1000"}, "control_event").status, 0);
}

#ifndef CRS_SANITIZED /* a sanitizer may have its own word on these */
TEST(Settings, ScheduleAndStreams) {
    EXPECT_EQ(run_with({"CUHOST_SCHEDULE=forward"}, "block_dependency").status, 0);
    EXPECT_EQ(run_with({"CUHOST_SCHEDULE=reverse"}, "block_dependency").status, 2);
    EXPECT_EQ(run_with({"CUHOST_STREAMS=eager"}, "missing_event").status, 0);
    EXPECT_EQ(run_with({"CUHOST_STREAMS=lazy"}, "missing_event").status, 2);
    int noticed = 0;
    for (int seed = 0; seed < 8; seed++)
        noticed +=
            run_with({"CUHOST_STREAMS=chaos", "CUHOST_SEED=" + std::to_string(seed)}, "missing_event").status == 2;
    EXPECT_GT(noticed, 0);
    EXPECT_LT(noticed, 8);
}
#endif

} // namespace
