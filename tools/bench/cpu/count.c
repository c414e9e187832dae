/* Floating-point operations of the networks that are compared here, layer by layer. */
#include "flops.h"
#include "network.h"

#include <stdlib.h>
#include <string.h>

/* Where the walk along the layers is: sizes of what flows. */
typedef struct flow {
    int64_t T, B, live; /* steps of a row, rows, live steps of all rows */
    int64_t features;
    double flops;
} flow;

/* Options that change how often a window is applied: here only full windows are counted, those of a pooling side by
 * side. */
static void refuse_options(const char *text) {
    static const char *const words[] = {"same", "causal", "stride", "dilation"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(text, words[i]))
            fail("the operations of '%s' cannot be counted", text);
}

static void slide_window(flow *at, int64_t size, int64_t stride) {
    if (at->live != at->T * at->B || size > at->T)
        fail("windows can only be counted over rows of full length");
    at->T = (at->T - size) / stride + 1;
    at->live = at->T * at->B;
}

static void count_recurrent(flow *at, const char *kind, int64_t H) {
    const int both = strncmp(kind, "bi", 2) == 0;
    const char *cell = kind + (both ? 2 : 0);
    const int64_t gates = strcmp(cell, "lstm") == 0 ? 4 : strcmp(cell, "gru") == 0 ? 3 : 1;
    at->flops += (both ? 2 : 1) * flops_recurrent(at->live, at->features, H, gates);
}

static void count_layer(flow *at, const crs_layer_info *layer) {
    const char *kind = layer->kind;
    char *rest;
    const int64_t number = strtoll(layer->text + strcspn(layer->text, " "), &rest, 10);
    const int64_t outputs = layer->shape[layer->rank - 1];
    if (strstr(kind, "lstm") || strstr(kind, "gru") || strstr(kind, "rnn"))
        count_recurrent(at, kind, number);
    else if (strcmp(kind, "dense") == 0)
        at->flops += flops_product(at->B, at->features, outputs);
    else if (strcmp(kind, "conv") == 0) {
        const int64_t size = strtoll(rest, NULL, 10);
        refuse_options(layer->text);
        slide_window(at, size, 1);
        at->flops += flops_conv(at->live, size, at->features, outputs);
    } else if (strcmp(kind, "maxpool") == 0) {
        refuse_options(layer->text);
        slide_window(at, number, number);
    } else if (strcmp(kind, "embedding") != 0 && strcmp(kind, "batchnorm") != 0 && strcmp(kind, "max") != 0)
        fail("the operations of '%s' cannot be counted", layer->text);
    at->features = outputs;
}

double network_flops(const crs_model *model, int64_t T, int64_t B, int64_t live) {
    flow at = {.T = T, .B = B, .live = live};
    for (size_t i = 0; i < crs_model_layers(model); i++) {
        const crs_layer_info layer = crs_model_layer(model, i);
        count_layer(&at, &layer);
    }
    return at.flops;
}
