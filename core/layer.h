/* What a layer is to the model: a kind with its options, and four functions. A layer is one file of layers/ and one
 * line of CRS__LAYER_TYPES; nothing outside of its file knows what it computes. */
#ifndef CRS_LAYER_H
#define CRS_LAYER_H

#include <carousel/model.h>

/* Every layer kind: `name` is the word in a model line, crs__layer_name its description. */
#define CRS__LAYER_TYPES(X)                                                                                            \
    X(embedding)                                                                                                       \
    X(onehot)                                                                                                          \
    X(dropout)                                                                                                         \
    X(spatial_dropout)                                                                                                 \
    X(rnn)                                                                                                             \
    X(lstm)                                                                                                            \
    X(gru)                                                                                                             \
    X(birnn)                                                                                                           \
    X(bilstm)                                                                                                          \
    X(bigru)                                                                                                           \
    X(conv)                                                                                                            \
    X(conv2d)                                                                                                          \
    X(maxpool)                                                                                                         \
    X(maxpool2d)                                                                                                       \
    X(avgpool)                                                                                                         \
    X(avgpool2d)                                                                                                       \
    X(batchnorm)                                                                                                       \
    X(layernorm)                                                                                                       \
    X(flatten)                                                                                                         \
    X(last)                                                                                                            \
    X(mean)                                                                                                            \
    X(max)                                                                                                             \
    X(dense)

/* With these bounds no product of sizes in the model overflows 64 bits: 2^31 steps and rows of 4 * 2^16 gates, 8 bytes
 * each, are 2^52, and of 2^20 classes or units of "dense" 2^54; 64 layers of 8 tensors of 2^47 values, 8 bytes each,
 * are 2^59; a layer's whole output is checked where memory for it is planned. */
enum {
    CRS__LAYERS_MAX = 64,
    CRS__UNITS_MAX = 65536,
    CRS__CLASSES_MAX = 1 << 20,
    CRS__WIDTH_MAX = INT32_MAX, /* values of a row at a step */
    CRS__STEPS_TIMES_ROWS_MAX = INT32_MAX
};

#define CRS__TENSOR_MAX (INT64_C(1) << 47) /* values of a tensor */

enum { CRS__OPTIONS_MAX = 9, CRS__BUFFERS_MAX = 9, CRS__LAYER_TENSORS_MAX = 8 };

/* ---- the model line ---- */

typedef enum crs__option_kind {
    CRS__OPTION_FLAG,  /* the bare name */
    CRS__OPTION_RATE,  /* name=0.2 */
    CRS__OPTION_REAL,  /* name=1e-4: zero or more */
    CRS__OPTION_SIZES, /* name=2, or name=2x3 where the layer's window has two sizes; 0 where left out */
    CRS__OPTION_CHOICE /* name=word, or the bare word */
} crs__option_kind;

typedef struct crs__option {
    const char *name;
    crs__option_kind kind;
    const char *choices; /* CHOICE: "a|b|c"; the value is the index, and 0 where the option is left out */
} crs__option;

typedef enum crs__number_kind {
    CRS__NUMBER_NONE,
    CRS__NUMBER_UNITS,
    CRS__NUMBER_OUTPUTS, /* units, as many as there may be classes; may be left out */
    CRS__NUMBER_RATE
} crs__number_kind;

/* Options that several layers have: activations in the order of crs_activation, and what model.c turns into penalties
 * and bounds of a layer's matrices, from option `first` on. */
#define CRS__ACTIVATION_OPTION                                                                                         \
    { "activation", CRS__OPTION_CHOICE, "none|relu|tanh|sigmoid" }
#define CRS__REGULARISERS(first)                                                                                       \
    [first] = {"l1", CRS__OPTION_REAL, NULL}, [(first) + 1] = {"l2", CRS__OPTION_REAL, NULL},                          \
    [(first) + 2] = {"max_norm", CRS__OPTION_REAL, NULL}

/* One layer as written: what its words say, and where in the line they stand (0-based bytes). */
typedef struct crs__spec {
    const struct crs__layer_type *type;
    size_t column, size;  /* the layer's text in the line */
    double number;        /* 0 where left out */
    size_t number_column; /* column of the kind where left out */
    int64_t window[2];    /* 3 or 3x2; [1] is 1 where the window has one size, both 0 where the layer has none */
    size_t window_column; /* column of the kind where left out */
    double options[CRS__OPTIONS_MAX];
    int64_t sizes[CRS__OPTIONS_MAX][2]; /* of CRS__OPTION_SIZES; 1 where left out */
    size_t option_columns[CRS__OPTIONS_MAX];
} crs__spec;

/* Reads the words of a line, and judges each alone; whether the layers fit together is for crs_model_create. */
crs_status crs__parse_model(const char *line, crs__spec specs[CRS__LAYERS_MAX], size_t *count, crs_error *error);

/* CRS_ERR_MODEL at a byte of the line. */
crs_status crs__model_error(crs_error *error, size_t column, const char *what, const char *mend);

/* ---- parameters ---- */

typedef enum crs__initialiser {
    CRS__INIT_ZEROS,
    CRS__INIT_ONES,
    CRS__INIT_FORGET,     /* zeros, with ones for the forget gate: [4H] */
    CRS__INIT_GLOROT,     /* uniform in +-sqrt(6 / (inputs + outputs of a unit)) */
    CRS__INIT_ORTHOGONAL, /* orthonormal columns: [rows, columns], rows >= columns */
    CRS__INIT_EMBEDDING   /* uniform in +-0.05 */
} crs__initialiser;

/* A convolution's kernel is [O,I,taps...] in a file, as PyTorch has it, and [O,taps...,I] in memory. */
typedef struct crs__tensor {
    char name[64];
    int64_t shape[4]; /* in a file; 1 beyond the rank */
    int rank;
    int64_t taps; /* product of shape[2] and shape[3] */
    int64_t size, offset;
    int trainable;
    crs__initialiser initialiser;
    uint64_t stream; /* of the initialiser: from the layer's kind, its count within the kind, and the tensor's name */
    int hidden_bias; /* 1: the file holds a second bias beside it, which is only ever added */
    double l1, l2, max_norm; /* penalties and bound, 0: none */
} crs__tensor;

/* Values [size] of a tensor. Needs no device. CRS_ERR_MEMORY only. */
crs_status crs__initialise(const crs__tensor *tensor, uint64_t seed, double *values);

/* ---- a window over time and positions ---- */

typedef enum crs__padding { CRS__VALID, CRS__SAME, CRS__CAUSAL } crs__padding;

typedef struct crs__geometry {
    int64_t size[2], stride[2], dilation[2];
    crs__padding padding; /* as in Keras */
} crs__geometry;

/* Outputs along an axis of n inputs: 1 or more; a valid window that is longer than the input gives one. */
int64_t crs__window_outputs(const crs__geometry *geometry, int axis, int64_t n);
/* What the operations want to know for an input of T steps and P positions. */
crs_window crs__window_of(const crs__geometry *geometry, int64_t T, int64_t P);
/* Live steps of a row's output from those of its input of T steps. A window is live where it lies within the live
 * steps, one at least where there are any: so that neither depends on how far the batch is padded. */
void crs__window_live(const crs__geometry *geometry, int64_t T, int32_t *start, int32_t *len);

/* ---- a layer in a model ---- */

typedef struct crs__layer {
    const struct crs__layer_type *type;
    crs__spec spec;
    char *text;
    size_t index;                        /* in the line, from 0 */
    int64_t in, out;                     /* values of a row at a step: positions * features */
    int64_t in_positions, out_positions; /* of a picture, 0: it is none */
    int in_time, out_time;               /* 1: [T,B,...], 0: [B,...] */
    crs__geometry geometry;              /* of a window sliding over the steps; size[0] 0: none */
    size_t tensors;                      /* number of the first one in the model */
    size_t tensor_count;
    void *buffers[CRS__BUFFERS_MAX]; /* device, sized by plan */
} crs__layer;

/* While a model is put together. */
typedef struct crs__builder {
    crs_model *model;
    const crs_model_task *task;
    int last; /* the layer is the line's last one */
    crs_error *error;
} crs__builder;

/* Adds a parameter to the layer; columns 0: a vector. The name is PyTorch's, within the layer. */
crs_status crs__add_tensor(crs__builder *builder, crs__layer *layer, const char *name, int64_t rows, int64_t columns,
                           crs__initialiser initialiser, int trainable);
/* The tensor added last is one of two biases in PyTorch's layer, which only ever add up. */
void crs__mark_hidden_bias(crs__builder *builder, crs__layer *layer);
/* Adds a convolution's kernel, of one or two taps axes. */
crs_status crs__add_kernel(crs__builder *builder, crs__layer *layer, int64_t outputs, int64_t inputs,
                           const int64_t taps[2], int axes);
/* An error unless the layer's input has a time axis; it names the layer that lost it. */
crs_status crs__need_time(crs__builder *builder, const crs__layer *layer);

/* What a layer needs for batches up to (T, B): bytes of its own buffers, and of scratch shared by all layers. */
typedef struct crs__plan {
    const crs_ops *ops;
    const crs_device *device;
    int64_t T, B; /* T of the layer's input, 1 where it has no time */
    int64_t T_out;
    int training;
    size_t buffers[CRS__BUFFERS_MAX], scratch;
} crs__plan;

/* One pass over a batch. */
typedef struct crs__run {
    const crs_ops *ops;
    crs_device *device;
    crs_steps steps[CRS__LAYERS_MAX + 1]; /* [i]: of layer i's input, [i + 1]: of its output; T 1 where time is gone */
    const int32_t *ids;                   /* device [T,B] */
    int training;                         /* masks on, and a backward pass follows */
    uint64_t seed;
    const crs_step_state *state;
    const crs__tensor *tensors;
    char *weights, *gradients;
    void *scratch;
} crs__run;

typedef struct crs__layer_type {
    const char *kind;
    crs__number_kind number;
    int window; /* sizes of its window: 0, 1 or 2 */
    const crs__option *options;
    size_t option_count;
    int takes_ids; /* 1: may stand behind "onehot", and then gets NULL for x and works on run->ids */
    /* Sets out and out_time from in and in_time (the rest of the output's shape is set to the input's), adds the
     * tensors. */
    crs_status (*build)(crs__builder *builder, crs__layer *layer);
    void (*plan)(const crs__layer *layer, crs__plan *plan);
    /* x [T,B,in] or [B,in] (NULL for the first layer) to *y; x and *y stay as they are until the backward pass. */
    crs_status (*forward)(const crs__run *run, const crs__layer *layer, const void *x, void **y);
    /* dy is scratch afterwards; dx NULL: not wanted. */
    crs_status (*backward)(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx);
} crs__layer_type;

#define CRS__DECLARE_TYPE(name) extern const crs__layer_type crs__layer_##name;
CRS__LAYER_TYPES(CRS__DECLARE_TYPE)
#undef CRS__DECLARE_TYPE

static inline void *crs__weight(const crs__run *run, const crs__layer *layer, size_t tensor) {
    return run->weights + (size_t)run->tensors[layer->tensors + tensor].offset * run->ops->real_size;
}

static inline void *crs__gradient(const crs__run *run, const crs__layer *layer, size_t tensor) {
    return run->gradients + (size_t)run->tensors[layer->tensors + tensor].offset * run->ops->real_size;
}

/* Time steps of the layer's output for an input of T; 1 where it has no time. */
static inline int64_t crs__layer_steps(const crs__layer *layer, int64_t T) {
    if (!layer->out_time)
        return 1;
    return layer->geometry.size[0] > 0 ? crs__window_outputs(&layer->geometry, 0, T) : T;
}

static inline const crs_steps *crs__input_steps(const crs__run *run, const crs__layer *layer) {
    return &run->steps[layer->index];
}

static inline const crs_steps *crs__output_steps(const crs__run *run, const crs__layer *layer) {
    return &run->steps[layer->index + 1];
}

/* Values of a layer's input and output, of all steps and rows. */
static inline int64_t crs__input_size(const crs__run *run, const crs__layer *layer) {
    const crs_steps *steps = crs__input_steps(run, layer);
    return steps->T * steps->B * layer->in;
}

static inline int64_t crs__output_size(const crs__run *run, const crs__layer *layer) {
    const crs_steps *steps = crs__output_steps(run, layer);
    return steps->T * steps->B * layer->out;
}

/* Bytes of them, planned. */
static inline size_t crs__input_bytes(const crs__plan *plan, const crs__layer *layer) {
    return (size_t)plan->T * (size_t)plan->B * (size_t)layer->in * plan->ops->real_size;
}

static inline size_t crs__output_bytes(const crs__plan *plan, const crs__layer *layer) {
    return (size_t)plan->T_out * (size_t)plan->B * (size_t)layer->out * plan->ops->real_size;
}

/* The layer gets ids, not vectors. */
static inline int crs__gets_ids(const crs__layer *layer) {
    return layer->index > 0 && layer[-1].type == &crs__layer_onehot;
}

typedef enum crs__mask_use { CRS__MASK_DROPOUT, CRS__MASK_INPUT, CRS__MASK_RECURRENT } crs__mask_use;

static inline crs_mask crs__mask(const crs__run *run, const crs__layer *layer, int direction, crs__mask_use use,
                                 double rate) {
    return (crs_mask){
        .rate = rate, .seed = run->seed, .site = (uint32_t)(layer->index * 2 + (size_t)direction) * 4 + (uint32_t)use};
}

#endif
