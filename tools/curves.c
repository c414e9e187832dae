/* Curves of loss and accuracy over epochs, drawn by gnuplot: two panels, training and validation. */
#include "command.h"

#include <math.h>
#include <stdio.h>

static void write_value(FILE *script, double value) {
    if (isfinite(value))
        fprintf(script, " %.9g", value);
    else
        fputs(" NaN", script);
}

static void write_panel(FILE *script, const char *title, int column, const char *key) {
    fprintf(script,
            "set title '%s'\nset key %s\n"
            "plot $d using 1:%d title 'training' with linespoints linestyle 1, "
            "$d using 1:%d title 'validation' with linespoints linestyle 2, "
            "$b using 1:%d title 'kept' with points linestyle 3\n",
            title, key, column, column + 2, column + 2);
}

/* Columns: epoch, loss, accuracy, validation loss, validation accuracy. */
static void write_row(FILE *script, const crs_epoch *e) {
    fprintf(script, "%lld", (long long)e->epoch);
    write_value(script, e->loss);
    write_value(script, e->accuracy);
    write_value(script, e->val_loss);
    write_value(script, e->val_accuracy);
    fputc('\n', script);
}

typedef struct curves {
    const crs_history *history;
    const char *terminal; /* gnuplot's word for the kind of picture */
} curves;

static void write_script(FILE *script, const void *user) {
    const curves *c = user;
    const crs_history *history = c->history;
    fputs("$d << EOD\n", script);
    for (size_t i = 0; i < history->count; i++)
        write_row(script, &history->epochs[i]);
    fputs("EOD\n$b << EOD\n", script);
    write_row(script, &history->epochs[history->best]);
    fprintf(script,
            "EOD\nset terminal %s\n"
            "set datafile missing 'NaN'\nset multiplot layout 1,2\nset xlabel 'epoch'\nset grid linecolor '#dddddd'\n"
            "set border 3\nset tics nomirror out\nset xtics 1,%d\n"
            "set style line 1 linecolor '#0072b2' linewidth 2 pointtype 7 pointsize 0.4\n"
            "set style line 2 linecolor '#d55e00' linewidth 2 pointtype 7 pointsize 0.4\n"
            "set style line 3 linecolor '#009e73' linewidth 2 pointtype 6 pointsize 1.4\n",
            c->terminal, (int)((history->count + 9) / 10));
    write_panel(script, "loss", 2, "top right");
    write_panel(script, "accuracy", 3, "bottom right");
    fputs("unset multiplot\n", script);
}

crs_status draw_curves(const crs_history *history, const char *stem, crs_error *error) {
    char path[600];
    if (history->count == 0)
        return CRS_OK;
    const curves svg = {history, "svg size 1000,400 dynamic background 'white'"};
    const curves png = {history, "pngcairo size 1000,400 background 'white'"};
    snprintf(path, sizeof path, "%s.svg", stem);
    const crs_status status = draw_picture(path, write_script, &svg, error);
    if (status != CRS_OK)
        return status;
    snprintf(path, sizeof path, "%s.png", stem);
    return draw_picture(path, write_script, &png, error);
}
