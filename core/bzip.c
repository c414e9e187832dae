/* Blocks of .bz2 files: found, cut out, decoded one by one. */
#include "bzip.h"

#include <bzlib.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t marks[] = {UINT64_C(0x314159265359), UINT64_C(0x177245385090)}; /* by type: pi, its square root */

/* ---- finding ---- */

/* The type whose mark the low 48 bits are, or -1. */
static int type_of(uint64_t bits) {
    bits &= (UINT64_C(1) << CRS__BZIP_MARK) - 1;
    return bits == marks[CRS__BZIP_BLOCK] ? CRS__BZIP_BLOCK : bits == marks[CRS__BZIP_END] ? CRS__BZIP_END : -1;
}

/* Bytes that may stand second to last, of those that a mark reaches into: at each shift it has one value there. */
static void find_likely(unsigned char likely[256]) {
    memset(likely, 0, 256);
    for (size_t type = 0; type < sizeof marks / sizeof *marks; type++)
        for (int shift = 0; shift < 8; shift++)
            likely[marks[type] << shift >> 8 & 255] = 1;
}

int crs__bzip_find(const unsigned char *bytes, size_t size, size_t from, size_t *scanned, size_t *at, int *type) {
    unsigned char likely[256];
    find_likely(likely);
    /* A mark that begins at `from` ends in the sixth byte from there at the earliest. */
    size_t last = from / 8 + CRS__BZIP_MARK / 8 - 1;
    if (last < *scanned)
        last = *scanned;
    for (; last < size; last++) {
        if (!likely[bytes[last - 1]])
            continue;
        uint64_t window = 0;
        for (size_t i = last >= 7 ? last - 7 : 0; i <= last; i++)
            window = window << 8 | bytes[i];
        for (int shift = 7; shift >= 0; shift--) {
            const size_t end = 8 * (last + 1) - (size_t)shift;
            *type = type_of(window >> shift);
            if (*type < 0 || end < from + CRS__BZIP_MARK)
                continue;
            *at = end - CRS__BZIP_MARK;
            return 1;
        }
    }
    *scanned = last;
    return 0;
}

int crs__bzip_begins(const unsigned char *bytes, size_t size) {
    size_t scanned = 0, at;
    int type;
    return size >= 10 && memcmp(bytes, "BZh", 3) == 0 && bytes[3] >= '1' && bytes[3] <= '9' &&
           crs__bzip_find(bytes, 10, CRS__BZIP_HEADER, &scanned, &at, &type) && at == CRS__BZIP_HEADER;
}

/* ---- cutting ---- */

static int reserve(crs__bzip_segment *segment, size_t size) {
    if (size <= segment->capacity)
        return 1;
    unsigned char *bytes = realloc(segment->bytes, size + size / 2);
    if (!bytes)
        return 0;
    segment->bytes = bytes;
    segment->capacity = size + size / 2;
    return 1;
}

static size_t bytes_of(size_t bits) {
    return (bits + 7) / 8;
}

int crs__bzip_cut(crs__bzip_segment *segment, const unsigned char *bytes, size_t from, size_t to, int type) {
    const size_t size = bytes_of(to) - from / 8;
    if (!reserve(segment, size))
        return 0;
    memcpy(segment->bytes, bytes + from / 8, size);
    segment->type = type;
    segment->first = from % 8;
    segment->bits = to - from;
    segment->text_size = 0;
    segment->good = 0;
    return 1;
}

int crs__bzip_join(crs__bzip_segment *segment, const crs__bzip_segment *next) {
    /* Both hold the byte in which the one ends and the other begins. */
    const size_t whole = (segment->first + segment->bits) / 8, more = bytes_of(next->first + next->bits);
    if (!reserve(segment, whole + more))
        return 0;
    memcpy(segment->bytes + whole, next->bytes, more);
    segment->bits += next->bits;
    return 1;
}

uint32_t crs__bzip_bits(const crs__bzip_segment *segment, size_t at) {
    uint32_t bits = 0;
    for (size_t i = segment->first + at; i < segment->first + at + 32; i++)
        bits = bits << 1 | (segment->bytes[i / 8] >> (7 - i % 8) & 1);
    return bits;
}

void crs__bzip_clear(crs__bzip_segment *segment) {
    free(segment->bytes);
    free(segment->text);
    *segment = (crs__bzip_segment){0};
}

/* ---- decoding ---- */

/* Bits written one after the other. */
typedef struct bit_writer {
    unsigned char *to;
    size_t bits;
} bit_writer;

static void put_bits(bit_writer *w, uint64_t bits, int count) {
    for (int i = count - 1; i >= 0; i--, w->bits++) {
        if (w->bits % 8 == 0)
            w->to[w->bits / 8] = 0;
        w->to[w->bits / 8] |= (unsigned char)((bits >> i & 1) << (7 - w->bits % 8));
    }
}

/* The block as a stream of its own: header, block, end; what follows the block's bits is the end's mark, so that a
 * block that is shorter or longer than its segment does not decode. Returns its bytes, NULL: no memory. */
static unsigned char *wrap(const crs__bzip_segment *segment, size_t *size) {
    const size_t whole = segment->bits / 8;
    unsigned char *stream = malloc(whole + 32);
    if (!stream)
        return NULL;
    static const unsigned char header[4] = {'B', 'Z', 'h', '9'};
    memcpy(stream, header, sizeof header);
    const unsigned char *bytes = segment->bytes;
    const unsigned shift = (unsigned)segment->first;
    for (size_t i = 0; i < whole; i++)
        stream[4 + i] = (unsigned char)(shift ? bytes[i] << shift | bytes[i + 1] >> (8 - shift) : bytes[i]);
    bit_writer writer = {stream, CRS__BZIP_HEADER + 8 * whole};
    for (size_t i = segment->first + 8 * whole; i < segment->first + segment->bits; i++)
        put_bits(&writer, bytes[i / 8] >> (7 - i % 8), 1);
    put_bits(&writer, marks[CRS__BZIP_END], CRS__BZIP_MARK);
    put_bits(&writer, crs__bzip_bits(segment, CRS__BZIP_MARK), CRS__BZIP_SUM); /* of one block it is the block's */
    *size = bytes_of(writer.bits);
    return stream;
}

/* What libbz2 gives for the stream; BZ_STREAM_END where it is whole. */
static int decompress(crs__bzip_segment *segment, bz_stream *stream) {
    int got = BZ_OK;
    while (got == BZ_OK) {
        if (segment->text_size == segment->text_capacity) {
            const size_t capacity = 2 * segment->text_capacity + (1 << 20);
            char *text = realloc(segment->text, capacity);
            if (!text)
                return BZ_MEM_ERROR;
            segment->text = text;
            segment->text_capacity = capacity;
        }
        const size_t room = segment->text_capacity - segment->text_size;
        stream->next_out = segment->text + segment->text_size;
        stream->avail_out = (unsigned)(room < 1u << 30 ? room : 1u << 30);
        const unsigned before = stream->avail_out;
        got = BZ2_bzDecompress(stream);
        segment->text_size += before - stream->avail_out;
        if (got == BZ_OK && stream->avail_out > 0)
            got = BZ_UNEXPECTED_EOF;
    }
    return got;
}

int crs__bzip_decode(crs__bzip_segment *segment) {
    size_t size = 0;
    segment->text_size = 0;
    segment->good = 0;
    if (segment->bits < CRS__BZIP_MARK + CRS__BZIP_SUM || segment->bits > UINT32_MAX)
        return 1;
    unsigned char *wrapped = wrap(segment, &size);
    bz_stream stream = {.next_in = (char *)wrapped, .avail_in = (unsigned)size};
    if (!wrapped || BZ2_bzDecompressInit(&stream, 0, 0) != BZ_OK) {
        free(wrapped);
        return 0;
    }
    const int got = decompress(segment, &stream);
    BZ2_bzDecompressEnd(&stream);
    free(wrapped);
    segment->good = got == BZ_STREAM_END && stream.avail_in == 0;
    return got != BZ_MEM_ERROR;
}
