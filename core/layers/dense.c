/* The dense layer: y = act(x W^T + b), at every time step where there are some. `dense [N] [none|relu|tanh|sigmoid]` */
#include "../layer.h"

enum { ACTIVATION, REGULARISERS };
enum { WEIGHT, BIAS };

static const crs__option options[] = {[ACTIVATION] = CRS__ACTIVATION_OPTION, CRS__REGULARISERS(REGULARISERS)};

static crs_status build_output(crs__builder *builder, crs__layer *layer) {
    if (layer->spec.options[ACTIVATION] != CRS_LINEAR)
        return crs__model_error(builder->error, layer->spec.option_columns[ACTIVATION],
                                "an activation in the last layer",
                                "leave it out: the loss applies softmax or sigmoid to the last layer's values itself");
    if (layer->spec.number == 0)
        layer->out = builder->task->classes;
    return CRS_OK;
}

static crs_status build(crs__builder *builder, crs__layer *layer) {
    layer->out = (int64_t)layer->spec.number;
    layer->out_positions = 0;
    if (builder->last) {
        crs_status status = build_output(builder, layer);
        if (status != CRS_OK)
            return status;
    } else if (layer->spec.number == 0) {
        return crs__model_error(builder->error, layer->spec.column, "\"dense\" without a number of units",
                                "only the last layer's may be left out; write for example \"dense 32\"");
    }
    crs_status status = crs__add_tensor(builder, layer, "weight", layer->out, layer->in, CRS__INIT_GLOROT, 1);
    return status != CRS_OK ? status : crs__add_tensor(builder, layer, "bias", layer->out, 0, CRS__INIT_ZEROS, 1);
}

static void plan(const crs__layer *layer, crs__plan *plan) {
    plan->buffers[0] = crs__output_bytes(plan, layer);
}

static crs_dense arguments(const crs__run *run, const crs__layer *layer, const void *x, void *y) {
    return (crs_dense){.N = crs__output_size(run, layer) / layer->out,
                       .I = layer->in,
                       .O = layer->out,
                       .activation = (crs_activation)layer->spec.options[ACTIVATION],
                       .x = x,
                       .W = crs__weight(run, layer, WEIGHT),
                       .b = crs__weight(run, layer, BIAS),
                       .y = y};
}

static crs_status forward(const crs__run *run, const crs__layer *layer, const void *x, void **y) {
    *y = layer->buffers[0];
    const crs_dense a = arguments(run, layer, x, *y);
    return run->ops->dense_forward(run->device, &a);
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    crs_dense a = arguments(run, layer, x, y);
    a.dy = dy;
    a.dx = dx;
    a.dW = crs__gradient(run, layer, WEIGHT);
    a.db = crs__gradient(run, layer, BIAS);
    return run->ops->dense_backward(run->device, &a);
}

const crs__layer_type crs__layer_dense = {.kind = "dense",
                                          .number = CRS__NUMBER_OUTPUTS,
                                          .options = options,
                                          .option_count = sizeof options / sizeof *options,
                                          .build = build,
                                          .plan = plan,
                                          .forward = forward,
                                          .backward = backward};
