/* A network: a line such as "embedding 64 | dropout 0.25 | bilstm 64 seq | lstm 32 | dense 2" made into layers on a
 * backend. All parameters lie in one flat block, trainable ones first; gradients and optimizer moments lie in blocks of
 * the same layout. Calls on one model must not overlap; several models may share a backend in turn. */
#ifndef CAROUSEL_MODEL_H
#define CAROUSEL_MODEL_H

#include <carousel/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct crs_model crs_model;

/* What the network is fed with and asked for. */
typedef struct crs_model_task {
    int64_t vocabulary; /* ids are 0..vocabulary-1 */
    int64_t classes;    /* labels are 0..classes-1, >= 2 */
    int64_t length;     /* most time steps of a batch */
    int loss;           /* crs_loss_choice of config.h; auto: sigmoid for 2 classes and 1 output, else softmax */
    double label_smoothing;
    uint64_t seed; /* of the initialisers and the masks */
} crs_model_task;

/* Parses the line and builds the network with initial weights as Keras': Glorot uniform for W, orthogonal R, zero
 * biases with forget bias 1, embeddings uniform in +-0.05. CRS_ERR_MODEL: the error names the word that is wrong, its
 * column, and what would be right. */
crs_status crs_model_create(const char *line, const crs_model_task *task, crs_backend *backend, crs_model **model,
                            crs_error *error);
void crs_model_free(crs_model *model);

/* Whether crs_model_create would take the line, without a backend and without memory for the weights. */
crs_status crs_model_check(const char *line, const crs_model_task *task, crs_error *error);

/* ---- what it consists of ---- */

typedef struct crs_layer_info {
    const char *kind; /* "lstm" */
    const char *text; /* its part of the line */
    int64_t shape[4]; /* output; -1: batch or time */
    int rank;         /* 2: [batch, F], 3: [batch, time, F], 4: [batch, time, positions, F] */
    int64_t parameters, trainable;
} crs_layer_info;

typedef struct crs_tensor_info {
    const char *name; /* as in a PyTorch state_dict: "layers.2.weight_ih_l0" (layers are counted from 0) */
    int64_t shape[4]; /* as in PyTorch; the values of a convolution's kernel, [O,I,taps...], lie as [O,taps...,I] */
    int rank;         /* 1 to 4 */
    int64_t size;     /* number of values */
    int64_t offset;   /* of its first value in the block */
    int trainable;
} crs_tensor_info;

size_t crs_model_layers(const crs_model *model);
crs_layer_info crs_model_layer(const crs_model *model, size_t index);
size_t crs_model_tensors(const crs_model *model);
crs_tensor_info crs_model_tensor(const crs_model *model, size_t index);
int64_t crs_model_parameters(const crs_model *model); /* values in the block */
int64_t crs_model_trainable(const crs_model *model);  /* of these, the first so many are trained */
int64_t crs_model_outputs(const crs_model *model);    /* C of the logits: 1 or classes */
/* Units that the line's last layer is given; 0: none, or the line is wrong. */
int64_t crs_model_line_outputs(const char *line);
/* 1: every batch must have exactly the task's length of steps: a layer takes each step for itself ("flatten"), or has
 * windows whose places depend on the number of steps ("same" with a stride; where texts are padded in front, any
 * stride, and "valid" windows, which a short text does not fill). */
int crs_model_needs_full_length(const crs_model *model, int padded_in_front);
const char *crs_model_line(const crs_model *model);
crs_backend *crs_model_backend(const crs_model *model);

/* The whole block, converted from and to double. values [crs_model_parameters]. */
crs_status crs_model_get_parameters(crs_model *model, double *values);
crs_status crs_model_set_parameters(crs_model *model, const double *values);
crs_status crs_model_get_gradients(crs_model *model, double *values); /* [crs_model_trainable] */

/* ---- running it ---- */

/* A batch in host memory, time-major, padded with id 0. start and len as in ops.h: both NULL where padding counts. */
typedef struct crs_batch {
    int64_t T, B;
    const int32_t *ids;    /* [T,B] */
    const int32_t *start;  /* [B] or NULL */
    const int32_t *len;    /* [B] or NULL */
    const int32_t *labels; /* [B], or NULL for prediction */
} crs_batch;

/* Optimizer, schedule and clipping for crs_model_step: the fields of the operations that are settings, not pointers. */
typedef struct crs_training {
    crs_optimizer optimizer;    /* pointers, n and state are filled by the model */
    crs_schedule schedule;      /* likewise */
    double clip_norm;           /* 0: off */
    const double *class_weight; /* host [classes], copied at crs_model_prepare; NULL: ones */
} crs_training;

/* Allocates gradients, moments and activations for batches up to (T, B), and zeroes the step state. */
crs_status crs_model_prepare(crs_model *model, int64_t T, int64_t B, const crs_training *training, crs_error *error);

/* One training step: upload, forward, loss, backward, norm, update. Waits for nothing. */
crs_status crs_model_step(crs_model *model, const crs_batch *batch);

/* The same without the update: forward with masks on, loss and gradients (zeroed first); for gradient checks. The step
 * number is advanced unless hold is set, so that the same masks can be used again. */
crs_status crs_model_gradient(crs_model *model, const crs_batch *batch, int hold);

/* Forward without masks. Host outputs, each or NULL: logits [B,C], probabilities [B,C], row_loss [B] (unweighted; needs
 * labels). Waits. Works with or without crs_model_prepare (grows its buffers). */
crs_status crs_model_predict(crs_model *model, const crs_batch *batch, float *logits, float *probabilities,
                             double *row_loss);

/* Downloads the step state (waits); reset zeroes loss_sum, rows and correct on the device afterwards. */
crs_status crs_model_state(crs_model *model, int reset, crs_step_state *state);

/* Keeps a copy of the weights on the device, and makes the copy the weights again. */
crs_status crs_model_keep(crs_model *model);
crs_status crs_model_restore(crs_model *model);

#ifdef __cplusplus
}
#endif
#endif
