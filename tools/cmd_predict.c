/* carousel predict MODEL [FILE]: a label and its probability for each text, in bounded memory. */
#include "ensemble.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 256 };

typedef struct prediction {
    invocation *in;
    ensemble models;
    const crs_encoder *encoder; /* the first model's */
    crs_reader *reader;
    int64_t classes, outputs, top;
    int batch; /* texts taken together: 1 where somebody waits for each answer */
    char *texts[BATCH];
    int count;
    int64_t printed;
    float *probabilities; /* [batch, classes] */
    float *logits;        /* [batch, outputs] */
    unsigned char *taken; /* [classes] */
} prediction;

/* The next best label that has not been taken yet; ties: the lowest class. */
static int64_t next_best(prediction *p, const float *probabilities) {
    int64_t best = -1;
    for (int64_t c = 0; c < p->classes; c++)
        if (!p->taken[c] && (best < 0 || probabilities[c] > probabilities[best]))
            best = c;
    p->taken[best] = 1;
    return best;
}

static void print_plain(prediction *p, const float *probabilities) {
    memset(p->taken, 0, (size_t)p->classes);
    for (int64_t k = 0; k < p->top; k++) {
        int64_t c = next_best(p, probabilities);
        fputs(k ? "\t" : "", stdout);
        print_name(stdout, crs_encoder_label(p->encoder, c), 0, INT_MAX);
        printf("\t%.6f", probabilities[c]);
    }
    putchar('\n');
}

/* One element of the "predictions" array; the object around it is written piece by piece, so that memory stays bounded.
 */
static int print_element(prediction *p, const float *probabilities, const float *logits) {
    json_t *labels = json_array(), *raw = p->in->extras.logits ? json_array() : NULL;
    memset(p->taken, 0, (size_t)p->classes);
    for (int64_t k = 0; k < p->top; k++) {
        int64_t c = next_best(p, probabilities);
        json_array_append_new(labels, json_pack("{s:s, s:f}", "label", crs_encoder_label(p->encoder, c), "probability",
                                                (double)probabilities[c]));
    }
    for (int64_t o = 0; raw && o < p->outputs; o++)
        json_array_append_new(raw, json_real((double)logits[o]));
    json_t *element =
        raw ? json_pack("{s:o, s:o}", "labels", labels, "logits", raw) : json_pack("{s:o}", "labels", labels);
    fputs(p->printed ? ",\n " : "\n ", stdout);
    int failed = !element || json_dumpf(element, stdout, JSON_REAL_PRECISION(9)) != 0;
    json_decref(element);
    return failed ? EXIT_FAILED : EXIT_DONE;
}

static int flush_batch(prediction *p) {
    crs_error error;
    int result = EXIT_DONE;
    if (p->count == 0)
        return EXIT_DONE;
    if (ensemble_predict(&p->models, (const char *const *)p->texts, (size_t)p->count, p->probabilities, p->logits,
                         &error) != CRS_OK)
        result = fail(&error);
    for (int i = 0; i < p->count && result == EXIT_DONE; i++, p->printed++) {
        if (p->in->extras.json)
            result = print_element(p, p->probabilities + i * p->classes, p->logits + i * p->outputs);
        else
            print_plain(p, p->probabilities + i * p->classes);
    }
    for (int i = 0; i < p->count; i++)
        free(p->texts[i]);
    p->count = 0;
    if (p->batch == 1)
        fflush(stdout);
    if (result == EXIT_DONE && ferror(stdout))
        return EXIT_FAILED; /* main says so */
    return result;
}

static int predict_all(prediction *p) {
    crs_error error;
    for (;;) {
        crs_row row;
        int end = 0;
        if (crs_reader_next(p->reader, &row, &end, &error) != CRS_OK) {
            int result = flush_batch(p);
            fail(&error);
            return result == EXIT_DONE ? EXIT_FAILED : result;
        }
        if (end)
            return flush_batch(p);
        char **text = &p->texts[p->count];
        *text = malloc(row.text_size + 1);
        if (!*text) {
            fputs("carousel: out of memory for a text\n", stderr);
            return EXIT_FAILED;
        }
        memcpy(*text, row.text, row.text_size);
        (*text)[row.text_size] = '\0';
        p->count++;
        if (p->count == p->batch) {
            int result = flush_batch(p);
            if (result != EXIT_DONE)
                return result;
        }
    }
}

static int prepare(prediction *p, const char *path) {
    crs_error error;
    const char *top = p->in->extras.top;
    char *end = NULL;
    p->classes = crs_encoder_classes(p->encoder);
    p->outputs = crs_model_outputs(p->models.members[0]->model);
    p->top = top ? strtoll(top, &end, 10) : 1;
    if ((top && (*end || end == top)) || p->top < 1) {
        fprintf(stderr, "carousel: --top '%s' does not fit; give a whole number from 1\n", top);
        return EXIT_USAGE;
    }
    if (p->top > p->classes)
        p->top = p->classes;
    /* A pipe or a terminal may wait for each answer before it sends the next text. */
    p->batch = strcmp(path, "-") == 0 && (isatty(STDIN_FILENO) || lseek(STDIN_FILENO, 0, SEEK_CUR) < 0) ? 1 : BATCH;
    p->probabilities = malloc((size_t)p->batch * (size_t)p->classes * sizeof(float));
    p->logits = malloc((size_t)p->batch * (size_t)p->outputs * sizeof(float));
    p->taken = malloc((size_t)p->classes);
    if (!p->probabilities || !p->logits || !p->taken) {
        fputs("carousel: out of memory for probabilities\n", stderr);
        return EXIT_FAILED;
    }
    if (crs_reader_open(path, &p->models.members[0]->config, &p->reader, &error) != CRS_OK)
        return fail(&error);
    return EXIT_DONE;
}

static int predict_file(prediction *p, const char *path) {
    invocation *in = p->in;
    crs_config *config = &p->models.members[0]->config;
    const char *ending = strrchr(path, '.');
    p->encoder = p->models.members[0]->encoder;
    if (config->format == CRS_FORMAT_AUTO) {
        config->format = CRS_FORMAT_LINES;
        if (ending && (strcmp(ending, ".tsv") == 0 || strcmp(ending, ".csv") == 0))
            say(in, "each whole line of %s is taken as a text; --format %s takes its text column", path, ending + 1);
    }
    int result = prepare(p, path);
    if (result != EXIT_DONE)
        return result;
    if (in->extras.json)
        printf("{\"carousel\": \"%s\", \"predictions\": [", crs_version());
    result = predict_all(p);
    if (in->extras.json && result == EXIT_DONE)
        puts("\n]}");
    if (crs_reader_skipped(p->reader) > 0)
        say(in, "%lld bad lines were skipped", (long long)crs_reader_skipped(p->reader));
    return result;
}

int run_predict(invocation *in) {
    const char *path = in->argument_count > 1 ? in->arguments[1] : "-";
    prediction p = {.in = in};
    if (in->extras.with.count > 0 && in->extras.logits) {
        fputs("carousel: --with averages probabilities, and there are no logits of that; leave out --logits\n", stderr);
        return EXIT_USAGE;
    }
    const int result = ensemble_open(in, &p.models) ? predict_file(&p, path) : EXIT_FAILED;
    for (int i = 0; i < p.count; i++)
        free(p.texts[i]);
    free(p.probabilities);
    free(p.logits);
    free(p.taken);
    crs_reader_close(p.reader);
    ensemble_clear(&p.models);
    return result;
}
