/* carousel eval MODEL DATA */
#include "command.h"

#include <stdio.h>

static int evaluate(invocation *in, crs_classifier *classifier) {
    crs_error error;
    crs_dataset *dataset;
    if (crs_config_check(&classifier->config, &error) != CRS_OK ||
        crs_dataset_read(in->arguments[1], &classifier->config, classifier->encoder, NULL, &dataset, &error) != CRS_OK)
        return fail(&error);
    report_dataset(in, &classifier->config, "data", in->arguments[1], dataset);
    double start = monotonic_seconds();
    crs_metrics *metrics = NULL;
    int result = EXIT_DONE;
    if (crs_evaluate(classifier->model, &classifier->config, dataset, NULL, 0, &metrics, &error) != CRS_OK) {
        result = fail(&error);
    } else {
        double seconds = monotonic_seconds() - start;
        say(in, "%.0f rows/s", (double)metrics->rows / seconds);
        if (in->extras.json)
            result = print_json(json_pack(
                "{s:s, s:s, s:s, s:s, s:o, s:o}", "carousel", crs_version(), "model", in->arguments[0], "data",
                in->arguments[1], "backend", crs_backend_describe(crs_model_backend(classifier->model)), "seconds",
                json_number(seconds), "metrics", json_of_metrics(metrics, classifier->encoder)));
        else
            report_metrics(stdout, metrics, classifier->encoder);
    }
    crs_metrics_free(metrics);
    crs_dataset_free(dataset);
    return result;
}

int run_eval(invocation *in) {
    crs_backend *backend = open_backend(in);
    crs_classifier *classifier = backend ? open_classifier(in, in->arguments[0], backend) : NULL;
    int result = classifier ? evaluate(in, classifier) : EXIT_FAILED;
    crs_classifier_free(classifier);
    crs_backend_close(backend);
    return result;
}
