/* What the parts of `carousel experiment` share: the file as it stands, the rows it means, their results, the report.
 */
#ifndef CRS_EXPERIMENT_H
#define CRS_EXPERIMENT_H

#include "training.h"

/* ---- experiment_file.c: sections and keys, not yet what they mean ---- */

enum { LONGEST_NAME = 48, LONGEST_VALUE = 4096 }; /* bytes with the terminator */

typedef struct experiment_entry {
    char key[LONGEST_NAME], value[LONGEST_VALUE];
    int64_t line;
} experiment_entry;

typedef struct experiment_section {
    char name[LONGEST_NAME];
    int64_t line;
    size_t count;
    experiment_entry *entries;
} experiment_section;

typedef struct experiment_file {
    const char *path;
    size_t count;
    experiment_section *sections;
} experiment_file;

/* What is not an INI file, or stands twice in it, is an error with its line. */
crs_status experiment_file_read(const char *path, experiment_file *file, crs_error *error);
void experiment_file_clear(experiment_file *file);
const experiment_entry *experiment_entry_find(const experiment_section *section, const char *key); /* NULL: not there */

/* ---- experiment_measures.c: the figures of a result ---- */

typedef struct experiment_measure {
    const char *name, *title;  /* column of the CSV, heading of the tables */
    const char *part, *member; /* where a record has it; part NULL: at the top */
    const char *published;     /* the key after "published.", or NULL */
    int digits;                /* after the point */
    int is_share;              /* from 0 to 1: may be given in percent */
} experiment_measure;

enum { MEASURES = 10 };
extern const experiment_measure experiment_measures[MEASURES];

/* Mean and standard deviation (of a sample: n - 1) over seeds. mean NaN where count is 0, deviation where it is 1. */
typedef struct experiment_spread {
    int64_t count;
    double mean, deviation;
} experiment_spread;

/* ---- experiment_rows.c: what the rows mean ---- */

enum { MOST_PARTS = 32 }; /* rows that one row averages */

typedef struct experiment_row {
    const experiment_section *section;
    crs_config config;              /* with paths to open */
    crs_config written;             /* with paths as they stand in the file */
    const char *data, *test, *note; /* as written; test and note may be NULL */
    char data_path[512], test_path[512];
    int64_t seeds;
    const char *average; /* as written: the rows whose models it averages; NULL: it is trained */
    size_t part_count;
    const struct experiment_row *parts[MOST_PARTS]; /* those rows */
    double published[MEASURES];                     /* NaN: none */
    int selected;                                   /* by --only */
    int drawn;                                      /* its curves, from the records it has now */
    json_t **records;                               /* [seeds], of the finished ones; else NULL */
    char failure[1024];                             /* of a training that ended without a result, or "" */
} experiment_row;

/* A data file's content, as far as it takes to see that it has changed. */
typedef struct experiment_content {
    char path[512];
    uint64_t bytes, hash;
} experiment_content;

typedef struct experiment {
    const invocation *in;
    experiment_file file;
    const char *note; /* of [defaults], or NULL */
    char folder[256]; /* of the results */
    int lock;         /* on the folder, a file descriptor; -1: none */
    size_t count;
    experiment_row *rows; /* [count] */
    size_t content_count;
    experiment_content *contents;
    int no_pictures;      /* not wanted, or there is no gnuplot */
    int pictures_failed;  /* one or more, otherwise than for want of gnuplot */
    int comparison_drawn; /* from the records that there are now */
} experiment;

/* Reads in->arguments[0], applies the options to the selected rows, checks settings, and of the selected rows model
 * lines, backends and that the data can be read. */
crs_status experiment_open(const invocation *in, experiment *e, crs_error *error);
void experiment_close(experiment *e);

/* ---- experiment_average.c: rows that are not trained ---- */

/* Finds the rows that row->average names. */
crs_status experiment_average_resolve(const experiment *e, experiment_row *row, crs_error *error);
/* Once the numbers of seeds are settled. */
crs_status experiment_average_check(const experiment *e, const experiment_row *row, crs_error *error);
/* Whether such a row takes the setting, which is else its parts': how its test rows are written, and where it runs. */
int experiment_average_depends_on(const crs_setting *setting);
/* Whether a record is of the trainings that there are now. */
int experiment_average_holds(const experiment_row *row, int64_t index, const json_t *record);
/* A new record, but for what experiment_identity adds. */
crs_status experiment_average_run(experiment *e, experiment_row *row, int64_t index, crs_backend *backend,
                                  json_t **record, crs_error *error);

/* ---- experiment_record.c: finished trainings ---- */

void experiment_date(char text[40]); /* now */

uint64_t experiment_seed(const experiment_row *row, int64_t index);
void experiment_path(const experiment *e, const experiment_row *row, int64_t index, const char *name, char path[600]);
/* Good until the next call; NULL: error says why. */
const experiment_content *experiment_content_of(experiment *e, const char *path, crs_error *error);
/* What a result depends on: settings but for the number of threads, and data. */
crs_status experiment_identity(experiment *e, const experiment_row *row, int64_t index, json_t **identity,
                               crs_error *error);
/* The records of trainings that need not be done again, into row->records. */
crs_status experiment_load_records(experiment *e, crs_error *error);
crs_status experiment_save_record(const char *path, const json_t *record, crs_error *error);
experiment_spread experiment_spread_of(const experiment_row *row, const experiment_measure *measure);
double experiment_value(const json_t *record, const experiment_measure *measure); /* NaN: not there */
const json_t *experiment_first_record(const experiment_row *row);                 /* NULL: none */

/* ---- experiment_run.c ---- */

/* Trains what is missing. CRS_ERR_INTERRUPTED: stopped by a signal. */
crs_status experiment_run(experiment *e, crs_error *error);

/* ---- cmd_experiment.c ---- */

extern const char experiment_outputs[]; /* names of the files beside the rows' folders, |-separated */

/* Draws the row's curves, or with NULL those of all rows, and writes everything that is about all rows. */
crs_status experiment_report(experiment *e, const experiment_row *row, crs_error *error);

/* ---- experiment_pictures.c, experiment_tables.c, experiment_html.c ---- */

/* ROW/curves.svg and comparison.svg. What fails is said, and kept in e. */
void experiment_draw_row(experiment *e, experiment_row *row);
void experiment_draw_comparison(experiment *e);
enum { CELL = 1600 }; /* bytes of a table's cell */
/* Writes a page of the results into the folder; `put` is given room for a row's cells. */
typedef void (*experiment_page)(FILE *out, const experiment *e, char (*cells)[CELL]);
crs_status experiment_write_page(const experiment *e, const char *name, experiment_page put, crs_error *error);
crs_status experiment_write_markdown(const experiment *e, crs_error *error);
crs_status experiment_write_csv(const experiment *e, crs_error *error);       /* results.csv */
crs_status experiment_write_seeds_csv(const experiment *e, crs_error *error); /* seeds.csv */
crs_status experiment_write_html(const experiment *e, crs_error *error);

/* ---- experiment_text.c: cells of the tables ---- */

/* The model line, or what is averaged. */
void experiment_model_text(const experiment_row *row, char text[CELL]);
/* "epochs=30 batch=4": settings other than the defaults that no column of their own shows. */
void experiment_settings_text(const experiment_row *row, char text[CELL]);
/* "0.8438 ± 0.0121", the deviation left out where there is none; "" where there is no value. */
void experiment_spread_text(const experiment_spread *spread, int digits, char text[CELL]);
/* "3", or "2 of 3" where trainings are missing. */
void experiment_seeds_text(const experiment_row *row, char text[CELL]);
/* The heads of columns and a row's cells; both return how many. Columns without any figure are left out. */
size_t experiment_heads(const experiment *e, char cells[][CELL]);
size_t experiment_cells(const experiment *e, const experiment_row *row, char cells[][CELL]);
enum { MOST_CELLS = MEASURES + 6 };
/* What the results were computed with and when. */
void experiment_machine_text(const experiment *e, char text[CELL]);
/* The published figure of a row beside its own: cells row, figure, published, ours,
 * difference. 0: there is none. */
int experiment_published_cells(const experiment_row *row, size_t measure, char cells[5][CELL]);

#endif
