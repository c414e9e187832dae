/* Running gnuplot. It reads a script that holds the numbers and writes the picture to its standard output, so that no
 * file name ever needs quoting. */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Runs gnuplot with the script as standard input and the picture as standard output; returns its wait status or -errno.
 */
static int run_gnuplot(int script, int picture) {
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    posix_spawn_file_actions_adddup2(&actions, script, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, picture, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    /* In a group of its own, so that Ctrl-C ends the command's work and not a picture. */
    posix_spawnattr_t attributes;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -ENOMEM;
    }
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    pid_t child;
    char name[] = "gnuplot", *arguments[] = {name, NULL};
    int reason = posix_spawnp(&child, name, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (reason != 0)
        return -reason;
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return status;
}

/* The script's numbers come from write; what gnuplot prints goes into the picture's own file. */
static crs_status draw_into(output_file *picture, void (*write)(FILE *script, const void *user), const void *user,
                            crs_error *error) {
    FILE *script = tmpfile();
    if (!script)
        return describe(error, CRS_ERR_IO, picture->path, 0, "free some space in /tmp",
                        "the script for gnuplot could not be written");
    write(script, user);
    if (fflush(script) != 0 || ferror(script) || lseek(fileno(script), 0, SEEK_SET) != 0) {
        fclose(script);
        return describe(error, CRS_ERR_IO, picture->path, 0, "free some space in /tmp",
                        "the script for gnuplot could not be written");
    }
    const int result = run_gnuplot(fileno(script), fileno(picture->stream));
    fclose(script);
    if (result == -ENOENT || (result > 0 && WIFEXITED(result) && WEXITSTATUS(result) == 127))
        return describe(error, CRS_ERR_UNSUPPORTED, picture->path, 0, "install gnuplot, or give --no-curves",
                        "curves are not drawn, since gnuplot is not installed");
    if (result != 0 || lseek(fileno(picture->stream), 0, SEEK_END) <= 0)
        return describe(error, CRS_ERR_IO, picture->path, 0,
                        "see that there is space, and that 'gnuplot --version' works",
                        "gnuplot failed or the picture could not be written");
    return CRS_OK;
}

crs_status draw_picture(const char *path, void (*write)(FILE *script, const void *user), const void *user,
                        crs_error *error) {
    output_file picture;
    crs_status status = output_open(&picture, path, error);
    if (status != CRS_OK)
        return status;
    status = draw_into(&picture, write, user, error);
    if (status == CRS_OK)
        return output_close(&picture, error);
    output_discard(&picture);
    return status;
}
