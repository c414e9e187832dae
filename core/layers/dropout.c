/* The dropout layers: a random mask, drawn anew each step, over every value, or over a row's features and then the same
 * at each of its time steps. `dropout RATE`, `spatial_dropout RATE` */
#include "../layer.h"

static crs_status build(crs__builder *builder, crs__layer *layer) {
    if (layer->type != &crs__layer_spatial_dropout)
        return CRS_OK;
    if (layer->in_positions)
        return crs__model_error(builder->error, layer->spec.column, "\"spatial_dropout\" of a picture",
                                "it drops features of a sequence: put it before conv2d, or write \"dropout\"");
    return crs__need_time(builder, layer);
}

static void plan(const crs__layer *layer, crs__plan *plan) {
    if (plan->training)
        plan->buffers[0] = crs__output_bytes(plan, layer);
}

static crs_status apply(const crs__run *run, const crs__layer *layer, const void *x, void *y) {
    const int64_t n = crs__output_size(run, layer);
    const crs_dropout a = {
        .n = n,
        .period = layer->type == &crs__layer_spatial_dropout ? n / crs__output_steps(run, layer)->T : n,
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

#define DROPOUT_TYPE(name)                                                                                             \
    const crs__layer_type crs__layer_##name = {.kind = #name,                                                          \
                                               .number = CRS__NUMBER_RATE,                                             \
                                               .build = build,                                                         \
                                               .plan = plan,                                                           \
                                               .forward = forward,                                                     \
                                               .backward = backward};
DROPOUT_TYPE(dropout)
DROPOUT_TYPE(spatial_dropout)
