// The floor: what no recurrent layer in single precision goes below on a GPU, as far as can be told beforehand. The one
// place where it is counted; the estimates are of what a step waits for, and were not measured.
//
// A step cannot begin before the one before it has ended, for each row of the batch. Its chain, in cycles, with h in
// shared memory and the weights in registers:
//
//                                forward                              backward
//     30   read h                                    read the gates' gradients
//      p   products: 4 H H multiply-adds on the 128 lanes of a multiprocessor (an LSTM; G H H of any cell)
//     50   sum up over lanes
//     60   gates: exponential and division           25   derivatives: multiply-adds, one after the other
//      8   cell state                                 -
//     60   tanh of it                                 -   (made beside the products)
//     45   store h, barrier                          45
//
// which is 253 + p and 150 + p. A plain layer has one activation on its chain: no cell, no second tanh. The GRU's n
// waits for r, which is as long as tanh after gates.
//
// A multiprocessor has 65536 registers, of which half may hold weights. A larger layer is spread over several, the
// least power of two that holds it, which divides p and adds 200 for the exchange of h between them.
//
// All rows together cannot be faster than their multiply-adds on all lanes. And besides the steps there are products
// that need no order, on all lanes too: W x; its gradient; those of the weights. Memory is not counted: what small
// layers move fits in a GPU's second-level cache. Nor are launches.
#ifndef CAROUSEL_BENCH_FLOOR_HPP
#define CAROUSEL_BENCH_FLOOR_HPP

#include "layers.hpp"

#include <algorithm>

struct Gpu {
    int multiprocessors = 0;
    double cycles_per_microsecond = 0; // 0: the device does not tell
};

struct Floor {
    double forward = 0, backward_data = 0, backward_weights = 0; // microseconds

    double backward() const {
        return backward_data + backward_weights;
    }
    double whole() const {
        return forward + backward();
    }
};

constexpr double FLOOR_LANES = 128, FLOOR_WEIGHTS = 32768, FLOOR_EXCHANGE = 200;

// Multiprocessors that hold the recurrent weights of a layer's direction.
inline int64_t floor_spread(const Shape &shape) {
    int64_t spread = 1;
    while (static_cast<double>(shape.gates() * shape.H * shape.H) > FLOOR_WEIGHTS * static_cast<double>(spread))
        spread *= 2;
    return spread;
}

// Cycles of a step of one layer, all rows and directions side by side.
inline double floor_step(const Shape &shape, const Gpu &gpu, bool forward) {
    const double products = static_cast<double>(shape.gates() * shape.H * shape.H) / FLOOR_LANES;
    const double chain_forward = 30 + 50 + 60 + 45 + (shape.cell == Cell::rnn ? 0 : shape.cell == Cell::gru ? 60 : 68);
    const double chain_backward = 30 + 50 + 25 + 45;
    const int64_t spread = floor_spread(shape);
    const double one_row = (forward ? chain_forward : chain_backward) + products / static_cast<double>(spread) +
                           (spread > 1 ? FLOOR_EXCHANGE : 0);
    const double all_rows = products * static_cast<double>(shape.B * shape.directions) / gpu.multiprocessors;
    return std::max(one_row, all_rows);
}

// live: live steps of all rows. The longest row has T steps, so that ragged rows have the same chain.
inline Floor floor_of(const Shape &shape, int64_t live, const Gpu &gpu) {
    Floor floor;
    if (gpu.cycles_per_microsecond <= 0 || gpu.multiprocessors <= 0)
        return floor;
    const double lanes = FLOOR_LANES * gpu.multiprocessors * gpu.cycles_per_microsecond;
    const double share = static_cast<double>(live) / static_cast<double>(shape.T * shape.B);
    for (int64_t layer = 0; layer < shape.layers; layer++) {
        const double per_input = static_cast<double>(live * shape.directions * shape.gates() * shape.H) / lanes;
        const double inputs = per_input * static_cast<double>(shape.inputs(layer));
        const auto steps = [&](bool forward) {
            Shape alive = shape;
            alive.B = std::max<int64_t>(1, static_cast<int64_t>(share * static_cast<double>(shape.B)));
            return static_cast<double>(shape.T) * floor_step(alive, gpu, forward) / gpu.cycles_per_microsecond;
        };
        floor.forward += steps(true) + inputs;
        floor.backward_data += steps(false) + inputs;
        floor.backward_weights += inputs + per_input * static_cast<double>(shape.H);
    }
    return floor;
}

#endif
