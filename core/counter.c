/* A hash table with linear probing over an arena of strings: no allocation per string. */
#include "counter.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_of(const char *text, size_t size) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return (uint32_t)(hash ^ hash >> 32);
}

/* The slot that holds the string, or the free one where it belongs. */
static size_t probe(const crs__counter *counter, const char *text, size_t size, uint32_t hash) {
    size_t mask = counter->slot_count - 1, slot = hash & mask;
    for (; counter->slots[slot]; slot = (slot + 1) & mask) {
        const crs__counted *entry = &counter->entries[counter->slots[slot] - 1];
        if (entry->hash == hash && entry->size == size && memcmp(counter->bytes + entry->start, text, size) == 0)
            break;
    }
    return slot;
}

static crs_status grow_slots(crs__counter *counter) {
    size_t count = counter->slot_count ? 2 * counter->slot_count : 64;
    uint32_t *slots = calloc(count, sizeof *slots);
    if (!slots)
        return CRS_ERR_MEMORY;
    for (size_t i = 0; i < counter->count; i++) {
        size_t slot = counter->entries[i].hash & (count - 1);
        while (slots[slot])
            slot = (slot + 1) & (count - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    free(counter->slots);
    counter->slots = slots;
    counter->slot_count = count;
    return CRS_OK;
}

static crs_status grow_storage(crs__counter *counter, size_t size) {
    if (counter->count == counter->capacity) {
        size_t capacity = 2 * counter->capacity + 32;
        crs__counted *entries = realloc(counter->entries, capacity * sizeof *entries);
        if (!entries)
            return CRS_ERR_MEMORY;
        counter->entries = entries;
        counter->capacity = capacity;
    }
    if (counter->bytes_size + size + 1 > counter->bytes_capacity) {
        size_t capacity = 2 * (counter->bytes_size + size + 1) + 256;
        char *bytes = realloc(counter->bytes, capacity);
        if (!bytes)
            return CRS_ERR_MEMORY;
        counter->bytes = bytes;
        counter->bytes_capacity = capacity;
    }
    return CRS_OK;
}

crs_status crs__counter_add(crs__counter *counter, const char *text, size_t size, int64_t times, uint32_t *index) {
    if (4 * (counter->count + 1) > 3 * counter->slot_count && grow_slots(counter) != CRS_OK)
        return CRS_ERR_MEMORY;
    uint32_t hash = hash_of(text, size);
    size_t slot = probe(counter, text, size, hash);
    if (!counter->slots[slot]) {
        if (counter->count >= CRS__COUNTER_MAX || size >= CRS__COUNTER_MAX)
            return CRS_ERR_UNSUPPORTED;
        if (grow_storage(counter, size) != CRS_OK)
            return CRS_ERR_MEMORY;
        counter->entries[counter->count++] = (crs__counted){counter->bytes_size, (uint32_t)size, hash, 0};
        memcpy(counter->bytes + counter->bytes_size, text, size);
        counter->bytes[counter->bytes_size + size] = 0;
        counter->bytes_size += size + 1;
        counter->slots[slot] = (uint32_t)counter->count;
    }
    *index = counter->slots[slot] - 1;
    counter->entries[*index].count += times;
    return CRS_OK;
}

int64_t crs__counter_find(const crs__counter *counter, const char *text, size_t size) {
    if (counter->slot_count == 0)
        return -1;
    return (int64_t)counter->slots[probe(counter, text, size, hash_of(text, size))] - 1;
}

const char *crs__counter_text(const crs__counter *counter, size_t index) {
    return counter->bytes + counter->entries[index].start;
}

size_t crs__counter_bytes(const crs__counter *counter) {
    return counter->capacity * sizeof *counter->entries + counter->bytes_capacity +
           counter->slot_count * sizeof *counter->slots;
}

void crs__counter_clear(crs__counter *counter) {
    free(counter->entries);
    free(counter->bytes);
    free(counter->slots);
    *counter = (crs__counter){0};
}
