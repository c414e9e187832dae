/* Filling a crs_error, and passing a failure on. */
#ifndef CRS_FAIL_H
#define CRS_FAIL_H

#include <carousel/status.h>

/* Fills error (NULL: nothing is filled) and returns status. what and mend are printf formats that share one argument
 * list: mend's conversions come after what's. file NULL: none; line 0 and offset -1: unknown. */
crs_status crs__fail(crs_error *error, crs_status status, const char *what, const char *mend, ...);
crs_status crs__fail_at(crs_error *error, crs_status status, const char *file, int64_t line, int64_t offset,
                        const char *what, const char *mend, ...);
/* "out of memory", with what was to be allocated. */
crs_status crs__fail_memory(crs_error *error, size_t bytes, const char *purpose);

/* Returns from the calling function where the call did not give CRS_OK. */
#define CRS_TRY(call)                                                                                                  \
    do {                                                                                                               \
        crs_status crs_try_status = (call);                                                                            \
        if (crs_try_status != CRS_OK)                                                                                  \
            return crs_try_status;                                                                                     \
    } while (0)

#endif
