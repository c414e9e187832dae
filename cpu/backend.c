/* The CPU device: its memory, and the table of operations that the rest of the library sees. */
#define _GNU_SOURCE /* MADV_HUGEPAGE */

#include "blocked.h"
#include "cpu.h"

#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGNMENT 64                        /* a cache line, and the widest vector register */
#define HUGE_PAGE ((size_t)2 * 1024 * 1024) /* of x86-64, and of others with pages of 4 KB */
#define FILL_CHUNK ((size_t)1 << 16)        /* bytes a thread fills at a time */

/* Activations are walked with long strides, a new page for each line or two: with pages of 4 KB the processor is busy
 * looking up where they are. What is at least a huge page asks for such; whether it gets them changes no result. */
static void *aligned(size_t bytes) {
    const size_t alignment = bytes >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT;
    void *memory;
    if (bytes > SIZE_MAX - ALIGNMENT ||
        posix_memalign(&memory, alignment, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (bytes >= HUGE_PAGE)
        madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return memory;
}

void *cpu_scratch(crs_device *device, size_t bytes) {
    if (bytes > device->scratch_size || !device->scratch) {
        void *larger = aligned(bytes > 0 ? bytes : 1);
        if (!larger)
            return NULL;
        free(device->scratch);
        device->scratch = larger;
        device->scratch_size = bytes;
    }
    return device->scratch;
}

/* The variant of recurrent layers and convolutions: readable loops, or blocked kernels, which the double build does not
 * have. For the tests "blocked-" and the name of an instruction set has its kernels. */
static int find_variant(const char *variant, const blocked_kernels **kernels) {
    static const char blocked[] = "blocked";
    const size_t length = sizeof blocked - 1;
    const int automatic = !variant || strcmp(variant, "auto") == 0;
    *kernels = NULL;
    if (CRS_CPU_DOUBLE || (!automatic && strncmp(variant, blocked, length) != 0))
        return automatic || strcmp(variant, "simple") == 0;
    if (automatic || !variant[length])
        *kernels = cpu_blocked_kernels(NULL);
    else if (variant[length] == '-')
        *kernels = cpu_blocked_kernels(variant + length + 1);
    return *kernels != NULL;
}

/* CRS_OK, or why these options cannot be had. */
static crs_status options_check(const crs_device_options *options, char *why, size_t why_size) {
    const blocked_kernels *kernels;
    if (options->index != -1 && options->index != 0) {
        snprintf(why, why_size, "the CPU is one device, number 0; there is no number %d", options->index);
        return CRS_ERR_NO_DEVICE;
    }
    if (options->threads < 0) {
        snprintf(why, why_size, "%d threads; give 1 or more, or 0 for as many as there are processors",
                 options->threads);
        return CRS_ERR_ARGUMENT;
    }
    if (!find_variant(options->lstm, &kernels)) {
        snprintf(why, why_size, "the CPU%s has no LSTM variant '%s'; use auto, %ssimple",
                 CRS_CPU_DOUBLE ? " in double" : "", options->lstm, CRS_CPU_DOUBLE ? "or " : "blocked or ");
        return CRS_ERR_UNSUPPORTED;
    }
    if (options->precision != CRS_FLOAT32) {
        snprintf(why, why_size, "the CPU has no TF32; use --precision float32");
        return CRS_ERR_UNSUPPORTED;
    }
    return CRS_OK;
}

static crs_status device_open(const crs_device_options *options, crs_device **device, char *why, size_t why_size) {
    const crs_status status = options_check(options, why, why_size);
    *device = NULL;
    if (status != CRS_OK)
        return status;
    crs_device *opened = calloc(1, sizeof *opened);
    if (!opened) {
        snprintf(why, why_size, "out of memory");
        return CRS_ERR_MEMORY;
    }
    find_variant(options->lstm, &opened->kernels);
    const blocked_kernels *kernels = opened->kernels;
    opened->threads = options->threads > 0 ? options->threads : omp_get_max_threads();
    /* The operations hand out the work themselves, in pieces that depend on the sizes only. A BLAS that cut it by its
     * own number of threads would change the bits with it, and its threads would fight ours for the cores. This holds
     * for the whole process, as OpenBLAS knows no narrower setting. */
    openblas_set_num_threads(1);
    /* The configuration begins "OpenBLAS 0.3.21 ...". */
    const char *config = openblas_get_config();
    size_t version = strcspn(config, " ");
    version += config[version] ? 1 + strcspn(config + version + 1, " ") : 0;
    snprintf(opened->description, sizeof opened->description, "CPU, %s, %d thread%s, %.*s %s, lstm=%s%s%s",
             sizeof(real) == sizeof(float) ? "float" : "double", opened->threads, opened->threads == 1 ? "" : "s",
             (int)version, config, openblas_get_corename(), kernels ? "blocked (" : "simple",
             kernels ? kernels->name : "", kernels ? ")" : "");
    *device = opened;
    return CRS_OK;
}

static void device_close(crs_device *device) {
    if (device) {
        free(device->scratch);
        free(device);
    }
}

static const char *device_describe(const crs_device *device) {
    return device->description;
}

/* Nothing but memory can fail here, and its size is the caller's to tell. */
static const char *device_explain(const crs_device *device) {
    (void)device;
    return "";
}

static crs_status memory_alloc(crs_device *device, size_t bytes, void **memory) {
    (void)device;
    *memory = aligned(bytes);
    return *memory ? CRS_OK : CRS_ERR_MEMORY;
}

static void memory_free(crs_device *device, void *memory) {
    (void)device;
    free(memory);
}

/* By all threads, since the gradients of large models are filled at every step. */
static crs_status memory_fill(crs_device *device, void *memory, int byte, size_t bytes) {
    const size_t chunks = (bytes + FILL_CHUNK - 1) / FILL_CHUNK;
#pragma omp parallel for schedule(static) num_threads(device->threads) if (chunks > 4)
    for (size_t c = 0; c < chunks; c++) {
        const size_t first = c * FILL_CHUNK;
        memset((char *)memory + first, byte, bytes - first < FILL_CHUNK ? bytes - first : FILL_CHUNK);
    }
    return CRS_OK;
}

static crs_status memory_copy(crs_device *device, void *to, const void *from, size_t bytes) {
    (void)device;
    if (bytes > 0)
        memcpy(to, from, bytes);
    return CRS_OK;
}

static crs_status device_sync(crs_device *device) {
    (void)device;
    return CRS_OK;
}

/* A call costs next to nothing here, so there is nothing to be gained by a recording. */
static crs_status device_repeat(crs_device *device, const void *key, size_t key_size, crs_queue queue, void *work) {
    (void)device;
    (void)key;
    return key_size > CRS_REPEAT_KEY ? CRS_ERR_ARGUMENT : queue(work);
}

extern const crs_ops CPU_NAME(ops);

/* Host and device memory are one: upload and download are copies, and there is nothing to wait for. */
const crs_ops CPU_NAME(ops) = {.name = sizeof(real) == sizeof(float) ? "cpu" : "cpu-double",
                               .real_size = sizeof(real),
                               .open = device_open,
                               .close = device_close,
                               .describe = device_describe,
                               .explain = device_explain,
                               .alloc = memory_alloc,
                               .free = memory_free,
                               .fill = memory_fill,
                               .copy = memory_copy,
                               .upload = memory_copy,
                               .download = memory_copy,
                               .sync = device_sync,
                               .repeat = device_repeat,
#define CPU_ENTRY(slot, args) .slot = CPU_NAME(slot),
                               CRS_RESERVE_SLOTS(CPU_ENTRY) CRS_COMPUTE_SLOTS(CPU_ENTRY)
#undef CPU_ENTRY
};
