/* Tables with a planted fault: one slot does its work and then spoils one of its outputs. A check that a mutant passes
 * proves nothing. The mutants are made from CRS_COMPUTE_SLOTS, so a new slot needs a line here to compile. */
#ifndef CRS_TESTS_MUTANTS_HPP
#define CRS_TESTS_MUTANTS_HPP

#include "backends.hpp"

namespace crs {

enum class Fault {
    skip,      /* the slot does nothing and says it went well */
    negate,    /* the output has the wrong sign */
    scale,     /* one percent too much; for integers, one too much */
    transpose, /* the elements stand in the wrong order */
    drop_last, /* the last row, or time step, is missing */
    poison,    /* one element is NaN */
    unstable,  /* some calls differ in the last bit */
    overrun,   /* one element is written past the end */
    overwrite  /* overwritten where it should be added to */
};

struct Mutant {
    std::string slot, output;
    Fault fault;
    std::string text() const;
};

/* The operation that a slot belongs to: lstm_forward belongs to lstm. */
std::string operation_of(const std::string &slot);
std::vector<std::string> slots_of(const std::string &operation);
std::vector<Mutant> mutants_of(const std::string &slot);

/* A backend's table with that mutant in it, as long as this object lives; one at a time. */
class MutantTable {
  public:
    MutantTable(const Backend &backend, const Mutant &mutant);
    ~MutantTable();
    MutantTable(const MutantTable &) = delete;
    MutantTable &operator=(const MutantTable &) = delete;
    const Backend &backend() const {
        return backend_;
    }

  private:
    crs_ops ops_;
    Backend backend_;
};

} // namespace crs
#endif
