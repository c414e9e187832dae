/* The record of a finished training, ROW/seed-S/result.json: what it was made from, and what came of it. It is written
 * last, so that a folder without one is a training to be done again. */
#include "experiment.h"

#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t experiment_seed(const experiment_row *row, int64_t index) {
    return row->config.seed + (uint64_t)index;
}

void experiment_path(const experiment *e, const experiment_row *row, int64_t index, const char *name, char path[600]) {
    if (index < 0)
        snprintf(path, 600, "%s/%s/%s", e->folder, row->section->name, name);
    else
        snprintf(path, 600, "%s/%s/seed-%" PRIu64 "/%s", e->folder, row->section->name, experiment_seed(row, index),
                 name);
}

void experiment_date(char text[40]) {
    const time_t now = time(NULL);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(text, 40, "%Y-%m-%d %H:%M UTC", &parts);
}

/* ---- what a result depends on ---- */

/* FNV-1a, 64 bits. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size) {
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static const uint64_t hash_start = UINT64_C(0xcbf29ce484222325);

/* Adds a file's bytes and its name within the data; the order of the files of a folder does not matter. */
static int add_file(experiment_content *content, const char *path, const char *name) {
    enum { PIECE = 1 << 16 };
    FILE *stream = fopen(path, "rb");
    unsigned char *piece = malloc(PIECE);
    uint64_t hash = hash_bytes(hash_start, name, strlen(name) + 1);
    size_t size = 0;
    while (stream && piece && (size = fread(piece, 1, PIECE, stream)) > 0) {
        hash = hash_bytes(hash, piece, size);
        content->bytes += size;
    }
    const int failed = !stream || !piece || ferror(stream);
    const int reason = failed ? errno : 0;
    if (stream)
        fclose(stream);
    free(piece);
    content->hash += hash;
    errno = reason;
    return failed ? -1 : 0;
}

/* Adds the file, or every file of the folder; -1: errno says why not. */
static int add_tree(experiment_content *content) {
    char *const roots[] = {content->path, NULL};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    const FTSENT *entry;
    int failed = tree == NULL;
    errno = 0;
    while (!failed && (entry = fts_read(tree)) != NULL) {
        const int kind = entry->fts_info;
        if (kind == FTS_DNR || kind == FTS_ERR || kind == FTS_NS || kind == FTS_SLNONE || kind == FTS_DC) {
            errno = entry->fts_errno ? entry->fts_errno : ELOOP;
            failed = 1;
        } else if (kind == FTS_F) {
            failed = add_file(content, entry->fts_path, entry->fts_path + strlen(content->path)) != 0;
        }
    }
    const int reason = errno;
    if (tree)
        (void)fts_close(tree);
    errno = reason;
    return failed || reason ? -1 : 0;
}

const experiment_content *experiment_content_of(experiment *e, const char *path, crs_error *error) {
    for (size_t i = 0; i < e->content_count; i++)
        if (strcmp(e->contents[i].path, path) == 0)
            return &e->contents[i];
    experiment_content made = {0};
    snprintf(made.path, sizeof made.path, "%s", path);
    if (add_tree(&made) != 0) {
        describe(error, CRS_ERR_IO, path, 0, "check the path and its permissions", "cannot be read: %s",
                 strerror(errno));
        return NULL;
    }
    experiment_content *grown = realloc(e->contents, (e->content_count + 1) * sizeof *grown);
    if (!grown) {
        describe(error, CRS_ERR_MEMORY, "", 0, "free some memory", "out of memory");
        return NULL;
    }
    e->contents = grown;
    grown[e->content_count] = made;
    return &grown[e->content_count++];
}

/* files[role] = path as written, size and hash of what is there. */
static crs_status add_content(experiment *e, json_t *files, const char *role, const char *written, const char *path,
                              crs_error *error) {
    const experiment_content *content = experiment_content_of(e, path, error);
    if (!content)
        return error->status;
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, content->hash);
    json_object_set_new(
        files, role, json_pack("{s:s, s:I, s:s}", "path", written, "bytes", (json_int_t)content->bytes, "hash", hash));
    return CRS_OK;
}

/* Not on the number of threads, nor on a cache or on how a GPU is kept busy. A row that is only shown is taken from
 * wherever it ran, unless it says where. */
static int depends_on(const experiment_row *row, const crs_setting *setting) {
    if (has_word("threads|cache|graphs", setting->name) || (row->average && !experiment_average_depends_on(setting)))
        return 0;
    return row->selected || strcmp(setting->group, "Running") != 0 ||
           experiment_entry_find(row->section, setting->name);
}

crs_status experiment_identity(experiment *e, const experiment_row *row, int64_t index, json_t **identity,
                               crs_error *error) {
    size_t count;
    const crs_setting *rows = crs_config_settings(&count);
    json_t *settings = json_object(), *files = json_object();
    crs_status status = row->average ? CRS_OK : add_content(e, files, "data", row->data, row->data_path, error);
    if (status == CRS_OK && row->test)
        status = add_content(e, files, "test", row->test, row->test_path, error);
    crs_config config = row->written;
    config.seed = experiment_seed(row, index);
    for (size_t i = 0; status == CRS_OK && i < count; i++) {
        char value[1024], path[1024];
        crs_config_get(&config, rows[i].name, value, sizeof value);
        crs_config_get(&row->config, rows[i].name, path, sizeof path);
        if (depends_on(row, &rows[i]))
            json_object_set_new(settings, rows[i].name, json_string(value));
        if (rows[i].argument && strcmp(rows[i].argument, "FILE") == 0 && value[0])
            status = add_content(e, files, rows[i].name, value, path, error);
    }
    *identity = status == CRS_OK ? json_pack("{s:O, s:O}", "settings", settings, "files", files) : NULL;
    json_decref(settings);
    json_decref(files);
    if (status == CRS_OK && !*identity)
        status = describe(error, CRS_ERR_MEMORY, "", 0, "free some memory", "out of memory");
    return status;
}

/* A setting that did not exist when the record was made had then what is its default now. */
static void complete_settings(json_t *settings, const experiment_row *row) {
    size_t count;
    const crs_setting *rows = crs_config_settings(&count);
    crs_config defaults;
    crs_config_init(&defaults);
    for (size_t i = 0; i < count; i++) {
        char value[1024];
        if (!depends_on(row, &rows[i]))
            json_object_del(settings, rows[i].name);
        else if (!json_object_get(settings, rows[i].name))
            json_object_set_new(settings, rows[i].name,
                                json_string(crs_config_get(&defaults, rows[i].name, value, sizeof value)));
    }
}

static int is_made_from(const json_t *record, const experiment_row *row, int64_t index, const json_t *identity) {
    json_t *settings = json_object_get(record, "settings");
    if (!json_is_object(settings))
        return 0;
    complete_settings(settings, row);
    if (row->average && !experiment_average_holds(row, index, record))
        return 0;
    return json_equal(settings, json_object_get(identity, "settings")) &&
           json_equal(json_object_get(record, "files"), json_object_get(identity, "files"));
}

/* ---- records ---- */

/* The training's record, where there is one that still holds and the model is there too; else NULL. */
static crs_status load_record(experiment *e, const experiment_row *row, int64_t index, json_t **record,
                              crs_error *error) {
    char path[600];
    json_t *identity;
    *record = NULL;
    experiment_path(e, row, index, "model.safetensors", path);
    if (!row->average && access(path, F_OK) != 0)
        return CRS_OK;
    experiment_path(e, row, index, "result.json", path);
    json_t *found = json_load_file(path, 0, NULL);
    if (!found)
        return CRS_OK;
    const crs_status status = experiment_identity(e, row, index, &identity, error);
    if (status == CRS_OK && is_made_from(found, row, index, identity))
        *record = json_incref(found);
    json_decref(found);
    if (status == CRS_OK)
        json_decref(identity);
    /* Data that are not there make no result of an unselected row, and stop nothing. */
    return status == CRS_ERR_IO && !row->selected ? CRS_OK : status;
}

crs_status experiment_load_records(experiment *e, crs_error *error) {
    for (size_t i = 0; i < e->count; i++) {
        experiment_row *row = &e->rows[i];
        if (e->in->extras.force && row->selected)
            continue;
        for (int64_t k = 0; k < row->seeds; k++)
            if (load_record(e, row, k, &row->records[k], error) != CRS_OK)
                return error->status;
    }
    return CRS_OK;
}

/* Every digit: a report made from records must not differ from that of the run that wrote them. */
crs_status experiment_save_record(const char *path, const json_t *record, crs_error *error) {
    output_file out;
    const crs_status status = output_open(&out, path, error);
    if (status != CRS_OK)
        return status;
    if (!record || json_dumpf(record, out.stream, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) != 0) {
        /* jansson writes through the stream, whose error says more. */
        if (!ferror(out.stream)) {
            output_discard(&out);
            return describe(error, CRS_ERR_MEMORY, path, 0, "free some memory", "the record could not be made");
        }
    }
    fputc('\n', out.stream);
    return output_close(&out, error);
}

double experiment_value(const json_t *record, const experiment_measure *measure) {
    const json_t *part = measure->part ? json_object_get(record, measure->part) : record;
    const json_t *value = json_object_get(part, measure->member);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const json_t *experiment_first_record(const experiment_row *row) {
    for (int64_t k = 0; k < row->seeds; k++)
        if (row->records[k])
            return row->records[k];
    return NULL;
}

/* A finished training without a finite value makes the mean unknown, not the mean of the others. */
experiment_spread experiment_spread_of(const experiment_row *row, const experiment_measure *measure) {
    experiment_spread spread = {0, NAN, NAN};
    double sum = 0, squares = 0;
    for (int64_t k = 0; k < row->seeds; k++)
        if (row->records[k]) {
            sum += experiment_value(row->records[k], measure);
            spread.count++;
        }
    if (!isfinite(sum) || spread.count == 0)
        return (experiment_spread){0, NAN, NAN};
    spread.mean = sum / (double)spread.count;
    for (int64_t k = 0; k < row->seeds; k++)
        if (row->records[k]) {
            const double off = experiment_value(row->records[k], measure) - spread.mean;
            squares += off * off;
        }
    if (spread.count > 1)
        spread.deviation = sqrt(squares / (double)(spread.count - 1));
    return spread;
}
