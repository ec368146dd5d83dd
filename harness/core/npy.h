#ifndef STRIDE_CORE_NPY_H
#define STRIDE_CORE_NPY_H

#include "core/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/**
 * NumPy's .npy files (format versions 1.0 to 3.0): arrays of one or two dimensions of float32 or
 * float64 in either byte order, by rows or by columns (Fortran order). Everything else is refused
 * with what was found and what would be right.
 */
struct npy {
	const char *path;  /* as shown in messages */
	size_t rows, cols; /* an array of one dimension is a column */
	double *x;         /* [rows][cols] */
};

/** Does the stream begin as a .npy file does? Looks at one byte, which no text begins with. */
bool npy_begins(FILE *f);

/** Read the stream to its end. path is for messages. Lives in the arena. ERR_IO; ERR_PARSE: no such
 *  file, another type or number of dimensions, no rows, less or more data than its header says.
 *  A header that promises more than there is costs no memory. */
int npy_read_stream(struct npy *out, FILE *f, const char *path, struct arena *a);

#endif
