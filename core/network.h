/* Inside of a crs_model, shared by the files that build it (model.c), give it memory (prepare.c), run it (run.c) and
 * store it (classifier_file.c). */
#ifndef CRS_NETWORK_H
#define CRS_NETWORK_H

#include "layer.h"

#include <carousel/config.h>

struct crs_model {
    crs_backend *backend;
    const crs_ops *ops;
    crs_device *device;
    char *line;
    crs_model_task task;
    crs_loss_kind loss;
    int64_t outputs; /* C of the logits */

    crs__layer *layers;
    size_t layer_count;
    crs__tensor *tensors; /* in the line's order; offsets put frozen ones last */
    size_t tensor_count;
    int64_t parameters, trainable;
    size_t first_trained;                  /* no layer below it has a gradient */
    int full_length, full_length_in_front; /* crs_model_needs_full_length, always or with padding in front */

    /* Device memory that lives as long as the model. */
    void *weights;    /* [parameters] */
    void *kept;       /* [parameters], or NULL: nothing kept */
    void *state;      /* crs_step_state of training */
    void *prediction; /* crs_step_state of predictions, which must not disturb training's sums */

    /* Device memory of training: NULL until crs_model_prepare. */
    crs_training training;
    int64_t training_T, training_B;
    void *gradients, *m, *v; /* [trainable] */
    void *class_weight;      /* [classes] or NULL */

    /* Memory of a batch of up to T, B; 0: none. */
    int64_t T, B;
    int32_t *staging;    /* host: ids [T,B], labels [B]; start [B] and len [B] of the batch and behind each window */
    void *inputs;        /* device: the same int32s */
    void *results;       /* host: [B,outputs] reals */
    void *probabilities; /* [B,outputs] */
    void *row_loss;      /* [B] */
    void *dy[2];         /* gradients of two neighbouring layers' outputs */
    void *scratch;
};

/* crs_model_create, with the weights drawn only where asked: a file's weights would replace them at once. */
crs_status crs__model_create(const char *line, const crs_model_task *task, crs_backend *backend, int initialise,
                             crs_model **model, crs_error *error);

/* Trained values of a layer. */
int64_t crs__layer_trainable(const crs_model *model, size_t index);

/* Values [tensor->size] of one tensor, from and to double. Download waits. */
crs_status crs__model_get_values(crs_model *model, const void *block, int64_t offset, int64_t size, double *values);
crs_status crs__model_set_values(crs_model *model, int64_t offset, int64_t size, const double *values);

/* Device memory; bytes 0: NULL. */
crs_status crs__device_alloc(crs_model *model, size_t bytes, const char *purpose, void **memory, crs_error *error);

/* Room for batches up to (T, B), besides what there is room for already. */
crs_status crs__model_make_room(crs_model *model, int64_t T, int64_t B, crs_error *error);
/* Frees what crs_model_prepare and the batches allocated. */
void crs__model_release_training(crs_model *model);
void crs__model_release_batch(crs_model *model);

#endif
