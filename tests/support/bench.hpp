/* One run of an operation: its arguments in guarded device memory, and what became of them.
 *
 * Every block of memory is filled with 0xFF (NaN as a real) before its numbers are put in, and stands between guards of
 * the same: an element the operation should have written and did not is a NaN, and one it should not have written is
 * found by finish(). Blocks differ in what may become of them:
 *   input    unchanged
 *   output   starts as NaN; overwritten
 *   updated  starts as given; read and overwritten
 *   added    starts as given; the result is the difference, so that an operation which overwrites is caught
 *   scratch  starts as 0xFF; not looked at, save for its guards */
#ifndef CRS_TESTS_BENCH_HPP
#define CRS_TESTS_BENCH_HPP

#include "backends.hpp"

#include <list>

namespace crs {

/* What one output became: its numbers, and the bytes they were read from. */
struct Tensor {
    std::vector<double> values;
    std::vector<unsigned char> bytes;
    double slack = 0; /* absolute rounding error of values: that of the number a gradient was added to */
    bool exact = false;
};

using Result = std::map<std::string, Tensor>;

/* Which elements of a block are an argument's own: `cols` from column `first` of each of `rows` rows, `ld` apart. */
struct Layout {
    Layout(int64_t count) : rows(1), cols(count), ld(count), first(0) {}
    Layout(int64_t rows_, int64_t cols_, int64_t ld_, int64_t first_)
        : rows(rows_), cols(cols_), ld(ld_), first(first_) {}
    int64_t rows, cols, ld, first;
};

class Bench {
  public:
    explicit Bench(const Device &device);
    ~Bench();
    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    const void *input(const std::string &name, const std::vector<double> &values);
    const void *input(const std::string &name, const std::vector<double> &values, Layout layout);
    const int32_t *labels(const std::string &name, const std::vector<double> &values); /* numbers of type int32_t */
    void *output(const std::string &name, Layout layout);
    int32_t *int_output(const std::string &name, Layout layout);
    void *updated(const std::string &name, const std::vector<double> &values);
    void *added(const std::string &name, const std::vector<double> &start);
    void *scratch(const std::string &name, size_t bytes);
    const crs_step_state *state_input(const crs_step_state &state);
    /* Its fields appear in the result as "state.lr" and so on. */
    crs_step_state *state_updated(const crs_step_state &state);

    /* Runs a slot of the device's table, unless something failed before. */
    template <class Args>
    void call(const char *name, crs_status (*slot)(crs_device *, const Args *), const Args &args) {
        if (verdict_.ok())
            check(name, slot(device_.handle(), &args));
    }

    /* Waits, checks guards, gaps and inputs, and collects every output. */
    Verdict finish(Result *result);

  private:
    enum class Role { input, output, added, scratch, state };
    enum class Kind { real, int32, bytes };
    struct Block {
        std::string name;
        Role role;
        Kind kind;
        Layout layout;
        size_t element;
        std::vector<unsigned char> before; /* the whole block with its guards, as uploaded */
        void *memory;
    };

    void *place(const std::string &name, Role role, Kind kind, Layout layout, const std::vector<double> *values,
                const void *raw);
    void check(const char *what, crs_status status);
    Verdict inspect(const Block &block, Result *result);

    const Device &device_;
    std::list<Block> blocks_;
    Verdict verdict_ = Verdict::pass();
};

/* Reading and writing one real of a backend's type. */
double load_real(const unsigned char *at, size_t real_size);
void store_real(unsigned char *at, size_t real_size, double value);

/* Every output of `got` is one of `want` and the other way round, and within tolerance. */
Verdict compare_results(const Result &got, const Result &want, double tolerance);
/* Every named expectation is met. */
Verdict compare_expected(const Result &got, const Numbers &want, double tolerance);
/* Every output has the same bits. */
Verdict same_bits(const Result &first, const Result &second);

} // namespace crs
#endif
