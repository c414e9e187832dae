/* Training on every float backend beside the double one: from the same weights, over the same batches and masks, twenty
 * steps give the same losses and end at the same weights. */
#include "network.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace {

struct Case {
    const char *name, *line;
    crs_optimizer_kind optimizer;
    double lr, clip_norm;
    int64_t H; /* of the widest recurrent layer */
    crs::Padding padding;
};

const Case cases[] = {
    {"sgd_rnn", "embedding 6 | rnn 8 | dense", CRS_SGD, 0.1, 0, 8, crs::Padding::post},
    {"sgd_clipped_lstm", "embedding 6 | lstm 8 | dense", CRS_SGD, 0.5, 0.1, 8, crs::Padding::pre},
    {"rmsprop_birnn", "embedding 6 | birnn 5 seq | mean | dense", CRS_RMSPROP, 0.001, 0, 5, crs::Padding::counted},
    {"adam_bilstm", "embedding 8 | dropout 0.2 | bilstm 8 seq recurrent_dropout=0.2 | max | dropout 0.3 | dense",
     CRS_ADAM, 0.01, 0, 8, crs::Padding::post},
    {"adam_stack", "embedding 8 | lstm 36 seq dropout=0.2 | lstm 7 reverse | dense 9 relu | dense", CRS_ADAM, 0.01, 1,
     36, crs::Padding::pre},
    {"adam_wide_lstm", "embedding 6 | lstm 66 | dense", CRS_ADAM, 0.01, 0, 66, crs::Padding::post},
    {"adamw_frozen", "embedding 6 frozen | bilstm 5 sum | dense 4 tanh | dense", CRS_ADAMW, 0.01, 0, 5,
     crs::Padding::post},
};
enum { STEPS = 20, BATCHES = 4 };

/* Takes the steps; false where a call failed. Every step's mean loss is appended to losses. */
bool train(const Case &c, const crs::BackendHandle &backend, std::vector<double> *losses,
           std::vector<double> *weights) {
    const crs_model_task task = crs::task_of(3, 20, 8);
    const crs::Model model = crs::build_model(c.line, task, backend);
    crs_training training = crs::training_of(c.optimizer, c.lr);
    training.optimizer.momentum = c.optimizer == CRS_SGD ? 0.5 : 0;
    training.optimizer.weight_decay = c.optimizer == CRS_ADAMW ? 0.01 : 0;
    training.schedule.kind = CRS_COSINE;
    training.schedule.warmup = 3;
    training.schedule.total = STEPS;
    training.clip_norm = c.clip_norm;
    if (!model)
        return false;
    /* As float, so that all start alike. */
    *weights = crs::parameters_of(model);
    for (double &weight : *weights)
        weight = static_cast<float>(weight);
    if (crs_model_prepare(model.get(), 8, 6, &training, nullptr) != CRS_OK ||
        crs_model_set_parameters(model.get(), weights->data()) != CRS_OK)
        return false;
    for (int step = 0; step < STEPS; step++) {
        const crs::RandomBatch batch(8 - step % BATCHES, 6, task, c.padding,
                                     100 + static_cast<uint64_t>(step % BATCHES));
        const crs_batch input = batch.get();
        crs_step_state state;
        if (crs_model_step(model.get(), &input) != CRS_OK || crs_model_state(model.get(), 1, &state) != CRS_OK ||
            state.step != static_cast<uint64_t>(step) + 1 || state.bad_step != 0)
            return false;
        losses->push_back(state.loss_sum / static_cast<double>(state.rows));
    }
    *weights = crs::parameters_of(model);
    return true;
}

class Parity : public testing::TestWithParam<std::pair<size_t, crs::Backend>> {};

/* An error of a step is carried on by the next ones, hence steps times what one gradient is held to (1e-5). Weights are
 * compared whole: where a gradient is next to nothing, Adam divides noise by noise. */
TEST_P(Parity, TwentyStepsGiveTheSameLosses) {
    const auto &[index, backend] = GetParam();
    const double tolerance = STEPS * 1e-5;
    CRS_SKIP_WITHOUT_DEVICE(crs::Device(backend, 1));
    std::vector<double> got, want, got_weights, want_weights;
    ASSERT_TRUE(train(cases[index], crs::open_backend(backend), &got, &got_weights));
    ASSERT_TRUE(train(cases[index], crs::open_backend("cpu-double"), &want, &want_weights));
    ASSERT_EQ(want.size(), static_cast<size_t>(STEPS));
    EXPECT_LT(want.back(), want.front()) << "nothing was learnt, so nothing was compared";
    for (size_t step = 0; step < got.size(); step++)
        EXPECT_TRUE(std::fabs(got[step] - want[step]) <= tolerance * want[step])
            << "step " << step + 1 << ": " << got[step] << " and " << want[step];
    const crs::Verdict verdict = crs::compare("weights", got_weights, want_weights, {tolerance, 0});
    EXPECT_TRUE(verdict.ok()) << verdict.why();
}

std::vector<std::pair<size_t, crs::Backend>> cases_and_backends() {
    std::vector<std::pair<size_t, crs::Backend>> all;
    for (const crs::Backend &backend : crs::backends_for("lstm"))
        for (size_t i = 0; i < std::size(cases) && backend.ops->real_size == sizeof(float); i++)
            if (backend.largest_H == 0 || cases[i].H <= backend.largest_H)
                all.emplace_back(i, backend);
    return all;
}

INSTANTIATE_TEST_SUITE_P(Training, Parity, testing::ValuesIn(cases_and_backends()), [](const auto &param) {
    return param.param.second.name + "_" + cases[param.param.first].name;
});

} // namespace
