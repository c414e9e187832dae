/* Reading a .bz2 file with several threads, block by block; serial reading is libarchive's, in stream.c. */
#ifndef CRS_BUNZIP_H
#define CRS_BUNZIP_H

#include <stddef.h>
#include <sys/types.h>

typedef struct crs__bunzip crs__bunzip;

/* Reads from the descriptor, behind the `size` bytes that were read already and with which a .bz2 file begins
 * (crs__bzip_begins). NULL: no memory or no threads. */
crs__bunzip *crs__bunzip_open(int descriptor, const void *bytes, size_t size, size_t threads);

/* The next bytes, at least one unless the input has ended: as read. -1: *why says what is wrong with the data, or is
 * NULL where errno says why the descriptor cannot be read, or that memory is short. */
ssize_t crs__bunzip_read(crs__bunzip *bunzip, void *to, size_t room, const char **why);
void crs__bunzip_close(crs__bunzip *bunzip);

#endif
