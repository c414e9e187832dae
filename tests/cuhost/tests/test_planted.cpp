/* Every planted bug, in a process of its own: does this build notice it, and in the way it should? What a build cannot
 * notice is not asserted of it; the controls must stay clean in all. */
#include "../../support/process.hpp"

#include <gtest/gtest.h>

namespace {

enum class Build { plain, address, thread };

constexpr Build build = CUHOST_BUILD; /* of this test: CMake says */

/* How a program ended, and what it said. status -1: not with 0. */
struct Notice {
    int status;
    const char *text;
};
const Notice clean = {0, "nothing noticed"};
const Notice wrong_result = {2, "WRONG RESULT"};
const Notice not_freed = {4, "NOT FREED"};
const Notice data_race = {66, "ThreadSanitizer: data race"};
const Notice unnoticed = {0, nullptr}; /* nothing is asserted */

Notice failed(const char *text) {
    return {3, text};
}
Notice sanitizer(const char *text) {
    return {-1, text};
}
Notice kernel_error(const char *text) {
    return {128 + SIGABRT, text};
}

struct Row {
    const char *bug;
    Notice plain, address, thread;
    std::vector<std::string> schedules = {"forward", "reverse", "random"}; /* in which the result is wrong */
};

/* The same in every build. */
Row row(const char *bug, Notice notice) {
    return {bug, notice, notice, notice};
}

const Row rows[] = {
    {"shared_array_overrun", unnoticed, sanitizer("index 64 out of bounds"), unnoticed},
    {"shared_piece_overrun", unnoticed, sanitizer("heap-buffer-overflow"), unnoticed},
    {"global_overrun", unnoticed, sanitizer("heap-buffer-overflow"), unnoticed},
    row("uninitialized_shared", wrong_result),
    row("uninitialized_global", wrong_result),
#ifdef __clang__ /* whose sanitizer does not look at copies of whole structs */
    {"misaligned_vector", unnoticed, unnoticed, unnoticed},
#else
    {"misaligned_vector", unnoticed, sanitizer("misaligned address"), unnoticed},
#endif
    {"stack_overflow", {128 + SIGSEGV, ""}, sanitizer("stack-overflow"), sanitizer("ThreadSanitizer")},
    row("host_pointer_argument", failed("cudaErrorIllegalAddress")),
    row("freed_pointer_argument", failed("cudaErrorIllegalAddress")),
    row("other_devices_pointer", failed("cudaErrorIllegalAddress")),
    {"host_dereference", unnoticed, sanitizer("use-after-poison"), unnoticed},
    {"leaked_memory", not_freed, sanitizer("LeakSanitizer"), not_freed},
    {"leaked_event", not_freed, sanitizer("LeakSanitizer"), not_freed},

    {"missing_barrier_after_write", wrong_result, wrong_result, data_race},
    {"missing_barrier_after_read", wrong_result, wrong_result, data_race},
    {"missing_barrier_in_recurrence", wrong_result, wrong_result, data_race},
    {"missing_barrier_in_large_blocks", unnoticed, unnoticed, data_race}, /* the result happens to be right */
    {"missing_warp_barrier", wrong_result, wrong_result, data_race},
    {"missing_atomic", unnoticed, unnoticed, data_race},
    {"block_dependency", wrong_result, unnoticed, data_race, {"reverse", "random"}},
    {"block_conflict_after_others", unnoticed, unnoticed, data_race},
    row("divergent_barrier", kernel_error("returned")),
    row("different_barriers", kernel_error("divergence in a barrier of the block")),
    row("wrong_shuffle_mask", kernel_error("mask 0xffffffff")),
    row("spin_barrier_not_cooperative", kernel_error("livelock")),
    row("grid_barrier_not_cooperative", kernel_error("in a launch that is not cooperative")),
    row("control_spin_barrier", clean),
    row("control_spin_flag", clean),
    row("control_last_block", clean),
    row("control_large_blocks", clean),
    row("control_local_arrays", clean),

    row("wrong_copy_kind", failed("cudaErrorInvalidValue")),
    row("copy_overrun", failed("cudaErrorInvalidValue")),
    row("missing_stream_synchronize", wrong_result),
    row("missing_event", wrong_result),
    row("control_event", clean),
    row("pinned_reused_too_early", wrong_result),
    row("control_pinned", clean),
    row("control_pageable", clean),
    row("wait_while_capturing", failed("cudaErrorStreamCaptureInvalidated")),
    row("allocate_while_capturing", failed("cudaErrorStreamCaptureUnsupported")),
    row("destroyed_stream", failed("cudaErrorInvalidResourceHandle")),
    row("too_many_threads", failed("cudaErrorInvalidConfiguration")),
    row("too_much_shared_memory", failed("cudaErrorInvalidValue")),
    row("free_twice", failed("cudaErrorInvalidValue")),
    row("small_leading_dimension", failed("unsupported value")),
    row("product_overrun", failed("failed to launch")),
};

std::ostream &operator<<(std::ostream &out, const Row &one) {
    return out << one.bug;
}

const Notice &expected_of(const Row &one) {
    return build == Build::plain ? one.plain : build == Build::address ? one.address : one.thread;
}

std::vector<Row> asserted_rows() {
    std::vector<Row> asserted;
    for (const Row &one : rows)
        if (expected_of(one).text)
            asserted.push_back(one);
    return asserted;
}

class PlantedBug : public testing::TestWithParam<Row> {};

void expect_notice(const Row &one, const Notice &expected, const std::string &schedule) {
    const Result result = run({"env", "CUHOST_SCHEDULE=" + schedule, "CUHOST_SEED=3", CUHOST_PLANTED, one.bug});
    const std::string all = result.out + result.err;
    if (expected.status >= 0)
        EXPECT_EQ(result.status, expected.status) << schedule << "\n" << all;
    else
        EXPECT_NE(result.status, 0) << schedule << "\n" << all;
    EXPECT_NE(all.find(expected.text), std::string::npos) << schedule << ": not '" << expected.text << "' in\n" << all;
}

TEST_P(PlantedBug, IsNoticed) {
    const Row &one = GetParam();
    const Notice &expected = expected_of(one);
    if (expected.text == data_race.text)
        for (const char *schedule : {"forward", "reverse", "alternate", "random"})
            expect_notice(one, expected, schedule);
    else if (build == Build::plain)
        for (const std::string &schedule : one.schedules)
            expect_notice(one, expected, schedule);
    else
        expect_notice(one, expected, "alternate");
}

std::string name_of(const testing::TestParamInfo<Row> &one) {
    return one.param.bug;
}

INSTANTIATE_TEST_SUITE_P(, PlantedBug, testing::ValuesIn(asserted_rows()), name_of);

/* A program whose name is not known is no bug that went unnoticed. */
TEST(PlantedBugs, AreKnownByName) {
    EXPECT_EQ(run({CUHOST_PLANTED, "no_such_bug"}).status, 9);
}

} // namespace
