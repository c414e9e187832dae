/* The history as a file: exact text, nothing lost. */
#include <carousel/carousel.h>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>
#include <string>
#include <unistd.h>

namespace {

class HistoryFile : public testing::Test {
  protected:
    void SetUp() override {
        char folder[] = "/tmp/carousel-history-XXXXXX";
        ASSERT_NE(mkdtemp(folder), nullptr);
        folder_ = folder;
        path_ = folder_ + "/history.csv";
    }
    void TearDown() override {
        unlink(path_.c_str());
        EXPECT_EQ(rmdir(folder_.c_str()), 0) << "something was left beside";
    }
    std::string content() const {
        std::ifstream file(path_);
        std::stringstream text;
        text << file.rdbuf();
        return text.str();
    }
    std::string folder_, path_;
};

const char *const HEADER = "epoch,steps,loss,accuracy,val_loss,val_accuracy,val_macro_f1,learning_rate,grad_norm,"
                           "seconds,tokens,best\n";

crs_epoch epoch(int64_t number) {
    crs_epoch made = {};
    made.epoch = number;
    made.steps = 13;
    made.loss = 2.0 / 3;
    made.accuracy = 0.5;
    made.val_loss = 0.7;
    made.val_accuracy = 0.625;
    made.val_macro_f1 = 0.25;
    made.lr = 1e-3;
    made.grad_norm = 12345.678;
    made.seconds = 0.125;
    made.tokens = 123456789012345;
    made.best = 1;
    return made;
}

TEST_F(HistoryFile, IsCsvWithEmptyFieldsForWhatThereIsNot) {
    crs_epoch epochs[2] = {epoch(1), epoch(2)};
    epochs[1].val_loss = epochs[1].val_accuracy = epochs[1].val_macro_f1 = std::nan("");
    epochs[1].best = 0;
    crs_history history = {};
    history.count = 2;
    history.epochs = epochs;
    crs_error error = {};
    ASSERT_EQ(crs_history_write(&history, path_.c_str(), 0, &error), CRS_OK) << error.what;
    EXPECT_EQ(content(),
              HEADER + std::string("1,13,0.666666667,0.5,0.7,0.625,0.25,0.001,12345.678,0.125,123456789012345,1\n"
                                   "2,13,0.666666667,0.5,,,,0.001,12345.678,0.125,123456789012345,0\n"));
}

TEST_F(HistoryFile, ExistingFileIsKeptUnlessAsked) {
    crs_history history = {};
    crs_error error = {};
    ASSERT_EQ(crs_history_write(&history, path_.c_str(), 0, &error), CRS_OK) << error.what;
    EXPECT_EQ(content(), HEADER);
    crs_epoch one = epoch(1);
    history.count = 1;
    history.epochs = &one;
    EXPECT_EQ(crs_history_write(&history, path_.c_str(), 0, &error), CRS_ERR_EXISTS);
    EXPECT_EQ(content(), HEADER);
    EXPECT_EQ(crs_history_write(&history, path_.c_str(), 1, &error), CRS_OK) << error.what;
    EXPECT_GT(content().size(), std::string(HEADER).size());
}

TEST_F(HistoryFile, FolderThatDoesNotExistIsAnError) {
    const crs_history history = {};
    crs_error error = {};
    EXPECT_EQ(crs_history_write(&history, (folder_ + "/none/history.csv").c_str(), 0, &error), CRS_ERR_IO);
    EXPECT_NE(std::string(error.file).find("/none/"), std::string::npos);
}

} // namespace
