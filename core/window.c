/* Windows over time and positions: how many outputs there are, where the first begins, which of them are live. */
#include "layers/window.h"

#include <stdio.h>

static int64_t span_of(const crs__geometry *geometry, int axis) {
    return (geometry->size[axis] - 1) * geometry->dilation[axis] + 1;
}

static int64_t divide_up(int64_t n, int64_t by) {
    return (n + by - 1) / by;
}

int64_t crs__window_outputs(const crs__geometry *geometry, int axis, int64_t n) {
    const int64_t stride = geometry->stride[axis], span = span_of(geometry, axis);
    if (geometry->padding != CRS__VALID)
        return divide_up(n, stride);
    return n > span ? (n - span) / stride + 1 : 1;
}

/* Inputs that are made up before the first one. */
static int64_t before(const crs__geometry *geometry, int axis, int64_t n) {
    const int64_t span = span_of(geometry, axis);
    if (geometry->padding == CRS__VALID)
        return 0;
    if (geometry->padding == CRS__CAUSAL)
        return span - 1;
    const int64_t reach = (crs__window_outputs(geometry, axis, n) - 1) * geometry->stride[axis] + span;
    return reach > n ? (reach - n) / 2 : 0;
}

crs_window crs__window_of(const crs__geometry *geometry, int64_t T, int64_t P) {
    return (crs_window){.size = {geometry->size[0], geometry->size[1]},
                        .stride = {geometry->stride[0], geometry->stride[1]},
                        .dilation = {geometry->dilation[0], geometry->dilation[1]},
                        .before = {before(geometry, 0, T), before(geometry, 1, P)}};
}

void crs__window_live(const crs__geometry *geometry, int64_t T, int32_t *start, int32_t *len) {
    const int64_t stride = geometry->stride[0], outputs = crs__window_outputs(geometry, 0, T);
    const int64_t end = (int64_t)*start + *len, span = span_of(geometry, 0);
    int64_t first = divide_up(*start, stride), beyond = divide_up(end, stride);
    if (geometry->padding == CRS__VALID)
        beyond = end >= span ? (end - span) / stride + 1 : 0;
    first = first < outputs ? first : outputs - 1;
    beyond = beyond > first ? beyond : first + 1;
    *start = (int32_t)first;
    *len = *len > 0 ? (int32_t)(beyond - first) : 0;
}

crs_status crs__build_window(crs__builder *builder, crs__layer *layer, int is_2d, crs__geometry geometry) {
    const crs_status status = crs__need_time(builder, layer);
    if (status != CRS_OK)
        return status;
    const int64_t positions = crs__picture_of(layer, is_2d).positions, span = span_of(&geometry, 1);
    if (geometry.padding == CRS__VALID && span > positions) {
        char what[128];
        snprintf(what, sizeof what, "a window of %lld positions over rows of %lld", (long long)span,
                 (long long)positions);
        return crs__model_error(builder->error, layer->spec.window_column, what, "make it narrower, or write \"same\"");
    }
    layer->geometry = geometry;
    layer->out_positions = is_2d ? crs__window_outputs(&geometry, 1, positions) : 0;
    return CRS_OK;
}
