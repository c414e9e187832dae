/* carousel experiment FILE: a table of experiments, trained and compared. */
#include "experiment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

const char experiment_outputs[] = "report.html|results.md|results.csv|seeds.csv|comparison.svg|experiment.ini|"
                                  "experiment.source";
/* In the folder of results: the file they came from, and where it stood. */
static const char copy_name[] = "experiment.ini", source_name[] = "experiment.source";

/* --output, or the file's name without .ini, here. */
static crs_status name_folder(experiment *e, crs_error *error) {
    const char *given = e->in->extras.output, *slash = strrchr(e->file.path, '/');
    const char *name = slash ? slash + 1 : e->file.path, *ending = strrchr(name, '.');
    int n;
    if (given)
        n = snprintf(e->folder, sizeof e->folder, "%s", given);
    else if (ending && ending > name && strcmp(ending, ".ini") == 0)
        n = snprintf(e->folder, sizeof e->folder, "%.*s", (int)(ending - name), name);
    else
        return describe(error, CRS_ERR_ARGUMENT, e->file.path, 0, "give --output DIR",
                        "the name does not end in .ini, so that no folder can be named after it");
    if (n <= 0 || (size_t)n >= sizeof e->folder)
        return describe(error, CRS_ERR_ARGUMENT, "", 0, "give a folder of 1 to 255 bytes",
                        "the path given to --output is empty or too long");
    return CRS_OK;
}

/* 1 where nothing is in it that could be somebody else's. */
static int is_ours(const char *folder) {
    char path[600];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s", folder, copy_name);
    if (stat(path, &info) == 0)
        return 1;
    DIR *listing = opendir(folder);
    const struct dirent *entry;
    int others = 0;
    while (listing && (entry = readdir(listing)) != NULL)
        others += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (listing)
        closedir(listing);
    return others == 0;
}

static crs_status copy_file(const experiment *e, crs_error *error) {
    char path[600], piece[4096];
    output_file out;
    size_t size;
    snprintf(path, sizeof path, "%s/%s", e->folder, copy_name);
    FILE *in = fopen(e->file.path, "rb");
    if (!in)
        return describe(error, CRS_ERR_IO, e->file.path, 0, "check its permissions", "cannot be read: %s",
                        strerror(errno));
    const crs_status status = output_open(&out, path, error);
    while (status == CRS_OK && (size = fread(piece, 1, sizeof piece, in)) > 0)
        fwrite(piece, 1, size, out.stream);
    const int failed = ferror(in);
    fclose(in);
    if (status != CRS_OK || !failed)
        return status == CRS_OK ? output_close(&out, error) : status;
    output_discard(&out);
    return describe(error, CRS_ERR_IO, e->file.path, 0, "check the disk", "cannot be read to its end");
}

/* That the folder's results, if there are any, came from the same file; another one's would be overwritten. A file that
 * was moved is the same: where it stood there is none now. */
static crs_status check_source(const experiment *e, crs_error *error) {
    char path[600], source[PATH_MAX], folder[PATH_MAX], former[PATH_MAX] = "";
    output_file out;
    if (!realpath(e->file.path, source) || !realpath(e->folder, folder))
        return describe_io(error, e->file.path, errno);
    const size_t size = strlen(folder);
    if (strncmp(source, folder, size) == 0 && source[size] == '/')
        return describe(error, CRS_ERR_EXISTS, e->file.path, 0, "give another folder to --output",
                        "lies in the folder of results, where it could be overwritten");
    snprintf(path, sizeof path, "%s/%s", e->folder, source_name);
    FILE *marker = fopen(path, "r");
    if (marker) {
        if (!fgets(former, sizeof former, marker))
            former[0] = '\0';
        fclose(marker);
        former[strcspn(former, "\n")] = '\0';
    }
    if (former[0] && strcmp(former, source) != 0 && access(former, F_OK) == 0)
        return describe(error, CRS_ERR_EXISTS, e->folder, 0, "give another folder to --output",
                        "has the results of another file, %.300s", former);
    const crs_status status = output_open(&out, path, error);
    if (status != CRS_OK)
        return status;
    fprintf(out.stream, "%s\n", source);
    return output_close(&out, error);
}

/* Two runs in one folder would train the same rows and remove each other's files. The lock ends with the process. */
static crs_status lock_folder(experiment *e, crs_error *error) {
    e->lock = open(e->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (e->lock < 0)
        return describe_io(error, e->folder, errno);
    if (flock(e->lock, LOCK_EX | LOCK_NB) == 0)
        return CRS_OK;
    /* Some file systems of a network have no locks. */
    if (errno != EWOULDBLOCK)
        return CRS_OK;
    return describe(error, CRS_ERR_EXISTS, e->folder, 0, "wait for it, or give another folder to --output",
                    "is being written by another run");
}

static crs_status prepare_folder(experiment *e, crs_error *error) {
    struct stat info;
    if (mkdir(e->folder, 0777) != 0 && errno != EEXIST)
        return describe_io(error, e->folder, errno);
    if (stat(e->folder, &info) != 0 || !S_ISDIR(info.st_mode))
        return describe(error, CRS_ERR_EXISTS, e->folder, 0, "give another name to --output", "is no folder");
    if (access(e->folder, R_OK | W_OK | X_OK) != 0)
        return describe_io(error, e->folder, errno);
    if (!is_ours(e->folder))
        return describe(error, CRS_ERR_EXISTS, e->folder, 0, "give another name to --output",
                        "has other files in it than an experiment's");
    crs_status status = lock_folder(e, error);
    if (status == CRS_OK)
        status = check_source(e, error);
    return status == CRS_OK ? copy_file(e, error) : status;
}

/* The tables do not wait for the pictures, which may fail. */
crs_status experiment_report(experiment *e, const experiment_row *row, crs_error *error) {
    crs_status status = experiment_write_markdown(e, error);
    if (status == CRS_OK)
        status = experiment_write_csv(e, error);
    if (status == CRS_OK)
        status = experiment_write_seeds_csv(e, error);
    if (status != CRS_OK)
        return status;
    for (size_t i = 0; i < e->count; i++)
        if (!row || row == &e->rows[i] || !e->rows[i].drawn)
            experiment_draw_row(e, &e->rows[i]);
    experiment_draw_comparison(e);
    return experiment_write_html(e, error);
}

/* The names line up; what is said of each row is one line. */
static void print_rows(const experiment *e) {
    int width = 4;
    for (size_t i = 0; i < e->count; i++) {
        const int n = (int)strlen(e->rows[i].section->name);
        width = n > width ? n : width;
    }
    for (size_t i = 0; i < e->count; i++) {
        const experiment_row *row = &e->rows[i];
        char seeds[CELL];
        experiment_seeds_text(row, seeds);
        print_name(stdout, row->section->name, -width, LONGEST_NAME);
        if (e->in->extras.list) {
            char model[CELL];
            experiment_model_text(row, model);
            printf("  %s seeds finished  %s\n", seeds, model);
            continue;
        }
        for (size_t m = 0; m < MEASURES; m++) {
            const experiment_measure *measure = &experiment_measures[m];
            const experiment_spread spread = experiment_spread_of(row, measure);
            char text[CELL];
            if (strcmp(measure->member, "accuracy") != 0 || spread.count == 0)
                continue;
            experiment_spread_text(&spread, measure->digits, text);
            printf("  %s %s", measure->name, text);
            if (!isnan(row->published[m]))
                printf(" (published %.4f)", row->published[m]);
        }
        puts(experiment_first_record(row) ? "" : "  not finished");
    }
}

static int finish(experiment *e, crs_status status, crs_error *error) {
    if (status != CRS_OK && status != CRS_ERR_INTERRUPTED)
        return fail(error);
    if (experiment_report(e, NULL, error) != CRS_OK)
        return fail(error);
    print_rows(e);
    say(e->in, "wrote %s/report.html, results.md, results.csv, seeds.csv%s", e->folder,
        e->comparison_drawn ? ", comparison.svg" : "");
    if (status == CRS_ERR_INTERRUPTED) {
        fputs("carousel: interrupted; give the same command again to go on\n", stderr);
        return EXIT_FAILED;
    }
    for (size_t i = 0; i < e->count; i++)
        if (e->rows[i].failure[0])
            return EXIT_FAILED;
    return e->pictures_failed ? EXIT_FAILED : EXIT_DONE;
}

static int run(experiment *e) {
    crs_error error;
    const int list = e->in->extras.list;
    if (name_folder(e, &error) != CRS_OK || (!list && prepare_folder(e, &error) != CRS_OK) ||
        experiment_load_records(e, &error) != CRS_OK)
        return fail(&error);
    if (list) {
        print_rows(e);
        return EXIT_DONE;
    }
    stop_watch watch;
    stop_watch_start(&watch);
    const crs_status status = experiment_run(e, &error);
    stop_watch_end(&watch);
    return finish(e, status, &error);
}

int run_experiment(invocation *in) {
    experiment e;
    crs_error error;
    const crs_status status = experiment_open(in, &e, &error);
    const int result = status == CRS_OK ? run(&e) : fail(&error);
    experiment_close(&e);
    return result;
}
