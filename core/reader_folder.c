/* A folder with a sub-folder per class: each regular file below a sub-folder is one text. */
#include "fail.h"
#include "reader.h"
#include "utf8.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct folder {
    FTS *walk;
    char *root, *text, *file;
    size_t size, capacity;
    int64_t classes, texts; /* sub-folders seen; texts in the current one */
    char label[256];
} folder;

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static crs_status append(folder *f, const char *bytes, size_t size, crs_error *error) {
    if (f->size + size + 1 > f->capacity) {
        size_t capacity = 2 * (f->size + size + 1);
        char *text = realloc(f->text, capacity);
        if (!text)
            return crs__fail_memory(error, capacity, "a text");
        f->text = text;
        f->capacity = capacity;
    }
    memcpy(f->text + f->size, bytes, size);
    f->text[f->size + size] = '\n';
    f->size += size + 1;
    return CRS_OK;
}

/* The whole file into text, its lines joined by newlines. */
static crs_status read_text(folder *f, crs__stream *stream, int *bad, crs_error *error) {
    f->size = 0;
    for (;;) {
        crs__line line;
        int end;
        crs_status status = crs__stream_line(stream, &line, &end, error);
        *bad = line.bad;
        if (status != CRS_OK || end)
            return status;
        if (f->size + line.size > CRS__LINE_MAX) {
            *bad = 1;
            return crs__fail_at(error, CRS_ERR_FORMAT, crs__stream_name(stream), line.number, -1,
                                "the text is longer than %d MiB", "cut it up, or pass over such files with --skip-bad",
                                CRS__LINE_MAX >> 20);
        }
        CRS_TRY(append(f, line.text, line.size, error));
    }
}

static crs_status take_file(folder *f, const FTSENT *entry, crs_row *row, int *bad, crs_error *error) {
    f->texts++;
    free(f->file);
    f->file = strdup(entry->fts_path);
    if (!f->file)
        return crs__fail_memory(error, entry->fts_pathlen, "a path");
    f->size = 0;
    crs__stream *stream;
    CRS_TRY(crs__stream_open(f->file, &stream, error));
    crs_status status = read_text(f, stream, bad, error);
    crs__stream_close(stream);
    CRS_TRY(status);
    const char *label = f->label;
    size_t label_size = strlen(label);
    crs__trim(&label, &label_size);
    *row = (crs_row){.text = f->size > 0 ? f->text : "",
                     .text_size = f->size,
                     .label = label,
                     .label_size = label_size,
                     .file = f->file,
                     .line = 1};
    return CRS_OK;
}

/* Entering a class's folder. */
static crs_status enter(folder *f, const FTSENT *entry, int *bad, crs_error *error) {
    f->classes++;
    f->texts = 0;
    snprintf(f->label, sizeof f->label, "%s", entry->fts_name);
    const char *label = f->label;
    size_t size = strlen(label);
    if (crs__utf8_check(label, size) == size) {
        crs__trim(&label, &size);
        if (size > 0)
            return CRS_OK;
    }
    *bad = 1;
    f->texts = 1; /* not to be called empty as well */
    return crs__fail_at(error, CRS_ERR_FORMAT, entry->fts_path, 0, -1,
                        "the folder's name cannot be a label: it is blank or not UTF-8", "rename the folder");
}

static crs_status no_classes(const folder *f, crs_error *error) {
    return crs__fail_at(error, CRS_ERR_FORMAT, f->root, 0, -1, "the folder has no sub-folders",
                        "make one sub-folder per class and put its texts there");
}

static crs_status unreadable(const FTSENT *entry, crs_error *error) {
    const char *why = entry->fts_info == FTS_DC ? "the links go round in a circle"
                      : entry->fts_errno        ? strerror(entry->fts_errno)
                                                : "neither a file nor a folder";
    return crs__fail_at(error, CRS_ERR_IO, entry->fts_path, 0, -1, "cannot be read: %s",
                        "check its permissions, or move it away", why);
}

static crs_status folder_next(void *state, crs_row *row, int *end, int *bad, crs_error *error) {
    folder *f = state;
    FTSENT *entry;
    errno = 0;
    while ((entry = fts_read(f->walk))) {
        if (entry->fts_level > 0 && entry->fts_name[0] == '.') {
            fts_set(f->walk, entry, FTS_SKIP);
            continue;
        }
        if (entry->fts_info == FTS_D && entry->fts_level == 1) {
            crs_status status = enter(f, entry, bad, error);
            if (status != CRS_OK)
                fts_set(f->walk, entry, FTS_SKIP);
            CRS_TRY(status);
        } else if (entry->fts_info == FTS_DP && entry->fts_level == 1 && f->texts == 0) {
            *bad = 1;
            return crs__fail_at(error, CRS_ERR_FORMAT, entry->fts_path, 0, -1, "the class's folder holds no text",
                                "put its texts there, or remove the folder");
        } else if (entry->fts_info == FTS_F && entry->fts_level == 1) {
            *bad = 1;
            return crs__fail_at(error, CRS_ERR_FORMAT, entry->fts_path, 0, -1,
                                "a file where only folders, one per class, should be",
                                "move it away, or pass over it with --skip-bad");
        } else if (entry->fts_info == FTS_F) {
            return take_file(f, entry, row, bad, error);
        } else if (entry->fts_info != FTS_D && entry->fts_info != FTS_DP) {
            return unreadable(entry, error);
        }
        errno = 0;
    }
    if (errno != 0)
        return crs__fail_at(error, CRS_ERR_IO, f->root, 0, -1, "cannot be read: %s", "check its permissions",
                            strerror(errno));
    if (f->classes == 0)
        return no_classes(f, error);
    *end = 1;
    return CRS_OK;
}

static void folder_close(void *state) {
    folder *f = state;
    if (f->walk)
        fts_close(f->walk);
    free(f->root);
    free(f->text);
    free(f->file);
    free(f);
}

crs_status crs__folder_open(const char *path, crs__rows *rows, char *note, crs_error *error) {
    struct stat info;
    if (stat(path, &info) != 0)
        return crs__fail_at(error, CRS_ERR_IO, path, 0, -1, "cannot be opened: %s", "check the path", strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return crs__fail_at(error, CRS_ERR_FORMAT, path, 0, -1, "is a file, not a folder",
                            "name a folder with a sub-folder per class, or give the file's --format");
    folder *f = calloc(1, sizeof *f);
    if (!f || !(f->root = strdup(path))) {
        free(f);
        return crs__fail_memory(error, sizeof *f, "a reader");
    }
    char *roots[] = {f->root, NULL};
    f->walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    if (!f->walk) {
        folder_close(f);
        return crs__fail_at(error, CRS_ERR_IO, path, 0, -1, "cannot be read: %s", "check its permissions",
                            strerror(errno));
    }
    *rows = (crs__rows){.next = folder_next, .close = folder_close, .state = f};
    snprintf(note, CRS__NOTE, "folder, a class per sub-folder");
    return CRS_OK;
}
