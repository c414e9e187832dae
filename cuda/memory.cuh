/* Memory slots of the CUDA device (ops.h), and the pinned staging that uploads pass through. */
#ifndef CRS_CUDA_MEMORY_CUH
#define CRS_CUDA_MEMORY_CUH

#include "cuda.cuh"

/* On failure nothing is left allocated. */
crs_status cuda_staging_create(crs_device *device);
void cuda_staging_free(crs_device *device);

crs_status cuda_memory_alloc(crs_device *device, size_t bytes, void **memory);
void cuda_memory_free(crs_device *device, void *memory);
crs_status cuda_memory_fill(crs_device *device, void *memory, int byte, size_t bytes);
crs_status cuda_memory_copy(crs_device *device, void *to, const void *from, size_t bytes);
crs_status cuda_memory_upload(crs_device *device, void *to, const void *from_host, size_t bytes);
crs_status cuda_memory_download(crs_device *device, void *to_host, const void *from, size_t bytes);

#endif
