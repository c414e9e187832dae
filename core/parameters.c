/* A model's numbers between host and device: the weights in and out as doubles, and a second copy of them on the
 * device. */
#include "fail.h"
#include "network.h"

#include <stdlib.h>

enum { CHUNK = 8192 }; /* values converted at a time */

crs_status crs__device_alloc(crs_model *model, size_t bytes, const char *purpose, void **memory, crs_error *error) {
    *memory = NULL;
    if (bytes == 0)
        return CRS_OK;
    const crs_status status = model->ops->alloc(model->device, bytes, memory);
    if (status == CRS_OK)
        return CRS_OK;
    *memory = NULL;
    if (status == CRS_ERR_MEMORY && !model->ops->explain(model->device)[0])
        return crs__fail_memory(error, bytes, purpose);
    return crs__fail(error, status, "%zu bytes for %s: %s",
                     status == CRS_ERR_MEMORY ? "use a smaller batch, length, vocabulary or model" : NULL, bytes,
                     purpose, crs_backend_failure(model->backend, status));
}

crs_status crs__model_get_values(crs_model *model, const void *block, int64_t offset, int64_t size, double *values) {
    const size_t real_size = model->ops->real_size;
    float narrow[CHUNK];
    for (int64_t i = 0; i < size; i += CHUNK) {
        const int64_t n = size - i < CHUNK ? size - i : CHUNK;
        void *to = real_size == sizeof(double) ? (void *)(values + i) : narrow;
        CRS_TRY(model->ops->download(model->device, to, (const char *)block + (size_t)(offset + i) * real_size,
                                     (size_t)n * real_size));
        for (int64_t k = 0; to == narrow && k < n; k++)
            values[i + k] = narrow[k];
    }
    return CRS_OK;
}

crs_status crs__model_set_values(crs_model *model, int64_t offset, int64_t size, const double *values) {
    const size_t real_size = model->ops->real_size;
    float narrow[CHUNK];
    for (int64_t i = 0; i < size; i += CHUNK) {
        const int64_t n = size - i < CHUNK ? size - i : CHUNK;
        const void *from = real_size == sizeof(double) ? (const void *)(values + i) : narrow;
        for (int64_t k = 0; from == narrow && k < n; k++)
            narrow[k] = (float)values[i + k];
        CRS_TRY(model->ops->upload(model->device, (char *)model->weights + (size_t)(offset + i) * real_size, from,
                                   (size_t)n * real_size));
    }
    return CRS_OK;
}

crs_status crs_model_get_parameters(crs_model *model, double *values) {
    return crs__model_get_values(model, model->weights, 0, model->parameters, values);
}

crs_status crs_model_set_parameters(crs_model *model, const double *values) {
    return crs__model_set_values(model, 0, model->parameters, values);
}

crs_status crs_model_get_gradients(crs_model *model, double *values) {
    return model->gradients ? crs__model_get_values(model, model->gradients, 0, model->trainable, values)
                            : CRS_ERR_ARGUMENT;
}

crs_status crs_model_keep(crs_model *model) {
    const size_t bytes = (size_t)model->parameters * model->ops->real_size;
    if (!model->kept)
        CRS_TRY(crs__device_alloc(model, bytes, "a copy of the weights", &model->kept, NULL));
    return model->ops->copy(model->device, model->kept, model->weights, bytes);
}

crs_status crs_model_restore(crs_model *model) {
    if (!model->kept)
        return CRS_ERR_ARGUMENT;
    return model->ops->copy(model->device, model->weights, model->kept,
                            (size_t)model->parameters * model->ops->real_size);
}
