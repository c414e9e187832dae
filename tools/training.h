/* One training from data to evaluated classifier, as the commands train and experiment both run it; and the two signals
 * that end it early. Writes no file but the partial model that progress.c keeps. */
#ifndef CRS_TRAINING_COMMAND_H
#define CRS_TRAINING_COMMAND_H

#include "command.h"

#include <signal.h>

/* Filled by the caller: in, config, data, backend. The rest is made by the steps below and freed by training_clear; the
 * caller closes the backend after that. A step that fails fills error. */
typedef struct training {
    const invocation *in;
    const crs_config *config;
    const char *data; /* path of the training rows */
    crs_backend *backend;
    crs_encoder *encoder; /* until the classifier owns it */
    crs_classifier *classifier;
    int64_t width;                           /* of the embedding, where there are vectors */
    int64_t words_added;                     /* to the vocabulary, from --vectors */
    crs_vectors_coverage vectors;            /* format NULL: none */
    crs_dataset *train_set, *validation_set; /* validation_set: of --validation-file */
    int64_t *train_rows, *validation_rows;   /* NULL: all */
    int64_t train_count, validation_count;
    crs_history history;
    crs_metrics *validation; /* NULL: no validation rows */
    crs_error error;
} training;

/* The steps, in their order. */
crs_status training_check_line(training *t);                    /* of config->model, before the data are read */
crs_status training_read(training *t);                          /* the rows, and an encoder fitted on them */
crs_status training_split(training *t);                         /* which rows are for validation */
crs_status training_build(training *t);                         /* the classifier */
crs_status training_run(training *t, const char *model_output); /* model_output: progress saves beside it */
crs_status training_validate(training *t);

/* What the validation rows belong to; NULL: there are none. */
const crs_dataset *training_validation_set(const training *t);
/* Frees what split, build, run and validate made; the encoder is the training's again, for another seed. */
void training_restart(training *t);
void training_clear(training *t);

/* From start to end Ctrl-C and a polite kill only ask for a stop, which crs_train sees after every step; the second one
 * ends the process. */
typedef struct stop_watch {
    struct sigaction interrupt, terminate; /* what was in force before */
} stop_watch;

void stop_watch_start(stop_watch *watch);
void stop_watch_end(const stop_watch *watch);
int stop_wanted(void);

#endif
