#ifndef STRIDE_REPORT_REPORT_H
#define STRIDE_REPORT_REPORT_H

#include "stride.h"

#include <stdbool.h>
#include <stdio.h>

/**
 * The report of a results directory, made from its records alone: DIR/report/ with leaderboards
 * (Markdown, LaTeX, CSV), long.csv, figures, report.html and REPORT.md. The same records give the
 * same bytes: nothing of the moment or the machine of reporting enters.
 */
struct report_options {
	const char *top;     /* also write REPORT.md here, links relative to it; NULL: not */
	bool no_figures;     /* tables and pages only */
	FILE *log;           /* one-line notices (gnuplot missing, ...); NULL: standard error */
	const char *scripts; /* folder of the gnuplot scripts; NULL: found beside the program */
	/* Results directory whose records are put beside published numbers; NULL: DIR. */
	const char *papers;
	/* File of these (report/papers.h); NULL: the program's, if it is there. */
	const char *published;
	size_t *undrawn; /* out: figures that gnuplot failed on; NULL: not told */
	const struct metric *const *metrics; /* what is known of metrics; NULL: the registry */
};

/** Write DIR/report. o NULL: all defaults. A figure that cannot be drawn (gnuplot missing or
 *  failing) is a notice, not an error. ERR_IO: no records, or a file cannot be read or written;
 *  ERR_PARSE: a malformed record or table (the text names the file); ERR_VERSION: an unknown schema;
 *  ERR_INTERRUPTED: parallel_stop was called before the figures were there, and the pages are left as
 *  they were. */
int report_write(const char *dir, const struct report_options *o);

/** Print the leaderboards to out as text, with the program's metrics. Errors as report_write. */
int report_summary(const char *dir, FILE *out);

#endif
