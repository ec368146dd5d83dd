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
	const struct board *board; /* NULL: of no board */
	/* Set by figures_draw. */
	bool drawn;
	const char *problem; /* what gnuplot said of it; NULL: nothing */
};

struct figures {
	size_t n;
	struct figure *list; /* in the order of the boards */
	bool no_gnuplot;     /* set by figures_draw: it could not be started */
};

/** What to install then. */
extern const char gnuplot_missing[];

/** Write the data of all figures below folder. ERR_IO; ERR_PARSE: a malformed samples file. */
int figures_prepare(const struct model *m, const char *folder, struct figures *out,
	struct arena *a);

/** Run gnuplot on all of them, some at a time: FOLDER/data/NAME.par and .dat become PICTURES/NAME.svg,
 *  .pdf and .png. scripts: the folder of the scripts, NULL: found beside the program. What could not be
 *  drawn is told in the figures. ERR_INTERRUPTED: parallel_stop was called meanwhile. */
int figures_draw(struct figures *f, const char *folder, const char *pictures, const char *scripts,
	struct arena *a);

#endif
