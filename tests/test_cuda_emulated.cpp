/* What only an emulated GPU can be made to do: let every single call fail, run out of memory at every size, be an old
 * one or have no driver, and tell whether a step waited. */
#include "command.hpp"
#include "network.hpp"

#include "cuhost/cuhost_test.h"

#include <gtest/gtest.h>

namespace {

const crs_model_task task = crs::task_of(3, 20, 8);
/* Every operation of the table, and both variants of recurrent layers. */
const char *const line =
    "embedding 4 | dropout 0.2 | bilstm 5 seq sum recurrent_dropout=0.2 dropout=0.1 | lstm 66 seq | "
    "rnn 3 seq recurrent_dropout=0.1 | max | dense 4 tanh | dense";

crs_training training_of_everything() {
    crs_training training = crs::training_of(CRS_ADAM, 0.01);
    training.clip_norm = 1;
    return training;
}

crs::BackendHandle open_with(crs_graphs graphs) {
    crs_backend *backend = nullptr;
    const crs_device_options options = {-1, 0, nullptr, CRS_FLOAT32, graphs};
    crs_backend_open("cuda", &options, &backend, nullptr);
    return crs::BackendHandle(backend);
}

/* A training step and a prediction, from opening the backend to closing it. Where a call fails, the reason is in why.
 * calls: how many could have failed, closing left out, where there is nobody left to tell. */
crs_status whole_life(std::string *why, long *calls = nullptr) {
    crs_backend *opened = nullptr;
    crs_error error = {};
    crs_status status = crs_backend_open("cuda", nullptr, &opened, &error);
    *why = error.what;
    if (status != CRS_OK)
        return status;
    const crs::BackendHandle backend(opened);
    const crs::Model model = crs::build_model(line, task, backend, &error);
    const crs_training training = training_of_everything();
    status = model ? crs_model_prepare(model.get(), 8, 6, &training, &error) : error.status;
    *why = error.what;
    if (status != CRS_OK)
        return status;
    const crs::RandomBatch batch(8, 6, task, crs::Padding::pre, 1);
    const crs_batch input = batch.get();
    std::vector<double> gradients(static_cast<size_t>(crs_model_trainable(model.get())));
    crs_step_state state;
    status = crs_model_step(model.get(), &input);
    if (status == CRS_OK)
        status = crs_model_state(model.get(), 1, &state);
    if (status == CRS_OK)
        status = crs_model_keep(model.get());
    if (status == CRS_OK)
        status = crs_model_restore(model.get());
    std::vector<float> probabilities(6 * 3);
    if (status == CRS_OK)
        status = crs_model_predict(model.get(), &input, nullptr, probabilities.data(), nullptr);
    if (status == CRS_OK)
        status = crs_model_get_gradients(model.get(), gradients.data());
    *why = crs_backend_failure(backend.get(), status);
    if (calls)
        *calls = cuhost_fail_at(0);
    return status;
}

class CudaEmulated : public testing::Test {
  protected:
    void SetUp() override {
        cuhost_devices(1, 80);
    }
    void TearDown() override {
        cuhost_fail_at(0);
        cuhost_memory((size_t)1 << 34);
        cuhost_driver(1);
        cuhost_devices(1, 80);
        EXPECT_EQ(cuhost_alive(), 0) << "something was not freed";
    }
};

/* ---- failures ---- */

TEST_F(CudaEmulated, EveryCallThatFailsIsReportedAndNothingLeaks) {
    std::string why;
    long calls = 0;
    cuhost_fail_at(0);
    ASSERT_EQ(whole_life(&why, &calls), CRS_OK) << why;
    ASSERT_EQ(cuhost_alive(), 0);
    ASSERT_GT(calls, 100);
    for (long n = 1; n <= calls; n++) {
        cuhost_fail_at(n);
        const crs_status status = whole_life(&why);
        cuhost_statistics statistics;
        cuhost_get_statistics(&statistics);
        ASSERT_NE(status, CRS_OK) << "call " << n << " of " << calls << " failed, and nobody noticed";
        EXPECT_TRUE(status == CRS_ERR_BACKEND || status == CRS_ERR_MEMORY || status == CRS_ERR_NO_DEVICE) << status;
        EXPECT_FALSE(why.empty()) << n;
        EXPECT_EQ(why.find('\n'), std::string::npos) << why;
        ASSERT_EQ(cuhost_alive(), 0) << "call " << n << " of " << calls << ": " << why;
    }
    cuhost_fail_at(0);
    EXPECT_EQ(whole_life(&why), CRS_OK) << "the process goes on: " << why;
}

TEST_F(CudaEmulated, MemoryThatIsOutIsToldWithSizes) {
    std::string why;
    int failed = 0;
    ASSERT_EQ(whole_life(&why), CRS_OK) << why;
    for (size_t size = (size_t)1 << 20; size <= (size_t)1 << 27; size += (size_t)1 << 24) {
        cuhost_memory(size);
        const crs_status status = whole_life(&why);
        EXPECT_TRUE(status == CRS_OK || (status == CRS_ERR_MEMORY && why.find("MiB") != std::string::npos))
            << size << ": " << status << ", " << why;
        EXPECT_EQ(cuhost_alive(), 0);
        failed += status != CRS_OK;
    }
    EXPECT_GT(failed, 0);
}

/* ---- devices ---- */

void expect_unusable(const char *spec, crs_status want, const char *part, crs_precision precision = CRS_FLOAT32) {
    const crs_device_options options = {-1, 0, nullptr, precision, CRS_GRAPHS_AUTO};
    crs_backend *backend = nullptr;
    crs_error error = {};
    EXPECT_EQ(crs_backend_open(spec, &options, &backend, &error), want);
    EXPECT_NE(std::string(error.what).find(part), std::string::npos) << error.what;
    crs_backend_close(backend);
}

TEST_F(CudaEmulated, SaysWhyNoDeviceIsUsable) {
    cuhost_devices(0, 90);
    expect_unusable("cuda", CRS_ERR_NO_DEVICE, "no NVIDIA GPU is visible");
    EXPECT_NE(std::string(crs_backend_describe(crs::open_backend("auto").get())).find("no NVIDIA GPU is visible"),
              std::string::npos);
    cuhost_driver(0);
    expect_unusable("cuda", CRS_ERR_NO_DEVICE, "no NVIDIA driver, or one older than CUDA");
    cuhost_driver(1);
    cuhost_devices(1, 60); /* older than any code in the build */
    expect_unusable("cuda", CRS_ERR_NO_DEVICE, "GPU 0 cannot be used");
    expect_unusable("cuda:0", CRS_ERR_NO_DEVICE, "GPU 0 cannot be used");
    cuhost_devices(1, 75);
    expect_unusable("cuda", CRS_ERR_UNSUPPORTED, "has no TF32", CRS_TF32);
    EXPECT_TRUE(crs::open_backend("cuda"));
}

TEST_F(CudaEmulated, OpensTheDeviceAskedFor) {
    cuhost_devices(3, 90);
    const crs::BackendHandle backend = crs::open_backend("cuda:2");
    ASSERT_TRUE(backend);
    EXPECT_NE(std::string(crs_backend_describe(backend.get())).find("GPU 2"), std::string::npos);
    expect_unusable("cuda:3", CRS_ERR_NO_DEVICE, "no GPU number 3: 3 visible");
    /* Two devices in turn, and each model's memory on its own. */
    const crs::BackendHandle other = crs::open_backend("cuda:1");
    const crs_training training = training_of_everything();
    const crs::RandomBatch batch(8, 6, task, crs::Padding::pre, 1);
    const crs_batch input = batch.get();
    std::vector<double> weights[2];
    const crs::Model models[2] = {crs::build_model(line, task, backend), crs::build_model(line, task, other)};
    for (const crs::Model &model : models)
        ASSERT_EQ(crs_model_prepare(model.get(), 8, 6, &training, nullptr), CRS_OK);
    for (int step = 0; step < 2; step++)
        for (const crs::Model &model : models)
            ASSERT_EQ(crs_model_step(model.get(), &input), CRS_OK);
    for (int i = 0; i < 2; i++)
        weights[i] = crs::parameters_of(models[i]);
    EXPECT_FALSE(weights[0].empty());
    EXPECT_EQ(weights[0], weights[1]);
}

/* ---- queueing ---- */

/* Once the largest scratch is there, a step waits for nothing, and allocates nothing, recorded or not. */
void expect_no_waiting(crs_graphs graphs) {
    const crs::BackendHandle backend = open_with(graphs);
    const crs::Model model = crs::build_model(line, task, backend);
    const crs_training training = training_of_everything();
    const crs::RandomBatch batch(8, 6, task, crs::Padding::pre, 1);
    const crs_batch input = batch.get();
    cuhost_statistics before, after;
    ASSERT_EQ(crs_model_prepare(model.get(), 8, 6, &training, nullptr), CRS_OK);
    ASSERT_EQ(crs_model_step(model.get(), &input), CRS_OK);
    cuhost_get_statistics(&before);
    for (int step = 0; step < 3; step++)
        ASSERT_EQ(crs_model_step(model.get(), &input), CRS_OK);
    cuhost_get_statistics(&after);
    EXPECT_EQ(after.synchronizations, before.synchronizations);
    EXPECT_EQ(after.device_blocks, before.device_blocks);
    crs_step_state state;
    ASSERT_EQ(crs_model_state(model.get(), 0, &state), CRS_OK);
    EXPECT_EQ(state.step, 4u);
    cuhost_get_statistics(&after);
    EXPECT_GT(after.launches, before.launches);
    EXPECT_GT(after.synchronizations, before.synchronizations) << "a download waits, and the count would show it";
    EXPECT_EQ(after.graph_launches - before.graph_launches, graphs == CRS_GRAPHS_OFF ? 0 : 3);
    EXPECT_EQ(after.executable_graphs, graphs == CRS_GRAPHS_OFF ? 0 : 1);
    EXPECT_EQ(after.graphs, 0);
}

TEST_F(CudaEmulated, AStepWaitsForNothing) {
    for (const crs_graphs graphs : {CRS_GRAPHS_AUTO, CRS_GRAPHS_OFF})
        expect_no_waiting(graphs);
}

/* ---- graphs ---- */

/* Steps of one shape. Where a call fails, the reason is in why; what the device says of itself then, in description. */
struct Steps {
    crs_status status = CRS_OK;
    std::string why, description;
    std::vector<double> weights;
    std::vector<long> calls; /* that could fail, of each step */
};

/* With the n-th call of step number `faulty` failing (n 0: none, and the calls are counted). */
Steps take_steps(crs_graphs graphs, int faulty, long n) {
    const crs::BackendHandle backend = open_with(graphs);
    const crs::Model model = crs::build_model("embedding 4 | dropout 0.2 | lstm 5 | dense", task, backend);
    const crs_training training = training_of_everything();
    const crs::RandomBatch batch(4, 3, task, crs::Padding::pre, 1);
    const crs_batch input = batch.get();
    Steps taken;
    taken.status = crs_model_prepare(model.get(), 4, 3, &training, nullptr);
    for (int step = 1; step <= 4 && taken.status == CRS_OK; step++) {
        cuhost_fail_at(step == faulty ? n : 0);
        taken.status = crs_model_step(model.get(), &input);
        taken.calls.push_back(cuhost_fail_at(0));
    }
    taken.why = crs_backend_failure(backend.get(), taken.status);
    taken.description = crs_backend_describe(backend.get());
    if (taken.status == CRS_OK) {
        taken.weights = crs::parameters_of(model);
    } else {
        crs_step_state state;
        EXPECT_EQ(crs_model_step(model.get(), &input), CRS_OK) << "after " << taken.why;
        EXPECT_EQ(crs_model_state(model.get(), 0, &state), CRS_OK);
        EXPECT_GT(state.step, 0u);
    }
    return taken;
}

/* A recorded step is an upload and a launch, whatever the network. */
TEST_F(CudaEmulated, ARecordedStepIsOneLaunch) {
    const Steps plain = take_steps(CRS_GRAPHS_OFF, 0, 0), recorded = take_steps(CRS_GRAPHS_AUTO, 0, 0);
    ASSERT_EQ(plain.calls.size(), 4u);
    ASSERT_EQ(recorded.calls.size(), 4u);
    EXPECT_GT(plain.calls[3], 30);
    EXPECT_GE(recorded.calls[1], plain.calls[1]);
    EXPECT_LE(recorded.calls[2], 4) << "two slots choose the device, a copy, a launch";
    EXPECT_EQ(recorded.calls[3], recorded.calls[2]);
    EXPECT_EQ(recorded.weights, plain.weights);
}

/* Every single call of the step that is recorded, and of one that is replayed. What fails around a recording is made up
 * for and told; what fails otherwise is the step's error. Either way nothing leaks, and the next step works. */
TEST_F(CudaEmulated, EveryCallAroundARecordingMayFail) {
    const Steps good = take_steps(CRS_GRAPHS_AUTO, 0, 0);
    ASSERT_EQ(good.status, CRS_OK) << good.why;
    ASSERT_NE(good.description.find("graphs=auto"), std::string::npos) << good.description;
    int made_up_for = 0, reported = 0;
    for (const int step : {2, 3})
        for (long n = 1; n <= good.calls[static_cast<size_t>(step) - 1]; n++) {
            const Steps taken = take_steps(CRS_GRAPHS_AUTO, step, n);
            SCOPED_TRACE("call " + std::to_string(n) + " of step " + std::to_string(step));
            if (taken.status == CRS_OK) {
                EXPECT_NE(taken.description.find("graphs=off, as a recording failed: cu"), std::string::npos)
                    << taken.description;
                EXPECT_EQ(taken.weights, good.weights);
                made_up_for++;
            } else {
                EXPECT_FALSE(taken.why.empty());
                reported++;
            }
            EXPECT_EQ(taken.description.find('\n'), std::string::npos);
            ASSERT_EQ(cuhost_alive(), 0) << taken.why;
        }
    EXPECT_GT(made_up_for, 30);
    EXPECT_EQ(reported, 6) << "choosing the device for the upload, the upload, and choosing it for the step, twice";
}

/* One of a few neighbouring calls in the middle of a training is the launch of a recording. */
TEST_F(CudaEmulated, TheCommandSaysThatItStoppedRecording) {
    const Folder folder;
    int told = 0;
    for (long n = 300; n < 330 && !told; n++) {
        setenv("CUHOST_FAIL_AT", std::to_string(n).c_str(), 1);
        const Result trained =
            carousel({"train", CRS_DATA "/phrases/train.tsv", "-o", folder / "m.safetensors", "--overwrite",
                      "--no-curves", "--backend", "cuda", "--epochs", "6", "--batch", "8", "--validation", "0",
                      "--length", "8", "--model", "embedding 2 | flatten | dense"});
        unsetenv("CUHOST_FAIL_AT");
        EXPECT_TRUE(has(trained.err, "graphs=auto\n")) << trained.err;
        told += trained.status == 0 && has(trained.err, "graphs=off, as a recording failed: cudaGraphLaunch");
    }
    EXPECT_EQ(told, 1);
}

} // namespace
