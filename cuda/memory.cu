/* Device memory, and how bytes get there and back: through pinned memory of our own.
 *
 * An upload must leave the caller's memory free on return and must not wait for the kernels queued before it. So it is
 * copied into pinned memory first, from where the copy engine fetches it when its turn comes. That memory is two blocks
 * in turn: only when a block comes round again is there something to wait for, the copies out of that block.
 *
 * A download goes through a third block, so that one that fails leaves nothing behind that might still write to the
 * caller's memory. */
#include "memory.cuh"

#include "repeat.cuh"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK ((size_t)1 << 20)
enum { UPLOADS = 2, DOWNLOAD = UPLOADS, BLOCKS };

struct cuda_staging {
    void *blocks[BLOCKS];         /* pinned, BLOCK bytes each */
    cudaEvent_t fetched[UPLOADS]; /* all copies out of a block are done */
    int current;                  /* block for uploads */
    size_t used;                  /* bytes of it */
};

crs_status cuda_staging_create(crs_device *device) {
    device->staging = (cuda_staging *)calloc(1, sizeof *device->staging);
    if (!device->staging)
        return CRS_ERR_MEMORY;
    for (void *&block : device->staging->blocks)
        CUDA_TRY(device, cudaMallocHost(&block, BLOCK));
    for (cudaEvent_t &event : device->staging->fetched)
        CUDA_TRY(device, cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return CRS_OK;
}

/* Also of one that was made in part. */
void cuda_staging_free(crs_device *device) {
    if (!device->staging)
        return;
    for (cudaEvent_t event : device->staging->fetched)
        if (event)
            cudaEventDestroy(event);
    for (void *block : device->staging->blocks)
        if (block)
            cudaFreeHost(block);
    free(device->staging);
    device->staging = NULL;
}

/* ---- the slots ---- */

crs_status cuda_memory_alloc(crs_device *device, size_t bytes, void **memory) {
    *memory = NULL;
    /* More than there are addresses is not put to the driver, which might round it up to something small. */
    const cudaError_t error = bytes > PTRDIFF_MAX ? cudaErrorMemoryAllocation : cudaMalloc(memory, bytes);
    if (error == cudaSuccess)
        return CRS_OK;
    *memory = NULL;
    const crs_status status = cuda_failed(device, error, "cudaMalloc");
    size_t available = 0, total = 0;
    if (status == CRS_ERR_MEMORY && cudaMemGetInfo(&available, &total) == cudaSuccess)
        snprintf(device->explanation, sizeof device->explanation,
                 "the GPU has %.1f MiB free of %.1f MiB, and %.1f MiB more are needed", (double)available / 1048576.0,
                 (double)total / 1048576.0, (double)bytes / 1048576.0);
    return status;
}

/* There is nobody to tell of a failure here; the next call will meet it again. The device is made the current one,
 * since on a new thread the runtime would else open device 0 for this. */
void cuda_memory_free(crs_device *device, void *memory) {
    if (!memory)
        return;
    cuda_recordings_forget(device);
    cudaSetDevice(device->index);
    cudaFree(memory);
}

crs_status cuda_memory_fill(crs_device *device, void *memory, int byte, size_t bytes) {
    if (bytes > 0)
        CUDA_TRY(device, cudaMemsetAsync(memory, byte, bytes, device->stream));
    return CRS_OK;
}

crs_status cuda_memory_copy(crs_device *device, void *to, const void *from, size_t bytes) {
    if (bytes > 0)
        CUDA_TRY(device, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, device->stream));
    return CRS_OK;
}

/* Makes the other block the current one; its old content has been fetched afterwards. */
static crs_status change_blocks(crs_device *device) {
    cuda_staging *staging = device->staging;
    CUDA_TRY(device, cudaEventRecord(staging->fetched[staging->current], device->stream));
    staging->current = !staging->current;
    CUDA_TRY(device, cudaEventSynchronize(staging->fetched[staging->current]));
    staging->used = 0;
    return CRS_OK;
}

crs_status cuda_memory_upload(crs_device *device, void *to, const void *from_host, size_t bytes) {
    cuda_staging *staging = device->staging;
    if (cuda_is_recording(device)) {
        /* A replay would fetch whatever stands in the pinned memory then. */
        snprintf(device->explanation, sizeof device->explanation, "an upload cannot be recorded");
        return CRS_ERR_UNSUPPORTED;
    }
    for (size_t done = 0; done < bytes;) {
        if (staging->used == BLOCK)
            CRS_TRY(change_blocks(device));
        const size_t left = bytes - done, room = BLOCK - staging->used, n = left < room ? left : room;
        char *place = (char *)staging->blocks[staging->current] + staging->used;
        memcpy(place, (const char *)from_host + done, n);
        CUDA_TRY(device, cudaMemcpyAsync((char *)to + done, place, n, cudaMemcpyHostToDevice, device->stream));
        staging->used += n;
        done += n;
    }
    return CRS_OK;
}

crs_status cuda_memory_download(crs_device *device, void *to_host, const void *from, size_t bytes) {
    void *place = device->staging->blocks[DOWNLOAD];
    size_t done = 0;
    do {
        const size_t left = bytes - done, n = left < BLOCK ? left : BLOCK;
        if (n > 0)
            CUDA_TRY(device,
                     cudaMemcpyAsync(place, (const char *)from + done, n, cudaMemcpyDeviceToHost, device->stream));
        CUDA_TRY(device, cudaStreamSynchronize(device->stream));
        memcpy((char *)to_host + done, place, n);
        done += n;
    } while (done < bytes);
    return CRS_OK;
}

crs_status cuda_scratch(crs_device *device, size_t bytes, void **memory) {
    if (bytes > device->scratch_size || !device->scratch) {
        /* Kernels may still use the old one. That happens only until the largest is reached. */
        CUDA_TRY(device, cudaStreamSynchronize(device->stream));
        cuda_recordings_forget(device);
        cudaFree(device->scratch);
        device->scratch = NULL;
        device->scratch_size = 0;
        CRS_TRY(cuda_memory_alloc(device, bytes > 0 ? bytes : 1, &device->scratch));
        device->scratch_size = bytes;
    }
    *memory = device->scratch;
    return CRS_OK;
}
