/* The embedding layer: rows of a table in place of ids. `embedding E [frozen]` */
#include "../layer.h"

#include <stdio.h>

enum { FROZEN, REGULARISERS };

static const crs__option options[] = {[FROZEN] = {"frozen", CRS__OPTION_FLAG, NULL}, CRS__REGULARISERS(REGULARISERS)};

static crs_status build(crs__builder *builder, crs__layer *layer) {
    for (int i = REGULARISERS; layer->spec.options[FROZEN] && i < REGULARISERS + 3; i++)
        if (layer->spec.option_columns[i]) {
            char what[64];
            snprintf(what, sizeof what, "%s of a frozen embedding", options[i].name);
            return crs__model_error(builder->error, layer->spec.option_columns[i], what,
                                    "leave it out, or leave out \"frozen\"");
        }
    layer->out = (int64_t)layer->spec.number;
    layer->out_time = 1;
    return crs__add_tensor(builder, layer, "weight", builder->task->vocabulary, layer->out, CRS__INIT_EMBEDDING,
                           !layer->spec.options[FROZEN]);
}

static void plan(const crs__layer *layer, crs__plan *plan) {
    plan->buffers[0] = crs__output_bytes(plan, layer);
}

static crs_embedding arguments(const crs__run *run, const crs__layer *layer) {
    return (crs_embedding){.T = run->steps[0].T,
                           .B = run->steps[0].B,
                           .V = run->tensors[layer->tensors].shape[0],
                           .E = layer->out,
                           .ids = run->ids};
}

static crs_status forward(const crs__run *run, const crs__layer *layer, const void *x, void **y) {
    (void)x;
    crs_embedding a = arguments(run, layer);
    a.table = crs__weight(run, layer, 0);
    a.y = *y = layer->buffers[0];
    return run->ops->embedding_forward(run->device, &a);
}

static crs_status backward(const crs__run *run, const crs__layer *layer, const void *x, void *y, void *dy, void *dx) {
    (void)x, (void)y, (void)dx;
    crs_embedding a = arguments(run, layer);
    a.dy = dy;
    a.dtable = crs__gradient(run, layer, 0);
    return run->ops->embedding_backward(run->device, &a);
}

const crs__layer_type crs__layer_embedding = {.kind = "embedding",
                                              .number = CRS__NUMBER_UNITS,
                                              .options = options,
                                              .option_count = sizeof options / sizeof *options,
                                              .build = build,
                                              .plan = plan,
                                              .forward = forward,
                                              .backward = backward};
