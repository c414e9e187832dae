// The numbers of a case, which all sides get: they follow from its shape and a seed.
#include "../numbers.h"
#include "layers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <memory>

static std::vector<float> uniforms(int64_t count, double limit, uint64_t seed) {
    const std::unique_ptr<float, decltype(&free)> drawn(draw_uniforms(static_cast<size_t>(count), limit, seed), free);
    return std::vector<float>(drawn.get(), drawn.get() + count);
}

static std::vector<int32_t> lengths(const Shape &shape, uint64_t seed) {
    if (!shape.ragged)
        return std::vector<int32_t>(static_cast<size_t>(shape.B), static_cast<int32_t>(shape.T));
    const std::unique_ptr<int32_t, decltype(&free)> drawn(draw_lengths(shape.T, shape.B, seed), free);
    std::vector<int32_t> len(drawn.get(), drawn.get() + shape.B);
    std::sort(len.begin(), len.end(), std::greater<>());
    return len;
}

void clear_dead_steps(const Numbers &numbers, int64_t width, std::vector<float> &values) {
    const Shape &shape = numbers.shape;
    for (int64_t t = 0; t < shape.T; t++)
        for (int64_t row = 0; row < shape.B; row++)
            if (t >= numbers.len[static_cast<size_t>(row)])
                std::fill_n(values.begin() + (t * shape.B + row) * width, width, 0.0f);
}

Numbers draw_numbers(const Shape &shape, uint64_t seed) {
    const int64_t steps = shape.T * shape.B, rows = shape.gates() * shape.H;
    const double limit = 1 / std::sqrt(static_cast<double>(shape.H)); // as PyTorch initialises
    uint64_t drawn = seed << 16;                                      // no two arrays begin alike
    Numbers numbers;
    numbers.shape = shape;
    numbers.len = lengths(shape, ++drawn);
    for (const int32_t length : numbers.len)
        numbers.live += length;
    numbers.x = uniforms(steps * shape.H, 1, ++drawn);
    numbers.dy = uniforms(steps * shape.width(), 1, ++drawn);
    clear_dead_steps(numbers, shape.H, numbers.x);
    clear_dead_steps(numbers, shape.width(), numbers.dy);
    for (int64_t layer = 0; layer < shape.layers; layer++)
        for (int64_t direction = 0; direction < shape.directions; direction++) {
            Weights weights;
            weights.W = uniforms(rows * shape.inputs(layer), limit, ++drawn);
            weights.R = uniforms(rows * shape.H, limit, ++drawn);
            weights.b = uniforms(rows, limit, ++drawn);
            if (shape.cell == Cell::gru)
                weights.b_hh = uniforms(rows, limit, ++drawn);
            numbers.weights.push_back(std::move(weights));
        }
    return numbers;
}
