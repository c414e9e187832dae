/* Reads the fixtures in tests/fixtures: small numbers from PyTorch that every backend must reproduce (format: README.md
 * there). What is malformed is thrown as "FILE:LINE: why". A case remembers what was read of it, so that a test can ask
 * for what it has overlooked. Not for input from outside: the files are the project's own. */
#ifndef CRS_TESTS_FIXTURE_HPP
#define CRS_TESTS_FIXTURE_HPP

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <istream>
#include <limits>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace crs {

class FixtureError : public std::runtime_error {
  public:
    FixtureError(const std::string &file, size_t line, const std::string &why)
        : std::runtime_error(file + ":" + std::to_string(line) + ": " + why) {}
};

struct FixtureArray {
    std::vector<int64_t> shape;
    std::vector<double> values;
};

/* Finite, and the whole of `text`; false otherwise. */
inline bool fixture_number(const std::string &text, double *value) {
    char *end = nullptr;
    *value = std::strtod(text.c_str(), &end);
    return !text.empty() && *end == '\0' && std::isfinite(*value);
}

class FixtureCase {
  public:
    FixtureCase(std::string file, size_t line, std::string name)
        : file_(std::move(file)), line_(line), name_(std::move(name)) {}

    const std::string &name() const {
        return name_;
    }
    bool has(const std::string &field) const {
        return words_.count(field) || texts_.count(field) || scalars_.count(field) || arrays_.count(field);
    }
    const std::string &word(const std::string &field) const {
        return find(words_, field);
    }
    const std::string &text(const std::string &field) const {
        return find(texts_, field);
    }
    double scalar(const std::string &field) const {
        double value = 0;
        fixture_number(find(scalars_, field), &value);
        return value;
    }
    /* A whole number of 0 to 2^64-1: a seed does not fit into a double. */
    uint64_t integer(const std::string &field) const {
        const std::string &text = find(scalars_, field);
        char *end = nullptr;
        errno = 0;
        const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
        if (*end != '\0' || text[0] == '-' || errno != 0)
            throw error(field + " is no whole number: " + text);
        return value;
    }
    int64_t size(const std::string &field) const {
        const uint64_t value = integer(field);
        if (value < 1 || value > static_cast<uint64_t>(std::numeric_limits<int32_t>::max()))
            throw error(field + " is no size: " + std::to_string(value));
        return static_cast<int64_t>(value);
    }
    /* The array, which must have this shape. */
    const std::vector<double> &array(const std::string &field, const std::vector<int64_t> &shape) const {
        const FixtureArray &found = find(arrays_, field);
        if (found.shape != shape)
            throw error("array " + field + " has another shape than its case's sizes say");
        return found.values;
    }
    /* Names of the arrays that begin with `prefix`, without it. */
    std::vector<std::string> arrays(const std::string &prefix) const {
        std::vector<std::string> names;
        for (const auto &array : arrays_)
            if (array.first.compare(0, prefix.size(), prefix) == 0)
                names.push_back(array.first.substr(prefix.size()));
        return names;
    }
    /* The fields that nobody has asked for, separated by blanks; "" when all were read. */
    std::string unread() const {
        std::string fields;
        for (const auto &field : fields_)
            if (!read_.count(field))
                fields += (fields.empty() ? "" : " ") + field;
        return fields;
    }
    FixtureError error(const std::string &why) const {
        return FixtureError(file_, line_, "case " + name_ + ": " + why);
    }

  private:
    friend std::vector<FixtureCase> fixture_parse(std::istream &in, const std::string &file);

    template <class Value>
    const Value &find(const std::map<std::string, Value> &fields, const std::string &field) const {
        const auto found = fields.find(field);
        if (found == fields.end())
            throw error("has no " + field + " of the kind asked for");
        read_.insert(field);
        return found->second;
    }

    std::string file_;
    size_t line_;
    std::string name_;
    std::set<std::string> fields_;
    std::map<std::string, std::string> words_, texts_, scalars_;
    std::map<std::string, FixtureArray> arrays_;
    mutable std::set<std::string> read_;
};

/* "D D ... : v v ...", as many values as the sizes say. Throws the reason alone. */
inline FixtureArray fixture_array(std::istream &words) {
    FixtureArray result;
    std::string text;
    int64_t count = 1;
    while (words >> text && text != ":") {
        double size = 0;
        if (!fixture_number(text, &size) || size != std::floor(size) || size < 1 || size * double(count) > 1e6)
            throw std::runtime_error("a dimension must be a whole number of at least 1, got '" + text + "'");
        result.shape.push_back(static_cast<int64_t>(size));
        count *= result.shape.back();
    }
    if (text != ":" || result.shape.empty())
        throw std::runtime_error("an array needs dimensions and a ':' before its values");
    while (words >> text) {
        double value = 0;
        if (!fixture_number(text, &value))
            throw std::runtime_error("not a finite number: '" + text + "'");
        result.values.push_back(value);
    }
    if (static_cast<int64_t>(result.values.size()) != count)
        throw std::runtime_error(std::to_string(result.values.size()) + " values where the dimensions say " +
                                 std::to_string(count));
    return result;
}

inline std::vector<FixtureCase> fixture_parse(std::istream &in, const std::string &file) {
    std::vector<FixtureCase> cases;
    std::set<std::string> names;
    std::string line;
    for (size_t number = 1; std::getline(in, line); number++) {
        std::istringstream words(line);
        std::string keyword, name, value, rest;
        if (!(words >> keyword) || keyword[0] == '#')
            continue;
        try {
            if (!(words >> name))
                throw std::runtime_error(keyword + " needs a name");
            if (keyword == "case") {
                if (words >> rest || !names.insert(name).second)
                    throw std::runtime_error("a case has one name, and no other case has it");
                cases.emplace_back(file, number, name);
                continue;
            }
            if (cases.empty())
                throw std::runtime_error("a case must come first");
            FixtureCase &current = cases.back();
            if (!current.fields_.insert(name).second)
                throw std::runtime_error(name + " stands twice in this case");
            double ignored = 0;
            if (keyword == "array")
                current.arrays_[name] = fixture_array(words);
            else if (keyword == "text" && std::getline(words >> std::ws, rest))
                current.texts_[name] = rest;
            else if (keyword != "word" && keyword != "scalar")
                throw std::runtime_error("unknown keyword '" + keyword + "'");
            else if (!(words >> value) || words >> rest)
                throw std::runtime_error(name + " needs one value");
            else if (keyword == "scalar" && !fixture_number(value, &ignored))
                throw std::runtime_error("not a finite number: '" + value + "'");
            else
                (keyword == "word" ? current.words_ : current.scalars_)[name] = value;
        } catch (const std::runtime_error &why) {
            throw FixtureError(file, number, why.what());
        }
    }
    if (in.bad() || cases.empty())
        throw FixtureError(file, 0, "no cases, or the file cannot be read");
    return cases;
}

inline std::vector<FixtureCase> fixture_load(const std::string &file) {
    std::ifstream in(file);
    if (!in)
        throw FixtureError(file, 0, "cannot be opened");
    return fixture_parse(in, file);
}

} // namespace crs
#endif
