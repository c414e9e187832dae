/* The table of settings: one row each, and everything that is made from it. */
#include "fail.h"
#include "numbers.h"
#include "tokenize.h"

#include <carousel/config.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(field) offsetof(crs_config, field), sizeof(((crs_config *)0)->field)
#define INTEGER(name, field, fallback, min, max, argument, help, in_model)                                             \
    { name, GROUP, CRS_SETTING_INTEGER, FIELD(field), fallback, NULL, min, max, argument, help, in_model }
#define REAL(name, field, fallback, min, max, help)                                                                    \
    { name, GROUP, CRS_SETTING_REAL, FIELD(field), fallback, NULL, min, max, "X", help, 0 }
#define SWITCH(name, field, fallback, help, in_model)                                                                  \
    { name, GROUP, CRS_SETTING_SWITCH, FIELD(field), fallback, "off|on", 0, 1, "on|off", help, in_model }
#define CHOICE(name, field, fallback, choices, help, in_model)                                                         \
    { name, GROUP, CRS_SETTING_CHOICE, FIELD(field), fallback, choices, 0, 0, choices, help, in_model }
#define TEXT(name, field, fallback, argument, help, in_model)                                                          \
    { name, GROUP, CRS_SETTING_TEXT, FIELD(field), fallback, NULL, 0, 0, argument, help, in_model }

static const crs_setting settings[] = {
#define GROUP "Data"
    CHOICE("format", format, "auto", "auto|fasttext|csv|tsv|folder|lines", "how DATA is written", 0),
    TEXT("text-column", text_column, "", "NAME|N", "column of the text in CSV and TSV; empty: found by looking", 0),
    TEXT("label-column", label_column, "", "NAME|N", "column of the label in CSV and TSV; empty: found by looking", 0),
    CHOICE("header", header, "auto", "auto|on|off", "whether the first line of CSV and TSV names the columns", 0),
    SWITCH("skip-bad", skip_bad, "off", "count and skip bad lines instead of stopping at the first", 0),
#undef GROUP
#define GROUP "Text"
    CHOICE("tokens", tokens, "words", "words|chars", "what a token is", 1),
    INTEGER("ngrams", ngrams, "1", 1, CRS__NGRAMS_MAX, "N",
            "take runs of 2 to N neighbouring tokens as tokens too, each behind its last one; best with --oov drop", 1),
    SWITCH("lowercase", lowercase, "on", "turn text to lower case (Unicode)", 1),
    TEXT("filters", filters, "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n", "CHARS",
         "characters that separate words, besides white space (the default is Keras')", 1),
    SWITCH("words-only", words_only, "off",
           "make a space of every character that is no letter, digit, mark or underscore (Unicode), before cutting", 1),
    INTEGER("vocabulary", vocabulary, "20000", 3, 100000000, "N",
            "ids at most, padding (0) and out-of-vocabulary (1) included", 1),
    INTEGER("min-count", min_count, "1", 1, 1000000000, "N", "tokens seen less often are out of vocabulary", 1),
    CHOICE("oov", oov, "keep", "keep|drop", "tokens out of vocabulary: keep them as id 1, or drop them", 1),
    INTEGER("length", length, "256", 1, 1000000, "N", "tokens of a text at most", 1),
    CHOICE("pad", pad, "post", "pre|post", "side on which shorter texts are padded", 1),
    CHOICE("truncate", truncate, "post", "pre|post", "side on which longer texts are cut", 1),
    SWITCH("mask", mask, "on", "skip padding; off: padding is a token like any other, as Keras does by default", 1),
#undef GROUP
#define GROUP "Model"
    TEXT("model", model, "embedding 128 | dropout 0.5 | bilstm 32 seq | max | dropout 0.5 | dense", "LINE",
         "the layers, e.g. 'embedding 64 | bilstm 64 seq | lstm 32 | dense'", 1),
    TEXT("vectors", vectors, "", "FILE",
         "pretrained word vectors (GloVe, word2vec or fastText .vec) to start the embedding from; a token that FILE "
         "lacks, like padding and out-of-vocabulary, keeps its small random vector",
         0),
    SWITCH("vectors-vocabulary", vectors_vocabulary, "off",
           "take words that only the --vectors have into the vocabulary too, the first ones first, up to --vocabulary: "
           "new texts will have some",
           0),
    CHOICE("loss", loss, "auto", "auto|softmax|sigmoid|mse",
           "loss; auto: sigmoid cross-entropy for one output, else softmax cross-entropy", 1),
    REAL("label-smoothing", label_smoothing, "0", 0, 0.999, "share of the target given to all classes alike"),
    CHOICE("class-weight", class_weight, "none", "none|balanced", "weight of each row's loss by its class", 0),
#undef GROUP
#define GROUP "Training"
    INTEGER("rows", rows, "0", 0, 1e15, "N", "train on the first N rows of DATA only; 0: all", 0),
    INTEGER("epochs", epochs, "20", 1, 1000000, "N", "times through the training rows at most", 0),
    INTEGER("batch", batch, "32", 1, 1000000, "N", "rows of a step", 0),
    INTEGER("seed", seed, "1", 0, 9007199254740992.0, "N",
            "of initial weights, order, masks and split: same seed, same backend, same bits", 0),
    REAL("validation", validation, "0.1", 0, 0.9, "share of the training rows kept for validation"),
    CHOICE("validation-split", validation_split, "stratified", "stratified|last",
           "which rows: drawn by chance from each class, or the last ones as Keras' validation_split", 0),
    TEXT("validation-file", validation_file, "", "FILE", "validate on these rows instead", 0),
    SWITCH("bucket", bucket, "on", "put rows of like length into one batch", 0),
    CHOICE("monitor", monitor, "loss", "loss|accuracy", "validation figure that decides which epoch is best", 0),
    INTEGER("patience", patience, "3", 0, 1000000, "N",
            "stop after so many epochs without improvement of the validation figure; 0: never", 0),
    SWITCH("keep-best", keep_best, "on", "end with the weights of the best epoch, not of the last", 0),
    REAL("word-dropout", word_dropout, "0", 0, 0.999, "share of training tokens replaced by the out-of-vocabulary id"),
#undef GROUP
#define GROUP "Optimizer"
    CHOICE("optimizer", optimizer, "adam", "sgd|rmsprop|adam|adamw", "update rule, as in Keras", 0),
    REAL("learning-rate", lr, "0", 0, 1000, "step size; 0: the optimizer's default (0.01 for sgd, else 0.001)"),
    REAL("momentum", momentum, "0", 0, 0.9999, "of sgd and rmsprop"),
    SWITCH("nesterov", nesterov, "off", "Nesterov momentum (sgd)", 0),
    REAL("rho", rho, "0.9", 0, 0.999999, "decay of the mean square (rmsprop)"),
    REAL("beta1", beta1, "0.9", 0, 0.999999, "decay of the mean (adam, adamw)"),
    REAL("beta2", beta2, "0.999", 0, 0.99999999, "decay of the mean square (adam, adamw)"),
    REAL("epsilon", epsilon, "1e-07", 1e-16, 1, "guard against division by zero"),
    REAL("weight-decay", weight_decay, "0", 0, 1, "decoupled for adamw, else an L2 term"),
    REAL("clip-norm", clip_norm, "0", 0, 1e9, "clip the gradient's global norm; 0: off"),
    CHOICE("schedule", schedule, "constant", "constant|step|cosine", "of the learning rate", 0),
    REAL("warmup", warmup, "0", 0, 1e6, "epochs over which the learning rate rises from zero"),
    REAL("decay-every", decay_every, "1", 1e-6, 1e6, "epochs between drops of the step schedule"),
    REAL("decay-rate", decay_rate, "0.5", 1e-9, 1, "factor of each drop of the step schedule"),
    REAL("final-lr", final_lr, "0", 0, 1, "share of the learning rate left at the end of the cosine"),
#undef GROUP
#define GROUP "Running"
    TEXT("backend", backend, "auto", "NAME", "where to run: auto, cpu, cpu-double, cuda, cuda:N", 0),
    TEXT("lstm", lstm, "auto", "VARIANT",
         "variant of recurrent layers to force: blocked or simple (CPU, also of convolutions), steps or persistent "
         "(CUDA); "
         "auto: the best for the sizes",
         0),
    CHOICE("precision", precision, "float32", "float32|tf32",
           "of products on a GPU: IEEE single precision, or the faster and coarser TF32", 0),
    CHOICE("graphs", graphs, "auto", "auto|off",
           "a GPU's training step as one launch, recorded once for each shape of a batch; the results are the same", 0),
    INTEGER("threads", threads, "0", 0, 1024, "N", "CPU threads; 0: all", 0),
    TEXT("cache", cache, "", "DIR",
         "keep the encoded data in this folder: the next start with the same data and settings does not read the text",
         0),
#undef GROUP
};
enum { SETTINGS = sizeof settings / sizeof *settings };

const crs_setting *crs_config_settings(size_t *count) {
    *count = SETTINGS;
    return settings;
}

/* Integer fields come as int, int64_t or uint64_t; the row's size and the field's range tell them apart well enough,
 * since no setting is negative. */
static void store_integer(crs_config *config, const crs_setting *row, uint64_t value) {
    char *field = (char *)config + row->offset;
    if (row->size == sizeof(int)) {
        int narrow = (int)value;
        memcpy(field, &narrow, sizeof narrow);
    } else {
        memcpy(field, &value, sizeof value);
    }
}

static uint64_t load_integer(const crs_config *config, const crs_setting *row) {
    const char *field = (const char *)config + row->offset;
    if (row->size == sizeof(int)) {
        int narrow;
        memcpy(&narrow, field, sizeof narrow);
        return (uint64_t)narrow;
    }
    uint64_t value;
    memcpy(&value, field, sizeof value);
    return value;
}

/* Position of word among the |-separated choices, or -1. */
static int find_choice(const char *choices, const char *word) {
    size_t n = strlen(word);
    int index = 0;
    for (const char *start = choices;; index++) {
        const char *end = strchr(start, '|');
        size_t size = end ? (size_t)(end - start) : strlen(start);
        if (size == n && memcmp(start, word, n) == 0)
            return index;
        if (!end)
            return -1;
        start = end + 1;
    }
}

static const crs_setting *find_setting(const char *name) {
    for (size_t i = 0; i < SETTINGS; i++)
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    return NULL;
}

/* Longest common subsequence: a measure of likeness that is good enough for "did you mean". */
static size_t likeness(const char *a, const char *b) {
    size_t m = strlen(b), row[65] = {0};
    if (m > 64)
        return 0;
    for (; *a; a++) {
        size_t diagonal = 0;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];
            row[j] = *a == b[j - 1] ? diagonal + 1 : (row[j - 1] > above ? row[j - 1] : above);
            diagonal = above;
        }
    }
    return row[m];
}

static crs_status fail_name(const char *name, crs_error *error) {
    const crs_setting *best = NULL;
    size_t most = 0;
    for (size_t i = 0; i < SETTINGS; i++) {
        size_t common = 2 * likeness(name, settings[i].name) * 100 / (strlen(name) + strlen(settings[i].name) + 1);
        if (common > most) {
            most = common;
            best = &settings[i];
        }
    }
    if (best && most > 60)
        return crs__fail(error, CRS_ERR_CONFIG, "there is no setting '%.64s'", "did you mean '%s'?", name, best->name);
    return crs__fail(error, CRS_ERR_CONFIG, "there is no setting '%.64s'", "--help lists them", name);
}

static crs_status fail_value(const crs_setting *row, const char *value, crs_error *error) {
    switch (row->kind) {
    case CRS_SETTING_INTEGER:
        return crs__fail(error, CRS_ERR_CONFIG, "--%s '%.64s' does not fit", "give a whole number from %.0f to %.0f",
                         row->name, value, row->min, row->max);
    case CRS_SETTING_REAL:
        return crs__fail(error, CRS_ERR_CONFIG, "--%s '%.64s' does not fit", "give a number from %g to %g", row->name,
                         value, row->min, row->max);
    case CRS_SETTING_TEXT:
        return crs__fail(error, CRS_ERR_CONFIG, "--%s '%.64s...' is too long", "%zu bytes are the most", row->name,
                         value, row->size - 1);
    default:
        return crs__fail(error, CRS_ERR_CONFIG, "--%s '%.64s' is not known", "give one of %s", row->name, value,
                         row->choices);
    }
}

static crs_status set(crs_config *config, const char *name, const char *value, crs_error *error) {
    const crs_setting *row = find_setting(name);
    if (!row)
        return fail_name(name, error);
    char *end = NULL;
    errno = 0;
    if (row->kind == CRS_SETTING_INTEGER) {
        unsigned long long number = isdigit((unsigned char)*value) ? strtoull(value, &end, 10) : 0;
        if (!end || *end || errno || (double)number < row->min || (double)number > row->max)
            return fail_value(row, value, error);
        store_integer(config, row, number);
    } else if (row->kind == CRS_SETTING_REAL) {
        double number = *value ? strtod(value, &end) : 0;
        /* Written so that NaN fails. */
        if (!end || *end || !(number >= row->min && number <= row->max))
            return fail_value(row, value, error);
        memcpy((char *)config + row->offset, &number, sizeof number);
    } else if (row->kind == CRS_SETTING_TEXT) {
        const size_t size = strlen(value) + 1;
        if (size > row->size)
            return fail_value(row, value, error);
        memset((char *)config + row->offset, 0, row->size);
        memcpy((char *)config + row->offset, value, size);
    } else {
        int index = find_choice(row->choices, value);
        if (index < 0)
            return fail_value(row, value, error);
        store_integer(config, row, (uint64_t)index);
    }
    return CRS_OK;
}

crs_status crs_config_set(crs_config *config, const char *name, const char *value, crs_error *error) {
    const locale_t former = crs__numbers_begin();
    const crs_status status = set(config, name, value, error);
    crs__numbers_end(former);
    return status;
}

/* The shortest text that reads back as the same number. */
static void write_real(double number, char *buffer, size_t size) {
    const locale_t former = crs__numbers_begin();
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(buffer, size, "%.*g", digits, number);
        if (strtod(buffer, NULL) == number)
            break;
    }
    crs__numbers_end(former);
}

const char *crs_config_get(const crs_config *config, const char *name, char *buffer, size_t size) {
    const crs_setting *row = find_setting(name);
    if (!row || size == 0)
        return NULL;
    if (row->kind == CRS_SETTING_INTEGER) {
        snprintf(buffer, size, "%" PRIu64, load_integer(config, row));
    } else if (row->kind == CRS_SETTING_REAL) {
        double number;
        memcpy(&number, (const char *)config + row->offset, sizeof number);
        write_real(number, buffer, size);
    } else if (row->kind == CRS_SETTING_TEXT) {
        snprintf(buffer, size, "%s", (const char *)config + row->offset);
    } else {
        const char *word = row->choices;
        for (uint64_t index = load_integer(config, row); index > 0 && word; index--)
            word = strchr(word, '|') ? strchr(word, '|') + 1 : NULL;
        snprintf(buffer, size, "%.*s", word ? (int)strcspn(word, "|") : 0, word ? word : "");
    }
    return buffer;
}

void crs_config_init(crs_config *config) {
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < SETTINGS; i++)
        (void)crs_config_set(config, settings[i].name, settings[i].fallback, NULL);
}

double crs_config_learning_rate(const crs_config *config) {
    if (config->lr > 0)
        return config->lr;
    return config->optimizer == CRS_SGD ? 0.01 : 0.001;
}

crs_device_options crs_config_device(const crs_config *config) {
    return (crs_device_options){.index = -1,
                                .threads = (int)config->threads,
                                .lstm = config->lstm,
                                .precision = (crs_precision)config->precision,
                                .graphs = (crs_graphs)config->graphs};
}

/* A field that was set directly may hold what crs_config_set would have refused. */
static crs_status check_range(const crs_config *config, const crs_setting *row, crs_error *error) {
    char value[64];
    double number;
    int fits = 1;
    if (row->kind == CRS_SETTING_REAL) {
        memcpy(&number, (const char *)config + row->offset, sizeof number);
        fits = number >= row->min && number <= row->max; /* NaN does not fit */
    } else if (row->kind == CRS_SETTING_INTEGER) {
        number = (double)load_integer(config, row);
        fits = number >= row->min && number <= row->max;
    } else if (row->kind == CRS_SETTING_TEXT) {
        return memchr((const char *)config + row->offset, 0, row->size)
                   ? CRS_OK
                   : crs__fail(error, CRS_ERR_CONFIG, "--%s is not terminated", "set it with crs_config_set",
                               row->name);
    } else {
        uint64_t choices = 1;
        for (const char *at = strchr(row->choices, '|'); at; at = strchr(at + 1, '|'))
            choices++;
        fits = load_integer(config, row) < choices;
    }
    return fits ? CRS_OK : fail_value(row, crs_config_get(config, row->name, value, sizeof value), error);
}

crs_status crs_config_check(const crs_config *config, crs_error *error) {
    for (size_t i = 0; i < SETTINGS; i++)
        CRS_TRY(check_range(config, &settings[i], error));
    if (config->nesterov && (config->optimizer != CRS_SGD || config->momentum == 0))
        return crs__fail(error, CRS_ERR_CONFIG, "--nesterov on needs --optimizer sgd and a --momentum above 0", NULL);
    if (config->momentum > 0 && config->optimizer != CRS_SGD && config->optimizer != CRS_RMSPROP)
        return crs__fail(error, CRS_ERR_CONFIG, "--momentum is of sgd and rmsprop",
                         "for adam and adamw set --beta1 instead");
    if (config->schedule == CRS_COSINE && !(config->warmup < (double)config->epochs))
        return crs__fail(error, CRS_ERR_CONFIG, "--warmup %g leaves no epoch for the cosine",
                         "give less than --epochs %lld", config->warmup, (long long)config->epochs);
    if (config->vectors_vocabulary && !config->vectors[0])
        return crs__fail(error, CRS_ERR_CONFIG, "--vectors-vocabulary on needs --vectors", "name the file of vectors");
    if (config->format == CRS_FORMAT_LINES)
        return crs__fail(error, CRS_ERR_CONFIG, "--format lines has no labels to train or evaluate on",
                         "give fasttext, csv, tsv or folder");
    return CRS_OK;
}
