/* A hash of bytes: fast and well mixed, the same on every machine of one byte order. Not a cryptographic one: it tells
 * chance changes, not forged ones. */
#ifndef CRS_HASH_H
#define CRS_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t crs__load8(const char *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint64_t crs__load4(const char *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The first 8 bytes, or all of a shorter text: two texts of one size below 9 are equal where their heads are. */
static inline uint64_t crs__head(const char *text, size_t size) {
    if (size >= 8)
        return crs__load8(text);
    if (size >= 4)
        return crs__load4(text) | crs__load4(text + size - 4) << 32;
    if (size == 0)
        return 0;
    return (uint64_t)(unsigned char)text[0] | (uint64_t)(unsigned char)text[size / 2] << 8 |
           (uint64_t)(unsigned char)text[size - 1] << 16;
}

/* Both halves of a product, folded: every bit of the factors reaches every bit of the result. */
static inline uint64_t crs__hash_fold(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 wide;
    const wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* seed: of another hash, to go on from it. */
static inline uint64_t crs__hash(const void *bytes, size_t size, uint64_t seed) {
    /* The fractions of the square roots of 2, 3 and 5: odd, and nobody's choice. */
    const uint64_t two = UINT64_C(0x6a09e667f3bcc909), three = UINT64_C(0xbb67ae8584caa73b),
                   five = UINT64_C(0x3c6ef372fe94f82b);
    const char *text = (const char *)bytes;
    size_t left = size;
    uint64_t hash = seed ^ two;
    for (; left > 16; left -= 16, text += 16)
        hash = crs__hash_fold(crs__load8(text) ^ three, crs__load8(text + 8) ^ hash);
    const uint64_t head = crs__head(text, left), tail = left > 8 ? crs__load8(text + left - 8) : 0;
    hash = crs__hash_fold(head ^ three, tail ^ hash);
    return crs__hash_fold(hash ^ five, (uint64_t)size ^ two);
}

#endif
