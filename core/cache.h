/* A file that keeps what became of a data file: ids, labels, encoder, so that a second start need not read the text.
 * One file for each data file, choice of settings and encoder; of this machine's byte order, not for carrying about.
 *
 * A header, then the sections in the order of the enum, each from a multiple of 8 bytes on; their sizes follow from the
 * header. */
#ifndef CRS_CACHE_H
#define CRS_CACHE_H

#include "dataset_build.h"

#include <sys/stat.h>

enum { CRS__CACHE_KEY, CRS__CACHE_STARTS, CRS__CACHE_LABELS, CRS__CACHE_ENCODER, CRS__CACHE_IDS, CRS__CACHE_SECTIONS };
enum {
    CRS__CACHE_VERSION = 2,
    CRS__CACHE_BLOCK = 1 << 20
}; /* a section is hashed in blocks, each going on from the last */

/* Which state of the data file it was. */
typedef struct crs__cache_stamp {
    uint64_t size, inode, device;
    uint64_t seconds, nanoseconds;               /* of the last change, as whoever wrote it may set them */
    uint64_t status_seconds, status_nanoseconds; /* as the system alone sets them */
    uint64_t settled; /* 1: it was not changed so lately that a later change could bear the same times */
} crs__cache_stamp;

typedef struct crs__cache_header {
    char magic[8];
    uint64_t version, file_size;
    crs__cache_stamp stamp;
    uint64_t content; /* hash of the data file */
    uint64_t id_bytes, rows, tokens, vocabulary, classes;
    uint64_t key_size, encoder_size; /* the encoder's JSON with its end, or 0 */
    uint64_t skipped, cut_rows, oov_tokens, empty_rows, distinct_tokens, longest;
    char note[192];
    uint64_t body; /* hash of all sections */
    uint64_t self; /* hash of the header up to here */
} crs__cache_header;

typedef struct crs__cache {
    const char *data; /* the file that is read */
    const crs_config *config;
    const crs_encoder *encoder; /* the one given, or NULL */
    char path[512];             /* of the cache */
    char key[8192];             /* everything that decides what becomes of the data file, as text */
    size_t key_size;
    crs__cache_stamp stamp; /* of the data file when it was looked at */
    uint64_t before;        /* hash of the data file before it was read, where its times are not settled */
    /* What was written, once it was: no other is then mapped in its place. */
    int written;
    uint64_t body, vocabulary, classes;
} crs__cache;

enum { CRS__CACHE_NOTE = 256 };

/* Finds out where the cache is, and makes its folder if it is missing. 0: there can be none, note says why. */
int crs__cache_find(crs__cache *cache, const char *data, const crs_config *config, const crs_encoder *encoder,
                    char note[CRS__CACHE_NOTE]);
/* The dataset, mapped from the cache. 0: there is none that holds; note says what is wrong with one that is there.
 * fitted NULL: the encoder is not wanted. Every byte is looked at before it is believed. */
int crs__cache_load(crs__cache *cache, crs_encoder **fitted, crs_dataset **dataset, char note[CRS__CACHE_NOTE]);
/* To be called before the data file is read: looks at its content where its times cannot tell whether it changes
 * meanwhile. */
void crs__cache_prepare(crs__cache *cache);
/* Writes it, where the data file has not changed since crs__cache_find. fitted NULL: there is none. */
crs_status crs__cache_save(crs__cache *cache, const crs_encoder *fitted, const crs_dataset *dataset, crs_error *error);

/* ---- for these three ---- */

crs__cache_stamp crs__cache_stamp_of(const struct stat *info);
/* 1 where it is the same state of the same file. */
int crs__cache_same(const crs__cache_stamp *one, const crs__cache_stamp *other);
/* Hash of the whole data file. CRS_ERR_IO where it cannot be read. */
crs_status crs__cache_content(const char *data, uint64_t *hash);
uint64_t crs__cache_header_hash(const crs__cache_header *header);
/* Bytes of each section; 0: they are beyond any file. */
int crs__cache_sizes(const crs__cache_header *header, uint64_t sizes[CRS__CACHE_SECTIONS]);
static inline uint64_t crs__cache_padded(uint64_t size) {
    return (size + 7) / 8 * 8;
}

#endif
