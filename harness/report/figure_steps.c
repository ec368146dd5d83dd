/* Metric against steps. */
#include "report/plot.h"

/* How a series stands in a panel. */
enum trace { TRACE_NONE, TRACE_CURVE, TRACE_LINE };

/* Rows of a series with a drawable value in the column. */
static size_t count_steps(const struct board *b, const struct series *s, size_t column)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_rows; i++)
		n += b->rows[i].series == s && row_drawable(&b->rows[i], column);
	return n;
}

static enum trace trace_of(const struct board *b, const struct series *s, size_t column)
{
	size_t n = s->oracle ? 0 : count_steps(b, s, column);

	return n > 1 ? TRACE_CURVE : n == 1 ? TRACE_LINE : TRACE_NONE;
}

/* A panel is worth drawing when something varies along it. */
static bool has_curve(const struct model *m, const struct board *b, size_t column)
{
	for (size_t s = 0; s < m->n_series; s++)
		if (trace_of(b, &m->series[s], column) == TRACE_CURVE)
			return true;
	return false;
}

struct steps_figure {
	const struct model *model;
	const struct board *board;
	size_t n_columns, n_series;
	size_t columns[PANELS_MAX];
	const struct series **series;
	double x_low, x_high; /* step counts */
};

static bool in_group(const struct column *c, bool samples)
{
	return (c->group == GROUP_SAMPLES || c->group == GROUP_OTHER) == samples;
}

static void pick_steps(struct steps_figure *f, bool samples)
{
	const struct board *b = f->board;

	f->x_low = HUGE_VAL;
	f->x_high = 1;
	for (size_t c = 0; c < b->n_columns && f->n_columns < PANELS_MAX; c++)
		if (in_group(&b->columns[c], samples) && has_curve(f->model, b, c))
			f->columns[f->n_columns++] = c;
	for (size_t s = 0; s < f->model->n_series; s++) {
		bool any = false;

		for (size_t k = 0; k < f->n_columns; k++)
			any |= trace_of(b, &f->model->series[s], f->columns[k]) != TRACE_NONE;
		if (any)
			f->series[f->n_series++] = &f->model->series[s];
	}
	for (size_t i = 0; i < b->n_rows; i++)
		if (b->rows[i].steps) {
			f->x_low = fmin(f->x_low, (double)b->rows[i].steps);
			f->x_high = fmax(f->x_high, (double)b->rows[i].steps);
		}
}

/* Powers of two that the axis holds. */
static const char *steps_tics(double low, double high, struct arena *a)
{
	const char *text = "";

	for (double x = 1; x <= high; x *= 2)
		if (x >= low)
			text = arena_printf(a, "%s%s%g", text, *text ? ", " : "", x);
	return text;
}

static void put_point(struct plot *p, double x, const struct estimate *e, bool positive,
	struct span *span)
{
	double low = e->mean, high = e->mean;

	if (isfinite(e->se)) {
		low -= e->se;
		high += e->se;
	}
	if (positive && low <= 0)
		low = e->mean;
	fprintf(p->dat.stream, "%.9g %.9g %.9g %.9g\n", x, e->mean, low, high);
	span_add(span, low);
	span_add(span, high);
}

static void put_trace(struct plot *p, const struct steps_figure *f, size_t panel, size_t series,
	struct span *span)
{
	const struct board *b = f->board;
	const size_t column = f->columns[panel];
	const bool positive = b->columns[column].better == BETTER_LOWER;
	double level = (double)NAN;

	plot_block(p, "p%zu s%zu curve", panel + 1, series + 1);
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->rows[i];

		if (row->series != f->series[series] || !row_drawable(row, column))
			continue;
		level = row->values[column].mean;
		put_point(p, row->steps ? (double)row->steps : f->x_high, &row->values[column],
			positive && level > 0, span);
	}
	plot_block(p, "p%zu s%zu line", panel + 1, series + 1);
	fprintf(p->dat.stream, "%.9g %.9g\n%.9g %.9g\n", f->x_low / 2, level, f->x_high * 2, level);
}

static double reference_of(const struct board *b, const struct column *c)
{
	if (c->better == BETTER_ZERO)
		return 0;
	return column_near_log_z(c) && b->log_z.kind != LOG_Z_INFINITE ? b->log_z.value
								       : (double)NAN;
}

static void write_panel(struct plot *p, const struct steps_figure *f, size_t panel, struct arena *a)
{
	const struct board *b = f->board;
	const struct column *c = &b->columns[f->columns[panel]];
	struct span span = { 0, arena_alloc(a, 2 * b->n_rows + 3, sizeof(double)) };
	double reference = reference_of(b, c);
	double low = c->floor ? c->floor_low : (double)NAN;
	double high = c->floor ? c->floor_high : (double)NAN;

	for (size_t s = 0; s < f->n_series; s++) {
		enum trace trace = trace_of(b, f->series[s], f->columns[panel]);

		fprintf(p->par.stream, "series_in[%zu] = %d\n", panel * f->n_series + s + 1,
			(int)trace);
		if (trace != TRACE_NONE)
			put_trace(p, f, panel, s, &span);
	}
	span_add(&span, reference);
	/* A floor that touches 0 has no lower end on a logarithmic axis. */
	if (low > 0)
		span_add(&span, low);
	span_add(&span, high);
	plot_number(p, plot_element("panel_floor_low", panel, a),
		c->better == BETTER_LOWER && !(low > 0) && high > 0 ? high * 1e-9 : low);
	plot_number(p, plot_element("panel_floor_high", panel, a), high);
	plot_number(p, plot_element("panel_reference", panel, a), reference);
	plot_text(p, plot_element("panel_title", panel, a),
		plot_wrapped(plot_with_unit(c->title, c->unit, a), a));
	plot_axis(p, panel, &span, c->better == BETTER_LOWER, a);
}

int figure_steps(const struct model *m, const struct board *b, bool samples, const char *folder,
	struct figures *out, struct arena *a)
{
	struct steps_figure f = { .model = m,
		.board = b,
		.series = arena_alloc(a, m->n_series, sizeof(struct series *)) };
	const char *what = samples ? "samples" : "evidence";
	const char *name = arena_printf(a, "steps-%s-%s", b->slug, what);
	struct plot p;

	pick_steps(&f, samples);
	if (!f.n_columns)
		return OK;
	TRY(plot_start(&p, folder, name, a));
	plot_text(&p, "title",
		arena_printf(a, "%s: %s against the number of steps", b->title, what));
	plot_number(&p, "x_low", f.x_low / 1.25);
	plot_number(&p, "x_high", f.x_high * 1.25);
	plot_text(&p, "x_tics", steps_tics(f.x_low, f.x_high, a));
	plot_series(&p, f.n_series, f.series, a);
	plot_axes(&p, f.n_columns);
	plot_array(&p, "panel_floor_low", f.n_columns);
	plot_array(&p, "panel_floor_high", f.n_columns);
	plot_array(&p, "panel_reference", f.n_columns);
	plot_array(&p, "series_in", f.n_columns * f.n_series);
	for (size_t k = 0; k < f.n_columns; k++)
		write_panel(&p, &f, k, a);
	figures_add(out, b, "steps.gp", name,
		arena_printf(a,
			"%s: %s against the number of steps. Error bars: standard error over "
			"seeds; dashed lines: methods with one step count; %s.",
			b->title, what,
			samples ? "grey band: noise floor, 5 to 95 % of exact against exact"
				: "thin line: log Z, or 0"));
	return plot_finish(&p);
}
