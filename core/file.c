/* Writing files so that nothing is lost. */
#include "file.h"

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static crs_status fail_io(crs__output *output, crs_error *error, const char *doing, int reason) {
    return crs__fail_at(error, CRS_ERR_IO, output->path, 0, -1, "%s: %s",
                        reason == ENOSPC || reason == EDQUOT ? "free some space or write elsewhere"
                                                             : "check the folder and its permissions",
                        doing, strerror(reason));
}

static crs_status fail_exists(const char *path, crs_error *error) {
    return crs__fail_at(error, CRS_ERR_EXISTS, path, 0, -1, "exists already",
                        "give another name, or --overwrite to replace it");
}

static int exists(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0;
}

/* A folder or a device: a file renamed over it would fail, or take its place. */
static int is_special(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

crs_status crs__output_open(crs__output *output, const char *path, int overwrite, crs_error *error) {
    memset(output, 0, sizeof *output);
    output->overwrite = overwrite;
    int n = snprintf(output->path, sizeof output->path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof output->path)
        return crs__fail_at(error, CRS_ERR_IO, output->path, 0, -1, "path is longer than %zu bytes", NULL,
                            sizeof output->path - 1);
    if (!overwrite && exists(path))
        return fail_exists(path, error);
    if (is_special(path))
        return crs__fail_at(error, CRS_ERR_IO, output->path, 0, -1, "is no regular file", "give another name");
    snprintf(output->beside, sizeof output->beside, "%s.%ld.part", output->path, (long)getpid());
    int descriptor = open(output->beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor >= 0)
        output->stream = fdopen(descriptor, "wb");
    if (!output->stream) {
        int reason = errno;
        if (descriptor >= 0) {
            close(descriptor);
            unlink(output->beside);
        }
        return fail_io(output, error, "cannot be written", reason);
    }
    return CRS_OK;
}

void crs__output_discard(crs__output *output) {
    if (!output->stream)
        return;
    fclose(output->stream);
    output->stream = NULL;
    unlink(output->beside);
}

/* The rename is only safe on disk once the folder is synced; a folder that cannot be opened or synced loses nothing. */
static void sync_folder(const char *path) {
    char folder[512];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (!slash)
        strcpy(folder, ".");
    else
        slash[slash == folder] = '\0';
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        (void)fsync(descriptor);
        close(descriptor);
    }
}

/* Gives the file beside its name; 0 or what went wrong. link fails where the target exists, rename would replace it; a
 * file system without links can only be asked beforehand. */
static int publish(const crs__output *output) {
    if (!output->overwrite) {
        if (link(output->beside, output->path) == 0) {
            unlink(output->beside);
            return 0;
        }
        if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
            return errno;
        if (exists(output->path))
            return EEXIST;
    }
    return rename(output->beside, output->path) == 0 ? 0 : errno;
}

crs_status crs__output_close(crs__output *output, crs_error *error) {
    int failed = ferror(output->stream);
    errno = failed ? EIO : 0;
    if (fflush(output->stream) != 0 || failed || fsync(fileno(output->stream)) != 0) {
        int reason = errno;
        crs__output_discard(output);
        return fail_io(output, error, "writing failed", reason);
    }
    FILE *stream = output->stream;
    output->stream = NULL;
    int reason = fclose(stream) != 0 ? errno : 0;
    if (reason == 0)
        reason = publish(output);
    if (reason != 0)
        unlink(output->beside);
    if (reason == EEXIST)
        return fail_exists(output->path, error);
    if (reason != 0)
        return fail_io(output, error, "writing failed", reason);
    sync_folder(output->path);
    return CRS_OK;
}
