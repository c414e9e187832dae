/* Curves of loss and accuracy over epochs, drawn by gnuplot: two panels, training and validation. gnuplot reads a
 * script that holds the numbers and writes the picture to its standard output, so that no file name ever needs quoting.
 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static crs_status describe(crs_error *error, crs_status status, const char *path, const char *what, const char *mend) {
    memset(error, 0, sizeof *error);
    error->status = status;
    error->offset = -1;
    snprintf(error->file, sizeof error->file, "%s", path);
    snprintf(error->what, sizeof error->what, "%s", what);
    snprintf(error->mend, sizeof error->mend, "%s", mend);
    return status;
}

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

static void write_script(FILE *script, const crs_history *history, const char *terminal) {
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
            terminal, (int)((history->count + 9) / 10));
    write_panel(script, "loss", 2, "top right");
    write_panel(script, "accuracy", 3, "bottom right");
    fputs("unset multiplot\n", script);
}

/* Runs gnuplot with the script as standard input and the picture as standard output; returns its wait status or -errno.
 */
static int run_gnuplot(int script, int picture) {
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, picture, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t child;
    char name[] = "gnuplot", *arguments[] = {name, NULL};
    int reason = posix_spawnp(&child, name, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (reason != 0)
        return -reason;
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return status;
}

static crs_status draw(const crs_history *history, const char *path, const char *terminal, crs_error *error) {
    char beside[700];
    snprintf(beside, sizeof beside, "%s.%ld.part", path, (long)getpid());
    FILE *script = tmpfile();
    int picture = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (!script || picture < 0) {
        int reason = errno;
        if (script)
            fclose(script);
        if (picture >= 0) {
            close(picture);
            unlink(beside);
        }
        return describe(error, CRS_ERR_IO, path, strerror(reason), "check the folder and its permissions");
    }
    write_script(script, history, terminal);
    crs_status status = CRS_OK;
    if (fflush(script) != 0 || ferror(script) || lseek(fileno(script), 0, SEEK_SET) != 0)
        status =
            describe(error, CRS_ERR_IO, path, "the script for gnuplot could not be written", "free some space in /tmp");
    int result = status == CRS_OK ? run_gnuplot(fileno(script), picture) : 0;
    fclose(script);
    int unsynced = fsync(picture) != 0 || lseek(picture, 0, SEEK_CUR) == 0;
    if (result == -ENOENT || (result > 0 && WIFEXITED(result) && WEXITSTATUS(result) == 127))
        status = describe(error, CRS_ERR_UNSUPPORTED, path, "curves are not drawn, since gnuplot is not installed",
                          "install gnuplot, or give --no-curves");
    else if (result != 0 || (status == CRS_OK && unsynced))
        status = describe(error, CRS_ERR_IO, path, "gnuplot failed or the picture could not be written",
                          "see that there is space, and that 'gnuplot --version' works");
    close(picture);
    if (status == CRS_OK && rename(beside, path) != 0)
        status = describe(error, CRS_ERR_IO, path, strerror(errno), "check the folder and its permissions");
    if (status != CRS_OK)
        unlink(beside);
    return status;
}

crs_status draw_curves(const crs_history *history, const char *stem, crs_error *error) {
    char path[600];
    if (history->count == 0)
        return CRS_OK;
    snprintf(path, sizeof path, "%s.svg", stem);
    crs_status status = draw(history, path, "svg size 1000,400 dynamic background 'white'", error);
    if (status != CRS_OK)
        return status;
    snprintf(path, sizeof path, "%s.png", stem);
    return draw(history, path, "pngcairo size 1000,400 background 'white'", error);
}
