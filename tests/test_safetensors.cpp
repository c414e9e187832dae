/* A classifier's file: what is saved comes back, what is damaged is an error, and an old file outlives a failed save.
 */
#include "network.hpp"
#include "rows.hpp"

extern "C" {
#include "../core/safetensors.h"
}

#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <jansson.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;
using Bytes = std::string;

struct FreeClassifier {
    void operator()(crs_classifier *classifier) const {
        crs_classifier_free(classifier);
    }
};
using Classifier = std::unique_ptr<crs_classifier, FreeClassifier>;

const std::vector<const char *> texts = {"good film", "a bad bad film", "", "never seen words", "good good good"};

class Files : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/carousel-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder = name;
        backend = crs::open_backend("cpu");
    }
    void TearDown() override {
        fs::permissions(folder, fs::perms::owner_all);
        fs::remove_all(folder);
    }
    fs::path path(const char *name = "model.safetensors") const {
        return folder / name;
    }
    /* Fitted on a few texts, with other than default settings. */
    Classifier make(const char *line, const char *backend_name = nullptr) {
        crs_config config = crs::every_word(9);
        config.pad = CRS_SIDE_PRE;
        config.lr = 0.25;
        snprintf(config.model, sizeof config.model, "%s", line);
        crs::Rows rows =
            crs::rows_of(config, {{"good film", "pos"}, {"bad film \"really\"", "neg"}, {"영화 나쁜", "neg"}});
        if (backend_name)
            backend = crs::open_backend(backend_name);
        crs_classifier *classifier = nullptr;
        crs_error error = {};
        EXPECT_EQ(crs_classifier_create(&config, rows.encoder.get(), backend.get(), &classifier, &error), CRS_OK)
            << error.what;
        if (classifier)
            rows.encoder.release();
        return Classifier(classifier);
    }
    Classifier load(const fs::path &from, crs_error *error) {
        crs_classifier *classifier = nullptr;
        *error = {};
        const crs_status status = crs_classifier_load(from.c_str(), backend.get(), &classifier, error);
        EXPECT_EQ(status == CRS_OK, classifier != nullptr);
        EXPECT_EQ(status, error->status);
        return Classifier(classifier);
    }
    /* Loads those bytes: an error that names the file, or a classifier of the same shape. */
    void expect_sane(const Bytes &bytes, const crs_classifier *original, const std::string &what) {
        write(path("damaged"), bytes);
        crs_error error;
        const Classifier loaded = load(path("damaged"), &error);
        if (!loaded) {
            EXPECT_EQ(path("damaged").string(), error.file) << what << ": " << error.what;
            EXPECT_NE(error.what[0], '\0') << what;
            EXPECT_NE(error.mend[0], '\0') << what << ": " << error.what;
            refused++;
            return;
        }
        EXPECT_EQ(crs_model_parameters(loaded->model), crs_model_parameters(original->model)) << what;
        EXPECT_EQ(crs_model_outputs(loaded->model), crs_model_outputs(original->model)) << what;
    }
    static Bytes read(const fs::path &from) {
        std::ifstream stream(from, std::ios::binary);
        return Bytes(std::istreambuf_iterator<char>(stream), {});
    }
    static void write(const fs::path &to, const Bytes &bytes) {
        std::ofstream(to, std::ios::binary) << bytes;
    }
    Bytes saved(const Classifier &classifier) {
        crs_error error = {};
        EXPECT_EQ(crs_classifier_save(classifier.get(), path().c_str(), 1, &error), CRS_OK) << error.what;
        return read(path());
    }
    fs::path folder;
    crs::BackendHandle backend;
    int refused = 0;
};

std::vector<float> predict(const Classifier &classifier, std::vector<float> *logits = nullptr) {
    std::vector<float> probabilities(texts.size() * 2, -1);
    crs_error error = {};
    if (logits)
        logits->assign(texts.size() * static_cast<size_t>(crs_model_outputs(classifier->model)), -1);
    EXPECT_EQ(crs_classifier_predict(classifier.get(), texts.data(), texts.size(), probabilities.data(),
                                     logits ? logits->data() : nullptr, &error),
              CRS_OK)
        << error.what;
    return probabilities;
}

const char *const small = "embedding 3 | bilstm 2 | dense";

/* ---- there and back ---- */

TEST_F(Files, GiveBackTheSameBits) {
    for (const char *line : {small, "embedding 3 frozen | dropout 0.2 | rnn 4 seq | max | dense 3 tanh | dense 1",
                             "embedding 2|mean|dense"}) {
        const Classifier before = make(line);
        const Bytes bytes = saved(before);
        crs_error error;
        const Classifier after = load(path(), &error);
        ASSERT_TRUE(after) << error.what;
        std::vector<float> logits[2];
        EXPECT_EQ(predict(before, &logits[0]), predict(after, &logits[1])) << line;
        EXPECT_EQ(logits[0], logits[1]) << line;
        EXPECT_STREQ(crs_model_line(after->model), line);
        EXPECT_STREQ(crs_encoder_label(after->encoder, 1), "pos");
        EXPECT_EQ(after->config.length, 9);
        EXPECT_EQ(after->config.pad, CRS_SIDE_PRE);
        /* The training settings are not read back, so only a second saving gives the same file; the values are at its
         * end, before and after. */
        const Bytes again = saved(after);
        const size_t values = 4 * static_cast<size_t>(crs_model_parameters(before->model));
        EXPECT_EQ(again.substr(again.size() - values), bytes.substr(bytes.size() - values)) << line;
        const Classifier third = load(path(), &error);
        ASSERT_TRUE(third) << error.what;
        EXPECT_EQ(saved(third), again);
    }
}

TEST_F(Files, OfDoubleHoldFloats) {
    const Classifier wide = make(small, "cpu-double");
    saved(wide);
    crs_error error;
    const Classifier loaded = load(path(), &error);
    ASSERT_TRUE(loaded) << error.what;
    std::vector<double> before(static_cast<size_t>(crs_model_parameters(wide->model))), after(before);
    ASSERT_EQ(crs_model_get_parameters(wide->model, before.data()), CRS_OK);
    ASSERT_EQ(crs_model_get_parameters(loaded->model, after.data()), CRS_OK);
    for (double &value : before)
        value = static_cast<float>(value);
    EXPECT_EQ(before, after);
}

TEST_F(Files, PredictTwoClassesFromOneOutput) {
    const Classifier classifier = make("embedding 3 | mean | dense 1");
    std::vector<float> logits;
    const std::vector<float> probabilities = predict(classifier, &logits);
    for (size_t i = 0; i < texts.size(); i++) {
        EXPECT_NEAR(probabilities[2 * i + 1], 1 / (1 + std::exp(-static_cast<double>(logits[i]))), 1e-6);
        EXPECT_EQ(probabilities[2 * i], 1 - probabilities[2 * i + 1]);
        /* Alone as in company. */
        float alone[2];
        ASSERT_EQ(crs_classifier_predict(classifier.get(), &texts[i], 1, alone, nullptr, nullptr), CRS_OK);
        EXPECT_NEAR(alone[1], probabilities[2 * i + 1], 1e-6);
    }
    EXPECT_EQ(crs_classifier_predict(classifier.get(), nullptr, 0, nullptr, nullptr, nullptr), CRS_OK);
}

/* ---- what the file looks like, told by another reader ---- */

json_t *header_of(const Bytes &bytes, size_t *data) {
    uint64_t size = 0;
    memcpy(&size, bytes.data(), 8);
    *data = 8 + size;
    return json_loadb(bytes.data() + 8, size, 0, nullptr);
}

TEST_F(Files, HaveTheNamesOfPyTorch) {
    const Classifier classifier = make(small);
    const Bytes bytes = saved(classifier);
    size_t data = 0;
    json_t *header = header_of(bytes, &data);
    ASSERT_TRUE(header);
    EXPECT_EQ(data % 8, 0u);
    std::vector<std::string> names;
    const char *name;
    json_t *entry;
    json_object_foreach (header, name, entry)
        names.push_back(name);
    EXPECT_EQ(names, (std::vector<std::string>{"__metadata__", "layers.0.weight", "layers.1.weight_ih_l0",
                                               "layers.1.weight_hh_l0", "layers.1.bias_ih_l0", "layers.1.bias_hh_l0",
                                               "layers.1.weight_ih_l0_reverse", "layers.1.weight_hh_l0_reverse",
                                               "layers.1.bias_ih_l0_reverse", "layers.1.bias_hh_l0_reverse",
                                               "layers.2.weight", "layers.2.bias"}));
    const json_t *metadata = json_object_get(header, "__metadata__");
    EXPECT_STREQ(json_string_value(json_object_get(metadata, "format")), "pt");
    EXPECT_STREQ(json_string_value(json_object_get(metadata, "carousel.model")), small);
    EXPECT_STREQ(json_string_value(json_object_get(metadata, "carousel.version")), crs_version());
    json_t *config = json_loads(json_string_value(json_object_get(metadata, "carousel.config")), 0, nullptr);
    EXPECT_STREQ(json_string_value(json_object_get(config, "pad")), "pre");
    EXPECT_EQ(json_object_get(config, "learning-rate"), nullptr);
    json_t *training = json_loads(json_string_value(json_object_get(metadata, "carousel.training")), 0, nullptr);
    EXPECT_STREQ(json_string_value(json_object_get(training, "learning-rate")), "0.25");
    json_decref(config);
    json_decref(training);
    json_decref(header);
}

/* PyTorch's second bias counts. */
TEST_F(Files, AddTheSecondBias) {
    const Classifier classifier = make(small);
    Bytes bytes = saved(classifier);
    size_t data = 0;
    json_t *header = header_of(bytes, &data);
    const json_t *offsets = json_object_get(json_object_get(header, "layers.1.bias_hh_l0_reverse"), "data_offsets");
    const size_t at = data + static_cast<size_t>(json_integer_value(json_array_get(offsets, 0)));
    json_decref(header);
    const float value = 0.5;
    memcpy(&bytes[at + 4], &value, sizeof value);
    write(path("other"), bytes);
    crs_error error;
    const Classifier loaded = load(path("other"), &error);
    ASSERT_TRUE(loaded) << error.what;
    for (size_t i = 0; i < crs_model_tensors(loaded->model); i++) {
        const crs_tensor_info tensor = crs_model_tensor(loaded->model, i);
        std::vector<double> all(static_cast<size_t>(crs_model_parameters(loaded->model)));
        ASSERT_EQ(crs_model_get_parameters(loaded->model, all.data()), CRS_OK);
        if (strcmp(tensor.name, "layers.1.bias_ih_l0_reverse") == 0) {
            EXPECT_EQ(all[static_cast<size_t>(tensor.offset) + 1], 0.5);
            EXPECT_EQ(all[static_cast<size_t>(tensor.offset)], 0);
        }
    }
}

/* ---- damaged files ---- */

TEST_F(Files, CutAtAnyLengthAreErrors) {
    const Classifier classifier = make(small);
    const Bytes bytes = saved(classifier);
    for (size_t size = 0; size < bytes.size(); size++)
        expect_sane(bytes.substr(0, size), classifier.get(), "cut at " + std::to_string(size));
    EXPECT_EQ(refused, static_cast<int>(bytes.size()));
    refused = 0;
    expect_sane(bytes + "x", classifier.get(), "a byte more");
    EXPECT_EQ(refused, 1);
}

TEST_F(Files, WithAnyByteChangedAreErrorsOrTheSameShape) {
    const Classifier classifier = make(small);
    const Bytes bytes = saved(classifier);
    size_t data = 0;
    json_decref(header_of(bytes, &data));
    for (size_t at = 0; at < bytes.size(); at += at < data ? 1 : 7)
        for (const int flip : {1, 0xa0}) {
            Bytes changed = bytes;
            changed[at] = static_cast<char>(changed[at] ^ flip);
            expect_sane(changed, classifier.get(), "byte " + std::to_string(at) + " ^ " + std::to_string(flip));
        }
    EXPECT_GE(refused, static_cast<int>(data));
}

/* Two tensors over the same bytes, and bytes of no tensor. */
TEST_F(Files, WithOverlapsAndHolesAreErrors) {
    const Classifier classifier = make(small);
    const Bytes bytes = saved(classifier);
    for (const auto &[from, to, what] :
         {std::tuple<const char *, const char *, const char *>{"[288,320]", "[256,288]", "overlapping"},
          {"[256,288]", "[288,320]", "unused bytes"},
          {"[256,288]", "[900,932]", "outside of the file"}}) {
        Bytes changed = bytes;
        const size_t at = changed.find(from);
        ASSERT_NE(at, Bytes::npos);
        changed.replace(at, strlen(from), to);
        write(path("damaged"), changed);
        crs_error error;
        EXPECT_FALSE(load(path("damaged"), &error));
        EXPECT_NE(std::string(error.what).find(what), std::string::npos) << error.what;
    }
}

struct Edit {
    const char *from, *to; /* of the same length: the data stays where it is */
    const char *what;      /* of the error */
};

TEST_F(Files, ThatContradictThemselvesAreErrors) {
    const Classifier classifier = make(small);
    const Bytes bytes = saved(classifier);
    const Edit edits[] = {
        {"\"dtype\":\"F32\"", "\"dtype\":\"F16\"", "is not of dtype F32"},
        {"\"dtype\":\"F32\"", "\"dtype\":\"F64\"", "is not of dtype F32"},
        {"\"shape\":[8,3]", "\"shape\":[3,8]", "is [3, 8], but the model line makes it [8, 3]"},
        {"\"shape\":[8,3]", "\"shape\":[24] ", "is [24], but the model line makes it [8, 3]"},
        {"\"shape\":[8,3]", "\"shape\":[8,4]", "do not fit its shape"},
        {"\"shape\":[8,3]", "\"shape\":[-8,3", "no JSON"},
        {"\"shape\":[8,2]", "\"shape\":[9e9]", "shape that is not"},
        {"layers.1.weight_hh_l0\"", "layers.1.weight_hx_l0\"", "has no tensor \"layers.1.weight_hh_l0\""},
        {"layers.1.bias_hh_l0\"", "layers.1.bias_ih_l0\"", "no JSON: duplicate"},
        {"carousel.model", "carousel.modem", "no metadata \"carousel.model\""},
        {"carousel.config", "carousel.confix", "no metadata \"carousel.config\""},
        {"carousel.encoder", "carousel.encodes", "no metadata \"carousel.encoder\""},
        {"bilstm 2 | dense\",", "bilstm 3 | dense\",", "two different model lines"},
        {"\\\"pad\\\":\\\"pre\\\"", "\\\"pad\\\":\\\"prx\\\"", "--pad 'prx' is not known"},
        {"\\\"pad\\\":\\\"pre\\\"", "\\\"pax\\\":\\\"pre\\\"", "\"pax\" in its settings is not known"},
    };
    for (const Edit &edit : edits) {
        Bytes changed = bytes;
        const size_t at = changed.find(edit.from);
        ASSERT_NE(at, Bytes::npos) << edit.from;
        changed.replace(at, strlen(edit.from), edit.to);
        ASSERT_EQ(changed.size(), bytes.size());
        write(path("damaged"), changed);
        crs_error error;
        EXPECT_FALSE(load(path("damaged"), &error)) << edit.to;
        EXPECT_NE(std::string(error.what).find(edit.what), std::string::npos) << edit.to << ": " << error.what;
        EXPECT_EQ(path("damaged").string(), error.file);
    }
}

TEST_F(Files, WithANumberThatIsNoneNameItsTensor) {
    const Classifier classifier = make(small);
    const Bytes bytes = saved(classifier);
    for (const float poison : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
        Bytes changed = bytes;
        memcpy(&changed[bytes.size() - 8], &poison, sizeof poison);
        write(path("damaged"), changed);
        crs_error error;
        EXPECT_FALSE(load(path("damaged"), &error));
        EXPECT_EQ(error.status, CRS_ERR_NOT_FINITE);
        EXPECT_NE(std::string(error.what).find("value 0 of tensor \"layers.2.bias\""), std::string::npos) << error.what;
        EXPECT_EQ(error.offset, static_cast<int64_t>(bytes.size() - 8));
    }
}

TEST_F(Files, ThatAreNoneAreErrors) {
    crs_error error;
    EXPECT_FALSE(load(path("missing"), &error));
    EXPECT_EQ(error.status, CRS_ERR_IO);
    EXPECT_FALSE(load(folder, &error));
    EXPECT_EQ(error.status, CRS_ERR_IO);
    EXPECT_FALSE(load("/dev/zero", &error));
    EXPECT_EQ(error.status, CRS_ERR_IO);
    const Bytes huge("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), nothing("\2\0\0\0\0\0\0\0{}", 10),
        nested = Bytes("\0\0\1\0\0\0\0\0", 8) + Bytes(65536, '[');
    for (const Bytes &bytes : {huge, nothing, nested, Bytes("hello, world")}) {
        write(path("damaged"), bytes);
        EXPECT_FALSE(load(path("damaged"), &error));
        EXPECT_EQ(error.status, CRS_ERR_FORMAT) << error.what;
    }
}

/* ---- saving where it cannot be ---- */

TEST_F(Files, AreNotOverwrittenUnlessAsked) {
    const Classifier classifier = make(small);
    write(path(), "precious");
    crs_error error = {};
    EXPECT_EQ(crs_classifier_save(classifier.get(), path().c_str(), 0, &error), CRS_ERR_EXISTS);
    EXPECT_EQ(read(path()), "precious");
    saved(classifier);
    EXPECT_NE(read(path()), "precious");
}

int files_in(const fs::path &folder) {
    return static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/* The limit stands in for a full disk: writing fails in the middle. */
TEST_F(Files, SurviveAFullDisk) {
    const Classifier classifier = make(small);
    const size_t size = saved(classifier).size();
    write(path(), "precious");
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
    for (const size_t limit : {size_t(0), size_t(100), size / 2, size - 1}) {
        rlimit low = before;
        low.rlim_cur = limit;
        ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
        crs_error error = {};
        const crs_status status = crs_classifier_save(classifier.get(), path().c_str(), 1, &error);
        setrlimit(RLIMIT_FSIZE, &before);
        EXPECT_EQ(status, CRS_ERR_IO) << limit;
        EXPECT_EQ(path().string(), error.file);
        EXPECT_EQ(read(path()), "precious") << limit;
        EXPECT_EQ(files_in(folder), 1) << limit;
    }
    std::signal(SIGXFSZ, ignored);
    EXPECT_EQ(saved(classifier).size(), size);
}

TEST_F(Files, DoNotReplaceAFolderOrADevice) {
    const Classifier classifier = make(small);
    const int before = files_in(folder);
    crs_error error = {};
    fs::create_symlink("/dev/null", path("device"));
    for (const fs::path &special : {folder, path("device")}) {
        EXPECT_EQ(crs_classifier_save(classifier.get(), special.c_str(), 1, &error), CRS_ERR_IO);
        EXPECT_NE(std::string(error.what).find("regular"), std::string::npos) << error.what;
    }
    EXPECT_TRUE(fs::is_symlink(path("device")));
    EXPECT_EQ(files_in(folder), before + 1);
}

/* What is only a record of the training must not cost the trained model. */
TEST_F(Files, LeaveOutATrainingSettingThatIsNotUtf8) {
    const Classifier classifier = make(small);
    crs_error error = {};
    ASSERT_EQ(crs_config_set(&classifier->config, "validation-file", "caf\xe9.tsv", &error), CRS_OK);
    const Bytes bytes = saved(classifier);
    EXPECT_EQ(bytes.find("validation-file"), Bytes::npos);
    EXPECT_NE(bytes.find("validation-split"), Bytes::npos);
    EXPECT_TRUE(load(path(), &error)) << error.what;
}

/* A file that no reader takes back is no file. */
TEST(Header, LongerThanTheFormatAllowsIsRefused) {
    json_t *metadata = json_object();
    json_object_set_new(metadata, "vocabulary", json_string(std::string(CRS__HEADER_MAX, 'x').c_str()));
    FILE *stream = tmpfile();
    EXPECT_EQ(crs__safetensors_write_header(stream, nullptr, 0, metadata), CRS_ERR_UNSUPPORTED);
    EXPECT_EQ(ftell(stream), 0);
    fclose(stream);
    json_decref(metadata);
}

TEST_F(Files, SurviveAFailedSave) {
    const Classifier classifier = make(small);
    crs_error error = {};
    EXPECT_EQ(crs_classifier_save(classifier.get(), path("no/such/folder").c_str(), 1, &error), CRS_ERR_IO);
    /* Weights that are no numbers would give a file that cannot be loaded. */
    write(path(), "precious");
    std::vector<double> values(static_cast<size_t>(crs_model_parameters(classifier->model)), 0);
    values.back() = std::nan("");
    ASSERT_EQ(crs_model_set_parameters(classifier->model, values.data()), CRS_OK);
    EXPECT_EQ(crs_classifier_save(classifier.get(), path().c_str(), 1, &error), CRS_ERR_NOT_FINITE);
    EXPECT_NE(std::string(error.what).find("layers.2.bias"), std::string::npos) << error.what;
    EXPECT_EQ(read(path()), "precious");
    EXPECT_EQ(files_in(folder), 1);
}

} // namespace
