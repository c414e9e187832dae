/* carousel inspect MODEL: a table of layers like Keras' summary, and what else a model file holds. */
#include "command.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void format_shape(const crs_layer_info *layer, char text[64]) {
    int used = snprintf(text, 64, "(batch");
    for (int i = 1; i < layer->rank; i++)
        used += layer->shape[i] < 0 ? snprintf(text + used, 64 - (size_t)used, ", time")
                                    : snprintf(text + used, 64 - (size_t)used, ", %lld", (long long)layer->shape[i]);
    snprintf(text + used, 64 - (size_t)used, ")");
}

static void print_table(const crs_model *model) {
    char count[32], shape[64];
    printf("%-48s %-24s %14s\n", "layer", "output shape", "parameters");
    for (size_t i = 0; i < crs_model_layers(model); i++) {
        crs_layer_info layer = crs_model_layer(model, i);
        format_shape(&layer, shape);
        format_count(layer.parameters, count);
        printf("%-48s %-24s %14s\n", layer.text, shape, count);
    }
    int64_t all = crs_model_parameters(model), trainable = crs_model_trainable(model);
    const double mebibytes = (double)all * 4 / 1048576;
    format_count(all, count);
    printf("\ntotal parameters         %14s (%.1f %s)\n", count, mebibytes < 1 ? mebibytes * 1024 : mebibytes,
           mebibytes < 1 ? "KiB" : "MiB");
    format_count(trainable, count);
    printf("trainable parameters     %14s\n", count);
    format_count(all - trainable, count);
    printf("non-trainable parameters %14s\n", count);
}

static void print_tensors(const crs_model *model) {
    printf("\n%-40s %s\n", "tensor", "shape");
    for (size_t i = 0; i < crs_model_tensors(model); i++) {
        crs_tensor_info tensor = crs_model_tensor(model, i);
        printf("%-40s [%lld", tensor.name, (long long)tensor.shape[0]);
        for (int k = 1; k < tensor.rank; k++)
            printf(", %lld", (long long)tensor.shape[k]);
        puts("]");
    }
}

static json_t *json_of_model(const crs_model *model) {
    json_t *layers = json_array(), *tensors = json_array();
    for (size_t i = 0; i < crs_model_layers(model); i++) {
        crs_layer_info layer = crs_model_layer(model, i);
        json_t *shape = json_array();
        for (int k = 0; k < layer.rank; k++)
            json_array_append_new(shape, layer.shape[k] < 0 ? json_null() : json_integer((json_int_t)layer.shape[k]));
        json_array_append_new(layers, json_pack("{s:s, s:s, s:o, s:I, s:I}", "kind", layer.kind, "text", layer.text,
                                                "shape", shape, "parameters", (json_int_t)layer.parameters, "trainable",
                                                (json_int_t)layer.trainable));
    }
    for (size_t i = 0; i < crs_model_tensors(model); i++) {
        crs_tensor_info tensor = crs_model_tensor(model, i);
        json_t *shape = json_array();
        for (int k = 0; k < tensor.rank; k++)
            json_array_append_new(shape, json_integer((json_int_t)tensor.shape[k]));
        json_array_append_new(
            tensors, json_pack("{s:s, s:o, s:b}", "name", tensor.name, "shape", shape, "trainable", tensor.trainable));
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I}", "carousel", crs_version(), "line", crs_model_line(model),
                     "layers", layers, "tensors", tensors, "parameters", (json_int_t)crs_model_parameters(model),
                     "trainable", (json_int_t)crs_model_trainable(model));
}

static json_t *json_of_classifier(const crs_classifier *classifier) {
    json_t *object = json_of_model(classifier->model), *labels = json_array(), *chosen = json_object();
    for (int64_t c = 0; c < crs_encoder_classes(classifier->encoder); c++)
        json_array_append_new(labels, json_string(crs_encoder_label(classifier->encoder, c)));
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++) {
        char value[1024];
        if (settings[i].in_model)
            json_object_set_new(
                chosen, settings[i].name,
                json_string(crs_config_get(&classifier->config, settings[i].name, value, sizeof value)));
    }
    json_object_set_new(object, "labels", labels);
    json_object_set_new(object, "settings", chosen);
    json_object_set_new(object, "vocabulary", json_integer((json_int_t)crs_encoder_vocabulary(classifier->encoder)));
    return object;
}

static void print_classifier(const crs_classifier *classifier) {
    int64_t vocabulary = crs_encoder_vocabulary(classifier->encoder);
    print_table(classifier->model);
    print_tensors(classifier->model);
    printf("\nlabels     ");
    for (int64_t c = 0; c < crs_encoder_classes(classifier->encoder); c++) {
        fputs(c ? ", " : "", stdout);
        print_name(stdout, crs_encoder_label(classifier->encoder, c), 0, INT_MAX);
    }
    printf("\nvocabulary %lld:", (long long)vocabulary);
    for (int64_t id = CRS_ID_FIRST; id < vocabulary && id < CRS_ID_FIRST + 12; id++) {
        putchar(' ');
        print_name(stdout, crs_encoder_token(classifier->encoder, id), 0, INT_MAX);
    }
    puts(vocabulary > CRS_ID_FIRST + 12 ? " ..." : "");
    puts("settings");
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++) {
        char value[1024];
        if (!settings[i].in_model)
            continue;
        printf("  %-16s ", settings[i].name);
        print_name(stdout, crs_config_get(&classifier->config, settings[i].name, value, sizeof value), 0, INT_MAX);
        putchar('\n');
    }
}

/* The number of classes a line is for: asked for, or the last layer's number of outputs, or two; 0: asked for what is
 * no number. */
static int64_t classes_asked_for(const invocation *in) {
    if (in->extras.classes) {
        char *end;
        const long long classes = strtoll(in->extras.classes, &end, 10);
        return end == in->extras.classes || *end || classes < 2 ? 0 : classes;
    }
    return classes_of_line(in->arguments[0]);
}

static int inspect_line(invocation *in, crs_backend *backend) {
    crs_error error;
    crs_model *model;
    crs_model_task task = {.vocabulary = in->config.vocabulary,
                           .classes = classes_asked_for(in),
                           .length = in->config.length,
                           .loss = in->config.loss,
                           .seed = in->config.seed};
    if (task.classes == 0) {
        fprintf(stderr, "carousel: --classes '%s' does not fit; give a whole number from 2\n", in->extras.classes);
        return EXIT_USAGE;
    }
    if (crs_model_create(in->arguments[0], &task, backend, &model, &error) != CRS_OK)
        return fail(&error);
    int result = EXIT_DONE;
    if (in->extras.json)
        result = print_json(json_of_model(model));
    else
        print_table(model);
    crs_model_free(model);
    return result;
}

/* A file has its own settings of text; one given on the command line would be shown as if it were the file's. */
static int refuse_text_settings(const invocation *in) {
    size_t count;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count; i++)
        if (in->given[i] && strcmp(settings[i].group, "Text") == 0) {
            fprintf(stderr, "carousel: --%s is for a model line; leave it out for a model file\n", settings[i].name);
            return 1;
        }
    return 0;
}

static int inspect_file(invocation *in, crs_backend *backend) {
    if (refuse_text_settings(in))
        return EXIT_USAGE;
    crs_classifier *classifier = open_classifier(in, in->arguments[0], backend);
    if (!classifier)
        return EXIT_FAILED;
    int result = EXIT_DONE;
    if (in->extras.json)
        result = print_json(json_of_classifier(classifier));
    else
        print_classifier(classifier);
    crs_classifier_free(classifier);
    return result;
}

int run_inspect(invocation *in) {
    const int is_line = is_model_line(in->arguments[0]);
    /* Nothing is computed, so the backend is not announced. */
    in->extras.quiet = 1;
    crs_backend *backend = open_backend(in);
    int result = !backend ? EXIT_FAILED : is_line ? inspect_line(in, backend) : inspect_file(in, backend);
    crs_backend_close(backend);
    return result;
}
