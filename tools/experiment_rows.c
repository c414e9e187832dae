/* From sections and keys to rows that can be trained: settings, paths, published figures; and the look at every row
 * before the first is trained. */
#include "experiment.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_SEEDS = 1000 };

static crs_status reject(const experiment *e, int64_t line, crs_error *error, const char *mend, const char *what,
                         const char *detail) {
    return describe(error, CRS_ERR_CONFIG, e->file.path, line, mend, what, detail);
}

/* The library's error, told at a line of the experiment file. */
static crs_status reject_by(const experiment *e, int64_t line, crs_error *error) {
    char text[1024];
    crs_error inner = *error;
    inner.mend[0] = '\0';
    crs_error_text(&inner, text, sizeof text);
    /* Settings are named as the command's options there. */
    const char *what = strncmp(text, "--", 2) == 0 ? text + 2 : text;
    return describe(error, inner.status, e->file.path, line, error->mend, "%s", what);
}

static int is_file_setting(const crs_setting *setting) {
    return setting->kind == CRS_SETTING_TEXT && setting->argument && strcmp(setting->argument, "FILE") == 0;
}

/* The path to open for one that stands in the file: relative to --data-dir, or to the file's own folder. */
static crs_status resolve(const experiment *e, const experiment_entry *entry, char path[512], crs_error *error) {
    const char *folder = e->in->extras.data_dir;
    const char *slash = strrchr(e->file.path, '/');
    int n;
    if (entry->value[0] == '/')
        n = snprintf(path, 512, "%s", entry->value);
    else if (folder)
        n = snprintf(path, 512, "%s/%s", folder, entry->value);
    else
        n = snprintf(path, 512, "%.*s%s", slash ? (int)(slash + 1 - e->file.path) : 0, e->file.path, entry->value);
    if (n >= 512)
        return reject(e, entry->line, error, "move the data to a shorter path", "the path of '%s' is too long",
                      entry->key);
    return CRS_OK;
}

static crs_status set_data(const experiment *e, const experiment_entry *entry, const char **written, char path[512],
                           crs_error *error) {
    if (!entry->value[0] || strcmp(entry->value, "-") == 0)
        return reject(e, entry->line, error, "name a file or a folder",
                      "'%s' names no file; it is read once for each row", entry->key);
    *written = entry->value;
    return resolve(e, entry, path, error);
}

/* 0: no number of seeds. */
static int64_t parse_seeds(const char *text) {
    char *end = NULL;
    const long long seeds = strtoll(text, &end, 10);
    return end == text || *end || seeds < 1 || seeds > MOST_SEEDS ? 0 : seeds;
}

static crs_status set_seeds(const experiment *e, experiment_row *row, const experiment_entry *entry, crs_error *error) {
    row->seeds = parse_seeds(entry->value);
    if (row->seeds > 0)
        return CRS_OK;
    return reject(e, entry->line, error, "give a whole number from 1 to 1000", "seeds '%.64s' does not fit",
                  entry->value);
}

/* "84.38 %" is 0.8438. */
static crs_status set_published(const experiment *e, experiment_row *row, const experiment_entry *entry,
                                crs_error *error) {
    const char *name = entry->key + strlen("published.");
    for (size_t i = 0; i < MEASURES; i++) {
        const experiment_measure *measure = &experiment_measures[i];
        if (!measure->published || strcmp(measure->published, name) != 0)
            continue;
        char *end = NULL;
        double value = strtod(entry->value, &end);
        const int is_number = end != entry->value;
        end += strspn(end, " ");
        if (*end == '%' && measure->is_share) {
            value /= 100;
            end++;
        }
        /* Written so that NaN fails. */
        if (!is_number || *end || !(value >= 0 && value <= (measure->is_share ? 1 : 1e12)))
            return reject(e, entry->line, error,
                          measure->is_share ? "give a share from 0 to 1, or a percentage with its sign"
                                            : "give a number that is not negative",
                          "published figure '%.64s' does not fit", entry->value);
        row->published[i] = value;
        return CRS_OK;
    }
    return reject(e, entry->line, error, "they are accuracy, loss, train-accuracy, train-loss, val-accuracy, seconds",
                  "there is no published figure '%s'", name);
}

/* Any setting of train's, those with a path in both forms. */
static crs_status set_setting(const experiment *e, experiment_row *row, const experiment_entry *entry,
                              crs_error *error) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    if (crs_config_set(&row->written, entry->key, entry->value, error) != CRS_OK)
        return reject_by(e, entry->line, error);
    char path[512];
    const char *value = entry->value;
    for (size_t i = 0; i < count; i++)
        if (strcmp(settings[i].name, entry->key) == 0 && is_file_setting(&settings[i]) && value[0]) {
            if (resolve(e, entry, path, error) != CRS_OK)
                return error->status;
            value = path;
        }
    return crs_config_set(&row->config, entry->key, value, error) == CRS_OK ? CRS_OK : reject_by(e, entry->line, error);
}

static crs_status set_entry(const experiment *e, experiment_row *row, const experiment_entry *entry, crs_error *error) {
    if (strcmp(entry->key, "data") == 0)
        return set_data(e, entry, &row->data, row->data_path, error);
    if (strcmp(entry->key, "test") == 0)
        return set_data(e, entry, &row->test, row->test_path, error);
    if (strcmp(entry->key, "seeds") == 0)
        return set_seeds(e, row, entry, error);
    if (strcmp(entry->key, "average") == 0) {
        if (!row->section)
            return reject(e, entry->line, error, "give it to a row of its own", "'%s' stands in [defaults]", "average");
        row->average = entry->value;
        return CRS_OK;
    }
    if (strncmp(entry->key, "published.", strlen("published.")) == 0)
        return set_published(e, row, entry, error);
    if (strcmp(entry->key, "note") != 0)
        return set_setting(e, row, entry, error);
    /* The note of [defaults] is on the experiment as a whole. */
    if (row->section)
        row->note = entry->value;
    return CRS_OK;
}

/* What the command line says on where to run, unless the row itself says it. */
static void apply_options(const experiment *e, experiment_row *row) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++) {
        char value[1024];
        if (!e->in->given[i] || experiment_entry_find(row->section, settings[i].name))
            continue;
        crs_config_get(&e->in->config, settings[i].name, value, sizeof value);
        (void)crs_config_set(&row->config, settings[i].name, value, NULL);
        (void)crs_config_set(&row->written, settings[i].name, value, NULL);
    }
}

/* Unselected rows stay what they are in the file: their results are shown, not made. */
static crs_status finish_row(const experiment *e, experiment_row *row, crs_error *error) {
    if (row->selected)
        apply_options(e, row);
    if (row->selected && e->in->extras.seeds && (row->seeds = parse_seeds(e->in->extras.seeds)) == 0)
        return describe(error, CRS_ERR_CONFIG, "", 0, "give a whole number from 1 to 1000",
                        "--seeds '%.64s' does not fit", e->in->extras.seeds);
    if (crs_config_check(&row->config, error) != CRS_OK)
        return reject_by(e, row->section->line, error);
    if (row->average && row->selected && experiment_average_check(e, row, error) != CRS_OK)
        return error->status;
    row->records = calloc((size_t)row->seeds, sizeof(json_t *));
    return row->records ? CRS_OK : describe(error, CRS_ERR_MEMORY, "", 0, "free some memory", "out of memory");
}

static crs_status make_row(experiment *e, const experiment_section *section, const experiment_section *defaults,
                           crs_error *error) {
    experiment_row *row = &e->rows[e->count++];
    const experiment_section *both[] = {defaults, section};
    crs_config_init(&row->config);
    crs_config_init(&row->written);
    row->seeds = 1;
    for (size_t i = 0; i < MEASURES; i++)
        row->published[i] = NAN;
    for (size_t s = 0; s < 2; s++) {
        row->section = s == 1 ? section : NULL;
        for (size_t i = 0; both[s] && i < both[s]->count; i++)
            if (set_entry(e, row, &both[s]->entries[i], error) != CRS_OK)
                return error->status;
    }
    if (has_word(experiment_outputs, section->name))
        return reject(e, section->line, error, "give the row another name", "a file of the results is named '%s'",
                      section->name);
    if (row->average && experiment_average_resolve(e, row, error) != CRS_OK)
        return error->status;
    if (!row->data && !row->average)
        return reject(e, section->line, error, "give it 'data = FILE', or give it to [defaults]",
                      "the row [%s] has no training data", section->name);
    if (row->config.seed > (uint64_t)1 << 52)
        return reject(e, section->line, error, "give a smaller seed", "the row [%s] cannot count its seeds on",
                      section->name);
    return CRS_OK;
}

static crs_status make_rows(experiment *e, crs_error *error) {
    const experiment_section *defaults = NULL;
    for (size_t i = 0; i < e->file.count; i++)
        if (strcmp(e->file.sections[i].name, "defaults") == 0)
            defaults = &e->file.sections[i];
    const experiment_entry *note = experiment_entry_find(defaults, "note");
    e->note = note ? note->value : NULL;
    const size_t rows = e->file.count - (defaults ? 1 : 0);
    if (rows == 0)
        return reject(e, 0, error, "write a section for each row, [name]", "has no row%s", "");
    e->rows = calloc(rows, sizeof *e->rows);
    if (!e->rows)
        return describe(error, CRS_ERR_MEMORY, "", 0, "free some memory", "out of memory");
    for (size_t i = 0; i < e->file.count; i++)
        if (&e->file.sections[i] != defaults && make_row(e, &e->file.sections[i], defaults, error) != CRS_OK)
            return error->status;
    return CRS_OK;
}

static crs_status select_rows(experiment *e, crs_error *error) {
    const text_list *only = &e->in->extras.only;
    for (size_t i = 0; i < e->count; i++)
        e->rows[i].selected = only->count == 0;
    for (size_t k = 0; k < only->count; k++) {
        size_t found = 0;
        while (found < e->count && strcmp(e->rows[found].section->name, only->items[k]) != 0)
            found++;
        if (found == e->count)
            return describe(error, CRS_ERR_CONFIG, e->file.path, 0, "--list shows the rows", "there is no row [%.64s]",
                            only->items[k]);
        e->rows[found].selected = 1;
    }
    return CRS_OK;
}

/* The line to blame: the key's own, else that of the row. */
static int64_t line_of(const experiment *e, const experiment_row *row, const char *key) {
    const experiment_entry *entry = experiment_entry_find(row->section, key);
    for (size_t i = 0; !entry && i < e->file.count; i++)
        if (strcmp(e->file.sections[i].name, "defaults") == 0)
            entry = experiment_entry_find(&e->file.sections[i], key);
    return entry ? entry->line : row->section->line;
}

static crs_status check_network(const experiment *e, const experiment_row *row, crs_error *error) {
    training t = {.in = e->in, .config = &row->config};
    const crs_device_options options = crs_config_device(&row->config);
    if (crs_backend_open(row->config.backend, &options, &t.backend, error) != CRS_OK)
        return reject_by(e, line_of(e, row, "backend"), error);
    const crs_status status = training_check_line(&t);
    crs_backend_close(t.backend);
    if (status == CRS_OK)
        return CRS_OK;
    *error = t.error;
    return reject_by(e, line_of(e, row, "model"), error);
}

/* The first row of a file shows that it is there, what its columns are, and that it has the form it should have. */
static crs_status check_data(const experiment *e, const experiment_row *row, const char *key, const char *path,
                             crs_error *error) {
    crs_reader *reader = NULL;
    crs_row first;
    int end = 0;
    crs_status status = crs_reader_open(path, &row->config, &reader, error);
    if (status == CRS_OK)
        status = crs_reader_next(reader, &first, &end, error);
    crs_reader_close(reader);
    if (status != CRS_OK)
        return reject_by(e, line_of(e, row, key), error);
    if (end)
        return reject(e, line_of(e, row, key), error, "give a file with labelled text", "%s has no row", path);
    return CRS_OK;
}

static crs_status check_content(experiment *e, const experiment_row *row, const char *key, const char *path,
                                crs_error *error) {
    return experiment_content_of(e, path, error) ? CRS_OK : reject_by(e, line_of(e, row, key), error);
}

/* The content of every file is taken here, before it is read to train on: a file that changes in the meantime then
 * leaves a result that is done again, not one that passes for the new file's. */
static crs_status check_row(experiment *e, const experiment_row *row, crs_error *error) {
    if (row->average) {
        const crs_status status = check_data(e, row, "test", row->test_path, error);
        return status == CRS_OK ? check_content(e, row, "test", row->test_path, error) : status;
    }
    crs_status status = check_network(e, row, error);
    if (status == CRS_OK)
        status = check_data(e, row, "data", row->data_path, error);
    if (status == CRS_OK && row->test)
        status = check_data(e, row, "test", row->test_path, error);
    if (status == CRS_OK)
        status = check_content(e, row, "data", row->data_path, error);
    if (status == CRS_OK && row->test)
        status = check_content(e, row, "test", row->test_path, error);
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; status == CRS_OK && i < count; i++) {
        char path[1024];
        if (!is_file_setting(&settings[i]))
            continue;
        crs_config_get(&row->config, settings[i].name, path, sizeof path);
        if (path[0])
            status = check_content(e, row, settings[i].name, path, error);
    }
    return status;
}

crs_status experiment_open(const invocation *in, experiment *e, crs_error *error) {
    *e = (experiment){.in = in, .lock = -1, .no_pictures = in->extras.no_curves};
    crs_status status = experiment_file_read(in->arguments[0], &e->file, error);
    if (status == CRS_OK)
        status = make_rows(e, error);
    if (status == CRS_OK)
        status = select_rows(e, error);
    for (size_t i = 0; status == CRS_OK && i < e->count; i++)
        status = finish_row(e, &e->rows[i], error);
    for (size_t i = 0; status == CRS_OK && i < e->count; i++)
        if (e->rows[i].selected)
            status = check_row(e, &e->rows[i], error);
    return status;
}

void experiment_close(experiment *e) {
    for (size_t i = 0; i < e->count; i++) {
        for (int64_t k = 0; e->rows[i].records && k < e->rows[i].seeds; k++)
            json_decref(e->rows[i].records[k]);
        free(e->rows[i].records);
    }
    if (e->lock >= 0)
        (void)close(e->lock);
    free(e->rows);
    free(e->contents);
    experiment_file_clear(&e->file);
}
