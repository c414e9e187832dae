/* Finite differences of the loss, against the gradient in double. The points they are taken at follow from the loss
 * alone: the gradient that is checked only says which elements are worth it. */
#include "fail.h"
#include "gradcheck.h"
#include "random.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one element ---- */

/* The first step, halved until rounding would have more to say than the loss: with 2e-3 and a smooth loss the
 * extrapolated error is of the order of 1e-12. Smaller steps are for losses with a bend nearby, where a maximum changes
 * hands or a relu wakes up. */
#define FIRST_STEP 2e-3
enum { HALVINGS = 14, LOSS_EPSILONS = 4 };

/* A network that nothing is learnt in: crs_model_gradient ends with the loss. It shares all its memory. */
typedef struct probe {
    crs_model view;
    const crs_batch *batch;
    double rounding; /* of a loss */
} probe;

static crs_status loss_at(probe *p, int64_t offset, double value, double *loss) {
    crs_step_state state;
    CRS_TRY(crs__model_set_values(&p->view, offset, 1, &value));
    CRS_TRY(crs_model_state(&p->view, 1, &state));
    CRS_TRY(crs_model_gradient(&p->view, p->batch, 1));
    CRS_TRY(crs_model_state(&p->view, 0, &state));
    *loss = state.loss_sum / (double)state.rows;
    return CRS_OK;
}

/* (loss(value + step) - loss(value - step)) / 2 step; its error falls with the step squared. */
static crs_status central(probe *p, int64_t offset, double value, double step, double *slope) {
    double above, below;
    const double right = value + step, left = value - step;
    CRS_TRY(loss_at(p, offset, right, &above));
    CRS_TRY(loss_at(p, offset, left, &below));
    *slope = (above - below) / (right - left);
    return CRS_OK;
}

/* Richardson's extrapolation of two central differences, (4 slope(h/2) - slope(h)) / 3, takes the error's h^2 term
 * away. Steps are halved until two neighbouring results agree to rounding; where that never comes, the two that agree
 * best count (Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering Software 1982).
 * rounding: what the loss's own leaves uncertain in the result. */
static crs_status differentiate(probe *p, int64_t offset, double value, double *derivative, double *rounding) {
    double step = FIRST_STEP, wider, best = INFINITY, former = NAN;
    *derivative = NAN;
    *rounding = 0;
    CRS_TRY(central(p, offset, value, step, &wider));
    for (int i = 0; i < HALVINGS; i++) {
        double slope;
        step /= 2;
        CRS_TRY(central(p, offset, value, step, &slope));
        const double extrapolated = (4 * slope - wider) / 3, noise = p->rounding / step;
        const double doubt = fabs(extrapolated - former) + noise;
        if (doubt < best) {
            best = doubt;
            *derivative = extrapolated;
            *rounding = noise;
        }
        if (best <= 3 * noise)
            break;
        former = extrapolated;
        wider = slope;
    }
    return crs__model_set_values(&p->view, offset, 1, &value);
}

/* ---- which elements ---- */

static int by_number(const void *a, const void *b) {
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* The `count` largest values by size, into chosen in falling order. */
static void choose_largest(const double *values, int64_t size, int64_t *chosen, int64_t count) {
    int64_t held = 0;
    for (int64_t i = 0; i < size; i++) {
        int64_t place = held;
        while (place > 0 && fabs(values[i]) > fabs(values[chosen[place - 1]]))
            place--;
        if (place == count)
            continue;
        for (int64_t k = held < count ? held++ : count - 1; k > place; k--)
            chosen[k] = chosen[k - 1];
        chosen[place] = i;
    }
}

/* Sorts, and leaves each one once; returns how many. */
static int64_t distinct(int64_t *chosen, int64_t count) {
    int64_t kept = 1;
    qsort(chosen, (size_t)count, sizeof *chosen, by_number);
    for (int64_t i = 1; i < count; i++)
        if (chosen[i] != chosen[kept - 1])
            chosen[kept++] = chosen[i];
    return kept;
}

/* A quarter of the sample are the largest gradients, half are drawn from those that are not zero (Vitter's algorithm
 * R), since of an embedding only the rows of the batch's tokens have any, and the rest from all. In order; returns how
 * many. */
static int64_t choose(const double *gradient, int64_t size, int64_t samples, crs__random *random, int64_t *chosen) {
    if (size <= samples) {
        for (int64_t i = 0; i < size; i++)
            chosen[i] = i;
        return size;
    }
    const int64_t largest = (samples + 3) / 4, living = (samples - largest) * 2 / 3;
    int64_t seen = 0;
    choose_largest(gradient, size, chosen, largest);
    for (int64_t i = 0; i < size; i++) {
        if (gradient[i] == 0)
            continue;
        const int64_t place = seen < living ? seen : crs__random_below(random, seen + 1);
        seen++;
        if (place < living)
            chosen[largest + place] = i;
    }
    int64_t count = largest + (seen < living ? seen : living);
    do {
        while (count < samples)
            chosen[count++] = crs__random_below(random, size);
        count = distinct(chosen, count);
    } while (count < samples);
    return count;
}

/* ---- all tensors ---- */

typedef struct work {
    const crs_gradcheck_options *options;
    probe probe;
    int64_t samples, done, all; /* elements: of a tensor at most; done; in all */
    int64_t *chosen;            /* [samples] */
    double *got, *wanted;       /* [samples] */
} work;

static int64_t planned(const work *w, const crs__tensor *tensor) {
    return tensor->size < w->samples ? tensor->size : w->samples;
}

static crs_status check_tensor(work *w, const crs__tensor *tensor, size_t index, const double *parameters,
                               const double *gradient, crs_gradcheck_tensor *result, crs_error *error) {
    crs__random random = crs__random_of(w->options->config->seed, CRS__RANDOM_CHECK, CRS__CHECK_SAMPLE, index);
    const double *own = gradient + tensor->offset;
    const int64_t count = choose(own, tensor->size, w->samples, &random, w->chosen);
    double square_rounding = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t element = tensor->offset + w->chosen[i];
        double rounding;
        const crs_status status = differentiate(&w->probe, element, parameters[element], &w->got[i], &rounding);
        if (status != CRS_OK)
            return crs__fail(error, status, "differences of %s: %s", NULL, tensor->name,
                             crs_backend_failure(w->probe.view.backend, status));
        w->wanted[i] = own[w->chosen[i]];
        square_rounding += rounding * rounding;
        if (w->options->on_progress)
            w->options->on_progress(w->options->user, "finite differences", w->done + i + 1, w->all);
    }
    w->done += planned(w, tensor);
    crs__check_compare(tensor, w->got, w->wanted, w->chosen, count, CRS_GRADCHECK_DIFFERENCES, sqrt(square_rounding),
                       result);
    return CRS_OK;
}

static crs_status check_tensors(work *w, const crs_model *oracle, const double *parameters, const double *gradient,
                                crs_gradcheck_part *part, crs_error *error) {
    size_t at = 0;
    part->passed = 1;
    for (size_t i = 0; i < oracle->tensor_count; i++) {
        if (!oracle->tensors[i].trainable)
            continue;
        CRS_TRY(check_tensor(w, &oracle->tensors[i], i, parameters, gradient, &part->tensors[at], error));
        part->passed &= part->tensors[at++].passed;
    }
    return CRS_OK;
}

crs_status crs__check_differences(const crs_gradcheck_options *options, crs_model *oracle, const crs_batch *batch,
                                  const double *parameters, const double *gradient, double loss,
                                  crs_gradcheck_part *part, crs_error *error) {
    work w = {.options = options, .probe = {.view = *oracle, .batch = batch}, .samples = 1};
    for (size_t i = 0; i < oracle->tensor_count; i++) {
        const int64_t size = oracle->tensors[i].size, wanted = size < options->samples ? size : options->samples;
        w.samples = wanted > w.samples ? wanted : w.samples;
    }
    for (size_t i = 0; i < oracle->tensor_count; i++)
        w.all += oracle->tensors[i].trainable ? planned(&w, &oracle->tensors[i]) : 0;
    /* No layer is trained; one value of the gradient, since there is none of no values, is zeroed. */
    w.probe.view.first_trained = oracle->layer_count;
    w.probe.view.trainable = 1;
    w.probe.rounding = LOSS_EPSILONS * DBL_EPSILON * fmax(1, fabs(loss));
    w.chosen = malloc((size_t)w.samples * sizeof *w.chosen);
    w.got = malloc((size_t)w.samples * sizeof *w.got);
    w.wanted = malloc((size_t)w.samples * sizeof *w.wanted);
    crs_status status;
    if (w.chosen && w.got && w.wanted)
        status = check_tensors(&w, oracle, parameters, gradient, part, error);
    else
        status = crs__fail_memory(error, (size_t)w.samples * 3 * sizeof(double), "a sample of the gradient");
    free(w.chosen);
    free(w.got);
    free(w.wanted);
    return status;
}
