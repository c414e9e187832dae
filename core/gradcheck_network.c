/* The network under check on any one backend: its gradient, and its training. Comparing is gradcheck_backend.c. */
#include "fail.h"
#include "gradcheck.h"

crs_status crs__check_failed(const crs__check *c, crs_status status, const char *what, const crs_model *model) {
    return crs__fail(c->error, status, "%s on %s: %s", NULL, what, model->ops->name,
                     crs_backend_failure(model->backend, status));
}

crs_status crs__check_build(const crs__check *c, crs_backend *backend, crs_model **model) {
    const crs_config *config = c->options->config;
    const crs_model_task task = {.vocabulary = c->options->vocabulary,
                                 .classes = c->options->classes,
                                 .length = config->length,
                                 .loss = config->loss,
                                 .label_smoothing = config->label_smoothing,
                                 .seed = config->seed};
    return crs_model_create(config->model, &task, backend, model, c->error);
}

/* Memory and first weights of a training that begins. */
static crs_status begin(const crs__check *c, crs_model *model, const double *parameters) {
    CRS_TRY(crs_model_prepare(model, c->source.T, c->source.B, &c->training, c->error));
    const crs_status status = crs_model_set_parameters(model, parameters);
    return status == CRS_OK ? CRS_OK : crs__check_failed(c, status, "writing the weights", model);
}

static crs_status take_loss(crs_model *model, double *loss) {
    crs_step_state state;
    CRS_TRY(crs_model_state(model, 1, &state));
    *loss = state.loss_sum / (double)state.rows;
    return CRS_OK;
}

crs_status crs__check_take_gradient(crs__check *c, crs_model *model, const double *parameters, double *gradient,
                                    double *loss) {
    CRS_TRY(begin(c, model, parameters));
    const crs_batch batch = crs__check_source_get(&c->source, 0);
    crs_status status = crs_model_gradient(model, &batch, 0);
    if (status == CRS_OK)
        status = take_loss(model, loss);
    if (status == CRS_OK)
        status = crs_model_get_gradients(model, gradient);
    return status == CRS_OK ? CRS_OK : crs__check_failed(c, status, "the gradient", model);
}

crs_status crs__check_take_training(crs__check *c, crs_model *model, const double *parameters, double *movement,
                                    double *losses) {
    CRS_TRY(begin(c, model, parameters));
    crs_status status = CRS_OK;
    for (int64_t step = 0; step < c->options->train && status == CRS_OK; step++) {
        const crs_batch batch = crs__check_source_get(&c->source, step);
        status = crs_model_step(model, &batch);
        if (status == CRS_OK)
            status = take_loss(model, &losses[step]);
        if (c->options->on_progress)
            c->options->on_progress(c->options->user, "training steps", step + 1, c->options->train);
    }
    if (status == CRS_OK)
        status = crs_model_get_parameters(model, movement);
    for (int64_t i = 0; i < model->parameters && status == CRS_OK; i++)
        movement[i] -= parameters[i];
    return status == CRS_OK ? CRS_OK : crs__check_failed(c, status, "training", model);
}
