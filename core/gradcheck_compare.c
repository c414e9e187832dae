/* Comparing a tensor or a loss with what it should be, and keeping the result in a report. */
#include "fail.h"
#include "gradcheck.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Row and column of the element compared in place i; a kernel's row is all that belongs to an output. */
static void set_place(const int64_t *chosen, int64_t i, crs_gradcheck_tensor *result) {
    const int64_t element = chosen ? chosen[i] : i;
    result->at[0] = element / result->shape[1];
    result->at[1] = element % result->shape[1];
}

void crs__check_compare(const crs__tensor *tensor, const double *got, const double *wanted, const int64_t *chosen,
                        int64_t count, double tolerance, double slack, crs_gradcheck_tensor *result) {
    *result = (crs_gradcheck_tensor){.shape = {tensor->shape[0], tensor->size / tensor->shape[0]},
                                     .rank = tensor->rank > 1 ? 2 : 1,
                                     .compared = count,
                                     .tolerance = tolerance,
                                     .slack = slack,
                                     .finite = 1};
    snprintf(result->name, sizeof result->name, "%s", tensor->name);
    double square_error = 0, square_wanted = 0, square_got = 0, product = 0;
    int64_t worst = 0;
    for (int64_t i = 0; i < count && result->finite; i++) {
        const double error = fabs(got[i] - wanted[i]);
        square_error += error * error;
        square_wanted += wanted[i] * wanted[i];
        square_got += got[i] * got[i];
        product += got[i] * wanted[i];
        result->finite = isfinite(got[i]) && isfinite(wanted[i]);
        if (error > result->largest || !result->finite) {
            result->largest = error;
            worst = i;
        }
    }
    const double error = sqrt(square_error);
    set_place(chosen, worst, result);
    result->got = got[worst];
    result->wanted = wanted[worst];
    result->norm = sqrt(square_wanted);
    result->relative = result->norm > 0 ? error / result->norm : NAN;
    result->cosine = product / (sqrt(square_got) * result->norm);
    result->zero = result->finite && result->norm <= slack && sqrt(square_got) <= slack;
    result->passed = isfinite(error) && error <= tolerance * result->norm + slack;
}

double crs__check_norm(const double *values, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; i++)
        sum += values[i] * values[i];
    return sqrt(sum);
}

crs_gradcheck_loss crs__check_compare_loss(double got, double wanted, double tolerance) {
    return (crs_gradcheck_loss){.got = got,
                                .wanted = wanted,
                                .tolerance = tolerance,
                                .passed = isfinite(got) && isfinite(wanted) &&
                                          fabs(got - wanted) <= tolerance * fmax(1, fabs(wanted))};
}

crs_gradcheck_part *crs__check_add_part(crs_gradcheck_report *report, crs_gradcheck_kind kind, const char *name,
                                        const crs_backend *backend, size_t losses, size_t tensors, crs_error *error) {
    crs_gradcheck_part *parts = realloc(report->parts, (report->count + 1) * sizeof *parts);
    if (!parts) {
        crs__fail_memory(error, (report->count + 1) * sizeof *parts, "a report");
        return NULL;
    }
    report->parts = parts;
    crs_gradcheck_part *part = &parts[report->count];
    *part = (crs_gradcheck_part){.kind = kind,
                                 .loss_count = losses,
                                 .tensor_count = tensors,
                                 .losses = calloc(losses + 1, sizeof *part->losses),
                                 .tensors = calloc(tensors + 1, sizeof *part->tensors)};
    report->count++;
    if (!part->losses || !part->tensors) {
        crs__fail_memory(error, losses * sizeof *part->losses + tensors * sizeof *part->tensors, "a report");
        return NULL;
    }
    snprintf(part->name, sizeof part->name, "%s", name);
    snprintf(part->description, sizeof part->description, "%s", crs_backend_describe(backend));
    return part;
}

void crs_gradcheck_free(crs_gradcheck_report *report) {
    if (!report)
        return;
    for (size_t i = 0; i < report->count; i++) {
        free(report->parts[i].losses);
        free(report->parts[i].tensors);
    }
    free(report->parts);
    free(report);
}
