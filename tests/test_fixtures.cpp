/* Every operation of every backend against small numbers from PyTorch (tests/fixtures): outputs and gradients alike.
 * Nothing here computes: sizes and expectations come from the files, and each field of each case must be used. */
#include "fixture_run.hpp"

#include <gtest/gtest.h>

using namespace crs;

namespace {

void embedding(FixtureRun &run, const FixtureCase &c) {
    const int64_t T = c.size("T"), B = c.size("B"), V = c.size("V"), E = c.size("E");
    const crs_embedding a = {T,
                             B,
                             V,
                             E,
                             run.integers_if("ids", {T, B}),
                             run.input("table", {V, E}),
                             run.output("y", {T, B, E}, 1, false),
                             run.input("dy", {T, B, E}),
                             run.added("dtable", {V, E}, double(T * B))};
    CRS_CALL(embedding_forward, a);
    CRS_CALL(embedding_backward, a);
}

/* The backward is the same call, here in place. */
void dropout(FixtureRun &run, const FixtureCase &c) {
    const int64_t n = c.size("n");
    const crs_mask mask = {c.scalar("rate"), c.integer("seed"), static_cast<uint32_t>(c.integer("site"))};
    const crs_step_state *state = run.bench().state_input(at_step(c.integer("step")));
    const int64_t period = c.size("period");
    CRS_CALL(dropout, (crs_dropout{n, period, mask, state, run.input("x", {n}), run.output("y", {n}, 1, false)}));
    run.expect("dx", c.array("dx", {n}), 1, true);
    void *dx = run.bench().updated("dx", c.array("dy", {n}));
    CRS_CALL(dropout, (crs_dropout{n, period, mask, state, dx, dx}));
}

void add(FixtureRun &run, const FixtureCase &c) {
    const int64_t n = c.size("n");
    run.expect("y", c.array("y", {n}), 1, false);
    CRS_CALL(add, (crs_add{n, c.scalar("scale"), run.input_if("x", {n}),
                           run.bench().updated("y", c.array("y_before", {n}))}));
}

void dense(FixtureRun &run, const FixtureCase &c) {
    const int64_t N = c.size("N"), I = c.size("I"), O = c.size("O");
    run.expect("dz", c.array("dz", {N, O}), double(I + 1), true);
    const crs_dense a = {N,
                         I,
                         O,
                         activation_of(c),
                         run.input("x", {N, I}),
                         run.input("W", {O, I}),
                         run.input("b", {O}),
                         run.output("y", {N, O}, double(I + 1), false),
                         run.bench().updated("dz", c.array("dy", {N, O})),
                         run.output_if("dx", {N, I}, double(I + O), true),
                         run.added("dW", {O, I}, double(I + N)),
                         run.added("db", {O}, double(I + N))};
    CRS_CALL(dense_forward, a);
    CRS_CALL(dense_backward, a);
}

/* Two numbers, one for each axis of a window. */
void window_axes(const FixtureCase &c, const char *field, int64_t to[2]) {
    const std::vector<double> &axes = c.array(field, {2});
    to[0] = static_cast<int64_t>(axes[0]);
    to[1] = static_cast<int64_t>(axes[1]);
}

crs_conv convolution(FixtureRun &run, const FixtureCase &c) {
    crs_conv a = {};
    const int64_t T = c.size("T"), B = c.size("B"), P = c.size("P"), I = c.size("I"), O = c.size("O");
    a.steps = {T, B, run.integers_if("start", {B}), run.integers_if("len", {B})};
    a.P = P;
    a.I = I;
    a.O = O;
    a.T_out = c.size("T_out");
    a.P_out = c.size("P_out");
    window_axes(c, "size", a.window.size);
    window_axes(c, "stride", a.window.stride);
    window_axes(c, "dilation", a.window.dilation);
    window_axes(c, "before", a.window.before);
    a.activation = activation_of(c);
    const int64_t columns = a.window.size[0] * a.window.size[1] * I;
    const Shape outputs = {a.T_out, B, a.P_out, O}, weights = {O, a.window.size[0], a.window.size[1], I};
    const double terms = double(columns + a.T_out * B * a.P_out + O);
    a.x = run.input_if("x", {T, B, P, I});
    a.ids = run.integers_if("ids", {T, B});
    a.W = run.input("W", weights);
    a.b = run.input("b", {O});
    a.y = run.output("y", outputs, double(columns + 1), false);
    run.expect("dz", c.array("dz", outputs), double(columns + 1), true);
    a.dy = run.bench().updated("dz", c.array("dy", outputs));
    a.dx = run.output_if("dx", {T, B, P, I}, terms, true);
    a.dW = run.added("dW", weights, terms);
    a.db = run.added("db", {O}, terms);
    return a;
}

void conv(FixtureRun &run, const FixtureCase &c) {
    crs_conv a = convolution(run, c);
    a.reserve = run.bench().scratch("reserve", run.ops().conv_reserve(run.handle(), &a));
    CRS_CALL(conv_forward, a);
    CRS_CALL(conv_backward, a);
}

void onehot(FixtureRun &run, const FixtureCase &c) {
    crs_conv a = convolution(run, c);
    a.reserve = run.bench().scratch("reserve", run.ops().onehot_reserve(run.handle(), &a));
    CRS_CALL(onehot_forward, a);
    CRS_CALL(onehot_backward, a);
}

void pool(FixtureRun &run, const FixtureCase &c) {
    const int64_t T = c.size("T"), B = c.size("B"), F = c.size("F");
    crs_pool a = {};
    a.steps = {T, B, run.integers_if("start", {B}), run.integers_if("len", {B})};
    a.F = F;
    a.kind =
        choice<crs_pool_kind>(c, "kind", {{"last", CRS_POOL_LAST}, {"mean", CRS_POOL_MEAN}, {"max", CRS_POOL_MAX}});
    a.x = run.input("x", {T, B, F});
    a.y = run.output("y", {B, F}, double(T), false);
    a.dy = run.input("dy", {B, F});
    a.dx = run.output("dx", {T, B, F}, double(T), true);
    if (a.kind == CRS_POOL_MAX) {
        run.expect("argmax", c.array("argmax", {B, F}), 1, false);
        a.argmax = run.bench().int_output("argmax", Layout(B * F));
    }
    CRS_CALL(pool_forward, a);
    CRS_CALL(pool_backward, a);
}

crs_window window_of(const FixtureCase &c) {
    crs_window window = {};
    for (const auto &[name, axes] : {std::pair("size", window.size), std::pair("stride", window.stride),
                                     std::pair("dilation", window.dilation), std::pair("before", window.before)})
        for (size_t axis = 0; axis < 2; axis++)
            axes[axis] = static_cast<int64_t>(c.array(name, {2})[axis]);
    return window;
}

void window_pool(FixtureRun &run, const FixtureCase &c) {
    const int64_t T = c.size("T"), B = c.size("B"), P = c.size("P"), F = c.size("F");
    crs_window_pool a = {};
    a.steps = {T, B, run.integers_if("start", {B}), run.integers_if("len", {B})};
    a.P = P;
    a.F = F;
    a.T_out = c.size("T_out");
    a.P_out = c.size("P_out");
    a.window = window_of(c);
    a.mean = choice<int>(c, "kind", {{"max", 0}, {"mean", 1}});
    const Shape outputs = {a.T_out, B, a.P_out, F};
    const double terms = double(a.window.size[0] * a.window.size[1]);
    a.x = run.input("x", {T, B, P, F});
    a.y = run.output("y", outputs, terms, false);
    a.dy = run.input("dy", outputs);
    a.dx = run.output("dx", {T, B, P, F}, terms, true);
    if (!a.mean) {
        run.expect("argmax", c.array("argmax", outputs), 1, false);
        a.argmax = run.bench().int_output("argmax", Layout(a.T_out * B * a.P_out * F));
    }
    CRS_CALL(window_pool_forward, a);
    CRS_CALL(window_pool_backward, a);
}

void flatten(FixtureRun &run, const FixtureCase &c) {
    const int64_t T = c.size("T"), B = c.size("B"), F = c.size("F");
    crs_flatten a = {};
    a.steps = {T, B, run.integers_if("start", {B}), run.integers_if("len", {B})};
    a.F = F;
    a.x = run.input("x", {T, B, F});
    a.y = run.output("y", {B, T * F}, 1, false);
    a.dy = run.input("dy", {B, T * F});
    a.dx = run.output("dx", {T, B, F}, 1, true);
    CRS_CALL(flatten_forward, a);
    CRS_CALL(flatten_backward, a);
}

/* A case that is not training has no gradients. */
void batch_norm(FixtureRun &run, const FixtureCase &c) {
    const int64_t T = c.size("T"), B = c.size("B"), P = c.size("P"), F = c.size("F");
    const Shape all = {T, B, P, F};
    const double terms = double(T * B * P);
    crs_batch_norm a = {};
    a.steps = {T, B, run.integers_if("start", {B}), run.integers_if("len", {B})};
    a.P = P;
    a.F = F;
    a.training = c.integer("training") != 0;
    a.momentum = c.scalar("momentum");
    a.epsilon = c.scalar("epsilon");
    a.gamma = run.input("gamma", {F});
    a.beta = run.input("beta", {F});
    a.running_mean = run.bench().updated("running_mean", c.array("running_mean_before", {F}));
    a.running_var = run.bench().updated("running_var", c.array("running_var_before", {F}));
    run.expect("running_mean", c.array("running_mean", {F}), terms, false);
    run.expect("running_var", c.array("running_var", {F}), terms, false);
    a.x = run.input("x", all);
    a.y = run.output("y", all, terms, false);
    a.reserve = run.bench().scratch("reserve", run.ops().batch_norm_reserve(run.handle(), &a));
    CRS_CALL(batch_norm_forward, a);
    if (!a.training)
        return;
    a.dy = run.input("dy", all);
    a.dx = run.output_if("dx", all, terms, true);
    a.dgamma = run.added("dgamma", {F}, terms);
    a.dbeta = run.added("dbeta", {F}, terms);
    CRS_CALL(batch_norm_backward, a);
}

void layer_norm(FixtureRun &run, const FixtureCase &c) {
    const int64_t N = c.size("N"), F = c.size("F");
    crs_layer_norm a = {};
    a.N = N;
    a.F = F;
    a.epsilon = c.scalar("epsilon");
    a.gamma = run.input("gamma", {F});
    a.beta = run.input("beta", {F});
    a.x = run.input("x", {N, F});
    a.y = run.output("y", {N, F}, double(F), false);
    a.reserve = run.bench().scratch("reserve", run.ops().layer_norm_reserve(run.handle(), &a));
    a.dy = run.input("dy", {N, F});
    a.dx = run.output_if("dx", {N, F}, double(F), true);
    a.dgamma = run.added("dgamma", {F}, double(N + F));
    a.dbeta = run.added("dbeta", {F}, double(N + F));
    CRS_CALL(layer_norm_forward, a);
    CRS_CALL(layer_norm_backward, a);
}

/* The sums in the state do not start from zero. A case without labels wants probabilities only. */
void loss(FixtureRun &run, const FixtureCase &c) {
    const int64_t B = c.size("B"), C = c.size("C");
    const double terms = double(B * C);
    crs_loss a = {};
    a.B = B;
    a.C = C;
    a.kind = choice<crs_loss_kind>(c, "kind",
                                   {{"softmax", CRS_SOFTMAX_CROSS_ENTROPY},
                                    {"sigmoid", CRS_SIGMOID_CROSS_ENTROPY},
                                    {"mse", CRS_MEAN_SQUARED_ERROR}});
    a.label_smoothing = c.scalar("label_smoothing");
    a.logits = run.input("logits", {B, C});
    a.labels = run.integers_if("labels", {B});
    a.class_weight = run.input_if("class_weight", {std::max<int64_t>(C, 2)});
    a.probabilities = run.output("probabilities", {B, C}, double(C), false);
    if (c.has("labels")) {
        crs_step_state before = at_step(5);
        before.loss_sum = 1.5;
        before.rows = 7;
        before.correct = 2;
        a.row_loss = run.output("row_loss", {B}, double(C), false);
        a.dlogits = run.output("dlogits", {B, C}, terms, true);
        a.state = run.bench().state_updated(before);
        run.expect("state.loss_sum", {before.loss_sum + c.scalar("loss_sum")}, terms, false);
        run.expect("state.rows", {double(before.rows) + double(B)}, 1, false);
        run.expect("state.correct", {double(before.correct) + c.scalar("correct")}, 1, false);
        run.expect("state.bad_step", {0}, 1, false);
    }
    CRS_CALL(loss, a);
}

void norm(FixtureRun &run, const FixtureCase &c) {
    const int64_t n = c.size("n");
    run.expect("state.grad_norm", {c.scalar("grad_norm")}, double(n), false);
    run.expect("state.grad_scale", {c.scalar("grad_scale")}, double(n), false);
    run.expect("state.bad_step", {0}, 1, false);
    CRS_CALL(norm, (crs_norm{n, run.input("g", {n}), c.scalar("max_norm"), run.bench().state_updated(at_step(5))}));
}

/* The sum in the state does not start from zero. */
void penalty(FixtureRun &run, const FixtureCase &c) {
    const int64_t n = c.size("n");
    crs_step_state before = at_step(5);
    before.loss_sum = 1.5;
    crs_penalty a = {};
    a.n = n;
    a.l1 = c.scalar("l1");
    a.l2 = c.scalar("l2");
    a.rows = c.size("rows");
    a.w = run.input("w", {n});
    a.g = run.added("g", {n}, 1);
    a.state = run.bench().state_updated(before);
    run.expect("state.loss_sum", {before.loss_sum + c.scalar("loss_sum")}, double(n), false);
    run.expect("state.bad_step", {0}, 1, false);
    CRS_CALL(penalty, a);
}

void max_norm(FixtureRun &run, const FixtureCase &c) {
    const int64_t N = c.size("N"), F = c.size("F");
    crs_step_state state = at_step(5);
    state.bad_step = c.integer("bad_step");
    run.expect("w", c.array("w", {N, F}), double(F), false);
    CRS_CALL(max_norm, (crs_max_norm{N, F, c.scalar("limit"), run.bench().updated("w", c.array("w_before", {N, F})),
                                     run.bench().state_input(state)}));
}

/* Row t of an array that has a row for each step. */
std::vector<double> row_of(const std::vector<double> &values, int64_t n, int64_t t) {
    return {values.begin() + t * n, values.begin() + (t + 1) * n};
}

/* After each step a copy of w, m and v is kept, which is what gets compared. m and v that the case does not list are
 * not wanted: NULL where the kind allows it. */
void optimizer(FixtureRun &run, const FixtureCase &c) {
    const int64_t n = c.size("n"), steps = c.size("steps");
    const uint64_t bad_step = c.integer("bad_step");
    crs_optimizer a = {};
    a.n = n;
    a.kind = choice<crs_optimizer_kind>(
        c, "kind", {{"sgd", CRS_SGD}, {"rmsprop", CRS_RMSPROP}, {"adam", CRS_ADAM}, {"adamw", CRS_ADAMW}});
    a.momentum = c.scalar("momentum");
    a.rho = c.scalar("rho");
    a.beta1 = c.scalar("beta1");
    a.beta2 = c.scalar("beta2");
    a.epsilon = c.scalar("epsilon");
    a.weight_decay = c.scalar("weight_decay");
    a.nesterov = c.integer("nesterov") != 0;
    const size_t bytes = static_cast<size_t>(n) * run.ops().real_size;
    a.w = run.bench().scratch("w", bytes);
    const void *start = run.bench().input("w_before", c.array("w_before", {n}));
    run.check("copy", run.ops().copy(run.handle(), a.w, start, bytes));
    const bool momentum = a.momentum != 0, adam = a.kind == CRS_ADAM || a.kind == CRS_ADAMW;
    void **moments[] = {&a.m, &a.v};
    const bool wanted[] = {momentum || adam, a.kind != CRS_SGD};
    for (int k = 0; k < 2; k++)
        if (wanted[k]) {
            *moments[k] = run.bench().scratch(k ? "v" : "m", bytes);
            run.check("fill", run.ops().fill(run.handle(), *moments[k], 0, bytes));
        }
    for (int64_t t = 0; t < steps; t++) {
        crs_step_state state = at_step(static_cast<uint64_t>(t) + 1);
        state.lr = c.array("lr", {steps})[static_cast<size_t>(t)];
        state.grad_scale = c.array("grad_scale", {steps})[static_cast<size_t>(t)];
        state.bad_step = bad_step && state.step >= bad_step ? bad_step : 0;
        a.state = run.bench().state_input(state);
        a.g = run.bench().input("g", row_of(c.array("g", {steps, n}), n, t));
        CRS_CALL(optimizer, a);
        const std::pair<const char *, void *> tensors[] = {{"w", a.w}, {"m", a.m}, {"v", a.v}};
        for (const auto &[name, memory] : tensors) {
            if (!memory || (bad_step && *name != 'w'))
                continue;
            const std::string copy = name + std::string(" after step ") + std::to_string(t + 1);
            run.expect(copy, row_of(c.array(name, {steps, n}), n, t), double(4 * steps), false);
            run.check("copy", run.ops().copy(run.handle(), run.bench().output(copy, n), memory, bytes));
        }
    }
}

/* The learning rate is a double on every backend, and so is its bound. */
void schedule(FixtureRun &run, const FixtureCase &c) {
    const int64_t count = c.size("count");
    crs_schedule a = {};
    a.kind =
        choice<crs_schedule_kind>(c, "kind", {{"constant", CRS_CONSTANT}, {"step", CRS_STEP}, {"cosine", CRS_COSINE}});
    a.base_lr = c.scalar("base_lr");
    a.floor_lr = c.scalar("floor_lr");
    a.rate = c.scalar("rate");
    a.warmup = static_cast<int64_t>(c.integer("warmup"));
    a.every = c.size("every");
    a.total = c.size("total");
    a.state = run.bench().state_updated(at_step(0));
    run.expect("state.step", {double(count)}, 1, false);
    const std::vector<double> &want = c.array("lr", {count});
    std::vector<double> got;
    for (int64_t s = 0; s < count; s++) {
        crs_step_state state = {};
        CRS_CALL(schedule, a);
        run.check("download", run.ops().download(run.handle(), &state, a.state, sizeof state));
        got.push_back(state.lr);
    }
    run.check(compare("lr", got, want, {tolerance_of(sizeof(double), double(count), false), 0}));
}

struct Operation {
    const char *name;
    void (*run)(FixtureRun &run, const FixtureCase &fixture);
    size_t cases; /* a case that got lost is noticed */
};

const Operation operations[] = {{"embedding", embedding, 4},
                                {"dropout", dropout, 9},
                                {"add", add, 4},
                                {"rnn", fixture_rnn, 20},
                                {"lstm", fixture_lstm, 15},
                                {"gru", fixture_gru, 18},
                                {"dense", dense, 9},
                                {"conv", conv, 13},
                                {"onehot", onehot, 9},
                                {"pool", pool, 13},
                                {"batch_norm", batch_norm, 7},
                                {"layer_norm", layer_norm, 5},
                                {"window_pool", window_pool, 14},
                                {"flatten", flatten, 4},
                                {"loss", loss, 27},
                                {"penalty", penalty, 5},
                                {"norm", norm, 5},
                                {"optimizer", optimizer, 15},
                                {"max_norm", max_norm, 6},
                                {"schedule", schedule, 9}};

Verdict check_case(const Operation &operation, const Device &device, const FixtureCase &fixture,
                   std::set<std::string> *slots) {
    FixtureRun run(device, fixture, slots);
    operation.run(run, fixture);
    CRS_TRY(run.finish().in(fixture.name()));
    const std::string unread = fixture.unread();
    return unread.empty() ? Verdict::pass() : Verdict::fail(fixture.name() + ": not compared: " + unread);
}

std::string path_of(const Operation &operation) {
    return std::string(CRS_FIXTURES) + "/" + operation.name + ".txt";
}

void check_operation(const Operation &operation, const Backend &backend, std::set<std::string> *slots) {
    const Device device(backend, 2);
    ASSERT_TRUE(device.opened().ok()) << device.opened().why();
    const std::vector<FixtureCase> cases = fixture_load(path_of(operation));
    EXPECT_EQ(cases.size(), operation.cases) << path_of(operation);
    for (const FixtureCase &fixture : cases) {
        const Verdict verdict = check_case(operation, device, fixture, slots);
        EXPECT_TRUE(verdict.ok()) << operation.name << " of " << backend.name << ", " << verdict.why();
    }
}

class Fixtures : public testing::TestWithParam<std::pair<size_t, Backend>> {};

TEST_P(Fixtures, AgreeWithPyTorch) {
    CRS_SKIP_WITHOUT_DEVICE(Device(GetParam().second, 1));
    std::set<std::string> slots;
    check_operation(operations[GetParam().first], GetParam().second, &slots);
    EXPECT_FALSE(slots.empty());
}

std::vector<std::pair<size_t, Backend>> every_operation() {
    std::vector<std::pair<size_t, Backend>> all;
    for (size_t i = 0; i < std::size(operations); i++)
        for (const Backend &backend : backends_for(operations[i].name))
            all.emplace_back(i, backend);
    return all;
}

INSTANTIATE_TEST_SUITE_P(Operations, Fixtures, testing::ValuesIn(every_operation()), [](const auto &param) {
    return std::string(operations[param.param.first].name) + "_" + param.param.second.name;
});

/* What is malformed is told with file and line. */
TEST(FixtureFiles, AreCheckedWhenRead) {
    const std::pair<const char *, const char *> bad[] = {
        {"", "f:0: "},
        {"# nothing\n", "f:0: "},
        {"scalar n 1\n", "f:1: a case must come first"},
        {"case\n", "f:1: case needs a name"},
        {"case a b\n", "f:1: a case has one name"},
        {"case a\nscalar n 1\n\ncase a\n", "f:4: a case has one name"},
        {"case a\nvector n 1\n", "f:2: unknown keyword 'vector'"},
        {"case a\nscalar n 1\nword n b\n", "f:3: n stands twice"},
        {"case a\nscalar n\n", "f:2: n needs one value"},
        {"case a\nscalar n 1 2\n", "f:2: n needs one value"},
        {"case a\nscalar n 1x\n", "f:2: not a finite number: '1x'"},
        {"case a\nscalar n nan\n", "f:2: not a finite number: 'nan'"},
        {"case a\narray x 2 3\n", "f:2: an array needs dimensions and a ':'"},
        {"case a\narray x : 1\n", "f:2: an array needs dimensions and a ':'"},
        {"case a\narray x 0 :\n", "f:2: a dimension must be"},
        {"case a\narray x 1.5 : 1\n", "f:2: a dimension must be"},
        {"case a\narray x 9999 9999 : 1\n", "f:2: a dimension must be"},
        {"case a\narray x 2 2 : 1 2 3\n", "f:2: 3 values where the dimensions say 4"},
        {"case a\narray x 2 : 1 inf\n", "f:2: not a finite number: 'inf'"},
    };
    for (const auto &[text, want] : bad) {
        std::istringstream in(text);
        try {
            fixture_parse(in, "f");
            ADD_FAILURE() << "accepted: " << text;
        } catch (const FixtureError &error) {
            EXPECT_EQ(std::string(error.what()).rfind(want, 0), 0u) << error.what();
        }
    }
    EXPECT_THROW(fixture_load(std::string(CRS_FIXTURES) + "/no-such-file.txt"), FixtureError);
}

TEST(FixtureFiles, KnowWhatWasReadOfThem) {
    std::istringstream in("case a\nscalar n 2\nscalar seed 18446744073709551615\narray x 2 1 : 1 -0.5\nword kind b\n");
    const FixtureCase fixture = fixture_parse(in, "f").at(0);
    EXPECT_EQ(fixture.unread(), "kind n seed x");
    EXPECT_EQ(fixture.size("n"), 2);
    EXPECT_EQ(fixture.integer("seed"), UINT64_MAX);
    EXPECT_EQ(fixture.array("x", {2, 1}), (std::vector<double>{1, -0.5}));
    EXPECT_THROW(fixture.array("x", {1, 2}), FixtureError);
    EXPECT_THROW(fixture.array("y", {2, 1}), FixtureError);
    EXPECT_THROW(fixture.scalar("kind"), FixtureError);
    EXPECT_THROW(fixture.size("seed"), FixtureError);
    EXPECT_EQ(fixture.unread(), "kind");
}

/* A slot that is added to the table must come with fixtures. */
TEST(FixturesAsAWhole, ExerciseEverySlot) {
    std::set<std::string> slots;
    for (const Operation &operation : operations)
        check_operation(operation, oracle(), &slots);
#define SLOT(slot, args) EXPECT_TRUE(slots.count(#slot)) << "no fixture of " #slot;
    CRS_COMPUTE_SLOTS(SLOT)
#undef SLOT
}

} // namespace
