/* Results as JSON, by jansson. */
#include "command.h"

#include <math.h>
#include <stdio.h>

json_t *json_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

/* Null where there are too many classes for it. */
static json_t *json_of_confusion(const crs_metrics *m) {
    if (!m->confusion)
        return json_null();
    json_t *confusion = json_array();
    for (int64_t c = 0; c < m->classes; c++) {
        json_t *row = json_array();
        for (int64_t p = 0; p < m->classes; p++)
            json_array_append_new(row, json_integer((json_int_t)m->confusion[c * m->classes + p]));
        json_array_append_new(confusion, row);
    }
    return confusion;
}

json_t *json_of_metrics(const crs_metrics *m, const crs_encoder *encoder) {
    json_t *classes = json_array();
    for (int64_t c = 0; c < m->classes; c++) {
        const crs_class_metrics *one = &m->per_class[c];
        json_array_append_new(classes,
                              json_pack("{s:s, s:I, s:o, s:o, s:o}", "label", crs_encoder_label(encoder, c), "rows",
                                        (json_int_t)one->support, "precision", json_number(one->precision), "recall",
                                        json_number(one->recall), "f1", json_number(one->f1)));
    }
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rows", (json_int_t)m->rows, "loss",
                     json_number(m->loss), "accuracy", json_number(m->accuracy), "macro_precision",
                     json_number(m->macro_precision), "macro_recall", json_number(m->macro_recall), "macro_f1",
                     json_number(m->macro_f1), "roc_auc", json_number(m->auc), "classes", classes, "confusion",
                     json_of_confusion(m));
}

json_t *json_of_history(const crs_history *history) {
    json_t *epochs = json_array();
    for (size_t i = 0; i < history->count; i++) {
        const crs_epoch *e = &history->epochs[i];
        json_array_append_new(epochs, json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "epoch",
                                                (json_int_t)e->epoch, "steps", (json_int_t)e->steps, "loss",
                                                json_number(e->loss), "accuracy", json_number(e->accuracy), "val_loss",
                                                json_number(e->val_loss), "val_accuracy", json_number(e->val_accuracy),
                                                "val_macro_f1", json_number(e->val_macro_f1), "learning_rate",
                                                json_number(e->lr), "grad_norm", json_number(e->grad_norm), "seconds",
                                                json_number(e->seconds), "tokens", (json_int_t)e->tokens));
    }
    return epochs;
}

json_t *json_of_vectors(const char *path, const crs_vectors_coverage *v) {
    if (!v->format)
        return json_null();
    /* A path need not be UTF-8, which JSON needs. */
    json_t *name = json_string(path);
    return json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "file", name ? name : json_null(), "format",
                     v->format, "width", (json_int_t)v->width, "vectors", (json_int_t)v->vectors, "skipped",
                     (json_int_t)v->skipped, "vocabulary", (json_int_t)v->vocabulary, "exact", (json_int_t)v->exact,
                     "folded", (json_int_t)v->folded, "tokens", (json_int_t)v->tokens, "covered",
                     (json_int_t)v->covered);
}

int print_json(json_t *object) {
    int failed = !object || json_dumpf(object, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) != 0;
    json_decref(object);
    if (failed)
        fputs("carousel: the JSON result could not be made or written\n", stderr);
    else
        putchar('\n');
    return failed ? EXIT_FAILED : EXIT_DONE;
}
