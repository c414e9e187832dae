/* The blocked variant of convolution, float only: how the walk over the rows (conv_blocked.c) and the kernels that are
 * compiled once per instruction set (conv_kernels.c) speak to each other. The readable variant is conv.c.
 *
 * Rows are taken a tile at a time, and what they see is told by a table of pointers to the source's rows: nothing is
 * gathered. Columns are taken in groups of up to CONV_VECTORS vectors. */
#ifndef CRS_CPU_CONV_BLOCKED_H
#define CRS_CPU_CONV_BLOCKED_H

#include <carousel/ops.h>

#define CONV_TILE 72   /* rows; a multiple of every number of rows of a block */
#define CONV_VECTORS 4 /* most vectors of a group of columns */

/* What the rows of a tile see. */
typedef struct conv_tile {
    int64_t rows, taps, width;
    const float *const *seen; /* [taps,CONV_TILE] rows of `width` numbers, zeros where nothing is there */
    const unsigned char *any; /* [taps] 0: through this tap no row sees anything */
} conv_tile;

/* z = start + what the rows see, times W, for a group of columns. */
typedef struct conv_sums {
    conv_tile tile;
    int vectors;
    const float *W;     /* [taps,width,vectors*lanes] */
    const float *start; /* [vectors*lanes] */
    float *z;           /* [CONV_TILE,vectors*lanes] */
} conv_sums;

/* y = act(z) for the columns of a group that exist. */
typedef struct conv_finish {
    int64_t rows, columns;
    int vectors;
    crs_activation activation;
    const float *z; /* [rows,vectors*lanes] */
    float *y;       /* [rows,ldy] */
    int64_t ldy;
} conv_finish;

/* dW += what the rows see, each times its row of d, for a group of columns. */
typedef struct conv_weights {
    conv_tile tile;
    int vectors;
    const float *d; /* [rows,ldd]; whole vectors are read */
    int64_t ldd;
    float *dW; /* [taps,width,vectors*lanes] */
} conv_weights;

typedef struct conv_kernels {
    int lanes;
    void (*sums)(const conv_sums *s);
    void (*finish)(const conv_finish *f);
    void (*weights)(const conv_weights *w);
} conv_kernels;

/* The gradients of the weights can be had here: a partial sum of them is small enough for the caches. */
int cpu_conv_blocked_weighs(const crs_device *device, const crs_conv *a);

crs_status cpu_conv_blocked_forward(crs_device *device, const crs_conv *a);

/* dW and dx from dy as it is before the activation. CRS_ERR_MEMORY. */
crs_status cpu_conv_blocked_weights(crs_device *device, const crs_conv *a);
crs_status cpu_conv_blocked_inputs(crs_device *device, const crs_conv *a);

#endif
