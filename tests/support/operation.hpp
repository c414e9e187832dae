/* The checks that every operation has in common. A test_X.cpp describes its operation by an Operation and defines
 * check_operation; operation_suite.cpp runs that on every backend, where it must pass, and on every mutant of every
 * backend, where it must not. */
#ifndef CRS_TESTS_OPERATION_HPP
#define CRS_TESTS_OPERATION_HPP

#include "bench.hpp"

#include <functional>
#include <memory>

namespace crs {

/* Defined once by each test_X.cpp. */
Verdict check_operation(const Backend &under_test, const Backend &oracle);

/* A shape has a text() for messages. */
template <class Shape> struct Operation {
    std::vector<Shape> shapes; /* the first one with everything switched on: it finds most mutants */
    std::function<Numbers(const Shape &)> inputs;
    std::function<Verdict(const Device &, const Shape &, const Numbers &, Result *)> run;
    /* Expectations from the contract's formulas, computed in the test; may leave out outputs. */
    std::function<Numbers(const Shape &, const Numbers &)> reference;
    std::function<double(const Shape &)> terms; /* the longest sum behind an element of an output */
    bool backward = false;                      /* gradients are among the outputs */
    bool always_double = false;                 /* computed in double on every backend */
};

/* Values against the reference and the oracle; the same call twice, and with 2, 3 and 5 threads, gives equal bits. */
template <class Shape>
Verdict check_shapes(const Operation<Shape> &operation, const Backend &under_test, const Backend &oracle) {
    const Device device(under_test, 1), reference(oracle, 1);
    CRS_TRY(reference.opened());
    std::vector<std::unique_ptr<Device>> more;
    for (const int threads : {2, 3, 5})
        more.push_back(std::make_unique<Device>(under_test, threads));
    const size_t real_size = operation.always_double ? sizeof(double) : under_test.ops->real_size;
    for (const Shape &shape : operation.shapes) {
        const std::string place = shape.text();
        const double tolerance = tolerance_of(real_size, operation.terms(shape), operation.backward);
        const Numbers inputs = operation.inputs(shape);
        Result got, want, again;
        CRS_TRY(operation.run(device, shape, inputs, &got).in(place));
        CRS_TRY(compare_expected(got, operation.reference(shape, inputs), tolerance).in(place + " (reference)"));
        CRS_TRY(operation.run(reference, shape, inputs, &want).in(place + " (oracle)"));
        CRS_TRY(compare_results(got, want, tolerance).in(place + " (oracle)"));
        CRS_TRY(operation.run(device, shape, inputs, &again).in(place));
        CRS_TRY(same_bits(got, again).in(place + " (same call twice)"));
        for (const auto &other : more) {
            CRS_TRY(operation.run(*other, shape, inputs, &again).in(place));
            CRS_TRY(same_bits(got, again).in(place + " (other number of threads)"));
        }
    }
    return Verdict::pass();
}

/* A gradient and the input it belongs to; an output and the input that says how much each element counts in the loss.
 */
using Pairs = std::vector<std::pair<std::string, std::string>>;

/* The gradients that `run` returns against central differences of the loss sum(seed * output). Only for a table in
 * double: elsewhere the differences would drown in rounding. */
Verdict check_gradients(const std::function<Verdict(const Numbers &, Result *)> &run, const Numbers &inputs,
                        const Pairs &outputs_and_seeds, const Pairs &gradients_and_inputs);

template <class Shape>
Verdict check_gradients(const Operation<Shape> &operation, const Backend &under_test, const std::vector<Shape> &shapes,
                        const Pairs &outputs_and_seeds, const Pairs &gradients_and_inputs) {
    if (under_test.ops->real_size != sizeof(double))
        return Verdict::pass();
    const Device device(under_test, 1);
    for (const Shape &shape : shapes) {
        const auto run = [&](const Numbers &inputs, Result *result) {
            return operation.run(device, shape, inputs, result);
        };
        CRS_TRY(check_gradients(run, operation.inputs(shape), outputs_and_seeds, gradients_and_inputs)
                    .in(shape.text() + " (finite differences)"));
    }
    return Verdict::pass();
}

} // namespace crs
#endif
