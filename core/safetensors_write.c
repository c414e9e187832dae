/* Writing safetensors. */
#include "fail.h"
#include "safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 8, CHUNK = 4096 };

static json_t *entry_of(const crs__stored *tensor, uint64_t begin) {
    const uint64_t end = begin + tensor->size * sizeof(float);
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)begin,
                     (json_int_t)end);
}

static char *header_text(const crs__stored *tensors, size_t count, json_t *metadata) {
    json_t *header = json_object();
    uint64_t begin = 0;
    int failed = json_object_set(header, "__metadata__", metadata);
    for (size_t i = 0; i < count; i++) {
        failed |= json_object_set_new(header, tensors[i].name, entry_of(&tensors[i], begin));
        begin += tensors[i].size * sizeof(float);
    }
    char *text = failed ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

crs_status crs__safetensors_write_header(FILE *stream, const crs__stored *tensors, size_t count, json_t *metadata) {
    char *text = header_text(tensors, count, metadata);
    if (!text)
        return CRS_ERR_MEMORY;
    const size_t size = strlen(text);
    /* Padded with blanks, as the format allows, so that the values are aligned. */
    const size_t padded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (padded > CRS__HEADER_MAX) {
        free(text);
        return CRS_ERR_UNSUPPORTED;
    }
    for (int i = 0; i < 8; i++)
        fputc((int)((uint64_t)padded >> (8 * i) & 0xff), stream);
    fwrite(text, 1, size, stream);
    for (size_t i = size; i < padded; i++)
        fputc(' ', stream);
    free(text);
    return CRS_OK;
}

crs_status crs__safetensors_write_values(FILE *stream, const double *values, int64_t n) {
    unsigned char bytes[CHUNK * sizeof(float)];
    for (int64_t i = 0; i < n; i += CHUNK) {
        const size_t m = n - i < CHUNK ? (size_t)(n - i) : CHUNK;
        for (size_t k = 0; k < m; k++) {
            const float value = (float)values[i + (int64_t)k];
            uint32_t bits;
            if (!isfinite(value))
                return CRS_ERR_NOT_FINITE;
            memcpy(&bits, &value, sizeof bits);
            for (int b = 0; b < 4; b++)
                bytes[k * 4 + (size_t)b] = (unsigned char)(bits >> (8 * b));
        }
        fwrite(bytes, sizeof(float), m, stream);
    }
    return CRS_OK;
}
