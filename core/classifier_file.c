/* A classifier's file: which tensors and which metadata it has, written and read back. The format itself is
 * safetensors.c. */
#include "classifier.h"
#include "fail.h"
#include "file.h"
#include "safetensors.h"
#include "utf8.h"

#include <carousel/carousel.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_SIZE = 2048 }; /* longer than any setting */
enum { SHAPE_SIZE = 96 };   /* four sizes of 19 digits and what is between them */

/* PyTorch keeps two biases that are only ever added; this is the second's name. */
static void second_bias(const crs__tensor *tensor, char name[sizeof tensor->name]) {
    memcpy(name, tensor->name, sizeof tensor->name);
    strstr(name, "_ih")[1] = 'h';
}

static size_t tensors_in_file(const crs_model *model) {
    size_t count = model->tensor_count;
    for (size_t i = 0; i < model->tensor_count; i++)
        count += model->tensors[i].hidden_bias != 0;
    return count;
}

static double *largest_tensor(const crs_model *model, crs_error *error) {
    int64_t largest = 1;
    for (size_t i = 0; i < model->tensor_count; i++)
        largest = model->tensors[i].size > largest ? model->tensors[i].size : largest;
    double *values = malloc((size_t)largest * sizeof *values);
    if (!values)
        crs__fail_memory(error, (size_t)largest * sizeof *values, "a tensor of a model file");
    return values;
}

/* A kernel's values between memory, [O,taps,I], and file, [O,I,taps], by way of `spare`: a transposition for each
 * output, of `rows` by `columns`. */
static void transpose_each(const crs__tensor *tensor, int64_t rows, int64_t columns, double *values, double *spare) {
    const int64_t n = rows * columns;
    for (int64_t o = 0; o < tensor->shape[0]; o++)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < columns; k++)
                spare[o * n + k * rows + i] = values[o * n + i * columns + k];
    memcpy(values, spare, (size_t)tensor->size * sizeof *values);
}

/* ---- saving ---- */

/* {name: value} of the settings that belong to a model, or of the others. Of the latter, which are only a record, one
 * that JSON cannot hold is left out: a file's name need not be UTF-8. */
static json_t *settings_json(const crs_config *config, int in_model) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    json_t *object = json_object();
    char value[VALUE_SIZE];
    for (size_t i = 0; i < count; i++) {
        if (settings[i].in_model != in_model)
            continue;
        crs_config_get(config, settings[i].name, value, sizeof value);
        if (!in_model && crs__utf8_check(value, strlen(value)) != strlen(value))
            continue;
        if (json_object_set_new(object, settings[i].name, json_string(value)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static int set_text(json_t *object, const char *key, char *text) {
    const int failed = !text || json_object_set_new(object, key, json_string(text)) != 0;
    free(text);
    return failed;
}

static int set_settings(json_t *object, const char *key, const crs_config *config, int in_model) {
    json_t *settings = settings_json(config, in_model);
    const int failed = set_text(object, key, settings ? json_dumps(settings, JSON_COMPACT) : NULL);
    json_decref(settings);
    return failed;
}

static json_t *metadata_of(const crs_classifier *classifier, crs_error *error) {
    json_t *metadata = json_object();
    char *encoder = NULL;
    int failed = crs_encoder_to_json(classifier->encoder, &encoder) != CRS_OK;
    failed |= set_text(metadata, "carousel.encoder", encoder);
    failed |= json_object_set_new(metadata, "format", json_string("pt")) != 0;
    failed |= json_object_set_new(metadata, "carousel.version", json_string(crs_version())) != 0;
    failed |= json_object_set_new(metadata, "carousel.model", json_string(crs_model_line(classifier->model))) != 0;
    failed |= set_settings(metadata, "carousel.config", &classifier->config, 1);
    failed |= set_settings(metadata, "carousel.training", &classifier->config, 0);
    if (!failed)
        return metadata;
    json_decref(metadata);
    crs__fail(error, CRS_ERR_MEMORY, "the model's settings and vocabulary cannot be written as JSON",
              "settings must be UTF-8, and memory must suffice for the vocabulary");
    return NULL;
}

static crs_status write_header(const crs_classifier *classifier, FILE *stream, crs_error *error) {
    const crs_model *model = classifier->model;
    const size_t count = tensors_in_file(model);
    char(*names)[sizeof model->tensors->name] = calloc(count + 1, sizeof *names);
    crs__stored *stored = calloc(count + 1, sizeof *stored);
    json_t *metadata = names && stored ? metadata_of(classifier, error) : NULL;
    crs_status status = CRS_ERR_MEMORY;
    if (metadata) {
        size_t used = 0;
        for (size_t i = 0; i < model->tensor_count; i++)
            for (int second = 0; second <= model->tensors[i].hidden_bias; second++, used++) {
                const crs__tensor *tensor = &model->tensors[i];
                memcpy(names[used], tensor->name, sizeof tensor->name);
                if (second)
                    second_bias(tensor, names[used]);
                stored[used] = (crs__stored){.name = names[used], .rank = tensor->rank, .size = (uint64_t)tensor->size};
                memcpy(stored[used].shape, tensor->shape, sizeof tensor->shape);
            }
        status = crs__safetensors_write_header(stream, stored, count, metadata);
        if (status == CRS_ERR_UNSUPPORTED)
            crs__fail(error, status, "the vocabulary is too long for a model file, whose header has at most %d bytes",
                      "set a smaller --vocabulary or a larger --min-count", (int)CRS__HEADER_MAX);
        else if (status != CRS_OK)
            crs__fail_memory(error, count * sizeof *stored, "the header of a model file");
    } else if (!names || !stored) {
        crs__fail_memory(error, count * sizeof *stored, "the header of a model file");
    }
    json_decref(metadata);
    free(names);
    free(stored);
    return status;
}

static crs_status write_tensors(crs_model *model, FILE *stream, crs_error *error) {
    double *values = largest_tensor(model, error), *spare = largest_tensor(model, error);
    crs_status status = values && spare ? CRS_OK : CRS_ERR_MEMORY;
    for (size_t i = 0; i < model->tensor_count && status == CRS_OK; i++) {
        const crs__tensor *tensor = &model->tensors[i];
        status = crs__model_get_values(model, model->weights, tensor->offset, tensor->size, values);
        if (status == CRS_OK && tensor->taps > 1)
            transpose_each(tensor, tensor->taps, tensor->shape[1], values, spare);
        if (status == CRS_OK)
            status = crs__safetensors_write_values(stream, values, tensor->size);
        if (status == CRS_OK && tensor->hidden_bias) {
            memset(values, 0, (size_t)tensor->size * sizeof *values);
            status = crs__safetensors_write_values(stream, values, tensor->size);
        }
        if (status == CRS_ERR_NOT_FINITE)
            crs__fail(error, status, "a value of %s is not finite, so the model is not saved",
                      "train again with a lower --learning-rate", tensor->name);
        else if (status != CRS_OK)
            crs__fail(error, status, "reading %s from the device: %s", NULL, tensor->name,
                      crs_backend_failure(crs_model_backend(model), status));
    }
    free(values);
    free(spare);
    return status;
}

crs_status crs_classifier_save(crs_classifier *classifier, const char *path, int overwrite, crs_error *error) {
    crs__output output;
    CRS_TRY(crs__output_open(&output, path, overwrite, error));
    crs_status status = write_header(classifier, output.stream, error);
    if (status == CRS_OK)
        status = write_tensors(classifier->model, output.stream, error);
    if (status == CRS_OK)
        return crs__output_close(&output, error);
    crs__output_discard(&output);
    return status;
}

/* ---- loading ---- */

/* Puts the file in front of what a part of it, which does not know the file, complained about. */
static crs_status in_file(crs_error *error, crs_status status, const char *path) {
    return crs__fail_at(error, status, path, 0, -1, "%.300s", "%s", error->what,
                        error->mend[0] ? error->mend : "the file is damaged, or of another version");
}

static crs_status need_metadata(const crs__safetensors *file, const char *key, const char **text, crs_error *error) {
    *text = crs__safetensors_metadata(file, key);
    return *text ? CRS_OK
                 : crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, -1, "has no metadata \"%s\"",
                                "it is no classifier: give a file that \"carousel train\" wrote", key);
}

static crs_status apply_settings(const crs__safetensors *file, const json_t *object, crs_config *config,
                                 crs_error *error) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)object, name, value) {
        int in_model = 0;
        for (size_t i = 0; i < count; i++)
            in_model |= settings[i].in_model && strcmp(settings[i].name, name) == 0;
        if (!in_model || !json_is_string(value))
            return crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, -1, "\"%.64s\" in its settings is not known",
                                "the file is damaged, or of a newer version", name);
        const crs_status status = crs_config_set(config, name, json_string_value(value), error);
        if (status != CRS_OK)
            return in_file(error, status, file->path);
    }
    return CRS_OK;
}

static crs_status load_config(const crs__safetensors *file, crs_config *config, crs_error *error) {
    const char *text, *line;
    json_error_t reason;
    CRS_TRY(need_metadata(file, "carousel.config", &text, error));
    CRS_TRY(need_metadata(file, "carousel.model", &line, error));
    crs_config_init(config);
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &reason);
    if (!json_is_object(object)) {
        json_decref(object);
        return crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, -1, "its settings are no JSON object",
                            "the file is damaged");
    }
    crs_status status = apply_settings(file, object, config, error);
    json_decref(object);
    if (status == CRS_OK && strcmp(config->model, line) != 0)
        status = crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, -1, "tells two different model lines",
                              "the file is damaged");
    return status;
}

static const char *shape_text(const int64_t *shape, int rank, char text[SHAPE_SIZE]) {
    size_t used = 0;
    for (int i = 0; i < rank; i++)
        used += (size_t)snprintf(text + used, SHAPE_SIZE - used, "%s%lld", i ? ", " : "", (long long)shape[i]);
    return text;
}

/* The tensor of that name in the file, which must be of the shape that the model line makes it. */
static crs_status find_stored(const crs__safetensors *file, const crs__tensor *tensor, const char *name,
                              const crs__stored **stored, crs_error *error) {
    char found[SHAPE_SIZE], wanted[SHAPE_SIZE];
    *stored = crs__safetensors_find(file, name);
    if (!*stored)
        return crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, -1, "has no tensor \"%s\"",
                            "it does not belong to its model line: the file is damaged", name);
    if ((*stored)->rank == tensor->rank && memcmp((*stored)->shape, tensor->shape, sizeof tensor->shape) == 0)
        return CRS_OK;
    return crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, (int64_t)(*stored)->offset,
                        "tensor \"%s\" is [%s], but the model line makes it [%s]", "the file is damaged", name,
                        shape_text((*stored)->shape, (*stored)->rank, found),
                        shape_text(tensor->shape, tensor->rank, wanted));
}

/* Before any memory is touched for the weights: a small file may have a line for a huge model. */
static crs_status check_stored(const crs__safetensors *file, const crs_model *model, crs_error *error) {
    const crs__stored *stored;
    if (file->count != tensors_in_file(model))
        return crs__fail_at(error, CRS_ERR_FORMAT, file->path, 0, -1, "has %zu tensors, but its model line makes %zu",
                            "the file is damaged", file->count, tensors_in_file(model));
    for (size_t i = 0; i < model->tensor_count; i++) {
        const crs__tensor *tensor = &model->tensors[i];
        CRS_TRY(find_stored(file, tensor, tensor->name, &stored, error));
        char name[sizeof tensor->name];
        if (tensor->hidden_bias) {
            second_bias(tensor, name);
            CRS_TRY(find_stored(file, tensor, name, &stored, error));
        }
    }
    return CRS_OK;
}

/* Adds a stored tensor to values [tensor->size]. */
static crs_status add_stored(crs__safetensors *file, const crs__tensor *tensor, const char *name, double *stored_values,
                             double *values, crs_error *error) {
    const crs__stored *stored;
    CRS_TRY(find_stored(file, tensor, name, &stored, error));
    CRS_TRY(crs__safetensors_read(file, stored, stored_values, error));
    for (int64_t i = 0; i < tensor->size; i++)
        values[i] += stored_values[i];
    return CRS_OK;
}

static crs_status load_tensors(crs__safetensors *file, crs_model *model, double *stored_values, double *values,
                               crs_error *error) {
    for (size_t i = 0; i < model->tensor_count; i++) {
        const crs__tensor *tensor = &model->tensors[i];
        memset(values, 0, (size_t)tensor->size * sizeof *values);
        CRS_TRY(add_stored(file, tensor, tensor->name, stored_values, values, error));
        if (tensor->hidden_bias) {
            char name[sizeof tensor->name];
            second_bias(tensor, name);
            CRS_TRY(add_stored(file, tensor, name, stored_values, values, error));
        }
        if (tensor->taps > 1)
            transpose_each(tensor, tensor->shape[1], tensor->taps, values, stored_values);
        for (int64_t k = 0; k < tensor->size; k++)
            if (!isfinite((float)values[k]))
                return crs__fail_at(error, CRS_ERR_NOT_FINITE, file->path, 0, -1,
                                    "the biases of \"%s\" add up to infinity", "the file is damaged", tensor->name);
        const crs_status status = crs__model_set_values(model, tensor->offset, tensor->size, values);
        if (status != CRS_OK)
            return crs__fail(error, status, "writing %s to the device: %s", NULL, tensor->name,
                             crs_backend_failure(crs_model_backend(model), status));
    }
    return CRS_OK;
}

static crs_status load_weights(crs__safetensors *file, crs_model *model, crs_error *error) {
    CRS_TRY(check_stored(file, model, error));
    double *stored_values = largest_tensor(model, error), *values = largest_tensor(model, error);
    const crs_status status =
        stored_values && values ? load_tensors(file, model, stored_values, values, error) : CRS_ERR_MEMORY;
    free(stored_values);
    free(values);
    return status;
}

static crs_status load(crs__safetensors *file, crs_backend *backend, crs_classifier **classifier, crs_error *error) {
    crs_config config;
    crs_encoder *encoder;
    const char *text;
    CRS_TRY(load_config(file, &config, error));
    CRS_TRY(need_metadata(file, "carousel.encoder", &text, error));
    crs_status status = crs_encoder_from_json(text, &config, &encoder, error);
    if (status != CRS_OK)
        return in_file(error, status, file->path);
    status = crs__classifier_make(&config, encoder, backend, 0, classifier, error);
    if (status != CRS_OK) {
        crs_encoder_free(encoder);
        return in_file(error, status, file->path);
    }
    return load_weights(file, (*classifier)->model, error);
}

crs_status crs_classifier_load(const char *path, crs_backend *backend, crs_classifier **classifier, crs_error *error) {
    crs__safetensors file;
    crs_error own;
    if (!error)
        error = &own;
    *classifier = NULL;
    CRS_TRY(crs__safetensors_open(path, &file, error));
    const crs_status status = load(&file, backend, classifier, error);
    crs__safetensors_close(&file);
    if (status != CRS_OK) {
        crs_classifier_free(*classifier);
        *classifier = NULL;
    }
    return status;
}
