#include "report/figures.h"

#include "core/stats.h"
#include "report/file.h"

#include <stdarg.h>
#include <stdlib.h>

enum { PANELS_MAX = 12, SAMPLE_PANELS = 8, SAMPLE_POINTS = 600, EXACT_POINTS = 2000 };

/* --- the two files of a figure --------------------------------------------------------------- */

struct plot {
	struct file par, dat;
};

static int plot_start(struct plot *p, const char *folder, const char *name, struct arena *a)
{
	TRY(file_start(&p->par, arena_printf(a, "%s/data/%s.par", folder, name), a));
	return file_start(&p->dat, arena_printf(a, "%s/data/%s.dat", folder, name), a);
}

static int plot_finish(struct plot *p)
{
	int code = file_finish(&p->dat);
	int other = file_finish(&p->par);

	return code == OK ? other : code;
}

/* A gnuplot string in single quotes, where nothing but the quote is special. */
static void put_text(FILE *f, const char *text)
{
	fputc('\'', f);
	for (; *text; text++) {
		if (*text == '\n')
			fputs("'.\"\\n\".'", f);
		else if (*text == '\'')
			fputs("''", f);
		else
			fputc(*text, f);
	}
	fputc('\'', f);
}

/* A title that is too long for its panel, in two lines. */
static const char *wrapped(const char *title, struct arena *a)
{
	enum { WIDTH = 40 };
	char *text = arena_strdup(a, title), *best = NULL;
	size_t n = strlen(text);

	for (char *p = text; n > WIDTH && (p = strchr(p, ' ')); p++)
		if (p - text <= WIDTH || !best)
			best = p;
	if (best)
		*best = '\n';
	return text;
}

static void set_text(struct plot *p, const char *name, const char *text)
{
	fprintf(p->par.stream, "%s = ", name);
	put_text(p->par.stream, text);
	fputc('\n', p->par.stream);
}

static void set_number(struct plot *p, const char *name, double x)
{
	fprintf(p->par.stream, isnan(x) ? "%s = NaN\n" : "%s = %.9g\n", name, x);
}

static void set_array(struct plot *p, const char *name, size_t n)
{
	fprintf(p->par.stream, "array %s[%zu]\n", name, n ? n : 1);
}

static const char *element(const char *name, size_t i, struct arena *a)
{
	return arena_printf(a, "%s[%zu]", name, i + 1);
}

/* A block of the data file, found by its name. The semicolon keeps s1 from meaning s10. */
static void block_start(struct plot *p, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void block_start(struct plot *p, const char *format, ...)
{
	va_list args;

	fputs("\n\n# ", p->dat.stream);
	va_start(args, format);
	vfprintf(p->dat.stream, format, args);
	va_end(args);
	fputs(";\n", p->dat.stream);
}

/* --- axes ------------------------------------------------------------------------------------ */

/* The values that an axis must show. */
struct span {
	size_t n;
	double *x;
};

static void span_add(struct span *s, double x)
{
	if (isfinite(x))
		s->x[s->n++] = x;
}

/* When a logarithmic, and when a symmetric logarithmic axis, is easier to read: ratio of the
 * largest to the smallest size, and to the quartile of the sizes. */
static const double log_ratio = 8, symlog_ratio = 50, symlog_least = 50;

/* Labels for a symmetric logarithmic axis at asinh(y / unit): 0 and powers of ten of both signs, at
 * most about 8. */
static const char *symlog_tics(double low, double high, double unit, struct arena *a)
{
	const int first = (int)ceil(log10(unit)), last = (int)floor(log10(fmax(-low, high)));
	const int both = low < 0 && high > 0 ? 2 : 1;
	const int stride = 1 + (last - first) * both / 6;
	const double extent = asinh(high / unit) - asinh(low / unit);
	const double nearest = 0.08; /* to the label of 0, as a share of the axis */
	const char *text = low <= 0 && high >= 0 ? "\"0\" 0" : "";

	for (int e = last; e >= first; e -= stride) {
		const double x = pow(10, e);

		for (int sign = -1; sign <= 1; sign += 2)
			if (sign * x >= low && sign * x <= high &&
				asinh(x / unit) > nearest * extent)
				text = arena_printf(a, "%s%s\"%g\" %.9g", text, *text ? ", " : "",
					sign * x, sign * asinh(x / unit));
	}
	return text;
}

/* Labels for a logarithmic axis of few decades, which gnuplot labels at powers of ten alone: 1, 2 and
 * 5 times these. None for many decades. */
static const char *log_tics(double low, double high, struct arena *a)
{
	const double many = 200;
	static const double steps[] = { 1, 2, 5 };
	const char *text = "";

	if (high > many * low)
		return text;
	for (double unit = pow(10, floor(log10(low))); unit <= high; unit *= 10)
		for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++)
			if (steps[k] * unit >= low && steps[k] * unit <= high)
				text = arena_printf(a, "%s%s%g", text, *text ? ", " : "",
					steps[k] * unit);
	return text;
}

/* Choose scale and range of a panel's y axis. Reorders the span. */
static void set_axis(struct plot *p, size_t panel, struct span *s, bool may_log, struct arena *a)
{
	double low = s->n ? s->x[0] : 0, high = low, size, small, pad, unit = 1;
	const char *scale = "linear", *tics = "";

	for (size_t i = 0; i < s->n; i++) {
		low = fmin(low, s->x[i]);
		high = fmax(high, s->x[i]);
		s->x[i] = fabs(s->x[i]);
	}
	size = fmax(fabs(low), fabs(high));
	small = s->n ? fmax(stats_quantile(s->x, s->n, 0.25), size * 1e-5) : 1;
	if (may_log && low > 0 && high > log_ratio * low) {
		scale = "log";
		pad = pow(high / low, 0.08);
		low /= pad;
		high *= pad;
		tics = log_tics(low, high, a);
	} else if (size > symlog_least && size > symlog_ratio * small) {
		scale = "symlog";
		unit = pow(10, floor(log10(small)));
		low = low < 0 ? low * 1.6 : low - unit;
		high = high > 0 ? high * 1.6 : high + unit;
		tics = symlog_tics(low, high, unit, a);
		low = asinh(low / unit);
		high = asinh(high / unit);
	} else {
		pad = high > low ? 0.08 * (high - low) : fmax(0.1 * fabs(high), 1e-3);
		low -= pad;
		high += pad;
	}
	set_text(p, element("panel_scale", panel, a), scale);
	set_text(p, element("panel_tics", panel, a), tics);
	set_number(p, element("panel_unit", panel, a), unit);
	set_number(p, element("panel_low", panel, a), low);
	set_number(p, element("panel_high", panel, a), high);
}

static void declare_axes(struct plot *p, size_t panels)
{
	static const char *const names[] = { "panel_scale", "panel_tics", "panel_unit", "panel_low",
		"panel_high", "panel_title" };

	set_number(p, "panels", (double)panels);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		set_array(p, names[i], panels);
}

static const char *with_unit(const char *title, const char *unit, struct arena *a)
{
	return *unit ? arena_printf(a, "%s (%s)", title, unit) : title;
}

/* The legend above the panels; series in the order of the model. */
static void set_series(struct plot *p, size_t n, const struct series *const *list, struct arena *a)
{
	size_t widest = 1;

	set_number(p, "series", (double)n);
	set_array(p, "series_title", n);
	set_array(p, "series_place", n);
	for (size_t s = 0; s < n; s++) {
		size_t width = strlen(list[s]->label);

		widest = width > widest ? width : widest;
		set_text(p, element("series_title", s, a), list[s]->label);
		set_number(p, element("series_place", s, a), (double)list[s]->place);
	}
	/* About 110 characters fit beside the markers in the widest figure. */
	set_number(p, "key_columns", fmax(1, fmin(6, floor(110.0 / (double)(widest + 8)))));
}

/* --- metric against steps -------------------------------------------------------------------- */

/* How a series stands in a panel. */
enum trace { TRACE_NONE, TRACE_CURVE, TRACE_LINE };

static bool drawable(const struct row *row, size_t column)
{
	return row->values[column].seeds && isfinite(row->values[column].mean);
}

/* Rows of a series with a drawable value in the column. */
static size_t count_steps(const struct board *b, const struct series *s, size_t column)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_rows; i++)
		n += b->rows[i].series == s && drawable(&b->rows[i], column);
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

	block_start(p, "p%zu s%zu curve", panel + 1, series + 1);
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->rows[i];

		if (row->series != f->series[series] || !drawable(row, column))
			continue;
		level = row->values[column].mean;
		put_point(p, row->steps ? (double)row->steps : f->x_high, &row->values[column],
			positive && level > 0, span);
	}
	block_start(p, "p%zu s%zu line", panel + 1, series + 1);
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
	set_number(p, element("panel_floor_low", panel, a),
		c->better == BETTER_LOWER && !(low > 0) && high > 0 ? high * 1e-9 : low);
	set_number(p, element("panel_floor_high", panel, a), high);
	set_number(p, element("panel_reference", panel, a), reference);
	set_text(p, element("panel_title", panel, a), wrapped(with_unit(c->title, c->unit, a), a));
	set_axis(p, panel, &span, c->better == BETTER_LOWER, a);
}

/* Add to the list. */
static struct figure *add_figure(struct figures *out, const struct board *b, const char *script,
	const char *name, const char *caption)
{
	struct figure *f = &out->list[out->n++];

	*f = (struct figure){ .name = name, .script = script, .caption = caption, .board = b };
	return f;
}

static int steps_figure(const struct model *m, const struct board *b, bool samples,
	const char *folder, struct figures *out, struct arena *a)
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
	set_text(&p, "title",
		arena_printf(a, "%s: %s against the number of steps", b->title, what));
	set_number(&p, "x_low", f.x_low / 1.25);
	set_number(&p, "x_high", f.x_high * 1.25);
	set_text(&p, "x_tics", steps_tics(f.x_low, f.x_high, a));
	set_series(&p, f.n_series, f.series, a);
	declare_axes(&p, f.n_columns);
	set_array(&p, "panel_floor_low", f.n_columns);
	set_array(&p, "panel_floor_high", f.n_columns);
	set_array(&p, "panel_reference", f.n_columns);
	set_array(&p, "series_in", f.n_columns * f.n_series);
	for (size_t k = 0; k < f.n_columns; k++)
		write_panel(&p, &f, k, a);
	add_figure(out, b, "steps.gp", name,
		arena_printf(a,
			"%s: %s against the number of steps. Error bars: standard error over "
			"seeds; dashed lines: methods with one step count; %s.",
			b->title, what,
			samples ? "grey band: noise floor, 5 to 95 % of exact against exact"
				: "thin line: log Z, or 0"));
	return plot_finish(&p);
}

/* --- quality against cost -------------------------------------------------------------------- */

enum cost_kind { COST_EVALUATIONS, COST_SAMPLING, COST_TOTAL, COST_KINDS };

static double cost_of(const struct row *row, enum cost_kind kind)
{
	switch (kind) {
	case COST_EVALUATIONS:
		return row->network_evaluations + row->target_evaluations;
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
	return !row->series->oracle && drawable(row, column) && quality(row, column) > 0 &&
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
	double best = HUGE_VAL;

	qsort(points, n, sizeof(*points), by_cost);
	block_start(p, "p%zu front", panel + 1);
	for (size_t i = 0; i < n; i++) {
		if (!(points[i].y < best))
			continue;
		if (isfinite(best))
			fprintf(p->dat.stream, "%.9g %.9g\n", points[i].x, best);
		best = points[i].y;
		fprintf(p->dat.stream, "%.9g %.9g\n", points[i].x, best);
	}
	fprintf(p->dat.stream, "%.9g %.9g\n", points[n - 1].x * 1e3, best);
}

/* The ends of a series along the step axis are labelled with their step counts. */
static bool is_end(const struct board *b, size_t i)
{
	return board_row_first(b, i) != board_row_last(b, i);
}

static size_t put_costs(struct plot *p, const struct board *b, const struct series *s, size_t place,
	size_t column, enum cost_kind kind, struct cost_point *points, struct span *y)
{
	size_t n = 0;

	block_start(p, "p%d s%zu points", (int)kind + 1, place + 1);
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->rows[i];
		const struct estimate *e = &row->values[column];
		double mean = quality(row, column);
		double se = isfinite(e->se) && e->se < mean ? e->se : 0;

		if (row->series != s || !has_cost(row, column, kind))
			continue;
		points[n] = (struct cost_point){ cost_of(row, kind), mean };
		fprintf(p->dat.stream, "%.9g %.9g %.9g %.9g %zu\n", points[n].x, mean, mean - se,
			mean + se, kind != COST_TOTAL && is_end(b, i) ? row->steps : 0);
		span_add(y, mean - se);
		span_add(y, mean + se);
		n++;
	}
	return n;
}

static int cost_figure(const struct model *m, const struct board *b, const char *folder,
	struct figures *out, struct arena *a)
{
	static const char *const titles[COST_KINDS] = { "network + target evaluations a sample",
		"sampling time, training apart (s)", "training + sampling time (s)" };
	const struct column *c = board_headline(b);
	const char *name = arena_printf(a, "cost-%s", b->slug);
	const struct series **series = arena_alloc(a, m->n_series, sizeof(*series));
	struct cost_point *points = arena_alloc(a, b->n_rows, sizeof(*points));
	size_t n_series = 0, column, total = 0;
	struct plot p;

	if (!c)
		return OK;
	column = (size_t)(c - b->columns);
	for (size_t s = 0; s < m->n_series; s++) {
		size_t n = 0;

		for (size_t i = 0; i < b->n_rows; i++)
			n += b->rows[i].series == &m->series[s] &&
			     has_cost(&b->rows[i], column, COST_EVALUATIONS);
		if (n)
			series[n_series++] = &m->series[s];
		total += n;
	}
	if (total < 2)
		return OK;
	TRY(plot_start(&p, folder, name, a));
	set_text(&p, "title", arena_printf(a, "%s: quality against cost", b->title));
	set_text(&p, "y_title",
		with_unit(c->better == BETTER_ZERO ? arena_printf(a, "|%s|", c->title) : c->title,
			c->unit, a));
	set_number(&p, "floor_low", c->floor ? fmax(c->floor_low, 1e-12) : (double)NAN);
	set_number(&p, "floor_high", c->floor ? c->floor_high : (double)NAN);
	set_series(&p, n_series, series, a);
	declare_axes(&p, COST_KINDS);
	set_array(&p, "panel_left", COST_KINDS);
	set_array(&p, "panel_right", COST_KINDS);
	for (int kind = 0; kind < COST_KINDS; kind++) {
		struct span y = { 0, arena_alloc(a, 2 * b->n_rows + 2, sizeof(double)) };
		size_t n = 0;

		for (size_t s = 0; s < n_series; s++)
			n += put_costs(&p, b, series[s], s, column, (enum cost_kind)kind,
				points + n, &y);
		set_text(&p, element("panel_title", (size_t)kind, a), titles[kind]);
		if (c->floor)
			span_add(&y, c->floor_high);
		if (n)
			put_front(&p, (size_t)kind, points, n);
		/* put_front has sorted them. */
		set_number(&p, element("panel_left", (size_t)kind, a), n ? points[0].x / 2 : 1);
		set_number(&p, element("panel_right", (size_t)kind, a),
			n ? points[n - 1].x * 2.5 : 10);
		set_axis(&p, (size_t)kind, &y, true, a);
	}
	add_figure(out, b, "cost.gp", name,
		arena_printf(a,
			"%s: %s against cost (seconds for n = %zu). Grey stairs: the Pareto "
			"front, the best value that a budget buys; grey band: noise floor; small "
			"numbers: steps.",
			b->title, c->title, b->n));
	return plot_finish(&p);
}

/* --- training curves ------------------------------------------------------------------------- */

struct curve_panel {
	const struct record *like; /* method and variant */
	const char *name;
};

static bool in_panel(const struct curve_panel *p, const struct record *c)
{
	return !strcmp(p->like->method, c->method) && !strcmp(p->like->variant, c->variant);
}

static size_t curve_panels(const struct board *b, struct curve_panel *panels)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_cells; i++)
		for (size_t k = 0; k < b->cells[i]->n_curves; k++) {
			const struct record *c = b->cells[i];
			size_t old = 0;

			while (old < n && !(in_panel(&panels[old], c) &&
						  !strcmp(panels[old].name, c->curves[k].name)))
				old++;
			if (old == n && n < PANELS_MAX)
				panels[n++] = (struct curve_panel){ c, c->curves[k].name };
		}
	return n;
}

/* Where a method stands in the palette: at the first of its passes. */
static size_t method_place(const struct model *m, const struct record *c)
{
	for (size_t s = 0; s < m->n_series; s++)
		if (!strcmp(m->series[s].method, c->method) &&
			!strcmp(m->series[s].variant, c->variant))
			return m->series[s].place;
	return 0;
}

/* Every seed of a panel a curve of its own, diverged ones too. Returns how many; *last becomes the
 * last iteration. */
static size_t put_curves(struct plot *p, const struct board *b, size_t panel,
	const struct curve_panel *what, struct span *y, double *last)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_cells; i++)
		for (size_t k = 0; k < b->cells[i]->n_curves; k++) {
			const struct record_curve *c = &b->cells[i]->curves[k];

			if (!in_panel(what, b->cells[i]) || strcmp(what->name, c->name))
				continue;
			block_start(p, "p%zu s%zu curve", panel + 1, ++n);
			for (size_t j = 0; j < c->n; j++) {
				if (isfinite(c->value[j]))
					fprintf(p->dat.stream, "%.9g %.9g\n", c->iteration[j],
						c->value[j]);
				span_add(y, c->value[j]);
				*last = fmax(*last, c->iteration[j]);
			}
			/* An empty block would shift the ones that follow. */
			fputs("NaN NaN\n", p->dat.stream);
		}
	return n;
}

static int curves_figure(const struct model *m, const struct board *b, const char *folder,
	struct figures *out, struct arena *a)
{
	struct curve_panel panels[PANELS_MAX];
	const size_t n = curve_panels(b, panels);
	const char *name = arena_printf(a, "curves-%s", b->slug);
	struct plot p;

	if (!n)
		return OK;
	TRY(plot_start(&p, folder, name, a));
	set_text(&p, "title", arena_printf(a, "%s: training", b->title));
	declare_axes(&p, n);
	set_array(&p, "panel_place", n);
	set_array(&p, "panel_seeds", n);
	set_array(&p, "panel_last", n);
	for (size_t k = 0; k < n; k++) {
		size_t room = 1;
		double last = 1;
		struct span y;

		for (size_t i = 0; i < b->n_cells; i++)
			for (size_t j = 0; j < b->cells[i]->n_curves; j++)
				room += b->cells[i]->curves[j].n;
		y = (struct span){ 0, arena_alloc(a, room, sizeof(double)) };
		set_number(&p, element("panel_place", k, a),
			(double)method_place(m, panels[k].like));
		set_text(&p, element("panel_title", k, a),
			wrapped(arena_printf(a, "%s%s%s: %s", panels[k].like->method_title,
					*panels[k].like->variant ? " " : "",
					panels[k].like->variant, panels[k].name),
				a));
		set_number(&p, element("panel_seeds", k, a),
			(double)put_curves(&p, b, k, &panels[k], &y, &last));
		set_number(&p, element("panel_last", k, a), last + 1);
		set_axis(&p, k, &y, true, a);
	}
	add_figure(out, b, "curves.gp", name,
		arena_printf(a, "%s: training curves, one line a seed.", b->title));
	return plot_finish(&p);
}

/* --- samples --------------------------------------------------------------------------------- */

struct sample_panel {
	const struct row *row; /* NULL: the exact samples */
	const char *title;
	size_t place, n;
	const double *xy;
};

/* Share of the points that the window does not show. */
static double outside(const struct sample_panel *s, const struct window *w)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const double *x = &s->xy[2 * i];

		n += x[0] < w->x_min || x[0] > w->x_max || x[1] < w->y_min || x[1] > w->y_max;
	}
	return s->n ? (double)n / (double)s->n : 0;
}

/* Has this row a panel? */
static bool has_panel(const struct sample_panel *panels, size_t n, const struct row *row)
{
	for (size_t i = 0; i < n; i++)
		if (panels[i].row == row)
			return true;
	return false;
}

static int add_samples(struct sample_panel *panels, size_t *n, const struct row *row,
	struct arena *a)
{
	struct sample_panel *s = &panels[*n];
	double *xy;

	if (*n == SAMPLE_PANELS || !row->shown || row->series->oracle)
		return OK;
	TRY(samples_read(row->shown->samples, row->series->pass, row->steps, SAMPLE_POINTS, &s->n,
		&xy, a));
	if (!s->n)
		return OK;
	s->xy = xy;
	s->row = row;
	s->place = row->series->place;
	s->title = row->series->label;
	if (row->steps)
		s->title = arena_printf(a, "%s, %zu step%s", s->title, row->steps,
			row->steps == 1 ? "" : "s");
	(*n)++;
	return OK;
}

/* The oracle, every series at its most steps with points on record, then at its fewest where there
 * is room. exact: all exact points. */
static int pick_samples(const struct board *b, struct sample_panel *panels, size_t *n,
	struct sample_panel *exact, struct arena *a)
{
	const struct series *done = NULL;
	size_t before;
	double *xy;

	*n = 0;
	*exact = (struct sample_panel){ .title = "exact samples" };
	if (b->floor) {
		TRY(samples_read(b->floor->samples, NULL, 0, EXACT_POINTS, &exact->n, &xy, a));
		exact->xy = xy;
	}
	if (exact->n) {
		panels[*n] = *exact;
		panels[(*n)++].n = exact->n < SAMPLE_POINTS ? exact->n : SAMPLE_POINTS;
	}
	for (size_t first = 0, next = 0; first < b->n_rows; first = next) {
		while (next < b->n_rows && b->rows[next].series == b->rows[first].series)
			next++;
		before = *n;
		for (size_t i = next; i > first && *n == before; i--)
			TRY(add_samples(panels, n, &b->rows[i - 1], a));
	}
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->rows[i];

		if (row->series == done || has_panel(panels, *n, row))
			continue;
		before = *n;
		TRY(add_samples(panels, n, row, a));
		if (*n > before)
			done = row->series;
	}
	return OK;
}

static void put_grid(struct plot *p, const struct grid *g)
{
	const struct window *w = &g->window;

	block_start(p, "grid");
	for (size_t j = 0; j < GRID; j++, fputc('\n', p->dat.stream))
		for (size_t i = 0; i < GRID; i++)
			fprintf(p->dat.stream, "%.5g %.5g %.4g\n",
				w->x_min + (w->x_max - w->x_min) * (double)i / (GRID - 1),
				w->y_min + (w->y_max - w->y_min) * (double)j / (GRID - 1),
				g->density[j * GRID + i]);
}

static int samples_figure(const struct board *b, const char *folder, struct figures *out,
	struct arena *a)
{
	struct sample_panel panels[SAMPLE_PANELS + 1], exact;
	const char *name = arena_printf(a, "samples-%s", b->slug);
	struct grid g;
	struct plot p;
	size_t n;

	TRY(pick_samples(b, panels, &n, &exact, a));
	if (!n)
		return OK;
	grid_make(&g, b, exact.n, exact.xy, a);
	TRY(plot_start(&p, folder, name, a));
	set_text(&p, "title", arena_printf(a, "%s: samples", b->title));
	set_number(&p, "panels", (double)n);
	set_number(&p, "x_low", g.window.x_min);
	set_number(&p, "x_high", g.window.x_max);
	set_number(&p, "y_low", g.window.y_min);
	set_number(&p, "y_high", g.window.y_max);
	set_number(&p, "contours", (double)g.n_levels);
	set_array(&p, "level", LEVELS);
	for (size_t k = 0; k < g.n_levels; k++)
		set_number(&p, element("level", k, a), g.levels[k]);
	set_array(&p, "panel_title", n);
	set_array(&p, "panel_place", n);
	for (size_t k = 0; k < n; k++) {
		double share = outside(&panels[k], &g.window);

		set_text(&p, element("panel_title", k, a),
			share > 0.005 ? arena_printf(a, "%s\n(%.0f %% outside)", panels[k].title,
						100 * share)
				      : panels[k].title);
		set_number(&p, element("panel_place", k, a), (double)panels[k].place);
		block_start(&p, "p%zu", k + 1);
		for (size_t i = 0; i < panels[k].n; i++)
			fprintf(p.dat.stream, "%.5g %.5g\n", panels[k].xy[2 * i],
				panels[k].xy[2 * i + 1]);
	}
	if (g.density)
		put_grid(&p, &g);
	add_figure(out, b, "samples.gp", name,
		arena_printf(a, "%s: samples%s, %s.", b->title,
			b->dim > 2 ? " (first two coordinates)" : "",
			b->dim > 2
				? "over contours of a kernel estimate from exact samples that hold "
				  "25, 60 and 90 % of its mass in the window"
				: "over contours of the density that hold 25, 60, 90 and 99 % of "
				  "its mass in the window"));
	return plot_finish(&p);
}

int figures_prepare(const struct model *m, const char *folder, struct figures *out, struct arena *a)
{
	enum { KINDS = 5 };

	*out = (struct figures){ 0, ARENA_NEW(a, KINDS * m->n_boards, struct figure) };
	for (size_t i = 0; i < m->n_boards; i++) {
		const struct board *b = &m->boards[i];

		TRY(samples_figure(b, folder, out, a));
		TRY(steps_figure(m, b, true, folder, out, a));
		TRY(steps_figure(m, b, false, folder, out, a));
		TRY(cost_figure(m, b, folder, out, a));
		TRY(curves_figure(m, b, folder, out, a));
	}
	return OK;
}
