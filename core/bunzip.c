/* Blocks of a .bz2 file on several threads. The thread that reads finds boundaries and hands the segments between them
 * out; they come back in their order. Whether a boundary was one is known once the block before it has been decoded:
 * one that was none, bits of the data by chance, leaves a block that does not decode, and its segment is joined with
 * the next. */
#include "bunzip.h"

#include "bzip.h"
#include "threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ = 1 << 18, LONGEST = 16 << 20 }; /* bytes read at once; bits of a block at most, with some to spare */
enum {
    JOINS_MOST = 8
}; /* a block has hardly ever one mark by chance in it; a damaged one could take in all the rest */
enum { READY_MOST = 64 << 20, KEPT_MOST = 4 << 20 }; /* bytes: of text that lies ready; that a free slot keeps */
enum { WAITING, RUNNING, DONE };

typedef struct slot {
    crs__bzip_segment segment;
    int state, no_memory;
    size_t ready; /* bytes of decoded text, until its turn comes */
} slot;

struct crs__bunzip {
    int descriptor, ended;
    unsigned char *input; /* bytes read and not yet cut into segments */
    size_t size, capacity;
    size_t begin, scanned; /* the bit where the next segment begins, and how far its end was looked for */
    int type;              /* of that segment; -1: there is none */
    int failure;           /* errno of reading on, which is told once all before it is given out */
    /* Segments in their order: a ring, of which `count` from `first` on are in use. */
    slot *slots;
    size_t slot_count, first, count;
    size_t given; /* bytes of the first one's text that were given out, once it is current */
    int current, finished;
    uint32_t sum;         /* of the blocks of this stream so far */
    pthread_mutex_t lock; /* of the slots' states, of ready, and of closing */
    pthread_cond_t wanted, done;
    size_t ready; /* bytes of all slots; those being decoded are not known yet */
    int closing;
    pthread_t *threads;
    size_t thread_count;
};

static slot *slot_at(crs__bunzip *b, size_t index) {
    return &b->slots[(b->first + index) % b->slot_count];
}

/* ---- the threads ---- */

/* The first that waits, which the caller then has to itself; NULL: there is none. A little of the input may become very
 * much text: only the very first, which is waited for, is decoded however much lies ready. Called with the lock held.
 */
static slot *take_waiting(crs__bunzip *b) {
    for (size_t i = 0; i < b->count && (i == 0 || b->ready < READY_MOST); i++)
        if (slot_at(b, i)->state == WAITING) {
            slot_at(b, i)->state = RUNNING;
            return slot_at(b, i);
        }
    return NULL;
}

static void *work(void *user) {
    crs__bunzip *b = user;
    pthread_mutex_lock(&b->lock);
    while (!b->closing) {
        slot *taken = take_waiting(b);
        if (!taken) {
            pthread_cond_wait(&b->wanted, &b->lock);
            continue;
        }
        pthread_mutex_unlock(&b->lock);
        taken->no_memory = !crs__bzip_decode(&taken->segment);
        pthread_mutex_lock(&b->lock);
        taken->state = DONE;
        taken->ready = taken->segment.text_size;
        b->ready += taken->ready;
        pthread_cond_signal(&b->done);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

crs__bunzip *crs__bunzip_open(int descriptor, const void *bytes, size_t size, size_t threads) {
    crs__bunzip *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->wanted, NULL);
    pthread_cond_init(&b->done, NULL);
    b->descriptor = descriptor;
    b->slot_count = 2 * threads + 2;
    b->slots = calloc(b->slot_count, sizeof *b->slots);
    b->capacity = size + READ;
    b->input = malloc(b->capacity);
    b->threads = calloc(threads, sizeof *b->threads);
    if (!b->slots || !b->input || !b->threads) {
        crs__bunzip_close(b);
        return NULL;
    }
    memcpy(b->input, bytes, size);
    b->size = size;
    b->begin = CRS__BZIP_HEADER;
    size_t at;
    crs__bzip_find(b->input, b->size, b->begin, &b->scanned, &at, &b->type);
    b->scanned = 0;
    while (b->thread_count < threads && crs__thread_start(&b->threads[b->thread_count], work, b) == 0)
        b->thread_count++;
    if (b->thread_count == 0) {
        crs__bunzip_close(b);
        return NULL;
    }
    return b;
}

void crs__bunzip_close(crs__bunzip *b) {
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->closing = 1;
    pthread_cond_broadcast(&b->wanted);
    pthread_mutex_unlock(&b->lock);
    for (size_t i = 0; i < b->thread_count; i++)
        pthread_join(b->threads[i], NULL);
    for (size_t i = 0; b->slots && i < b->slot_count; i++)
        crs__bzip_clear(&b->slots[i].segment);
    pthread_cond_destroy(&b->done);
    pthread_cond_destroy(&b->wanted);
    pthread_mutex_destroy(&b->lock);
    free(b->threads);
    free(b->slots);
    free(b->input);
    free(b);
}

/* ---- cutting the input ---- */

/* Reads more behind what is there, having dropped what was cut off. 0: it failed, errno says why. */
static int read_more(crs__bunzip *b) {
    const size_t dropped = b->begin / 8;
    memmove(b->input, b->input + dropped, b->size - dropped);
    b->size -= dropped;
    b->begin %= 8;
    b->scanned -= dropped < b->scanned ? dropped : b->scanned;
    if (b->size + READ > b->capacity) {
        unsigned char *input = realloc(b->input, 2 * (b->size + READ));
        if (!input) {
            errno = ENOMEM;
            return 0;
        }
        b->input = input;
        b->capacity = 2 * (b->size + READ);
    }
    const ssize_t got = read(b->descriptor, b->input + b->size, READ);
    if (got < 0)
        return 0;
    b->ended = got == 0;
    b->size += (size_t)got;
    return 1;
}

/* Hands out the next segment, where there is one. 0: it failed, failure says why. */
static int cut(crs__bunzip *b) {
    size_t at;
    int next = -1;
    while (!crs__bzip_find(b->input, b->size, b->begin + CRS__BZIP_MARK, &b->scanned, &at, &next)) {
        next = -1;
        at = 8 * b->size;
        /* No block is so long: let it be found out that it is damaged, without reading all the rest into memory. */
        if (b->ended || at - b->begin > LONGEST)
            break;
        if (!read_more(b)) {
            b->failure = errno;
            return 0;
        }
    }
    slot *made = slot_at(b, b->count);
    if (!crs__bzip_cut(&made->segment, b->input, b->begin, at, b->type)) {
        b->failure = ENOMEM;
        return 0;
    }
    pthread_mutex_lock(&b->lock);
    made->state = b->type == CRS__BZIP_BLOCK ? WAITING : DONE;
    made->no_memory = 0;
    b->count++;
    pthread_cond_signal(&b->wanted);
    pthread_mutex_unlock(&b->lock);
    b->begin = at;
    b->scanned = 0;
    b->type = next;
    return 1;
}

/* Keeps the threads busy. */
static void cut_ahead(crs__bunzip *b) {
    while (b->count < b->slot_count && b->type >= 0 && !b->failure)
        (void)cut(b);
}

/* ---- putting the segments in order ---- */

/* The segment of that place once nobody works on it. One that was not begun is decoded only where `whole` says so. */
static slot *wait_for(crs__bunzip *b, size_t index, int whole) {
    slot *s = slot_at(b, index);
    pthread_mutex_lock(&b->lock);
    if (s->state == WAITING && !whole)
        s->state = DONE;
    while (s->state != DONE)
        pthread_cond_wait(&b->done, &b->lock);
    b->ready -= s->ready;
    s->ready = 0;
    pthread_cond_broadcast(&b->wanted);
    pthread_mutex_unlock(&b->lock);
    return s;
}

static void drop_first(crs__bunzip *b) {
    crs__bzip_segment *segment = &slot_at(b, 0)->segment;
    if (segment->text_capacity > KEPT_MOST)
        crs__bzip_clear(segment);
    pthread_mutex_lock(&b->lock);
    b->first = (b->first + 1) % b->slot_count;
    b->count--;
    pthread_cond_broadcast(&b->wanted); /* another is the first */
    pthread_mutex_unlock(&b->lock);
}

/* A first segment that is no block by itself takes the next ones in until it is. */
static const char *complete(crs__bunzip *b, int *failed) {
    slot *s = slot_at(b, 0);
    for (int joins = 0; !s->segment.good && !s->no_memory; joins++) {
        if (b->count < 2 && b->type >= 0 && (b->failure || !cut(b))) {
            errno = b->failure;
            *failed = 1;
            return NULL;
        }
        if (b->count < 2 || joins == JOINS_MOST || s->segment.bits > LONGEST)
            return "a block is not whole, or its checksum is wrong";
        slot *next = wait_for(b, 1, 0);
        if (!crs__bzip_join(&s->segment, &next->segment) || !crs__bzip_decode(&s->segment))
            s->no_memory = 1;
        const crs__bzip_segment joined = s->segment;
        s->segment = next->segment;
        next->segment = joined;
        next->no_memory = s->no_memory;
        drop_first(b);
        s = next;
    }
    if (s->no_memory) {
        errno = ENOMEM;
        *failed = 1;
    }
    return NULL;
}

/* The end of a stream: its checksum, and whether another stream follows. */
static const char *end_stream(crs__bunzip *b, const crs__bzip_segment *s) {
    const size_t end = CRS__BZIP_MARK + CRS__BZIP_SUM, padded = (s->first + end + 7) / 8 * 8 - s->first;
    if (s->bits < end)
        return "it ends within a checksum";
    if (crs__bzip_bits(s, CRS__BZIP_MARK) != b->sum)
        return "the checksum of all blocks is wrong";
    b->sum = 0;
    /* Anything else behind the end is not looked at, as bzip2 itself does. */
    const int follows = (b->count > 1 || b->type >= 0) && s->bits == padded + CRS__BZIP_HEADER;
    const uint32_t header = follows ? crs__bzip_bits(s, padded) : 0;
    b->finished = header < (('B' << 24) | ('Z' << 16) | ('h' << 8) | '1') ||
                  header > (('B' << 24) | ('Z' << 16) | ('h' << 8) | '9');
    return NULL;
}

/* Goes on to the next segment. */
static const char *advance(crs__bunzip *b, int *failed) {
    if (b->current)
        drop_first(b);
    b->current = 0;
    b->given = 0;
    cut_ahead(b);
    if (b->count == 0 && b->failure) {
        errno = b->failure;
        *failed = 1;
        return NULL;
    }
    if (b->count == 0)
        return "it is cut off";
    b->current = 1;
    slot *s = wait_for(b, 0, 1);
    if (s->segment.type == CRS__BZIP_END)
        return end_stream(b, &s->segment);
    const char *why = complete(b, failed);
    if (why || *failed)
        return why;
    const uint32_t sum = crs__bzip_bits(&slot_at(b, 0)->segment, CRS__BZIP_MARK);
    b->sum = (b->sum << 1 | b->sum >> 31) ^ sum;
    return NULL;
}

ssize_t crs__bunzip_read(crs__bunzip *b, void *to, size_t room, const char **why) {
    int failed = 0;
    *why = NULL;
    while (!b->finished && (!b->current || b->given == slot_at(b, 0)->segment.text_size)) {
        *why = advance(b, &failed);
        if (*why || failed)
            return -1;
    }
    if (b->finished)
        return 0;
    const crs__bzip_segment *s = &slot_at(b, 0)->segment;
    const size_t left = s->text_size - b->given, size = left < room ? left : room;
    memcpy(to, s->text + b->given, size);
    b->given += size;
    return (ssize_t)size;
}
