/* The tests of one operation, the same for all: check_operation, which its test_X.cpp defines, must pass on every
 * backend and fail on every mutant. CRS_TEST_OPERATION is the operation's name. */
#include "mutants.hpp"
#include "operation.hpp"

#include <gtest/gtest.h>

using namespace crs;

class Operations : public testing::TestWithParam<Backend> {
  protected:
    void SetUp() override {
        const Device device(GetParam(), 1);
        CRS_SKIP_WITHOUT_DEVICE(device);
    }
};

TEST_P(Operations, KeepsTheContract) {
    const Verdict verdict = check_operation(GetParam(), oracle());
    EXPECT_TRUE(verdict.ok()) << verdict.why();
}

TEST_P(Operations, EveryMutantIsCaught) {
    const std::vector<std::string> slots = slots_of(CRS_TEST_OPERATION);
    ASSERT_FALSE(slots.empty()) << "ops.h has no slot of this operation";
    ASSERT_TRUE(check_operation(GetParam(), oracle()).ok()) << "a check that always fails catches nothing";
    for (const std::string &slot : slots) {
        const std::vector<Mutant> mutants = mutants_of(slot);
        EXPECT_GT(mutants.size(), 1u) << slot << ": mutants.cpp names no output";
        for (const Mutant &mutant : mutants) {
            const MutantTable table(GetParam(), mutant);
            EXPECT_FALSE(check_operation(table.backend(), oracle()).ok()) << mutant.text() << " was not caught";
        }
        RecordProperty(slot + "_mutants", static_cast<int>(mutants.size()));
    }
}

INSTANTIATE_TEST_SUITE_P(Backend, Operations, testing::ValuesIn(backends_for(CRS_TEST_OPERATION)),
                         [](const auto &backend) { return backend.param.name; });
