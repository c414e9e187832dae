/* The blocked variant of the recurrent layers, float only: how the march (blocked.c) and the kernels that are compiled
 * once per instruction set (blocked_kernels.c) speak to each other. The readable variant is recurrent.c.
 *
 * Units are worked on in panels. A panel has `slots` vectors for each row: of an LSTM the gates i f g o of as many
 * units as a vector has lanes; of a GRU n r z, with n's share of x and of h apart, as n_x r z n_h; of an RNN
 * neighbouring units. The shares of x and of h take each a range of neighbouring slots, so that both meet in the same
 * registers. Lanes beyond the last unit are zero throughout. */
#ifndef CRS_CPU_BLOCKED_H
#define CRS_CPU_BLOCKED_H

#include <carousel/ops.h>

#define BLOCKED_SLOTS 4       /* most vectors of a panel, and of the columns that one product makes at once */
#define BLOCKED_TILE_LIMIT 16 /* most rows of a tile */
#define BLOCKED_SPARE 8       /* rows that may be worked on behind the last one: blocks of rows are always whole */

/* Which of the kernels a kind of cell has. */
typedef enum blocked_kind { BLOCKED_NONE, BLOCKED_RNN, BLOCKED_LSTM, BLOCKED_GRU, BLOCKED_KINDS } blocked_kind;

typedef struct blocked_range {
    int first, count;
} blocked_range;

/* One panel's sums of the gates' inputs, for `rows` rows one behind the other. */
typedef struct blocked_sums {
    int64_t rows, I, H; /* H 0: no state yet */
    int slots;
    blocked_range of_x, of_h;
    const float *x, *W; /* [rows,I], [I,of_x.count*lanes]; unused where I is 0 */
    const float *h, *R; /* [rows,H], [H,of_h.count*lanes] */
    int64_t ldx, ldh;
    const float *start; /* [slots*lanes], or NULL: z is added to */
    float *z;           /* [rows,slots*lanes] */
} blocked_sums;

/* One panel of one step, for the live rows of a tile. Pointers with rows are those of the tile's first row. */
typedef struct blocked_cells {
    int64_t rows;
    const int32_t *live; /* [rows] which rows of the tile they are */
    int slots;
    int64_t place[BLOCKED_SLOTS]; /* where a slot's first unit stands in a row of [G*H]; of a GRU's n_h, as n_x */
    int64_t count[BLOCKED_SLOTS]; /* its units that exist, <= lanes */
    int64_t H, unit;              /* unit: the panel's first */
    blocked_range of_x;
    crs_activation activation;
    float *z; /* [rows,slots*lanes] forward: in the sums; backward: out their gradients */
    const float *h_before;
    int64_t ldh_before;
    float *h; /* [tile,ldh] */
    int64_t ldh;
    const float *c_before; /* [tile,H], as all that follows save where said */
    float *c;
    int64_t ld_gates; /* G*H */
    int streams;      /* gates are aligned, of whole vectors, and not read again soon */
    float *gates;     /* [tile,G*H] forward: out, or NULL: not kept */
    float *products;  /* [tile,G*H] GRU: its last part holds what r multiplies; or NULL: not kept */
    float *dh, *dc;   /* [tile,ldd] backward: in and out as in recurrent_row */
    int64_t ldd;
    float *d_gates;    /* [tile,G*H] out: z once more, unit by unit; or NULL. May be gates */
    float *d_products; /* [tile,G*H] the same of a GRU's slots of h; or NULL. May be products */
} blocked_cells;

/* out = d B for `rows` rows of gradients: those of some slots of all panels, times a matrix whose columns are packed
 * BLOCKED_SLOTS vectors wide, or as many as are left. */
typedef struct blocked_inputs {
    int64_t rows, panels, columns;
    int slots;
    blocked_range of;
    const float *d; /* [panels,d_rows,slots*lanes] */
    int64_t d_rows;
    const float *B; /* [columns/(slots*lanes)][panels*of.count*lanes, slots*lanes] */
    int adds;       /* to what is in `out` */
    float *out;     /* [rows,ldo]; whole vectors are written */
    int64_t ldo;
} blocked_inputs;

/* Rows that lie one behind the other. */
typedef struct blocked_stretch {
    int64_t rows, ld;
    const float *at; /* [rows,ld] */
} blocked_stretch;

/* dW[panel] += s^T d, over `rows` rows: those of all stretches of s, in turn. */
typedef struct blocked_weights {
    int64_t rows, panels, features;
    int slots;
    blocked_range of;
    const blocked_stretch *s; /* whole blocks of columns are read */
    int64_t stretches;
    const float *d; /* as above */
    int64_t d_rows;
    float *dW; /* [panels,features,of.count*lanes], the features rounded up by BLOCKED_SPARE */
} blocked_weights;

/* Rows of n numbers, through a mask [.,n] or not. Number i is row from_row[i] of `from` and row to_row[i] of `to`, or
 * row i where that is NULL; its mask is that of the row which is not, and of from_row where neither is. */
typedef struct blocked_rows {
    int64_t rows, n;
    const float *from, *mask;
    int64_t ld_from;
    const int32_t *from_row, *to_row;
    float *to;
    int64_t ld_to;
} blocked_rows;

typedef void (*blocked_cell)(const blocked_cells *cells);

typedef struct blocked_kernels {
    const char *name;
    int lanes;
    int tile; /* rows that go through time together */
    /* Puts in order what was stored past the caches, which a kernel does whose vectors are whole lines of them; NULL:
     * this one does not. */
    void (*settle)(void);
    void (*sums)(const blocked_sums *s);
    void (*inputs)(const blocked_inputs *p);
    void (*weights)(const blocked_weights *w);
    /* db [panels,slots*lanes] += the column sums of d. */
    void (*biases)(const blocked_weights *w, float *db);
    /* z = start + x [tile,G*H], for a caller that has the products with x. */
    void (*spread)(const blocked_cells *cells, const float *start, const float *x);
    void (*copy)(const blocked_rows *m);  /* to = from mask */
    void (*add)(const blocked_rows *m);   /* to += from mask */
    blocked_cell cells[BLOCKED_KINDS][2]; /* forward, backward */
    const struct conv_kernels *conv;      /* those of convolution */
} blocked_kernels;

/* The kernels of an instruction set by its name, or of the best that the machine runs for NULL; NULL: there is no such,
 * or the machine does not run it. */
const blocked_kernels *cpu_blocked_kernels(const char *name);

#endif
