/* The dropout layer: a random mask over every value, drawn anew each step. `dropout RATE` */
#include "../layer.h"

static crs_status build(crs__builder *builder, crs__layer *layer) {
    (void)builder;
    layer->out = layer->in;
    layer->out_time = layer->in_time;
    return CRS_OK;
}

static void plan(const crs__layer *layer, crs__plan *plan) {
    if (plan->training)
        plan->buffers[0] = crs__rows(layer->out_time, plan->T, plan->B) * (size_t)layer->out * plan->ops->real_size;
}

static crs_status apply(const crs__run *run, const crs__layer *layer, const void *x, void *y) {
    const int64_t n = (int64_t)crs__rows(layer->out_time, run->steps.T, run->steps.B) * layer->out;
    const crs_dropout a = {
        .n = n,
        .period = n,
        .mask = crs__mask(run, layer, 0, CRS__MASK_DROPOUT, layer->spec.number),
        .state = run->state,
        .x = x,
        .y = y,
    };
    return run->ops->dropout(run->device, &a);
}

/* Not in place: the layer below may need its output again in its backward pass. */
static crs_status forward(const crs__run *run, const crs__layer *layer, const void *x, void **y) {
    if (!run->training) {
        *y = (void *)x;
        return CRS_OK;
    }
    *y = layer->buffers[0];
    return apply(run, layer, x, *y);
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    (void)x, (void)y;
    return dx ? apply(run, layer, dy, dx) : CRS_OK;
}

const crs__layer_type crs__layer_dropout = {.kind = "dropout",
                                            .number = CRS__NUMBER_RATE,
                                            .build = build,
                                            .plan = plan,
                                            .forward = forward,
                                            .backward = backward};
