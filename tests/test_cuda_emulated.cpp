/* What only an emulated GPU can be made to do: let every single call fail, run out of memory at every size, be an old
 * one or have no driver, and tell whether a step waited. */
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
    const crs_device_options options = {-1, 0, nullptr, precision};
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

/* Once the largest scratch is there, a step waits for nothing, and allocates nothing. */
TEST_F(CudaEmulated, AStepWaitsForNothing) {
    const crs::BackendHandle backend = crs::open_backend("cuda");
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
}

} // namespace
