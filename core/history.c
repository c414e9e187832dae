/* The history of a training: keeping it, and writing it as CSV. Made by the trainer (trainer.c). */
#include "fail.h"
#include "file.h"
#include "numbers.h"

#include <carousel/trainer.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

void crs_history_clear(crs_history *history) {
    free(history->epochs);
    *history = (crs_history){0};
}

/* A value after a comma, or where there is none the comma alone. */
static void put(FILE *stream, double value) {
    if (isnan(value))
        fputc(',', stream);
    else
        fprintf(stream, ",%.9g", value);
}

static void put_epoch(FILE *stream, const crs_epoch *epoch) {
    fprintf(stream, "%" PRId64 ",%" PRId64, epoch->epoch, epoch->steps);
    put(stream, epoch->loss);
    put(stream, epoch->accuracy);
    put(stream, epoch->val_loss);
    put(stream, epoch->val_accuracy);
    put(stream, epoch->val_macro_f1);
    put(stream, epoch->lr);
    put(stream, epoch->grad_norm);
    put(stream, epoch->seconds);
    fprintf(stream, ",%" PRId64 ",%d\n", epoch->tokens, epoch->best);
}

static void put_history(FILE *stream, const crs_history *history) {
    fputs("epoch,steps,loss,accuracy,val_loss,val_accuracy,val_macro_f1,learning_rate,grad_norm,seconds,tokens,best\n",
          stream);
    for (size_t i = 0; i < history->count; i++)
        put_epoch(stream, &history->epochs[i]);
}

crs_status crs_history_write(const crs_history *history, const char *path, int overwrite, crs_error *error) {
    crs__output output;
    CRS_TRY(crs__output_open(&output, path, overwrite, error));
    const locale_t former = crs__numbers_begin();
    put_history(output.stream, history);
    crs__numbers_end(former);
    return crs__output_close(&output, error); /* a failed write shows in the stream's error flag, which close reads */
}
