/* The history of a training: keeping it, and writing it as CSV. Made by the trainer (trainer.c). */
#include "fail.h"
#include "file.h"

#include <carousel/trainer.h>
#include <inttypes.h>
#include <locale.h>
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
    /* A program that has set a locale may print decimal commas otherwise. */
    const locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) {
        crs__output_discard(&output);
        return crs__fail(error, CRS_ERR_MEMORY, "out of memory for the history's number format", NULL);
    }
    const locale_t former = uselocale(plain);
    put_history(output.stream, history);
    uselocale(former);
    freelocale(plain);
    return crs__output_close(&output, error); /* a failed write shows in the stream's error flag, which close reads */
}
