/* Densities on grids, for contours. */
#include "report/contour.h"

#include "core/stats.h"

#include <stdlib.h>

/* Shares of the mass that the contours enclose. */
static const double shares[LEVELS] = { 0.25, 0.6, 0.9, 0.99 };

double grid_x(const struct grid *g, size_t i)
{
	const struct window *w = &g->window;

	return w->x_min + (w->x_max - w->x_min) * (double)i / (double)(g->side - 1);
}

double grid_y(const struct grid *g, size_t j)
{
	const struct window *w = &g->window;

	return w->y_min + (w->y_max - w->y_min) * (double)j / (double)(g->side - 1);
}

double window_outside(const struct window *w, size_t n, const double *xy)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		const double *x = &xy[2 * i];

		out += x[0] < w->x_min || x[0] > w->x_max || x[1] < w->y_min || x[1] > w->y_max;
	}
	return n ? (double)out / (double)n : 0;
}

static int falling(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

/* The density values above which the shares of the mass lie. */
static void find_levels(struct grid *g, struct arena *a)
{
	const size_t n = g->side * g->side;
	double *sorted = arena_alloc(a, n, sizeof(*sorted));
	double total, sum = 0;
	size_t k = 0;

	memcpy(sorted, g->density, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), falling);
	total = stats_sum(sorted, n);
	for (size_t i = 0; i < n; i++) {
		sum += sorted[i];
		for (; k < g->n_levels && sum >= shares[k] * total; k++)
			g->levels[k] = sorted[i];
	}
}

static void start(struct grid *g, size_t n_levels, struct arena *a)
{
	g->n_levels = n_levels;
	g->density = arena_alloc(a, g->side * g->side, sizeof(*g->density));
}

static void set_empty(struct grid *g)
{
	g->density = NULL;
	g->n_levels = 0;
}

/* --- a target's own -------------------------------------------------------------------------- */

/* log rho above its largest value, on the plane through at where the first two coordinates vary.
 * False: it is -inf everywhere. */
static bool evaluate(struct grid *g, const struct density *d, const double *at, struct arena *a)
{
	const size_t dim = density_dim(d), n = g->side;
	const struct arena_mark mark = arena_mark(a);
	double *x = arena_alloc(a, dim * n, sizeof(*x));
	double top = -HUGE_VAL;

	for (size_t k = 2; k < dim; k++)
		for (size_t i = 0; i < n; i++)
			x[k * n + i] = at[k];
	for (size_t j = 0; j < n; j++) {
		for (size_t i = 0; i < n; i++) {
			x[i] = grid_x(g, i);
			x[n + i] = grid_y(g, j);
		}
		density_eval(d, n, x, &g->density[j * n], NULL);
	}
	arena_release(a, mark);
	for (size_t i = 0; i < n * n; i++)
		top = fmax(top, g->density[i]);
	for (size_t i = 0; i < n * n; i++)
		g->density[i] -= top;
	return isfinite(top);
}

void contour_exact(struct grid *g, const struct density *d, struct arena *a)
{
	start(g, LEVELS, a);
	if (!evaluate(g, d, NULL, a)) {
		set_empty(g);
		return;
	}
	for (size_t i = 0; i < g->side * g->side; i++)
		g->density[i] = exp(g->density[i]);
	find_levels(g, a);
}

/* Below its largest value by this much, log rho is outside of what a slice shows. */
static const double slice_depth = 12;

/* Move each bound of the window out where the density goes on beyond it, but not over limit, and in
 * to a cell from the density where it does not. A thin ridge falls between the points of a wide
 * grid, so that what is cut off at one scale shows at the next. False: it fits already. */
static bool fit(struct grid *g, const struct window *limit)
{
	const size_t n = g->side;
	const double *z = g->density;
	const double wider = 0.3, still = 0.9;
	struct window w = g->window;
	const double width = w.x_max - w.x_min, height = w.y_max - w.y_min;
	size_t i_min = n, i_max = 0, j_min = n, j_max = 0;

	for (size_t j = 0; j < n; j++)
		for (size_t i = 0; i < n; i++)
			if (z[j * n + i] > -slice_depth) {
				i_min = i < i_min ? i : i_min;
				i_max = i > i_max ? i : i_max;
				j_min = j < j_min ? j : j_min;
				j_max = j > j_max ? j : j_max;
			}
	w.x_min = i_min > 0 ? grid_x(g, i_min - 1) : fmax(limit->x_min, w.x_min - wider * width);
	w.x_max =
		i_max + 1 < n ? grid_x(g, i_max + 1) : fmin(limit->x_max, w.x_max + wider * width);
	w.y_min = j_min > 0 ? grid_y(g, j_min - 1) : fmax(limit->y_min, w.y_min - wider * height);
	w.y_max =
		j_max + 1 < n ? grid_y(g, j_max + 1) : fmin(limit->y_max, w.y_max + wider * height);
	const bool wide = w.x_min < g->window.x_min || w.x_max > g->window.x_max ||
			  w.y_min < g->window.y_min || w.y_max > g->window.y_max;
	g->window = w;
	return wide || (w.x_max - w.x_min) * (w.y_max - w.y_min) < still * width * height;
}

void contour_slice(struct grid *g, const struct density *d, const double *at, struct arena *a)
{
	enum { COARSE = 60, ROUNDS = 12 };
	const struct window w = g->window;
	const double width = w.x_max - w.x_min, height = w.y_max - w.y_min;
	const struct window limit = { w.x_min - width, w.x_max + width, w.y_min - height,
		w.y_max + height };
	const size_t side = g->side;
	bool defined, moved = true;

	start(g, LEVELS, a);
	g->side = side < COARSE ? side : COARSE;
	for (int round = 0; round < ROUNDS && moved; round++) {
		defined = evaluate(g, d, at, a);
		moved = defined && fit(g, &limit);
	}
	g->side = side;
	defined = evaluate(g, d, at, a);
	for (size_t i = 0; i < side * side; i++)
		g->density[i] = fmax(g->density[i], -1e3); /* gnuplot has no contours at -inf */
	for (size_t k = 0; k < LEVELS; k++)
		g->levels[k] = -0.5 * (double)((k + 1) * (k + 1));
	if (!defined)
		set_empty(g);
}

/* --- an estimate from points ----------------------------------------------------------------- */

/* Indices from floor(low) to ceil(high) that a grid has. */
static void index_range(double low, double high, size_t side, size_t *first, size_t *end)
{
	*first = low > 0 ? (size_t)fmin(floor(low), (double)side) : 0;
	*end = high < 0 ? 0 : (size_t)fmin(ceil(high) + 1, (double)side);
}

/* Kernel estimate with a bandwidth of its own for each point (Breiman, Meisel and Purcell 1977):
 * the distance to its k-th neighbour, so that narrow modes far apart stay narrow. */
void contour_points(struct grid *g, size_t n, const double *xy, struct arena *a)
{
	const size_t neighbour = (size_t)pow((double)n, 0.45);
	const double reach = 4; /* bandwidths at which a kernel ends */
	const struct window *w = &g->window;
	const double last = (double)(g->side - 1);
	double *d2 = arena_alloc(a, n, sizeof(*d2));

	start(g, LEVELS - 1, a);
	memset(g->density, 0, g->side * g->side * sizeof(*g->density));
	for (size_t k = 0; k < n; k++) {
		const double *c = &xy[2 * k];
		size_t i_first, i_end, j_first, j_end;
		double h2, h;

		for (size_t i = 0; i < n; i++)
			d2[i] = pow(xy[2 * i] - c[0], 2) + pow(xy[2 * i + 1] - c[1], 2);
		h2 = fmax(stats_select(d2, n, n > neighbour ? neighbour : n - 1) / 2, 1e-12);
		h = reach * sqrt(h2);
		index_range((c[0] - h - w->x_min) / (w->x_max - w->x_min) * last,
			(c[0] + h - w->x_min) / (w->x_max - w->x_min) * last, g->side, &i_first,
			&i_end);
		index_range((c[1] - h - w->y_min) / (w->y_max - w->y_min) * last,
			(c[1] + h - w->y_min) / (w->y_max - w->y_min) * last, g->side, &j_first,
			&j_end);
		for (size_t j = j_first; j < j_end; j++)
			for (size_t i = i_first; i < i_end; i++) {
				double r2 = (pow(grid_x(g, i) - c[0], 2) +
						    pow(grid_y(g, j) - c[1], 2)) /
					    h2;

				if (r2 < reach * reach)
					g->density[j * g->side + i] += exp(-r2 / 2) / h2;
			}
	}
	find_levels(g, a);
}

/* --- a board's ------------------------------------------------------------------------------- */

/* A window around points whose target is not known here: all but their outermost 2 %. */
static struct window window_of(size_t n, const double *xy, struct arena *a)
{
	struct window w = { -1, 1, -1, 1 };
	double *x = arena_alloc(a, n, sizeof(*x));
	double *bounds[2][2] = { { &w.x_min, &w.x_max }, { &w.y_min, &w.y_max } };

	for (size_t k = 0; n && k < 2; k++) {
		double pad;

		for (size_t i = 0; i < n; i++)
			x[i] = xy[2 * i + k];
		*bounds[k][0] = stats_quantile(x, n, 0.01);
		*bounds[k][1] = stats_quantile(x, n, 0.99);
		pad = fmax(0.1 * (*bounds[k][1] - *bounds[k][0]), 1e-6);
		*bounds[k][0] -= pad;
		*bounds[k][1] += pad;
	}
	return w;
}

void contour_board(struct grid *out, const struct board *b, size_t n, const double *xy,
	struct arena *a)
{
	enum { SIDE = 90 };
	const struct settings *s = &b->first->target_options;
	struct density *d;
	bool known = density_new(&d, b->target, s->list, s->n, a) == OK && density_dim(d) == b->dim;

	*out = (struct grid){ .side = SIDE };
	if (known)
		density_target(d)->window(density_state(d), &out->window);
	else
		out->window = window_of(n, xy, a);
	if (known && b->dim == 2)
		contour_exact(out, d, a);
	else if (n && b->dim > 2)
		contour_points(out, n, xy, a);
}
