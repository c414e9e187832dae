/* What a layer is to the model: a kind with its options, and four functions. A layer is one file of layers/ and one
 * line of CRS__LAYER_TYPES; nothing outside of its file knows what it computes. */
#ifndef CRS_LAYER_H
#define CRS_LAYER_H

#include <carousel/model.h>

/* Every layer kind: `name` is the word in a model line, crs__layer_name its description. */
#define CRS__LAYER_TYPES(X)                                                                                            \
    X(embedding)                                                                                                       \
    X(dropout)                                                                                                         \
    X(rnn)                                                                                                             \
    X(lstm)                                                                                                            \
    X(birnn)                                                                                                           \
    X(bilstm)                                                                                                          \
    X(dense)                                                                                                           \
    X(last)                                                                                                            \
    X(mean)                                                                                                            \
    X(max)

/* With these bounds no product of sizes in the model overflows 64 bits: 2^31 steps and rows of 4 * 2^16 gates, 8 bytes
 * each, are 2^52, and 64 layers of 2^31 x 2^16 weights are 2^56 bytes. */
enum { CRS__LAYERS_MAX = 64, CRS__UNITS_MAX = 65536, CRS__CLASSES_MAX = 65536, CRS__STEPS_TIMES_ROWS_MAX = INT32_MAX };

enum { CRS__OPTIONS_MAX = 8, CRS__BUFFERS_MAX = 6, CRS__LAYER_TENSORS_MAX = 6 };

/* ---- the model line ---- */

typedef enum crs__option_kind {
    CRS__OPTION_FLAG,  /* the bare name */
    CRS__OPTION_RATE,  /* name=0.2 */
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
    CRS__NUMBER_UNITS_OR_NOTHING,
    CRS__NUMBER_RATE
} crs__number_kind;

/* One layer as written: what its words say, and where in the line they stand (0-based bytes). */
typedef struct crs__spec {
    const struct crs__layer_type *type;
    size_t column, size;  /* the layer's text in the line */
    double number;        /* 0 where left out */
    size_t number_column; /* column of the kind where left out */
    double options[CRS__OPTIONS_MAX];
    size_t option_columns[CRS__OPTIONS_MAX];
} crs__spec;

/* Reads the words of a line, and judges each alone; whether the layers fit together is for crs_model_create. */
crs_status crs__parse_model(const char *line, crs__spec specs[CRS__LAYERS_MAX], size_t *count, crs_error *error);

/* CRS_ERR_MODEL at a byte of the line. */
crs_status crs__model_error(crs_error *error, size_t column, const char *what, const char *mend);

/* ---- parameters ---- */

typedef enum crs__initialiser {
    CRS__INIT_ZEROS,
    CRS__INIT_FORGET,     /* zeros, with ones for the forget gate: [4H] */
    CRS__INIT_GLOROT,     /* uniform in +-sqrt(6 / (rows + columns)) */
    CRS__INIT_ORTHOGONAL, /* orthonormal columns: [rows, columns], rows >= columns */
    CRS__INIT_EMBEDDING   /* uniform in +-0.05 */
} crs__initialiser;

typedef struct crs__tensor {
    char name[64];
    int64_t shape[2]; /* shape[1] 1 where rank is 1 */
    int rank;
    int64_t size, offset;
    int trainable;
    crs__initialiser initialiser;
    uint64_t stream; /* of the initialiser: from the layer's kind, its count within the kind, and the tensor's name */
    int hidden_bias; /* 1: the file holds a second bias beside it */
} crs__tensor;

/* Values [size] of a tensor. Needs no device. CRS_ERR_MEMORY only. */
crs_status crs__initialise(const crs__tensor *tensor, uint64_t seed, double *values);

/* ---- a layer in a model ---- */

typedef struct crs__layer {
    const struct crs__layer_type *type;
    crs__spec spec;
    char *text;
    size_t index; /* in the line, from 0 */
    int64_t in, out;
    int in_time, out_time; /* 1: [T,B,F], 0: [B,F] */
    size_t tensors;        /* number of the first one in the model */
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
/* An error unless the layer's input has a time axis; it names the layer that lost it. */
crs_status crs__need_time(crs__builder *builder, const crs__layer *layer);

/* What a layer needs for batches up to (T, B): bytes of its own buffers, and of scratch shared by all layers. */
typedef struct crs__plan {
    const crs_ops *ops;
    const crs_device *device;
    int64_t T, B;
    int training;
    size_t buffers[CRS__BUFFERS_MAX], scratch;
} crs__plan;

/* One pass over a batch. */
typedef struct crs__run {
    const crs_ops *ops;
    crs_device *device;
    crs_steps steps;
    const int32_t *ids; /* device [T,B] */
    int training;       /* masks on, and a backward pass follows */
    uint64_t seed;
    const crs_step_state *state;
    const crs__tensor *tensors;
    char *weights, *gradients;
    void *scratch;
} crs__run;

typedef struct crs__layer_type {
    const char *kind;
    crs__number_kind number;
    const crs__option *options;
    size_t option_count;
    /* Sets out and out_time from in and in_time, adds the tensors. */
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

/* Rows of a layer's output: every step of every row, or the rows alone. */
static inline size_t crs__rows(int time, int64_t T, int64_t B) {
    return (size_t)B * (time ? (size_t)T : 1);
}

typedef enum crs__mask_use { CRS__MASK_DROPOUT, CRS__MASK_INPUT, CRS__MASK_RECURRENT } crs__mask_use;

static inline crs_mask crs__mask(const crs__run *run, const crs__layer *layer, int direction, crs__mask_use use,
                                 double rate) {
    return (crs_mask){
        .rate = rate, .seed = run->seed, .site = (uint32_t)(layer->index * 2 + (size_t)direction) * 4 + (uint32_t)use};
}

#endif
