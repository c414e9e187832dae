/* Rows from a reader into a builder by several threads: one cuts the file into rows, the others cut those into tokens
 * and count them. */
#include "dataset_build.h"
#include "fail.h"
#include "threads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Says where in the input an error of a row's belongs. */
static crs_status place(crs_error *error, crs_status status, const char *file, int64_t line) {
    if (error && status != CRS_OK) {
        snprintf(error->file, sizeof error->file, "%s", strcmp(file, "-") == 0 ? "standard input" : file);
        error->line = line;
    }
    return status;
}

/* ---- parcels ---- */

enum { PARCEL_BYTES = 1 << 19 }; /* enough that taking one is nothing beside working on it */

typedef struct parcel_row {
    size_t text, text_size, label, label_size, file; /* text, label and file: where they begin in bytes */
    int64_t line;
} parcel_row;

/* Rows on their way from the thread that reads to one that works on them. */
typedef struct parcel {
    struct parcel *next;
    size_t number;
    char *bytes;
    size_t size, capacity;
    parcel_row *rows;
    size_t count, rows_capacity;
} parcel;

static size_t put_bytes(parcel *p, const char *bytes, size_t size) {
    const size_t at = p->size;
    if (size > 0)
        memcpy(p->bytes + at, bytes, size);
    p->size += size;
    return at;
}

static crs_status put_row(parcel *p, const crs_row *row) {
    const size_t file_size = strlen(row->file) + 1, wanted = p->size + row->text_size + row->label_size + file_size;
    if (!p->bytes || wanted > p->capacity) {
        char *bytes = realloc(p->bytes, wanted + wanted / 2);
        if (!bytes)
            return CRS_ERR_MEMORY;
        p->bytes = bytes;
        p->capacity = wanted + wanted / 2;
    }
    if (p->count == p->rows_capacity) {
        const size_t capacity = 2 * p->rows_capacity + 64;
        parcel_row *rows = realloc(p->rows, capacity * sizeof *rows);
        if (!rows)
            return CRS_ERR_MEMORY;
        p->rows = rows;
        p->rows_capacity = capacity;
    }
    const int same_file = p->count > 0 && strcmp(p->bytes + p->rows[p->count - 1].file, row->file) == 0;
    parcel_row *made = &p->rows[p->count];
    made->file = same_file ? made[-1].file : put_bytes(p, row->file, file_size);
    made->text = put_bytes(p, row->text, row->text_size);
    made->label = put_bytes(p, row->label, row->label_size);
    made->text_size = row->text_size;
    made->label_size = row->label_size;
    made->line = row->line;
    p->count++;
    return CRS_OK;
}

/* Makes it empty. */
static void clear_parcel(parcel *p) {
    p->size = p->count = 0;
    if (p->capacity > CRS__SPARE_MOST) {
        free(p->bytes);
        p->bytes = NULL;
        p->capacity = 0;
    }
    if (p->rows_capacity > CRS__SPARE_MOST / sizeof *p->rows) {
        free(p->rows);
        p->rows = NULL;
        p->rows_capacity = 0;
    }
}

/* ---- the line of parcels ---- */

/* Full parcels wait in the order of their numbers; empty ones are used again, so that memory is bounded. */
typedef struct pipeline {
    crs_dataset_builder *builder;
    pthread_mutex_t lock; /* of all that follows, and of the builder's pieces */
    pthread_cond_t filled, emptied;
    parcel *first, *last, *empty;
    int closed;         /* no more will be filled */
    size_t failed_from; /* the lowest number of a parcel that failed: from there on nothing matters */
    crs_status status;  /* of that parcel */
    crs_error error;
    int64_t skipped;
} pipeline;

typedef struct worker {
    pipeline *line;
    size_t shard;
    pthread_t thread;
} worker;

/* NULL: there will be none. */
static parcel *take_full(pipeline *line) {
    pthread_mutex_lock(&line->lock);
    while (!line->first && !line->closed)
        pthread_cond_wait(&line->filled, &line->lock);
    parcel *p = line->first;
    if (p)
        line->first = p->next;
    pthread_mutex_unlock(&line->lock);
    return p;
}

/* NULL: a parcel has failed, and reading on is no use. */
static parcel *take_empty(pipeline *line) {
    pthread_mutex_lock(&line->lock);
    while (!line->empty && line->failed_from == SIZE_MAX)
        pthread_cond_wait(&line->emptied, &line->lock);
    parcel *p = line->failed_from == SIZE_MAX ? line->empty : NULL;
    if (p)
        line->empty = p->next;
    pthread_mutex_unlock(&line->lock);
    return p;
}

static void give_full(pipeline *line, parcel *p) {
    pthread_mutex_lock(&line->lock);
    p->next = NULL;
    if (line->first)
        line->last->next = p;
    else
        line->first = p;
    line->last = p;
    pthread_cond_signal(&line->filled);
    pthread_mutex_unlock(&line->lock);
}

static void close_line(pipeline *line) {
    pthread_mutex_lock(&line->lock);
    line->closed = 1;
    pthread_cond_broadcast(&line->filled);
    pthread_mutex_unlock(&line->lock);
}

/* Hands over what came of a parcel. */
static void give_back(pipeline *line, parcel *p, size_t shard, crs_status status, int64_t skipped, crs_error *error) {
    pthread_mutex_lock(&line->lock);
    if (status == CRS_OK && p->number < line->failed_from) {
        line->skipped += skipped;
        status = crs__builder_take(line->builder, shard, p->number);
        if (status != CRS_OK)
            crs__fail_memory(error, p->size, "a dataset's rows");
    }
    if (status != CRS_OK && p->number < line->failed_from) {
        line->failed_from = p->number;
        line->status = status;
        line->error = *error;
    }
    clear_parcel(p);
    p->next = line->empty;
    line->empty = p;
    pthread_cond_signal(&line->emptied);
    pthread_mutex_unlock(&line->lock);
}

/* ---- working on a parcel ---- */

static crs_status add_parcel(crs__shard *shard, const parcel *p, int skip_bad, int64_t *skipped, crs_error *error) {
    for (size_t i = 0; i < p->count; i++) {
        const parcel_row *row = &p->rows[i];
        int bad;
        const crs_status status = crs__shard_add(shard, p->bytes + row->text, row->text_size, p->bytes + row->label,
                                                 row->label_size, &bad, error);
        if (status != CRS_OK && !(bad && skip_bad))
            return place(error, status, p->bytes + row->file, row->line);
        *skipped += status != CRS_OK;
    }
    return CRS_OK;
}

static void *work(void *user) {
    const worker *w = user;
    crs_dataset_builder *b = w->line->builder;
    for (parcel *p = take_full(w->line); p; p = take_full(w->line)) {
        int64_t skipped = 0;
        crs_error error;
        const crs_status status = add_parcel(&b->shards[w->shard], p, b->config.skip_bad, &skipped, &error);
        give_back(w->line, p, w->shard, status, skipped, &error);
    }
    return NULL;
}

/* ---- the reading thread ---- */

/* Fills a parcel with rows, at most *left where that is not negative; *end is set behind the last. */
static crs_status fill(parcel *p, crs_reader *reader, int64_t *left, int *end, crs_error *error) {
    while (p->size < PARCEL_BYTES && *left != 0) {
        crs_row row;
        CRS_TRY(crs_reader_next(reader, &row, end, error));
        if (*end)
            return CRS_OK;
        if (put_row(p, &row) != CRS_OK)
            return crs__fail_memory(error, row.text_size, "a dataset's row");
        *left -= *left > 0;
    }
    *end = *left == 0;
    return CRS_OK;
}

static crs_status feed(pipeline *line, crs_reader *reader, int64_t limit, crs_error *error) {
    int64_t left = limit > 0 ? limit : -1;
    int end = 0;
    for (size_t number = 0; !end; number++) {
        parcel *p = take_empty(line);
        if (!p)
            return CRS_OK;
        p->number = number;
        const crs_status status = fill(p, reader, &left, &end, error);
        give_full(line, p); /* also the rows before one that is bad: they may hold an error that comes first */
        CRS_TRY(status);
    }
    return CRS_OK;
}

static crs_status read_serial(crs_dataset_builder *b, crs_reader *reader, int64_t limit, int64_t *skipped,
                              crs_error *error) {
    parcel p = {0};
    int64_t left = limit > 0 ? limit : -1;
    int end = 0;
    crs_status status = CRS_OK;
    while (!end && status == CRS_OK) {
        const crs_status reading = fill(&p, reader, &left, &end, error);
        crs_error found;
        status = add_parcel(&b->shards[0], &p, b->config.skip_bad, skipped, &found);
        if (status != CRS_OK && error)
            *error = found;
        if (status == CRS_OK)
            status = reading;
        if (status == CRS_OK && crs__builder_take(b, 0, b->piece_count) != CRS_OK)
            status = crs__fail_memory(error, p.size, "a dataset's rows");
        clear_parcel(&p);
    }
    free(p.bytes);
    free(p.rows);
    return status;
}

static void free_parcels(parcel *p) {
    while (p) {
        parcel *next = p->next;
        free(p->bytes);
        free(p->rows);
        free(p);
        p = next;
    }
}

static crs_status make_parcels(pipeline *line, size_t count) {
    for (size_t i = 0; i < count; i++) {
        parcel *p = calloc(1, sizeof *p);
        if (!p)
            return CRS_ERR_MEMORY;
        p->next = line->empty;
        line->empty = p;
    }
    return CRS_OK;
}

/* Starts as many workers as the system lets it; returns their number. */
static size_t start(pipeline *line, worker *workers, size_t count) {
    size_t started = 0;
    for (; started < count; started++) {
        workers[started] = (worker){.line = line, .shard = started};
        if (crs__thread_start(&workers[started].thread, work, &workers[started]) != 0)
            break;
    }
    return started;
}

static crs_status read_parallel(crs_dataset_builder *b, crs_reader *reader, int64_t limit, worker *workers,
                                size_t count, int64_t *skipped, crs_error *error) {
    pipeline line = {.builder = b, .failed_from = SIZE_MAX};
    pthread_mutex_init(&line.lock, NULL);
    pthread_cond_init(&line.filled, NULL);
    pthread_cond_init(&line.emptied, NULL);
    const size_t started = start(&line, workers, count);
    crs_status status = make_parcels(&line, started + 2);
    if (status != CRS_OK)
        crs__fail_memory(error, started * sizeof(parcel), "reading by several threads");
    else if (started > 0)
        status = feed(&line, reader, limit, error);
    else /* a system that has no thread left does not keep from the work */
        status = read_serial(b, reader, limit, skipped, error);
    close_line(&line);
    for (size_t i = 0; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    free_parcels(line.empty);
    pthread_cond_destroy(&line.emptied);
    pthread_cond_destroy(&line.filled);
    pthread_mutex_destroy(&line.lock);
    *skipped += line.skipped;
    if (line.failed_from == SIZE_MAX)
        return status;
    if (error)
        *error = line.error;
    return line.status;
}

crs_status crs__builder_read(crs_dataset_builder *b, crs_reader *reader, int64_t limit, int64_t *skipped,
                             crs_error *error) {
    const size_t threads = crs__threads(&b->config);
    if (threads == 1)
        return read_serial(b, reader, limit, skipped, error);
    worker *workers = calloc(threads, sizeof *workers);
    if (!workers || crs__builder_split(b, threads) != CRS_OK) {
        free(workers);
        return crs__fail_memory(error, threads * sizeof *workers, "reading by several threads");
    }
    const crs_status status = read_parallel(b, reader, limit, workers, threads, skipped, error);
    free(workers);
    return status;
}
