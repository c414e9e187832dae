/* Progress of a training: a bar on a terminal, and a plain line per epoch everywhere; and the model saved now and then
 * as PATH.partial, so that a killed process has not worked for nothing. */
#include "command.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

double monotonic_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void progress_start(progress *p, const invocation *in, crs_classifier *classifier, const char *output) {
    memset(p, 0, sizeof *p);
    p->in = in;
    p->classifier = classifier;
    p->terminal = isatty(STDERR_FILENO) && !in->extras.quiet;
    struct winsize window;
    p->width = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
    snprintf(p->partial, sizeof p->partial, "%s.partial", output);
    p->saved = monotonic_seconds();
}

static void clear_line(const progress *p) {
    if (p->terminal)
        fputs("\r\033[K", stderr);
}

void progress_step(void *user, const crs_progress *step) {
    progress *p = user;
    if (!p->terminal)
        return;
    enum { BAR = 24 };
    char bar[BAR + 1], left[32], line[256];
    double done = step->steps > 0 ? (double)step->step / (double)step->steps : 0;
    int filled = (int)(done * BAR);
    memset(bar, ' ', BAR);
    memset(bar, '=', (size_t)filled);
    if (filled < BAR)
        bar[filled] = '>';
    bar[BAR] = '\0';
    format_seconds(step->seconds_left, left);
    snprintf(line, sizeof line, "epoch %lld/%lld [%s] %lld/%lld  %.0f rows/s  %s left  loss %.4f  accuracy %.4f",
             (long long)step->epoch, (long long)step->epochs, bar, (long long)step->step, (long long)step->steps,
             step->rows_per_second, left, step->loss, step->accuracy);
    /* A wrapped line could not be drawn over. */
    if ((int)strlen(line) >= p->width)
        line[p->width - 1] = '\0';
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
}

/* At most every half minute: a save costs a sync. A file that an earlier, killed training left is replaced then, not
 * before. */
static void save_partial(progress *p) {
    enum { SECONDS_BETWEEN = 30 };
    double now = monotonic_seconds();
    if (now - p->saved < SECONDS_BETWEEN)
        return;
    p->saved = now;
    crs_error error;
    if (crs_classifier_save(p->classifier, p->partial, 1, &error) == CRS_OK)
        p->has_partial = 1;
    else
        fail(&error);
}

void progress_epoch(void *user, const crs_epoch *e) {
    progress *p = user;
    clear_line(p);
    char seconds[32], validation[96] = "";
    format_seconds(e->seconds, seconds);
    if (isfinite(e->val_loss))
        snprintf(validation, sizeof validation, "  val loss %.4f  val accuracy %.4f", e->val_loss, e->val_accuracy);
    say(p->in, "epoch %lld  %s  loss %.4f  accuracy %.4f%s%s", (long long)e->epoch, seconds, e->loss, e->accuracy,
        validation, e->best ? "  best" : "");
    /* Without a validation set no epoch is called the best, and the last one is what would be kept. */
    if (e->best || !isfinite(e->val_loss))
        save_partial(p);
}

void progress_end(progress *p, int keep_partial) {
    clear_line(p);
    if (p->has_partial && !keep_partial)
        unlink(p->partial);
}
