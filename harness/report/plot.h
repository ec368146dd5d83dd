#ifndef STRIDE_REPORT_PLOT_H
#define STRIDE_REPORT_PLOT_H

#include "report/contour.h"
#include "report/figures.h"
#include "report/file.h"

/**
 * What the makers of figures share: the two files of a figure. NAME.par holds assignments in
 * gnuplot's language, NAME.dat blocks of points that are found by their names.
 */
struct plot {
	struct file par, dat;
};

enum { PANELS_MAX = 12 };

/** Start and finish both files below FOLDER/data. ERR_IO. */
int plot_start(struct plot *p, const char *folder, const char *name, struct arena *a);
int plot_finish(struct plot *p);

/** Give both up: nothing appears. */
void plot_discard(struct plot *p);

/** Assignments; NaN stays NaN. plot_array declares NAME[n], plot_element is the name of its element
 *  i = 0, 1, ... (gnuplot counts from 1). */
void plot_text(struct plot *p, const char *name, const char *text);
void plot_number(struct plot *p, const char *name, double x);
void plot_array(struct plot *p, const char *name, size_t n);
const char *plot_element(const char *name, size_t i, struct arena *a);

/** Start a block of points of this name. Its lines go to p->dat.stream, at least one: gnuplot
 *  complains of empty blocks. */
void plot_block(struct plot *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void plot_no_point(struct plot *p);

/** The values that an axis must show; x has room for all. */
struct span {
	size_t n;
	double *x;
};

/** Add a value unless it is infinite or NaN. */
void span_add(struct span *s, double x);

/** Declare panels, their titles and axes; then choose scale, range and labels of a panel's y axis.
 *  may_log: a logarithm is natural where all values are positive. Reorders the span. */
void plot_axes(struct plot *p, size_t panels);
void plot_axis(struct plot *p, size_t panel, struct span *s, bool may_log, struct arena *a);

/** The legend: series in this order. */
void plot_series(struct plot *p, size_t n, const struct series *const *list, struct arena *a);

/** The window of a grid as x_low .. y_high, its levels and, where there is a density, its values: what
 *  contour.gp draws. */
void plot_contours(struct plot *p, const struct grid *g, struct arena *a);

/** Points xy [n][2] as a block's lines. */
void plot_points(struct plot *p, size_t n, const double *xy);

/** "title (unit)"; a title too long for its panel in several lines. */
const char *plot_with_unit(const char *title, const char *unit, struct arena *a);
const char *plot_wrapped(const char *title, struct arena *a);

/** Add a figure to the list. */
void figures_add(struct figures *out, const struct board *b, const char *script, const char *name,
	const char *caption);

/** The makers: each writes the files of its figure and adds it, unless there is nothing to draw. */
int figure_steps(const struct model *m, const struct board *b, bool samples, const char *folder,
	struct figures *out, struct arena *a);
int figure_cost(const struct model *m, const struct board *b, const char *folder,
	struct figures *out, struct arena *a);
int figure_curves(const struct model *m, const struct board *b, const char *folder,
	struct figures *out, struct arena *a);
int figure_samples(const struct board *b, const char *folder, struct figures *out, struct arena *a);

#endif
