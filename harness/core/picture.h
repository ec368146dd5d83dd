#ifndef STRIDE_CORE_PICTURE_H
#define STRIDE_CORE_PICTURE_H

#include "core/arena.h"

#include <stddef.h>

/** A picture as numbers, rows from the top. */
struct picture {
	size_t rows, cols;
	double *grey; /* [rows][cols] mean of the colour channels, 0 .. 255 */
};

/** Pictures have 1 to this many rows and columns, and pixels in all; more is refused before memory is
 *  asked for, and so is a file that is too short for the pixels that it claims. */
enum { PICTURE_SIDE_MAX = 16384, PICTURE_PIXELS_MAX = 1 << 26 };

/**
 * Read a PNG (grey, colour or palette; transparency is ignored, and stored values are taken as they
 * are, whatever gamma the file claims) or a PGM (P2 or P5). What has more or fewer levels than 256
 * is scaled to 0 .. 255. Everything lives in the arena.
 * ERR_IO: cannot be opened or read; ERR_PARSE: neither of the two, damaged, cut short, too large.
 */
int picture_read(struct picture *out, const char *path, struct arena *a);

#endif
