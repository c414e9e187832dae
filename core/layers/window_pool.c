/* The pooling layers with a window: maximum or mean over some steps, or steps and positions of a picture. `maxpool K`,
 * `avgpool K`, `maxpool2d KxK`, `avgpool2d KxK`. */
#include "../layer.h"

#include "window.h"

enum { PADDING, STRIDE };
enum { Y, ARGMAX };

static const crs__option options[] = {
    [PADDING] = {"padding", CRS__OPTION_CHOICE, "valid|same"}, [STRIDE] = {"stride", CRS__OPTION_SIZES, NULL}};

static int is_2d(const crs__layer *layer) {
    return layer->type->window == 2;
}

static int is_mean(const crs__layer *layer) {
    return layer->type == &crs__layer_avgpool || layer->type == &crs__layer_avgpool2d;
}

static crs_status build(crs__builder *builder, crs__layer *layer) {
    const crs__spec *spec = &layer->spec;
    const int64_t *stride = spec->option_columns[STRIDE] ? spec->sizes[STRIDE] : spec->window;
    const crs_status status = crs__build_window(builder, layer, is_2d(layer),
                                                (crs__geometry){.size = {spec->window[0], spec->window[1]},
                                                                .stride = {stride[0], stride[1]},
                                                                .dilation = {1, 1},
                                                                .padding = (crs__padding)spec->options[PADDING]});
    layer->out = crs__picture_of(layer, is_2d(layer)).features * (is_2d(layer) ? layer->out_positions : 1);
    return status;
}

static void plan(const crs__layer *layer, crs__plan *plan) {
    plan->buffers[Y] = crs__output_bytes(plan, layer);
    if (!is_mean(layer))
        plan->buffers[ARGMAX] = plan->buffers[Y] / plan->ops->real_size * sizeof(int32_t);
}

static crs_window_pool arguments(const crs__run *run, const crs__layer *layer, const void *x, void *y) {
    const crs__picture in = crs__picture_of(layer, is_2d(layer));
    const crs_steps *steps = crs__input_steps(run, layer);
    return (crs_window_pool){.steps = *steps,
                             .P = in.positions,
                             .F = in.features,
                             .T_out = crs__output_steps(run, layer)->T,
                             .P_out = is_2d(layer) ? layer->out_positions : 1,
                             .window = crs__window_of(&layer->geometry, steps->T, in.positions),
                             .mean = is_mean(layer),
                             .x = x,
                             .y = y,
                             .argmax = layer->buffers[ARGMAX]};
}

static crs_status forward(const crs__run *run, const crs__layer *layer, const void *x, void **y) {
    *y = layer->buffers[Y];
    const crs_window_pool a = arguments(run, layer, x, *y);
    return run->ops->window_pool_forward(run->device, &a);
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    if (!dx)
        return CRS_OK;
    crs_window_pool a = arguments(run, layer, x, y);
    a.dy = dy;
    a.dx = dx;
    return run->ops->window_pool_backward(run->device, &a);
}

#define POOL_TYPE(name, axes)                                                                                          \
    const crs__layer_type crs__layer_##name = {.kind = #name,                                                          \
                                               .window = axes,                                                         \
                                               .options = options,                                                     \
                                               .option_count = sizeof options / sizeof *options,                       \
                                               .build = build,                                                         \
                                               .plan = plan,                                                           \
                                               .forward = forward,                                                     \
                                               .backward = backward};
POOL_TYPE(maxpool, 1)
POOL_TYPE(avgpool, 1)
POOL_TYPE(maxpool2d, 2)
POOL_TYPE(avgpool2d, 2)
