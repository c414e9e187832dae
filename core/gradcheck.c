/* The gradient check: what every backend starts from, and the order of what is compared. A backend's part is
 * gradcheck_backend.c; finite differences are gradcheck_differences.c. */
#include "gradcheck.h"

#include "fail.h"
#include "random.h"
#include "training.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- before ---- */

static crs_status check_arguments(const crs__check *c, const crs_backend *oracle) {
    const crs_gradcheck_options *options = c->options;
    if (crs_backend_ops(oracle)->real_size != sizeof(double))
        return crs__fail(c->error, CRS_ERR_ARGUMENT, "the oracle computes in float", "open cpu-double for it");
    if (options->samples < 1 || options->train < 0)
        return crs__fail(c->error, CRS_ERR_ARGUMENT, "%lld samples and %lld steps of training",
                         "give 1 sample or more, and 0 steps or more", (long long)options->samples,
                         (long long)options->train);
    if (options->vocabulary < 2 || options->config->length < 1 || options->config->batch < 1)
        return crs__fail(c->error, CRS_ERR_ARGUMENT, "a vocabulary of %lld, %lld steps and %lld rows",
                         "give 2 ids or more, and a step and a row at least", (long long)options->vocabulary,
                         (long long)options->config->length, (long long)options->config->batch);
    return CRS_OK;
}

static crs_status find_injected(const crs__check *c) {
    const char *name = c->options->inject;
    char names[256] = "";
    size_t used = 0;
    for (size_t i = 0; name && i < c->oracle->tensor_count; i++) {
        const crs__tensor *tensor = &c->oracle->tensors[i];
        if (!tensor->trainable)
            continue;
        if (strcmp(tensor->name, name) == 0)
            return CRS_OK;
        if (used < sizeof names)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", tensor->name);
    }
    return name ? crs__fail(c->error, CRS_ERR_ARGUMENT, "there is no trained tensor '%.64s'", "take one of %s", name,
                            names)
                : CRS_OK;
}

/* Weights of a random network at which a mistake would show. */
static void spread(const crs__check *c, double *parameters) {
    for (size_t i = 0; i < c->oracle->tensor_count; i++) {
        const crs__tensor *tensor = &c->oracle->tensors[i];
        const double reach = tensor->initialiser == CRS__INIT_EMBEDDING ? 1 : tensor->rank == 1 ? 0.3 : 0;
        crs__random random = crs__random_of(c->options->config->seed, CRS__RANDOM_CHECK, CRS__CHECK_WEIGHTS, i);
        for (int64_t k = 0; k < tensor->size && reach > 0; k++)
            parameters[tensor->offset + k] += reach * (2 * crs__random_unit(&random) - 1);
    }
}

/* The parameters, numbers that float has too. */
static crs_status choose_parameters(crs__check *c) {
    const size_t n = (size_t)c->oracle->parameters;
    if (c->options->parameters) {
        memcpy(c->parameters, c->options->parameters, n * sizeof *c->parameters);
    } else {
        const crs_status status = crs_model_get_parameters(c->oracle, c->parameters);
        if (status != CRS_OK)
            return crs__check_failed(c, status, "reading the weights", c->oracle);
        spread(c, c->parameters);
    }
    for (size_t i = 0; i < n; i++)
        c->parameters[i] = (double)(float)c->parameters[i];
    return CRS_OK;
}

/* As if the first batch were all there is. */
static void balance(const crs__check *c) {
    const crs_batch batch = crs__check_source_get((crs__check_source *)&c->source, 0);
    const int64_t classes = c->options->classes;
    for (int64_t k = 0; k < classes; k++)
        c->class_weight[k] = 0;
    for (int64_t b = 0; b < batch.B; b++)
        c->class_weight[batch.labels[b]] += 1;
    for (int64_t k = 0; k < classes; k++)
        c->class_weight[k] = c->class_weight[k] > 0 ? (double)batch.B / ((double)classes * c->class_weight[k]) : 1;
}

static crs_status allocate(crs__check *c) {
    const size_t parameters = (size_t)c->oracle->parameters, steps = (size_t)c->options->train + 1;
    double **const blocks[] = {&c->parameters, &c->gradient, &c->movement, &c->got};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (!(*blocks[i] = malloc(parameters * sizeof(double))))
            return crs__fail_memory(c->error, parameters * sizeof(double), "the gradients");
    c->losses = malloc(steps * sizeof(double));
    c->got_losses = malloc(steps * sizeof(double));
    c->class_weight = calloc((size_t)c->options->classes, sizeof(double));
    c->gradient_slack = calloc(c->oracle->tensor_count, sizeof(double));
    c->movement_slack = calloc(c->oracle->tensor_count, sizeof(double));
    if (!c->losses || !c->got_losses || !c->class_weight || !c->gradient_slack || !c->movement_slack)
        return crs__fail_memory(c->error, (2 * steps + (size_t)c->options->classes) * sizeof(double), "the losses");
    return CRS_OK;
}

static crs_status prepare(crs__check *c, crs_backend *oracle) {
    CRS_TRY(check_arguments(c, oracle));
    crs_model *model;
    CRS_TRY(crs__check_build(c, oracle, &model));
    c->oracle = model;
    CRS_TRY(find_injected(c));
    CRS_TRY(crs__check_source_create(
        c->options, crs_model_needs_full_length(model, c->options->config->pad == CRS_SIDE_PRE), &c->source, c->error));
    CRS_TRY(allocate(c));
    const int balanced = c->options->config->class_weight == CRS_CLASS_WEIGHT_BALANCED;
    if (balanced)
        balance(c);
    c->training = crs__training_of(c->options->config, c->source.steps_per_epoch, balanced ? c->class_weight : NULL);
    return choose_parameters(c);
}

/* ---- the check ---- */

static crs_status check_oracle(crs__check *c, crs_backend *oracle) {
    CRS_TRY(crs__check_take_gradient(c, c->oracle, c->parameters, c->gradient, &c->loss));
    const crs_batch batch = crs__check_source_get(&c->source, 0);
    c->report->parameters = c->oracle->parameters;
    c->report->trainable = c->oracle->trainable;
    c->report->T = batch.T;
    c->report->B = batch.B;
    c->report->tokens = crs__batch_tokens(&batch);
    crs_gradcheck_part *part =
        crs__check_add_part(c->report, CRS_GRADCHECK_OF_DIFFERENCES, crs_backend_ops(oracle)->name, oracle, 0,
                            crs__check_trained_tensors(c->oracle), c->error);
    if (!part)
        return CRS_ERR_MEMORY;
    CRS_TRY(crs__check_differences(c->options, c->oracle, &batch, c->parameters, c->gradient, c->loss, part, c->error));
    return c->options->train > 0 ? crs__check_take_training(c, c->oracle, c->parameters, c->movement, c->losses)
                                 : CRS_OK;
}

static crs_status run(crs__check *c, crs_backend *oracle, const crs_gradcheck_backend *backends, size_t count) {
    c->report = calloc(1, sizeof *c->report);
    if (!c->report)
        return crs__fail_memory(c->error, sizeof *c->report, "a report");
    CRS_TRY(prepare(c, oracle));
    CRS_TRY(check_oracle(c, oracle));
    for (size_t i = 0; i < count; i++)
        CRS_TRY(crs__check_backend(c, &backends[i]));
    c->report->passed = 1;
    for (size_t i = 0; i < c->report->count; i++)
        c->report->passed &= c->report->parts[i].passed;
    return CRS_OK;
}

crs_status crs_gradcheck(const crs_gradcheck_options *options, crs_backend *oracle,
                         const crs_gradcheck_backend *backends, size_t count, crs_gradcheck_report **report,
                         crs_error *error) {
    crs__check c = {.options = options, .error = error};
    const crs_status status = run(&c, oracle, backends, count);
    crs_model_free(c.oracle);
    crs__check_source_free(&c.source);
    free(c.class_weight);
    free(c.parameters);
    free(c.gradient);
    free(c.losses);
    free(c.movement);
    free(c.got);
    free(c.got_losses);
    free(c.gradient_slack);
    free(c.movement_slack);
    if (status != CRS_OK) {
        crs_gradcheck_free(c.report);
        c.report = NULL;
    }
    *report = c.report;
    return status;
}
