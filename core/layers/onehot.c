/* The one-hot layer: id k stands for the vector with a one in place k - 1, and padding (0) for zeros. The vectors are
 * never written out: the layer behind it works on the ids. `onehot` */
#include "../layer.h"

static crs_status build(crs__builder *builder, crs__layer *layer) {
    layer->out = builder->task->vocabulary - 1;
    layer->out_time = 1;
    if (layer->out < 1)
        return crs__model_error(builder->error, layer->spec.column, "\"onehot\" of a vocabulary with padding only",
                                "give a vocabulary of 2 ids or more");
    if (builder->last)
        return crs__model_error(builder->error, layer->spec.column, "\"onehot\" is the last layer",
                                "put a convolution or a recurrent layer behind it");
    return CRS_OK;
}

static void plan(const crs__layer *layer, crs__plan *plan) {
    (void)layer, (void)plan;
}

static crs_status forward(const crs__run *run, const crs__layer *layer, const void *x, void **y) {
    (void)run, (void)layer, (void)x;
    *y = NULL;
    return CRS_OK;
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    (void)run, (void)layer, (void)x, (void)y, (void)dy, (void)dx;
    return CRS_OK;
}

const crs__layer_type crs__layer_onehot = {
    .kind = "onehot", .build = build, .plan = plan, .forward = forward, .backward = backward};
