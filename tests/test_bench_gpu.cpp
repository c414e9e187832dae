/* What the GPU benchmark rests on and needs no GPU: that it compares, counts and takes medians rightly, and that its
 * stack of layers is one, in single precision and in double. The program itself is bench_gpu.sh's. */
#include "carousel_side.hpp"
#include "floor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

static Shape small_shape(Cell cell, int64_t layers, int64_t directions, bool ragged) {
    Shape shape;
    shape.cell = cell;
    shape.layers = layers;
    shape.directions = directions;
    shape.H = 5;
    shape.B = 3;
    shape.T = 7;
    shape.ragged = ragged;
    return shape;
}

static Results results_of(const std::string &backend, const Numbers &numbers) {
    const Backend opened(backend, CRS_FLOAT32, "auto");
    return make_carousel_side(opened, numbers)->results();
}

/* ---- comparing ---- */

TEST(BenchGpuComparing, FindsEveryTensorThatDiffers) {
    const Numbers numbers = draw_numbers(small_shape(Cell::gru, 2, 2, true));
    const Results want = results_of("cpu-double", numbers);
    EXPECT_EQ(compare_results(want, want, 0).worst(), 0);
    for (const char *tensor : {"y", "dx", "dW", "dR", "db"})
        for (const crs_precision precision : {CRS_FLOAT32, CRS_TF32}) {
            Results got = want;
            falsify(got, tensor);
            EXPECT_THROW(compare_results(got, want, tolerance_of(precision)), Refused) << tensor;
        }
    Results got = want;
    EXPECT_THROW(falsify(got, "dz"), std::runtime_error);
}

TEST(BenchGpuComparing, LetsNothingPassThatIsNotFinite) {
    const Numbers numbers = draw_numbers(small_shape(Cell::gru, 2, 1, false));
    const Results fine = results_of("cpu-double", numbers);
    const std::function<std::vector<float> *(Results &)> tensors[] = {
        [](Results &r) { return &r.y; },
        [](Results &r) { return &r.dx; },
        [](Results &r) { return &r.gradients[1].W; },
        [](Results &r) { return &r.gradients[1].R; },
        [](Results &r) { return &r.gradients[1].b; },
        [](Results &r) { return &r.gradients[0].b_hh; },
    };
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()})
        for (const auto &tensor : tensors) {
            Results wrong = fine;
            tensor(wrong)->back() = bad;
            EXPECT_THROW(compare_results(wrong, fine, 1e30), Refused);
            EXPECT_THROW(compare_results(fine, wrong, 1e30), Refused);
        }
    for (const auto &tensor : tensors) {
        Results shorter = fine;
        tensor(shorter)->pop_back();
        EXPECT_THROW(compare_results(shorter, fine, 1e30), Refused);
    }
}

TEST(BenchGpuComparing, TakesMedians) {
    const Middle odd = middle_of({3, 1, 9}), even = middle_of({4, 1, 2, 9});
    EXPECT_EQ(odd.median, 3);
    EXPECT_EQ(odd.least, 1);
    EXPECT_EQ(odd.most, 9);
    EXPECT_EQ(even.median, 3);
    EXPECT_THROW(middle_of({1, std::nan("")}), std::runtime_error);
    EXPECT_THROW(middle_of({}), std::runtime_error);
}

/* ---- the stack of layers ---- */

/* One layer's direction at a time is the tests of operations' business; here layers, directions and lengths meet. */
TEST(BenchGpuStack, IsTheSameInBothPrecisions) {
    for (const Cell cell : {Cell::lstm, Cell::gru, Cell::rnn})
        for (const int64_t layers : {1, 2})
            for (const int64_t directions : {1, 2})
                for (const bool ragged : {false, true}) {
                    const Case one{small_shape(cell, layers, directions, ragged), CRS_FLOAT32};
                    SCOPED_TRACE(title_of(one));
                    const Numbers numbers = draw_numbers(one.shape);
                    EXPECT_NO_THROW(
                        compare_results(results_of("cpu", numbers), results_of("cpu-double", numbers), 1e-5));
                }
}

/* The gradient of sum(y dy) along the first layer's R, by differences. */
TEST(BenchGpuStack, HasTheGradientsOfItsOutputs) {
    Numbers numbers = draw_numbers(small_shape(Cell::lstm, 2, 2, true));
    const Results results = results_of("cpu-double", numbers);
    const auto sum = [&] {
        const Results moved = results_of("cpu-double", numbers);
        double total = 0;
        for (size_t i = 0; i < moved.y.size(); i++)
            total += static_cast<double>(moved.y[i]) * static_cast<double>(numbers.dy[i]);
        return total;
    };
    const double analytic = static_cast<double>(results.gradients[1].R[3]);
    float &weight = numbers.weights[1].R[3];
    const float kept = weight;
    weight = kept + 0.01f;
    const double above = sum();
    weight = kept - 0.01f;
    const double below = sum();
    EXPECT_NEAR((above - below) / 0.02, analytic, 1e-3 * std::fabs(analytic) + 1e-4);
}

/* Where a direction begins the state is zero: at the first step, and from behind at the row's own last one. */
TEST(BenchGpuStack, BeginsWhereEachDirectionDoes) {
    const Numbers numbers = draw_numbers(small_shape(Cell::rnn, 1, 2, true));
    const Results results = results_of("cpu-double", numbers);
    const int64_t H = 5, B = 3;
    for (const int64_t direction : {0, 1})
        for (int64_t row = 0; row < B; row++) {
            const Weights &weights = numbers.weights[static_cast<size_t>(direction)];
            const int64_t t = direction == 0 ? 0 : numbers.len[static_cast<size_t>(row)] - 1;
            for (int64_t unit = 0; unit < H; unit++) {
                double sum = static_cast<double>(weights.b[static_cast<size_t>(unit)]);
                for (int64_t i = 0; i < H; i++)
                    sum += static_cast<double>(weights.W[static_cast<size_t>(unit * H + i)]) *
                           static_cast<double>(numbers.x[static_cast<size_t>((t * B + row) * H + i)]);
                const size_t at = static_cast<size_t>((t * B + row) * 2 * H + direction * H + unit);
                EXPECT_NEAR(static_cast<double>(results.y[at]), std::tanh(sum), 1e-6) << direction << " " << row;
            }
        }
}

TEST(BenchGpuStack, DrawsFallingLengthsAndNothingBehindThem) {
    const Numbers numbers = draw_numbers(small_shape(Cell::rnn, 1, 2, true));
    EXPECT_EQ(numbers.len[0], 7);
    int64_t live = 0;
    for (size_t row = 0; row < numbers.len.size(); row++) {
        EXPECT_TRUE(row == 0 || numbers.len[row] <= numbers.len[row - 1]);
        live += numbers.len[row];
    }
    EXPECT_EQ(numbers.live, live);
    EXPECT_LT(live, 21);
    int64_t zeros = 0;
    for (const float value : numbers.dy)
        zeros += value == 0;
    EXPECT_EQ(zeros, (21 - live) * 10);
}

/* ---- cases ---- */

TEST(BenchGpuCases, AreReadFromTheirTitles) {
    for (const Case &one : list_cases(Extent::full, {"B=256", "T=32", "layers=2"})) {
        const Case again = parse_case(title_of(one));
        EXPECT_TRUE(again.shape == one.shape) << title_of(one);
        EXPECT_EQ(again.precision, one.precision);
    }
    EXPECT_EQ(list_cases(Extent::full, {}).size(), 3u * 6 * 3 * 3 * 2 * 2 * 2 * 2);
    EXPECT_TRUE(list_cases(Extent::full, {"H=6"}).empty()); /* a word, not its beginning */
    for (const char *wrong : {"H=0", "H=", "H=x", "directions=3", "H=99999", "lstm2", "T=-1"})
        EXPECT_THROW(parse_case(wrong), std::runtime_error) << wrong;
}

/* ---- the floor ---- */

/* By hand, on 132 multiprocessors at 1980 MHz. */
TEST(BenchGpuFloor, FollowsItsFormula) {
    const Gpu gpu = {132, 1980};
    Shape shape; /* LSTM, H=64, B=128, T=128 */
    EXPECT_NEAR(floor_step(shape, gpu, true), 253 + 128, 1e-9);
    EXPECT_NEAR(floor_step(shape, gpu, false), 150 + 128, 1e-9);
    shape.H = 32;
    EXPECT_NEAR(floor_step(shape, gpu, true), 253 + 32, 1e-9);
    shape.H = 128; /* on two multiprocessors */
    EXPECT_EQ(floor_spread(shape), 2);
    EXPECT_NEAR(floor_step(shape, gpu, true), 253 + 256 + 200, 1e-9);
    shape.B = 1024; /* all rows' products: 4 128 128 1024 / 128 / 132 cycles */
    EXPECT_NEAR(floor_step(shape, gpu, true), 512.0 * 1024 / 132, 1e-9);

    shape = Shape();
    const Floor floor = floor_of(shape, shape.T * shape.B, gpu);
    const double product = 128.0 * 128 * 256 * 64 / (128.0 * 132 * 1980); /* T B 4H I over the lanes */
    EXPECT_NEAR(floor.forward, 128 * 381 / 1980.0 + product, 1e-6);
    EXPECT_NEAR(floor.backward_data, 128 * 278 / 1980.0 + product, 1e-6);
    EXPECT_NEAR(floor.backward_weights, 2 * product, 1e-6);
    EXPECT_NEAR(floor.whole(), floor.forward + floor.backward(), 1e-9);
    EXPECT_EQ(floor_of(shape, 1, Gpu{132, 0}).whole(), 0); /* a clock that is not told */
    EXPECT_LT(floor_of(shape, 5000, gpu).forward, floor.forward);
}
