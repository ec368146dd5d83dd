#ifndef STRIDE_REPORT_FIGURES_H
#define STRIDE_REPORT_FIGURES_H

#include "report/model.h"
#include "report/table.h"

/**
 * Figures. For each one the report writes FOLDER/data/NAME.par (assignments that the gnuplot
 * script loads) and NAME.dat (its points); the scripts of plots/ draw what is there and nothing
 * else, as FOLDER/figures/NAME.svg, .pdf and .png.
 */
struct figure {
	const char *name;   /* file stem */
	const char *script; /* "steps.gp" */
	const char *caption;
	const struct board *board;
	bool drawn; /* set by figures_draw */
};

struct figures {
	size_t n;
	struct figure *list; /* in the order of the boards */
};

/** Write the data of all figures below folder. ERR_IO; ERR_PARSE: a malformed samples file. */
int figures_prepare(const struct model *m, const char *folder, struct figures *out,
	struct arena *a);

/** Run gnuplot on all of them, some at a time. What cannot be drawn is told to o->log and stays
 *  undrawn: gnuplot missing once, a failure for each figure; the failures are counted too.
 *  ERR_INTERRUPTED: parallel_stop was called meanwhile. */
int figures_draw(struct figures *f, const char *folder, const struct report_options *o,
	struct arena *a);

#endif
