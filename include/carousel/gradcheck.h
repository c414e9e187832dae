/* Gradient checks of whole networks: the double CPU backend, the oracle, against finite differences; every other
 * backend against the oracle, gradient by gradient and, where asked, through some steps of training. Masks are on, and
 * the same everywhere. What comes of it is a report; printing it is the caller's. */
#ifndef CAROUSEL_GRADCHECK_H
#define CAROUSEL_GRADCHECK_H

#include <carousel/backend.h>
#include <carousel/dataset.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Relative L2 errors that are allowed, a tensor at a time.
 *   differences  double against Richardson-extrapolated central differences
 *   float        IEEE single precision against double: 84 epsilons, for the sums over time, rows and layers. Double
 *                backends are held to as many epsilons of their own
 *   TF32         factors have 10 bits of mantissa: an error of up to 2^-11 each, 2^-10 a product. Twenty of these, as
 *                they add up over layers and steps, forward and back
 * To these comes a slack for what a network does to the smallest error: see crs_gradcheck_tensor. */
#define CRS_GRADCHECK_DIFFERENCES 1e-6
#define CRS_GRADCHECK_FLOAT 1e-5
#define CRS_GRADCHECK_TF32 2e-2

/* A backend to be checked. */
typedef struct crs_gradcheck_backend {
    const char *name; /* as it shall stand in the report */
    crs_backend *backend;
    double tolerance; /* relative, of gradients; 0: float's or double's, as its reals are */
} crs_gradcheck_backend;

typedef struct crs_gradcheck_options {
    /* The network, batches and training: model, loss, label_smoothing, class_weight, seed, batch, length, mask, pad,
     * bucket, word_dropout, optimizer and schedule are read. Of random data, batches are of `batch` rows and `length`
     * steps. Class weights are balanced over the rows of the first batch. */
    const crs_config *config;
    int64_t vocabulary, classes; /* of the network; with a dataset, its encoder's */
    /* Host [parameters of the model], rounded to float; or NULL: first weights as for training, but with inputs of the
     * size that trained ones have (embeddings in +-1) and biases moved by up to 0.3, since zeros hide mistakes. */
    const double *parameters;
    /* Rows to take the batches from as training does; or NULL: random ids and labels, and of the lengths of the rows
     * the first three are all, none and one, the others as it comes. */
    const crs_dataset *dataset;
    int64_t samples;    /* elements of a tensor whose differences are taken, >= 1; smaller tensors are done in full */
    int64_t train;      /* steps of training to compare; 0: none */
    const char *inject; /* a tensor of whose gradient one element is falsified, on every backend but the oracle, by ten
                           times what is allowed: the check must fail; NULL: none */
    void (*on_progress)(void *user, const char *what, int64_t done, int64_t all); /* or NULL */
    void *user;
} crs_gradcheck_options;

/* One tensor, compared. Passed: all values are finite, and
 *     L2 error <= tolerance * L2 norm wanted + slack.
 * The slack is the error that is no backend's fault.
 *   Of differences: rounding of the losses that are subtracted.
 *   Of a backend: the oracle computes the same once more with every weight, and every class's weight in the loss,
 *   changed by a twentieth of the tolerance, up or down (four draws), and the slack is twice the most that the tensor
 *   then moves, at most half its norm. Where the network is well behaved that is about a fifth of the tolerance; it is
 *   more where a sum nearly cancels, where two steps nearly share a maximum, and in a recurrence that blows small
 *   errors up. */
typedef struct crs_gradcheck_tensor {
    char name[64];
    int64_t shape[2];
    int rank;
    int64_t compared;   /* elements: all, or a sample */
    double norm;        /* L2, of what is wanted */
    double relative;    /* L2 error / norm; NaN where the norm is 0 */
    double largest;     /* largest absolute error */
    int64_t at[2];      /* row and column (0 where rank is 1) of the largest error, or of a value not finite */
    double got, wanted; /* there */
    double cosine;      /* NaN where either side is zero */
    double tolerance;   /* relative */
    double slack;       /* absolute, as above */
    int zero;           /* both sides are zero throughout, or as good as (within slack) */
    int finite, passed;
} crs_gradcheck_tensor;

/* A loss, compared. Passed: both are finite, and |got - wanted| <= tolerance * max(1, |wanted|). */
typedef struct crs_gradcheck_loss {
    double got, wanted, tolerance;
    int passed;
} crs_gradcheck_loss;

typedef enum crs_gradcheck_kind {
    CRS_GRADCHECK_OF_DIFFERENCES, /* the oracle's gradient (wanted) and differences (got); no loss */
    CRS_GRADCHECK_OF_GRADIENT,    /* a backend's gradient and the oracle's, and the loss */
    CRS_GRADCHECK_OF_TRAINING     /* how far the weights moved, and the loss of every step */
} crs_gradcheck_kind;

/* One comparison. In training of N steps with the tolerance d for gradients, the loss of step k has the tolerance k d,
 * and how far a tensor moved N d. Its slack is measured as above over the N steps; besides there is N e/2 times the
 * norm of the weights, e being the epsilon of the backend's reals: what rounding takes from them at each step. */
typedef struct crs_gradcheck_part {
    crs_gradcheck_kind kind;
    char name[64]; /* the backend's; the oracle's where it is compared with differences */
    char description[320];
    size_t loss_count, tensor_count;
    crs_gradcheck_loss *losses;    /* [loss_count] */
    crs_gradcheck_tensor *tensors; /* [tensor_count] the trained ones; of training all */
    int passed;
} crs_gradcheck_part;

typedef struct crs_gradcheck_report {
    int64_t parameters, trainable;
    int64_t T, B, tokens; /* of the batch whose gradients are compared; tokens: live steps */
    size_t count;
    crs_gradcheck_part *parts; /* [count] differences, then of each backend the gradient and the training */
    int passed;                /* all parts passed */
} crs_gradcheck_report;

/* Runs the checks. CRS_OK says that they ran, whatever they found; *report, which crs_gradcheck_free frees, has that.
 * CRS_ERR_ARGUMENT: the oracle is not of doubles, a number is out of range, or there is no trained tensor `inject`. */
crs_status crs_gradcheck(const crs_gradcheck_options *options, crs_backend *oracle,
                         const crs_gradcheck_backend *backends, size_t count, crs_gradcheck_report **report,
                         crs_error *error);
void crs_gradcheck_free(crs_gradcheck_report *report);

#ifdef __cplusplus
}
#endif
#endif
