/* The pooling layers: one vector from the live steps of a sequence. `last`, `mean`, `max` */
#include "../layer.h"

enum { Y, ARGMAX };

static crs_pool_kind kind_of(const crs__layer *layer) {
    return layer->type == &crs__layer_last   ? CRS_POOL_LAST
           : layer->type == &crs__layer_mean ? CRS_POOL_MEAN
                                             : CRS_POOL_MAX;
}

static crs_status build(crs__builder *builder, crs__layer *layer) {
    layer->out_time = 0;
    layer->out_positions = 0;
    return crs__need_time(builder, layer);
}

static void plan(const crs__layer *layer, crs__plan *plan) {
    plan->buffers[Y] = (size_t)plan->B * (size_t)layer->out * plan->ops->real_size;
    if (kind_of(layer) == CRS_POOL_MAX)
        plan->buffers[ARGMAX] = (size_t)plan->B * (size_t)layer->out * sizeof(int32_t);
}

static crs_pool arguments(const crs__run *run, const crs__layer *layer) {
    return (crs_pool){.steps = *crs__input_steps(run, layer),
                      .F = layer->out,
                      .kind = kind_of(layer),
                      .argmax = layer->buffers[ARGMAX]};
}

static crs_status forward(const crs__run *run, const crs__layer *layer, const void *x, void **y) {
    crs_pool a = arguments(run, layer);
    a.x = x;
    a.y = *y = layer->buffers[Y];
    return run->ops->pool_forward(run->device, &a);
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    if (!dx)
        return CRS_OK;
    crs_pool a = arguments(run, layer);
    a.x = x;
    a.y = y;
    a.dy = dy;
    a.dx = dx;
    return run->ops->pool_backward(run->device, &a);
}

#define POOL_TYPE(name)                                                                                                \
    const crs__layer_type crs__layer_##name = {                                                                        \
        .kind = #name, .build = build, .plan = plan, .forward = forward, .backward = backward};
POOL_TYPE(last)
POOL_TYPE(mean)
POOL_TYPE(max)
