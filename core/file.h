/* Writing files so that nothing is lost: into a new file beside the target, synced, then renamed over it. */
#ifndef CRS_FILE_H
#define CRS_FILE_H

#include <carousel/status.h>
#include <stdio.h>

typedef struct crs__output {
    FILE *stream;
    char path[512], beside[560];
    int overwrite;
} crs__output;

/* CRS_ERR_EXISTS where path exists and overwrite is 0 (also at close, should it have appeared meanwhile). */
crs_status crs__output_open(crs__output *output, const char *path, int overwrite, crs_error *error);
/* Flushes, syncs, renames. On failure nothing is left beside, the old file is as it was, and error says why. */
crs_status crs__output_close(crs__output *output, crs_error *error);
/* Gives up: removes the file beside. Does nothing after close. */
void crs__output_discard(crs__output *output);

#endif
