/* The CUDA backend as a user of the library and of the command meets it, on a real GPU or an emulated one: choosing a
 * device, training, and predicting with what was trained elsewhere. */
#include "command.hpp"
#include "network.hpp"

#include <cstring>

namespace {

const std::string phrases = CRS_DATA "/phrases/train.tsv", phrases_test = CRS_DATA "/phrases/test.tsv";

const crs::Backend &cuda() {
    static const std::vector<crs::Backend> all = crs::backends_for("add");
    for (const crs::Backend &backend : all)
        if (backend.name == "cuda")
            return backend;
    throw std::logic_error("no backend under test is called cuda");
}

class Cuda : public testing::Test {
  protected:
    void SetUp() override {
        CRS_SKIP_WITHOUT_DEVICE(crs::Device(cuda(), 1));
    }
};

/* ---- which device ---- */

TEST_F(Cuda, IsWhatAutoTakes) {
    const crs::BackendHandle automatic = crs::open_backend("auto");
    ASSERT_TRUE(automatic);
    EXPECT_STREQ(crs_backend_ops(automatic.get())->name, "cuda");
    EXPECT_TRUE(has(crs_backend_describe(automatic.get()), "GPU 0, "));
}

TEST_F(Cuda, SaysHowManyDevicesThereAre) {
    crs_backend *backend = nullptr;
    crs_error error = {};
    EXPECT_EQ(crs_backend_open("cuda:9999", nullptr, &backend, &error), CRS_ERR_NO_DEVICE);
    EXPECT_TRUE(has(error.what, "no GPU number 9999")) << error.what;
    EXPECT_TRUE(crs::open_backend("cuda:0"));
}

TEST_F(Cuda, TakesTheVariantAndThePrecisionAskedFor) {
    for (const char *variant : {"steps", "persistent"}) {
        const crs_device_options options = {-1, 0, variant, CRS_FLOAT32, CRS_GRAPHS_AUTO};
        crs_backend *backend = nullptr;
        ASSERT_EQ(crs_backend_open("cuda", &options, &backend, nullptr), CRS_OK);
        EXPECT_TRUE(has(crs_backend_describe(backend), std::string("lstm=") + variant));
        EXPECT_TRUE(has(crs_backend_describe(backend), "float32"));
        crs_backend_close(backend);
    }
    const crs_device_options coarse = {-1, 0, nullptr, CRS_TF32, CRS_GRAPHS_AUTO};
    crs_backend *backend = nullptr;
    crs_error error = {};
    const crs_status status = crs_backend_open("cuda", &coarse, &backend, &error);
    if (status == CRS_OK) {
        EXPECT_TRUE(has(crs_backend_describe(backend), "TF32"));
    } else { /* a GPU older than TF32 */
        EXPECT_EQ(status, CRS_ERR_UNSUPPORTED);
        EXPECT_TRUE(has(error.what, "--precision float32")) << error.what;
    }
    crs_backend_close(backend);
}

/* A layer that is too wide for a forced variant is an error, told with the numbers. */
TEST_F(Cuda, NeverFallsBackFromAForcedVariant) {
    const crs_device_options options = {-1, 0, "persistent", CRS_FLOAT32, CRS_GRAPHS_AUTO};
    crs_backend *opened = nullptr;
    ASSERT_EQ(crs_backend_open("cuda", &options, &opened, nullptr), CRS_OK);
    const crs::BackendHandle backend(opened);
    const crs_model_task task = crs::task_of();
    const crs::Model model = crs::build_model("embedding 3 | lstm 100 | dense", task, backend);
    ASSERT_TRUE(model);
    const crs::RandomBatch batch(4, 3, task, crs::Padding::post, 1);
    const crs_batch input = batch.get();
    const crs_training training = crs::training_of();
    crs_status status = crs_model_prepare(model.get(), 4, 3, &training, nullptr);
    if (status == CRS_OK)
        status = crs_model_step(model.get(), &input);
    EXPECT_EQ(status, CRS_ERR_UNSUPPORTED);
    const std::string why = crs_backend_failure(opened, status);
    EXPECT_TRUE(has(why, "persistent") && has(why, "64") && has(why, "100")) << why;
}

/* ---- memory ---- */

TEST_F(Cuda, TellsSizesWhenMemoryIsOutAndGoesOn) {
    const crs::BackendHandle backend = crs::open_backend("cuda");
    const crs_ops *ops = crs_backend_ops(backend.get());
    crs_device *device = crs_backend_device(backend.get());
    void *memory = nullptr;
    ASSERT_EQ(ops->alloc(device, (size_t)1 << 50, &memory), CRS_ERR_MEMORY);
    EXPECT_TRUE(has(ops->explain(device), "MiB free of")) << ops->explain(device);
    ASSERT_EQ(ops->alloc(device, 1000, &memory), CRS_OK);
    EXPECT_STREQ(ops->explain(device), "");
    EXPECT_EQ(ops->fill(device, memory, 0, 1000), CRS_OK);
    EXPECT_EQ(ops->sync(device), CRS_OK);
    ops->free(device, memory);
}

/* Told before anything is read: the pointers lead nowhere. */
TEST_F(Cuda, RefusesSizesThatItCannotCount) {
    const crs::BackendHandle backend = crs::open_backend("cuda");
    const crs_ops *ops = crs_backend_ops(backend.get());
    crs_device *device = crs_backend_device(backend.get());
    crs_dense dense = {};
    dense.N = (int64_t)1 << 31;
    dense.I = dense.O = 1;
    EXPECT_EQ(ops->dense_forward(device, &dense), CRS_ERR_UNSUPPORTED);
    EXPECT_TRUE(has(ops->explain(device), "2147483648 x 1 x 1")) << ops->explain(device);
    crs_recurrent endless = {};
    endless.steps.T = endless.steps.B = endless.H = endless.I = (int64_t)1 << 40;
    endless.training = 1;
    EXPECT_EQ(ops->lstm_reserve(device, &endless), SIZE_MAX);
    EXPECT_EQ(ops->rnn_reserve(device, &endless), SIZE_MAX);
}

/* Much more than the pinned memory holds at a time, from one place that is used again at once. */
TEST_F(Cuda, UploadsFromMemoryThatIsReusedAtOnce) {
    const crs::BackendHandle backend = crs::open_backend("cuda");
    const crs_ops *ops = crs_backend_ops(backend.get());
    crs_device *device = crs_backend_device(backend.get());
    const size_t size = 700001, pieces = 5;
    void *memory = nullptr;
    ASSERT_EQ(ops->alloc(device, size * pieces, &memory), CRS_OK);
    std::vector<unsigned char> piece(size), all(size * pieces);
    for (size_t i = 0; i < pieces; i++) {
        for (size_t k = 0; k < size; k++)
            piece[k] = static_cast<unsigned char>(k * 13 + i * 101);
        ASSERT_EQ(ops->upload(device, static_cast<unsigned char *>(memory) + i * size, piece.data(), size), CRS_OK);
    }
    ASSERT_EQ(ops->download(device, all.data(), memory, all.size()), CRS_OK);
    for (size_t i = 0; i < all.size(); i++)
        ASSERT_EQ(all[i], static_cast<unsigned char>(i % size * 13 + i / size * 101)) << i;
    ops->free(device, memory);
}

/* Two devices open at once, on one GPU or two, do not disturb each other. */
TEST_F(Cuda, SeveralBackendsTakeTurns) {
    const crs::BackendHandle first = crs::open_backend("cuda"), second = crs::open_backend("cuda");
    const crs_ops *ops = crs_backend_ops(first.get());
    void *memory[2] = {};
    crs_device *devices[2] = {crs_backend_device(first.get()), crs_backend_device(second.get())};
    for (int i = 0; i < 2; i++)
        ASSERT_EQ(ops->alloc(devices[i], 64, &memory[i]), CRS_OK);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 2; i++)
            ASSERT_EQ(ops->fill(devices[i], memory[i], 16 * round + i, 64), CRS_OK);
    for (int i = 0; i < 2; i++) {
        unsigned char bytes[64] = {};
        ASSERT_EQ(ops->download(devices[i], bytes, memory[i], sizeof bytes), CRS_OK);
        EXPECT_EQ(bytes[63], 32 + i);
        ops->free(devices[i], memory[i]);
    }
}

/* ---- the command ---- */

/* What stands in a safetensors file behind its header, in which the settings differ. */
std::string weights_in(const std::string &path) {
    const std::string content = read_file(path);
    uint64_t header = content.size();
    if (content.size() > sizeof header)
        memcpy(&header, content.data(), sizeof header);
    return header < content.size() - sizeof header ? content.substr(sizeof header + header) : "no weights in " + path;
}

TEST_F(Cuda, TrainsEvaluatesAndPredictsByCommand) {
    const Folder folder;
    const std::string model = folder / "m.safetensors", again = folder / "again.safetensors",
                      unrecorded = folder / "unrecorded.safetensors";
    const std::vector<std::string> arguments = {"train",
                                                phrases,
                                                "--backend",
                                                "cuda",
                                                "--no-curves",
                                                "--quiet",
                                                "--epochs",
                                                "6",
                                                "--batch",
                                                "16",
                                                "--patience",
                                                "0",
                                                "--seed",
                                                "2",
                                                "--model",
                                                "embedding 8 | "
                                                "lstm 8 | dense",
                                                "-o"};
    for (const std::string &output : {model, again, unrecorded}) {
        std::vector<std::string> words = arguments;
        words.push_back(output);
        if (output == unrecorded)
            words.insert(words.end(), {"--graphs", "off"});
        const Result trained = carousel(words);
        ASSERT_EQ(trained.status, 0) << trained.err;
    }
    EXPECT_EQ(read_file(model), read_file(again)) << "the same call gives the same bits";
    EXPECT_EQ(weights_in(model), weights_in(unrecorded)) << "with graphs and without";
    const Result here = carousel({"predict", model, phrases_test, "--backend", "cuda", "--quiet"});
    const Result there = carousel({"predict", model, phrases_test, "--backend", "cpu", "--quiet"});
    ASSERT_EQ(here.status, 0) << here.err;
    EXPECT_FALSE(here.out.empty());
    EXPECT_EQ(here.out, there.out) << "a model trained on a GPU is read by the CPU";
    const Result evaluated = carousel({"eval", model, phrases_test, "--backend", "cuda"});
    EXPECT_EQ(evaluated.status, 0) << evaluated.err;
    EXPECT_TRUE(has(evaluated.err, "GPU 0")) << evaluated.err;
}

/* The proof that a user can run: and that it can fail. */
TEST_F(Cuda, HasTheGradientsOfDoubleByCommand) {
    const std::vector<std::string> arguments = {
        "gradcheck",  "embedding 5 | bilstm 6 seq recurrent_dropout=0.2 | rnn 4 seq | max | dense",
        "--backends", "cuda",
        "--train",    "5",
        "--quiet"};
    const Result agreed = carousel(arguments);
    EXPECT_EQ(agreed.status, 0) << agreed.out << agreed.err;
    EXPECT_TRUE(has(agreed.out, "cuda")) << agreed.out;
    std::vector<std::string> coarse = arguments;
    coarse.insert(coarse.end(), {"--precision", "tf32", "--json"});
    const Result rounded = carousel(coarse);
    EXPECT_TRUE(rounded.status == 0 || has(rounded.err, "has no TF32")) << rounded.out << rounded.err;
    std::vector<std::string> falsified = arguments;
    falsified.insert(falsified.end(), {"--inject", "layers.1.weight_hh_l0"});
    EXPECT_EQ(carousel(falsified).status, 1);
}

/* ---- without a GPU ---- */

/* Also where there is one: the runtime is told to see none. */
TEST(CudaAbsent, IsToldAndTheCpuIsUsed) {
    setenv("CUDA_VISIBLE_DEVICES", "", 1); /* read by the runtime in the process started below */
    setenv("CUHOST_DEVICES", "0", 1);      /* by the emulated one */
    const Folder folder;
    const Result automatic = carousel({"train", phrases, "-o", folder / "m.safetensors", "--epochs", "1", "--no-curves",
                                       "--model", "embedding 4 | mean | dense"});
    EXPECT_EQ(automatic.status, 0) << automatic.err;
    EXPECT_TRUE(has(automatic.err, "so the CPU is used")) << automatic.err;
    EXPECT_TRUE(has(automatic.err, "NVIDIA")) << automatic.err;
    const Result forced = carousel({"train", phrases, "-o", folder / "n.safetensors", "--backend", "cuda"});
    EXPECT_EQ(forced.status, 1);
    EXPECT_TRUE(has(forced.err, "NVIDIA")) << forced.err;
    EXPECT_EQ(std::count(forced.err.begin(), forced.err.end(), '\n'), 1) << forced.err;
    EXPECT_FALSE(is_file(folder / "n.safetensors"));
    unsetenv("CUDA_VISIBLE_DEVICES");
    unsetenv("CUHOST_DEVICES");
}

} // namespace
