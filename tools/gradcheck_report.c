/* What a gradient check found, as tables or as JSON. */
#include "command.h"

#include <math.h>
#include <string.h>

/* ---- tables ---- */

/* The relative error a tensor is held to, slack included; where nothing is wanted, the absolute one. */
static double allowed(const crs_gradcheck_tensor *t) {
    return t->norm > 0 ? t->tolerance + t->slack / t->norm : t->slack;
}

static const char *verdict(const crs_gradcheck_tensor *t) {
    if (!t->finite)
        return "FAILED: not finite";
    if (!t->passed)
        return t->norm > 0 ? "FAILED" : "FAILED: should be zero";
    return t->zero ? "ok, zero" : "ok";
}

static void print_tensor(const crs_gradcheck_tensor *t) {
    char compared[64], at[64], cosine[32];
    const int64_t size = t->shape[0] * t->shape[1];
    snprintf(compared, sizeof compared, t->compared < size ? "%lld of %lld" : "%lld", (long long)t->compared,
             (long long)size);
    snprintf(at, sizeof at, t->rank == 2 ? "[%lld, %lld]" : "[%lld]", (long long)t->at[0], (long long)t->at[1]);
    snprintf(cosine, sizeof cosine, isfinite(t->cosine) ? "%.10f" : "-", t->cosine);
    printf("  %-34s %16s %11.2e %11.2e  %-14s %13s %9.1e  %s\n", t->name, compared, t->relative, t->largest, at, cosine,
           allowed(t), verdict(t));
}

/* Of several losses the one that comes nearest to its bound, or is furthest beyond. */
static size_t worst_loss(const crs_gradcheck_part *part) {
    size_t worst = 0;
    double most = -1;
    for (size_t i = 0; i < part->loss_count; i++) {
        const crs_gradcheck_loss *loss = &part->losses[i];
        const double share = fabs(loss->got - loss->wanted) / loss->tolerance;
        if (!(share <= most)) {
            most = share;
            worst = i;
        }
        if (!isfinite(share))
            break;
    }
    return worst;
}

static void print_losses(const crs_gradcheck_part *part) {
    const size_t worst = worst_loss(part);
    const crs_gradcheck_loss *loss = &part->losses[worst];
    if (part->loss_count == 0)
        return;
    printf("  loss");
    if (part->kind == CRS_GRADCHECK_OF_TRAINING)
        printf(" of step %zu, the furthest off of %zu", worst + 1, part->loss_count);
    printf(": %.9g for %.9g, off by %.2e, allowed %.1e  %s\n", loss->got, loss->wanted, fabs(loss->got - loss->wanted),
           loss->tolerance * fmax(1, fabs(loss->wanted)), loss->passed ? "ok" : "FAILED");
}

static void print_title(const crs_gradcheck_part *part, const char *oracle) {
    switch (part->kind) {
    case CRS_GRADCHECK_OF_DIFFERENCES:
        printf("gradient of %s and finite differences", part->name);
        break;
    case CRS_GRADCHECK_OF_GRADIENT:
        printf("gradient of %s and %s", part->name, oracle);
        break;
    case CRS_GRADCHECK_OF_TRAINING:
        printf("training of %s and %s: how far %zu steps moved the weights", part->name, oracle, part->loss_count);
        break;
    }
}

static void print_part(const crs_gradcheck_part *part, const char *oracle) {
    putchar('\n');
    print_title(part, oracle);
    printf("\n  %s\n", part->description);
    print_losses(part);
    printf("  %-34s %16s %11s %11s  %-14s %13s %9s\n", "tensor", "compared", "relative L2", "largest", "at", "cosine",
           "allowed");
    for (size_t i = 0; i < part->tensor_count; i++)
        print_tensor(&part->tensors[i]);
}

static void print_report(const crs_gradcheck_options *options, const crs_gradcheck_report *report) {
    char trainable[32], tokens[32];
    format_count(report->trainable, trainable);
    format_count(report->tokens, tokens);
    printf("%s\n%s trained parameters; %s batch of %lld rows, %lld steps, %s tokens; masks of step 1, seed %llu\n",
           options->config->model, trainable, options->dataset ? "first" : "random", (long long)report->B,
           (long long)report->T, tokens, (unsigned long long)options->config->seed);
    for (size_t i = 0; i < report->count; i++)
        print_part(&report->parts[i], report->parts[0].name);
    printf("\n%s\n", report->passed ? "passed" : "FAILED");
}

/* ---- JSON ---- */

static json_t *json_of_tensor(const crs_gradcheck_tensor *t) {
    json_t *shape = json_array(), *at = json_array();
    for (int k = 0; k < t->rank; k++) {
        json_array_append_new(shape, json_integer((json_int_t)t->shape[k]));
        json_array_append_new(at, json_integer((json_int_t)t->at[k]));
    }
    return json_pack("{s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b}", "name", t->name,
                     "shape", shape, "compared", (json_int_t)t->compared, "norm", json_number(t->norm), "relative",
                     json_number(t->relative), "largest", json_number(t->largest), "at", at, "got", json_number(t->got),
                     "wanted", json_number(t->wanted), "cosine", json_number(t->cosine), "tolerance",
                     json_number(t->tolerance), "slack", json_number(t->slack), "zero", t->zero, "finite", t->finite,
                     "passed", t->passed);
}

static json_t *json_of_part(const crs_gradcheck_part *part) {
    static const char *const kinds[] = {"differences", "gradient", "training"};
    json_t *losses = json_array(), *tensors = json_array();
    for (size_t i = 0; i < part->loss_count; i++) {
        const crs_gradcheck_loss *loss = &part->losses[i];
        json_array_append_new(losses,
                              json_pack("{s:o, s:o, s:o, s:o, s:b}", "got", json_number(loss->got), "wanted",
                                        json_number(loss->wanted), "error", json_number(fabs(loss->got - loss->wanted)),
                                        "tolerance", json_number(loss->tolerance), "passed", loss->passed));
    }
    for (size_t i = 0; i < part->tensor_count; i++)
        json_array_append_new(tensors, json_of_tensor(&part->tensors[i]));
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:b}", "check", kinds[part->kind], "backend", part->name, "description",
                     part->description, "losses", losses, "tensors", tensors, "passed", part->passed);
}

static int print_report_json(const crs_gradcheck_options *options, const crs_gradcheck_report *report,
                             json_t *left_out) {
    json_t *parts = json_array();
    for (size_t i = 0; i < report->count; i++)
        json_array_append_new(parts, json_of_part(&report->parts[i]));
    return print_json(
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:O, s:o, s:b}", "carousel", crs_version(), "line",
                  options->config->model, "parameters", (json_int_t)report->parameters, "trainable",
                  (json_int_t)report->trainable, "rows", (json_int_t)report->B, "steps", (json_int_t)report->T,
                  "tokens", (json_int_t)report->tokens, "seed", (json_int_t)options->config->seed, "random",
                  options->dataset == NULL, "left_out", left_out, "checks", parts, "passed", report->passed));
}

/* ---- either ---- */

/* The first thing that failed, in one line. */
static void tell_failure(const crs_gradcheck_report *report) {
    static const char *const kinds[] = {"its gradient and finite differences", "its gradient", "its training"};
    size_t i = 0, k = 0;
    while (report->parts[i].passed)
        i++;
    const crs_gradcheck_part *part = &report->parts[i];
    while (k < part->tensor_count && part->tensors[k].passed)
        k++;
    fprintf(stderr, "carousel: %s failed the check of %s, first in %s; ", part->name, kinds[part->kind],
            k < part->tensor_count ? part->tensors[k].name : "the loss");
    fputs(i > 0 ? "do not trust it before this is found\n"
                : "it is wrong, or the loss has a bend just there: see whether another --seed fails too\n",
          stderr);
}

int report_gradcheck(const invocation *in, const crs_gradcheck_options *options, const crs_gradcheck_report *report,
                     json_t *left_out) {
    int result = EXIT_DONE;
    if (in->extras.json)
        result = print_report_json(options, report, left_out);
    else
        print_report(options, report);
    if (report->passed)
        return result;
    tell_failure(report);
    return EXIT_FAILED;
}
