/* Work recorded as CUDA graphs, for the slot `repeat` of ops.h. */
#ifndef CRS_CUDA_REPEAT_CUH
#define CRS_CUDA_REPEAT_CUH

#include "cuda.cuh"

/* A device that was told to record nothing has no recordings. */
crs_status cuda_recordings_create(crs_device *device);
void cuda_recordings_free(crs_device *device);

/* Whether what is queued now is recorded instead of run. */
bool cuda_is_recording(const crs_device *device);

/* Drops all recordings, and forgets what work there was. To be called before device memory is given back. */
void cuda_recordings_forget(crs_device *device);

crs_status cuda_repeat(crs_device *device, const void *key, size_t key_size, crs_queue queue, void *work);

#endif
