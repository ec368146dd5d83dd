/* Density and contour levels for the samples figure. */
#include "report/plot.h"

#include "core/stats.h"

#include <stdlib.h>

/* Shares of the mass that the contours enclose. */
static const double shares[LEVELS] = { 0.25, 0.6, 0.9, 0.99 };

static double grid_x(const struct grid *g, size_t i)
{
	return g->window.x_min + (g->window.x_max - g->window.x_min) * (double)i / (GRID - 1);
}

static double grid_y(const struct grid *g, size_t j)
{
	return g->window.y_min + (g->window.y_max - g->window.y_min) * (double)j / (GRID - 1);
}

static int falling(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x < y) - (x > y);
}

/* The density values above which the shares of the mass lie. */
static void find_levels(struct grid *g, struct arena *a)
{
	double *sorted = arena_alloc(a, GRID * GRID, sizeof(*sorted));
	double total, sum = 0;
	size_t k = 0;

	memcpy(sorted, g->density, GRID * GRID * sizeof(*sorted));
	qsort(sorted, GRID * GRID, sizeof(*sorted), falling);
	total = stats_sum(sorted, GRID * GRID);
	for (size_t i = 0; i < GRID * GRID; i++) {
		sum += sorted[i];
		for (; k < g->n_levels && sum >= shares[k] * total; k++)
			g->levels[k] = sorted[i];
	}
}

/* The target's density, its largest value on the grid 1. */
static void exact_density(struct grid *g, const struct density *d, struct arena *a)
{
	double *x = arena_alloc(a, 2 * GRID * GRID, sizeof(*x));
	double top = -HUGE_VAL;

	for (size_t j = 0; j < GRID; j++)
		for (size_t i = 0; i < GRID; i++) {
			x[j * GRID + i] = grid_x(g, i);
			x[GRID * GRID + j * GRID + i] = grid_y(g, j);
		}
	density_eval(d, GRID * GRID, x, g->density, NULL);
	for (size_t i = 0; i < GRID * GRID; i++)
		top = fmax(top, g->density[i]);
	for (size_t i = 0; i < GRID * GRID; i++)
		g->density[i] = exp(g->density[i] - top);
}

/* Kernel estimate with a bandwidth of its own for each point (Breiman, Meisel and Purcell 1977):
 * the distance to its k-th neighbour, so that narrow modes far apart stay narrow. */
static void kernel_density(struct grid *g, size_t n, const double *xy, struct arena *a)
{
	const size_t neighbour = (size_t)pow((double)n, 0.45);
	const double reach = 4; /* bandwidths at which a kernel ends */
	double *d2 = arena_alloc(a, n, sizeof(*d2));

	memset(g->density, 0, GRID * GRID * sizeof(*g->density));
	for (size_t k = 0; k < n; k++) {
		const double *c = &xy[2 * k];
		double h2;

		for (size_t i = 0; i < n; i++)
			d2[i] = pow(xy[2 * i] - c[0], 2) + pow(xy[2 * i + 1] - c[1], 2);
		h2 = fmax(stats_select(d2, n, n > neighbour ? neighbour : n - 1) / 2, 1e-12);
		for (size_t j = 0; j < GRID; j++)
			for (size_t i = 0; i < GRID; i++) {
				double r2 = (pow(grid_x(g, i) - c[0], 2) +
						    pow(grid_y(g, j) - c[1], 2)) /
					    h2;

				if (r2 < reach * reach)
					g->density[j * GRID + i] += exp(-r2 / 2) / h2;
			}
	}
}

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

void grid_make(struct grid *out, const struct board *b, size_t n, const double *xy, struct arena *a)
{
	const struct settings *s = &b->first->target_options;
	struct density *d;
	bool known = density_new(&d, b->target, s->list, s->n, a) == OK && density_dim(d) == b->dim;

	*out = (struct grid){ 0 };
	if (known)
		density_target(d)->window(density_state(d), &out->window);
	else
		out->window = window_of(n, xy, a);
	out->density = arena_alloc(a, GRID * GRID, sizeof(double));
	if (known && b->dim == 2) {
		out->n_levels = LEVELS;
		exact_density(out, d, a);
	} else if (n && b->dim > 2) {
		out->n_levels = LEVELS - 1;
		kernel_density(out, n, xy, a);
	} else {
		out->density = NULL;
		return;
	}
	find_levels(out, a);
}
