/* Mutants: what each slot writes, and how a wrapped slot spoils it. */
#include "mutants.hpp"

#include "bench.hpp"

#include <cmath>
#include <cstring>
#include <stdexcept>

namespace crs {
namespace {

enum class Kind { real, int32, real64, uint64 };

/* Something that a slot writes: rows x cols of a block with ld elements from row to row. */
struct Output {
    const char *name;
    Kind kind;
    void *at; /* NULL: not wanted in this call */
    int64_t rows, cols, ld;
    int64_t last; /* rows of the last step */
    bool added = false;
};
using Outputs = std::vector<Output>;

Output matrix(const char *name, void *at, int64_t rows, int64_t cols) {
    return {name, Kind::real, at, rows, cols, cols, 1};
}

Output added(Output output) {
    output.added = true;
    return output;
}

template <class Field> Output field(const char *name, crs_step_state *state, Field crs_step_state::*member) {
    const Kind kind =
        sizeof(Field) == sizeof(double) && std::is_same<Field, double>::value ? Kind::real64 : Kind::uint64;
    return {name, kind, state ? &(state->*member) : nullptr, 1, 1, 1, 1};
}

/* One line per slot: its outputs. With an empty argument struct it gives the same list, without addresses. */
Outputs outputs_embedding_forward(const crs_embedding &a) {
    return {{"y", Kind::real, a.y, a.T * a.B, a.E, a.E, a.B}};
}
Outputs outputs_embedding_backward(const crs_embedding &a) {
    return {added(matrix("dtable", a.dtable, a.V, a.E))};
}
Outputs outputs_dropout(const crs_dropout &a) {
    return {matrix("y", a.y, 1, a.n)};
}
Outputs outputs_add(const crs_add &a) {
    return {added(matrix("y", a.y, 1, a.n))};
}
Outputs outputs_rnn_forward(const crs_recurrent &a) {
    return {{"y", Kind::real, a.y, a.steps.T * a.steps.B, a.H, a.ldy, a.steps.B},
            {"h_last", Kind::real, a.h_last, a.steps.B, a.H, a.ldy, 1}};
}
Outputs gradients(const crs_recurrent &a, int64_t gates) {
    const int64_t I = a.W ? a.I : gates * a.H;
    return {{"dx", Kind::real, a.dx, a.steps.T * a.steps.B, I, I, a.steps.B},
            added(matrix("dW", a.W ? a.dW : nullptr, gates * a.H, I)),
            added(matrix("dR", a.dR, gates * a.H, a.H)),
            added(matrix("db", a.db, 1, gates * a.H))};
}
Outputs outputs_rnn_backward(const crs_recurrent &a) {
    return gradients(a, 1);
}
Outputs outputs_lstm_forward(const crs_recurrent &a) {
    return outputs_rnn_forward(a);
}
Outputs outputs_lstm_backward(const crs_recurrent &a) {
    return gradients(a, 4);
}
Outputs outputs_gru_forward(const crs_recurrent &a) {
    return outputs_rnn_forward(a);
}
Outputs outputs_gru_backward(const crs_recurrent &a) {
    Outputs outputs = gradients(a, 3);
    outputs.push_back(added(matrix("db_hh", a.db_hh, 1, 3 * a.H)));
    return outputs;
}
Outputs outputs_dense_forward(const crs_dense &a) {
    return {matrix("y", a.y, a.N, a.O)};
}
Outputs outputs_dense_backward(const crs_dense &a) {
    return {matrix("dy", a.dy, a.N, a.O), matrix("dx", a.dx, a.N, a.I), added(matrix("dW", a.dW, a.O, a.I)),
            added(matrix("db", a.db, 1, a.O))};
}
Outputs outputs_conv_forward(const crs_conv &a) {
    return {{"y", Kind::real, a.y, a.T_out * a.steps.B * a.P_out, a.O, a.O, a.steps.B * a.P_out}};
}
/* The weights' gradient, and the bias'. */
Outputs window_gradients(const crs_conv &a) {
    return {matrix("dy", a.dy, a.T_out * a.steps.B * a.P_out, a.O),
            added(matrix("dW", a.dW, a.O, a.window.size[0] * a.window.size[1] * a.I)),
            added(matrix("db", a.db, 1, a.O))};
}
Outputs outputs_conv_backward(const crs_conv &a) {
    Outputs outputs = window_gradients(a);
    outputs.push_back({"dx", Kind::real, a.dx, a.steps.T * a.steps.B * a.P, a.I, a.I, a.steps.B * a.P});
    return outputs;
}
Outputs outputs_onehot_forward(const crs_conv &a) {
    return outputs_conv_forward(a);
}
Outputs outputs_onehot_backward(const crs_conv &a) {
    return window_gradients(a);
}
Outputs outputs_pool_forward(const crs_pool &a) {
    void *argmax = a.kind == CRS_POOL_MAX ? a.argmax : nullptr;
    return {matrix("y", a.y, a.steps.B, a.F), {"argmax", Kind::int32, argmax, a.steps.B, a.F, a.F, 1}};
}
Outputs outputs_pool_backward(const crs_pool &a) {
    return {{"dx", Kind::real, a.dx, a.steps.T * a.steps.B, a.F, a.F, a.steps.B}};
}
Outputs outputs_batch_norm_forward(const crs_batch_norm &a) {
    return {{"y", Kind::real, a.y, a.steps.T * a.steps.B * a.P, a.F, a.F, a.steps.B * a.P},
            matrix("running_mean", a.running_mean, 1, a.F),
            matrix("running_var", a.running_var, 1, a.F)};
}
Outputs outputs_batch_norm_backward(const crs_batch_norm &a) {
    return {{"dx", Kind::real, a.dx, a.steps.T * a.steps.B * a.P, a.F, a.F, a.steps.B * a.P},
            added(matrix("dgamma", a.dgamma, 1, a.F)),
            added(matrix("dbeta", a.dbeta, 1, a.F))};
}
Outputs outputs_layer_norm_forward(const crs_layer_norm &a) {
    return {matrix("y", a.y, a.N, a.F)};
}
Outputs outputs_layer_norm_backward(const crs_layer_norm &a) {
    return {matrix("dx", a.dx, a.N, a.F), added(matrix("dgamma", a.dgamma, 1, a.F)),
            added(matrix("dbeta", a.dbeta, 1, a.F))};
}
Outputs outputs_window_pool_forward(const crs_window_pool &a) {
    const int64_t rows = a.T_out * a.steps.B, cols = a.P_out * a.F;
    return {{"y", Kind::real, a.y, rows, cols, cols, a.steps.B},
            {"argmax", Kind::int32, a.mean ? nullptr : a.argmax, rows, cols, cols, a.steps.B}};
}
Outputs outputs_window_pool_backward(const crs_window_pool &a) {
    return {{"dx", Kind::real, a.dx, a.steps.T * a.steps.B, a.P * a.F, a.P * a.F, a.steps.B}};
}
Outputs outputs_flatten_forward(const crs_flatten &a) {
    return {matrix("y", a.y, a.steps.B, a.steps.T * a.F)};
}
Outputs outputs_flatten_backward(const crs_flatten &a) {
    return {{"dx", Kind::real, a.dx, a.steps.T * a.steps.B, a.F, a.F, a.steps.B}};
}
Outputs outputs_loss(const crs_loss &a) {
    return {matrix("probabilities", a.probabilities, a.B, a.C),
            matrix("row_loss", a.row_loss, 1, a.B),
            matrix("dlogits", a.dlogits, a.B, a.C),
            added(field("loss_sum", a.state, &crs_step_state::loss_sum)),
            added(field("rows", a.state, &crs_step_state::rows)),
            added(field("correct", a.state, &crs_step_state::correct)),
            field("bad_step", a.state, &crs_step_state::bad_step)};
}
Outputs outputs_penalty(const crs_penalty &a) {
    return {added(matrix("g", a.g, 1, a.n)), added(field("loss_sum", a.state, &crs_step_state::loss_sum)),
            field("bad_step", a.state, &crs_step_state::bad_step)};
}
Outputs outputs_norm(const crs_norm &a) {
    return {field("grad_norm", a.state, &crs_step_state::grad_norm),
            field("grad_scale", a.state, &crs_step_state::grad_scale),
            field("bad_step", a.state, &crs_step_state::bad_step)};
}
Outputs outputs_optimizer(const crs_optimizer &a) {
    return {matrix("w", a.w, 1, a.n), matrix("m", a.m, 1, a.n), matrix("v", a.v, 1, a.n)};
}
Outputs outputs_max_norm(const crs_max_norm &a) {
    return {matrix("w", a.w, a.N, a.F)};
}
Outputs outputs_schedule(const crs_schedule &a) {
    return {field("step", a.state, &crs_step_state::step), field("lr", a.state, &crs_step_state::lr)};
}

/* The mutant in force. Table slots are plain functions: what they are to spoil can only stand beside them. */
struct Active {
    const crs_ops *real = nullptr;
    Mutant mutant;
    uint64_t calls = 0;
} active;

size_t element_size(Kind kind, const crs_ops &ops) {
    return kind == Kind::real ? ops.real_size : kind == Kind::int32 ? sizeof(int32_t) : sizeof(double);
}

double load(Kind kind, const unsigned char *at, size_t size) {
    int32_t number;
    uint64_t count;
    memcpy(&number, at, sizeof number);
    if (kind == Kind::int32)
        return number;
    if (kind == Kind::real || kind == Kind::real64)
        return load_real(at, size);
    memcpy(&count, at, sizeof count);
    return static_cast<double>(count);
}

void store(Kind kind, unsigned char *at, size_t size, double value) {
    const int32_t number = kind == Kind::int32 ? static_cast<int32_t>(value) : 0;
    const uint64_t count = kind == Kind::uint64 ? static_cast<uint64_t>(value) : 0;
    if (kind == Kind::int32)
        memcpy(at, &number, sizeof number);
    else if (kind == Kind::uint64)
        memcpy(at, &count, sizeof count);
    else
        store_real(at, size, value);
}

size_t bytes_of(const Output &o, size_t size) {
    return static_cast<size_t>((o.rows - 1) * o.ld + o.cols) * size;
}

/* before and after hold the block from its first element to its last; after is changed. */
void spoil(const Output &o, Fault fault, size_t size, const unsigned char *before, unsigned char *after) {
    const bool is_real = o.kind == Kind::real || o.kind == Kind::real64;
    const std::vector<unsigned char> correct(after, after + bytes_of(o, size));
    const auto index = [&o](int64_t k) { return static_cast<size_t>(k / o.cols * o.ld + k % o.cols); };
    const int64_t n = o.rows * o.cols;
    for (int64_t k = 0; k < n; k++) {
        unsigned char *at = after + index(k) * size;
        const double was = load(o.kind, before + index(k) * size, size);
        const double base = o.added ? was : 0;
        const double value = load(o.kind, at, size) - base;
        /* Read across: column by column where the truth is row by row; a single row or column is turned round. */
        const int64_t across = o.rows > 1 && o.cols > 1 ? k % o.rows * o.cols + k / o.rows : n - 1 - k;
        const double moved = load(o.kind, &correct[index(across) * size], size) -
                             (o.added ? load(o.kind, before + index(across) * size, size) : 0);
        if (fault == Fault::negate)
            store(o.kind, at, size, base - value);
        else if (fault == Fault::scale)
            store(o.kind, at, size, base + (is_real ? value * 1.01 : value + 1));
        else if (fault == Fault::transpose)
            store(o.kind, at, size, base + moved);
        else if (fault == Fault::drop_last && (k / o.cols >= o.rows - o.last || n == 1) && (o.rows > 1 || k == n - 1))
            store(o.kind, at, size, std::isfinite(was) ? was : 0);
        else if (fault == Fault::poison && k == n / 2)
            store(o.kind, at, size, std::nan(""));
        else if (fault == Fault::unstable && k == 0 && (Random(active.calls).bits() & 1))
            at[0] ^= 1;
        else if (fault == Fault::overwrite)
            store(o.kind, at, size, value);
    }
}

template <class Args>
crs_status mutated(crs_device *device, const Args *a, crs_status (*slot)(crs_device *, const Args *),
                   const Outputs &outputs) {
    const crs_ops &ops = *active.real;
    if (active.mutant.fault == Fault::skip)
        return CRS_OK;
    active.calls++;
    for (const Output &output : outputs) {
        if (output.name != active.mutant.output || !output.at)
            continue;
        const size_t size = element_size(output.kind, ops), bytes = bytes_of(output, size);
        std::vector<unsigned char> before(bytes), after(bytes);
        if (const crs_status status = ops.download(device, before.data(), output.at, bytes))
            return status;
        if (const crs_status status = slot(device, a))
            return status;
        if (active.mutant.fault == Fault::overrun) {
            std::vector<unsigned char> one(size);
            store(output.kind, one.data(), size, 1);
            return ops.upload(device, static_cast<unsigned char *>(output.at) + bytes, one.data(), size);
        }
        if (const crs_status status = ops.download(device, after.data(), output.at, bytes))
            return status;
        spoil(output, active.mutant.fault, size, before.data(), after.data());
        return ops.upload(device, output.at, after.data(), bytes);
    }
    return slot(device, a);
}

#define CRS_MUTATED(slot, args)                                                                                        \
    crs_status mutated_##slot(crs_device *device, const args *a) {                                                     \
        return mutated(device, a, active.real->slot, outputs_##slot(*a));                                              \
    }
CRS_COMPUTE_SLOTS(CRS_MUTATED)
#undef CRS_MUTATED

/* What a mutant leaves out must not be found in memory by luck: an earlier run may have left the right numbers there.
 */
crs_status zeroed_alloc(crs_device *device, size_t bytes, void **memory) {
    const crs_ops &ops = *active.real;
    if (const crs_status status = ops.alloc(device, bytes, memory))
        return status;
    return ops.fill(device, *memory, 0, bytes);
}

/* Whether a fault changes anything in an output of that kind. */
bool applies(const Output &output, Fault fault) {
    const bool is_field = output.kind == Kind::real64 || output.kind == Kind::uint64;
    switch (fault) {
    case Fault::skip:
        return false; /* a mutant of the slot, not of an output */
    case Fault::negate:
        return output.kind == Kind::real || output.kind == Kind::real64;
    case Fault::scale:
    case Fault::drop_last:
        return true;
    case Fault::transpose:
        return !is_field;
    case Fault::poison:
    case Fault::unstable:
        return output.kind == Kind::real || output.kind == Kind::real64;
    case Fault::overrun:
        return !is_field;
    case Fault::overwrite:
        return output.added;
    }
    return false;
}

const Fault faults[] = {Fault::negate, Fault::scale,    Fault::transpose, Fault::drop_last,
                        Fault::poison, Fault::unstable, Fault::overrun,   Fault::overwrite};

const char *fault_name(Fault fault) {
    static const char *const names[] = {"skip",   "negate",   "scale",   "transpose", "drop_last",
                                        "poison", "unstable", "overrun", "overwrite"};
    return names[static_cast<int>(fault)];
}

} // namespace

std::string Mutant::text() const {
    return slot + (output.empty() ? "" : "." + output) + " " + fault_name(fault);
}

std::string operation_of(const std::string &slot) {
    for (const std::string end : {"_forward", "_backward"})
        if (slot.size() > end.size() && slot.compare(slot.size() - end.size(), end.size(), end) == 0)
            return slot.substr(0, slot.size() - end.size());
    return slot;
}

std::vector<std::string> slots_of(const std::string &operation) {
    std::vector<std::string> slots;
#define CRS_COLLECT(slot, args)                                                                                        \
    if (operation_of(#slot) == operation)                                                                              \
        slots.push_back(#slot);
    CRS_COMPUTE_SLOTS(CRS_COLLECT)
#undef CRS_COLLECT
    return slots;
}

std::vector<Mutant> mutants_of(const std::string &slot) {
    Outputs outputs;
#define CRS_COLLECT(name, args)                                                                                        \
    if (slot == #name)                                                                                                 \
        outputs = outputs_##name(args());
    CRS_COMPUTE_SLOTS(CRS_COLLECT)
#undef CRS_COLLECT
    std::vector<Mutant> mutants = {{slot, "", Fault::skip}};
    for (const Output &output : outputs)
        for (const Fault fault : faults)
            if (applies(output, fault))
                mutants.push_back({slot, output.name, fault});
    return mutants;
}

MutantTable::MutantTable(const Backend &backend, const Mutant &mutant) : ops_(*backend.ops), backend_(backend) {
    if (active.real)
        throw std::logic_error("one mutant at a time");
    active.real = backend.ops;
    active.mutant = mutant;
    active.calls = 0;
    backend_.ops = &ops_;
    ops_.alloc = zeroed_alloc;
#define CRS_PLANT(slot_name, args)                                                                                     \
    if (mutant.slot == #slot_name)                                                                                     \
        ops_.slot_name = mutated_##slot_name;
    CRS_COMPUTE_SLOTS(CRS_PLANT)
#undef CRS_PLANT
}

MutantTable::~MutantTable() {
    active.real = nullptr;
}

} // namespace crs
