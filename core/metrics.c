/* Metrics of predictions: loss, accuracy, precision, recall, F1, confusion matrix, area under the ROC curve. What is
 * counted comes row by row; nothing here runs a model. */
#include <carousel/trainer.h>

#include <math.h>
#include <stdlib.h>

typedef struct scored {
    float score; /* probability of class 1 */
    int label;
} scored;

/* What is collected until finish. rows is NULL unless there are two classes. */
struct crs__scores {
    scored *rows;
    size_t count, capacity;
    int64_t *predicted; /* [classes] rows that were given this class */
    int64_t *hits;      /* [classes] those of them that are of it */
    double loss_sum;
};

static void free_scores(struct crs__scores *scores) {
    if (!scores)
        return;
    free(scores->rows);
    free(scores->predicted);
    free(scores->hits);
    free(scores);
}

static struct crs__scores *create_scores(size_t classes) {
    struct crs__scores *scores = calloc(1, sizeof *scores);
    if (!scores)
        return NULL;
    scores->predicted = calloc(classes, sizeof *scores->predicted);
    scores->hits = calloc(classes, sizeof *scores->hits);
    if (scores->predicted && scores->hits)
        return scores;
    free_scores(scores);
    return NULL;
}

crs_status crs_metrics_create(int64_t classes, crs_metrics **metrics) {
    *metrics = NULL;
    if (classes < 2)
        return CRS_ERR_ARGUMENT;
    if ((uint64_t)classes > SIZE_MAX / sizeof(crs_class_metrics))
        return CRS_ERR_MEMORY;
    crs_metrics *made = calloc(1, sizeof *made);
    if (!made)
        return CRS_ERR_MEMORY;
    made->classes = classes;
    made->per_class = calloc((size_t)classes, sizeof *made->per_class);
    made->scores = create_scores((size_t)classes);
    const int has_confusion = classes <= CRS_CONFUSION_CLASSES;
    if (has_confusion)
        made->confusion = calloc((size_t)(classes * classes), sizeof *made->confusion);
    if (!made->per_class || !made->scores || (has_confusion && !made->confusion)) {
        crs_metrics_free(made);
        return CRS_ERR_MEMORY;
    }
    *metrics = made;
    return CRS_OK;
}

void crs_metrics_free(crs_metrics *metrics) {
    if (!metrics)
        return;
    free_scores(metrics->scores);
    free(metrics->per_class);
    free(metrics->confusion);
    free(metrics);
}

static crs_status collect(struct crs__scores *scores, float score, int label) {
    if (scores->count == scores->capacity) {
        const size_t capacity = scores->capacity ? 2 * scores->capacity : 256;
        if (capacity > SIZE_MAX / sizeof *scores->rows)
            return CRS_ERR_MEMORY;
        scored *rows = realloc(scores->rows, capacity * sizeof *rows);
        if (!rows)
            return CRS_ERR_MEMORY;
        scores->rows = rows;
        scores->capacity = capacity;
    }
    scores->rows[scores->count++] = (scored){score, label};
    return CRS_OK;
}

crs_status crs_metrics_add(crs_metrics *metrics, int64_t label, const float *probabilities, double row_loss) {
    if (!metrics->scores || label < 0 || label >= metrics->classes)
        return CRS_ERR_ARGUMENT;
    if (!isfinite(row_loss))
        return CRS_ERR_NOT_FINITE;
    int64_t predicted = 0;
    for (int64_t c = 0; c < metrics->classes; c++) {
        if (!isfinite(probabilities[c]))
            return CRS_ERR_NOT_FINITE;
        if (probabilities[c] > probabilities[predicted])
            predicted = c;
    }
    if (metrics->classes == 2) {
        const crs_status status = collect(metrics->scores, probabilities[1], (int)label);
        if (status != CRS_OK)
            return status;
    }
    if (metrics->confusion)
        metrics->confusion[label * metrics->classes + predicted]++;
    metrics->per_class[label].support++;
    metrics->scores->predicted[predicted]++;
    metrics->scores->hits[predicted] += predicted == label;
    metrics->scores->loss_sum += row_loss;
    metrics->rows++;
    return CRS_OK;
}

static int by_score(const void *a, const void *b) {
    const float x = ((const scored *)a)->score, y = ((const scored *)b)->score;
    return (x > y) - (x < y);
}

/* The share of pairs (a row of class 1, a row of class 0) in which the former scores higher, ties counted half: Mann
 * and Whitney's U over the number of pairs (Hanley and McNeil 1982). */
static double area_under_roc(struct crs__scores *scores) {
    if (scores->count == 0)
        return NAN;
    qsort(scores->rows, scores->count, sizeof *scores->rows, by_score);
    double won = 0, ones_below = 0, zeros_below = 0;
    for (size_t i = 0; i < scores->count;) {
        double ones = 0, zeros = 0;
        const float score = scores->rows[i].score;
        for (; i < scores->count && scores->rows[i].score == score; i++)
            *(scores->rows[i].label ? &ones : &zeros) += 1;
        won += ones * (zeros_below + zeros / 2);
        ones_below += ones;
        zeros_below += zeros;
    }
    return ones_below > 0 && zeros_below > 0 ? won / (ones_below * zeros_below) : NAN;
}

static double ratio(int64_t part, int64_t whole) {
    return whole > 0 ? (double)part / (double)whole : 0;
}

void crs_metrics_finish(crs_metrics *metrics) {
    if (!metrics->scores)
        return;
    const int64_t C = metrics->classes;
    const double rows = (double)metrics->rows;
    int64_t correct = 0;
    for (int64_t c = 0; c < C; c++) {
        const int64_t of_class = metrics->per_class[c].support, as_class = metrics->scores->predicted[c];
        const int64_t hits = metrics->scores->hits[c];
        metrics->per_class[c] = (crs_class_metrics){.support = of_class,
                                                    .precision = ratio(hits, as_class),
                                                    .recall = ratio(hits, of_class),
                                                    .f1 = ratio(2 * hits, of_class + as_class)};
        metrics->macro_precision += metrics->per_class[c].precision / (double)C;
        metrics->macro_recall += metrics->per_class[c].recall / (double)C;
        metrics->macro_f1 += metrics->per_class[c].f1 / (double)C;
        correct += hits;
    }
    metrics->loss = metrics->rows > 0 ? metrics->scores->loss_sum / rows : NAN;
    metrics->accuracy = metrics->rows > 0 ? (double)correct / rows : NAN;
    metrics->auc = area_under_roc(metrics->scores);
    free_scores(metrics->scores);
    metrics->scores = NULL;
}
