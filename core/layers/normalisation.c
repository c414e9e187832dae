/* The normalising layers: of each feature over a batch, and of each vector over its features, with Keras' defaults.
 * `batchnorm [momentum=0.99] [epsilon=0.001]`, `layernorm [epsilon=0.001]` */
#include "../layer.h"

enum { EPSILON, MOMENTUM };
enum { GAMMA, BETA, RUNNING_MEAN, RUNNING_VAR };
enum { Y, RESERVE };

static const crs__option batchnorm_options[] = {
    [EPSILON] = {"epsilon", CRS__OPTION_REAL, NULL}, [MOMENTUM] = {"momentum", CRS__OPTION_RATE, NULL}};
static const crs__option layernorm_options[] = {[EPSILON] = {"epsilon", CRS__OPTION_REAL, NULL}};

static int is_batchnorm(const crs__layer *layer) {
    return layer->type == &crs__layer_batchnorm;
}

static int64_t positions(const crs__layer *layer) {
    return layer->in_positions ? layer->in_positions : 1;
}

static int64_t features(const crs__layer *layer) {
    return layer->in / positions(layer);
}

static double epsilon(const crs__layer *layer) {
    return layer->spec.option_columns[EPSILON] ? layer->spec.options[EPSILON] : 1e-3;
}

static crs_status build(crs__builder *builder, crs__layer *layer) {
    static const struct {
        const char *name;
        crs__initialiser initialiser;
        int trainable;
    } tensors[] = {[GAMMA] = {"weight", CRS__INIT_ONES, 1},
                   [BETA] = {"bias", CRS__INIT_ZEROS, 1},
                   [RUNNING_MEAN] = {"running_mean", CRS__INIT_ZEROS, 0},
                   [RUNNING_VAR] = {"running_var", CRS__INIT_ONES, 0}};
    if (epsilon(layer) < 1e-16)
        return crs__model_error(builder->error, layer->spec.option_columns[EPSILON], "an epsilon below 1e-16",
                                "it guards against division by zero: give for example epsilon=0.001");
    crs_status status = CRS_OK;
    for (int i = 0; i < (is_batchnorm(layer) ? 4 : 2) && status == CRS_OK; i++)
        status = crs__add_tensor(builder, layer, tensors[i].name, features(layer), 0, tensors[i].initialiser,
                                 tensors[i].trainable);
    return status;
}

/* ---- over a batch ---- */

static crs_batch_norm batch_arguments(const crs__layer *layer, crs_steps steps, int training) {
    const int given = layer->spec.option_columns[MOMENTUM] != 0;
    return (crs_batch_norm){.steps = steps,
                            .P = positions(layer),
                            .F = features(layer),
                            .training = training,
                            .momentum = given ? layer->spec.options[MOMENTUM] : 0.99,
                            .epsilon = epsilon(layer)};
}

static crs_batch_norm batch_run(const crs__run *run, const crs__layer *layer, const void *x, void *y) {
    crs_batch_norm a = batch_arguments(layer, *crs__input_steps(run, layer), run->training);
    a.gamma = crs__weight(run, layer, GAMMA);
    a.beta = crs__weight(run, layer, BETA);
    a.running_mean = crs__weight(run, layer, RUNNING_MEAN);
    a.running_var = crs__weight(run, layer, RUNNING_VAR);
    a.x = x;
    a.y = y;
    a.reserve = layer->buffers[RESERVE];
    return a;
}

/* ---- over features ---- */

static crs_layer_norm layer_arguments(const crs__layer *layer, crs_steps steps) {
    return (crs_layer_norm){.N = steps.T * steps.B * positions(layer), .F = features(layer), .epsilon = epsilon(layer)};
}

static crs_layer_norm layer_run(const crs__run *run, const crs__layer *layer, const void *x, void *y) {
    crs_layer_norm a = layer_arguments(layer, *crs__input_steps(run, layer));
    a.gamma = crs__weight(run, layer, GAMMA);
    a.beta = crs__weight(run, layer, BETA);
    a.x = x;
    a.y = y;
    a.reserve = layer->buffers[RESERVE];
    return a;
}

/* ---- both ---- */

static void plan(const crs__layer *layer, crs__plan *plan) {
    const crs_steps steps = {.T = plan->T, .B = plan->B};
    plan->buffers[Y] = crs__output_bytes(plan, layer);
    if (is_batchnorm(layer)) {
        const crs_batch_norm a = batch_arguments(layer, steps, plan->training);
        plan->buffers[RESERVE] = plan->ops->batch_norm_reserve(plan->device, &a);
    } else {
        const crs_layer_norm a = layer_arguments(layer, steps);
        plan->buffers[RESERVE] = plan->ops->layer_norm_reserve(plan->device, &a);
    }
}

static crs_status forward(const crs__run *run, const crs__layer *layer, const void *x, void **y) {
    *y = layer->buffers[Y];
    if (is_batchnorm(layer)) {
        const crs_batch_norm a = batch_run(run, layer, x, *y);
        return run->ops->batch_norm_forward(run->device, &a);
    }
    const crs_layer_norm a = layer_run(run, layer, x, *y);
    return run->ops->layer_norm_forward(run->device, &a);
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    if (is_batchnorm(layer)) {
        crs_batch_norm a = batch_run(run, layer, x, y);
        a.dy = dy;
        a.dx = dx;
        a.dgamma = crs__gradient(run, layer, GAMMA);
        a.dbeta = crs__gradient(run, layer, BETA);
        return run->ops->batch_norm_backward(run->device, &a);
    }
    crs_layer_norm a = layer_run(run, layer, x, y);
    a.dy = dy;
    a.dx = dx;
    a.dgamma = crs__gradient(run, layer, GAMMA);
    a.dbeta = crs__gradient(run, layer, BETA);
    return run->ops->layer_norm_backward(run->device, &a);
}

#define NORMALISATION_TYPE(name)                                                                                       \
    const crs__layer_type crs__layer_##name = {.kind = #name,                                                          \
                                               .options = name##_options,                                              \
                                               .option_count = sizeof name##_options / sizeof *name##_options,         \
                                               .build = build,                                                         \
                                               .plan = plan,                                                           \
                                               .forward = forward,                                                     \
                                               .backward = backward};
NORMALISATION_TYPE(batchnorm)
NORMALISATION_TYPE(layernorm)
