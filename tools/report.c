/* What the command tells a person. */
#include "command.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void say(const invocation *in, const char *format, ...) {
    if (in->extras.quiet)
        return;
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int fail(const crs_error *error) {
    char text[1024];
    fprintf(stderr, "carousel: %s\n", crs_error_text(error, text, sizeof text));
    return EXIT_FAILED;
}

void format_count(int64_t n, char text[32]) {
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%lld", (long long)n), used = 0;
    for (int i = 0; i < count; i++) {
        text[used++] = digits[i];
        if (i + 1 < count && digits[i] != '-' && (count - 1 - i) % 3 == 0)
            text[used++] = ',';
    }
    text[used] = '\0';
}

void format_seconds(double seconds, char text[32]) {
    if (!(seconds >= 0) || seconds > 1e8)
        snprintf(text, 32, "?");
    else if (seconds < 10)
        snprintf(text, 32, "%.1f s", seconds);
    else if (seconds < 100)
        snprintf(text, 32, "%.0f s", seconds);
    else if (seconds < 3600)
        snprintf(text, 32, "%d:%02d min", (int)seconds / 60, (int)seconds % 60);
    else
        snprintf(text, 32, "%d:%02d h", (int)(seconds / 3600), (int)(seconds / 60) % 60);
}

void report_dataset(const invocation *in, const crs_config *config, const char *what, const char *path,
                    const crs_dataset *dataset) {
    const crs_dataset_stats *s = crs_dataset_statistics(dataset);
    char rows[32], tokens[32];
    format_count(s->rows, rows);
    format_count(s->tokens, tokens);
    int64_t all = s->tokens + (config->oov == CRS_OOV_DROP ? s->oov_tokens : 0);
    say(in, "%s %s: %s rows, %s tokens (mean %.1f, longest %lld), %.1f%% out of vocabulary, %.1f MiB %s", what, path,
        rows, tokens, (double)s->tokens / (double)(s->rows > 0 ? s->rows : 1), (long long)s->longest,
        100.0 * (double)s->oov_tokens / (double)(all > 0 ? all : 1), (double)s->bytes / 1048576.0,
        s->mapped ? "mapped from the cache" : "in memory");
    if (s->cache[0])
        say(in, "  %s", s->cache);
    if (s->note[0])
        say(in, "  read as %s", s->note);
    if (s->cut_rows > 0)
        say(in, "  %.1f%% of the rows are longer than --length and were cut",
            100.0 * (double)s->cut_rows / (double)s->rows);
    if (s->empty_rows > 0)
        say(in, "  %lld rows have no token at all", (long long)s->empty_rows);
    if (s->skipped > 0)
        say(in, "  %lld bad lines were skipped", (long long)s->skipped);
}

void report_vectors(const invocation *in, const char *path, const crs_vectors_coverage *v) {
    const int64_t found = v->exact + v->folded;
    char rows[32], vocabulary[32], text[1024];
    format_count(v->vectors, rows);
    format_count(v->vocabulary, vocabulary);
    say(in, "vectors %s: %s, %s x %lld; they cover %lld of %s tokens (%.1f%%), %.1f%% of the training text", path,
        v->format, rows, (long long)v->width, (long long)found, vocabulary,
        100.0 * (double)found / (double)v->vocabulary,
        100.0 * (double)v->covered / (double)(v->tokens > 0 ? v->tokens : 1));
    if (v->skipped > 0)
        say(in, "  %lld bad vectors were skipped, the first: %s", (long long)v->skipped,
            crs_error_text(&v->first_skipped, text, sizeof text));
}

/* The next character of a name as it is shown; returns the bytes it takes in the name. */
static int next_piece(const char *at, char piece[8]) {
    const unsigned char c = (unsigned char)*at;
    int bytes = 1;
    if (c == '\t' || c == '\n') {
        snprintf(piece, 8, "%s", c == '\t' ? "\\t" : "\\n");
    } else if (c < 0x20 || c == 0x7f) {
        snprintf(piece, 8, "\\x%02x", (unsigned)c);
    } else {
        while (bytes < 4 && ((unsigned char)at[bytes] & 0xC0) == 0x80)
            bytes++;
        snprintf(piece, 8, "%.*s", bytes, at);
    }
    return bytes;
}

/* Columns a name takes: characters, so that labels in any script line up nearly everywhere. */
static int name_width(const char *name, int most) {
    char piece[8];
    int width = 0;
    for (int count = 0; *name && count < most; count++) {
        const int bytes = next_piece(name, piece);
        width += piece[0] == '\\' ? (int)strlen(piece) : 1;
        name += bytes;
    }
    return width;
}

void print_name(FILE *stream, const char *name, int width, int most) {
    char piece[8];
    const int missing = abs(width) - name_width(name, most);
    if (width > 0 && missing > 0)
        fprintf(stream, "%*s", missing, "");
    for (int count = 0; *name && count < most; count++) {
        name += next_piece(name, piece);
        fputs(piece, stream);
    }
    if (width < 0 && missing > 0)
        fprintf(stream, "%*s", missing, "");
}

static void print_confusion(FILE *stream, const crs_metrics *m, const crs_encoder *encoder, int width) {
    fprintf(stream, "\nConfusion matrix (row: true class, column: predicted)\n");
    print_name(stream, "", -width, INT_MAX);
    for (int64_t c = 0; c < m->classes; c++) {
        fputc(' ', stream);
        print_name(stream, crs_encoder_label(encoder, c), 10, 10);
    }
    fputc('\n', stream);
    for (int64_t r = 0; r < m->classes; r++) {
        print_name(stream, crs_encoder_label(encoder, r), -width, INT_MAX);
        for (int64_t c = 0; c < m->classes; c++)
            fprintf(stream, " %10lld", (long long)m->confusion[r * m->classes + c]);
        fputc('\n', stream);
    }
}

void report_metrics(FILE *stream, const crs_metrics *m, const crs_encoder *encoder) {
    enum { MOST_CLASSES = 20 };
    int width = 12;
    for (int64_t c = 0; c < m->classes; c++) {
        int n = name_width(crs_encoder_label(encoder, c), INT_MAX);
        width = n > width && n <= 24 ? n : width;
    }
    fprintf(stream, "rows %lld   loss %.4f   accuracy %.4f   macro F1 %.4f", (long long)m->rows, m->loss, m->accuracy,
            m->macro_f1);
    if (isfinite(m->auc))
        fprintf(stream, "   ROC AUC %.4f", m->auc);
    fputs("\n\n", stream);
    print_name(stream, "class", -width, INT_MAX);
    fputs("  precision     recall         F1       rows\n", stream);
    for (int64_t c = 0; c < m->classes; c++) {
        const crs_class_metrics *one = &m->per_class[c];
        print_name(stream, crs_encoder_label(encoder, c), -width, INT_MAX);
        fprintf(stream, " %10.4f %10.4f %10.4f %10lld\n", one->precision, one->recall, one->f1,
                (long long)one->support);
    }
    print_name(stream, "macro mean", -width, INT_MAX);
    fprintf(stream, " %10.4f %10.4f %10.4f\n", m->macro_precision, m->macro_recall, m->macro_f1);
    if (m->classes <= MOST_CLASSES)
        print_confusion(stream, m, encoder, width);
}

crs_backend *open_backend(const invocation *in) {
    crs_backend *backend;
    crs_error error;
    const crs_device_options options = crs_config_device(&in->config);
    if (crs_backend_open(in->config.backend, &options, &backend, &error) != CRS_OK) {
        fail(&error);
        return NULL;
    }
    say(in, "backend %s", crs_backend_describe(backend));
    return backend;
}

crs_classifier *open_classifier(const invocation *in, const char *path, crs_backend *backend) {
    crs_classifier *classifier;
    crs_error error;
    if (crs_classifier_load(path, backend, &classifier, &error) != CRS_OK) {
        fail(&error);
        return NULL;
    }
    apply_given(in, &classifier->config);
    return classifier;
}

int64_t classes_of_line(const char *line) {
    const int64_t outputs = crs_model_line_outputs(line);
    return outputs > 2 ? outputs : 2;
}

int is_model_line(const char *argument) {
    static const char *const first[] = {"embedding", "onehot"}; /* layers a line begins with */
    int begins = strchr(argument, '|') != NULL;
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        begins |= strncmp(argument, first[i], strlen(first[i])) == 0;
    return begins && access(argument, F_OK) != 0;
}
