/* Numbers in text as C writes them, whatever locale the program has set: in many a decimal comma is read and written.
 */
#ifndef CRS_NUMBERS_H
#define CRS_NUMBERS_H

#include <locale.h>

/* From here to crs__numbers_end the calling thread reads and writes numbers with a decimal point. Returns what end
 * wants. */
static inline locale_t crs__numbers_begin(void) {
    return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

static inline void crs__numbers_end(locale_t former) {
    const locale_t plain = uselocale(former);
    if (plain != former)
        freelocale(plain);
}

#endif
