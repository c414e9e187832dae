/* The convolutions: over time, and over time and positions of a picture. `conv N K`, `conv2d N KxK`, both with padding,
 * stride, dilation and activation. Behind "onehot" they work on ids. */
#include "../layer.h"

#include "window.h"

enum { PADDING, STRIDE, DILATION, ACTIVATION, REGULARISERS };
enum { WEIGHT, BIAS };
enum { Y, RESERVE };

static const crs__option conv_options[] = {[PADDING] = {"padding", CRS__OPTION_CHOICE, "valid|same|causal"},
                                           [STRIDE] = {"stride", CRS__OPTION_SIZES, NULL},
                                           [DILATION] = {"dilation", CRS__OPTION_SIZES, NULL},
                                           [ACTIVATION] = CRS__ACTIVATION_OPTION,
                                           CRS__REGULARISERS(REGULARISERS)};
static const crs__option conv2d_options[] = {[PADDING] = {"padding", CRS__OPTION_CHOICE, "valid|same"},
                                             [STRIDE] = {"stride", CRS__OPTION_SIZES, NULL},
                                             [DILATION] = {"dilation", CRS__OPTION_SIZES, NULL},
                                             [ACTIVATION] = CRS__ACTIVATION_OPTION,
                                             CRS__REGULARISERS(REGULARISERS)};

static int is_2d(const crs__layer *layer) {
    return layer->type == &crs__layer_conv2d;
}

static int64_t outputs(const crs__layer *layer) {
    return (int64_t)layer->spec.number;
}

static crs_status build(crs__builder *builder, crs__layer *layer) {
    crs_status status =
        crs__build_window(builder, layer, is_2d(layer),
                          (crs__geometry){.size = {layer->spec.window[0], layer->spec.window[1]},
                                          .stride = {layer->spec.sizes[STRIDE][0], layer->spec.sizes[STRIDE][1]},
                                          .dilation = {layer->spec.sizes[DILATION][0], layer->spec.sizes[DILATION][1]},
                                          .padding = (crs__padding)layer->spec.options[PADDING]});
    if (status != CRS_OK)
        return status;
    const crs__picture in = crs__picture_of(layer, is_2d(layer));
    layer->out = outputs(layer) * (is_2d(layer) ? layer->out_positions : 1);
    status = crs__add_kernel(builder, layer, outputs(layer), in.features, layer->geometry.size, is_2d(layer) ? 2 : 1);
    return status != CRS_OK ? status : crs__add_tensor(builder, layer, "bias", outputs(layer), 0, CRS__INIT_ZEROS, 1);
}

static crs_conv arguments(const crs__layer *layer, crs_steps steps, int64_t T_out) {
    const crs__picture in = crs__picture_of(layer, is_2d(layer));
    return (crs_conv){.steps = steps,
                      .P = in.positions,
                      .I = in.features,
                      .T_out = T_out,
                      .P_out = is_2d(layer) ? layer->out_positions : 1,
                      .O = outputs(layer),
                      .window = crs__window_of(&layer->geometry, steps.T, in.positions),
                      .activation = (crs_activation)layer->spec.options[ACTIVATION]};
}

static void plan(const crs__layer *layer, crs__plan *plan) {
    const crs_conv a = arguments(layer, (crs_steps){.T = plan->T, .B = plan->B}, plan->T_out);
    plan->buffers[Y] = crs__output_bytes(plan, layer);
    plan->scratch =
        crs__gets_ids(layer) ? plan->ops->onehot_reserve(plan->device, &a) : plan->ops->conv_reserve(plan->device, &a);
}

static crs_conv run_arguments(const crs__run *run, const crs__layer *layer, const void *x, void *y) {
    crs_conv a = arguments(layer, *crs__input_steps(run, layer), crs__output_steps(run, layer)->T);
    a.x = x;
    a.ids = crs__gets_ids(layer) ? run->ids : NULL;
    a.W = crs__weight(run, layer, WEIGHT);
    a.b = crs__weight(run, layer, BIAS);
    a.y = y;
    a.reserve = run->scratch;
    return a;
}

static crs_status forward(const crs__run *run, const crs__layer *layer, const void *x, void **y) {
    *y = layer->buffers[Y];
    const crs_conv a = run_arguments(run, layer, x, *y);
    return crs__gets_ids(layer) ? run->ops->onehot_forward(run->device, &a) : run->ops->conv_forward(run->device, &a);
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    crs_conv a = run_arguments(run, layer, x, y);
    a.dy = dy;
    a.dx = dx;
    a.dW = crs__gradient(run, layer, WEIGHT);
    a.db = crs__gradient(run, layer, BIAS);
    return crs__gets_ids(layer) ? run->ops->onehot_backward(run->device, &a) : run->ops->conv_backward(run->device, &a);
}

#define CONV_TYPE(name, axes)                                                                                          \
    const crs__layer_type crs__layer_##name = {.kind = #name,                                                          \
                                               .number = CRS__NUMBER_UNITS,                                            \
                                               .window = axes,                                                         \
                                               .options = name##_options,                                              \
                                               .option_count = sizeof name##_options / sizeof *name##_options,         \
                                               .takes_ids = 1,                                                         \
                                               .build = build,                                                         \
                                               .plan = plan,                                                           \
                                               .forward = forward,                                                     \
                                               .backward = backward};
CONV_TYPE(conv, 1)
CONV_TYPE(conv2d, 2)
