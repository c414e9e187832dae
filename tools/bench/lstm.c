/* Measures Carousel's LSTM on a backend, through the public headers alone: a layer, forward and backward, or a whole
 * training step. It compares with nothing; lstm.py does, and asks this program for a case at a time.
 *
 *     bench_lstm --backend cuda layer H=64 B=32
 *     bench_lstm --backend cuda            cases are read from standard input, one on a line
 *
 * First a line of JSON with the device, then one for each case with medians in microseconds a call, and a time step of
 * it. Calls are queued and waited for once, as in training. */
#include "bench.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

void check(const bench *b, crs_status status, const char *what) {
    if (status != CRS_OK)
        fail("%s: %s", what, crs_backend_failure(b->backend, status));
}

/* ---- device memory ---- */

void *device_alloc(bench *b, size_t bytes) {
    void *memory;
    if (b->block_count == BENCH_BLOCKS)
        fail("a case needs more than %d blocks of memory", BENCH_BLOCKS);
    check(b, b->ops->alloc(b->device, bytes, &memory), "device memory");
    b->blocks[b->block_count++] = memory;
    check(b, b->ops->fill(b->device, memory, 0, bytes), "fill");
    return memory;
}

void *device_floats(bench *b, const float *values, size_t count) {
    void *memory = device_alloc(b, count * sizeof *values);
    check(b, b->ops->upload(b->device, memory, values, count * sizeof *values), "upload");
    return memory;
}

void device_release(bench *b) {
    while (b->block_count > 0)
        b->ops->free(b->device, b->blocks[--b->block_count]);
}

/* ---- measuring ---- */

enum { CALLS_MOST = 1 << 20, KINDS_MOST = 2, REPETITIONS_MOST = 1000 };

/* Microseconds of so many calls, begun and ended with nothing queued. */
static double time_calls(bench *b, const bench_call *call, int64_t count, void *user) {
    check(b, b->ops->sync(b->device), call->name);
    const double begin = monotonic_microseconds();
    for (int64_t i = 0; i < count; i++)
        call->run(b, user);
    check(b, b->ops->sync(b->device), call->name);
    return monotonic_microseconds() - begin;
}

static int compare_doubles(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, int64_t count) {
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static void print_time(const char *name, double *values, const bench_case *c) {
    const double typical = median(values, c->repetitions);
    printf(", \"%s_us\": %.4f, \"%s_us_per_time_step\": %.5f", name, typical, name, typical / (double)c->T);
}

void measure(bench *b, const bench_case *c, const bench_call *calls, size_t count, const char *rest, void *user) {
    static double times[KINDS_MOST][REPETITIONS_MOST], differences[REPETITIONS_MOST];
    int64_t many = 1;
    for (size_t k = 0; k < count; k++)
        time_calls(b, &calls[k], c->warmup, user);
    while (many < CALLS_MOST && time_calls(b, &calls[0], many, user) < c->milliseconds * 1e3)
        many *= 2;
    for (int64_t i = 0; i < c->repetitions; i++) {
        for (size_t k = 0; k < count; k++)
            times[k][i] = time_calls(b, &calls[k], many, user) / (double)many;
        differences[i] = times[count - 1][i] - times[0][i];
    }
    printf("{\"repetitions\": %lld, \"calls\": %lld", (long long)c->repetitions, (long long)many);
    for (size_t k = 0; k < count; k++)
        print_time(calls[k].name, times[k], c);
    if (count > 1)
        print_time(rest, differences, c);
    puts("}");
}

/* ---- the command line ---- */

static void run_case(bench *b, char *words[], size_t count) {
    const bench_case c = case_parse(words, count);
    if (c.repetitions > REPETITIONS_MOST)
        fail("%lld repetitions; %d are the most", (long long)c.repetitions, REPETITIONS_MOST);
    (c.what == BENCH_LAYER ? run_layer : run_step)(b, &c);
    device_release(b);
    if (fflush(stdout) != 0)
        fail("standard output cannot be written");
}

enum { WORDS_MOST = 64 };

static void run_lines(bench *b) {
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        char *words[WORDS_MOST], *rest = line;
        size_t count = 0;
        for (char *word; (word = strtok_r(rest, " \t\n", &rest)) != NULL; words[count++] = word)
            if (count == WORDS_MOST)
                fail("a case of more than %d words", WORDS_MOST);
        if (count > 0)
            run_case(b, words, count);
    }
    free(line);
}

typedef struct arguments {
    const char *backend;
    crs_device_options options;
} arguments;

static error_t parse_option(int key, char *value, struct argp_state *state) {
    arguments *given = state->input;
    char *end;
    switch (key) {
    case 'b':
        given->backend = value;
        return 0;
    case 'l':
        given->options.lstm = value;
        return 0;
    case 'p':
        if (strcmp(value, "float32") != 0 && strcmp(value, "tf32") != 0)
            argp_error(state, "--precision '%s' is not known; give float32 or tf32", value);
        given->options.precision = strcmp(value, "tf32") == 0 ? CRS_TF32 : CRS_FLOAT32;
        return 0;
    case 't':
        given->options.threads = (int)strtol(value, &end, 10);
        if (end == value || *end)
            argp_error(state, "--threads '%s' is not a number", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"backend", 'b', "NAME", 0, "where to run: cpu, cuda, cuda:N (default: cpu)", 0},
    {"lstm", 'l', "VARIANT", 0, "variant to force (default: auto)", 0},
    {"precision", 'p', "float32|tf32", 0, "of products on a GPU (default: float32)", 0},
    {"threads", 't', "N", 0, "CPU threads; 0: all (default: 0)", 0},
    {0}};

int main(int argc, char *argv[]) {
    const struct argp parser = {.options = options,
                                .parser = parse_option,
                                .args_doc = "[layer|step NAME=VALUE...]",
                                .doc = "Measures Carousel's LSTM. Without a case, reads cases from standard input."};
    arguments given = {.backend = "cpu", .options = {.index = -1}};
    int first;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, &first, &given);

    bench b = {0};
    crs_error error;
    if (crs_backend_open(given.backend, &given.options, &b.backend, &error) != CRS_OK)
        fail("%s", error.what);
    b.ops = crs_backend_ops(b.backend);
    b.device = crs_backend_device(b.backend);
    if (b.ops->real_size != sizeof(float))
        fail("%s does not compute in single precision; give cpu or cuda", given.backend);
    printf("{\"backend\": \"%s\"}\n", crs_backend_describe(b.backend));
    fflush(stdout);
    if (first < argc)
        run_case(&b, argv + first, (size_t)(argc - first));
    else
        run_lines(&b);
    crs_backend_close(b.backend);
    return 0;
}
