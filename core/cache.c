/* Where the cache of a data file is, what it depends on, and whether the data file is still the same. */
#include "cache.h"

#include "fail.h"
#include "hash.h"
#include "reader.h"

#include <carousel/carousel.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <utf8proc.h>

/* ---- the data file ---- */

crs__cache_stamp crs__cache_stamp_of(const struct stat *info) {
    const time_t last = info->st_ctim.tv_sec > info->st_mtim.tv_sec ? info->st_ctim.tv_sec : info->st_mtim.tv_sec;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (crs__cache_stamp){.size = (uint64_t)info->st_size,
                              .seconds = (uint64_t)info->st_mtim.tv_sec,
                              .nanoseconds = (uint64_t)info->st_mtim.tv_nsec,
                              .status_seconds = (uint64_t)info->st_ctim.tv_sec,
                              .status_nanoseconds = (uint64_t)info->st_ctim.tv_nsec,
                              .inode = (uint64_t)info->st_ino,
                              .device = (uint64_t)info->st_dev,
                              /* Some file systems count in steps of two seconds. */
                              .settled = now.tv_sec - last > 2};
}

int crs__cache_same(const crs__cache_stamp *one, const crs__cache_stamp *other) {
    return one->size == other->size && one->seconds == other->seconds && one->nanoseconds == other->nanoseconds &&
           one->status_seconds == other->status_seconds && one->status_nanoseconds == other->status_nanoseconds &&
           one->inode == other->inode && one->device == other->device;
}

static crs_status hash_descriptor(int descriptor, char *block, uint64_t *hash) {
    for (;;) {
        size_t filled = 0;
        ssize_t got = 1;
        while (filled < CRS__CACHE_BLOCK && got > 0) {
            got = read(descriptor, block + filled, CRS__CACHE_BLOCK - filled);
            filled += got > 0 ? (size_t)got : 0;
        }
        if (got < 0)
            return CRS_ERR_IO;
        *hash = crs__hash(block, filled, *hash);
        if (got == 0)
            return CRS_OK;
    }
}

crs_status crs__cache_content(const char *data, uint64_t *hash) {
    const int descriptor = open(data, O_RDONLY | O_CLOEXEC);
    char *block = malloc(CRS__CACHE_BLOCK);
    *hash = 0;
    const crs_status status = descriptor >= 0 && block ? hash_descriptor(descriptor, block, hash) : CRS_ERR_IO;
    if (descriptor >= 0)
        close(descriptor);
    free(block);
    return status;
}

/* ---- the key ---- */

static uint64_t hash_strings(const crs__counter *counter, uint64_t hash) {
    for (size_t i = 0; i < counter->count; i++)
        hash = crs__hash(crs__counter_text(counter, i), counter->entries[i].size, hash);
    return hash;
}

/* 1 where the setting has a part in what becomes of the text. A given encoder brings its own settings of the text. */
static int matters(const crs_setting *setting, int fitting) {
    if (strcmp(setting->name, "rows") == 0)
        return fitting;
    if (strcmp(setting->name, "pad") == 0 || strcmp(setting->name, "mask") == 0)
        return 0;
    return strcmp(setting->group, "Data") == 0 || (fitting && strcmp(setting->group, "Text") == 0);
}

static size_t write_settings(char *key, size_t size, const crs_config *config, int fitting) {
    size_t count, used = 0;
    const crs_setting *settings = crs_config_settings(&count);
    for (size_t i = 0; i < count && used < size; i++) {
        char value[1024];
        if (matters(&settings[i], fitting))
            used += (size_t)snprintf(key + used, size - used, "%s = %s\n", settings[i].name,
                                     crs_config_get(config, settings[i].name, value, sizeof value));
    }
    return used;
}

static size_t write_encoder(char *key, size_t size, const crs_encoder *encoder) {
    const crs__tokenizer *t = &encoder->tokenizer;
    const uint64_t characters =
        crs__hash(t->filters, t->filter_count * sizeof *t->filters, crs__hash(t->ascii, sizeof t->ascii, 0));
    return (size_t)snprintf(
        key, size,
        "encoder's tokens: chars %d, lowercase %d, words-only %d, ngrams %zu, characters %016" PRIx64
        "\nencoder's rows: oov %d, length %zu, truncate %d\nencoder: %zu %zu %016" PRIx64 "\n",
        t->chars, t->lowercase, t->words_only, t->ngrams, characters, encoder->oov, encoder->length, encoder->truncate,
        encoder->tokens.count, encoder->labels.count,
        hash_strings(&encoder->labels, hash_strings(&encoder->tokens, 0)));
}

/* One line for each thing that decides. `whole` is the data file's real path: what it says of the format need not be
 * what the name says that was given. 0: it is too long. */
static int write_key(crs__cache *cache, const char *whole) {
    const size_t size = sizeof cache->key;
    char *key = cache->key;
    size_t used = (size_t)snprintf(key, size, "carousel %s, utf8proc %s\n", crs_version(), utf8proc_version());
    used += write_settings(key + used, size - used, cache->config, !cache->encoder);
    if (cache->encoder && used < size)
        used += write_encoder(key + used, size - used, cache->encoder);
    if (cache->config->format == CRS_FORMAT_AUTO && used < size)
        used += (size_t)snprintf(key + used, size - used, "format by name: %d\n", crs__format_by_name(cache->data));
    if (used < size)
        used += (size_t)snprintf(key + used, size - used, "data: %s\n", whole);
    cache->key_size = used;
    return used < size;
}

/* The data file's name for a person to know it by, and a number that is another for every key. */
static int write_path(crs__cache *cache, const char *whole) {
    const uint64_t number = crs__hash(cache->key, cache->key_size, 0);
    const char *slash = strrchr(whole, '/');
    const int size = snprintf(cache->path, sizeof cache->path, "%s/%.100s.%016" PRIx64 ".cache", cache->config->cache,
                              slash ? slash + 1 : whole, number);
    return size > 0 && (size_t)size < sizeof cache->path;
}

int crs__cache_find(crs__cache *cache, const char *data, const crs_config *config, const crs_encoder *encoder,
                    char note[CRS__CACHE_NOTE]) {
    struct stat info;
    *cache = (crs__cache){.data = data, .config = config, .encoder = encoder};
    note[0] = '\0';
    if (strcmp(data, "-") == 0 || stat(data, &info) != 0 || !S_ISREG(info.st_mode)) {
        snprintf(note, CRS__CACHE_NOTE, "no cache: only of a file can it be known that it has not changed");
        return 0;
    }
    cache->stamp = crs__cache_stamp_of(&info);
    if (mkdir(config->cache, 0777) != 0 && errno != EEXIST) {
        snprintf(note, CRS__CACHE_NOTE, "no cache: %.160s cannot be made: %s", config->cache, strerror(errno));
        return 0;
    }
    char *whole = realpath(data, NULL);
    if (!whole) {
        snprintf(note, CRS__CACHE_NOTE, "no cache: the data file's real path cannot be found: %s", strerror(errno));
        return 0;
    }
    const int usable = write_key(cache, whole) && write_path(cache, whole);
    free(whole);
    if (!usable)
        snprintf(note, CRS__CACHE_NOTE, "no cache: the path of the data file or of the folder is too long");
    return usable;
}

/* ---- the layout ---- */

uint64_t crs__cache_header_hash(const crs__cache_header *header) {
    return crs__hash(header, offsetof(crs__cache_header, self), 0);
}

int crs__cache_sizes(const crs__cache_header *header, uint64_t sizes[CRS__CACHE_SECTIONS]) {
    const uint64_t most = UINT64_C(1) << 48;
    if (header->rows > most || header->tokens > most || header->encoder_size > most || header->key_size > most)
        return 0;
    sizes[CRS__CACHE_KEY] = header->key_size;
    sizes[CRS__CACHE_STARTS] = (header->rows + 1) * sizeof(int64_t);
    sizes[CRS__CACHE_LABELS] = header->rows * sizeof(int32_t);
    sizes[CRS__CACHE_ENCODER] = header->encoder_size;
    sizes[CRS__CACHE_IDS] = header->tokens * header->id_bytes;
    return 1;
}
