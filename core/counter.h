/* Distinct strings, numbered in the order in which they are first seen, and counted: a hash table. */
#ifndef CRS_COUNTER_H
#define CRS_COUNTER_H

#include <carousel/status.h>

typedef struct crs__word {
    const char *text;
    size_t size;
} crs__word;

typedef struct crs__counted {
    size_t start;  /* of the string in bytes, where it is terminated */
    uint64_t head; /* crs__head of the string */
    int64_t count;
    uint32_t size;
} crs__counted;

typedef struct crs__slot {
    uint32_t hash, number; /* 0: free, else index + 1 */
} crs__slot;

/* Zeroed before its first use. */
typedef struct crs__counter {
    crs__counted *entries; /* [count] */
    size_t count, capacity;
    char *bytes;
    size_t bytes_size, bytes_capacity;
    crs__slot *slots; /* [slot_count], a power of two, at most half of them in use */
    size_t slot_count;
} crs__counter;

enum { CRS__COUNTER_MAX = INT32_MAX - 16 }; /* strings, so that ids fit an int32 with room for the reserved ones */

/* Counts the string `times` more (0: only numbers it). CRS_ERR_MEMORY or, beyond CRS__COUNTER_MAX strings or bytes in
 * one, CRS_ERR_UNSUPPORTED. */
crs_status crs__counter_add(crs__counter *counter, const char *text, size_t size, int64_t times, uint32_t *index);
/* Counts each of the words `times` more (NULL: once), as one call of crs__counter_add after the other would, but
 * several times as fast where the table is larger than the processor's caches. Stops at the first that fails. */
crs_status crs__counter_add_all(crs__counter *counter, const crs__word *words, size_t count, const int64_t *times,
                                uint32_t *indices);
/* -1 where it is not there. */
int64_t crs__counter_find(const crs__counter *counter, const char *text, size_t size);
void crs__counter_find_all(const crs__counter *counter, const crs__word *words, size_t count, int64_t *indices);
const char *crs__counter_text(const crs__counter *counter, size_t index);
size_t crs__counter_bytes(const crs__counter *counter); /* memory it holds */
void crs__counter_clear(crs__counter *counter);

#endif
