/* What a backend's table has besides operations: opening, describing, memory. */
#include "backends.hpp"

#include <gtest/gtest.h>

#include <cstring>

using namespace crs;

/* Read by the sanitizer's runtime: an allocation that cannot be had returns NULL, as it does without it. (For the
 * thread sanitizer the preset says the same; its default options are the emulation layer's.) */
extern "C" const char *__asan_default_options() {
    return "allocator_may_return_null=1";
}

class Backends : public testing::TestWithParam<Backend> {
  protected:
    void SetUp() override {
        CRS_SKIP_WITHOUT_DEVICE(device);
        ASSERT_TRUE(device.opened().ok()) << device.opened().why();
    }
    const crs_ops &ops = *GetParam().ops;
    Device device{GetParam(), 2};
};

TEST_P(Backends, FillsEverySlot) {
    EXPECT_TRUE(ops.real_size == sizeof(float) || ops.real_size == sizeof(double));
    ASSERT_NE(ops.name, nullptr);
#define CRS_EXPECT_SLOT(slot, args) EXPECT_TRUE(ops.slot != nullptr) << #slot;
    CRS_COMPUTE_SLOTS(CRS_EXPECT_SLOT)
    CRS_RESERVE_SLOTS(CRS_EXPECT_SLOT)
#undef CRS_EXPECT_SLOT
    EXPECT_TRUE(ops.open && ops.close && ops.describe && ops.explain && ops.alloc && ops.free);
    EXPECT_TRUE(ops.fill && ops.copy && ops.upload && ops.download && ops.sync && ops.repeat);
}

TEST_P(Backends, DescribesItselfInOneLine) {
    const char *text = ops.describe(device.handle());
    ASSERT_NE(text, nullptr);
    EXPECT_GT(strlen(text), 0u);
    EXPECT_EQ(strchr(text, '\n'), nullptr);
}

TEST_P(Backends, RefusesAnUnknownVariantAndSaysWhy) {
    crs_device_options options = GetParam().options;
    options.lstm = "no-such-variant";
    crs_device *handle = nullptr;
    char why[256] = "";
    EXPECT_NE(ops.open(&options, &handle, why, sizeof why), CRS_OK);
    EXPECT_NE(strstr(why, "no-such-variant"), nullptr) << why;
    EXPECT_EQ(strchr(why, '\n'), nullptr);
}

TEST_P(Backends, CutsTheReasonAtItsSize) {
    crs_device_options options = GetParam().options;
    options.lstm = "no-such-variant";
    crs_device *handle = nullptr;
    char why[8] = {'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'};
    EXPECT_NE(ops.open(&options, &handle, why, 4), CRS_OK);
    EXPECT_LT(strnlen(why, sizeof why), 4u);
    EXPECT_EQ(std::string(why + 4, 4), "xxxx");
}

TEST_P(Backends, MovesBytesAndNothingBeside) {
    const size_t size = 1000;
    std::vector<unsigned char> from(size), to(size);
    for (size_t i = 0; i < size; i++)
        from[i] = static_cast<unsigned char>(i * 7 + 1);
    void *a = nullptr, *b = nullptr;
    ASSERT_EQ(ops.alloc(device.handle(), size, &a), CRS_OK);
    ASSERT_EQ(ops.alloc(device.handle(), size, &b), CRS_OK);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(a) % 64, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b) % 64, 0u);

    ASSERT_EQ(ops.upload(device.handle(), a, from.data(), size), CRS_OK);
    ASSERT_EQ(ops.fill(device.handle(), b, 0x5A, size), CRS_OK);
    ASSERT_EQ(ops.copy(device.handle(), static_cast<char *>(b) + 1, static_cast<char *>(a) + 3, size - 5), CRS_OK);
    ASSERT_EQ(ops.download(device.handle(), to.data(), b, size), CRS_OK);
    ASSERT_EQ(ops.sync(device.handle()), CRS_OK);
    EXPECT_EQ(to[0], 0x5A);
    EXPECT_TRUE(std::equal(to.begin() + 1, to.end() - 4, from.begin() + 3));
    EXPECT_TRUE(to[size - 4] == 0x5A && to[size - 3] == 0x5A && to[size - 2] == 0x5A && to[size - 1] == 0x5A);
    ops.free(device.handle(), a);
    ops.free(device.handle(), b);
    ops.free(device.handle(), nullptr);
}

/* So many bytes that threads share them, none at all, and a few; beside them nothing changes. */
TEST_P(Backends, FillsAsFarAsItIsTold) {
    const Device several(GetParam(), 3);
    ASSERT_EQ(several.status(), CRS_OK);
    for (const size_t size : {size_t{0}, size_t{13}, (size_t{7} << 16) + 13, size_t{8} << 16}) {
        std::vector<unsigned char> want(size + 2, 0x11), got(size + 2);
        std::fill(want.begin() + 1, want.end() - 1, 0x5A);
        void *memory = nullptr;
        ASSERT_EQ(ops.alloc(several.handle(), want.size(), &memory), CRS_OK);
        EXPECT_EQ(ops.fill(several.handle(), memory, 0x11, want.size()), CRS_OK);
        EXPECT_EQ(ops.fill(several.handle(), static_cast<char *>(memory) + 1, 0x5A, size), CRS_OK);
        EXPECT_EQ(ops.download(several.handle(), got.data(), memory, got.size()), CRS_OK);
        EXPECT_TRUE(got == want) << size;
        ops.free(several.handle(), memory);
    }
}

TEST_P(Backends, SaysWhenMemoryIsOut) {
    for (const size_t size : {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX / 4}) {
        void *memory = nullptr;
        EXPECT_EQ(ops.alloc(device.handle(), size, &memory), CRS_ERR_MEMORY) << size;
    }
}

/* ---- work that comes back ---- */

struct Copying {
    const crs_ops *ops;
    crs_device *device;
    void *to;
    const void *from;
    size_t size;
    int calls;
    crs_status status;
};

crs_status queue_copy(void *work) {
    Copying *copying = static_cast<Copying *>(work);
    copying->calls++;
    if (copying->status != CRS_OK)
        return copying->status;
    return copying->ops->copy(copying->device, copying->to, copying->from, copying->size);
}

/* However often it comes, it reads what is there then. */
TEST_P(Backends, RepeatsWorkOnWhatIsThereThen) {
    const size_t size = 64;
    void *memory = nullptr;
    ASSERT_EQ(ops.alloc(device.handle(), 2 * size, &memory), CRS_OK);
    char *const from = static_cast<char *>(memory), *const to = from + size;
    Copying copying = {&ops, device.handle(), to, from, size, 0, CRS_OK};
    for (int round = 1; round <= 5; round++) {
        std::vector<unsigned char> want(size, static_cast<unsigned char>(round)), got(size);
        ASSERT_EQ(ops.upload(device.handle(), from, want.data(), size), CRS_OK);
        ASSERT_EQ(ops.repeat(device.handle(), "copy", 4, queue_copy, &copying), CRS_OK);
        ASSERT_EQ(ops.download(device.handle(), got.data(), to, size), CRS_OK);
        EXPECT_EQ(got, want) << round;
    }
    EXPECT_GT(copying.calls, 0);
    ops.free(device.handle(), memory);
}

TEST_P(Backends, RepeatReturnsWhatTheWorkDoes) {
    Copying failing = {nullptr, nullptr, nullptr, nullptr, 0, 0, CRS_ERR_UNSUPPORTED};
    for (int round = 0; round < 3; round++)
        EXPECT_EQ(ops.repeat(device.handle(), "fails", 5, queue_copy, &failing), CRS_ERR_UNSUPPORTED);
    EXPECT_EQ(failing.calls, 3);
    const char longest[CRS_REPEAT_KEY + 1] = {};
    failing.status = CRS_OK;
    failing.ops = &ops;
    failing.device = device.handle();
    EXPECT_EQ(ops.repeat(device.handle(), longest, CRS_REPEAT_KEY + 1, queue_copy, &failing), CRS_ERR_ARGUMENT);
    EXPECT_EQ(failing.calls, 3);
    EXPECT_EQ(ops.repeat(device.handle(), longest, CRS_REPEAT_KEY, queue_copy, &failing), CRS_OK);
}

/* What the CPU says about itself with a variant, or why it does not open. */
static std::string opened_with(const crs_ops &ops, const char *variant) {
    const Device device({"", &ops, {-1, 1, variant, CRS_FLOAT32, CRS_GRAPHS_AUTO}, {}}, 1);
    return device.status() == CRS_OK ? ops.describe(device.handle()) : device.opened().why();
}

TEST(Variants, AreWhatWasAskedFor) {
    const crs_ops *single = nullptr, *in_double = nullptr;
    for (const Backend &backend : backends_for("")) {
        single = backend.name == "cpu" ? backend.ops : single;
        in_double = backend.name == "cpu_double" ? backend.ops : in_double;
    }
    ASSERT_TRUE(single && in_double);
    const auto says = [](const crs_ops *ops, const char *variant, const char *what) {
        const std::string text = opened_with(*ops, variant);
        EXPECT_NE(text.find(what), std::string::npos) << text;
    };
    for (const char *variant : {static_cast<const char *>(nullptr), "auto", "blocked"})
        says(single, variant, "lstm=blocked (");
    says(single, "simple", "lstm=simple");
    says(single, "blocked-baseline", "lstm=blocked (baseline)");
    for (const char *variant : {static_cast<const char *>(nullptr), "auto", "simple"})
        says(in_double, variant, "lstm=simple");
    says(in_double, "blocked", "no LSTM variant 'blocked'");
    for (const char *variant : {"blocked-", "blocked-v0", "blockedv3", "block"})
        says(single, variant, "no LSTM variant");
}

INSTANTIATE_TEST_SUITE_P(Backend, Backends, testing::ValuesIn(backends_for("lstm")),
                         [](const auto &backend) { return backend.param.name; });
