/* The insides of .bz2 files: where blocks begin, and decoding one alone. libbz2 does the decoding; what is here finds
 * the blocks, which begin at any bit, and makes each a stream of its own. */
#ifndef CRS_BZIP_H
#define CRS_BZIP_H

#include <stddef.h>
#include <stdint.h>

/* What begins at a boundary. Each has a mark of 48 bits; the data may hold such bits by chance. */
enum { CRS__BZIP_BLOCK, CRS__BZIP_END };
enum { CRS__BZIP_MARK = 48, CRS__BZIP_SUM = 32, CRS__BZIP_HEADER = 32 }; /* bits of a mark, a checksum, "BZh9" */

/* Bits from one boundary to the next, or to the end of the input. Zeroed before its first use. */
typedef struct crs__bzip_segment {
    int type;
    size_t first, bits; /* they begin at bit `first`, 0 to 7, of bytes */
    unsigned char *bytes;
    size_t capacity;
    char *text; /* [text_size] of a block, decoded */
    size_t text_size, text_capacity;
    int good; /* it was a whole block, and its checksum is right */
} crs__bzip_segment;

/* The first boundary that begins at bit `from` or later of bytes [size]: 1, with its bit and type. *scanned: bytes that
 * were looked at by a call before for the same `from`; 0: none. */
int crs__bzip_find(const unsigned char *bytes, size_t size, size_t from, size_t *scanned, size_t *at, int *type);

/* 1 where the bytes are the beginning of a .bz2 file: a header and a boundary right behind it. */
int crs__bzip_begins(const unsigned char *bytes, size_t size);

/* Fills the segment with bits `from` to `to` of bytes. 0: no memory. */
int crs__bzip_cut(crs__bzip_segment *segment, const unsigned char *bytes, size_t from, size_t to, int type);
/* Adds the bits of the one that follows it in the file, after a boundary that was none. 0: no memory. */
int crs__bzip_join(crs__bzip_segment *segment, const crs__bzip_segment *next);

/* Decodes a block into text, and says in good whether it was one. 0: no memory. */
int crs__bzip_decode(crs__bzip_segment *segment);

/* 32 bits of the segment, from bit `at` of it on; they must be there. */
uint32_t crs__bzip_bits(const crs__bzip_segment *segment, size_t at);

void crs__bzip_clear(crs__bzip_segment *segment);

#endif
