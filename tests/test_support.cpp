/* The test support itself: what is built to find faults must find planted ones. */
#include "mutants.hpp"
#include "operation.hpp"
#include "philox.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <sstream>

using namespace crs;

/* The known answers published with Random123 (kat_vectors, philox4x32 10). */
TEST(Philox, GivesTheKnownAnswers) {
    const uint32_t f = 0xffffffff;
    const std::array<uint32_t, 4> zeros = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    const std::array<uint32_t, 4> ones = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
    const std::array<uint32_t, 4> pi = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
    EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), zeros);
    EXPECT_EQ(philox4x32_10({f, f, f, f}, {f, f}), ones);
    EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}), pi);
}

TEST(Compare, FailsOnWhatIsNotFinite) {
    const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
    for (const double bad : {nan, infinity, -infinity}) {
        EXPECT_FALSE(compare("x", {1, bad}, {1, 2}, {1e9, 1e9}).ok());
        EXPECT_FALSE(compare("x", {1, 2}, {1, bad}, {1e9, 1e9}).ok());
        EXPECT_FALSE(compare("x", {1, bad}, {1, bad}, {1e9, 1e9}).ok());
    }
}

TEST(Compare, BoundsEachElementAndTheWhole) {
    EXPECT_TRUE(compare("x", {1, 2, 3}, {1, 2, 3}, {0, 0}).ok());
    EXPECT_TRUE(compare("x", {1, 2.0001}, {1, 2}, {1e-4, 0}).ok());
    EXPECT_FALSE(compare("x", {1, 2.001}, {1, 2}, {1e-4, 0}).ok());
    EXPECT_FALSE(compare("x", {-1, -2}, {1, 2}, {0.5, 0}).ok());
    EXPECT_FALSE(compare("x", {1, 2}, {1, 2, 3}, {1e9, 1e9}).ok());
    EXPECT_FALSE(compare("x", {0, 1e-3}, {0, 0}, {1e-4, 0}).ok()) << "a zero reference is bounded absolutely";
    EXPECT_TRUE(compare("x", {0, 1e-5}, {0, 0}, {1e-4, 0}).ok());
    EXPECT_FALSE(compare("x", {0, std::nan("")}, {0, 0}, {1e-4, 0}).ok());
}

/* An operation's run on a bench, with one thing written by hand. */
class Benches : public testing::Test {
  protected:
    Device device{oracle(), 1};
    Bench bench{device};
    Result result;
    const double value = 5;
    void write(void *at) {
        ASSERT_EQ(device.ops().upload(device.handle(), at, &value, sizeof value), CRS_OK);
    }
};

TEST_F(Benches, FindWritesAroundABlock) {
    double *x = static_cast<double *>(bench.output("x", 1));
    write(x);
    EXPECT_TRUE(bench.finish(&result).ok());
    EXPECT_EQ(result.at("x").values[0], 5);
    write(x + 1);
    EXPECT_FALSE(bench.finish(&result).ok());
}

TEST_F(Benches, FindWritesBeforeABlock) {
    double *x = static_cast<double *>(bench.output("x", 1));
    write(x - 1);
    EXPECT_FALSE(bench.finish(&result).ok());
}

TEST_F(Benches, FindWritesBetweenRows) {
    double *x = static_cast<double *>(bench.output("x", Layout(2, 1, 3, 1)));
    write(x);
    write(x + 3);
    EXPECT_TRUE(bench.finish(&result).ok());
    write(x + 1);
    EXPECT_FALSE(bench.finish(&result).ok());
}

TEST_F(Benches, FindAChangedInput) {
    const void *x = bench.input("x", {1, 2, 3});
    EXPECT_TRUE(bench.finish(&result).ok());
    write(const_cast<void *>(x));
    EXPECT_FALSE(bench.finish(&result).ok());
}

TEST_F(Benches, LeaveUnwrittenOutputsAsNaN) {
    bench.output("x", 2);
    ASSERT_TRUE(bench.finish(&result).ok());
    EXPECT_TRUE(std::isnan(result.at("x").values[0]) && std::isnan(result.at("x").values[1]));
}

TEST_F(Benches, GiveTheDifferenceOfWhatIsAddedTo) {
    write(bench.added("x", {3}));
    ASSERT_TRUE(bench.finish(&result).ok());
    EXPECT_EQ(result.at("x").values[0], 2);
}

/* Every slot of ops.h belongs to an operation of the build's list, and so has a test that catches its mutants. */
TEST(Mutants, CoverEverySlot) {
    std::set<std::string> operations;
    std::stringstream names(CRS_OPERATION_NAMES);
    for (std::string name; std::getline(names, name, ',');)
        operations.insert(name);
    std::set<std::string> met;
#define CRS_EXPECT_COVERED(slot, args)                                                                                 \
    EXPECT_TRUE(operations.count(operation_of(#slot))) << #slot;                                                       \
    EXPECT_GT(mutants_of(#slot).size(), 1u) << #slot;                                                                  \
    met.insert(operation_of(#slot));
    CRS_COMPUTE_SLOTS(CRS_EXPECT_COVERED)
#undef CRS_EXPECT_COVERED
    EXPECT_EQ(met, operations) << "an operation of the list has no slot";
}
