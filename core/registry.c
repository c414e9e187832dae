/* Which backends there are, and how the word a user writes becomes an open device. The one file that knows whether this
 * build has CUDA. */
#include "registry.h"

#include "fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const crs_ops cpu_f32_ops, cpu_f64_ops;
#if CRS_WITH_CUDA
extern const crs_ops cuda_ops;
#define CUDA_OPS &cuda_ops
#else
#define CUDA_OPS NULL
#endif

struct crs_backend {
    const crs_ops *ops;
    crs_device *device;
    char noted[320]; /* the description with why this one was chosen; "": it was asked for */
};

/* In order of preference. ops NULL: known, but not in this build. */
static const struct kind {
    const char *name;
    const crs_ops *ops;
    int numbered; /* "name:N" picks a device */
} kinds[] = {{"cuda", CUDA_OPS, 1}, {"cpu", &cpu_f32_ops, 0}, {"cpu-double", &cpu_f64_ops, 0}};
enum { KINDS = sizeof kinds / sizeof *kinds, CUDA = 0, CPU = 1 };

#define NO_CUDA "this build has no CUDA backend"
#define USE_ANOTHER "use --backend cpu, or auto for the best there is"

const char *crs_backend_name(size_t index) {
    if (index == 0)
        return "auto";
    return index <= KINDS ? kinds[index - 1].name : NULL;
}

/* ---- opening ---- */

static const char *empty_slot(const crs_ops *ops) {
#define CHECK_FIELD(slot)                                                                                              \
    if (!ops->slot)                                                                                                    \
        return #slot;
#define CHECK_SLOT(slot, args) CHECK_FIELD(slot)
    CHECK_FIELD(name)
    CHECK_FIELD(open)
    CHECK_FIELD(close)
    CHECK_FIELD(describe)
    CHECK_FIELD(explain)
    CHECK_FIELD(alloc)
    CHECK_FIELD(free)
    CHECK_FIELD(fill)
    CHECK_FIELD(copy)
    CHECK_FIELD(upload)
    CHECK_FIELD(download)
    CHECK_FIELD(sync)
    CHECK_FIELD(repeat)
    CRS_RESERVE_SLOTS(CHECK_SLOT)
    CRS_COMPUTE_SLOTS(CHECK_SLOT)
#undef CHECK_SLOT
#undef CHECK_FIELD
    return NULL;
}

crs_status crs__backend_open_ops(const crs_ops *ops, const crs_device_options *options, const char *note,
                                 crs_backend **backend, crs_error *error) {
    *backend = NULL;
    const char *empty = empty_slot(ops);
    if (empty)
        return crs__fail(error, CRS_ERR_BACKEND, "backend \"%s\" has no operation \"%s\"",
                         "every slot of its table must be filled", ops->name ? ops->name : "?", empty);
    if (ops->real_size != sizeof(float) && ops->real_size != sizeof(double))
        return crs__fail(error, CRS_ERR_BACKEND, "backend \"%s\" has reals of %zu bytes", "they have 4 or 8", ops->name,
                         ops->real_size);
    crs_backend *opened = calloc(1, sizeof *opened);
    if (!opened)
        return crs__fail_memory(error, sizeof *opened, "a backend");
    char why[256] = "";
    opened->ops = ops;
    const crs_status status = ops->open(options, &opened->device, why, sizeof why);
    if (status != CRS_OK) {
        free(opened);
        return crs__fail(error, status, "backend \"%s\": %s", status == CRS_ERR_NO_DEVICE ? USE_ANOTHER : NULL,
                         ops->name, why[0] ? why : crs_status_text(status));
    }
    if (note)
        snprintf(opened->noted, sizeof opened->noted, "%s (%s)", ops->describe(opened->device), note);
    *backend = opened;
    return CRS_OK;
}

static crs_status fail_spec(const char *spec, crs_error *error) {
    return crs__fail(error, CRS_ERR_CONFIG, "there is no backend \"%.32s\"",
                     "give auto, cpu, cpu-double, cuda or cuda:N", spec);
}

/* "cuda:12" after its colon. -1: no number of a device. */
static int read_index(const char *digits) {
    int index = 0;
    if (!*digits)
        return -1;
    for (; *digits; digits++) {
        if (*digits < '0' || *digits > '9' || index > 9999)
            return -1;
        index = index * 10 + (*digits - '0');
    }
    return index;
}

static crs_status open_auto(const crs_device_options *options, crs_backend **backend, crs_error *error) {
    char note[256] = NO_CUDA ", so the CPU is used";
    if (kinds[CUDA].ops) {
        crs_error reason;
        if (crs__backend_open_ops(kinds[CUDA].ops, options, NULL, backend, &reason) == CRS_OK)
            return CRS_OK;
        snprintf(note, sizeof note, "%.200s, so the CPU is used", reason.what);
    }
    return crs__backend_open_ops(kinds[CPU].ops, options, note, backend, error);
}

crs_status crs_backend_open(const char *spec, const crs_device_options *wanted, crs_backend **backend,
                            crs_error *error) {
    *backend = NULL;
    crs_device_options options = wanted ? *wanted : (crs_device_options){0};
    options.index = -1;
    if (options.threads < 0)
        return crs__fail(error, CRS_ERR_CONFIG, "%d threads", "give 1 or more, or 0 for all", options.threads);
    if (strcmp(spec, "auto") == 0)
        return open_auto(&options, backend, error);
    const size_t name_size = strcspn(spec, ":");
    for (size_t i = 0; i < KINDS; i++) {
        if (strlen(kinds[i].name) != name_size || memcmp(kinds[i].name, spec, name_size) != 0)
            continue;
        if (spec[name_size] && (!kinds[i].numbered || (options.index = read_index(spec + name_size + 1)) < 0))
            return fail_spec(spec, error);
        if (!kinds[i].ops)
            return crs__fail(error, CRS_ERR_NO_DEVICE, "%s", USE_ANOTHER, NO_CUDA);
        return crs__backend_open_ops(kinds[i].ops, &options, NULL, backend, error);
    }
    return fail_spec(spec, error);
}

void crs_backend_close(crs_backend *backend) {
    if (!backend)
        return;
    backend->ops->close(backend->device);
    free(backend);
}

const crs_ops *crs_backend_ops(const crs_backend *backend) {
    return backend->ops;
}

crs_device *crs_backend_device(const crs_backend *backend) {
    return backend->device;
}

const char *crs_backend_describe(const crs_backend *backend) {
    return backend->noted[0] ? backend->noted : backend->ops->describe(backend->device);
}

const char *crs_backend_failure(const crs_backend *backend, crs_status status) {
    const char *explanation = backend->ops->explain(backend->device);
    return explanation[0] ? explanation : crs_status_text(status);
}
