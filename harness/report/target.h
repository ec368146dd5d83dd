#ifndef STRIDE_REPORT_TARGET_H
#define STRIDE_REPORT_TARGET_H

#include "stride.h"

/** What a picture of a target shows. */
struct target_plot {
	size_t n;             /* exact samples shown; 0: 1000, in one dimension 10000 */
	uint64_t seed;        /* of these */
	const char *settings; /* options that are not the defaults, for the title; "" for none */
	const char *folder;   /* of the pictures; made when it is not there */
	const char *scripts;  /* of gnuplot; NULL: found beside the program */
};

/**
 * Draw a target: FOLDER/target-ID.svg, .pdf and .png, their data in FOLDER/data.
 *
 *     dim = 1   density and a histogram of exact samples
 *     dim = 2   contours of the density and exact samples
 *     dim > 2   contours of a kernel estimate from exact samples, and these, in the first two
 *               coordinates; without exact sampler contours of log rho on the slice through the mean
 *               (0 where it is not known)
 *
 * The caption in the picture says which. *stem: FOLDER/target-ID, in the arena. ERR_IO; ERR_UNSUP:
 * there is no gnuplot, or the density is 0 in all of what would be shown.
 */
int target_draw(const struct density *d, const struct target_plot *o, const char **stem,
	struct arena *a);

#endif
