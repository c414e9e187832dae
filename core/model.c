/* Building a network from its line. Looking at it is model_info.c, running it run.c; the layers themselves are in
 * layers/. */
#include "fail.h"
#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what layers call while they are built ---- */

static uint64_t hash_text(uint64_t hash, const char *text) {
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3); /* FNV-1a */
    return hash;
}

/* A tensor's stream depends on its name and on how many layers of the same kind come before, so that another layer in
 * the line leaves the others' first weights alone. */
static uint64_t stream_of(const crs_model *model, const crs__layer *layer, const char *name) {
    char ordinal[24];
    unsigned before = 0;
    for (const crs__layer *other = model->layers; other < layer; other++)
        before += other->type == layer->type;
    snprintf(ordinal, sizeof ordinal, "/%u/", before);
    return hash_text(hash_text(hash_text(UINT64_C(0xcbf29ce484222325), layer->type->kind), ordinal), name);
}

/* The product of all sizes, or INT64_MAX where it is larger than any tensor may be. */
static int64_t values_of(const crs__tensor *tensor) {
    int64_t size = 1;
    for (int i = 0; i < 4; i++) {
        if (size > CRS__TENSOR_MAX / tensor->shape[i])
            return INT64_MAX;
        size *= tensor->shape[i];
    }
    return size;
}

/* Everything but shape, rank and taps. */
static crs_status add_tensor(crs__builder *builder, crs__layer *layer, const char *name, crs__tensor tensor) {
    crs_model *model = builder->model;
    if (layer->tensor_count == CRS__LAYER_TENSORS_MAX)
        return CRS_ERR_ARGUMENT;
    if (layer->tensor_count == 0)
        layer->tensors = model->tensor_count;
    tensor.size = values_of(&tensor);
    if (tensor.size > CRS__TENSOR_MAX)
        return crs__model_error(builder->error, layer->spec.column, "more weights than any memory holds",
                                "use fewer units, a smaller window or a smaller --vocabulary");
    tensor.stream = stream_of(model, layer, name);
    snprintf(tensor.name, sizeof tensor.name, "layers.%zu.%s", layer->index, name);
    model->tensors[model->tensor_count++] = tensor;
    layer->tensor_count++;
    return CRS_OK;
}

crs_status crs__add_tensor(crs__builder *builder, crs__layer *layer, const char *name, int64_t rows, int64_t columns,
                           crs__initialiser initialiser, int trainable) {
    return add_tensor(builder, layer, name,
                      (crs__tensor){.shape = {rows, columns ? columns : 1, 1, 1},
                                    .rank = columns ? 2 : 1,
                                    .taps = 1,
                                    .trainable = trainable,
                                    .initialiser = initialiser});
}

void crs__mark_hidden_bias(crs__builder *builder, crs__layer *layer) {
    builder->model->tensors[layer->tensors + layer->tensor_count - 1].hidden_bias = 1;
}

crs_status crs__add_kernel(crs__builder *builder, crs__layer *layer, int64_t outputs, int64_t inputs,
                           const int64_t taps[2], int axes) {
    return add_tensor(builder, layer, "weight",
                      (crs__tensor){.shape = {outputs, inputs, taps[0], axes == 2 ? taps[1] : 1},
                                    .rank = 2 + axes,
                                    .taps = taps[0] * (axes == 2 ? taps[1] : 1),
                                    .trainable = 1,
                                    .initialiser = CRS__INIT_GLOROT});
}

crs_status crs__need_time(crs__builder *builder, const crs__layer *layer) {
    if (layer->in_time)
        return CRS_OK;
    const crs__layer *culprit = layer - 1;
    while (culprit->in_time == culprit->out_time)
        culprit--;
    int has_seq = 0;
    for (size_t i = 0; i < culprit->type->option_count; i++)
        has_seq |= strcmp(culprit->type->options[i].name, "seq") == 0;
    char what[384], mend[256];
    snprintf(what, sizeof what, "\"%s\" needs a sequence, but \"%.100s\" before it gives one vector a text",
             layer->type->kind, culprit->text);
    if (has_seq)
        snprintf(mend, sizeof mend, "write \"%.100s seq\" there", culprit->text);
    else
        snprintf(mend, sizeof mend, "put \"%s\" before \"%.100s\"", layer->type->kind, culprit->text);
    return crs__model_error(builder->error, layer->spec.column, what, mend);
}

/* ---- building ---- */

static crs_status check_task(const crs_model_task *task, crs_error *error) {
    if (task->vocabulary < 1 || task->vocabulary > INT32_MAX)
        return crs__fail(error, CRS_ERR_ARGUMENT, "a vocabulary of %lld", "it has 1 to 2147483647 ids",
                         (long long)task->vocabulary);
    if (task->classes < 2 || task->classes > CRS__CLASSES_MAX)
        return crs__fail(error, CRS_ERR_ARGUMENT, "%lld classes", "there are 2 to %d", (long long)task->classes,
                         (int)CRS__CLASSES_MAX);
    if (task->length < 1 || task->length > INT32_MAX)
        return crs__fail(error, CRS_ERR_ARGUMENT, "a length of %lld", "it is 1 to 2147483647", (long long)task->length);
    if (!(task->label_smoothing >= 0 && task->label_smoothing < 1))
        return crs__fail(error, CRS_ERR_ARGUMENT, "label smoothing of %g", "it is from 0 to below 1",
                         task->label_smoothing);
    return CRS_OK;
}

/* What the layer is put behind. */
static crs_status connect(crs__builder *builder, crs__layer *layer) {
    const int source = layer->type == &crs__layer_embedding || layer->type == &crs__layer_onehot;
    char what[384];
    if (layer->index == 0)
        return source ? CRS_OK
                      : crs__model_error(builder->error, layer->spec.column, "the first layer is no embedding",
                                         "begin the line with for example \"embedding 64 | \", or with \"onehot | \"");
    if (source) {
        snprintf(what, sizeof what, "\"%s\" after the first layer", layer->type->kind);
        return crs__model_error(builder->error, layer->spec.column, what,
                                "it turns ids into vectors, and can only come first");
    }
    if (crs__gets_ids(layer) && !layer->type->takes_ids) {
        snprintf(what, sizeof what, "\"%s\" behind \"onehot\"", layer->type->kind);
        return crs__model_error(builder->error, layer->spec.column, what,
                                "one-hot vectors are never written out: put a convolution or a recurrent layer there, "
                                "or begin with an embedding");
    }
    layer->in = layer->out = layer[-1].out;
    layer->in_time = layer->out_time = layer[-1].out_time;
    layer->in_positions = layer->out_positions = layer[-1].out_positions;
    return CRS_OK;
}

static double option_of(const crs__layer *layer, const char *name) {
    for (size_t i = 0; i < layer->type->option_count; i++)
        if (strcmp(layer->type->options[i].name, name) == 0)
            return layer->spec.options[i];
    return 0;
}

/* Penalties and the bound belong to the layer's matrices, not to its biases. */
static void regularise(crs_model *model, const crs__layer *layer) {
    for (size_t i = layer->tensors; i < layer->tensors + layer->tensor_count; i++) {
        crs__tensor *tensor = &model->tensors[i];
        if (tensor->rank == 1 || !tensor->trainable)
            continue;
        tensor->l1 = option_of(layer, "l1");
        tensor->l2 = option_of(layer, "l2");
        tensor->max_norm = option_of(layer, "max_norm");
    }
}

static crs_status build_layers(crs__builder *builder) {
    crs_model *model = builder->model;
    for (size_t i = 0; i < model->layer_count; i++) {
        crs__layer *layer = &model->layers[i];
        builder->last = i + 1 == model->layer_count;
        CRS_TRY(connect(builder, layer));
        CRS_TRY(layer->type->build(builder, layer));
        if (layer->out > CRS__WIDTH_MAX)
            return crs__model_error(builder->error, layer->spec.column, "more than 2147483647 values a row",
                                    "use fewer units, a shorter --length, a smaller --vocabulary or a pooling layer");
        regularise(model, layer);
        const crs__geometry *geometry = &layer->geometry;
        const int slides = geometry->size[0] > 0;
        model->full_length |=
            layer->type == &crs__layer_flatten || (slides && geometry->padding == CRS__SAME && geometry->stride[0] > 1);
        model->full_length_in_front |=
            slides && (geometry->stride[0] > 1 || (geometry->padding == CRS__VALID && geometry->size[0] > 1));
    }
    return CRS_OK;
}

/* The last layer gives the values the loss works on. */
static crs_status check_outputs(crs_model *model, crs_error *error) {
    const crs__layer *last = &model->layers[model->layer_count - 1];
    const long long classes = model->task.classes;
    char what[384], mend[256];
    if (last->type != &crs__layer_dense)
        return crs__model_error(error, last->spec.column, "the last layer is no \"dense\"",
                                "end the line with \"| dense\"");
    if (last->out_time) {
        snprintf(mend, sizeof mend, "put \"last\", \"mean\" or \"max\" before it, or leave out the last \"seq\"");
        return crs__model_error(error, last->spec.column, "the last layer gets a sequence, not one vector a text",
                                mend);
    }
    if (last->out != classes && !(last->out == 1 && classes == 2)) {
        snprintf(what, sizeof what, "%lld outputs for %lld classes", (long long)last->out, classes);
        snprintf(mend, sizeof mend,
                 classes == 2 ? "write \"dense 2\", \"dense 1\" or \"dense\"" : "write \"dense\" or \"dense %lld\"",
                 classes);
        return crs__model_error(error, last->spec.number_column, what, mend);
    }
    if (model->task.loss == CRS_LOSS_SOFTMAX && last->out == 1)
        return crs__model_error(error, last->spec.number_column, "one output has no softmax",
                                "write \"dense 2\", or choose the loss sigmoid");
    model->outputs = last->out;
    switch (model->task.loss) {
    case CRS_LOSS_AUTO:
        model->loss = last->out == 1 ? CRS_SIGMOID_CROSS_ENTROPY : CRS_SOFTMAX_CROSS_ENTROPY;
        return CRS_OK;
    case CRS_LOSS_SOFTMAX:
        model->loss = CRS_SOFTMAX_CROSS_ENTROPY;
        return CRS_OK;
    case CRS_LOSS_SIGMOID:
        model->loss = CRS_SIGMOID_CROSS_ENTROPY;
        return CRS_OK;
    case CRS_LOSS_MSE:
        model->loss = CRS_MEAN_SQUARED_ERROR;
        return CRS_OK;
    }
    return crs__fail(error, CRS_ERR_ARGUMENT, "loss number %d", "take one of crs_loss_choice", model->task.loss);
}

static void lay_out_block(crs_model *model) {
    int64_t offset = 0;
    for (int trainable = 1; trainable >= 0; trainable--) {
        for (size_t i = 0; i < model->tensor_count; i++)
            if (model->tensors[i].trainable == trainable) {
                model->tensors[i].offset = offset;
                offset += model->tensors[i].size;
            }
        if (trainable)
            model->trainable = offset;
    }
    model->parameters = offset;
    while (model->first_trained + 1 < model->layer_count && crs__layer_trainable(model, model->first_trained) == 0)
        model->first_trained++;
}

static crs_status draw_weights(crs_model *model, crs_error *error) {
    int64_t largest = 1;
    for (size_t i = 0; i < model->tensor_count; i++)
        largest = model->tensors[i].size > largest ? model->tensors[i].size : largest;
    double *values = malloc((size_t)largest * sizeof *values);
    if (!values)
        return crs__fail_memory(error, (size_t)largest * sizeof *values, "the first weights");
    crs_status status = CRS_OK;
    for (size_t i = 0; i < model->tensor_count && status == CRS_OK; i++) {
        const crs__tensor *tensor = &model->tensors[i];
        status = crs__initialise(tensor, model->task.seed, values);
        if (status == CRS_OK)
            status = crs__model_set_values(model, tensor->offset, tensor->size, values);
        if (status != CRS_OK)
            crs__fail(error, status, "the first weights of %s: %s", NULL, tensor->name,
                      crs_backend_failure(crs_model_backend(model), status));
    }
    free(values);
    return status;
}

static crs_status take_specs(crs_model *model, const char *line, crs_error *error) {
    crs__spec specs[CRS__LAYERS_MAX];
    size_t count;
    CRS_TRY(crs__parse_model(line, specs, &count, error));
    model->line = strdup(line);
    model->layers = calloc(count, sizeof *model->layers);
    model->tensors = calloc(count * CRS__LAYER_TENSORS_MAX, sizeof *model->tensors);
    if (!model->line || !model->layers || !model->tensors)
        return crs__fail_memory(error, count * sizeof *model->layers, "the layers");
    model->layer_count = count;
    for (size_t i = 0; i < count; i++) {
        crs__layer *layer = &model->layers[i];
        layer->type = specs[i].type;
        layer->spec = specs[i];
        layer->index = i;
        layer->text = strndup(line + specs[i].column, specs[i].size);
        if (!layer->text)
            return crs__fail_memory(error, specs[i].size + 1, "the layers");
    }
    return CRS_OK;
}

/* The network on paper. */
static crs_status design(crs_model *model, const char *line, crs_error *error) {
    CRS_TRY(check_task(&model->task, error));
    CRS_TRY(take_specs(model, line, error));
    crs__builder builder = {.model = model, .task = &model->task, .error = error};
    CRS_TRY(build_layers(&builder));
    CRS_TRY(check_outputs(model, error));
    lay_out_block(model);
    return CRS_OK;
}

static crs_status build(crs_model *model, const char *line, int initialise, crs_error *error) {
    CRS_TRY(design(model, line, error));
    CRS_TRY(
        crs__device_alloc(model, (size_t)model->parameters * model->ops->real_size, "weights", &model->weights, error));
    CRS_TRY(crs__device_alloc(model, sizeof(crs_step_state), "the step state", &model->state, error));
    CRS_TRY(crs__device_alloc(model, sizeof(crs_step_state), "the step state", &model->prediction, error));
    crs_status status = model->ops->fill(model->device, model->state, 0, sizeof(crs_step_state));
    if (status == CRS_OK)
        status = model->ops->fill(model->device, model->prediction, 0, sizeof(crs_step_state));
    if (status != CRS_OK)
        return crs__fail(error, status, "the device failed while the model was built", NULL);
    return initialise ? draw_weights(model, error) : CRS_OK;
}

crs_status crs__model_create(const char *line, const crs_model_task *task, crs_backend *backend, int initialise,
                             crs_model **model, crs_error *error) {
    *model = NULL;
    crs_model *made = calloc(1, sizeof *made);
    if (!made)
        return crs__fail_memory(error, sizeof *made, "a model");
    made->backend = backend;
    made->ops = crs_backend_ops(backend);
    made->device = crs_backend_device(backend);
    made->task = *task;
    crs_status status = build(made, line, initialise, error);
    if (status == CRS_OK)
        *model = made;
    else
        crs_model_free(made);
    return status;
}

crs_status crs_model_create(const char *line, const crs_model_task *task, crs_backend *backend, crs_model **model,
                            crs_error *error) {
    return crs__model_create(line, task, backend, 1, model, error);
}

static void free_design(crs_model *model) {
    for (size_t i = 0; i < model->layer_count; i++)
        free(model->layers[i].text);
    free(model->layers);
    free(model->tensors);
    free(model->line);
    free(model);
}

crs_status crs_model_check(const char *line, const crs_model_task *task, crs_error *error) {
    crs_model *model = calloc(1, sizeof *model);
    if (!model)
        return crs__fail_memory(error, sizeof *model, "a model");
    model->task = *task;
    const crs_status status = design(model, line, error);
    free_design(model);
    return status;
}

void crs_model_free(crs_model *model) {
    if (!model)
        return;
    crs__model_release_training(model);
    crs__model_release_batch(model);
    model->ops->free(model->device, model->weights);
    model->ops->free(model->device, model->kept);
    model->ops->free(model->device, model->state);
    model->ops->free(model->device, model->prediction);
    free_design(model);
}
