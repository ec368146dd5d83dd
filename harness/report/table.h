#ifndef STRIDE_REPORT_TABLE_H
#define STRIDE_REPORT_TABLE_H

#include "core/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/**
 * A table, and its renderings. Text is UTF-8 without markup: each rendering escapes it. LaTeX
 * output needs the package booktabs and nothing else.
 */
enum format { FORMAT_TEXT, FORMAT_MARKDOWN, FORMAT_LATEX, FORMAT_HTML };

enum mark {
	MARK_FLOOR = 1,   /* ~ */
	MARK_ABOVE = 2,   /* a triangle */
	MARK_PARTIAL = 4, /* a dagger */
	MARK_SHARED = 8,  /* a double dagger */
	MARK_UNSURE = 16, /* an open triangle */
	MARK_BELOW = 32,  /* a single angle */
	MARK_FOLDS = 64,  /* a lozenge */
	MARK_HEAVY = 128, /* a triangle on its tip */
};

struct table_cell {
	const char *text; /* NULL: an empty cell, shown as a dash; a newline breaks it where that
			     can be, and is a blank elsewhere */
	const char *note; /* after the marks; NULL: none */
	bool number;      /* set as mathematics where that matters */
	bool bold;
	unsigned marks; /* enum mark, or-ed */
};

struct table {
	const char *caption, *label; /* label: LaTeX only; NULL: none */
	size_t n_cols, n_rows;
	size_t text_cols;         /* this many columns at the left are text, the rest numbers */
	struct table_cell *head;  /* [n_cols] */
	struct table_cell *cells; /* [n_rows][n_cols] */
	bool *rule;               /* [n_rows] a line above this row */
};

/** A table with room for rows, all cells empty. n_rows counts what was used: start at 0. */
struct table table_new(size_t cols, size_t rows, struct arena *a);

/** The cells of a fresh last row. */
struct table_cell *table_row(struct table *t);

/** Width of a column of a table that is written as FORMAT_TEXT, in characters. */
size_t table_column_width(const struct table *t, size_t column);

void table_write(const struct table *t, enum format format, FILE *out);

/** Text with the format's special characters escaped. */
void text_write(const char *text, enum format format, FILE *out);

/** One field of a CSV (RFC 4180), quoted where needed, without separator. */
void csv_field(const char *text, FILE *out);

/** "1.230 ± 0.040": mean and error with two digits of the error; "1.23 (0.04)" when the error is
 *  one run's own; four digits without error (NaN). */
const char *number_text(double mean, double se, bool one_run, struct arena *a);

/** A number with three digits and no more than needed, "12.3 k" style never: 0.0123, 12300. */
const char *quantity_text(double x, struct arena *a);

#endif
