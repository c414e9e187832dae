/* Settings. Every hyper-parameter is one row of one table (core/config.c): the row feeds the command's flags and
 * --help, experiment files, and the metadata of a saved model. */
#ifndef CAROUSEL_CONFIG_H
#define CAROUSEL_CONFIG_H

#include <carousel/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum crs_format {
    CRS_FORMAT_AUTO,
    CRS_FORMAT_FASTTEXT,
    CRS_FORMAT_CSV,
    CRS_FORMAT_TSV,
    CRS_FORMAT_FOLDER,
    CRS_FORMAT_LINES
} crs_format;
typedef enum crs_tokens { CRS_TOKENS_WORDS, CRS_TOKENS_CHARS } crs_tokens;
typedef enum crs_side { CRS_SIDE_PRE, CRS_SIDE_POST } crs_side;
typedef enum crs_oov { CRS_OOV_KEEP, CRS_OOV_DROP } crs_oov;
typedef enum crs_auto_flag { CRS_FLAG_AUTO, CRS_FLAG_ON, CRS_FLAG_OFF } crs_auto_flag;
typedef enum crs_loss_choice { CRS_LOSS_AUTO, CRS_LOSS_SOFTMAX, CRS_LOSS_SIGMOID, CRS_LOSS_MSE } crs_loss_choice;
typedef enum crs_split { CRS_SPLIT_STRATIFIED, CRS_SPLIT_LAST } crs_split;
typedef enum crs_monitor { CRS_MONITOR_LOSS, CRS_MONITOR_ACCURACY } crs_monitor;
typedef enum crs_class_weighting { CRS_CLASS_WEIGHT_NONE, CRS_CLASS_WEIGHT_BALANCED } crs_class_weighting;

/* A plain value: copy it freely. crs_config_init gives the defaults; fields may be set directly or by name. The comment
 * at a field is short; the table's help text is the full description. */
typedef struct crs_config {
    /* data */
    int format;            /* crs_format */
    char text_column[64];  /* header name or 1-based number; "": found */
    char label_column[64]; /* likewise */
    int header;            /* crs_auto_flag: does the first line name the columns? */
    int skip_bad;          /* 1: bad lines are counted and skipped */
    /* text */
    int tokens;         /* crs_tokens */
    int64_t ngrams;     /* runs of up to so many neighbouring tokens are tokens too */
    int lowercase;      /* 1: Unicode lower case */
    char filters[128];  /* characters that separate words, besides white space */
    int words_only;     /* 1: only letters, digits, marks and underscores stay; the rest separates */
    int64_t vocabulary; /* ids at most, padding and out-of-vocabulary included */
    int64_t min_count;  /* rarer tokens are out of vocabulary */
    int oov;            /* crs_oov */
    int64_t length;     /* tokens of a text at most */
    int pad;            /* crs_side */
    int truncate;       /* crs_side: which end is cut off */
    int mask;           /* 1: padding is skipped; 0: it is a token like any other */
    /* model */
    char model[1024];       /* the model line */
    char vectors[512];      /* file for crs_vectors_load, which the command calls; "": none */
    int vectors_vocabulary; /* 1: words of that file come into the vocabulary, by crs_vectors_extend */
    int loss;               /* crs_loss_choice */
    double label_smoothing;
    int class_weight; /* crs_class_weighting */
    /* training */
    int64_t rows; /* of the data an encoder is fitted on at most, the first ones; 0: all */
    int64_t epochs, batch;
    uint64_t seed;
    double validation;         /* fraction of the training rows */
    int validation_split;      /* crs_split */
    char validation_file[512]; /* "" : none */
    int bucket;                /* 1: rows of like length share a batch */
    int monitor;               /* crs_monitor */
    int64_t patience;          /* epochs without improvement before stopping; 0: never */
    int keep_best;             /* 1: the weights of the best epoch are kept */
    double word_dropout;       /* share of training tokens replaced by the out-of-vocabulary id */
    /* optimizer */
    int optimizer; /* crs_optimizer_kind of ops.h */
    double lr;     /* 0: the optimizer's own default */
    double momentum, rho, beta1, beta2, epsilon, weight_decay;
    int nesterov;
    double clip_norm;
    int schedule;       /* crs_schedule_kind of ops.h */
    double warmup;      /* epochs */
    double decay_every; /* epochs */
    double decay_rate;
    double final_lr; /* fraction of lr at the end of the cosine */
    /* running */
    char backend[32];
    char lstm[32]; /* variant of the recurrent kernels */
    int precision; /* crs_precision of ops.h */
    int graphs;    /* crs_graphs of ops.h */
    int64_t threads;
    char cache[256]; /* folder to keep encoded data in; "": none */
} crs_config;

typedef enum crs_setting_kind {
    CRS_SETTING_INTEGER,
    CRS_SETTING_REAL,
    CRS_SETTING_SWITCH, /* on or off */
    CRS_SETTING_CHOICE, /* one word of `choices` */
    CRS_SETTING_TEXT
} crs_setting_kind;

/* One row of the table. */
typedef struct crs_setting {
    const char *name;  /* "learning-rate": the flag is --learning-rate, the key in files is the same */
    const char *group; /* heading in --help */
    crs_setting_kind kind;
    size_t offset, size;  /* the field in crs_config */
    const char *fallback; /* default, as text */
    const char *choices;  /* CHOICE: "a|b|c", in the order of the enum; else NULL */
    double min, max;      /* INTEGER and REAL: allowed range, both ends included */
    const char *argument; /* word for the value in --help, e.g. "N" */
    const char *help;     /* one sentence without the default */
    int in_model;         /* 1: saved with a model, since it decides how text is read and what the network is */
} crs_setting;

const crs_setting *crs_config_settings(size_t *count);

void crs_config_init(crs_config *config);

/* Sets one field by name. CRS_ERR_CONFIG, with what is wrong and what would be right, and the field unchanged, where
 * the name is unknown or the value does not fit. */
crs_status crs_config_set(crs_config *config, const char *name, const char *value, crs_error *error);

/* The value of one field as text, such that crs_config_set reads it back exactly. Returns buffer, or NULL where the
 * name is unknown. */
const char *crs_config_get(const crs_config *config, const char *name, char *buffer, size_t size);

/* That every field is in its range, also where it was set directly, and that the fields fit together: Nesterov needs a
 * momentum, say. */
crs_status crs_config_check(const crs_config *config, crs_error *error);

/* The learning rate in force: config->lr, or where that is 0 the default of the optimizer (Keras': 0.01 for sgd, else
 * 0.001). */
double crs_config_learning_rate(const crs_config *config);

/* What the settings ask of a backend, for crs_backend_open. Points into config. */
crs_device_options crs_config_device(const crs_config *config);

#ifdef __cplusplus
}
#endif
#endif
