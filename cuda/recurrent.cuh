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
    float *product; /* [B,G*H] of a kind that separates: R h, which z lacks (nothing yet at the first step); backward:
                       in what forward kept, out its gradient */
    float *inner;   /* [B,H] inner state */
    const float *b, *b_hh; /* [G*H] */
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
    float *dh, *dc;        /* [B,H] gradient of the state on its way back */
    float *dh_masked;      /* [B,H] where there is a mask, R's share of dh, which still lacks it */
    const float *d_inner;  /* [B,H] gradient of the inner state */
};

/* A kind of cell. The R of most gates multiplies h_before; that of the last ones may multiply an inner state instead,
 * made of h_before and the other gates. */
struct recurrent_kind {
    int64_t gates;       /* G */
    int64_t inner_gates; /* how many of them see the inner state; 0: there is none */
    bool has_cell_state;
    bool separates; /* W x and R h do not meet in a sum; then there is no inner state */
};

/* A cell of the march. Its kernels take all rows through one step: with an inner state forward_inner before forward,
 * and backward_inner after backward; else those are NULL. */
struct recurrent_cell {
    recurrent_kind kind;
    void (*forward)(recurrent_step);
    void (*backward)(recurrent_step);
    void (*forward_inner)(recurrent_step);
    void (*backward_inner)(recurrent_step);
};

/* A call and its reserve, cut up. Kernels get it by value. */
struct recurrence {
    crs_recurrent a;
    int64_t width;         /* G*H */
    int64_t outer;         /* width of the gates whose R multiplies h, the others' multiplies the inner state */
    int64_t step_slots;    /* training T: slot t is step t's; else one for all */
    float *gates;          /* [T,B,G*H] inputs of the gates, then the gates, then their gradients */
    float *products;       /* [step_slots,B,G*H] R h and its gradient, or NULL: summed up in gates */
    float *inner;          /* [step_slots,B,H] inner states, or NULL */
    float *cells;          /* [step_slots,B,H] c after each step, or NULL */
    float *x_masked;       /* [T,B,I], or NULL: no mask */
    float *h_masked;       /* [T,B,H] what R is multiplied by at each step, or NULL: no mask */
    float *recurrent_mask; /* [B,H] the march's, or NULL: no mask */
    float *dh, *dc;        /* [B,H] the march's */
    float *dh_masked;      /* [B,H] the march's, or NULL: no mask */
    float *d_inner;        /* [B,H] the march's, or NULL */
};

/* Cuts a->reserve up and returns its size, which grows with T and B; SIZE_MAX: it does not fit. The march's own parts
 * are left out where it is not asked for. a->reserve may be NULL where only the size is wanted. */
size_t cuda_recurrent_lay_out(const crs_recurrent *a, const recurrent_kind &kind, bool march, recurrence *r);

/* gates = W x, x through the input mask, at all steps: x is finite at dead ones. CRS_ERR_ARGUMENT: a mask without W. */
crs_status cuda_recurrent_inputs(crs_device *device, const recurrence &r);

/* dW, dR, db, db_hh and dx from the gradients of the gates and products, which are zero at dead steps, and from x, y,
 * h_masked and inner, which are finite there. */
crs_status cuda_recurrent_gradients(crs_device *device, const recurrence &r);

/* The slots of a layer that marches. */
size_t cuda_march_reserve(const crs_recurrent *a, const recurrent_cell &cell);
crs_status cuda_march_forward(crs_device *device, const crs_recurrent *a, const recurrent_cell &cell);
crs_status cuda_march_backward(crs_device *device, const crs_recurrent *a, const recurrent_cell &cell);

#endif
