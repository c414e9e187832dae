/* The fixtures of the recurrent layers: one direction, or two that share the rows of y as in a bidirectional layer. */
#include "fixture_run.hpp"

#include <type_traits>

namespace crs {

namespace {

/* A kind of layer: its slots, with their names. */
struct Kind {
    int64_t gates;
    bool is_gru;
    size_t (*crs_ops::*reserve)(const crs_device *, const crs_recurrent *);
    const char *forward_name, *backward_name;
    crs_status (*crs_ops::*forward)(crs_device *, const crs_recurrent *);
    crs_status (*crs_ops::*backward)(crs_device *, const crs_recurrent *);
};

#define KIND(name, gates, is_gru)                                                                                      \
    Kind {                                                                                                             \
        gates, is_gru, &crs_ops::name##_reserve, #name "_forward", #name "_backward", &crs_ops::name##_forward,        \
            &crs_ops::name##_backward                                                                                  \
    }

void recurrent_forward(FixtureRun &run, const Kind &kind, crs_recurrent *a, const char *reserve) {
    a->reserve = run.bench().scratch(reserve, (run.ops().*kind.reserve)(run.handle(), a));
    run.call(kind.forward_name, run.ops().*kind.forward, *a);
}

void recurrent_backward(FixtureRun &run, const Kind &kind, const crs_recurrent &a) {
    run.call(kind.backward_name, run.ops().*kind.backward, a);
}

/* The weights of one direction and their gradients; `suffix` as PyTorch names them. */
void place_weights(FixtureRun &run, const Kind &kind, const std::string &suffix, double terms, bool training,
                   crs_recurrent *a) {
    const int64_t G = kind.gates * a->H;
    a->W = run.input("W" + suffix, {G, a->I});
    a->R = run.input("R" + suffix, {G, a->H});
    a->b = run.input("b" + suffix, {G});
    if (a->reset_after)
        a->b_hh = run.input("b_hh" + suffix, {G});
    if (!training)
        return;
    a->dW = run.added("dW" + suffix, {G, a->I}, terms);
    a->dR = run.added("dR" + suffix, {G, a->H}, terms);
    a->db = run.added("db" + suffix, {G}, terms);
    if (a->reset_after)
        a->db_hh = run.added("db_hh" + suffix, {G}, terms);
}

template <class Pointer> Pointer *offset_by(const FixtureRun &run, Pointer *memory, int64_t elements) {
    using Byte = std::conditional_t<std::is_const_v<Pointer>, const char, char>;
    return memory ? static_cast<Byte *>(memory) + static_cast<size_t>(elements) * run.ops().real_size : nullptr;
}

/* Both directions: two calls write the halves of y, and the sum of both dx is what PyTorch gives. */
void recurrent_pair(FixtureRun &run, const Kind &kind, crs_recurrent forward, double terms) {
    const int64_t T = forward.steps.T, B = forward.steps.B, I = forward.I, H = forward.H;
    forward.training = 1;
    crs_recurrent reverse = forward;
    reverse.reverse = 1;
    reverse.y = offset_by(run, forward.y, H);
    reverse.h_last = offset_by(run, forward.h_last, H);
    reverse.dy = offset_by(run, forward.dy, H);
    reverse.dh_last = offset_by(run, forward.dh_last, H);
    forward.dx = run.output("dx", {T, B, I}, terms, true);
    reverse.dx = run.bench().scratch("reverse dx", static_cast<size_t>(T * B * I) * run.ops().real_size);
    place_weights(run, kind, "", terms, true, &forward);
    place_weights(run, kind, "_reverse", terms, true, &reverse);
    recurrent_forward(run, kind, &forward, "reserve");
    recurrent_forward(run, kind, &reverse, "reverse reserve");
    recurrent_backward(run, kind, reverse);
    recurrent_backward(run, kind, forward);
    CRS_CALL(add, (crs_add{T * B * I, 1, reverse.dx, forward.dx}));
}

void recurrent_one(FixtureRun &run, const FixtureCase &c, const Kind &kind, crs_recurrent a, double terms) {
    a.reverse = c.integer("reverse") != 0;
    a.training = c.integer("training") != 0;
    a.input_mask = {c.scalar("input_rate"), c.integer("input_seed"), static_cast<uint32_t>(c.integer("input_site"))};
    a.recurrent_mask = {c.scalar("recurrent_rate"), c.integer("recurrent_seed"),
                        static_cast<uint32_t>(c.integer("recurrent_site"))};
    a.state = run.bench().state_input(at_step(c.integer("step")));
    a.dx = run.output_if("dx", {a.steps.T, a.steps.B, a.I}, terms, true);
    place_weights(run, kind, "", terms, a.training, &a);
    recurrent_forward(run, kind, &a, "reserve");
    if (a.training)
        recurrent_backward(run, kind, a);
}

void recurrent(FixtureRun &run, const FixtureCase &c, const Kind &kind) {
    const int64_t T = c.size("T"), B = c.size("B"), directions = c.size("directions");
    crs_recurrent a = {};
    a.steps = {T, B, run.integers_if("start", {B}), run.integers_if("len", {B})};
    a.I = c.size("I");
    a.H = c.size("H");
    a.activation = activation_of(c);
    a.reset_after = kind.is_gru && c.integer("reset_after") != 0;
    a.ldy = directions * a.H;
    /* What reaches one number: the inputs and states of a step through all steps, in a gradient also of all rows. */
    const double forward_terms = double((a.I + a.H + 1) * T), terms = forward_terms * double(B);
    a.x = run.input("x", {T, B, a.I});
    a.y = run.output("y", {T, B, a.ldy}, forward_terms, false);
    a.h_last = run.output("h_last", {B, a.ldy}, forward_terms, false);
    a.dy = run.input_if("dy", {T, B, a.ldy});
    a.dh_last = run.input_if("dh_last", {B, a.ldy});
    if (directions == 2)
        recurrent_pair(run, kind, a, terms);
    else
        recurrent_one(run, c, kind, a, terms);
}

} // namespace

void fixture_rnn(FixtureRun &run, const FixtureCase &c) {
    recurrent(run, c, KIND(rnn, 1, false));
}

void fixture_lstm(FixtureRun &run, const FixtureCase &c) {
    recurrent(run, c, KIND(lstm, 4, false));
}

void fixture_gru(FixtureRun &run, const FixtureCase &c) {
    recurrent(run, c, KIND(gru, 3, true));
}

} // namespace crs
