/* Reading safetensors, believing nothing: every size and offset is checked against the file before it is used. */
#include "safetensors.h"

#include "fail.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LENGTH_BYTES = 8, CHUNK = 4096 };

#define MEND_DAMAGED "the file is damaged or no safetensors file: take another copy, or train again"

static crs_status damaged(const crs__safetensors *file, crs_error *error, uint64_t offset, const char *what) {
    return crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, (int64_t)offset, "%s", MEND_DAMAGED, what);
}

static crs_status unreadable(const crs__safetensors *file, crs_error *error, int reason) {
    return crs__fail_at(error, CRS_ERR_IO, file->path, 0, -1, "cannot be read: %s",
                        "check the name and the permissions", reason ? strerror(reason) : "it is shorter than it was");
}

/* ---- the header ---- */

static crs_status open_stream(crs__safetensors *file, crs_error *error) {
    struct stat status;
    if (stat(file->path, &status) != 0)
        return unreadable(file, error, errno);
    if (!S_ISREG(status.st_mode))
        return crs__fail_at(error, CRS_ERR_IO, file->path, 0, -1, "is no regular file", "give a model file");
    file->file_size = (uint64_t)status.st_size;
    file->stream = fopen(file->path, "rb");
    return file->stream ? CRS_OK : unreadable(file, error, errno);
}

/* The header's text (malloc), and file->data. */
static crs_status read_text(crs__safetensors *file, char **text, size_t *size, crs_error *error) {
    unsigned char length[LENGTH_BYTES];
    if (file->file_size < LENGTH_BYTES)
        return damaged(file, error, 0, "the file is too short for a header");
    if (fread(length, 1, sizeof length, file->stream) != sizeof length)
        return unreadable(file, error, ferror(file->stream) ? errno : 0);
    uint64_t n = 0;
    for (int i = LENGTH_BYTES; i-- > 0;)
        n = n << 8 | length[i];
    if (n > CRS__HEADER_MAX || n > file->file_size - LENGTH_BYTES)
        return damaged(file, error, 0, "the header is longer than the file, or than 100 MB");
    *size = (size_t)n;
    *text = malloc(*size + 1);
    if (!*text)
        return crs__fail_memory(error, *size + 1, "the header of a model file");
    if (fread(*text, 1, *size, file->stream) != *size)
        return unreadable(file, error, ferror(file->stream) ? errno : 0);
    (*text)[*size] = '\0';
    file->data = LENGTH_BYTES + n;
    return CRS_OK;
}

/* ---- one tensor's entry ---- */

/* `most` integers >= 0 of at most INT64_MAX, or fewer, from a JSON list; -1: it is something else. */
static int read_integers(const json_t *list, size_t most, int64_t *values) {
    if (!json_is_array(list) || json_array_size(list) > most)
        return -1;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_integer(item) || json_integer_value(item) < 0)
            return -1;
        values[i] = json_integer_value(item);
    }
    return (int)json_array_size(list);
}

/* What is wrong with an entry, or NULL. */
static const char *read_entry(const crs__safetensors *file, const json_t *entry, crs__stored *tensor) {
    if (!json_is_object(entry))
        return "is no object";
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!dtype)
        return "has no dtype";
    if (strcmp(dtype, "F32") != 0)
        return "is not of dtype F32, the only one that is read";
    int64_t offsets[2] = {0};
    for (int i = 0; i < CRS__RANK_MAX; i++)
        tensor->shape[i] = 1;
    tensor->rank = read_integers(json_object_get(entry, "shape"), CRS__RANK_MAX, tensor->shape);
    if (tensor->rank < 1)
        return "has a shape that is not one to four sizes";
    if (read_integers(json_object_get(entry, "data_offsets"), 2, offsets) != 2)
        return "has data_offsets that are not two positions";
    const uint64_t room = file->file_size - file->data;
    if (offsets[0] > offsets[1] || (uint64_t)offsets[1] > room)
        return "has data_offsets outside of the file";
    tensor->size = 1;
    for (int i = 0; i < tensor->rank; i++) {
        const uint64_t n = (uint64_t)tensor->shape[i];
        if (n && tensor->size > UINT64_MAX / sizeof(float) / n)
            return "has a shape that is too large";
        tensor->size *= n;
    }
    if (tensor->size * sizeof(float) != (uint64_t)(offsets[1] - offsets[0]))
        return "has data_offsets that do not fit its shape";
    tensor->offset = file->data + (uint64_t)offsets[0];
    return NULL;
}

/* Where a key stands in the header; where it cannot be found, since it is written with escapes, the header itself. */
static uint64_t place_of(const char *text, size_t size, const char *key) {
    const size_t n = strlen(key);
    for (const char *at = text; at && (at = memchr(at, '"', size - (size_t)(at - text))) != NULL; at++)
        if (size - (size_t)(at - text) >= n + 2 && at[n + 1] == '"' && memcmp(at + 1, key, n) == 0)
            return LENGTH_BYTES + (uint64_t)(at - text);
    return LENGTH_BYTES;
}

static int by_offset(const void *a, const void *b) {
    const crs__stored *left = a, *right = b;
    if (left->offset != right->offset)
        return left->offset < right->offset ? -1 : 1;
    return (left->size > right->size) - (left->size < right->size);
}

static crs_status check_cover(const crs__safetensors *file, crs_error *error) {
    uint64_t at = file->data;
    for (size_t i = 0; i < file->count; i++) {
        const crs__stored *tensor = &file->tensors[i];
        if (tensor->offset != at)
            return crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, (int64_t)at, "%s tensor \"%.100s\"", MEND_DAMAGED,
                                tensor->offset < at ? "overlapping values before" : "unused bytes before",
                                tensor->name);
        at += tensor->size * sizeof(float);
    }
    return at == file->file_size ? CRS_OK : damaged(file, error, at, "bytes that belong to no tensor at the end");
}

/* ---- the file ---- */

static crs_status read_metadata(crs__safetensors *file, const char *text, size_t size, crs_error *error) {
    const char *key;
    json_t *value;
    file->metadata = json_object_get(file->header, "__metadata__");
    if (!file->metadata)
        return CRS_OK;
    if (!json_is_object(file->metadata))
        return damaged(file, error, place_of(text, size, "__metadata__"), "the metadata is no object");
    json_object_foreach (file->metadata, key, value)
        if (!json_is_string(value))
            return crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, (int64_t)place_of(text, size, key),
                                "metadata \"%.100s\" is no string", MEND_DAMAGED, key);
    return CRS_OK;
}

static crs_status read_tensors(crs__safetensors *file, const char *text, size_t size, crs_error *error) {
    const char *name;
    json_t *entry;
    file->tensors = calloc(json_object_size(file->header) + 1, sizeof *file->tensors);
    if (!file->tensors)
        return crs__fail_memory(error, json_object_size(file->header) * sizeof *file->tensors, "a list of tensors");
    json_object_foreach (file->header, name, entry) {
        if (entry == file->metadata)
            continue;
        crs__stored *tensor = &file->tensors[file->count++];
        tensor->name = name;
        const char *wrong = read_entry(file, entry, tensor);
        if (wrong)
            return crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, (int64_t)place_of(text, size, name),
                                "tensor \"%.100s\" %s", MEND_DAMAGED, name, wrong);
    }
    qsort(file->tensors, file->count, sizeof *file->tensors, by_offset);
    return check_cover(file, error);
}

static crs_status read_header(crs__safetensors *file, const char *text, size_t size, crs_error *error) {
    json_error_t reason;
    file->header = json_loadb(text, size, JSON_REJECT_DUPLICATES, &reason);
    if (!file->header)
        return crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, LENGTH_BYTES + (int64_t)reason.position,
                            "the header is no JSON: %.100s", MEND_DAMAGED, reason.text);
    if (!json_is_object(file->header))
        return damaged(file, error, LENGTH_BYTES, "the header is no JSON object");
    CRS_TRY(read_metadata(file, text, size, error));
    return read_tensors(file, text, size, error);
}

crs_status crs__safetensors_open(const char *path, crs__safetensors *file, crs_error *error) {
    char *text = NULL;
    size_t size = 0;
    *file = (crs__safetensors){.path = path};
    crs_status status = open_stream(file, error);
    if (status == CRS_OK)
        status = read_text(file, &text, &size, error);
    if (status == CRS_OK)
        status = read_header(file, text, size, error);
    free(text);
    if (status != CRS_OK)
        crs__safetensors_close(file);
    return status;
}

void crs__safetensors_close(crs__safetensors *file) {
    if (file->stream)
        fclose(file->stream);
    json_decref(file->header);
    free(file->tensors);
    *file = (crs__safetensors){0};
}

const char *crs__safetensors_metadata(const crs__safetensors *file, const char *key) {
    return json_string_value(json_object_get(file->metadata, key));
}

const crs__stored *crs__safetensors_find(const crs__safetensors *file, const char *name) {
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

static float decode(const unsigned char *bytes) {
    const uint32_t bits =
        (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

crs_status crs__safetensors_read(crs__safetensors *file, const crs__stored *tensor, double *values, crs_error *error) {
    unsigned char bytes[CHUNK * sizeof(float)];
    if (tensor->offset > LONG_MAX || fseek(file->stream, (long)tensor->offset, SEEK_SET) != 0)
        return unreadable(file, error, errno);
    for (uint64_t i = 0; i < tensor->size; i += CHUNK) {
        const size_t n = tensor->size - i < CHUNK ? (size_t)(tensor->size - i) : CHUNK;
        if (fread(bytes, sizeof(float), n, file->stream) != n)
            return unreadable(file, error, ferror(file->stream) ? errno : 0);
        for (size_t k = 0; k < n; k++) {
            values[i + k] = decode(bytes + k * sizeof(float));
            if (!isfinite(values[i + k]))
                return crs__fail_at(error, CRS_ERR_NOT_FINITE, file->path, 0,
                                    (int64_t)(tensor->offset + (i + k) * sizeof(float)),
                                    "value %llu of tensor \"%.100s\" is not finite",
                                    "the file is damaged, or training went astray: train again",
                                    (unsigned long long)(i + k), tensor->name);
        }
    }
    return CRS_OK;
}
