/* An encoder's vocabulary and labels as JSON: {"version": 1, "tokens": [...], "labels": [...]}, both in the order of
 * their ids. Settings are not in it: they are the config's. */
#include "encoder.h"
#include "fail.h"
#include "utf8.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };

static json_t *strings_of(const crs__counter *counter) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < counter->count; i++)
        if (json_array_append_new(array, json_stringn(crs__counter_text(counter, i), counter->entries[i].size)) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

crs_status crs_encoder_to_json(const crs_encoder *encoder, char **json) {
    json_t *object = json_object();
    *json = NULL;
    if (object && json_object_set_new(object, "version", json_integer(VERSION)) == 0 &&
        json_object_set_new(object, "tokens", strings_of(&encoder->tokens)) == 0 &&
        json_object_set_new(object, "labels", strings_of(&encoder->labels)) == 0)
        *json = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    return *json ? CRS_OK : CRS_ERR_MEMORY;
}

static crs_status fail_json(crs_error *error, const char *what, const char *key, size_t index) {
    return crs__fail(error, CRS_ERR_FORMAT, "the encoder's \"%s\"[%zu] %s",
                     "the model file is damaged: save or fetch it again", key, index, what);
}

/* A list of distinct strings that are not empty, `least` to `most` of them, into counter. */
static crs_status read_strings(const json_t *object, const char *key, size_t least, size_t most, crs__counter *counter,
                               crs_error *error) {
    const json_t *array = json_object_get(object, key);
    size_t count = json_array_size(array);
    if (!json_is_array(array))
        return crs__fail(error, CRS_ERR_FORMAT, "the encoder has no list \"%s\"",
                         "the model file is damaged: save or fetch it again", key);
    if (count < least || count > most)
        return crs__fail(error, CRS_ERR_FORMAT, "the encoder has %zu \"%s\"; %zu to %zu fit its settings",
                         "the model file is damaged: save or fetch it again", count, key, least, most);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        uint32_t index;
        if (!json_is_string(item) || json_string_length(item) == 0)
            return fail_json(error, "is no string, or empty", key, i);
        const char *text = json_string_value(item);
        size_t size = json_string_length(item);
        if (crs__utf8_check(text, size) != size)
            return fail_json(error, "is not valid UTF-8", key, i);
        if (crs__counter_add(counter, text, size, 1, &index) != CRS_OK)
            return crs__fail_memory(error, size, "an encoder");
        if (index != i)
            return fail_json(error, "is there twice", key, i);
    }
    return CRS_OK;
}

static crs_status read_object(const json_t *object, const crs_config *config, crs_encoder *encoder, crs_error *error) {
    const json_t *version = json_object_get(object, "version");
    if (!json_is_integer(version))
        return crs__fail(error, CRS_ERR_FORMAT, "the encoder has no \"version\"",
                         "the model file is damaged: save or fetch it again");
    if (json_integer_value(version) != VERSION)
        return crs__fail(error, CRS_ERR_UNSUPPORTED, "the encoder is of version %lld; this library reads version %d",
                         "use the release of Carousel that wrote it", (long long)json_integer_value(version), VERSION);
    CRS_TRY(read_strings(object, "tokens", 0, (size_t)config->vocabulary - CRS_ID_FIRST, &encoder->tokens, error));
    return read_strings(object, "labels", 2, CRS__COUNTER_MAX, &encoder->labels, error);
}

crs_status crs_encoder_from_json(const char *json, const crs_config *config, crs_encoder **encoder, crs_error *error) {
    *encoder = NULL;
    crs_encoder *made;
    CRS_TRY(crs__encoder_create(config, &made, error));
    json_error_t why;
    json_t *object = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    crs_status status =
        object ? read_object(object, config, made, error)
               : crs__fail_at(error, CRS_ERR_FORMAT, NULL, 0, -1, "the encoder is not JSON at its byte %d: %s",
                              "the model file is damaged: save or fetch it again", why.position, why.text);
    json_decref(object);
    if (status != CRS_OK) {
        crs_encoder_free(made);
        return status;
    }
    *encoder = made;
    return CRS_OK;
}
