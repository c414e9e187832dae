/* What stands in the cells of an experiment's tables, in plain text; Markdown, CSV and HTML each escape it their way.
 */
#include "experiment.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void experiment_model_text(const experiment_row *row, char text[CELL]) {
    snprintf(text, CELL, "%s%.1500s", row->average ? "average of " : "",
             row->average ? row->average : row->config.model);
}

void experiment_settings_text(const experiment_row *row, char text[CELL]) {
    /* In columns of their own, or where the results were computed. */
    const char *elsewhere = "model|optimizer|seed|backend|threads";
    size_t count, used = 0;
    const crs_setting *settings = crs_config_settings(&count);
    crs_config defaults;
    crs_config_init(&defaults);
    text[0] = '\0';
    for (size_t i = 0; i < count && used + 1 < CELL && !row->average; i++) {
        char value[1024], usual[1024];
        crs_config_get(&row->written, settings[i].name, value, sizeof value);
        crs_config_get(&defaults, settings[i].name, usual, sizeof usual);
        if (strcmp(value, usual) == 0 || has_word(elsewhere, settings[i].name))
            continue;
        const int n = snprintf(text + used, CELL - used, "%s%s=%s", used > 0 ? " " : "", settings[i].name, value);
        used += (size_t)n;
    }
}

void experiment_spread_text(const experiment_spread *spread, int digits, char text[CELL]) {
    text[0] = '\0';
    if (spread->count > 1)
        snprintf(text, CELL, "%.*f ± %.*f", digits, spread->mean, digits, spread->deviation);
    else if (spread->count == 1)
        snprintf(text, CELL, "%.*f", digits, spread->mean);
}

void experiment_seeds_text(const experiment_row *row, char text[CELL]) {
    int64_t finished = 0;
    for (int64_t k = 0; k < row->seeds; k++)
        finished += row->records[k] != NULL;
    if (finished == row->seeds)
        snprintf(text, CELL, "%" PRId64, finished);
    else
        snprintf(text, CELL, "%" PRId64 " of %" PRId64, finished, row->seeds);
}

/* Of a count: 12 where all seeds agree, else 12.5 ± 0.7. */
static int digits_of(const experiment_spread *spread, const experiment_measure *measure) {
    const int whole = spread->count == 1 || spread->deviation == 0;
    return measure->digits == 1 && whole ? 0 : measure->digits;
}

static int has_figures(const experiment *e, const experiment_measure *measure) {
    for (size_t i = 0; i < e->count; i++)
        if (experiment_spread_of(&e->rows[i], measure).count > 0)
            return 1;
    return 0;
}

size_t experiment_heads(const experiment *e, char cells[][CELL]) {
    const char *const heads[] = {"Row", "Model", "Optimizer", "Settings", "Parameters", "Seeds"};
    size_t used = 0;
    for (; used < sizeof heads / sizeof *heads; used++)
        snprintf(cells[used], CELL, "%s", heads[used]);
    for (size_t m = 0; m < MEASURES; m++)
        if (has_figures(e, &experiment_measures[m]))
            snprintf(cells[used++], CELL, "%s", experiment_measures[m].title);
    return used;
}

size_t experiment_cells(const experiment *e, const experiment_row *row, char cells[][CELL]) {
    const json_t *record = experiment_first_record(row);
    size_t used = 0;
    snprintf(cells[used++], CELL, "%s", row->section->name);
    experiment_model_text(row, cells[used++]);
    cells[used][0] = '\0';
    if (!row->average)
        crs_config_get(&row->config, "optimizer", cells[used], CELL);
    used++;
    experiment_settings_text(row, cells[used++]);
    cells[used][0] = '\0';
    if (record)
        format_count(json_integer_value(json_object_get(record, "parameters")), cells[used]);
    experiment_seeds_text(row, cells[++used]);
    used++;
    for (size_t m = 0; m < MEASURES; m++) {
        const experiment_measure *measure = &experiment_measures[m];
        if (!has_figures(e, measure))
            continue;
        const experiment_spread spread = experiment_spread_of(row, measure);
        experiment_spread_text(&spread, digits_of(&spread, measure), cells[used++]);
    }
    return used;
}

int experiment_published_cells(const experiment_row *row, size_t measure, char cells[5][CELL]) {
    const experiment_measure *m = &experiment_measures[measure];
    const double published = row->published[measure];
    if (isnan(published))
        return 0;
    const experiment_spread ours = experiment_spread_of(row, m);
    snprintf(cells[0], CELL, "%s", row->section->name);
    snprintf(cells[1], CELL, "%s", m->title);
    snprintf(cells[2], CELL, "%.*f", m->digits, published);
    experiment_spread_text(&ours, m->digits, cells[3]);
    cells[4][0] = '\0';
    if (ours.count > 0)
        snprintf(cells[4], CELL, "%+.*f", m->digits, ours.mean - published);
    return 1;
}

/* Adds a text that is not there yet; `used` bytes of text are taken. */
static size_t add_distinct(char *text, size_t used, const char *addition) {
    if (!addition || strstr(text, addition) || used + strlen(addition) + 3 > CELL / 2)
        return used;
    return used + (size_t)snprintf(text + used, CELL / 2 - used, "%s%s", used > 0 ? "; " : "", addition);
}

void experiment_machine_text(const experiment *e, char text[CELL]) {
    char backends[CELL / 2] = "", versions[CELL / 2] = "";
    const char *first = NULL, *last = NULL;
    size_t backends_used = 0, versions_used = 0;
    json_int_t threads = 0;
    for (size_t i = 0; i < e->count; i++)
        for (int64_t k = 0; k < e->rows[i].seeds; k++) {
            const json_t *record = e->rows[i].records[k];
            const char *date = json_string_value(json_object_get(record, "date"));
            if (!record || !date)
                continue;
            backends_used =
                add_distinct(backends, backends_used, json_string_value(json_object_get(record, "backend")));
            versions_used =
                add_distinct(versions, versions_used, json_string_value(json_object_get(record, "carousel")));
            first = !first || strcmp(date, first) < 0 ? date : first;
            last = !last || strcmp(date, last) > 0 ? date : last;
            const json_int_t n = json_integer_value(json_object_get(record, "threads"));
            threads = n > threads ? n : threads;
        }
    if (!first)
        snprintf(text, CELL, "carousel %s; nothing has been trained yet", crs_version());
    else
        snprintf(text, CELL, "carousel %.100s on %.900s; up to %lld threads; trained %.40s%s%.40s", versions, backends,
                 (long long)threads, first, strcmp(first, last) == 0 ? "" : " to ",
                 strcmp(first, last) == 0 ? "" : last);
}
