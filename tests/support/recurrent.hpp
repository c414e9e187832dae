/* The checks of a recurrent layer, for a cell that the test gives: RNN and LSTM differ in their slots and in what one
 * step does, and in nothing else. */
#ifndef CRS_TESTS_RECURRENT_HPP
#define CRS_TESTS_RECURRENT_HPP

#include "live.hpp"
#include "operation.hpp"

namespace crs {

struct Cell {
    int64_t gates;
    size_t (*crs_ops::*reserve)(const crs_device *, const crs_recurrent *);
    crs_status (*crs_ops::*forward)(crs_device *, const crs_recurrent *);
    crs_status (*crs_ops::*backward)(crs_device *, const crs_recurrent *);
    std::vector<crs_activation> activations;
    /* One unit's step: the gates' sums in, the cell state updated, the new h out. */
    double (*step)(crs_activation activation, const double *sums, double *c);
};

Verdict check_recurrent(const Cell &cell, const Backend &under_test, const Backend &oracle);

} // namespace crs
#endif
