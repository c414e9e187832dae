/* Distinct strings, numbered in the order in which they are first seen, and counted: a hash table. */
#ifndef CRS_COUNTER_H
#define CRS_COUNTER_H

#include <carousel/status.h>

typedef struct crs__counted {
    size_t start; /* of the string in bytes, where it is terminated */
    uint32_t size, hash;
    int64_t count;
} crs__counted;

/* Zeroed before its first use. */
typedef struct crs__counter {
    crs__counted *entries; /* [count] */
    size_t count, capacity;
    char *bytes;
    size_t bytes_size, bytes_capacity;
    uint32_t *slots; /* [slot_count], a power of two; 0: free, else index + 1 */
    size_t slot_count;
} crs__counter;

enum { CRS__COUNTER_MAX = INT32_MAX - 16 }; /* strings, so that ids fit an int32 with room for the reserved ones */

/* Counts the string `times` more (0: only numbers it). CRS_ERR_MEMORY or, beyond CRS__COUNTER_MAX strings or bytes in
 * one, CRS_ERR_UNSUPPORTED. */
crs_status crs__counter_add(crs__counter *counter, const char *text, size_t size, int64_t times, uint32_t *index);
/* -1 where it is not there. */
int64_t crs__counter_find(const crs__counter *counter, const char *text, size_t size);
const char *crs__counter_text(const crs__counter *counter, size_t index);
size_t crs__counter_bytes(const crs__counter *counter); /* memory it holds */
void crs__counter_clear(crs__counter *counter);

#endif
