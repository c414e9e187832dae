/* clang-format off: it would run the contract's paragraphs together */
/* The seam between core and the backends: a table of stateless, whole-layer operations.
 *
 * Letters      T time steps   B rows of the batch   I inputs   H hidden units   V vocabulary   E embedding width
 *              F features     C classes             N rows of a matrix          O outputs      P positions of a step
 *              G gates (RNN 1, GRU 3, LSTM 4)
 * Layout       the rightmost index is contiguous: [T,B,F] is time-major. Gates stand in rows of W, R and b in PyTorch's
 *              order, i f g o (LSTM) and r z n (GRU), whatever a backend does inside. A picture is [T,B,P,F]: time is
 *              its height, positions are its width, features its channels; P is 1 where there is only time.
 * real         `void *` to numbers points to the backend's real type: real_size bytes, float (4) or double (8).
 *              All pointers in argument structs are device pointers unless marked host.
 * Live steps   step t of row r is live if and only if start[r] <= t < start[r] + len[r]. start NULL: 0; len NULL: T
 *              (padding counts as tokens). 0 <= start[r], 0 <= len[r], start[r] + len[r] <= T; len 0 is legal.
 *              Dead steps of a recurrence copy the state through; their input gradients are zero. Their x must be
 *              finite where nothing else is said: it is multiplied by gradients that are zero.
 * Gradients    weight gradients (dW, dR, db, dtable) are ADDED to; input gradients (dx, dlogits) are OVERWRITTEN.
 * Aliasing     nothing may alias unless its comment says so. `dy` is scratch where its comment says so.
 * Reserve      opaque memory of the caller, *_reserve() bytes, filled by forward and read by the matching backward; it
 *              holds that call's scratch too, and is overwritten by both.
 * Backward     reads its forward's inputs, weights and outputs (x, W, R, y) again: they must be as forward left them.
 * Queueing     work is queued in call order; only download and sync wait. There is no hidden synchronisation in a step.
 * Same bits    the same call on the same device gives the same bits: no float atomics, reductions in a fixed order,
 *              whatever the number of threads.
 * Randomness   element e of mask (seed, site) at step s is kept if and only if
 *              philox4x32_10(counter = {e/4 low, e/4 high, s low, site}, key = {seed low, seed high})[e % 4]
 *                  >= (uint32_t)(rate * 2^32)
 *              and is then scaled by 1/(1-rate). Philox: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 *              SC 2011. The step is read from the device (crs_step_state.step).
 * Errors       a slot returns CRS_OK or what stopped it; on anything else outputs are undefined. Sizes are >= 1 except
 *              where said; the caller has checked ids and labels.
 *
 * CPU and CUDA share this contract and no mathematics. */
/* clang-format on */
#ifndef CAROUSEL_OPS_H
#define CAROUSEL_OPS_H

#include <carousel/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct crs_device crs_device; /* a backend's own context: stream, handles, scratch, threads */

/* How products of floats are rounded. A backend that cannot do as asked refuses to open. */
typedef enum crs_precision {
    CRS_FLOAT32, /* IEEE single precision throughout; numbers too small for a normal one may be taken for zero */
    CRS_TF32     /* factors rounded to TF32 (10 bits of mantissa), sums in single precision: faster on NVIDIA GPUs */
} crs_precision;

/* Whether a device may record work that comes back and replay it (repeat). The results are the same bits either way. */
typedef enum crs_graphs {
    CRS_GRAPHS_AUTO, /* where the device can */
    CRS_GRAPHS_OFF
} crs_graphs;

/* What the caller asks of a device when opening it. */
typedef struct crs_device_options {
    int index;        /* which device of the kind; -1: the first usable one */
    int threads;      /* CPU threads; 0: as many as OpenMP gives */
    const char *lstm; /* host; variant to force ("simple", ...); NULL or "auto": the backend chooses and says */
    crs_precision precision;
    crs_graphs graphs; /* a device that records nothing does not read it */
} crs_device_options;

/* Queues a piece of work by calls of the table. */
typedef crs_status (*crs_queue)(void *work);

/* Step state: one small record in device memory, written by the operations of a step and downloaded every k steps. The
 * caller zeroes it once before training. */
typedef struct crs_step_state {
    uint64_t step;     /* number of the running step, 1-based; schedule adds one at the start of each step */
    double lr;         /* learning rate of the running step; schedule writes it */
    double loss_sum;   /* sum of the weighted row losses since the caller last zeroed it; loss adds to it */
    uint64_t rows;     /* rows behind loss_sum */
    uint64_t correct;  /* rows whose predicted class is the label */
    double grad_norm;  /* L2 norm of the gradient of the running step before clipping; norm writes it */
    double grad_scale; /* factor the optimizer applies to the gradient: min(1, max_norm / grad_norm) */
    uint64_t bad_step; /* first step whose loss or gradient norm was not finite, or 0; once set, the optimizer leaves
                          the weights alone, so that they stay the last good ones */
} crs_step_state;

/* Live steps of a batch, see above. */
typedef struct crs_steps {
    int64_t T, B;
    const int32_t *start; /* [B] or NULL */
    const int32_t *len;   /* [B] or NULL */
} crs_steps;

/* A random mask. rate 0: no mask, and the other fields are not read. 0 <= rate < 1. */
typedef struct crs_mask {
    double rate;
    uint64_t seed;
    uint32_t site; /* which mask of the model: every use has its own number */
} crs_mask;

typedef enum crs_activation { CRS_LINEAR, CRS_RELU, CRS_TANH, CRS_SIGMOID } crs_activation;

/* y[t,b,:] = table[ids[t,b],:]; dtable[id,:] += sum over (t,b) with that id of dy[t,b,:].
 * Dead steps are looked up like any other (their id is 0); their dy is zero. */
typedef struct crs_embedding {
    int64_t T, B, V, E;
    const int32_t *ids; /* [T,B], each in 0..V-1 */
    const void *table;  /* [V,E] */
    void *y;            /* [T,B,E] */
    const void *dy;     /* [T,B,E] */
    void *dtable;       /* [V,E] added to */
} crs_embedding;

/* y[e] = x[e] * mask[e mod period], for e < n; n need not be a multiple of period, nor period of anything. The backward
 * is the same call with dy as x and dx as y. y may be x. period n: a mask for every element; period B*F of [T,B,F]: the
 * same one at every step, so that a feature is dropped from a whole row (spatial dropout; Tompson et al. 2015). */
typedef struct crs_dropout {
    int64_t n, period;
    crs_mask mask;
    const crs_step_state *state;
    const void *x; /* [n] */
    void *y;       /* [n] */
} crs_dropout;

/* y = scale (y + x), elementwise over n (two directions merged by sum or mean, and the mean's gradient). */
typedef struct crs_add {
    int64_t n;
    double scale;
    const void *x; /* [n], or NULL: zeros */
    void *y;       /* [n] */
} crs_add;

/* One direction of a recurrent layer over the whole sequence.
 *
 *   RNN   h_t = act(W x_t + R h_{t-1} + b)                                          act: CRS_TANH or CRS_RELU
 *   LSTM  i,f,o = sigmoid, g = tanh of (W x_t + R h_{t-1} + b); c_t = f c_{t-1} + i g; h_t = o tanh(c_t)
 *         (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000; one bias, as Keras)
 *   GRU   r, z = sigmoid of (W x_t + R h_{t-1} + b + b_hh);  h_t = (1 - z) n + z h_{t-1}  (Cho et al. 2014, z as in
 *         PyTorch and Keras), where n is, with the mask of the recurrence on h_{t-1} wherever it meets R,
 *         reset after (cuDNN, PyTorch, Keras' default)   tanh(W_n x_t + b_n + r (R_n h_{t-1} + b_hh_n))
 *         reset before                                   tanh(W_n x_t + b_n + R_n (r h_{t-1})), and b_hh is NULL
 *
 * reverse: t runs from T-1 down to 0. The state before the first step is zero. The final state is that after the last
 * step in running order (dead steps copy the state through, so it is the last live state).
 * Masks: one mask per sequence, the same at every step (Keras; Gal and Ghahramani 2016): x_t is multiplied by an input
 * mask [B,I] (element b*I+i), h_{t-1} inside R h_{t-1} by a recurrent mask [B,H] (element b*H+j). */
typedef struct crs_recurrent {
    crs_steps steps;
    int64_t I, H;
    int reverse;
    crs_activation activation; /* RNN only */
    int reset_after;           /* GRU only */
    int training;              /* 0: only forward follows, the reserve may be smaller */
    crs_mask input_mask;       /* read when training */
    crs_mask recurrent_mask;   /* read when training */
    const crs_step_state *state;
    int64_t ldy;   /* elements between rows of y, h_last, dy, dh_last: >= H (2H when two directions interleave) */
    const void *x; /* [T,B,I] */
    const void
        *W; /* [G*H,I], or NULL: x is W x_t itself, [T,B,G*H], and so is dx, which may be x; no input mask, no dW */
    const void *R;    /* [G*H,H] */
    const void *b;    /* [G*H] */
    const void *b_hh; /* [G*H] GRU with reset after; else NULL */
    void *y;          /* [T,B,ldy], H of each row written */
    void *h_last;     /* [B,ldy], H of each row written, or NULL */
    void *reserve;
    const void *dy;      /* [T,B,ldy] or NULL: zero */
    const void *dh_last; /* [B,ldy] gradient of the final state, or NULL: zero. Not both NULL */
    void *dx;            /* [T,B,I] overwritten, or NULL: not wanted */
    void *dW;            /* [G*H,I] added to */
    void *dR;            /* [G*H,H] added to */
    void *db;            /* [G*H] added to */
    void *db_hh;         /* [G*H] added to; GRU with reset after */
} crs_recurrent;

/* y = act(x W^T + b). */
typedef struct crs_dense {
    int64_t N, I, O;
    crs_activation activation;
    const void *x; /* [N,I] */
    const void *W; /* [O,I] */
    const void *b; /* [O] */
    void *y;       /* [N,O] */
    void *dy;      /* [N,O] scratch: holds the gradient before the activation afterwards */
    void *dx;      /* [N,I] overwritten, or NULL: not wanted */
    void *dW;      /* [O,I] added to */
    void *db;      /* [O] added to */
} crs_dense;

/* A window sliding over time and over positions: [0] is time, [1] positions. Output (t, p) sees the inputs
 * (t stride[0] + i dilation[0] - before[0], p stride[1] + j dilation[1] - before[1]) for i < size[0], j < size[1].
 * Those beyond the input's edges, and those at dead steps, are not there. All but before are >= 1; before is >= 0. */
typedef struct crs_window {
    int64_t size[2], stride[2], dilation[2], before[2];
} crs_window;

/* Convolution: y[t,b,p,:] = act(b + sum over the window's (i,j) of W[:,i,j,:] x[...,:]); what is not there counts as
 * zero. Every output step is computed, also those that a caller then takes for dead (their dy is zero). dx is zero at
 * dead steps. */
typedef struct crs_conv {
    crs_steps steps;      /* of the input */
    int64_t P, I;         /* of the input */
    int64_t T_out, P_out; /* of the output */
    int64_t O;
    crs_window window;
    crs_activation activation;
    const void *x;      /* [T,B,P,I]; conv */
    const int32_t *ids; /* [T,B], each in 0..P*I; onehot: x[t,b] has a one at ids[t,b] - 1 and zeros elsewhere, all
                           zeros for id 0, and is never written out. P or I is 1 */
    const void *W;      /* [O,size[0],size[1],I] */
    const void *b;      /* [O] */
    void *y;            /* [T_out,B,P_out,O] */
    void *reserve;      /* conv_reserve or onehot_reserve bytes of scratch, nothing in it is kept */
    void *dy; /* [T_out,B,P_out,O] scratch: holds the gradient before the activation afterwards; may be y where
                 the activation is CRS_LINEAR, whose backward reads no y */
    void *dx; /* [T,B,P,I] overwritten, or NULL: not wanted; conv */
    void *dW; /* [O,size[0],size[1],I] added to */
    void *db; /* [O] added to */
} crs_conv;

/* Pooling by windows: maximum (ties: the earliest step, then the lowest position) or mean of what is there. A window
 * with nothing in it gives zeros and passes no gradient on. A NaN counts as the maximum, the earliest if there are
 * more. dx is zero where no window takes it, and at dead steps. T*P is at most 2^31, so that t*P+p fits an int32_t;
 * elements may be more. */
typedef struct crs_window_pool {
    crs_steps steps;      /* of the input */
    int64_t P, F;         /* P of the input */
    int64_t T_out, P_out; /* of the output */
    crs_window window;
    int mean;        /* 0: maximum */
    const void *x;   /* [T,B,P,F] */
    void *y;         /* [T_out,B,P_out,F] */
    int32_t *argmax; /* [T_out,B,P_out,F] t*P+p of the maximum, or -1; written and read by the maximum only */
    const void *dy;  /* [T_out,B,P_out,F] */
    void *dx;        /* [T,B,P,F] overwritten */
} crs_window_pool;

/* [T,B,F] -> [B,T*F], time in front of features (Keras' order); zeros at dead steps, whose dx is zero. */
typedef struct crs_flatten {
    crs_steps steps;
    int64_t F;
    const void *x;  /* [T,B,F] */
    void *y;        /* [B,T*F] */
    const void *dy; /* [B,T*F] */
    void *dx;       /* [T,B,F] overwritten */
} crs_flatten;

/* Batch normalisation (Ioffe and Szegedy 2015) of each feature over the live steps and all positions:
 *   y = gamma (x - mean) / sqrt(var + epsilon) + beta
 * training: mean and (biased) variance of the batch, and running = momentum running + (1 - momentum) batch's (Keras),
 * left alone where nothing is live (the output is then beta) or the batch's are not finite; else the running ones. Dead
 * steps are put through the same map; their dy counts as zero, whatever it is, and their dx is zero. Backward only
 * after forward with training. epsilon > 0. */
typedef struct crs_batch_norm {
    crs_steps steps;
    int64_t P, F;
    int training;
    double momentum, epsilon;
    const void *gamma, *beta;         /* [F] */
    void *running_mean, *running_var; /* [F] */
    const void *x;                    /* [T,B,P,F] */
    void *y;                          /* [T,B,P,F] */
    void *reserve;                    /* batch_norm_reserve bytes */
    const void *dy;                   /* [T,B,P,F] */
    void *dx;                         /* [T,B,P,F] overwritten, or NULL: not wanted */
    void *dgamma, *dbeta;             /* [F] added to */
} crs_batch_norm;

/* Layer normalisation (Ba, Kiros and Hinton 2016) of each row: y = gamma (x - mean) / sqrt(var + epsilon) + beta, with
 * the row's mean and biased variance. epsilon > 0. */
typedef struct crs_layer_norm {
    int64_t N, F;
    double epsilon;
    const void *gamma, *beta; /* [F] */
    const void *x;            /* [N,F] */
    void *y;                  /* [N,F] */
    void *reserve;            /* layer_norm_reserve bytes */
    const void *dy;           /* [N,F] */
    void *dx;                 /* [N,F] overwritten, or NULL: not wanted */
    void *dgamma, *dbeta;     /* [F] added to */
} crs_layer_norm;

typedef enum crs_pool_kind { CRS_POOL_LAST, CRS_POOL_MEAN, CRS_POOL_MAX } crs_pool_kind;

/* [T,B,F] -> [B,F] over the live steps: the last one, their mean, their maximum (ties: the earliest). A row without
 * live steps gives zeros and passes no gradient on. dx is zero at dead steps. */
typedef struct crs_pool {
    crs_steps steps;
    int64_t F;
    crs_pool_kind kind;
    const void *x;   /* [T,B,F] */
    void *y;         /* [B,F] */
    int32_t *argmax; /* [B,F] the step of the maximum, or -1; written and read by CRS_POOL_MAX only */
    const void *dy;  /* [B,F] */
    void *dx;        /* [T,B,F] overwritten */
} crs_pool;

typedef enum crs_loss_kind {
    CRS_SOFTMAX_CROSS_ENTROPY,
    CRS_SIGMOID_CROSS_ENTROPY,
    CRS_MEAN_SQUARED_ERROR
} crs_loss_kind;

/* Loss and its gradient together. Targets are one-hot labels (C > 1), or the label 0/1 itself (C = 1).
 *   row loss l_b   softmax: -sum_c q_c log softmax(z)_c           q = (1-s) onehot + s/C      s label smoothing
 *                  sigmoid: mean over c of -(q log p + (1-q) log(1-p))   p = sigmoid(z)   q = (1-s) target + s/2
 *                  mse:     mean over c of (z_c - target_c)^2      (s is not read)
 *   batch loss     sum_b weight[label_b] l_b / B      (divided by B, not by the weights' sum: Keras)
 * dlogits is the gradient of the batch loss. The predicted class is the largest probability, told by
 * the logits where probabilities round alike (ties: the lowest class); with C = 1, class 1 if and only if the
 * probability is > 0.5. */
typedef struct crs_loss {
    int64_t B, C;
    crs_loss_kind kind;
    double label_smoothing;   /* 0 <= s < 1 */
    const void *logits;       /* [B,C] */
    const int32_t *labels;    /* [B], 0..C-1 (0..1 where C = 1); NULL: only probabilities are wanted */
    const void *class_weight; /* [C] (or [2] where C = 1), or NULL: ones */
    void *probabilities;      /* [B,C] softmax or sigmoid of the logits (mse: the logits themselves), or NULL */
    void *row_loss;           /* [B] weighted row losses, or NULL */
    void *dlogits;            /* [B,C] overwritten, or NULL: not wanted */
    crs_step_state *state;    /* loss_sum, rows, correct and bad_step are updated; NULL where labels is NULL */
} crs_loss;

/* state.grad_norm = sqrt(sum g^2), state.grad_scale = min(1, max_norm / grad_norm); max_norm 0: scale 1. A norm that is
 * not finite sets bad_step. */
typedef struct crs_norm {
    int64_t n;
    const void *g; /* [n] */
    double max_norm;
    crs_step_state *state;
} crs_norm;

/* A penalty on weights, as Keras' regularizers: the batch loss gets l1 sum |w| + l2 sum w^2, so that state.loss_sum +=
 * rows times that, and g += l1 sign(w) + 2 l2 w (sign(0) = 0). A penalty that is not finite sets bad_step. Before
 * norm. */
typedef struct crs_penalty {
    int64_t n;
    double l1, l2;
    int64_t rows;  /* of the batch */
    const void *w; /* [n] */
    void *g;       /* [n] added to */
    crs_step_state *state;
} crs_penalty;

/* A bound on weights, as Keras' MaxNorm: each row of w times min(norm, limit) / (1e-7 + norm), norm being its L2 norm.
 * After the optimizer; once bad_step is set the weights are left alone. */
typedef struct crs_max_norm {
    int64_t N, F;
    double limit;
    void *w; /* [N,F] */
    const crs_step_state *state;
} crs_max_norm;

typedef enum crs_optimizer_kind { CRS_SGD, CRS_RMSPROP, CRS_ADAM, CRS_ADAMW } crs_optimizer_kind;

/* One step over a flat block of n weights, in Keras' semantics (keras.optimizers), with g' = grad_scale * g, t = step:
 *   sgd      m = momentum m - lr g';  w += m   (nesterov: w += momentum m - lr g')
 *   rmsprop  v = rho v + (1-rho) g'^2;  u = lr g' / sqrt(v + epsilon);
 *            momentum 0: w -= u, else m = momentum m + u, w -= m
 *   adam     m = b1 m + (1-b1) g';  v = b2 v + (1-b2) g'^2;
 *            w -= lr sqrt(1-b2^t)/(1-b1^t) m / (sqrt(v) + epsilon)
 *   adamw    first w -= lr weight_decay w, then adam (Loshchilov and Hutter 2019)
 * The others add weight_decay as an L2 term: g' += weight_decay w (after clipping). */
typedef struct crs_optimizer {
    int64_t n;
    crs_optimizer_kind kind;
    double momentum, rho, beta1, beta2, epsilon, weight_decay;
    int nesterov;
    const crs_step_state *state;
    const void *g; /* [n] */
    void *w;       /* [n] */
    void *m;       /* [n]; sgd and rmsprop: NULL allowed where momentum is 0 */
    void *v;       /* [n]; sgd: NULL allowed */
} crs_optimizer;

typedef enum crs_schedule_kind { CRS_CONSTANT, CRS_STEP, CRS_COSINE } crs_schedule_kind;

/* Starts a step: state.step += 1, and with s = step - 1, writes state.lr:
 *   s < warmup   base_lr (s + 1) / warmup
 *   constant     base_lr
 *   step         base_lr * rate^floor((s - warmup) / every)
 *   cosine       floor_lr + (base_lr - floor_lr) (1 + cos(pi min(1, (s - warmup) / (total - warmup)))) / 2 */
typedef struct crs_schedule {
    crs_schedule_kind kind;
    double base_lr, floor_lr, rate;
    int64_t warmup, every, total; /* in steps; every >= 1, total > warmup where the kind reads them */
    crs_step_state *state;
} crs_schedule;

/* Every compute slot, with its argument struct: the table, each backend's own table, the check for empty slots and the
 * tests' mutants are all made from this list. */
#define CRS_COMPUTE_SLOTS(X)                                                                                           \
    X(embedding_forward, crs_embedding)                                                                                \
    X(embedding_backward, crs_embedding)                                                                               \
    X(dropout, crs_dropout)                                                                                            \
    X(add, crs_add)                                                                                                    \
    X(rnn_forward, crs_recurrent)                                                                                      \
    X(rnn_backward, crs_recurrent)                                                                                     \
    X(lstm_forward, crs_recurrent)                                                                                     \
    X(lstm_backward, crs_recurrent)                                                                                    \
    X(gru_forward, crs_recurrent)                                                                                      \
    X(gru_backward, crs_recurrent)                                                                                     \
    X(dense_forward, crs_dense)                                                                                        \
    X(dense_backward, crs_dense)                                                                                       \
    X(conv_forward, crs_conv)                                                                                          \
    X(conv_backward, crs_conv)                                                                                         \
    X(onehot_forward, crs_conv)                                                                                        \
    X(onehot_backward, crs_conv)                                                                                       \
    X(pool_forward, crs_pool)                                                                                          \
    X(pool_backward, crs_pool)                                                                                         \
    X(batch_norm_forward, crs_batch_norm)                                                                              \
    X(batch_norm_backward, crs_batch_norm)                                                                             \
    X(layer_norm_forward, crs_layer_norm)                                                                              \
    X(layer_norm_backward, crs_layer_norm)                                                                             \
    X(window_pool_forward, crs_window_pool)                                                                            \
    X(window_pool_backward, crs_window_pool)                                                                           \
    X(flatten_forward, crs_flatten)                                                                                    \
    X(flatten_backward, crs_flatten)                                                                                   \
    X(loss, crs_loss)                                                                                                  \
    X(penalty, crs_penalty)                                                                                            \
    X(norm, crs_norm)                                                                                                  \
    X(optimizer, crs_optimizer)                                                                                        \
    X(max_norm, crs_max_norm)                                                                                          \
    X(schedule, crs_schedule)

/* Reserve sizes in bytes for a layer of the given sizes and settings (an upper bound for any smaller T, T_out, B and
 * N). No pointer is read. Host functions: they queue nothing. */
#define CRS_RESERVE_SLOTS(X)                                                                                           \
    X(rnn_reserve, crs_recurrent)                                                                                      \
    X(lstm_reserve, crs_recurrent)                                                                                     \
    X(batch_norm_reserve, crs_batch_norm)                                                                              \
    X(layer_norm_reserve, crs_layer_norm)                                                                              \
    X(conv_reserve, crs_conv)                                                                                          \
    X(onehot_reserve, crs_conv)                                                                                        \
    X(gru_reserve, crs_recurrent)

/* Bytes of the longest key of repeat. */
#define CRS_REPEAT_KEY 64

typedef struct crs_ops {
    const char *name; /* "cpu", "cpu-double", "cuda" */
    size_t real_size; /* 4 or 8 */

    /* Devices and memory. `why` (host, [why_size]) gets one line where open fails. */
    crs_status (*open)(const crs_device_options *options, crs_device **device, char *why, size_t why_size);
    void (*close)(crs_device *device);
    const char *(*describe)(const crs_device *device); /* one line: device, threads, libraries, variants chosen; valid
                                                          until the next slot, as what was chosen may change */
    const char *(*explain)(const crs_device *device);  /* what stopped the last slot that failed, in one line, with the
                                                          sizes where memory was out; "": its status says it all */
    crs_status (*alloc)(crs_device *device, size_t bytes,
                        void **memory);             /* bytes > 0; content undefined; 64-byte aligned */
    void (*free)(crs_device *device, void *memory); /* NULL does nothing */
    crs_status (*fill)(crs_device *device, void *memory, int byte, size_t bytes);
    crs_status (*copy)(crs_device *device, void *to, const void *from, size_t bytes);
    crs_status (*upload)(crs_device *device, void *to, const void *from_host, size_t bytes);   /* from_host is free for
                                                                                                 reuse on return */
    crs_status (*download)(crs_device *device, void *to_host, const void *from, size_t bytes); /* waits */
    crs_status (*sync)(crs_device *device);                                                    /* waits */
    /* Queues what queue(work) queues, for work that comes back, such as a training step. A device that can records such
     * work when it comes again, and from then on queues the recording, in one piece and without calling queue. key
     * (host, key_size bytes, at most CRS_REPEAT_KEY) names the work: equal bytes promise equal calls with equal
     * arguments. free forgets whatever the device has recorded, so that a recording never meets memory that moved.
     * queue calls fill, copy and compute slots only, and does nothing else that counts, since it is called once more
     * where a recording comes to nothing. Where one fails, the device records no more, and describe says so. Returns
     * what the last call of queue returned. */
    crs_status (*repeat)(crs_device *device, const void *key, size_t key_size, crs_queue queue, void *work);

#define CRS_SLOT_RESERVE(slot, args) size_t (*slot)(const crs_device *device, const args *a);
    CRS_RESERVE_SLOTS(CRS_SLOT_RESERVE)
#undef CRS_SLOT_RESERVE
#define CRS_SLOT_COMPUTE(slot, args) crs_status (*slot)(crs_device * device, const args *a);
    CRS_COMPUTE_SLOTS(CRS_SLOT_COMPUTE)
#undef CRS_SLOT_COMPUTE
} crs_ops;

#ifdef __cplusplus
}
#endif
#endif
