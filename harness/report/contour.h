#ifndef STRIDE_REPORT_CONTOUR_H
#define STRIDE_REPORT_CONTOUR_H

#include "report/model.h"

/** A density on a grid over a window of two coordinates, and the levels of its contours. */
enum { LEVELS = 4 };
struct grid {
	struct window window;
	size_t side;
	double *density; /* [side][side], x fastest; NULL: nothing to show */
	size_t n_levels; /* 0 without density */
	double levels[LEVELS];
};

double grid_x(const struct grid *g, size_t i);
double grid_y(const struct grid *g, size_t j);

/** The three fill in density and levels of a grid with its window and side set. The levels of
 *  contour_exact and contour_points enclose 25, 60, 90 and 99 % of the mass in the window; an estimate
 *  from points is too rough for the last. */

/** The density of a 2-D target, its largest value on the grid 1. A density that is 0 on all of the grid
 *  leaves it empty. */
void contour_exact(struct grid *g, const struct density *d, struct arena *a);

/** A kernel estimate from points xy [n][2]. */
void contour_points(struct grid *g, size_t n, const double *xy, struct arena *a);

/** log rho above its largest value on the slice through the point at [dim]. First the window is
 *  fitted to where it is within 12 of that, inside of the window three times as wide. Levels 1/2, 2,
 *  9/2 and 8 below: where a Gaussian is 1, 2, 3, 4 standard deviations from its mean. Empty as
 *  above. */
void contour_slice(struct grid *g, const struct density *d, const double *at, struct arena *a);

/** The grid of a board: the target's own density for dim = 2, a kernel estimate from exact points
 *  xy [n][2] for more. A target that this program cannot make again gives no density, and the
 *  window of the points. */
void contour_board(struct grid *out, const struct board *b, size_t n, const double *xy,
	struct arena *a);

/** Share of the points xy [n][2] that a window does not show. */
double window_outside(const struct window *w, size_t n, const double *xy);

#endif
