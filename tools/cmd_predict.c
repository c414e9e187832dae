/* carousel predict MODEL [FILE]: a label and its probability for each text, in bounded memory. */
#include "ensemble.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Texts taken together, unless their probabilities are more than these: of a million classes there are 16. */
enum { BATCH = 256, BATCH_VALUES = 1 << 24 };

/* Where a text stands; the file's name is the text's own memory. */
typedef struct place {
    const char *file;
    int64_t line;
} place;

/* A label of a text. */
typedef struct ranked {
    float probability;
    int64_t class_;
} ranked;

typedef struct prediction {
    invocation *in;
    ensemble models;
    const crs_encoder *encoder; /* the first model's */
    crs_reader *reader;
    int64_t classes, outputs, top;
    int batch; /* texts taken together: 1 where somebody waits for each answer */
    char *texts[BATCH];
    place places[BATCH];
    int count;
    int64_t printed;
    float *probabilities; /* [batch, classes] */
    float *logits;        /* [batch, outputs], or NULL: not printed */
    ranked *best;         /* [top] */
} prediction;

/* ---- the best labels ---- */

/* Ties: the lower class. */
static int is_better(const ranked *a, const ranked *b) {
    return a->probability > b->probability || (a->probability == b->probability && a->class_ < b->class_);
}

static int by_rank(const void *a, const void *b) {
    return is_better(b, a) - is_better(a, b);
}

/* Puts the worst of a heap's subtree back at its root, where all else is in order. */
static void sift_down(ranked *heap, int64_t count, int64_t root) {
    for (int64_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && is_better(&heap[child], &heap[child + 1]))
            child++;
        if (is_better(&heap[child], &heap[root]))
            return;
        const ranked worse = heap[child];
        heap[child] = heap[root];
        heap[root] = worse;
    }
}

/* The `top` best labels into p->best, best first. A heap with the worst of them at its root takes classes in one pass:
 * all of a hundred thousand labels may be asked for. */
static void find_best(prediction *p, const float *probabilities) {
    for (int64_t c = 0; c < p->top; c++)
        p->best[c] = (ranked){probabilities[c], c};
    for (int64_t root = p->top / 2; root-- > 0;)
        sift_down(p->best, p->top, root);
    for (int64_t c = p->top; c < p->classes; c++) {
        const ranked one = {probabilities[c], c};
        if (is_better(&one, &p->best[0])) {
            p->best[0] = one;
            sift_down(p->best, p->top, 0);
        }
    }
    qsort(p->best, (size_t)p->top, sizeof *p->best, by_rank);
}

/* ---- answers ---- */

static void print_plain(prediction *p, const float *probabilities) {
    find_best(p, probabilities);
    for (int64_t k = 0; k < p->top; k++) {
        fputs(k ? "\t" : "", stdout);
        print_name(stdout, crs_encoder_label(p->encoder, p->best[k].class_), 0, INT_MAX);
        printf("\t%.6f", p->best[k].probability);
    }
    putchar('\n');
}

/* One element of the "predictions" array; the object around it is written piece by piece, so that memory stays bounded.
 */
static int print_element(prediction *p, const float *probabilities, const float *logits) {
    json_t *labels = json_array(), *raw = logits ? json_array() : NULL;
    find_best(p, probabilities);
    for (int64_t k = 0; k < p->top; k++)
        json_array_append_new(labels, json_pack("{s:s, s:f}", "label", crs_encoder_label(p->encoder, p->best[k].class_),
                                                "probability", (double)p->best[k].probability));
    for (int64_t o = 0; raw && o < p->outputs; o++)
        json_array_append_new(raw, json_real((double)logits[o]));
    json_t *element =
        raw ? json_pack("{s:o, s:o}", "labels", labels, "logits", raw) : json_pack("{s:o}", "labels", labels);
    fputs(p->printed ? ",\n " : "\n ", stdout);
    int failed = !element || json_dumpf(element, stdout, JSON_REAL_PRECISION(9)) != 0;
    json_decref(element);
    return failed ? EXIT_FAILED : EXIT_DONE;
}

static int all_finite(const float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return 0;
    return 1;
}

/* The answer to text i of the batch. Nobody is told a label that was chosen among numbers that are none. */
static int answer(prediction *p, int i) {
    const float *probabilities = p->probabilities + i * p->classes;
    const float *logits = p->logits ? p->logits + i * p->outputs : NULL;
    const int probable = all_finite(probabilities, p->classes);
    if (!probable || (logits && !all_finite(logits, p->outputs))) {
        crs_error error;
        describe(&error, CRS_ERR_NOT_FINITE, p->places[i].file, p->places[i].line,
                 "the weights are too large or not numbers: train again with a lower --learning-rate",
                 "%s of this text is not finite", probable ? "a logit" : "a probability");
        return fail(&error);
    }
    if (p->in->extras.json)
        return print_element(p, probabilities, logits);
    print_plain(p, probabilities);
    return EXIT_DONE;
}

static int flush_batch(prediction *p) {
    crs_error error;
    int result = EXIT_DONE;
    if (p->count == 0)
        return EXIT_DONE;
    if (ensemble_predict(&p->models, (const char *const *)p->texts, (size_t)p->count, p->probabilities, p->logits,
                         &error) != CRS_OK)
        result = fail(&error);
    for (int i = 0; i < p->count && result == EXIT_DONE; i++, p->printed++)
        result = answer(p, i);
    for (int i = 0; i < p->count; i++)
        free(p->texts[i]);
    p->count = 0;
    if (p->batch == 1)
        fflush(stdout);
    if (result == EXIT_DONE && ferror(stdout))
        return EXIT_FAILED; /* main says so */
    return result;
}

/* Keeps a copy of the row's text, and where it stands. 0: out of memory. */
static int keep_text(prediction *p, const crs_row *row) {
    const char *file = strcmp(row->file, "-") == 0 ? "standard input" : row->file;
    const size_t name_size = strlen(file) + 1;
    char *text = malloc(row->text_size + 1 + name_size);
    if (!text)
        return 0;
    memcpy(text, row->text, row->text_size);
    text[row->text_size] = '\0';
    memcpy(text + row->text_size + 1, file, name_size);
    p->texts[p->count] = text;
    p->places[p->count++] = (place){text + row->text_size + 1, row->line};
    return 1;
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
        if (!keep_text(p, &row)) {
            fputs("carousel: out of memory for a text\n", stderr);
            return EXIT_FAILED;
        }
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
    const int waits = strcmp(path, "-") == 0 && (isatty(STDIN_FILENO) || lseek(STDIN_FILENO, 0, SEEK_CUR) < 0);
    const int64_t fitting = BATCH_VALUES / p->classes;
    p->batch = waits ? 1 : fitting < BATCH ? (int)fitting : BATCH;
    p->probabilities = malloc((size_t)p->batch * (size_t)p->classes * sizeof(float));
    const int with_logits = p->in->extras.logits && p->in->extras.json;
    if (with_logits)
        p->logits = malloc((size_t)p->batch * (size_t)p->outputs * sizeof(float));
    p->best = malloc((size_t)p->top * sizeof *p->best);
    if (!p->probabilities || (with_logits && !p->logits) || !p->best) {
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
    free(p.best);
    crs_reader_close(p.reader);
    ensemble_clear(&p.models);
    return result;
}
