/* Checking, trimming and showing UTF-8 bytes. */
#include "utf8.h"

#include <string.h>
#include <utf8proc.h>

size_t crs__ascii_run(const char *text, size_t size) {
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, text + at, 8);
        /* The second term raises a byte's top bit where it was 0, and perhaps one byte further: never too few. */
        if ((word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080))
            break;
    }
    while (at < size && (unsigned char)text[at] - 1u < 127u)
        at++;
    return at;
}

size_t crs__utf8_check(const char *text, size_t size) {
    size_t at = 0;
    for (;;) {
        at += crs__ascii_run(text + at, size - at);
        if (at == size || text[at] == 0)
            return at;
        utf8proc_int32_t code;
        utf8proc_ssize_t length =
            utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(size - at), &code);
        if (length <= 0)
            return at;
        at += (size_t)length;
    }
}

int crs__is_space(int32_t code) {
    return code == ' ' || (code >= 9 && code <= 13) || code == 0x85 || code == 0xa0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
           code == 0x3000;
}

/* The code point at text, or 0 where there is none; *length gets its bytes. */
static int32_t code_at(const char *text, size_t size, size_t *length) {
    utf8proc_int32_t code;
    utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &code);
    *length = bytes > 0 ? (size_t)bytes : 1;
    return bytes > 0 ? code : 0;
}

void crs__trim(const char **text, size_t *size) {
    const char *start = *text;
    size_t left = *size, length;
    while (left > 0 && crs__is_space(code_at(start, left, &length))) {
        start += length;
        left -= length;
    }
    while (left > 0) {
        size_t last = left - 1;
        while (last > 0 && ((unsigned char)start[last] & 0xc0) == 0x80)
            last--;
        if (!crs__is_space(code_at(start + last, left - last, &length)))
            break;
        left = last;
    }
    *text = start;
    *size = left;
}

const char *crs__shown(const char *text, size_t size, char buffer[CRS__SHOWN]) {
    size_t at = 0, length;
    while (at < size && at < 60) {
        int32_t code = code_at(text + at, size - at, &length);
        /* C1 controls take two bytes; terminals obey them as well. */
        if (code < 32 || (code >= 127 && code < 160))
            memset(buffer + at, '?', length);
        else
            memcpy(buffer + at, text + at, length);
        at += length;
    }
    if (at < size)
        memcpy(buffer + at, "...", sizeof "...");
    else
        buffer[at] = '\0';
    return buffer;
}
