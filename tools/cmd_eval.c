/* carousel eval MODEL DATA */
#include "ensemble.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* One model is evaluated as training evaluates it, with the loss it was trained with. */
static crs_status measure(const ensemble *e, const char *path, const crs_dataset *dataset, crs_metrics **metrics,
                          crs_error *error) {
    const crs_classifier *first = e->members[0];
    return e->count == 1 ? crs_evaluate(first->model, &first->config, dataset, NULL, 0, metrics, error)
                         : ensemble_evaluate(e, path, dataset, metrics, error);
}

/* The other models; null where there are none. */
static json_t *json_of_with(const text_list *with) {
    json_t *paths = with->count > 0 ? json_array() : json_null();
    for (size_t i = 0; i < with->count; i++)
        /* A path that is not UTF-8 has no JSON. */
        if (json_array_append_new(paths, json_string(with->items[i])) != 0)
            json_array_append_new(paths, json_null());
    return paths;
}

static int evaluate(const invocation *in, const ensemble *e) {
    crs_error error;
    crs_dataset *dataset;
    const crs_classifier *first = e->members[0];
    const char *path = in->arguments[1];
    for (size_t i = 0; i < e->count; i++)
        if (crs_config_check(&e->members[i]->config, &error) != CRS_OK)
            return fail(&error);
    if (crs_dataset_read(path, &first->config, first->encoder, NULL, &dataset, &error) != CRS_OK)
        return fail(&error);
    report_dataset(in, &first->config, "data", path, dataset);
    double start = monotonic_seconds();
    crs_metrics *metrics = NULL;
    int result = EXIT_DONE;
    if (measure(e, path, dataset, &metrics, &error) != CRS_OK) {
        result = fail(&error);
    } else {
        double seconds = monotonic_seconds() - start;
        say(in, "%.0f rows/s", (double)metrics->rows / seconds);
        if (in->extras.json)
            result = print_json(json_pack("{s:s, s:s, s:o, s:s, s:s, s:o, s:o}", "carousel", crs_version(), "model",
                                          in->arguments[0], "with", json_of_with(&in->extras.with), "data", path,
                                          "backend", crs_backend_describe(e->backend), "seconds", json_number(seconds),
                                          "metrics", json_of_metrics(metrics, first->encoder)));
        else
            report_metrics(stdout, metrics, first->encoder);
    }
    crs_metrics_free(metrics);
    crs_dataset_free(dataset);
    return result;
}

static int can_be_read_twice(const char *path) {
    struct stat info;
    /* What is not there is told when it is opened. */
    return strcmp(path, "-") != 0 && (stat(path, &info) != 0 || S_ISREG(info.st_mode) || S_ISDIR(info.st_mode));
}

int run_eval(invocation *in) {
    ensemble e;
    if (in->extras.with.count > 0 && !can_be_read_twice(in->arguments[1])) {
        fputs("carousel: --with reads DATA once for each model, which a pipe does not allow; give a file\n", stderr);
        return EXIT_USAGE;
    }
    const int result = ensemble_open(in, &e) ? evaluate(in, &e) : EXIT_FAILED;
    ensemble_clear(&e);
    return result;
}
