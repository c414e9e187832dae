/* A case of a recurrent layer: its sizes and options, its numbers, and a scalar reference written from the formulas in
 * ops.h. */
#ifndef CRS_TESTS_RECURRENT_CASE_HPP
#define CRS_TESTS_RECURRENT_CASE_HPP

#include "recurrent.hpp"

namespace crs {

struct RecurrentShape {
    int64_t T, B, I, H;
    Live live = Live::all;
    bool reverse = false;
    int64_t ldy = 0, first = 0; /* ldy 0: H; first: column of this direction */
    double input_rate = 0, recurrent_rate = 0;
    bool training = true, dy = true, dh_last = true, dx = true, h_last = true;
    double scale = 1;       /* of the inputs; a small one is the biases' too */
    bool projected = false; /* x is W x itself, and there is no W */
    Cell::Variant variant = {CRS_TANH, false};

    int64_t row() const {
        return ldy ? ldy : H;
    }
    std::string text() const {
        return format("T %lld B %lld I %lld H %lld live %d reverse %d ldy %lld+%lld masks %g %g training %d "
                      "dy %d dh_last %d dx %d h_last %d act %d reset_after %d scale %g projected %d",
                      static_cast<long long>(T), static_cast<long long>(B), static_cast<long long>(I),
                      static_cast<long long>(H), static_cast<int>(live), reverse, static_cast<long long>(row()),
                      static_cast<long long>(first), input_rate, recurrent_rate, training, dy, dh_last, dx, h_last,
                      variant.activation, variant.reset_after, scale, projected);
    }
};

const uint64_t recurrent_step_number = 11;

/* What the reserve is told of it. */
crs_recurrent recurrent_sizes(const RecurrentShape &s);

/* Numbers in a row of x. */
int64_t recurrent_input_width(const Cell &cell, const RecurrentShape &s);

Numbers recurrent_inputs(const Cell &cell, const RecurrentShape &s);

/* The forward pass one row, one step, one unit at a time. */
Numbers recurrent_reference(const Cell &cell, const RecurrentShape &s, const Numbers &in);

} // namespace crs
#endif
