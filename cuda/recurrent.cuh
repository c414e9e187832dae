/* What the recurrent layers have in common: the reserve, masks, the inputs' share of the gates, the gradients of
 * weights and inputs, and the march over time, which queues every step on its own. What a kernel of a step does stands
 * in recurrent_step.cuh; a layer that runs all steps in one kernel uses the rest without the march. */
#ifndef CRS_CUDA_RECURRENT_CUH
#define CRS_CUDA_RECURRENT_CUH

#include "cuda.cuh"

/* One step of the march, as the kernels of a cell see it. NULL: there is none, which for a state stands for zeros. */
struct recurrent_step {
    crs_steps steps;
    int64_t t, H, ldy;
    crs_activation activation;
    float *z;       /* [B,G*H] forward: in W x + R h, out the gates; backward: in the gates, out their gradient */
    const float *b; /* [G*H] */
    const float *c_before; /* [B,H] */
    float *c;              /* [B,H] may be c_before */
    const float *h_before; /* [B,ldy] */
    float *h;              /* [B,ldy] */
    float *h_last;         /* [B,ldy] forward, at the last step */
    const float *mask;     /* [B,H] recurrent mask */
    float *h_masked;       /* [B,H] forward: what R is multiplied by at the step after this one */
    int64_t t_after;       /* the step after this one in running order; -1 at the last */
    const float *dy;       /* [B,ldy] */
    const float *dh_last;  /* [B,ldy] */
    float *dh, *dc;        /* [B,H] gradient of the state on its way back; R's share of dh still lacks the mask */
};

/* A kind of cell. Its kernels take all rows through one step. */
struct recurrent_cell {
    int64_t gates; /* G */
    bool has_cell_state;
    void (*forward)(recurrent_step);
    void (*backward)(recurrent_step);
};

/* A call and its reserve, cut up. Kernels get it by value. */
struct recurrence {
    crs_recurrent a;
    int64_t width;         /* G*H */
    float *gates;          /* [T,B,G*H] inputs of the gates, then the gates, then their gradients */
    float *cells;          /* [T,B,H] c after each step, or NULL where there is none; not training: [B,H] */
    float *x_masked;       /* [T,B,I], or NULL: no mask */
    float *h_masked;       /* [T,B,H] what R is multiplied by at each step, or NULL: no mask */
    float *recurrent_mask; /* [B,H] the march's, or NULL: no mask */
    float *dh, *dc;        /* [B,H] the march's */
};

/* Cuts a->reserve up and returns its size, which grows with T and B; SIZE_MAX: it does not fit. The march's own parts
 * are left out where it is not asked for. a->reserve may be NULL where only the size is wanted. */
size_t cuda_recurrent_lay_out(const crs_recurrent *a, int64_t gates, bool has_cell_state, bool march, recurrence *r);

/* gates = W x, x through the input mask, at all steps: x is finite at dead ones. */
crs_status cuda_recurrent_inputs(crs_device *device, const recurrence &r);

/* dW, dR, db and dx from the gradients of the gates, which are zero at dead steps, and from x, y and h_masked, which
 * are finite there. */
crs_status cuda_recurrent_gradients(crs_device *device, const recurrence &r);

/* The slots of a layer that marches. */
size_t cuda_march_reserve(const crs_recurrent *a, const recurrent_cell &cell);
crs_status cuda_march_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell &cell);
crs_status cuda_march_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell &cell);

#endif
