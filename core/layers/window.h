/* What the layers with a window have in common: how they see their input, and the checks of their sizes. */
#ifndef CRS_LAYERS_WINDOW_H
#define CRS_LAYERS_WINDOW_H

#include "../layer.h"

/* A step of the input: of one position with all features, or as the row of a picture, where a step that is none yet is
 * a row of positions with one feature each. */
typedef struct crs__picture {
    int64_t positions, features;
} crs__picture;

static inline crs__picture crs__picture_of(const crs__layer *layer, int is_2d) {
    if (!is_2d)
        return (crs__picture){1, layer->in};
    const int64_t positions = layer->in_positions ? layer->in_positions : layer->in;
    return (crs__picture){positions, layer->in / positions};
}

/* Sets geometry and out_positions. An error where there is no time axis, or where the window is wider than a step. */
crs_status crs__build_window(crs__builder *builder, crs__layer *layer, int is_2d, crs__geometry geometry);

#endif
