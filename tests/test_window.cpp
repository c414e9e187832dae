/* Windows over time: how many outputs there are and what each sees, against Keras' rules told one by one; and that what
 * is live does not depend on how far a batch is padded. */
extern "C" {
#include "../core/layer.h"
}

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace {

crs__geometry geometry_of(int64_t size, int64_t stride, int64_t dilation, crs__padding padding) {
    return {{size, 1}, {stride, 1}, {dilation, 1}, padding};
}

std::vector<crs__geometry> geometries() {
    std::vector<crs__geometry> all;
    for (const crs__padding padding : {CRS__VALID, CRS__SAME, CRS__CAUSAL})
        for (int64_t size = 1; size <= 5; size++)
            for (int64_t stride = 1; stride <= 3; stride++)
                for (int64_t dilation = 1; dilation <= 2; dilation++)
                    all.push_back(geometry_of(size, stride, dilation, padding));
    return all;
}

struct Live {
    int32_t start, len;
};

Live map(const crs__geometry &geometry, int64_t T, Live live) {
    crs__window_live(&geometry, T, &live.start, &live.len);
    return live;
}

/* Numbers of tf.nn.convolution's documentation of padding, worked out by hand. */
TEST(Window, HasAsManyOutputsAsInKeras) {
    const struct {
        int64_t n, size, stride, dilation;
        crs__padding padding;
        int64_t outputs, before;
    } cases[] = {
        {128, 3, 1, 1, CRS__VALID, 126, 0}, {126, 3, 3, 1, CRS__VALID, 42, 0},  {42, 5, 1, 1, CRS__VALID, 38, 0},
        {38, 5, 5, 1, CRS__VALID, 7, 0},    {888, 5, 1, 1, CRS__VALID, 884, 0}, {10, 3, 1, 1, CRS__SAME, 10, 1},
        {10, 4, 1, 1, CRS__SAME, 10, 1},    {10, 3, 2, 1, CRS__SAME, 5, 0},     {11, 3, 2, 1, CRS__SAME, 6, 1},
        {10, 3, 1, 2, CRS__SAME, 10, 2},    {10, 3, 1, 2, CRS__CAUSAL, 10, 4},  {10, 3, 2, 1, CRS__CAUSAL, 5, 2},
        {10, 2, 3, 1, CRS__SAME, 4, 0},     {2, 5, 1, 1, CRS__VALID, 1, 0},     {1, 1, 1, 1, CRS__VALID, 1, 0},
    };
    for (const auto &c : cases) {
        const crs__geometry geometry = geometry_of(c.size, c.stride, c.dilation, c.padding);
        EXPECT_EQ(crs__window_outputs(&geometry, 0, c.n), c.outputs) << c.n << " " << c.size << " " << c.stride;
        EXPECT_EQ(crs__window_of(&geometry, c.n, 1).before[0], c.before) << c.n << " " << c.size << " " << c.stride;
    }
}

/* Live outputs lie within the outputs; there are some if and only if inputs are live; and a window that lies wholly
 * within the live steps is one of them. */
TEST(Window, IsLiveWhereItsInputsAre) {
    for (const crs__geometry &g : geometries())
        for (int64_t T = 1; T <= 9; T++)
            for (int32_t start = 0; start <= T; start++)
                for (int32_t len = 0; start + len <= T; len++) {
                    const Live live = map(g, T, {start, len});
                    const int64_t outputs = crs__window_outputs(&g, 0, T);
                    const int64_t before = crs__window_of(&g, T, 1).before[0];
                    ASSERT_GE(live.start, 0);
                    ASSERT_LE(live.start + live.len, outputs);
                    ASSERT_EQ(live.len > 0, len > 0);
                    for (int64_t t = 0; t < outputs && len > 0 && g.padding == CRS__VALID; t++) {
                        const int64_t first = t * g.stride[0] - before;
                        const int64_t last = first + (g.size[0] - 1) * g.dilation[0];
                        if (first >= start && last < start + len) {
                            ASSERT_TRUE(live.start <= t && t < live.start + live.len)
                                << "T " << T << " start " << start << " len " << len << " size " << g.size[0];
                        } else if (live.len > 1) {
                            ASSERT_FALSE(live.start <= t && t < live.start + live.len)
                                << "T " << T << " start " << start << " len " << len << " size " << g.size[0];
                        }
                    }
                    if (g.padding != CRS__VALID && g.stride[0] == 1) {
                        ASSERT_TRUE(len == 0 || (live.start == start && live.len == len));
                    }
                }
}

/* A text has the same live outputs however long the others of its batch are. */
TEST(Window, IsIndependentOfThePadding) {
    for (const crs__geometry &g : geometries())
        for (int32_t len = 0; len <= 9; len++) {
            const int64_t shortest = std::max(len, 1);
            const Live tight = map(g, shortest, {0, len});
            for (int64_t T = shortest; T <= 16; T++) {
                const Live padded = map(g, T, {0, len});
                ASSERT_EQ(padded.start, tight.start);
                ASSERT_EQ(padded.len, tight.len) << "T " << T << " len " << len << " size " << g.size[0];
            }
        }
}

} // namespace
