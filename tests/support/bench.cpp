/* Guarded device memory, and comparing what a run left in it. */
#include "bench.hpp"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>

namespace crs {

static const size_t guard = 256; /* bytes on either side; a multiple of the alignment that alloc promises */
static const unsigned char poison = 0xFF;

double load_real(const unsigned char *at, size_t real_size) {
    float single;
    double twice;
    memcpy(&single, at, sizeof single);
    if (real_size == sizeof single)
        return single;
    memcpy(&twice, at, sizeof twice);
    return twice;
}

void store_real(unsigned char *at, size_t real_size, double value) {
    const float single = static_cast<float>(value);
    if (real_size == sizeof single)
        memcpy(at, &single, sizeof single);
    else
        memcpy(at, &value, sizeof value);
}

Bench::Bench(const Device &device) : device_(device), verdict_(device.opened()) {}

Bench::~Bench() {
    for (const Block &block : blocks_)
        device_.ops().free(device_.handle(), block.memory);
}

void Bench::check(const char *what, crs_status status) {
    if (verdict_.ok() && status != CRS_OK)
        verdict_ = Verdict::fail(format("%s returned status %d", what, status));
}

void *Bench::place(const std::string &name, Role role, Kind kind, Layout layout, const std::vector<double> *values,
                   const void *raw) {
    if (!verdict_.ok())
        return nullptr;
    const crs_ops &ops = device_.ops();
    const size_t element = kind == Kind::real ? ops.real_size : kind == Kind::int32 ? sizeof(int32_t) : 1;
    const size_t bytes = static_cast<size_t>(layout.rows * layout.ld) * element;
    if (values && values->size() != static_cast<size_t>(layout.rows * layout.cols)) {
        verdict_ = Verdict::fail(format("the test gives %zu numbers for %s", values->size(), name.c_str()));
        return nullptr;
    }
    Block block = {name, role, kind, layout, element, std::vector<unsigned char>(bytes + 2 * guard, poison), nullptr};
    for (int64_t r = 0, k = 0; values && r < layout.rows; r++)
        for (int64_t c = 0; c < layout.cols; c++, k++) {
            unsigned char *at = &block.before[guard + static_cast<size_t>(r * layout.ld + layout.first + c) * element];
            const double value = (*values)[static_cast<size_t>(k)];
            const int32_t number = kind == Kind::int32 ? static_cast<int32_t>(value) : 0;
            if (kind == Kind::int32)
                memcpy(at, &number, sizeof number);
            else
                store_real(at, element, value);
        }
    if (raw)
        memcpy(&block.before[guard], raw, bytes);

    check("alloc", ops.alloc(device_.handle(), block.before.size(), &block.memory));
    if (!verdict_.ok())
        return nullptr;
    blocks_.push_back(block);
    check("upload", ops.upload(device_.handle(), block.memory, block.before.data(), block.before.size()));
    return static_cast<unsigned char *>(block.memory) + guard + static_cast<size_t>(layout.first) * element;
}

const void *Bench::input(const std::string &name, const std::vector<double> &values) {
    return place(name, Role::input, Kind::real, Layout(static_cast<int64_t>(values.size())), &values, nullptr);
}

const void *Bench::input(const std::string &name, const std::vector<double> &values, Layout layout) {
    return place(name, Role::input, Kind::real, layout, &values, nullptr);
}

const int32_t *Bench::labels(const std::string &name, const std::vector<double> &values) {
    return static_cast<const int32_t *>(
        place(name, Role::input, Kind::int32, Layout(static_cast<int64_t>(values.size())), &values, nullptr));
}

void *Bench::output(const std::string &name, Layout layout) {
    return place(name, Role::output, Kind::real, layout, nullptr, nullptr);
}

int32_t *Bench::int_output(const std::string &name, Layout layout) {
    return static_cast<int32_t *>(place(name, Role::output, Kind::int32, layout, nullptr, nullptr));
}

void *Bench::updated(const std::string &name, const std::vector<double> &values) {
    return place(name, Role::output, Kind::real, Layout(static_cast<int64_t>(values.size())), &values, nullptr);
}

void *Bench::added(const std::string &name, const std::vector<double> &start) {
    return place(name, Role::added, Kind::real, Layout(static_cast<int64_t>(start.size())), &start, nullptr);
}

void *Bench::scratch(const std::string &name, size_t bytes) {
    return place(name, Role::scratch, Kind::bytes, Layout(static_cast<int64_t>(bytes)), nullptr, nullptr);
}

const crs_step_state *Bench::state_input(const crs_step_state &state) {
    return static_cast<const crs_step_state *>(
        place("state", Role::input, Kind::bytes, Layout(static_cast<int64_t>(sizeof state)), nullptr, &state));
}

crs_step_state *Bench::state_updated(const crs_step_state &state) {
    return static_cast<crs_step_state *>(
        place("state", Role::state, Kind::bytes, Layout(static_cast<int64_t>(sizeof state)), nullptr, &state));
}

static void read_state(const unsigned char *at, Result *result) {
    crs_step_state state;
    memcpy(&state, at, sizeof state);
    const auto put = [result](const char *name, const auto &value, bool exact) {
        Tensor &tensor = (*result)[std::string("state.") + name];
        tensor.values = {static_cast<double>(value)};
        tensor.bytes.resize(sizeof value);
        memcpy(tensor.bytes.data(), &value, sizeof value);
        tensor.exact = exact;
    };
    put("step", state.step, true);
    put("lr", state.lr, false);
    put("loss_sum", state.loss_sum, false);
    put("rows", state.rows, true);
    put("correct", state.correct, true);
    put("grad_norm", state.grad_norm, false);
    put("grad_scale", state.grad_scale, false);
    put("bad_step", state.bad_step, true);
}

Verdict Bench::inspect(const Block &block, Result *result) {
    std::vector<unsigned char> after(block.before.size());
    const crs_ops &ops = device_.ops();
    if (const crs_status status = ops.download(device_.handle(), after.data(), block.memory, after.size()))
        return Verdict::fail(format("download returned status %d", status));
    if (memcmp(after.data(), block.before.data(), guard) != 0)
        return Verdict::fail("memory before " + block.name + " was written");
    if (memcmp(&after[after.size() - guard], &block.before[after.size() - guard], guard) != 0)
        return Verdict::fail("memory after " + block.name + " was written");
    if (block.role == Role::input && after != block.before)
        return Verdict::fail("the input " + block.name + " was changed");
    if (block.role == Role::state)
        read_state(&after[guard], result);
    if (block.role != Role::output && block.role != Role::added)
        return Verdict::pass();

    Tensor &tensor = (*result)[block.name];
    const double epsilon = ops.real_size == sizeof(float) ? FLT_EPSILON : DBL_EPSILON;
    tensor.exact = block.kind == Kind::int32;
    const Layout &own = block.layout;
    for (int64_t i = 0; i < own.rows * own.ld; i++) {
        const unsigned char *at = &after[guard + static_cast<size_t>(i) * block.element];
        const unsigned char *was = &block.before[guard + static_cast<size_t>(i) * block.element];
        if (i % own.ld < own.first || i % own.ld >= own.first + own.cols) {
            if (memcmp(at, was, block.element) != 0)
                return Verdict::fail(format("%s: element %lld between the rows was written", block.name.c_str(),
                                            static_cast<long long>(i)));
            continue;
        }
        tensor.bytes.insert(tensor.bytes.end(), at, at + block.element);
        int32_t number;
        memcpy(&number, at, sizeof number);
        double value = tensor.exact ? number : load_real(at, block.element);
        if (block.role == Role::added) {
            const double start = load_real(was, block.element);
            tensor.slack = std::max(tensor.slack, epsilon * std::fabs(start));
            value -= start;
        }
        tensor.values.push_back(value);
    }
    return Verdict::pass();
}

Verdict Bench::finish(Result *result) {
    if (verdict_.ok())
        check("sync", device_.ops().sync(device_.handle()));
    CRS_TRY(verdict_);
    result->clear();
    for (const Block &block : blocks_)
        CRS_TRY(inspect(block, result));
    return Verdict::pass();
}

Verdict compare_results(const Result &got, const Result &want, double tolerance) {
    if (got.size() != want.size())
        return Verdict::fail(format("%zu outputs, want %zu", got.size(), want.size()));
    Numbers expected;
    for (const auto &[name, tensor] : want)
        expected[name] = tensor.values;
    return compare_expected(got, expected, tolerance);
}

Verdict compare_expected(const Result &got, const Numbers &want, double tolerance) {
    for (const auto &[name, values] : want) {
        const auto found = got.find(name);
        if (found == got.end())
            return Verdict::fail("no output " + name);
        const Tensor &tensor = found->second;
        CRS_TRY(compare(name, tensor.values, values, {tensor.exact ? 0 : tolerance, tensor.slack}));
    }
    return Verdict::pass();
}

Verdict same_bits(const Result &first, const Result &second) {
    if (first.size() != second.size())
        return Verdict::fail("different outputs");
    for (const auto &[name, tensor] : first) {
        const auto found = second.find(name);
        if (found == second.end() || found->second.bytes != tensor.bytes)
            return Verdict::fail(name + " differs in its bits");
    }
    return Verdict::pass();
}

} // namespace crs
