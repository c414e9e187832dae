/* One fixture on one device: takes the fields of a case into guarded device memory and compares what an operation made
 * of them. Knows no operation; fixture_recurrent.cpp and test_fixtures.cpp say which field is which argument. */
#ifndef CRS_TESTS_FIXTURE_RUN_HPP
#define CRS_TESTS_FIXTURE_RUN_HPP

#include "bench.hpp"
#include "fixture.hpp"

#include <set>

namespace crs {

using Shape = std::vector<int64_t>;

class FixtureRun {
  public:
    FixtureRun(const Device &device, const FixtureCase &fixture, std::set<std::string> *slots)
        : device_(device), fixture_(fixture), slots_(slots), bench_(device) {}

    Bench &bench() {
        return bench_;
    }
    const crs_ops &ops() const {
        return device_.ops();
    }
    crs_device *handle() const {
        return device_.handle();
    }
    const void *input(const std::string &name, const Shape &shape) {
        return bench_.input(name, fixture_.array(name, shape));
    }
    const void *input_if(const std::string &name, const Shape &shape) {
        return fixture_.has(name) ? input(name, shape) : nullptr;
    }
    const int32_t *integers_if(const std::string &name, const Shape &shape) {
        return fixture_.has(name) ? bench_.labels(name, fixture_.array(name, shape)) : nullptr;
    }
    /* `terms` and `backward` as in tolerance_of. */
    void *output(const std::string &name, const Shape &shape, double terms, bool backward) {
        const std::vector<double> &want = fixture_.array(name, shape);
        expect(name, want, terms, backward);
        return bench_.output(name, Layout(static_cast<int64_t>(want.size())));
    }
    void *output_if(const std::string &name, const Shape &shape, double terms, bool backward) {
        return fixture_.has(name) ? output(name, shape, terms, backward) : nullptr;
    }
    /* A weight gradient, which does not start from zero. */
    void *added(const std::string &name, const Shape &shape, double terms) {
        const std::vector<double> &want = fixture_.array(name, shape);
        expect(name, want, terms, true);
        std::vector<double> start(want.size());
        for (size_t i = 0; i < start.size(); i++)
            start[i] = i % 2 ? 0.25 : -0.5;
        return bench_.added(name, start);
    }
    void expect(const std::string &name, const std::vector<double> &values, double terms, bool backward) {
        expected_[name] = {values, tolerance_of(device_.ops().real_size, terms, backward)};
    }
    template <class Args>
    void call(const char *name, crs_status (*slot)(crs_device *, const Args *), const Args &args) {
        slots_->insert(name);
        bench_.call(name, slot, args);
    }

    void check(const Verdict &verdict) {
        if (verdict_.ok())
            verdict_ = verdict;
    }
    void check(const char *what, crs_status status) {
        check(status == CRS_OK ? Verdict::pass() : Verdict::fail(format("%s returned status %d", what, status)));
    }

    /* Every expectation is met, and there was one for every output. */
    Verdict finish() {
        Result result;
        CRS_TRY(verdict_);
        CRS_TRY(bench_.finish(&result));
        for (const auto &[name, want] : expected_)
            CRS_TRY(compare_expected(result, {{name, want.values}}, want.tolerance));
        for (const auto &[name, tensor] : result)
            if (!expected_.count(name) && name.rfind("state.", 0) != 0)
                return Verdict::fail("the output " + name + " is compared with nothing");
        return Verdict::pass();
    }

  private:
    struct Expectation {
        std::vector<double> values;
        double tolerance;
    };
    const Device &device_;
    const FixtureCase &fixture_;
    std::set<std::string> *slots_;
    Bench bench_;
    Verdict verdict_ = Verdict::pass();
    std::map<std::string, Expectation> expected_;
};

#define CRS_CALL(slot, args) run.call(#slot, run.ops().slot, args)

/* The value that stands beside the word of this field. */
template <class Value>
Value choice(const FixtureCase &c, const char *field, const std::map<std::string, Value> &values) {
    const auto found = values.find(c.word(field));
    if (found == values.end())
        throw c.error(std::string("unknown ") + field + " " + c.word(field));
    return found->second;
}

inline crs_activation activation_of(const FixtureCase &c) {
    return choice<crs_activation>(
        c, "activation", {{"linear", CRS_LINEAR}, {"relu", CRS_RELU}, {"tanh", CRS_TANH}, {"sigmoid", CRS_SIGMOID}});
}

inline crs_step_state at_step(uint64_t step) {
    crs_step_state state = {};
    state.step = step;
    return state;
}

/* The recurrent layers, see fixture_recurrent.cpp. */
void fixture_rnn(FixtureRun &run, const FixtureCase &fixture);
void fixture_lstm(FixtureRun &run, const FixtureCase &fixture);
void fixture_gru(FixtureRun &run, const FixtureCase &fixture);

} // namespace crs
#endif
