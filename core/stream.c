/* Decompression and line cutting. Uncompressed input is read directly, so that a line typed on a terminal is there at
 * once; compressed input, told by its first bytes, goes through libarchive, or a .bz2 of some size through threads. */
#include "stream.h"

#include "bunzip.h"
#include "bzip.h"
#include "fail.h"
#include "utf8.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 1 << 16 };

struct crs__stream {
    int fd, started, ended;
    struct archive *archive; /* this, or bunzip; both NULL: uncompressed */
    crs__bunzip *bunzip;
    size_t threads;
    char *name, *line;
    size_t line_size, line_capacity;
    int64_t number;   /* of the last line given out */
    size_t at, ready; /* unread part of block */
    size_t raw_ready; /* bytes of raw that libarchive has not been given yet */
    char block[BLOCK], raw[BLOCK];
};

crs_status crs__stream_open(const char *path, crs__stream **stream, crs_error *error) {
    int standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return crs__fail_at(error, CRS_ERR_IO, name, 0, -1, "cannot be opened: %s",
                            "check the path and its permissions", strerror(errno));
    struct stat info;
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        close(fd);
        return crs__fail_at(error, CRS_ERR_FORMAT, name, 0, -1, "is a folder, not a file",
                            "name a file, or use --format folder");
    }
    crs__stream *s = calloc(1, sizeof *s);
    char *copy = strdup(name);
    if (!s || !copy) {
        close(fd);
        free(s);
        free(copy);
        return crs__fail_memory(error, sizeof *s, "reading a file");
    }
    s->fd = fd;
    s->threads = 1;
    s->name = copy;
    *stream = s;
    return CRS_OK;
}

void crs__stream_close(crs__stream *s) {
    if (!s)
        return;
    archive_read_free(s->archive);
    crs__bunzip_close(s->bunzip);
    close(s->fd);
    free(s->name);
    free(s->line);
    free(s);
}

void crs__stream_threads(crs__stream *s, size_t threads) {
    s->threads = threads;
}

const char *crs__stream_name(const crs__stream *s) {
    return s->name;
}

static crs_status fail_read(const crs__stream *s, int code, crs_error *error) {
    /* A signal handler that asks for system calls to be broken off wants the reading to end. */
    if (code == EINTR)
        return crs__fail_at(error, CRS_ERR_INTERRUPTED, s->name, s->number, -1, "reading was interrupted", NULL);
    if (code == ENOMEM)
        return crs__fail_at(error, CRS_ERR_MEMORY, s->name, s->number, -1, "out of memory while reading it",
                            "free some memory, or use fewer --threads");
    return crs__fail_at(error, CRS_ERR_IO, s->name, s->number, -1, "cannot be read%s: %s",
                        "check the file and the disk", s->number > 0 ? " on after this line" : "", strerror(code));
}

static crs_status fail_damaged(const crs__stream *s, const char *why, crs_error *error) {
    return crs__fail_at(error, CRS_ERR_FORMAT, s->name, s->number, -1,
                        "the compressed data is damaged or cut off%s (%s)", "fetch or compress the file again",
                        s->number > 0 ? " after this line" : "", why ? why : "no reason given");
}

static crs_status fail_archive(const crs__stream *s, crs_error *error) {
    if (archive_errno(s->archive) == EINTR || archive_errno(s->archive) == EIO)
        return fail_read(s, archive_errno(s->archive), error);
    return fail_damaged(s, archive_error_string(s->archive), error);
}

/* libarchive's source of compressed bytes. */
static la_ssize_t give_raw(struct archive *archive, void *user, const void **bytes) {
    crs__stream *s = user;
    *bytes = s->raw;
    if (s->raw_ready > 0) {
        la_ssize_t first = (la_ssize_t)s->raw_ready;
        s->raw_ready = 0;
        return first;
    }
    ssize_t got = read(s->fd, s->raw, BLOCK);
    if (got < 0)
        archive_set_error(archive, errno == EINTR ? EINTR : EIO, "%s", strerror(errno));
    return got;
}

/* Hands what is in block to libarchive as the compressed start of the input. */
static crs_status start_archive(crs__stream *s, crs_error *error) {
    memcpy(s->raw, s->block, s->ready);
    s->raw_ready = s->ready;
    s->ready = 0;
    s->archive = archive_read_new();
    if (!s->archive)
        return crs__fail_memory(error, BLOCK, "decompression");
    /* Only these: libarchive's other filters would take some plain texts for encoded ones. */
    archive_read_support_filter_bzip2(s->archive);
    archive_read_support_filter_gzip(s->archive);
    archive_read_support_filter_xz(s->archive);
    archive_read_support_filter_zstd(s->archive);
    archive_read_support_format_raw(s->archive);
    archive_read_support_format_empty(s->archive);
    struct archive_entry *entry;
    if (archive_read_open(s->archive, s, NULL, give_raw, NULL) != ARCHIVE_OK)
        return fail_archive(s, error);
    int status = archive_read_next_header(s->archive, &entry);
    if (status == ARCHIVE_EOF)
        s->ended = 1;
    else if (status != ARCHIVE_OK)
        return fail_archive(s, error);
    return CRS_OK;
}

/* Adds what one read gives to block, behind what is there. */
static crs_status fill(crs__stream *s, crs_error *error) {
    if (s->at == s->ready)
        s->at = s->ready = 0;
    char *to = s->block + s->ready;
    size_t room = BLOCK - s->ready;
    const char *why = NULL;
    ssize_t got = s->bunzip    ? crs__bunzip_read(s->bunzip, to, room, &why)
                  : s->archive ? (ssize_t)archive_read_data(s->archive, to, room)
                               : read(s->fd, to, room);
    if (got < 0)
        return why ? fail_damaged(s, why, error) : s->archive ? fail_archive(s, error) : fail_read(s, errno, error);
    s->ended = got == 0;
    s->ready += (size_t)got;
    return CRS_OK;
}

/* 1: the bytes begin as a compressed file does; -1: more bytes are needed to tell. */
static int is_compressed(const char *bytes, size_t size) {
    static const struct {
        const char *bytes;
        size_t size;
    } magic[] = {{"\x1f\x8b", 2}, {"BZh", 3}, {"\xfd\x37zXZ", 6}, {"\x28\xb5\x2f\xfd", 4}};
    for (size_t i = 0; i < sizeof magic / sizeof *magic; i++)
        if (memcmp(bytes, magic[i].bytes, size < magic[i].size ? size : magic[i].size) == 0)
            return size < magic[i].size ? -1 : 1;
    return 0;
}

/* Several threads for a .bz2 that is more than a block long; libarchive for all else. */
static crs_status start_decompression(crs__stream *s, crs_error *error) {
    while (s->threads > 1 && s->ready < BLOCK && !s->ended)
        CRS_TRY(fill(s, error));
    const int parallel =
        s->threads > 1 && s->ready == BLOCK && crs__bzip_begins((const unsigned char *)s->block, s->ready);
    s->bunzip = parallel ? crs__bunzip_open(s->fd, s->block, s->ready, s->threads) : NULL;
    s->ended = 0; /* what is decompressed has not */
    if (!s->bunzip)
        return start_archive(s, error);
    s->ready = 0;
    return CRS_OK;
}

static crs_status start(crs__stream *s, crs_error *error) {
    s->started = 1;
    int compressed;
    while ((compressed = is_compressed(s->block, s->ready)) < 0 && !s->ended)
        CRS_TRY(fill(s, error));
    if (compressed > 0)
        CRS_TRY(start_decompression(s, error));
    if (s->ready == 0 && !s->ended)
        CRS_TRY(fill(s, error));
    while (s->ready > 0 && s->ready < 3 && s->block[0] == '\xef' && !s->ended)
        CRS_TRY(fill(s, error));
    if (s->ready >= 3 && memcmp(s->block, "\xef\xbb\xbf", 3) == 0)
        s->at = 3;
    return CRS_OK;
}

crs_status crs__stream_peek(crs__stream *s, const char **bytes, size_t *size, crs_error *error) {
    if (!s->started)
        CRS_TRY(start(s, error));
    while (!s->ended && s->ready < BLOCK)
        CRS_TRY(fill(s, error));
    *bytes = s->block + s->at;
    *size = s->ready - s->at;
    return CRS_OK;
}

crs_status crs__stream_take(crs__stream *s, void *bytes, size_t wanted, size_t *taken, crs_error *error) {
    *taken = 0;
    if (!s->started)
        CRS_TRY(start(s, error));
    while (*taken < wanted && (s->at < s->ready || !s->ended)) {
        if (s->at == s->ready)
            CRS_TRY(fill(s, error));
        const size_t left = wanted - *taken, size = left < s->ready - s->at ? left : s->ready - s->at;
        memcpy((char *)bytes + *taken, s->block + s->at, size);
        s->at += size;
        *taken += size;
    }
    return CRS_OK;
}

/* Adds bytes to the line that is being put together of several blocks. */
static crs_status keep(crs__stream *s, const char *bytes, size_t size, crs_error *error) {
    if (s->line_size + size > s->line_capacity) {
        size_t capacity = 2 * (s->line_size + size);
        char *line = realloc(s->line, capacity);
        if (!line)
            return crs__fail_memory(error, capacity, "a long line");
        s->line = line;
        s->line_capacity = capacity;
    }
    memcpy(s->line + s->line_size, bytes, size);
    s->line_size += size;
    return CRS_OK;
}

/* Finds the line's end and what stands before it. Of a line over the limit nothing is kept, but its end is found. */
static crs_status cut(crs__stream *s, crs__line *line, int *end, crs_error *error) {
    s->line_size = 0;
    for (int pieces = 0;; pieces++) {
        if (s->at == s->ready && !s->ended)
            CRS_TRY(fill(s, error));
        char *from = s->block + s->at, *newline = memchr(from, '\n', s->ready - s->at);
        size_t size = newline ? (size_t)(newline - from) : s->ready - s->at;
        int last = newline != NULL || s->ended;
        if (pieces == 0 && size == 0 && !newline && s->ended) {
            *end = 1;
            return CRS_OK;
        }
        s->at += size + (newline != NULL);
        line->too_long |= s->line_size + size > CRS__LINE_MAX;
        if (line->too_long)
            s->line_size = size = 0;
        if (last && s->line_size == 0) {
            line->text = from;
            line->size = size;
            return CRS_OK;
        }
        CRS_TRY(keep(s, from, size, error));
        line->text = s->line;
        line->size = s->line_size;
        if (last)
            return CRS_OK;
    }
}

static crs_status fail_encoding(const crs__stream *s, const crs__line *line, size_t at, crs_error *error) {
    unsigned char byte = (unsigned char)line->text[at];
    int utf16 = line->number == 1 && line->size >= 2 &&
                (memcmp(line->text, "\xff\xfe", 2) == 0 || memcmp(line->text, "\xfe\xff", 2) == 0);
    if (utf16)
        return crs__fail_at(error, CRS_ERR_FORMAT, s->name, 1, -1, "the file is UTF-16, not UTF-8",
                            "convert it: iconv -f UTF-16 -t UTF-8");
    if (byte == 0)
        return crs__fail_at(error, CRS_ERR_FORMAT, s->name, line->number, -1, "byte %zu of the line is NUL",
                            "is this a text file? remove the byte, or pass over such lines with --skip-bad", at + 1);
    return crs__fail_at(
        error, CRS_ERR_FORMAT, s->name, line->number, -1, "byte %zu of the line (0x%02x) is not valid UTF-8",
        "convert the file, e.g. iconv -f WINDOWS-1252 -t UTF-8, or pass over such lines with --skip-bad", at + 1, byte);
}

crs_status crs__stream_line(crs__stream *s, crs__line *line, int *end, crs_error *error) {
    *line = (crs__line){.text = s->block};
    *end = 0;
    if (!s->started)
        CRS_TRY(start(s, error));
    CRS_TRY(cut(s, line, end, error));
    if (*end)
        return CRS_OK;
    line->number = ++s->number;
    if (line->too_long) {
        line->bad = 1;
        return crs__fail_at(error, CRS_ERR_FORMAT, s->name, line->number, -1, "the line is longer than %d MiB",
                            "cut it up, or pass over such lines with --skip-bad", CRS__LINE_MAX >> 20);
    }
    if (line->size > 0 && line->text[line->size - 1] == '\r')
        line->size--;
    size_t at = crs__utf8_check(line->text, line->size);
    if (at == line->size)
        return CRS_OK;
    line->bad = 1;
    return fail_encoding(s, line, at, error);
}
