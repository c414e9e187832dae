/* The flattening layer: all steps of a row in one vector, time in front. Every step then has weights of its own in the
 * layer behind, so that each batch must be of the full length. `flatten` */
#include "../layer.h"

enum { Y };

/* Time steps of the layer's input for texts of the task's length. */
static int64_t full_steps(const crs__builder *builder, const crs__layer *layer) {
    int64_t T = builder->task->length;
    for (const crs__layer *before = layer - layer->index; before < layer; before++)
        T = crs__layer_steps(before, T);
    return T;
}

static crs_status build(crs__builder *builder, crs__layer *layer) {
    const crs_status status = crs__need_time(builder, layer);
    if (status != CRS_OK)
        return status;
    layer->out = layer->in * full_steps(builder, layer); /* both below 2^31 */
    layer->out_time = 0;
    layer->out_positions = 0;
    return CRS_OK;
}

static void plan(const crs__layer *layer, crs__plan *plan) {
    plan->buffers[Y] = crs__output_bytes(plan, layer);
}

static crs_flatten arguments(const crs__run *run, const crs__layer *layer, const void *x, void *y) {
    return (crs_flatten){.steps = *crs__input_steps(run, layer), .F = layer->in, .x = x, .y = y};
}

static crs_status forward(const crs__run *run, const crs__layer *layer, const void *x, void **y) {
    *y = layer->buffers[Y];
    const crs_flatten a = arguments(run, layer, x, *y);
    return run->ops->flatten_forward(run->device, &a);
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    if (!dx)
        return CRS_OK;
    crs_flatten a = arguments(run, layer, x, y);
    a.dy = dy;
    a.dx = dx;
    return run->ops->flatten_backward(run->device, &a);
}

const crs__layer_type crs__layer_flatten = {
    .kind = "flatten", .build = build, .plan = plan, .forward = forward, .backward = backward};
