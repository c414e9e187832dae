/* The checks of a recurrent layer, for a cell that the test gives: the kinds differ in their slots and in what one step
 * does, and in nothing else. */
#ifndef CRS_TESTS_RECURRENT_HPP
#define CRS_TESTS_RECURRENT_HPP

#include "live.hpp"
#include "operation.hpp"

namespace crs {

/* One row at one step, as the reference of a cell sees it. */
struct RecurrentStep {
    int64_t H;
    crs_activation activation;
    bool reset_after;
    std::vector<double> input;    /* [G*H] W x + b */
    std::vector<double> h_before; /* [H] */
    std::vector<double> h_masked; /* [H] through the mask of the recurrence */
    /* Row number `row` of R times a state, plus the second bias where there is one. */
    std::function<double(int64_t row, const std::vector<double> &state)> recurrent;
};

struct Cell {
    int64_t gates;
    size_t (*crs_ops::*reserve)(const crs_device *, const crs_recurrent *);
    crs_status (*crs_ops::*forward)(crs_device *, const crs_recurrent *);
    crs_status (*crs_ops::*backward)(crs_device *, const crs_recurrent *);
    struct Variant {
        crs_activation activation;
        bool reset_after;     /* with a second bias */
        bool one_way = false; /* the backends have no variants of it that could be forced */
    };
    std::vector<Variant> variants;
    /* The step of one row: the new h; c [H] is updated where the cell has one. */
    std::vector<double> (*step)(const RecurrentStep &step, std::vector<double> *c);
};

Verdict check_recurrent(const Cell &cell, const Backend &under_test, const Backend &oracle);

} // namespace crs
#endif
