/* The pictures of an experiment: a row's curves, every seed a line, and all rows beside each other. Numbers come from
 * the records, so that rows finished long ago are drawn like those of today. */
#include "experiment.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const colors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                     "#e69f00", "#56b4e9", "#000000", "#8c6d31"};
enum { COLORS = sizeof colors / sizeof *colors };

static void put_value(FILE *script, const json_t *value) {
    if (json_is_number(value))
        fprintf(script, " %.9g", json_number_value(value));
    else
        fputs(" NaN", script);
}

/* In single quotes, where gnuplot takes every character but the quote as it is. */
static void put_quoted(FILE *script, const char *text) {
    fputc('\'', script);
    for (; *text; text++)
        fputs(*text == '\'' ? "''" : (char[]){*text, '\0'}, script);
    fputc('\'', script);
}

/* A data block of one training's epochs; columns: epoch, loss, accuracy, validation loss, validation accuracy. */
static void put_history(FILE *script, const json_t *record, const char *prefix, size_t number) {
    const json_t *history = json_object_get(record, "history"), *epoch;
    const char *const members[] = {"loss", "accuracy", "val_loss", "val_accuracy"};
    size_t i;
    fprintf(script, "$%s%zu << EOD\n", prefix, number);
    json_array_foreach(history, i, epoch) {
        fprintf(script, "%zu", i + 1);
        for (size_t m = 0; m < 4; m++)
            put_value(script, json_object_get(epoch, members[m]));
        fputc('\n', script);
    }
    fputs("EOD\n", script);
}

static void put_style(FILE *script, int height) {
    fprintf(script,
            "set terminal svg size 1000,%d dynamic noenhanced background 'white'\nset datafile missing 'NaN'\n"
            "set multiplot layout 1,2\nset grid linecolor '#dddddd'\nset border 3\nset tics nomirror out\n",
            height);
}

static size_t longest_history(const experiment_row *row) {
    size_t most = 0;
    for (int64_t k = 0; k < row->seeds; k++) {
        const size_t epochs = json_array_size(json_object_get(row->records[k], "history"));
        most = epochs > most ? epochs : most;
    }
    return most;
}

/* Steps of an axis of epochs: about ten, whole numbers. */
static void put_epoch_axis(FILE *script, size_t epochs) {
    fprintf(script, "set xlabel 'epoch'\nset xtics 1,%zu\nset xrange [1:%zu]\n", (epochs + 9) / 10,
            epochs > 1 ? epochs : 2);
}

static void put_row_panel(FILE *script, const experiment_row *row, const char *title, int column, const char *key) {
    fprintf(script, "set title '%s'\nset key %s\nplot ", title, key);
    for (int part = 0; part < 2; part++) {
        int is_first = 1;
        for (int64_t k = 0; k < row->seeds; k++)
            if (row->records[k]) {
                fprintf(script, "%s$s%lld using 1:%d ", part == 0 && is_first ? "" : ", ", (long long)k,
                        column + 2 * part);
                fprintf(script, is_first ? "title '%s'" : "notitle", part == 0 ? "training" : "validation");
                fprintf(script, " with linespoints linecolor '%s' linewidth 2 pointtype 7 pointsize 0.4", colors[part]);
                is_first = 0;
            }
    }
    fputc('\n', script);
}

static void write_row(FILE *script, const void *user) {
    const experiment_row *row = user;
    for (int64_t k = 0; k < row->seeds; k++)
        if (row->records[k])
            put_history(script, row->records[k], "s", (size_t)k);
    put_style(script, 400);
    put_epoch_axis(script, longest_history(row));
    put_row_panel(script, row, "loss", 2, "top right");
    put_row_panel(script, row, "accuracy", 3, "bottom right");
    fputs("unset multiplot\n", script);
}

/* ---- all rows ---- */

static const experiment_measure *measure_named(const char *name) {
    size_t i = 0;
    while (strcmp(experiment_measures[i].name, name) != 0)
        i++;
    return &experiment_measures[i];
}

/* What the rows are compared by: test accuracy, or without test rows that on validation rows, or on training rows. */
static const experiment_measure *compared_measure(const experiment *e) {
    const char *const names[] = {"test_accuracy", "val_accuracy"};
    for (size_t n = 0; n < 2; n++) {
        const experiment_measure *measure = measure_named(names[n]);
        for (size_t i = 0; i < e->count; i++)
            if (experiment_spread_of(&e->rows[i], measure).count > 0)
                return measure;
    }
    return measure_named("train_accuracy");
}

/* Left: the first seed's accuracy over epochs, on validation rows where there are some. */
static void put_curves(FILE *script, const experiment *e) {
    size_t epochs = 0;
    int any = 0;
    for (size_t i = 0; i < e->count; i++) {
        const size_t n = json_array_size(json_object_get(experiment_first_record(&e->rows[i]), "history"));
        epochs = n > epochs ? n : epochs;
    }
    put_epoch_axis(script, epochs);
    fputs("set title 'accuracy (first seed; validation, or without it training rows)'\nset key below\nplot ", script);
    for (size_t i = 0; i < e->count; i++) {
        const json_t *record = experiment_first_record(&e->rows[i]);
        if (json_array_size(json_object_get(record, "history")) == 0)
            continue;
        fprintf(script, "%s$r%zu using 1:%d title ", any ? ", " : "", i,
                json_is_object(json_object_get(record, "validation")) ? 5 : 3);
        put_quoted(script, e->rows[i].section->name);
        fprintf(script, " with linespoints linecolor '%s' linewidth 2 pointtype 7 pointsize 0.4", colors[i % COLORS]);
        any = 1;
    }
    fputc('\n', script);
}

/* Columns: place from the top, ours, its deviation, the published figure. */
static void put_bar_data(FILE *script, const experiment *e, const experiment_measure *measure) {
    const size_t m = (size_t)(measure - experiment_measures);
    fputs("$bars << EOD\n", script);
    for (size_t i = 0; i < e->count; i++) {
        const experiment_spread ours = experiment_spread_of(&e->rows[i], measure);
        const double values[] = {ours.mean, isfinite(ours.deviation) ? ours.deviation : 0, e->rows[i].published[m]};
        fprintf(script, "%zu", i);
        for (size_t v = 0; v < 3; v++)
            if (isfinite(values[v]))
                fprintf(script, " %.9g", values[v]);
            else
                fputs(" NaN", script);
        fputc('\n', script);
    }
    fputs("EOD\n", script);
}

/* Right: a bar for each row, and the published figure as a point. */
static void put_bars(FILE *script, const experiment *e, const experiment_measure *measure) {
    fprintf(script,
            "set title '%s, mean over seeds'\nunset xlabel\nset xtics autofreq\nset xrange [0:1]\n"
            "set yrange [%zu.6:-0.6]\nset key below\nset ytics (",
            measure->title, e->count - 1);
    for (size_t i = 0; i < e->count; i++) {
        fputs(i > 0 ? ", " : "", script);
        put_quoted(script, e->rows[i].section->name);
        fprintf(script, " %zu", i);
    }
    fputs(")\nplot $bars using (0):1:(0):2:($1-0.3):($1+0.3) title 'ours' with boxxyerror fillstyle solid 0.6 "
          "linecolor '#0072b2', $bars using 2:1:3 notitle with xerrorbars linecolor '#000000' pointtype 0, "
          "$bars using 4:1 title 'published' with points linecolor '#d55e00' pointtype 9 pointsize 1.2\n",
          script);
}

static void write_comparison(FILE *script, const void *user) {
    const experiment *e = user;
    const experiment_measure *measure = compared_measure(e);
    for (size_t i = 0; i < e->count; i++)
        put_history(script, experiment_first_record(&e->rows[i]), "r", i);
    put_bar_data(script, e, measure);
    put_style(script, 400 + 12 * (int)(e->count > 100 ? 100 : e->count));
    put_curves(script, e);
    put_bars(script, e, measure);
    fputs("unset multiplot\n", script);
}

/* ---- drawing ---- */

/* Returns 1 where the picture is there. Without gnuplot the rest is as good; any other failure shows in the exit status
 * at the end. Either is said once. */
static int is_drawn(experiment *e, crs_status status, const crs_error *error) {
    if (status == CRS_OK)
        return 1;
    if (!e->no_pictures && !e->pictures_failed)
        fail(error);
    if (status == CRS_ERR_UNSUPPORTED)
        e->no_pictures = 1;
    else
        e->pictures_failed = 1;
    return 0;
}

void experiment_draw_row(experiment *e, experiment_row *row) {
    char path[600];
    crs_error error;
    if (e->no_pictures || longest_history(row) == 0)
        return;
    experiment_path(e, row, -1, "curves.svg", path);
    row->drawn = is_drawn(e, draw_picture(path, write_row, row, &error), &error);
}

void experiment_draw_comparison(experiment *e) {
    char path[600];
    crs_error error;
    int any = 0;
    for (size_t i = 0; i < e->count; i++)
        any |= experiment_first_record(&e->rows[i]) != NULL;
    if (e->no_pictures || !any)
        return;
    snprintf(path, sizeof path, "%s/comparison.svg", e->folder);
    e->comparison_drawn = is_drawn(e, draw_picture(path, write_comparison, e, &error), &error);
}
