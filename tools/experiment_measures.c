/* The figures an experiment reports: one table, which the tables, the published figures and the pictures all read. */
#include "experiment.h"

const experiment_measure experiment_measures[MEASURES] = {
    {"epochs", "Epochs", NULL, "epochs", NULL, 1, 0},
    {"train_loss", "Train loss", "train", "loss", "train-loss", 4, 0},
    {"train_accuracy", "Train accuracy", "train", "accuracy", "train-accuracy", 4, 1},
    {"val_loss", "Validation loss", "validation", "loss", NULL, 4, 0},
    {"val_accuracy", "Validation accuracy", "validation", "accuracy", "val-accuracy", 4, 1},
    {"test_loss", "Test loss", "test", "loss", "loss", 4, 0},
    {"test_accuracy", "Test accuracy", "test", "accuracy", "accuracy", 4, 1},
    {"test_macro_f1", "Test macro F1", "test", "macro_f1", NULL, 4, 0},
    {"test_auc", "Test AUC", "test", "roc_auc", NULL, 4, 0},
    {"seconds_per_epoch", "Seconds per epoch", NULL, "seconds_per_epoch", "seconds", 2, 0},
};
