/* What the command's files share: one invocation, parsed, and the helpers that say things. Results go to standard
 * output, everything else to standard error. */
#ifndef CRS_COMMAND_H
#define CRS_COMMAND_H

#include <carousel/carousel.h>
#include <jansson.h>
#include <stdio.h>

/* Exit status: 0 done, 1 failed, 2 bad usage. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* What an option that may be given several times was given. */
typedef struct text_list {
    size_t count;
    const char *items[64];
} text_list;

/* Options beside the settings of crs_config. */
typedef struct extras {
    const char *output;  /* -o, model file to write, or an experiment's folder */
    const char *classes; /* inspect: of the task a model line is for */
    const char *top;     /* predict: labels per text */
    /* gradcheck */
    const char *backends, *samples, *train, *inject;
    /* experiment */
    const char *seeds, *data_dir;
    text_list only;
    /* eval, predict */
    text_list with;
    int list, force;
    int overwrite, json, quiet, logits, no_curves;
} extras;

typedef struct invocation {
    const struct command *command;
    crs_config config;
    unsigned char given[128]; /* by the settings' index: named on the command line */
    extras extras;
    const char *arguments[2]; /* positional */
    int argument_count;
} invocation;

typedef struct command {
    const char *name, *arguments, *summary, *description, *example;
    int least, most;           /* positional arguments */
    const char *groups;        /* setting groups it takes, |-separated */
    const char *extra_options; /* names of extra options it takes, |-separated */
    int (*run)(invocation *in);
} command;

extern const command commands[]; /* ends with a NULL name */

int run_train(invocation *in);
int run_eval(invocation *in);
int run_predict(invocation *in);
int run_inspect(invocation *in);
int run_info(invocation *in);
int run_gradcheck(invocation *in);
int run_experiment(invocation *in);

/* ---- options.c ---- */

typedef struct extra_option {
    const char *name;
    int letter; /* short form, or 0 */
    const char *argument, *help;
    size_t offset;
    int is_list; /* the field is a text_list */
} extra_option;

const extra_option *extra_options(size_t *count);
int has_word(const char *words, const char *word); /* among |-separated words */

/* Parses argv of the command (argv[0] is the name to show). Returns only where the usage was right. */
void parse_options(invocation *in, int argc, char **argv);
/* Copies the settings that were named on the command line into config. */
void apply_given(const invocation *in, crs_config *config);

int print_manual(void);

/* ---- report.c: to standard error, or of metrics to the stream given ---- */

void say(const invocation *in, const char *format, ...); /* a line, unless --quiet */
int fail(const crs_error *error);                        /* prints it; returns EXIT_FAILED */
/* Prints a label, token or setting; control characters, which would tear a line or a table apart, as \t, \n or \x1b.
 * Cut after `most` characters; padded as printf pads: on the left, or on the right where width is negative. */
void print_name(FILE *stream, const char *name, int width, int most);
void report_vectors(const invocation *in, const char *path, const crs_vectors_coverage *coverage);
void report_dataset(const invocation *in, const crs_config *config, const char *what, const char *path,
                    const crs_dataset *dataset); /* config: what it was read with */
void report_metrics(FILE *stream, const crs_metrics *metrics, const crs_encoder *encoder);
/* The number of classes that a model line is for: that of its last layer, or two. */
int64_t classes_of_line(const char *line);
/* Whether an argument that may be a model file or a model line is a line. */
int is_model_line(const char *argument);
void format_count(int64_t n, char text[32]); /* 12,345 */
void format_seconds(double seconds, char text[32]);

/* Opens the backend the settings ask for and says which it is; NULL: failed, and said. */
crs_backend *open_backend(const invocation *in);
/* Loads the classifier and applies the settings given on the command line; NULL: failed, and said. */
crs_classifier *open_classifier(const invocation *in, const char *path, crs_backend *backend);

/* ---- json.c ---- */

json_t *json_number(double value); /* null where it is not finite */
json_t *json_of_metrics(const crs_metrics *metrics, const crs_encoder *encoder);
json_t *json_of_history(const crs_history *history);
json_t *json_of_vectors(const char *path, const crs_vectors_coverage *coverage); /* null where there are none */
int print_json(json_t *object); /* prints and frees it; EXIT_DONE or EXIT_FAILED */

/* ---- gradcheck_report.c ---- */

/* Prints it, and one line on standard error where something failed. left_out: backends, for JSON. */
int report_gradcheck(const invocation *in, const crs_gradcheck_options *options, const crs_gradcheck_report *report,
                     json_t *left_out);

/* ---- progress.c ---- */

typedef struct progress {
    const invocation *in;
    int terminal; /* draw a bar */
    int width;
    crs_classifier *classifier; /* of on_epoch's partial saves */
    char partial[600];          /* where, or "" */
    int has_partial;            /* this training wrote it */
    double saved;               /* seconds, monotonic clock */
} progress;

void progress_start(progress *p, const invocation *in, crs_classifier *classifier, const char *output);
void progress_step(void *user, const crs_progress *step);
void progress_epoch(void *user, const crs_epoch *epoch);
void progress_end(progress *p, int keep_partial);
double monotonic_seconds(void);

/* ---- output.c ---- */

/* Fills error and returns status; what is a printf format. line 0: none. */
crs_status describe(crs_error *error, crs_status status, const char *file, int64_t line, const char *mend,
                    const char *what, ...) __attribute__((format(printf, 6, 7)));
crs_status describe_io(crs_error *error, const char *path, int reason); /* "cannot be written", by errno */

/* A file being written; what was there before stays until close. */
typedef struct output_file {
    FILE *stream;
    char path[560], beside[600];
} output_file;

crs_status output_open(output_file *out, const char *path, crs_error *error);
crs_status output_close(output_file *out, crs_error *error); /* on failure the former file is as it was */
void output_discard(output_file *out);

/* ---- gnuplot.c ---- */

/* Draws what the script written by `write` says into path, as the script's terminal. CRS_ERR_UNSUPPORTED: no gnuplot.
 */
crs_status draw_picture(const char *path, void (*write)(FILE *script, const void *user), const void *user,
                        crs_error *error);

/* ---- curves.c ---- */

/* Draws loss and accuracy over epochs into STEM.svg and STEM.png. CRS_ERR_UNSUPPORTED: no gnuplot. */
crs_status draw_curves(const crs_history *history, const char *stem, crs_error *error);

#endif
