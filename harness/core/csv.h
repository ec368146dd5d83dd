#ifndef STRIDE_CORE_CSV_H
#define STRIDE_CORE_CSV_H

#include "core/arena.h"

#include <stddef.h>
#include <stdio.h>

/**
 * Comma-separated values. Lines that are empty or start with '#' are comments; the first line may
 * be a header of names. Fields are trimmed of blanks; quotes are not special. "-" is standard
 * input. Every error names file and line: "FILE:LINE: what; what would be right".
 */
struct csv {
	const char *path; /* as shown in messages */
	size_t rows, cols;
	size_t header;      /* its line of the file; 0 when there is none */
	const char **names; /* [cols]; NULL when the file has no header */
	size_t *line;       /* [rows] line of the file, from 1 */
	const char **cell;  /* [rows][cols] text; of csv_read_text alone */
	double *x;          /* [rows][cols]; of the others */
};

/** Which numbers csv_read accepts. */
enum csv_numbers {
	CSV_FINITE, /* nan and inf are refused */
	CSV_ANY,    /* nan, inf and -inf are numbers */
};

/** Read a table of text whose first line is a header. Everything lives in the arena.
 *  ERR_IO: cannot be read; ERR_PARSE: a line with another number of fields, no header. */
int csv_read_text(struct csv *out, const char *path, struct arena *a);

/** Read a table of numbers with or without header: a first line is one unless a field, in quotes or
 *  not, is a number, empty, NA, nan or ?.
 *  ERR_IO; ERR_PARSE: a line with another number of fields, a field that is missing or not such a
 *  number, no rows. */
int csv_read(struct csv *out, const char *path, enum csv_numbers numbers, struct arena *a);

/** As csv_read, from a stream that is open; path is for messages. */
int csv_read_stream(struct csv *out, FILE *f, const char *path, enum csv_numbers numbers,
	struct arena *a);

/** The column of this name, or cols when there is none. */
size_t csv_column(const struct csv *t, const char *name);

/** The columns of names, which end with NULL. ERR_PARSE with file and line when the header lacks
 *  one of them, or there is none. */
int csv_columns(const struct csv *t, const char *const *names, size_t *column);

/** Write numbers x [rows][cols] with 17 significant digits, below the names unless these are NULL.
 *  ERR_IO when the stream reports an error (a full disk). path is for the message. */
int csv_write(FILE *f, const char *path, const char *const *names, size_t rows, size_t cols,
	const double *x);

/** The names PREFIX1 .. PREFIXn in the arena. */
const char **csv_names(const char *prefix, size_t n, struct arena *a);

#endif
