/* Looking at a network: its layers, tensors and sizes. */
#include "network.h"

int64_t crs__layer_trainable(const crs_model *model, size_t index) {
    const crs__layer *layer = &model->layers[index];
    int64_t sum = 0;
    for (size_t i = layer->tensors; i < layer->tensors + layer->tensor_count; i++)
        sum += model->tensors[i].trainable ? model->tensors[i].size : 0;
    return sum;
}

size_t crs_model_layers(const crs_model *model) {
    return model->layer_count;
}

crs_layer_info crs_model_layer(const crs_model *model, size_t index) {
    const crs__layer *layer = &model->layers[index];
    crs_layer_info info = {.kind = layer->type->kind, .text = layer->text};
    info.shape[info.rank++] = -1;
    if (layer->out_time)
        info.shape[info.rank++] = -1;
    if (layer->out_positions)
        info.shape[info.rank++] = layer->out_positions;
    info.shape[info.rank++] = layer->out_positions ? layer->out / layer->out_positions : layer->out;
    for (size_t i = layer->tensors; i < layer->tensors + layer->tensor_count; i++)
        info.parameters += model->tensors[i].size;
    info.trainable = crs__layer_trainable(model, index);
    return info;
}

size_t crs_model_tensors(const crs_model *model) {
    return model->tensor_count;
}

crs_tensor_info crs_model_tensor(const crs_model *model, size_t index) {
    const crs__tensor *tensor = &model->tensors[index];
    return (crs_tensor_info){.name = tensor->name,
                             .shape = {tensor->shape[0], tensor->shape[1], tensor->shape[2], tensor->shape[3]},
                             .rank = tensor->rank,
                             .size = tensor->size,
                             .offset = tensor->offset,
                             .trainable = tensor->trainable};
}

int64_t crs_model_parameters(const crs_model *model) {
    return model->parameters;
}

int64_t crs_model_trainable(const crs_model *model) {
    return model->trainable;
}

int64_t crs_model_outputs(const crs_model *model) {
    return model->outputs;
}

int crs_model_needs_full_length(const crs_model *model, int padded_in_front) {
    return model->full_length || (padded_in_front && model->full_length_in_front);
}

const char *crs_model_line(const crs_model *model) {
    return model->line;
}

crs_backend *crs_model_backend(const crs_model *model) {
    return model->backend;
}
