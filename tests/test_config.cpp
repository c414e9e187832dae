// Settings, statuses and errors: the table, reading and writing values by name, and what is said about wrong ones.
#include <carousel/carousel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <clocale>
#include <cmath>
#include <cstring>
#include <set>
#include <string>

namespace {

std::string get(const crs_config &config, const char *name) {
    char value[1024];
    const char *text = crs_config_get(&config, name, value, sizeof value);
    return text ? text : "(unknown)";
}

struct Refusal {
    const char *name, *value, *what, *mend;
};

TEST(Config, EveryRowHasItsDefaultAndReadsBack) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    ASSERT_GT(count, 40U);
    crs_config config;
    crs_config_init(&config);
    std::set<std::string> names;
    std::set<size_t> offsets;
    for (size_t i = 0; i < count; i++) {
        SCOPED_TRACE(settings[i].name);
        EXPECT_TRUE(names.insert(settings[i].name).second) << "named twice";
        EXPECT_TRUE(offsets.insert(settings[i].offset).second) << "a field with two rows";
        EXPECT_EQ(get(config, settings[i].name), settings[i].fallback);
        crs_error error;
        EXPECT_EQ(crs_config_set(&config, settings[i].name, settings[i].fallback, &error), CRS_OK) << error.what;
        EXPECT_EQ(get(config, settings[i].name), settings[i].fallback);
        EXPECT_GT(std::strlen(settings[i].help), 4U);
    }
    EXPECT_LT(count, 128U) << "the command's table of named settings is too small";
}

TEST(Config, EveryFieldHasARow) {
    // Rows and the padding between fields must cover the struct: a field without a row could not be set by name.
    size_t count, covered = 0;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++)
        covered += settings[i].size;
    EXPECT_LE(sizeof(crs_config) - covered, 4U * 9U) << "more than padding is left over";
}

TEST(Config, EveryChoiceReadsBack) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    crs_config config;
    crs_config_init(&config);
    for (size_t i = 0; i < count; i++) {
        std::string choices = settings[i].choices ? settings[i].choices : "";
        for (size_t at = 0; at < choices.size();) {
            size_t end = std::min(choices.find('|', at), choices.size());
            std::string word = choices.substr(at, end - at);
            ASSERT_EQ(crs_config_set(&config, settings[i].name, word.c_str(), nullptr), CRS_OK) << word;
            EXPECT_EQ(get(config, settings[i].name), word);
            at = end + 1;
        }
    }
}

TEST(Config, ValuesReachTheirFields) {
    crs_config config;
    crs_config_init(&config);
    ASSERT_EQ(crs_config_set(&config, "seed", "9007199254740992", nullptr), CRS_OK);
    ASSERT_EQ(crs_config_set(&config, "learning-rate", "0.1", nullptr), CRS_OK);
    ASSERT_EQ(crs_config_set(&config, "optimizer", "rmsprop", nullptr), CRS_OK);
    ASSERT_EQ(crs_config_set(&config, "mask", "off", nullptr), CRS_OK);
    ASSERT_EQ(crs_config_set(&config, "model", "embedding 8 | mean | dense", nullptr), CRS_OK);
    EXPECT_EQ(config.seed, 9007199254740992ULL);
    EXPECT_EQ(config.lr, 0.1);
    EXPECT_EQ(config.optimizer, CRS_RMSPROP);
    EXPECT_EQ(config.mask, 0);
    EXPECT_STREQ(config.model, "embedding 8 | mean | dense");
    EXPECT_EQ(get(config, "learning-rate"), "0.1");
}

TEST(Config, WrongValuesAreRefusedWithTheMendAndChangeNothing) {
    const Refusal refusals[] = {
        {"epochs", "0", "'0' does not fit", "from 1 to"},
        {"epochs", "-3", "'-3' does not fit", "whole number"},
        {"epochs", "3.5", "does not fit", "whole number"},
        {"epochs", "", "does not fit", "whole number"},
        {"epochs", "99999999999999999999999", "does not fit", "whole number"},
        {"learning-rate", "nan", "does not fit", "from 0 to"},
        {"learning-rate", "inf", "does not fit", "from 0 to"},
        {"learning-rate", "1e-3x", "does not fit", "from 0 to"},
        {"learning-rate", "", "does not fit", "from 0 to"},
        {"validation", "1", "does not fit", "from 0 to 0.9"},
        {"optimizer", "adm", "'adm' is not known", "sgd|rmsprop|adam|adamw"},
        {"optimizer", "ada", "'ada' is not known", "sgd|rmsprop|adam|adamw"},
        {"mask", "yes", "is not known", "off|on"},
        {"learning_rate", "1", "no setting 'learning_rate'", "did you mean 'learning-rate'"},
        {"zzz", "1", "no setting 'zzz'", "--help"},
    };
    for (const Refusal &r : refusals) {
        SCOPED_TRACE(std::string(r.name) + " = " + r.value);
        crs_config before, config;
        crs_config_init(&before);
        crs_config_init(&config);
        crs_error error;
        EXPECT_EQ(crs_config_set(&config, r.name, r.value, &error), CRS_ERR_CONFIG);
        EXPECT_EQ(error.status, CRS_ERR_CONFIG);
        EXPECT_NE(std::string(error.what).find(r.what), std::string::npos) << error.what;
        EXPECT_NE(std::string(error.mend).find(r.mend), std::string::npos) << error.mend;
        EXPECT_EQ(std::memcmp(&before, &config, sizeof config), 0);
    }
    crs_config config;
    crs_config_init(&config);
    crs_error error;
    EXPECT_EQ(crs_config_set(&config, "model", std::string(5000, 'x').c_str(), &error), CRS_ERR_CONFIG);
    EXPECT_NE(std::string(error.mend).find("1023 bytes"), std::string::npos) << error.mend;
}

TEST(Config, CombinationsAreChecked) {
    const char *const wrong[][4] = {
        {"nesterov", "on", "optimizer", "sgd"},
        {"momentum", "0.9", "optimizer", "adam"},
        {"schedule", "cosine", "warmup", "1000"}, // more than the default epochs
        {"format", "lines", "epochs", "1"},
    };
    crs_config config;
    crs_error error;
    crs_config_init(&config);
    EXPECT_EQ(crs_config_check(&config, &error), CRS_OK);
    for (const auto &pair : wrong) {
        crs_config_init(&config);
        ASSERT_EQ(crs_config_set(&config, pair[0], pair[1], nullptr), CRS_OK);
        ASSERT_EQ(crs_config_set(&config, pair[2], pair[3], nullptr), CRS_OK);
        EXPECT_EQ(crs_config_check(&config, &error), CRS_ERR_CONFIG) << pair[0];
    }
}

TEST(Config, FieldsSetDirectlyAreChecked) {
    const auto refused = [](auto crs_config::*field, auto value, const char *name) {
        crs_config config;
        crs_config_init(&config);
        config.*field = value;
        crs_error error = {};
        EXPECT_EQ(crs_config_check(&config, &error), CRS_ERR_CONFIG) << name;
        EXPECT_NE(std::string(error.what).find(name), std::string::npos) << error.what;
        EXPECT_NE(error.mend[0], 0);
    };
    refused(&crs_config::lr, std::nan(""), "--learning-rate");
    refused(&crs_config::clip_norm, -1.0, "--clip-norm");
    refused(&crs_config::momentum, 1.0, "--momentum");
    refused(&crs_config::epochs, 0, "--epochs");
    refused(&crs_config::batch, -1, "--batch");
    refused(&crs_config::optimizer, 4, "--optimizer");
    refused(&crs_config::mask, 2, "--mask");
    refused(&crs_config::monitor, -1, "--monitor");
    crs_config config;
    crs_config_init(&config);
    crs_error error;
    EXPECT_EQ(crs_config_check(&config, &error), CRS_OK);
    std::memset(config.backend, 'x', sizeof config.backend);
    EXPECT_EQ(crs_config_check(&config, &error), CRS_ERR_CONFIG);
}

TEST(Config, NumbersHaveAPointInEveryLocale) {
    locale_t comma = nullptr;
    for (const char *name : {"de_DE.UTF-8", "fr_FR.UTF-8", "ru_RU.UTF-8", "it_IT.UTF-8"})
        if (!comma)
            comma = newlocale(LC_ALL_MASK, name, nullptr);
    if (!comma)
        GTEST_SKIP() << "no locale with a decimal comma is installed";
    const locale_t former = uselocale(comma);
    crs_config config;
    crs_config_init(&config);
    const double rho = config.rho;
    const crs_status half = crs_config_set(&config, "rho", "0.5", nullptr);
    const std::string read = get(config, "rho");
    uselocale(former);
    freelocale(comma);
    EXPECT_EQ(rho, 0.9);
    EXPECT_EQ(half, CRS_OK);
    EXPECT_EQ(read, "0.5");
}

TEST(Config, LearningRateFollowsTheOptimizer) {
    crs_config config;
    crs_config_init(&config);
    EXPECT_EQ(crs_config_learning_rate(&config), 0.001);
    config.optimizer = CRS_SGD;
    EXPECT_EQ(crs_config_learning_rate(&config), 0.01);
    config.lr = 0.5;
    EXPECT_EQ(crs_config_learning_rate(&config), 0.5);
}

TEST(Status, EveryOneHasNameAndText) {
    std::set<std::string> names, texts;
    for (int i = 0; i < CRS_STATUS_COUNT; i++) {
        EXPECT_TRUE(names.insert(crs_status_name(static_cast<crs_status>(i))).second);
        EXPECT_TRUE(texts.insert(crs_status_text(static_cast<crs_status>(i))).second);
    }
    EXPECT_STREQ(crs_status_name(CRS_ERR_IO), "CRS_ERR_IO");
    EXPECT_STREQ(crs_status_text(static_cast<crs_status>(999)), "unknown status");
}

TEST(Status, ErrorTextLeavesOutWhatIsNotKnownAndIsCut) {
    crs_error error = {};
    error.status = CRS_ERR_FORMAT;
    error.offset = -1;
    char text[256];
    EXPECT_STREQ(crs_error_text(&error, text, sizeof text), "malformed input");
    std::strcpy(error.what, "no label");
    std::strcpy(error.file, "a.tsv");
    error.line = 7;
    std::strcpy(error.mend, "write one");
    EXPECT_STREQ(crs_error_text(&error, text, sizeof text), "a.tsv:7: no label; write one");
    error.line = 0;
    error.offset = 12;
    EXPECT_STREQ(crs_error_text(&error, text, sizeof text), "a.tsv: no label (byte 12); write one");
    char small[8];
    EXPECT_STREQ(crs_error_text(&error, small, sizeof small), "a.tsv: ");
}

} // namespace
