/* What one call of a blocked recurrent layer works with: how its units are packed, its packed weights, partial sums and
 * the memory of each thread; and what the two directions share. blocked_plan.c makes it, blocked.c and
 * blocked_backward.c march with it. */
#ifndef CRS_CPU_BLOCKED_PLAN_H
#define CRS_CPU_BLOCKED_PLAN_H

#include "blocked.h"
#include "march.h"

#define BLOCKED_HELD 128 /* most rows of activations behind one pass over the weights' gradients */

/* What a thread works in. Rows stand one behind the other, live ones only. */
typedef struct blocked_work {
    float *x, *h; /* [rows_held,I], [rows_held,H] what W and R were multiplied by, where it is not read in place */
    float *z;     /* [tile,slots*lanes] one panel's sums */
    float *d;     /* [panels,d_rows,slots*lanes] gradients of the sums */
    float *out;   /* [tile,columns] gradients of x or h */
    float *dh;    /* [tile,ldd] */
    float *dc;    /* [tile,ldd], LSTM */
} blocked_work;

/* Partial sums of the gradients, of the tiles that one thread takes one after the other. */
typedef struct blocked_partial {
    float *dW, *dR, *db;
} blocked_partial;

typedef struct blocked_plan {
    march m;
    const crs_recurrent *a;
    const blocked_kernels *kernels;
    int backward; /* which of the two calls it is */
    int fused;    /* products with W, and the gradients of the weights, are made while a step is at hand; else the
                     BLAS makes them over all steps */
    int streams;  /* gates are stored past the caches */
    int64_t I;    /* inputs that the march multiplies by W; 0: it is given the products */
    int slots;
    blocked_range of_x, of_h;
    int64_t panels, ldd; /* ldd: units, in whole panels */
    int64_t rows_held, d_rows;
    int64_t tiles, groups;
    int threads;  /* of the team; always the device's or 1, since OpenMP ends those that a smaller team lacks */
    int workers;  /* threads that have work: no more than there are tiles, or groups of them, to hand out */
    float *W, *R; /* for the sums: [panels,I,of_x.count*lanes], [panels,H,of_h.count*lanes] */
    float *W_back, *R_back;  /* for the gradients of x and h: see blocked_inputs */
    float *start;            /* [panels,slots*lanes] the biases */
    blocked_partial partial; /* of the first group; the others' follow, partial_size apart */
    int64_t partial_size;
    blocked_work work; /* of the first thread; likewise */
    int64_t work_size;
} blocked_plan;

/* All of p but its memory. The errors are march_prepare's. */
crs_status cpu_blocked_prepare(blocked_plan *p, const blocked_kernels *kernels, const crs_recurrent *a,
                               const recurrent_cell *cell, int backward, int threads);

/* Takes the device's scratch, and packs the weights into it. CRS_ERR_MEMORY. */
crs_status cpu_blocked_pack(blocked_plan *p, crs_device *device);

/* After the march back: adds up the groups' partial sums in order and adds them to the gradients. */
void cpu_blocked_add_partials(const blocked_plan *p);

/* Fills in what of a panel follows from its number. */
void cpu_blocked_place(const blocked_plan *p, int64_t panel, blocked_cells *cells);

/* The rows of a tile at one step. */
typedef struct blocked_step {
    int64_t k, t;   /* in running order, and as a place in memory */
    int64_t row, n; /* the tile's first row, its rows */
    int64_t before; /* first row, over all steps, of the step before; unused where k is 0 */
    int64_t at;     /* the same of this one */
    int64_t live_count;
    int32_t live[BLOCKED_TILE_LIMIT], dead[BLOCKED_TILE_LIMIT]; /* which of the rows, 0..n-1 */
} blocked_step;

/* Step k in running order, as a tile sees it. */
void cpu_blocked_step_find(const blocked_plan *p, int64_t tile, int64_t k, blocked_step *s);

/* What x and h are at the live rows, through the masks; h is zero before the first step. They are read where they lie
 * if that is a whole tile of rows, else from `x` and `h`, one row behind the other. x is unset where I is 0. */
typedef struct blocked_seen {
    blocked_stretch x, h;
} blocked_seen;

blocked_seen cpu_blocked_see(const blocked_plan *p, const blocked_step *s, float *x, float *h);

/* What the cells of a step see, save for what depends on the panel or the direction. */
blocked_cells cpu_blocked_cells_at(const blocked_plan *p, const blocked_step *s);

/* The next tile, or group of tiles, to take: one for each call, from all threads. */
int64_t cpu_blocked_next(int64_t *next);

/* Cleared: rows that are worked on behind the last one are numbers like others. */
blocked_work cpu_blocked_work_of(const blocked_plan *p, int thread);
/* Cleared. */
blocked_partial cpu_blocked_partial_of(const blocked_plan *p, int64_t group);

#endif
