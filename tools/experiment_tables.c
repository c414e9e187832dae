/* The results of an experiment as Markdown, to be read, and as CSV, to be computed with. */
#include "experiment.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Markdown ---- */

static void put_markdown(FILE *out, const char *text) {
    for (; *text; text++) {
        if (strchr("\\`*_{}[]<>#|&~$", *text))
            fputc('\\', out);
        fputc(*text == '\n' || *text == '\t' ? ' ' : *text, out);
    }
}

static void put_markdown_row(FILE *out, char cells[][CELL], size_t count) {
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? " | " : "| ", out);
        put_markdown(out, cells[i]);
    }
    fputs(" |\n", out);
}

static void put_rule(FILE *out, size_t words, size_t count) {
    for (size_t i = 0; i < count; i++)
        fputs(i < words ? "| --- " : "| ---: ", out);
    fputs("|\n", out);
}

static void put_published(FILE *out, const experiment *e) {
    char cells[5][CELL] = {"Row", "Figure", "Published", "Ours", "Difference"};
    int any = 0;
    for (size_t i = 0; i < e->count; i++)
        for (size_t m = 0; m < MEASURES; m++) {
            if (isnan(e->rows[i].published[m]))
                continue;
            if (!any++) {
                fputs("\n## Beside the published figures\n\n", out);
                put_markdown_row(out, cells, 5);
                put_rule(out, 2, 5);
            }
            (void)experiment_published_cells(&e->rows[i], m, cells);
            put_markdown_row(out, cells, 5);
        }
}

static void put_notes(FILE *out, const experiment *e) {
    int any = 0;
    for (size_t i = 0; i < e->count; i++) {
        const experiment_row *row = &e->rows[i];
        if (!row->note && !row->failure[0])
            continue;
        fputs(any++ ? "" : "\n## Notes\n\n", out);
        fputs("- ", out);
        put_markdown(out, row->section->name);
        fputs(": ", out);
        put_markdown(out, row->note ? row->note : "");
        if (row->failure[0]) {
            fputs(" A training failed: ", out);
            put_markdown(out, row->failure);
        }
        fputc('\n', out);
    }
}

static void put_markdown_file(FILE *out, const experiment *e, char cells[][CELL]) {
    char machine[CELL];
    const char *slash = strrchr(e->file.path, '/');
    experiment_machine_text(e, machine);
    fputs("# ", out);
    put_markdown(out, slash ? slash + 1 : e->file.path);
    fputs("\n\n", out);
    if (e->note) {
        put_markdown(out, e->note);
        fputs("\n\n", out);
    }
    put_markdown(out, machine);
    fputs(". With several seeds: mean ± standard deviation.\n\n", out);
    const size_t count = experiment_heads(e, cells);
    put_markdown_row(out, cells, count);
    put_rule(out, 4, count);
    for (size_t i = 0; i < e->count; i++)
        put_markdown_row(out, cells, experiment_cells(e, &e->rows[i], cells));
    put_published(out, e);
    put_notes(out, e);
}

crs_status experiment_write_page(const experiment *e, const char *name, experiment_page put, crs_error *error) {
    char path[600];
    output_file out;
    char(*cells)[CELL] = calloc(MOST_CELLS, CELL);
    snprintf(path, sizeof path, "%s/%s", e->folder, name);
    if (!cells)
        return describe(error, CRS_ERR_MEMORY, path, 0, "free some memory", "out of memory");
    crs_status status = output_open(&out, path, error);
    if (status == CRS_OK) {
        put(out.stream, e, cells);
        status = output_close(&out, error);
    }
    free(cells);
    return status;
}

crs_status experiment_write_markdown(const experiment *e, crs_error *error) {
    return experiment_write_page(e, "results.md", put_markdown_file, error);
}

/* ---- CSV ---- */

static void put_csv(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++)
        fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, out);
    fputc('"', out);
}

/* After a comma; nothing where there is no value. */
static void put_csv_value(FILE *out, double value) {
    fputc(',', out);
    if (isfinite(value))
        fprintf(out, "%.9g", value);
}

static void put_csv_head(FILE *out) {
    fputs("row,model,optimizer,settings,parameters,seeds,seeds_finished", out);
    for (size_t m = 0; m < MEASURES; m++)
        fprintf(out, ",%s,%s_sd", experiment_measures[m].name, experiment_measures[m].name);
    for (size_t m = 0; m < MEASURES; m++)
        if (experiment_measures[m].published)
            fprintf(out, ",published_%s,difference_%s", experiment_measures[m].name, experiment_measures[m].name);
    fputs(",note\n", out);
}

static void put_csv_row(FILE *out, const experiment_row *row) {
    const json_t *record = experiment_first_record(row);
    char model[CELL], settings[CELL], optimizer[64] = "";
    int64_t finished = 0;
    for (int64_t k = 0; k < row->seeds; k++)
        finished += row->records[k] != NULL;
    experiment_settings_text(row, settings);
    experiment_model_text(row, model);
    if (!row->average)
        crs_config_get(&row->config, "optimizer", optimizer, sizeof optimizer);
    put_csv(out, row->section->name);
    fputc(',', out);
    put_csv(out, model);
    fprintf(out, ",%s,", optimizer);
    put_csv(out, settings);
    put_csv_value(out, record ? (double)json_integer_value(json_object_get(record, "parameters")) : NAN);
    fprintf(out, ",%" PRId64 ",%" PRId64, row->seeds, finished);
    for (size_t m = 0; m < MEASURES; m++) {
        const experiment_spread spread = experiment_spread_of(row, &experiment_measures[m]);
        put_csv_value(out, spread.mean);
        put_csv_value(out, spread.deviation);
    }
    for (size_t m = 0; m < MEASURES; m++)
        if (experiment_measures[m].published) {
            put_csv_value(out, row->published[m]);
            put_csv_value(out, experiment_spread_of(row, &experiment_measures[m]).mean - row->published[m]);
        }
    fputc(',', out);
    put_csv(out, row->note ? row->note : "");
    fputc('\n', out);
}

crs_status experiment_write_csv(const experiment *e, crs_error *error) {
    char path[600];
    output_file out;
    snprintf(path, sizeof path, "%s/results.csv", e->folder);
    const crs_status status = output_open(&out, path, error);
    if (status != CRS_OK)
        return status;
    put_csv_head(out.stream);
    for (size_t i = 0; i < e->count; i++)
        put_csv_row(out.stream, &e->rows[i]);
    return output_close(&out, error);
}

crs_status experiment_write_seeds_csv(const experiment *e, crs_error *error) {
    char path[600];
    output_file out;
    snprintf(path, sizeof path, "%s/seeds.csv", e->folder);
    const crs_status status = output_open(&out, path, error);
    if (status != CRS_OK)
        return status;
    fputs("row,seed", out.stream);
    for (size_t m = 0; m < MEASURES; m++)
        fprintf(out.stream, ",%s", experiment_measures[m].name);
    fputc('\n', out.stream);
    for (size_t i = 0; i < e->count; i++)
        for (int64_t k = 0; k < e->rows[i].seeds; k++) {
            if (!e->rows[i].records[k])
                continue;
            put_csv(out.stream, e->rows[i].section->name);
            fprintf(out.stream, ",%" PRIu64, experiment_seed(&e->rows[i], k));
            for (size_t m = 0; m < MEASURES; m++)
                put_csv_value(out.stream, experiment_value(e->rows[i].records[k], &experiment_measures[m]));
            fputc('\n', out.stream);
        }
    return output_close(&out, error);
}
