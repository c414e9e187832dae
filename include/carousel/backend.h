/* Backends: where operations run. A backend is an operations table and an open device of it. */
#ifndef CAROUSEL_BACKEND_H
#define CAROUSEL_BACKEND_H

#include <carousel/ops.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct crs_backend crs_backend;

/* What can be asked for, in order of preference; NULL beyond the last. */
const char *crs_backend_name(size_t index);

/* spec: "auto" (a usable GPU, else the CPU), "cpu", "cpu-double", "cuda", "cuda:1". options: NULL for the defaults; the
 * index is not read, it comes from spec. What is asked for and cannot be had is an error, never replaced. A table with
 * an empty slot is refused. Opening a CPU backend holds OpenBLAS to one thread in the whole process, since OpenBLAS
 * knows no narrower setting. A backend is for one thread at a time. */
crs_status crs_backend_open(const char *spec, const crs_device_options *options, crs_backend **backend,
                            crs_error *error);
void crs_backend_close(crs_backend *backend);

const crs_ops *crs_backend_ops(const crs_backend *backend);
crs_device *crs_backend_device(const crs_backend *backend);
/* One line: the device in use, and where "auto" fell back, why. Valid until the next operation: a GPU that has stopped
 * recording steps says so here. */
const char *crs_backend_describe(const crs_backend *backend);
/* Why the last operation on the backend failed, with that status: the device's own words where it has some. One line,
 * valid until the next operation. */
const char *crs_backend_failure(const crs_backend *backend, crs_status status);

#ifdef __cplusplus
}
#endif
#endif
