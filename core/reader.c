/* Rows of a file: which format it is, and what happens to bad lines. The formats themselves are in reader_*.c. */
#include "reader.h"

#include "fail.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct crs_reader {
    crs__rows rows;
    int skip_bad;
    int64_t skipped;
    crs_error first_skipped;
    int failed; /* by an error that ends the reading, which is given again to whoever reads on */
    crs_error failure;
    char note[CRS__NOTE];
};

/* 1 where path ends in `ending`, leaving aside its last `tail` bytes. */
static int ends_in(const char *path, size_t tail, const char *ending) {
    size_t size = strlen(path) - tail, length = strlen(ending);
    return size > length && strncasecmp(path + size - length, ending, length) == 0;
}

crs_format crs__format_by_name(const char *path) {
    static const char *const packed[] = {".bz2", ".gz", ".xz", ".zst"};
    size_t tail = 0;
    for (size_t i = 0; i < sizeof packed / sizeof *packed && tail == 0; i++)
        if (ends_in(path, 0, packed[i]))
            tail = strlen(packed[i]);
    if (ends_in(path, tail, ".csv"))
        return CRS_FORMAT_CSV;
    if (ends_in(path, tail, ".tsv") || ends_in(path, tail, ".tab"))
        return CRS_FORMAT_TSV;
    if (ends_in(path, tail, ".ft.txt") || ends_in(path, tail, ".ft"))
        return CRS_FORMAT_FASTTEXT;
    return CRS_FORMAT_AUTO;
}

/* What the first lines say, or CRS_FORMAT_AUTO. Lines count where they are whole and not blank. */
static crs_format format_by_content(const char *bytes, size_t size) {
    static const char prefix[] = "__label__";
    if (size >= sizeof prefix && memcmp(bytes, prefix, sizeof prefix - 1) == 0)
        return CRS_FORMAT_FASTTEXT;
    int lines = 0;
    for (size_t at = 0; at < size && lines < 20;) {
        const char *newline = memchr(bytes + at, '\n', size - at);
        if (!newline && lines > 0)
            break;
        size_t length = newline ? (size_t)(newline - bytes) - at : size - at;
        int blank = length == 0 || (length == 1 && bytes[at] == '\r');
        if (!blank && !memchr(bytes + at, '\t', length))
            return CRS_FORMAT_AUTO;
        lines += !blank;
        at += length + 1;
    }
    return lines > 0 ? CRS_FORMAT_TSV : CRS_FORMAT_AUTO;
}

/* Labelled data without a byte is a mistake; no texts to label is none. */
static crs_status refuse_empty(crs__stream *stream, crs_error *error) {
    const char *bytes;
    size_t size;
    CRS_TRY(crs__stream_peek(stream, &bytes, &size, error));
    if (size > 0)
        return CRS_OK;
    return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(stream), 0, -1, "is empty",
                        "give a file with at least one line");
}

static crs_status find_format(const char *path, crs__stream *stream, int *format, crs_error *error) {
    *format = crs__format_by_name(path);
    if (*format != CRS_FORMAT_AUTO)
        return CRS_OK;
    const char *bytes;
    size_t size;
    CRS_TRY(crs__stream_peek(stream, &bytes, &size, error));
    *format = format_by_content(bytes, size);
    if (*format == CRS_FORMAT_AUTO)
        return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(stream), 0, -1,
                            "cannot tell the format: the name does not say, no line starts with __label__, and not "
                            "every line has a tab",
                            "say --format fasttext, csv, tsv or lines");
    return CRS_OK;
}

static crs_status open_rows(crs_reader *reader, const char *path, const crs_config *config, crs_error *error) {
    struct stat info;
    int folder = config->format == CRS_FORMAT_FOLDER || (config->format == CRS_FORMAT_AUTO && strcmp(path, "-") != 0 &&
                                                         stat(path, &info) == 0 && S_ISDIR(info.st_mode));
    if (folder)
        return crs__folder_open(path, &reader->rows, reader->note, error);
    crs__stream *stream;
    CRS_TRY(crs__stream_open(path, &stream, error));
    crs__stream_threads(stream, crs__threads(config));
    crs_config known = *config;
    crs_status status = known.format == CRS_FORMAT_LINES ? CRS_OK : refuse_empty(stream, error);
    if (status == CRS_OK && known.format == CRS_FORMAT_AUTO)
        status = find_format(path, stream, &known.format, error);
    int table = known.format == CRS_FORMAT_CSV || known.format == CRS_FORMAT_TSV;
    if (status == CRS_OK && table)
        status = crs__table_open(stream, path, &known, &reader->rows, reader->note, error);
    else if (status == CRS_OK)
        status = crs__lines_open(stream, path, &known, &reader->rows, reader->note, error);
    if (status != CRS_OK)
        crs__stream_close(stream);
    return status;
}

crs_status crs_reader_open(const char *path, const crs_config *config, crs_reader **reader, crs_error *error) {
    *reader = NULL;
    crs_reader *made = calloc(1, sizeof *made);
    if (!made)
        return crs__fail_memory(error, sizeof *made, "a reader");
    made->skip_bad = config->skip_bad;
    crs_error scratch;
    crs_status status = open_rows(made, path, config, error ? error : &scratch);
    if (status != CRS_OK) {
        free(made);
        return status;
    }
    *reader = made;
    return CRS_OK;
}

crs_status crs_reader_next(crs_reader *reader, crs_row *row, int *end, crs_error *error) {
    crs_error found;
    *end = 0;
    while (!reader->failed) {
        int bad = 0;
        crs_status status = reader->rows.next(reader->rows.state, row, end, &bad, &found);
        if (status == CRS_OK)
            return CRS_OK;
        if (bad && reader->skip_bad) {
            if (reader->skipped++ == 0)
                reader->first_skipped = found;
            continue;
        }
        reader->failed = !bad;
        reader->failure = found;
        break;
    }
    if (error)
        *error = reader->failure;
    return reader->failure.status;
}

const char *crs_reader_note(const crs_reader *reader) {
    return reader->note;
}

int64_t crs_reader_skipped(const crs_reader *reader) {
    return reader->skipped;
}

const crs_error *crs_reader_first_skipped(const crs_reader *reader) {
    return reader->skipped > 0 ? &reader->first_skipped : NULL;
}

void crs_reader_close(crs_reader *reader) {
    if (!reader)
        return;
    reader->rows.close(reader->rows.state);
    free(reader);
}
