/* Files the command itself writes: into a new file beside the target, synced, then renamed over it, so that a stopped
 * or failed run never leaves half a file under the name. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

crs_status describe(crs_error *error, crs_status status, const char *file, int64_t line, const char *mend,
                    const char *what, ...) {
    char text[sizeof error->what];
    va_list arguments;
    va_start(arguments, what);
    vsnprintf(text, sizeof text, what, arguments);
    va_end(arguments);
    /* Made from other errors' texts, among them perhaps those of this very one. */
    crs_error made = {.status = status, .line = line, .offset = -1};
    snprintf(made.file, sizeof made.file, "%s", file);
    snprintf(made.what, sizeof made.what, "%s", text);
    snprintf(made.mend, sizeof made.mend, "%s", mend);
    *error = made;
    return status;
}

crs_status describe_io(crs_error *error, const char *path, int reason) {
    return describe(error, CRS_ERR_IO, path, 0,
                    reason == ENOSPC || reason == EDQUOT || reason == EFBIG ? "free some space or write elsewhere"
                                                                            : "check the folder and its permissions",
                    "cannot be written: %s", strerror(reason));
}

crs_status output_open(output_file *out, const char *path, crs_error *error) {
    memset(out, 0, sizeof *out);
    if ((size_t)snprintf(out->path, sizeof out->path, "%s", path) >= sizeof out->path)
        return describe(error, CRS_ERR_IO, path, 0, "write to a shorter path", "the path is longer than %zu bytes",
                        sizeof out->path - 1);
    snprintf(out->beside, sizeof out->beside, "%s.%ld.part", path, (long)getpid());
    const int descriptor = open(out->beside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor >= 0)
        out->stream = fdopen(descriptor, "w+b");
    if (!out->stream) {
        const int reason = errno;
        if (descriptor >= 0) {
            close(descriptor);
            unlink(out->beside);
        }
        return describe_io(error, path, reason);
    }
    return CRS_OK;
}

void output_discard(output_file *out) {
    if (!out->stream)
        return;
    fclose(out->stream);
    out->stream = NULL;
    unlink(out->beside);
}

crs_status output_close(output_file *out, crs_error *error) {
    errno = 0;
    int failed = ferror(out->stream) != 0;
    failed |= fflush(out->stream) != 0 || fsync(fileno(out->stream)) != 0;
    int reason = failed ? (errno ? errno : EIO) : 0;
    if (fclose(out->stream) != 0 && !reason)
        reason = errno;
    out->stream = NULL;
    if (!reason && rename(out->beside, out->path) != 0)
        reason = errno;
    if (!reason)
        return CRS_OK;
    unlink(out->beside);
    return describe_io(error, out->path, reason);
}
