/* Work that comes back, recorded as CUDA graphs, on a real GPU or an emulated one: a recording does what the calls did,
 * to the bit, whatever the network and however shapes change; it is never run where memory has moved; there is an end
 * to how many there are; and what fails around it leaves the device as it was. What a fault of the runtime does is
 * test_cuda_emulated.cpp's. */
#include "network.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace {

const crs_model_task task = crs::task_of(3, 20, 8);

crs::BackendHandle open_with(crs_graphs graphs, const char *lstm = nullptr) {
    crs_backend *backend = nullptr;
    const crs_device_options options = {-1, 0, lstm, CRS_FLOAT32, graphs};
    crs_backend_open("cuda", &options, &backend, nullptr);
    return crs::BackendHandle(backend);
}

bool says(const crs::BackendHandle &backend, const char *what) {
    return strstr(crs_backend_describe(backend.get()), what) != nullptr;
}

const crs::Backend &cuda() {
    static const std::vector<crs::Backend> all = crs::backends_for("add");
    for (const crs::Backend &backend : all)
        if (backend.name == "cuda")
            return backend;
    throw std::logic_error("no backend under test is called cuda");
}

/* ---- whole networks ---- */

struct Network {
    const char *name, *line, *lstm;
};

/* Every kind of layer, both variants of the LSTM, penalties and bounds. */
const Network networks[] = {
    {"stack",
     "embedding 4 | spatial_dropout 0.2 | bilstm 5 seq sum recurrent_dropout=0.2 dropout=0.1 | lstm 66 seq | "
     "rnn 3 seq recurrent_dropout=0.1 | max | dropout 0.3 | dense 4 tanh | dense",
     nullptr},
    {"lstm_steps", "embedding 4 | bilstm 5 seq recurrent_dropout=0.2 | lstm 6 reverse | dense", "steps"},
    {"gru", "embedding 4 l2=0.01 | bigru 5 seq mean | gru 4 before recurrent_dropout=0.1 seq | gru 4 | dense", nullptr},
    {"birnn", "embedding 4 | birnn 5 seq relu | mean | dense 4 relu | dense", nullptr},
    {"pictures",
     "embedding 4 | conv2d 3 2x2 l1=0.001 max_norm=0.5 | batchnorm | maxpool2d 2x2 stride=1 | conv2d 2 2x1 same relu | "
     "avgpool2d 1x2 | conv2d 2 1 | max | dense",
     nullptr},
    {"windows", "embedding 4 | conv 5 3 same relu | maxpool 2 | layernorm | conv 4 2 causal | avgpool 2 | last | dense",
     nullptr},
    {"onehot", "onehot | conv 5 3 same relu l2=0.01 | lstm 4 | dense", nullptr},
    {"frozen", "embedding 4 frozen | lstm 4 | dense", nullptr},
    {"flatten", "embedding 4 | avgpool 3 same stride=2 | flatten | dense", nullptr},
};

void PrintTo(const Network &network, std::ostream *out) {
    *out << network.name;
}

/* What training leaves behind, at every step and in the end. */
struct Course {
    std::vector<crs_step_state> states;
    std::vector<double> gradients, parameters;
    std::vector<float> probabilities;
};

bool operator==(const crs_step_state &a, const crs_step_state &b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

crs_training training_of_everything(int64_t steps) {
    static const double class_weight[] = {1, 0.5, 2};
    crs_training training = crs::training_of(CRS_ADAM, 0.01);
    training.class_weight = class_weight;
    training.clip_norm = 0.5;
    training.schedule.kind = CRS_COSINE;
    training.schedule.warmup = 3;
    training.schedule.total = steps;
    return training;
}

/* One shape of a batch. */
struct Shape {
    int64_t T, B;
    crs::Padding padding;
};

/* Each comes often enough to be recorded and replayed, among the others, and with other ids and lengths each time. */
const Shape shapes[] = {{8, 6, crs::Padding::pre},  {8, 6, crs::Padding::pre},     {8, 6, crs::Padding::pre},
                        {7, 6, crs::Padding::post}, {8, 6, crs::Padding::counted}, {8, 6, crs::Padding::pre},
                        {8, 5, crs::Padding::pre},  {7, 6, crs::Padding::post},    {8, 6, crs::Padding::counted},
                        {8, 5, crs::Padding::pre},  {7, 6, crs::Padding::post},    {8, 6, crs::Padding::counted},
                        {8, 6, crs::Padding::pre},  {8, 5, crs::Padding::pre}};

/* Steps, with gradients and a prediction between them. Empty where a call failed. */
Course train(const crs::BackendHandle &backend, const char *line) {
    const crs::Model model = crs::build_model(line, task, backend);
    const crs_training training = training_of_everything(20);
    Course course;
    if (!model || crs_model_prepare(model.get(), 8, 6, &training, nullptr) != CRS_OK)
        return course;
    uint64_t seed = 1;
    for (const Shape &shape : shapes) {
        const int64_t T = crs_model_needs_full_length(model.get(), 0) ? task.length : shape.T;
        const crs::RandomBatch batch(T, shape.B, task, shape.padding, seed++);
        const crs_batch input = batch.get();
        crs_step_state state;
        std::vector<float> probabilities(static_cast<size_t>(3 * shape.B));
        for (int hold = 0; hold < 2; hold++)
            if (crs_model_gradient(model.get(), &input, hold) != CRS_OK)
                return {};
        if (crs_model_step(model.get(), &input) != CRS_OK ||
            crs_model_predict(model.get(), &input, nullptr, probabilities.data(), nullptr) != CRS_OK ||
            crs_model_state(model.get(), seed % 3 == 0, &state) != CRS_OK)
            return {};
        course.states.push_back(state);
        course.probabilities.insert(course.probabilities.end(), probabilities.begin(), probabilities.end());
    }
    course.gradients.resize(static_cast<size_t>(crs_model_trainable(model.get())));
    if (crs_model_get_gradients(model.get(), course.gradients.data()) != CRS_OK)
        return {};
    course.parameters = crs::parameters_of(model);
    return course;
}

void expect_equal(const Course &recorded, const Course &plain) {
    ASSERT_EQ(plain.states.size(), std::size(shapes)) << "a call failed";
    ASSERT_EQ(recorded.states.size(), std::size(shapes)) << "a call failed";
    EXPECT_EQ(recorded.states.back().step, 2 * std::size(shapes));
    for (size_t i = 0; i < plain.states.size(); i++) {
        EXPECT_EQ(plain.states[i].bad_step, 0u) << i;
        EXPECT_TRUE(recorded.states[i] == plain.states[i]) << "step " << i;
    }
    EXPECT_EQ(recorded.probabilities, plain.probabilities);
    EXPECT_EQ(recorded.gradients, plain.gradients);
    EXPECT_EQ(recorded.parameters, plain.parameters);
    EXPECT_FALSE(plain.parameters.empty());
}

class CudaGraphs : public testing::TestWithParam<Network> {
  protected:
    void SetUp() override {
        CRS_SKIP_WITHOUT_DEVICE(crs::Device(cuda(), 1));
    }
};

TEST_P(CudaGraphs, GiveTheSameBits) {
    const crs::BackendHandle recording = open_with(CRS_GRAPHS_AUTO, GetParam().lstm);
    const crs::BackendHandle plain = open_with(CRS_GRAPHS_OFF, GetParam().lstm);
    ASSERT_TRUE(recording && plain);
    expect_equal(train(recording, GetParam().line), train(plain, GetParam().line));
    EXPECT_TRUE(says(recording, "graphs=auto")) << crs_backend_describe(recording.get());
    EXPECT_TRUE(says(plain, "graphs=off")) << crs_backend_describe(plain.get());
}

INSTANTIATE_TEST_SUITE_P(Network, CudaGraphs, testing::ValuesIn(networks),
                         [](const auto &network) { return std::string(network.param.name); });

/* ---- memory that moves, settings that change ---- */

class CudaGraphsOfModels : public CudaGraphs {};

/* A prediction, another model or another preparation comes between steps that have been recorded. */
enum class Between { nothing, larger_prediction, larger_model, other_settings, restored };

std::vector<double> train_interrupted(const crs::BackendHandle &backend, Between between) {
    const char *const line = "embedding 4 | lstm 5 seq recurrent_dropout=0.2 | max | dense";
    const crs::Model model = crs::build_model(line, task, backend);
    crs_training training = training_of_everything(20);
    const crs::RandomBatch batch(5, 4, task, crs::Padding::pre, 1), larger(8, 9, task, crs::Padding::pre, 2);
    const crs_batch input = batch.get(), larger_input = larger.get();
    const auto steps = [&] {
        crs_status status = CRS_OK;
        for (int step = 0; step < 4 && status == CRS_OK; step++)
            status = crs_model_step(model.get(), &input);
        return status;
    };
    if (crs_model_prepare(model.get(), 5, 4, &training, nullptr) != CRS_OK || steps() != CRS_OK)
        return {};
    crs::Model other;
    crs_status status = CRS_OK;
    std::vector<float> probabilities(9 * 3);
    switch (between) {
    case Between::nothing:
        break;
    case Between::larger_prediction:
        status = crs_model_predict(model.get(), &larger_input, nullptr, probabilities.data(), nullptr);
        break;
    case Between::larger_model: /* whose steps need more scratch */
        other = crs::build_model("embedding 40 | lstm 70 | dense", task, backend);
        status = crs_model_prepare(other.get(), 8, 9, &training, nullptr);
        for (int step = 0; step < 3 && status == CRS_OK; step++)
            status = crs_model_step(other.get(), &larger_input);
        break;
    case Between::other_settings:
        training.clip_norm = 0;
        training.optimizer.kind = CRS_RMSPROP;
        status = crs_model_prepare(model.get(), 5, 4, &training, nullptr);
        break;
    case Between::restored:
        status = crs_model_keep(model.get());
        if (status == CRS_OK)
            status = steps();
        if (status == CRS_OK)
            status = crs_model_restore(model.get());
        break;
    }
    return status == CRS_OK && steps() == CRS_OK ? crs::parameters_of(model) : std::vector<double>();
}

TEST_F(CudaGraphsOfModels, AreForgottenWhenMemoryMovesOrSettingsChange) {
    for (const Between between : {Between::nothing, Between::larger_prediction, Between::larger_model,
                                  Between::other_settings, Between::restored}) {
        const crs::BackendHandle recording = open_with(CRS_GRAPHS_AUTO), plain = open_with(CRS_GRAPHS_OFF);
        const std::vector<double> want = train_interrupted(plain, between);
        EXPECT_FALSE(want.empty()) << static_cast<int>(between);
        EXPECT_EQ(train_interrupted(recording, between), want) << static_cast<int>(between);
        EXPECT_TRUE(says(recording, "graphs=auto")) << crs_backend_describe(recording.get());
    }
}

/* Two models in turn have recordings of their own. */
TEST_F(CudaGraphsOfModels, OfTwoModelsAreKeptApart) {
    std::vector<double> weights[2][2];
    for (const crs_graphs graphs : {CRS_GRAPHS_AUTO, CRS_GRAPHS_OFF}) {
        const crs::BackendHandle backend = open_with(graphs);
        const crs::Model models[] = {crs::build_model("embedding 4 | lstm 5 | dense", task, backend),
                                     crs::build_model("embedding 4 | lstm 6 | dense", task, backend)};
        const crs_training training = training_of_everything(20);
        const crs::RandomBatch batch(5, 4, task, crs::Padding::pre, 1);
        const crs_batch input = batch.get();
        for (const crs::Model &model : models)
            ASSERT_EQ(crs_model_prepare(model.get(), 5, 4, &training, nullptr), CRS_OK);
        for (int step = 0; step < 5; step++)
            for (const crs::Model &model : models)
                ASSERT_EQ(crs_model_step(model.get(), &input), CRS_OK);
        for (int i = 0; i < 2; i++)
            weights[graphs][i] = crs::parameters_of(models[i]);
    }
    for (int i = 0; i < 2; i++) {
        EXPECT_FALSE(weights[CRS_GRAPHS_OFF][i].empty());
        EXPECT_EQ(weights[CRS_GRAPHS_AUTO][i], weights[CRS_GRAPHS_OFF][i]) << i;
    }
}

/* ---- the slot itself ---- */

/* Work that adds one to what it has been called, and fills a byte `fills` times. */
class CudaRepeat : public testing::Test {
  protected:
    void SetUp() override {
        CRS_SKIP_WITHOUT_DEVICE(crs::Device(cuda(), 1));
        open(CRS_GRAPHS_AUTO);
    }
    void TearDown() override {
        close();
    }
    void open(crs_graphs graphs) {
        backend = open_with(graphs);
        ASSERT_TRUE(backend);
        ops = crs_backend_ops(backend.get());
        device = crs_backend_device(backend.get());
        ASSERT_EQ(ops->alloc(device, 64, &memory), CRS_OK);
    }
    void close() {
        if (backend)
            ops->free(device, memory);
        memory = nullptr;
        backend.reset();
    }
    static crs_status queue(void *work) {
        CudaRepeat *self = static_cast<CudaRepeat *>(work);
        self->calls++;
        for (int i = 0; i < self->fills; i++)
            if (const crs_status status = self->ops->fill(self->device, self->memory, self->byte, 64))
                return status;
        return self->inside ? self->inside() : CRS_OK;
    }
    /* Queues the work under that key; how often it was called. */
    int repeat(int key, crs_status want = CRS_OK) {
        calls = 0;
        EXPECT_EQ(ops->repeat(device, &key, sizeof key, queue, this), want);
        return calls;
    }
    /* The device works as before: the memory is as the last work left it, and takes something new. */
    void expect_usable() {
        unsigned char bytes[64] = {}, others[64] = {};
        EXPECT_EQ(ops->download(device, bytes, memory, sizeof bytes), CRS_OK);
        EXPECT_EQ(bytes[0], byte);
        EXPECT_EQ(bytes[63], byte);
        EXPECT_EQ(ops->fill(device, memory, 0x77, 64), CRS_OK);
        EXPECT_EQ(ops->download(device, others, memory, sizeof others), CRS_OK);
        EXPECT_EQ(others[63], 0x77);
        EXPECT_STREQ(ops->explain(device), "");
    }

    crs::BackendHandle backend;
    const crs_ops *ops = nullptr;
    crs_device *device = nullptr;
    void *memory = nullptr;
    int calls = 0, fills = 1;
    unsigned char byte = 0x21;
    std::function<crs_status()> inside;
};

TEST_F(CudaRepeat, CallsTwiceAndThenNoMore) {
    for (const int want : {1, 1, 0, 0, 0})
        EXPECT_EQ(repeat(1), want);
    EXPECT_EQ(repeat(2), 1) << "another key";
    EXPECT_EQ(repeat(1), 0);
    expect_usable();
    EXPECT_EQ(repeat(1), 0);
    EXPECT_TRUE(says(backend, "graphs=auto"));
    expect_usable();
}

TEST_F(CudaRepeat, CallsEachTimeWhereItIsOff) {
    close();
    open(CRS_GRAPHS_OFF);
    for (int round = 0; round < 4; round++)
        EXPECT_EQ(repeat(1), 1);
    EXPECT_TRUE(says(backend, "graphs=off"));
    expect_usable();
}

TEST_F(CudaRepeat, ForgetsWhenMemoryIsFreed) {
    for (int round = 0; round < 3; round++)
        repeat(1);
    void *other = nullptr;
    ASSERT_EQ(ops->alloc(device, 64, &other), CRS_OK);
    EXPECT_EQ(repeat(1), 0);
    ops->free(device, nullptr);
    EXPECT_EQ(repeat(1), 0) << "nothing was freed";
    ops->free(device, other);
    for (const int want : {1, 1, 0})
        EXPECT_EQ(repeat(1), want);
    expect_usable();
}

/* More kinds of work than are remembered: those that find no room are called, and get it when others have been idle. */
TEST_F(CudaRepeat, RemembersSoMuchAndNoMore) {
    const int remembered = 256, idle = 4 * 256;
    for (int round = 0; round < 2; round++)
        for (int key = 0; key < remembered + 3; key++)
            EXPECT_EQ(repeat(key), 1) << key;
    for (int key = 0; key < remembered + 3; key++)
        EXPECT_EQ(repeat(key), key < remembered ? 0 : 1) << key;
    for (int k = 0; k < idle; k++)
        EXPECT_EQ(repeat(k % 200), 0) << k;
    for (const int want : {1, 1, 0})
        EXPECT_EQ(repeat(1000), want);
    EXPECT_EQ(repeat(199), 0) << "those that come are kept";
    EXPECT_TRUE(says(backend, "graphs=auto"));
    expect_usable();
}

/* 2^17 launches. What finds no room is called once more, that one time. */
TEST_F(CudaRepeat, RecordsSoManyLaunchesAndNoMore) {
    fills = 50000;
    for (const int want : {1, 1, 0})
        for (int key = 0; key < 2; key++)
            EXPECT_EQ(repeat(key), want) << key;
    for (const int want : {1, 2, 1, 1})
        EXPECT_EQ(repeat(2), want);
    EXPECT_EQ(repeat(0) + repeat(1), 0) << "they were first";
    fills = 1;
    for (int k = 0; k <= 4 * 256; k++)
        repeat(10);
    fills = 50000;
    for (const int want : {1, 1, 0})
        EXPECT_EQ(repeat(3), want) << "those that came no more made room";
    fills = 1 << 18;
    for (const int want : {1, 2, 1})
        EXPECT_EQ(repeat(4), want) << "more than all";
    EXPECT_TRUE(says(backend, "graphs=auto"));
    expect_usable();
}

/* ---- what cannot be recorded ---- */

/* The work fails in the recording only: it is called once more, and nothing is recorded from then on. */
TEST_F(CudaRepeat, GoesOnWithoutWhereARecordingFails) {
    struct {
        const char *what, *why;
        std::function<crs_status()> inside;
    } const cases[] = {
        {"an upload", "an upload cannot be recorded", [this] { return ops->upload(device, memory, &byte, 1); }},
        {"a wait", "cudaStreamSynchronize", [this] { return ops->sync(device); }},
        {"memory", "cudaMalloc",
         [this] {
             void *more = nullptr;
             const crs_status status = ops->alloc(device, 64, &more);
             if (status == CRS_OK)
                 ops->free(device, more);
             return status;
         }},
        {"an error of its own", "graphs=off",
         [rounds = 0]() mutable { return ++rounds == 2 ? CRS_ERR_MEMORY : CRS_OK; }},
    };
    for (const auto &one : cases) {
        SCOPED_TRACE(one.what);
        close();
        open(CRS_GRAPHS_AUTO);
        inside = one.inside;
        int called = 0;
        for (int round = 0; round < 4; round++)
            called += repeat(1);
        EXPECT_EQ(called, 5) << "once more where it was to be recorded";
        EXPECT_TRUE(says(backend, "graphs=off, as a recording failed"));
        EXPECT_TRUE(says(backend, one.why)) << crs_backend_describe(backend.get());
        inside = nullptr;
        expect_usable();
    }
}

TEST_F(CudaRepeat, ReturnsTheErrorThatStays) {
    repeat(1);
    inside = [] { return CRS_ERR_UNSUPPORTED; };
    EXPECT_EQ(repeat(1, CRS_ERR_UNSUPPORTED), 2);
    EXPECT_EQ(repeat(1, CRS_ERR_UNSUPPORTED), 1);
    EXPECT_TRUE(says(backend, "graphs=off"));
    expect_usable();
}

/* What failed at first has not come before. */
TEST_F(CudaRepeat, RecordsNothingThatHasNotWorked) {
    inside = [] { return CRS_ERR_MEMORY; };
    EXPECT_EQ(repeat(1, CRS_ERR_MEMORY), 1);
    inside = nullptr;
    for (const int want : {1, 1, 0})
        EXPECT_EQ(repeat(1), want);
    EXPECT_TRUE(says(backend, "graphs=auto"));
    expect_usable();
}

} // namespace
