/* The command: finds the verb and runs it. */
#include "command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA_FORMATS                                                                                                   \
    "DATA is a file in fastText format (__label__x text), CSV or TSV, a folder with a sub-folder per class, or - for " \
    "standard input; .bz2, .gz, .xz and .zst are decompressed."

const command commands[] = {
    {"train", "DATA", "train a classifier on labelled text",
     "Reads DATA, keeps a part for validation, trains the network of --model and writes it, with its vocabulary and "
     "labels, into one file; the history (.history.csv) and the curves (.svg, .png) are written beside "
     "it. " DATA_FORMATS " Ctrl-C ends after the running step and saves what was learned.",
     "carousel train reviews.tsv -o reviews.safetensors --model 'embedding 64 | bilstm 64 seq | max | dense'", 1, 1,
     "Data|Text|Model|Training|Optimizer|Running", "output|overwrite|no-curves|json|quiet", run_train},
    {"eval", "MODEL DATA", "evaluate a trained classifier on labelled text",
     "Prints loss, accuracy, precision, recall and F1 of each class and their means, the area under the ROC curve "
     "where there are two classes, and the confusion matrix: of up to 20 classes, with --json of up to 1000 (else "
     "null). " DATA_FORMATS,
     "carousel eval reviews.safetensors test.tsv", 2, 2, "Data|Running", "with|json|quiet", run_eval},
    {"predict", "MODEL [FILE]", "label new text",
     "Reads one text a line from FILE, or from standard input where FILE is - or left out, and prints for each its "
     "label and the probability of it, separated by a TAB. With --format csv, tsv or fasttext the text is taken from "
     "labelled DATA instead.",
     "echo 'what a lovely film' | carousel predict reviews.safetensors", 1, 2, "Data|Running",
     "top|with|logits|json|quiet", run_predict},
    {"inspect", "MODEL", "show what a model file or a model line consists of",
     "Prints layers, output shapes and numbers of parameters, and of a file its settings, vocabulary and labels. Word "
     "vectors given to train are counted as the embedding they became. MODEL is a model file, or a model line such as "
     "'embedding 32 | lstm 32 | dense'; the settings under Text are for a line.",
     "carousel inspect 'embedding 32 | lstm 32 seq | lstm 32 | dense 1' --vocabulary 8192", 1, 1, "Text|Running",
     "classes|json|quiet", run_inspect},
    {"gradcheck", "MODEL [DATA]", "check gradients against finite differences and across backends",
     "Compares the gradient that cpu-double computes with finite differences, and the gradient of each of --backends "
     "with that of cpu-double, tensor by tensor; the exit status is 1 where any is off by more than is allowed. "
     "Dropout is on, with the same masks everywhere. MODEL is a model file or a model line. Without DATA the batch is "
     "random: of a --batch of 8 rows, a --length of 16 and for a line a --vocabulary of 50 unless given; a line's "
     "weights are random too. " DATA_FORMATS,
     "carousel gradcheck 'embedding 8 | bilstm 8 | dense' --train 20", 1, 2,
     "Data|Text|Model|Training|Optimizer|Running", "classes|backends|samples|train|inject|json|quiet", run_gradcheck},
    {"experiment", "FILE", "train every row of a table of experiments and compare them",
     "Reads FILE, an INI file: [defaults], and a section for each row of the table. Keys are the names of train's "
     "settings, and: data and test, files relative to FILE; seeds, how many trainings from seed on; average = ROW + "
     "ROW, for a row that is not trained but averages the probabilities of the models of rows above it, each of which "
     "counts once (with seeds = N, of N groups of them); note, a sentence; "
     "published.accuracy, .loss, .train-accuracy, .train-loss, .val-accuracy, .seconds, figures to compare with. A "
     "long value goes on in indented lines; what follows ' ;' is a comment. Every row is checked before the first is "
     "trained. Written are report.html, results.md, results.csv, seeds.csv, comparison.svg, and for each row curves, "
     "models and histories. What is finished is not trained again unless its settings or its data have changed, so "
     "that a stopped experiment goes on with the same command. Options on where to run apply to rows that do not say.",
     "carousel experiment data/experiments/emoji-sample.ini", 1, 1, "Running",
     "output|only|seeds|data-dir|list|force|no-curves|quiet", run_experiment},
    {"info", "", "show version, backends, devices and libraries", "Prints what this build can run on.", "carousel info",
     0, 0, "Running", "json|quiet", run_info},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL, NULL, NULL}};

static void print_usage(FILE *stream) {
    fputs("Usage: carousel COMMAND [ARGUMENTS] [OPTIONS]\n\nTrains sequence classifiers on text.\n\n", stream);
    for (const command *c = commands; c->name; c++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", c->name, c->arguments);
        fprintf(stream, "  %-22s %s\n", left, c->summary);
    }
    fputs("\n'carousel COMMAND --help' lists the options of a command with their defaults.\n", stream);
}

/* OpenMP's threads spin while they wait, unless told otherwise before main starts. On a machine with other work,
 * spinning threads take the cores from those they wait for, and a small training step becomes ten times slower; so,
 * unless the user has decided, the command starts itself again with the waiting threads asleep. Where that cannot be
 * done it goes on. */
static void let_waiting_threads_sleep(char **argv) {
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT") || getenv("KMP_BLOCKTIME"))
        return;
    if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0)
        execv("/proc/self/exe", argv);
}

int main(int argc, char **argv) {
    let_waiting_threads_sleep(argv);
    /* A file that may not grow is told like a full disk, and what was begun is removed. */
    signal(SIGXFSZ, SIG_IGN);
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *verb = argv[1];
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0 || strcmp(verb, "help") == 0) {
        print_usage(stdout);
        return EXIT_DONE;
    }
    if (strcmp(verb, "--version") == 0 || strcmp(verb, "-V") == 0) {
        printf("carousel %s\n", crs_version());
        return EXIT_DONE;
    }
    if (strcmp(verb, "manual") == 0) /* the source of the man page */
        return print_manual();
    for (const command *c = commands; c->name; c++) {
        if (strcmp(verb, c->name) != 0)
            continue;
        invocation in;
        memset(&in, 0, sizeof in);
        in.command = c;
        crs_config_init(&in.config);
        parse_options(&in, argc - 1, argv + 1);
        int result = c->run(&in);
        /* Results that could not be written were not delivered. */
        if (fflush(stdout) != 0 || ferror(stdout)) {
            perror("carousel: standard output");
            return EXIT_FAILED;
        }
        return result;
    }
    fprintf(stderr, "carousel: there is no command '%s'; commands are", verb);
    for (const command *c = commands; c->name; c++)
        fprintf(stderr, "%s %s", c == commands ? "" : ",", c->name);
    fputc('\n', stderr);
    return EXIT_USAGE;
}
