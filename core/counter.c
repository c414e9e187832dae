/* A hash table with linear probing over an arena of strings: no allocation per string. What is slow about a large table
 * is fetching memory, so a look-up of a short string that is there takes two fetches: its slot and its entry. */
#include "counter.h"

#include "fail.h"
#include "hash.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_of(const char *text, size_t size) {
    return (uint32_t)crs__hash(text, size, 0);
}

/* The slot that holds the string, or the free one where it belongs. */
static size_t probe(const crs__counter *counter, crs__word word, uint32_t hash) {
    const size_t mask = counter->slot_count - 1;
    const uint64_t head = crs__head(word.text, word.size);
    size_t slot = hash & mask;
    for (; counter->slots[slot].number; slot = (slot + 1) & mask) {
        if (counter->slots[slot].hash != hash)
            continue;
        const crs__counted *entry = &counter->entries[counter->slots[slot].number - 1];
        if (entry->head == head && entry->size == word.size &&
            (word.size <= sizeof head || memcmp(counter->bytes + entry->start, word.text, word.size) == 0))
            break;
    }
    return slot;
}

static crs_status grow_slots(crs__counter *counter) {
    const size_t count = counter->slot_count ? 2 * counter->slot_count : 64;
    crs__slot *slots = calloc(count, sizeof *slots);
    if (!slots)
        return CRS_ERR_MEMORY;
    for (size_t i = 0; i < counter->slot_count; i++) {
        if (!counter->slots[i].number)
            continue;
        size_t slot = counter->slots[i].hash & (count - 1);
        while (slots[slot].number)
            slot = (slot + 1) & (count - 1);
        slots[slot] = counter->slots[i];
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

static crs_status add(crs__counter *counter, crs__word word, int64_t times, uint32_t hash, uint32_t *index) {
    if (2 * (counter->count + 1) > counter->slot_count && grow_slots(counter) != CRS_OK)
        return CRS_ERR_MEMORY;
    const size_t slot = probe(counter, word, hash);
    if (!counter->slots[slot].number) {
        if (counter->count >= CRS__COUNTER_MAX || word.size >= CRS__COUNTER_MAX)
            return CRS_ERR_UNSUPPORTED;
        if (grow_storage(counter, word.size) != CRS_OK)
            return CRS_ERR_MEMORY;
        counter->entries[counter->count++] = (crs__counted){
            .start = counter->bytes_size, .head = crs__head(word.text, word.size), .size = (uint32_t)word.size};
        memcpy(counter->bytes + counter->bytes_size, word.text, word.size);
        counter->bytes[counter->bytes_size + word.size] = 0;
        counter->bytes_size += word.size + 1;
        counter->slots[slot] = (crs__slot){hash, (uint32_t)counter->count};
    }
    *index = counter->slots[slot].number - 1;
    counter->entries[*index].count += times;
    return CRS_OK;
}

crs_status crs__counter_add(crs__counter *counter, const char *text, size_t size, int64_t times, uint32_t *index) {
    return add(counter, (crs__word){text, size}, times, hash_of(text, size), index);
}

static int64_t find(const crs__counter *counter, crs__word word, uint32_t hash) {
    return (int64_t)counter->slots[probe(counter, word, hash)].number - 1;
}

int64_t crs__counter_find(const crs__counter *counter, const char *text, size_t size) {
    return counter->slot_count == 0 ? -1 : find(counter, (crs__word){text, size}, hash_of(text, size));
}

/* ---- many at a time ---- */

enum { GROUP = 32 }; /* fetches under way at once, more than a core can keep */

/* Hashes a group of words and has the memory fetched that looking them up will touch: each round of fetches runs while
 * the round before it arrives, instead of one word waiting after the other. */
static void fetch_ahead(const crs__counter *counter, const crs__word *words, size_t count, uint32_t *hashes) {
    const size_t mask = counter->slot_count - 1;
    for (size_t i = 0; i < count; i++) {
        hashes[i] = hash_of(words[i].text, words[i].size);
        if (counter->slot_count)
            __builtin_prefetch(&counter->slots[hashes[i] & mask]);
    }
    for (size_t i = 0; i < count && counter->slot_count; i++) {
        const crs__slot slot = counter->slots[hashes[i] & mask];
        if (slot.hash == hashes[i] && slot.number)
            __builtin_prefetch(&counter->entries[slot.number - 1], 1);
    }
}

crs_status crs__counter_add_all(crs__counter *counter, const crs__word *words, size_t count, const int64_t *times,
                                uint32_t *indices) {
    uint32_t hashes[GROUP];
    for (size_t at = 0; at < count; at += GROUP) {
        const size_t group = count - at < GROUP ? count - at : GROUP;
        fetch_ahead(counter, words + at, group, hashes);
        for (size_t i = 0; i < group; i++)
            CRS_TRY(add(counter, words[at + i], times ? times[at + i] : 1, hashes[i], &indices[at + i]));
    }
    return CRS_OK;
}

void crs__counter_find_all(const crs__counter *counter, const crs__word *words, size_t count, int64_t *indices) {
    uint32_t hashes[GROUP];
    for (size_t at = 0; at < count; at += GROUP) {
        const size_t group = count - at < GROUP ? count - at : GROUP;
        fetch_ahead(counter, words + at, group, hashes);
        for (size_t i = 0; i < group; i++)
            indices[at + i] = counter->slot_count ? find(counter, words[at + i], hashes[i]) : -1;
    }
}

/* ---- asking ---- */

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
