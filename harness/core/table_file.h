#ifndef STRIDE_CORE_TABLE_FILE_H
#define STRIDE_CORE_TABLE_FILE_H

#include "core/arena.h"

#include <stddef.h>

/** A table of numbers that any program may have written: CSV with or without a header (core/csv.h)
 *  or NumPy's .npy (core/npy.h). */
struct table_file {
	const char *path; /* as shown in messages */
	size_t rows, cols;
	const char **names; /* [cols]; NULL: the file has none */
	double *x;          /* [rows][cols]; nan and inf are numbers */
	const size_t *line; /* [rows] line of a CSV; NULL for .npy */
};

/** Read a table; which of the two it is, is seen by its first byte, so that "-", standard input, may be
 *  either. Lives in the arena. ERR_IO; ERR_PARSE as of csv_read and npy_read_stream. */
int table_file_read(struct table_file *out, const char *path, struct arena *a);

/** Where a row is: "FILE:LINE", of .npy "FILE: row ROW", from 1. In the arena. */
const char *table_file_place(const struct table_file *t, size_t row, struct arena *a);

/** ERR_PARSE when a number is not finite: how many rows have one, and where the first is. */
int table_file_finite(const struct table_file *t);

#endif
