/* Carousel's side of the comparison on the CPU, and of networks on a GPU, through the public headers alone. It compares
 * with nothing and decides nothing: compare.py does, and asks this program, a line at a time, while the other sides
 * wait.
 *
 *     bench_network --threads 2
 *     network T=128 B=128 V=8192 batches=4 numbers=FILE : embedding 32 | lstm 32 seq | lstm 32 | dense 1
 *     losses COUNT            of so many training steps
 *     weights FILE            as they are now
 *     train MILLISECONDS      training steps, at least so long
 *     predict MILLISECONDS    predictions of a batch
 *     sentences T=20 B=16 V=8192 numbers=FILE : LINE
 *     sentence MILLISECONDS   predictions of a text
 *     ceiling MILLISECONDS    multiply-adds on registers
 *     read FILE               a data set, with a vocabulary made for it
 *
 * Every answer is a line of JSON. */
#include "network.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct side {
    crs_backend *backend;
    int threads;
    network network;
    sentences sentences;
} side;

/* ---- words ---- */

static int64_t parse_number(const char *text, int64_t least, int64_t most) {
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end || number < least || number > most)
        fail("'%s' does not fit; give a whole number from %lld to %lld", text, (long long)least, (long long)most);
    return number;
}

static void set_field(network_case *c, const char *name, const char *value) {
    const struct {
        const char *name;
        int64_t *field, least, most;
    } fields[] = {{"T", &c->T, 1, 100000},           {"B", &c->B, 1, 100000},      {"V", &c->V, 3, 100000000},
                  {"batches", &c->batches, 1, 1000}, {"ragged", &c->ragged, 0, 1}, {"seed", &c->seed, 0, 1000000}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(name, fields[i].name) == 0) {
            *fields[i].field = parse_number(value, fields[i].least, fields[i].most);
            return;
        }
    if (strcmp(name, "numbers") != 0)
        fail("there is no '%s'", name);
    if ((size_t)snprintf(c->numbers, sizeof c->numbers, "%s", value) >= sizeof c->numbers)
        fail("numbers=%s is too long", value);
}

/* NAME=VALUE words, a colon, the model line. */
static network_case parse_case(char *words) {
    network_case c = {.T = 128, .B = 128, .V = 8192, .batches = 4, .seed = 1};
    char *line = strstr(words, " : "), *rest = words;
    if (!line || (size_t)snprintf(c.line, sizeof c.line, "%s", line + 3) >= sizeof c.line)
        fail("behind ' : ' stands the model line, of less than %zu characters", sizeof c.line);
    *line = '\0';
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        char *value = strchr(word, '=');
        if (!value)
            fail("'%s' is not NAME=VALUE", word);
        *value++ = '\0';
        set_field(&c, word, value);
    }
    return c;
}

/* ---- what is asked ---- */

typedef void call(side *s);

static void call_train(side *s) {
    network_train(s->backend, &s->network);
}

static void call_predict(side *s) {
    network_predict(s->backend, &s->network);
}

static void call_sentence(side *s) {
    sentences_predict(&s->sentences);
}

static void measure(side *s, call *function, const char *milliseconds) {
    const double wanted = (double)parse_number(milliseconds, 0, 1000000) * 1e3;
    const double begin = monotonic_microseconds(), processor = processor_seconds();
    int64_t calls = 0;
    do {
        function(s);
        calls++;
    } while (monotonic_microseconds() - begin < wanted);
    if (crs_backend_ops(s->backend)->sync(crs_backend_device(s->backend)) != CRS_OK)
        fail("what was queued failed: %s", crs_backend_failure(s->backend, CRS_ERR_BACKEND));
    const double passed = monotonic_microseconds() - begin;
    printf("{\"calls\": %lld, \"seconds\": %.9f, \"processor\": %.9f}\n", (long long)calls, passed * 1e-6,
           processor_seconds() - processor);
}

static void answer_network(side *s, char *words) {
    const network_case c = parse_case(words);
    if (s->network.model)
        network_close(&s->network);
    network_open(s->backend, &c, &s->network);
    printf("{\"flops\": %.0f, \"parameters\": %lld}\n", s->network.flops,
           (long long)crs_model_parameters(s->network.model));
}

static void answer_losses(side *s, const char *words) {
    const int64_t count = parse_number(words, 1, 1000000);
    printf("{\"losses\": [");
    for (int64_t i = 0; i < count; i++) {
        network_train(s->backend, &s->network);
        printf("%s%.9g", i ? ", " : "", network_loss(s->backend, &s->network));
    }
    printf("]}\n");
}

static void answer_weights(side *s, const char *path) {
    network_write_weights(s->backend, &s->network, path);
    printf("{}\n");
}

/* The texts have nothing in them that JSON would want escaped. */
static void answer_sentences(side *s, char *words) {
    const network_case c = parse_case(words);
    if (s->sentences.classifier)
        sentences_close(&s->sentences);
    sentences_open(s->backend, &c, &s->sentences);
    printf("{\"sentences\": [");
    for (int64_t i = 0; i < s->sentences.count; i++) {
        sentences_predict(&s->sentences);
        printf("%s[\"%s\", %.9g]", i ? ", " : "", s->sentences.texts[i], (double)s->sentences.logit);
    }
    printf("]}\n");
}

static void answer_ceiling(const side *s, const char *words) {
    const double processor = processor_seconds();
    const ceiling most = ceiling_measure(s->threads, (double)parse_number(words, 1, 1000000));
    printf("{\"gflops\": %.3f, \"gflops_of_processor\": %.3f, \"processor\": %.9f}\n", most.by_clock, most.by_processor,
           processor_seconds() - processor);
}

static void answer_read(const side *s, const char *path) {
    crs_config config;
    crs_encoder *encoder;
    crs_dataset *dataset;
    crs_error error;
    crs_config_init(&config);
    config.threads = s->threads;
    const double begin = monotonic_microseconds(), processor = processor_seconds();
    if (crs_dataset_read(path, &config, NULL, &encoder, &dataset, &error) != CRS_OK)
        fail("%s: %s", path, error.what);
    printf("{\"seconds\": %.6f, \"processor\": %.6f, ", (monotonic_microseconds() - begin) * 1e-6,
           processor_seconds() - processor);
    const crs_dataset_stats *stats = crs_dataset_statistics(dataset);
    printf("\"rows\": %lld, \"tokens\": %lld, \"distinct\": %lld}\n", (long long)stats->rows, (long long)stats->tokens,
           (long long)stats->distinct_tokens);
    crs_dataset_free(dataset);
    crs_encoder_free(encoder);
}

static void need(const void *what, const char *name) {
    if (!what)
        fail("'%s' has to be asked for first", name);
}

static void answer(side *s, char *line) {
    char *words = strchr(line, ' ');
    if (!words)
        fail("'%s' needs something behind it", line);
    *words++ = '\0';
    if (strcmp(line, "network") == 0)
        answer_network(s, words);
    else if (strcmp(line, "sentences") == 0)
        answer_sentences(s, words);
    else if (strcmp(line, "ceiling") == 0)
        answer_ceiling(s, words);
    else if (strcmp(line, "read") == 0)
        answer_read(s, words);
    else if (strcmp(line, "sentence") == 0) {
        need(s->sentences.classifier, "sentences");
        measure(s, call_sentence, words);
    } else {
        need(s->network.model, "network");
        if (strcmp(line, "losses") == 0)
            answer_losses(s, words);
        else if (strcmp(line, "weights") == 0)
            answer_weights(s, words);
        else if (strcmp(line, "train") == 0)
            measure(s, call_train, words);
        else if (strcmp(line, "predict") == 0)
            measure(s, call_predict, words);
        else
            fail("there is no '%s'", line);
    }
}

/* ---- the command line ---- */

static const struct argp_option options[] = {
    {"backend", 'b', "NAME", 0, "where to run: cpu, cuda, cuda:N (default: cpu)", 0},
    {"threads", 't', "N", 0, "CPU threads (default: 1)", 0},
    {"lstm", 'l', "VARIANT", 0, "to force (default: auto)", 0},
    {"tf32", 'p', NULL, 0, "products in TF32, on a GPU", 0},
    {0}};

typedef struct arguments {
    const char *backend;
    crs_device_options options;
} arguments;

static error_t parse_option(int key, char *value, struct argp_state *state) {
    arguments *given = state->input;
    if (key == 'b')
        given->backend = value;
    else if (key == 't')
        given->options.threads = (int)parse_number(value, 1, 1024);
    else if (key == 'l')
        given->options.lstm = value;
    else if (key == 'p')
        given->options.precision = CRS_TF32;
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

int main(int argc, char *argv[]) {
    const struct argp parser = {
        .options = options, .parser = parse_option, .doc = "Answers requests on standard input; see its source."};
    arguments given = {.backend = "cpu", .options = {.index = -1, .threads = 1}};
    argp_parse(&parser, argc, argv, 0, NULL, &given);
    side s = {.threads = given.options.threads};
    crs_error error;
    if (crs_backend_open(given.backend, &given.options, &s.backend, &error) != CRS_OK)
        fail("%s", error.what);
    printf("{\"backend\": \"%s\", \"version\": \"%s\"}\n", crs_backend_describe(s.backend), crs_version());
    fflush(stdout);
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stdin) > 0) {
        line[strcspn(line, "\n")] = '\0';
        answer(&s, line);
        if (fflush(stdout) != 0)
            fail("standard output cannot be written");
    }
    free(line);
    if (s.network.model)
        network_close(&s.network);
    if (s.sentences.classifier)
        sentences_close(&s.sentences);
    crs_backend_close(s.backend);
    return 0;
}
