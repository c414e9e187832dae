/* Small questions about UTF-8 bytes that the readers and the tokenizer share; normal forms are the tokenizer's. */
#ifndef CRS_UTF8_H
#define CRS_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes at the start of text that are ASCII and not NUL. */
size_t crs__ascii_run(const char *text, size_t size);

/* Offset of the first byte that is NUL or no valid UTF-8; size where there is none. */
size_t crs__utf8_check(const char *text, size_t size);

/* 1 for the code points of Unicode's White_Space property. */
int crs__is_space(int32_t code);

/* Takes the white space off both ends. */
void crs__trim(const char **text, size_t *size);

/* Bytes of valid UTF-8 as they may stand in a message: at most about 60 bytes, control characters as '?', "..." where
 * cut. Returns buffer. */
enum { CRS__SHOWN = 80 };
const char *crs__shown(const char *text, size_t size, char buffer[CRS__SHOWN]);

#endif
