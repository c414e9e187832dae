/* The report of an experiment: one HTML file that needs nothing beside it, with the pictures inside and without
 * scripts. The pictures are gnuplot's; of each, what stands before its first element is left out and its names are made
 * its own, since all share one page. */
#include "experiment.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    ":root{color-scheme:light}body{font:16px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;"
    "color:#1b1b1b;background:#fff}h1{font-size:1.7rem}h2{font-size:1.25rem;margin-top:2.5rem}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}"
    "th,td{padding:.35rem .6rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}"
    "th{border-bottom:2px solid #888}td.number,th.number{text-align:right;white-space:nowrap}"
    "td.line{font-family:ui-monospace,monospace;font-size:.8rem;min-width:14rem}.quiet{color:#555}"
    ".failed{color:#a00}svg{width:100%;height:auto}code{font-family:ui-monospace,monospace;font-size:.9em}";

static void put_escaped(FILE *out, const char *text) {
    for (; *text; text++)
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
}

static void put_element(FILE *out, const char *tag, const char *class_, const char *text) {
    fprintf(out, "<%s%s%s%s>", tag, class_ ? " class=\"" : "", class_ ? class_ : "", class_ ? "\"" : "");
    put_escaped(out, text);
    fprintf(out, "</%s>", tag);
}

/* ---- pictures ---- */

/* Where the rest of the picture begins with one of the words that a name of this picture follows. */
static size_t name_follows(const char *at) {
    const char *const before[] = {" id=\"", " id='", "href=\"#", "href='#", "url(#"};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++)
        if (strncmp(at, before[i], strlen(before[i])) == 0)
            return strlen(before[i]);
    return 0;
}

static char *read_text(const char *path) {
    FILE *stream = fopen(path, "rb");
    char *text = NULL;
    long size = -1;
    if (stream && fseek(stream, 0, SEEK_END) == 0 && (size = ftell(stream)) >= 0 && fseek(stream, 0, SEEK_SET) == 0 &&
        (text = malloc((size_t)size + 1)) != NULL) {
        text[fread(text, 1, (size_t)size, stream)] = '\0';
        if (ferror(stream)) {
            free(text);
            text = NULL;
        }
    }
    if (stream)
        fclose(stream);
    return text;
}

/* Only pictures that were drawn now: older ones may show what is no longer so. */
static void put_picture(FILE *out, const char *path, const char *what, size_t number) {
    char *text = read_text(path);
    const char *at = text ? strstr(text, "<svg") : NULL;
    if (!at) {
        free(text);
        return;
    }
    fputs("<figure role=\"img\" aria-label=\"", out);
    put_escaped(out, what);
    fputs("\">\n", out);
    while (*at) {
        const size_t n = name_follows(at);
        if (n > 0) {
            fprintf(out, "%.*sp%zu-", (int)n, at, number);
            at += n;
        } else {
            fputc(*at++, out);
        }
    }
    fputs("</figure>\n", out);
    free(text);
}

/* ---- tables ---- */

enum { WORDS = 4 }; /* columns before the first that holds numbers */

static void put_cells(FILE *out, const char *tag, char cells[][CELL], size_t count, size_t words) {
    fputs("<tr>", out);
    for (size_t i = 0; i < count; i++) {
        const int is_line = words == WORDS && (i == 1 || i == 3) && strcmp(tag, "td") == 0;
        put_element(out, tag, i >= words ? "number" : is_line ? "line" : NULL, cells[i]);
    }
    fputs("</tr>\n", out);
}

static void put_results(FILE *out, const experiment *e, char cells[][CELL]) {
    fputs("<div class=\"wide\"><table>\n<thead>", out);
    put_cells(out, "th", cells, experiment_heads(e, cells), WORDS);
    fputs("</thead>\n<tbody>\n", out);
    for (size_t i = 0; i < e->count; i++)
        put_cells(out, "td", cells, experiment_cells(e, &e->rows[i], cells), WORDS);
    fputs("</tbody></table></div>\n", out);
}

static void put_published(FILE *out, const experiment *e) {
    char cells[5][CELL] = {"Row", "Figure", "Published", "Ours", "Difference"};
    int any = 0;
    for (size_t i = 0; i < e->count; i++)
        for (size_t m = 0; m < MEASURES; m++) {
            if (isnan(e->rows[i].published[m]))
                continue;
            if (!any++) {
                fputs("<h2>Beside the published figures</h2>\n<div class=\"wide\"><table>\n<thead>", out);
                put_cells(out, "th", cells, 5, 2);
                fputs("</thead>\n<tbody>\n", out);
            }
            (void)experiment_published_cells(&e->rows[i], m, cells);
            put_cells(out, "td", cells, 5, 2);
        }
    fputs(any ? "</tbody></table></div>\n" : "", out);
}

/* ---- a row's part ---- */

static void put_seeds(FILE *out, const experiment_row *row) {
    fputs("<div class=\"wide\"><table>\n<thead><tr><th class=\"number\">Seed</th>", out);
    for (size_t m = 0; m < MEASURES; m++)
        if (experiment_spread_of(row, &experiment_measures[m]).count > 0)
            put_element(out, "th", "number", experiment_measures[m].title);
    fputs("</tr></thead>\n<tbody>\n", out);
    for (int64_t k = 0; k < row->seeds; k++) {
        if (!row->records[k])
            continue;
        fprintf(out, "<tr><td class=\"number\">%" PRIu64 "</td>", experiment_seed(row, k));
        for (size_t m = 0; m < MEASURES; m++) {
            const experiment_measure *measure = &experiment_measures[m];
            if (experiment_spread_of(row, measure).count > 0)
                fprintf(out, "<td class=\"number\">%.*f</td>", measure->digits == 1 ? 0 : measure->digits,
                        experiment_value(row->records[k], measure));
        }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void put_row(FILE *out, const experiment *e, size_t index) {
    const experiment_row *row = &e->rows[index];
    char model[CELL], settings[CELL], path[600];
    put_element(out, "h2", NULL, row->section->name);
    fputc('\n', out);
    if (row->note) {
        put_element(out, "p", NULL, row->note);
        fputc('\n', out);
    }
    experiment_model_text(row, model);
    experiment_settings_text(row, settings);
    fputs("<p><code>", out);
    put_escaped(out, model);
    fputs("</code></p>\n<p class=\"quiet\">", out);
    put_escaped(out, settings);
    const json_t *record = experiment_first_record(row);
    const char *backend = json_string_value(json_object_get(record, "backend"));
    if (backend) {
        fputs(settings[0] ? "; on " : "on ", out);
        put_escaped(out, backend);
    }
    fputs("</p>\n", out);
    if (row->failure[0]) {
        put_element(out, "p", "failed", row->failure);
        fputc('\n', out);
    }
    if (!record) {
        fputs("<p class=\"quiet\">No training of this row is finished.</p>\n", out);
        return;
    }
    put_seeds(out, row);
    experiment_path(e, row, -1, "curves.svg", path);
    if (row->drawn)
        put_picture(out, path, "loss and accuracy over epochs", index + 1);
}

static void put_page(FILE *out, const experiment *e, char cells[][CELL]) {
    char machine[CELL], path[600];
    const char *slash = strrchr(e->file.path, '/');
    const char *name = slash ? slash + 1 : e->file.path;
    experiment_machine_text(e, machine);
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
          out);
    put_element(out, "title", NULL, name);
    fprintf(out, "\n<style>%s</style>\n</head>\n<body>\n", style);
    put_element(out, "h1", NULL, name);
    fputc('\n', out);
    if (e->note) {
        put_element(out, "p", NULL, e->note);
        fputc('\n', out);
    }
    put_element(out, "p", "quiet", machine);
    fputs("\n<p class=\"quiet\">With several seeds: mean ± standard deviation.</p>\n", out);
    put_results(out, e, cells);
    put_published(out, e);
    snprintf(path, sizeof path, "%s/comparison.svg", e->folder);
    if (e->comparison_drawn)
        put_picture(out, path, "the rows compared", 0);
    for (size_t i = 0; i < e->count; i++)
        put_row(out, e, i);
    fputs("</body>\n</html>\n", out);
}

crs_status experiment_write_html(const experiment *e, crs_error *error) {
    return experiment_write_page(e, "report.html", put_page, error);
}
