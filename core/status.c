/* Names and texts of statuses, and the filling of errors. */
#include "fail.h"

#include <carousel/carousel.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *crs_version(void) {
    return CRS_VERSION;
}

const char *crs_status_name(crs_status status) {
    switch (status) {
#define CRS_STATUS_CASE(name, text)                                                                                    \
    case name:                                                                                                         \
        return #name;
        CRS_STATUS_LIST(CRS_STATUS_CASE)
#undef CRS_STATUS_CASE
    default:
        return "CRS_ERR_UNKNOWN";
    }
}

const char *crs_status_text(crs_status status) {
    switch (status) {
#define CRS_STATUS_CASE(name, text)                                                                                    \
    case name:                                                                                                         \
        return text;
        CRS_STATUS_LIST(CRS_STATUS_CASE)
#undef CRS_STATUS_CASE
    default:
        return "unknown status";
    }
}

/* Appends to a cut, always terminated text; *used counts what would have been written without the cut. */
static void append(char *buffer, size_t size, size_t *used, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t start = *used < size ? *used : size;
    int n = vsnprintf(size > start ? buffer + start : NULL, size - start, format, arguments);
    va_end(arguments);
    if (n > 0)
        *used += (size_t)n;
}

const char *crs_error_text(const crs_error *error, char *buffer, size_t size) {
    if (size == 0)
        return buffer;
    buffer[0] = '\0';
    size_t used = 0;
    if (error->file[0]) {
        append(buffer, size, &used, "%s:", error->file);
        if (error->line > 0)
            append(buffer, size, &used, "%lld:", (long long)error->line);
        append(buffer, size, &used, " ");
    }
    append(buffer, size, &used, "%s", error->what[0] ? error->what : crs_status_text(error->status));
    if (error->offset >= 0)
        append(buffer, size, &used, " (byte %lld)", (long long)error->offset);
    if (error->mend[0])
        append(buffer, size, &used, "; %s", error->mend);
    return buffer;
}

/* Cuts at a code point's border where the text had to be cut, so that the message stays valid UTF-8. */
static void cut_utf8(char *text, size_t written, size_t size) {
    if (written < size)
        return;
    size_t end = strlen(text), start = end;
    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (end - (start - 1) < want)
        text[start - 1] = '\0';
}

static void format_text(char *text, size_t size, const char *format, va_list arguments) {
    int n = vsnprintf(text, size, format, arguments);
    cut_utf8(text, n < 0 ? 0 : (size_t)n, size);
}

static void fill(crs_error *error, crs_status status, const char *file, int64_t line, int64_t offset, const char *what,
                 const char *mend, va_list arguments) {
    /* One argument list serves both formats, so both are written in one go and cut apart at a byte neither holds. */
    char joined[512], text[768];
    snprintf(joined, sizeof joined, "%s\x1f%s", what, mend ? mend : "");
    format_text(text, sizeof text, joined, arguments);
    char *cut = strrchr(text, '\x1f');
    memset(error, 0, sizeof *error);
    error->status = status;
    error->line = line;
    error->offset = offset;
    if (cut)
        *cut = '\0';
    size_t n = (size_t)snprintf(error->what, sizeof error->what, "%s", text);
    cut_utf8(error->what, n, sizeof error->what);
    n = (size_t)snprintf(error->mend, sizeof error->mend, "%s", cut ? cut + 1 : "");
    cut_utf8(error->mend, n, sizeof error->mend);
    n = (size_t)snprintf(error->file, sizeof error->file, "%s", file ? file : "");
    cut_utf8(error->file, n, sizeof error->file);
}

crs_status crs__fail(crs_error *error, crs_status status, const char *what, const char *mend, ...) {
    va_list arguments;
    va_start(arguments, mend);
    if (error)
        fill(error, status, NULL, 0, -1, what, mend, arguments);
    va_end(arguments);
    return status;
}

crs_status crs__fail_at(crs_error *error, crs_status status, const char *file, int64_t line, int64_t offset,
                        const char *what, const char *mend, ...) {
    va_list arguments;
    va_start(arguments, mend);
    if (error)
        fill(error, status, file, line, offset, what, mend, arguments);
    va_end(arguments);
    return status;
}

crs_status crs__fail_memory(crs_error *error, size_t bytes, const char *purpose) {
    return crs__fail(error, CRS_ERR_MEMORY, "out of memory: %zu bytes for %s",
                     "use a smaller batch, length, vocabulary or model", bytes, purpose);
}
