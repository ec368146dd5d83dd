/* Quality against cost. */
#include "report/plot.h"

#include <stdlib.h>

enum cost_kind { COST_NETWORK, COST_TARGET, COST_SAMPLING, COST_TOTAL, COST_KINDS };

static double cost_of(const struct row *row, enum cost_kind kind)
{
	switch (kind) {
	case COST_NETWORK:
		return row->network_evaluations;
	case COST_TARGET:
		return row->target_evaluations;
	case COST_SAMPLING:
		return row->sample_seconds;
	case COST_TOTAL:
	case COST_KINDS:
		break;
	}
	return row->sample_seconds + (isnan(row->train_seconds) ? 0 : row->train_seconds);
}

/* Of a distance its value, of an error its size: both are better when smaller. */
static double quality(const struct row *row, size_t column)
{
	return fabs(row->values[column].mean);
}

static bool has_cost(const struct row *row, size_t column, enum cost_kind kind)
{
	return !row->series->oracle && row_drawable(row, column) && quality(row, column) > 0 &&
	       cost_of(row, kind) > 0;
}

struct cost_point {
	double x, y;
};

static int by_cost(const void *a, const void *b)
{
	const struct cost_point *x = a, *y = b;

	if (x->x != y->x)
		return x->x < y->x ? -1 : 1;
	return (x->y > y->y) - (x->y < y->y);
}

/* The best value that a budget buys, as stairs to the right edge. */
static void put_front(struct plot *p, size_t panel, struct cost_point *points, size_t n)
{
	const double far = 1e3; /* beyond the right edge of any panel */
	double best = HUGE_VAL;

	qsort(points, n, sizeof(*points), by_cost);
	plot_block(p, "p%zu front", panel + 1);
	for (size_t i = 0; i < n; i++) {
		if (!(points[i].y < best))
			continue;
		if (isfinite(best))
			fprintf(p->dat.stream, "%.9g %.9g\n", points[i].x, best);
		best = points[i].y;
		fprintf(p->dat.stream, "%.9g %.9g\n", points[i].x, best);
	}
	if (n)
		fprintf(p->dat.stream, "%.9g %.9g\n", points[n - 1].x * far, best);
	plot_no_point(p);
}

/* A series is labelled where it starts, with its smallest number of steps: where series end, at many
 * steps, they crowd. */
static bool is_start(const struct board *b, size_t i)
{
	return board_row_first(b, i) && !board_row_last(b, i);
}

static size_t put_costs(struct plot *p, const struct board *b, const struct series *s, size_t place,
	size_t column, enum cost_kind kind, size_t panel, struct cost_point *points, struct span *y)
{
	size_t n = 0;

	plot_block(p, "p%zu s%zu points", panel + 1, place + 1);
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->rows[i];
		const struct estimate *e = &row->values[column];
		double mean = quality(row, column);
		double se = isfinite(e->se) && e->se < mean ? e->se : 0;

		if (row->series != s || !has_cost(row, column, kind))
			continue;
		points[n] = (struct cost_point){ cost_of(row, kind), mean };
		fprintf(p->dat.stream, "%.9g %.9g %.9g %.9g %zu\n", points[n].x, mean, mean - se,
			mean + se, kind != COST_TOTAL && is_start(b, i) ? row->steps : 0);
		span_add(y, mean - se);
		span_add(y, mean + se);
		n++;
	}
	plot_no_point(p);
	return n;
}

static bool any_cost(const struct row *row, size_t column)
{
	bool any = false;

	for (int kind = 0; kind < COST_KINDS; kind++)
		any |= has_cost(row, column, (enum cost_kind)kind);
	return any;
}

/* Has any row this cost? SMC, say, has no network. */
static bool kind_occurs(const struct board *b, size_t column, enum cost_kind kind)
{
	bool any = false;

	for (size_t i = 0; i < b->n_rows; i++)
		any |= has_cost(&b->rows[i], column, kind);
	return any;
}

/* The series that have points to show; how many points in all. */
static size_t pick_series(const struct model *m, const struct board *b, size_t column,
	const struct series **series, size_t *n_series)
{
	size_t total = 0;

	*n_series = 0;
	for (size_t s = 0; s < m->n_series; s++) {
		size_t n = 0;

		for (size_t i = 0; i < b->n_rows; i++)
			n += b->rows[i].series == &m->series[s] && any_cost(&b->rows[i], column);
		if (n)
			series[(*n_series)++] = &m->series[s];
		total += n;
	}
	return total;
}

static void write_panel(struct plot *p, const struct board *b, const struct column *c,
	enum cost_kind kind, size_t panel, size_t n_series, const struct series *const *series,
	struct arena *a)
{
	static const char *const titles[COST_KINDS] = { "network evaluations a sample",
		"target evaluations a sample", "sampling time, training apart (s)",
		"training + sampling time (s)" };
	struct cost_point *points = arena_alloc(a, b->n_rows, sizeof(*points));
	struct span y = { 0, arena_alloc(a, 2 * b->n_rows + 1, sizeof(double)) };
	size_t n = 0;

	for (size_t s = 0; s < n_series; s++)
		n += put_costs(p, b, series[s], s, (size_t)(c - b->columns), kind, panel,
			points + n, &y);
	if (c->floor)
		span_add(&y, c->floor_high);
	put_front(p, panel, points, n); /* sorts them */
	plot_text(p, plot_element("panel_title", panel, a), titles[kind]);
	plot_number(p, plot_element("panel_left", panel, a), n ? points[0].x / 2 : 1);
	plot_number(p, plot_element("panel_right", panel, a), n ? points[n - 1].x * 2.5 : 10);
	plot_axis(p, panel, &y, true, a);
}

int figure_cost(const struct model *m, const struct board *b, const char *folder,
	struct figures *out, struct arena *a)
{
	const struct column *c = board_headline(b);
	const char *name = arena_printf(a, "cost-%s", b->slug);
	const struct series **series = arena_alloc(a, m->n_series, sizeof(*series));
	const char *quality_title;
	size_t n_series, panels = 0;
	struct plot p;

	if (!c || pick_series(m, b, (size_t)(c - b->columns), series, &n_series) < 2)
		return OK;
	quality_title = c->better == BETTER_ZERO ? arena_printf(a, "|%s|", c->title) : c->title;
	TRY(plot_start(&p, folder, name, a));
	plot_text(&p, "title", arena_printf(a, "%s: quality against cost", b->title));
	plot_text(&p, "y_title", plot_with_unit(quality_title, c->unit, a));
	plot_number(&p, "floor_low", c->floor ? fmax(c->floor_low, 1e-12) : (double)NAN);
	plot_number(&p, "floor_high", c->floor ? c->floor_high : (double)NAN);
	plot_series(&p, n_series, series, a);
	for (int kind = 0; kind < COST_KINDS; kind++)
		panels += kind_occurs(b, (size_t)(c - b->columns), (enum cost_kind)kind);
	plot_axes(&p, panels);
	panels = 0;
	plot_array(&p, "panel_left", COST_KINDS);
	plot_array(&p, "panel_right", COST_KINDS);
	for (int kind = 0; kind < COST_KINDS; kind++)
		if (kind_occurs(b, (size_t)(c - b->columns), (enum cost_kind)kind))
			write_panel(&p, b, c, (enum cost_kind)kind, panels++, n_series, series, a);
	figures_add(out, b, "cost.gp", name,
		arena_printf(a,
			"%s: %s against cost (seconds for n = %zu). Grey stairs: the Pareto "
			"front, the best value that a budget buys; small numbers: the steps where "
			"a series starts%s.",
			b->title, quality_title, b->n, c->floor ? "; grey band: noise floor" : ""));
	return plot_finish(&p);
}
