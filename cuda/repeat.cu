/* Work that comes back, recorded as CUDA graphs: a training step is dozens of launches, hundreds where a recurrence
 * goes step by step, and each costs the host longer than many a kernel runs. A graph is one launch.
 *
 * Work is queued plainly when it comes for the first time: that lets the scratch grow and the libraries load what they
 * need, neither of which can be recorded. The second time it is recorded, and the recording is launched; from then on
 * it only is launched. A recording holds addresses, so all of them are dropped when memory is given back.
 *
 * Lengths of batches make for many shapes, so recordings are bounded, in number and in nodes, each of which takes
 * memory of the host and of the device. The least recently launched makes room, but only once it has been idle for a
 * while: where more shapes come round than there is room for, some are queued plainly rather than all recorded again
 * and again.
 *
 * Whatever fails around a recording costs speed and not the training: the work is queued plainly, nothing is recorded
 * any more, and the device's description says why. */
#include "repeat.cuh"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pieces of work that are remembered, nodes of all their recordings, and pieces of work after which one that did not
 * come again may be forgotten. */
enum { WORKS = 256, NODES = 1 << 17, IDLE = 4 * WORKS };

struct known_work {
    unsigned char key[CRS_REPEAT_KEY];
    size_t key_size;
    cudaGraphExec_t graph; /* NULL: not recorded */
    size_t nodes;          /* of it */
    bool has_no_room;      /* its graph was too large for the room there was: it is queued plainly */
    uint64_t used;         /* when it came last, on the clock of the device's recordings */
};

struct cuda_recordings {
    known_work works[WORKS];
    int count;
    size_t nodes;   /* of all graphs */
    uint64_t clock; /* pieces of work so far */
    bool stopped;   /* something went wrong, nothing is recorded any more */
    bool recording; /* what is queued now is recorded */
};

crs_status cuda_recordings_create(crs_device *device) {
    device->recordings = (cuda_recordings *)calloc(1, sizeof *device->recordings);
    return device->recordings ? CRS_OK : CRS_ERR_MEMORY;
}

void cuda_recordings_free(crs_device *device) {
    cuda_recordings_forget(device);
    free(device->recordings);
    device->recordings = NULL;
}

bool cuda_is_recording(const crs_device *device) {
    return device->recordings && device->recordings->recording;
}

/* ---- what is remembered ---- */

/* There is nobody to tell of a failure. What is still running ends before the runtime frees it. */
static void drop_graph(cuda_recordings *all, known_work *work) {
    if (work->graph)
        cudaGraphExecDestroy(work->graph);
    all->nodes -= work->nodes;
    work->graph = NULL;
    work->nodes = 0;
}

void cuda_recordings_forget(crs_device *device) {
    cuda_recordings *all = device->recordings;
    if (!all || all->count == 0)
        return;
    cudaSetDevice(device->index);
    for (int i = 0; i < all->count; i++)
        drop_graph(all, &all->works[i]);
    all->count = 0;
}

static known_work *find(cuda_recordings *all, const void *key, size_t key_size) {
    for (known_work *work = all->works; work < all->works + all->count; work++)
        if (work->key_size == key_size && memcmp(work->key, key, key_size) == 0)
            return work;
    return NULL;
}

/* The one that came least recently, if it has been idle for long; with_graph: of those with a graph. NULL: none. */
static known_work *find_idle(cuda_recordings *all, bool with_graph) {
    known_work *oldest = NULL;
    for (known_work *work = all->works; work < all->works + all->count; work++)
        if ((work->graph || !with_graph) && (!oldest || work->used < oldest->used))
            oldest = work;
    return oldest && all->clock - oldest->used > IDLE ? oldest : NULL;
}

/* Remembers new work, if there is room. */
static void remember(cuda_recordings *all, const void *key, size_t key_size) {
    known_work *work = all->count < WORKS ? &all->works[all->count++] : find_idle(all, false);
    if (!work)
        return;
    drop_graph(all, work);
    *work = {};
    memcpy(work->key, key, key_size);
    work->key_size = key_size;
    work->used = all->clock;
}

static bool make_room(cuda_recordings *all, size_t nodes) {
    while (all->nodes + nodes > NODES) {
        known_work *idle = find_idle(all, true);
        if (!idle)
            return false;
        drop_graph(all, idle);
    }
    return true;
}

/* ---- recording ---- */

/* What queue(work) queues, as a graph. The stream records no longer afterwards, also on failure. */
static crs_status record(crs_device *device, crs_queue queue, void *work, cudaGraph_t *graph) {
    cuda_recordings *all = device->recordings;
    *graph = NULL;
    CUDA_TRY(device, cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeThreadLocal));
    all->recording = true;
    const crs_status status = queue(work);
    all->recording = false;
    const cudaError_t ended = cudaStreamEndCapture(device->stream, graph);
    if (status != CRS_OK) {
        cudaGetLastError(); /* of the end; what stopped `queue` is what is told */
        return status;
    }
    return ended == cudaSuccess ? CRS_OK : cuda_failed(device, ended, "cudaStreamEndCapture");
}

/* Makes the graph executable, if there is room for it. */
static crs_status instantiate(crs_device *device, cudaGraph_t graph, known_work *work) {
    cuda_recordings *all = device->recordings;
    size_t nodes = 0;
    CUDA_TRY(device, cudaGraphGetNodes(graph, NULL, &nodes));
    work->has_no_room = !make_room(all, nodes);
    if (work->has_no_room)
        return CRS_OK;
    CUDA_TRY(device, cudaGraphInstantiateWithFlags(&work->graph, graph, 0));
    work->nodes = nodes;
    all->nodes += nodes;
    return CRS_OK;
}

static crs_status record_and_instantiate(crs_device *device, known_work *known, crs_queue queue, void *work) {
    cudaGraph_t graph;
    crs_status status = record(device, queue, work, &graph);
    if (status == CRS_OK)
        status = instantiate(device, graph, known);
    if (graph)
        cudaGraphDestroy(graph);
    return status;
}

static crs_status launch(crs_device *device, cudaGraphExec_t graph) {
    CUDA_TRY(device, cudaGraphLaunch(graph, device->stream));
    return CRS_OK;
}

/* Records no more, and says so where the device is described. */
static void stop(crs_device *device) {
    cuda_recordings_forget(device);
    device->recordings->stopped = true;
    cuda_describe_graphs(device, "off, as a recording failed: ", device->explanation);
    device->explanation[0] = '\0';
}

crs_status cuda_repeat(crs_device *device, const void *key, size_t key_size, crs_queue queue, void *work) {
    cuda_recordings *all = device->recordings;
    if (key_size > CRS_REPEAT_KEY)
        return CRS_ERR_ARGUMENT;
    if (!all || all->stopped)
        return queue(work);
    all->clock++;
    known_work *known = find(all, key, key_size);
    if (!known) {
        CRS_TRY(queue(work));
        remember(all, key, key_size); /* only now: where the scratch grew, all was forgotten */
        return CRS_OK;
    }
    known->used = all->clock;
    crs_status status = CRS_OK;
    if (!known->graph && !known->has_no_room)
        status = record_and_instantiate(device, known, queue, work);
    if (status == CRS_OK && known->graph)
        status = launch(device, known->graph);
    if (status != CRS_OK)
        stop(device);
    else if (known->graph)
        return CRS_OK;
    return queue(work);
}
