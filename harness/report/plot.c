#include "report/plot.h"

#include "core/stats.h"
#include "core/text.h"

#include <stdarg.h>
#include <stdlib.h>

/* --- the two files of a figure --------------------------------------------------------------- */

int plot_start(struct plot *p, const char *folder, const char *name, struct arena *a)
{
	TRY(file_start(&p->par, arena_printf(a, "%s/data/%s.par", folder, name), a));
	if (file_start(&p->dat, arena_printf(a, "%s/data/%s.dat", folder, name), a) == OK)
		return OK;
	file_discard(&p->par);
	return ERR_IO;
}

int plot_finish(struct plot *p)
{
	int code = file_finish(&p->dat);
	int other = file_finish(&p->par);

	return code == OK ? other : code;
}

void plot_discard(struct plot *p)
{
	file_discard(&p->par);
	file_discard(&p->dat);
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

const char *plot_wrapped(const char *title, struct arena *a)
{
	enum { WIDTH = 40 };

	return text_wrap(title, WIDTH, "", a);
}

void plot_text(struct plot *p, const char *name, const char *text)
{
	fprintf(p->par.stream, "%s = ", name);
	put_text(p->par.stream, text);
	fputc('\n', p->par.stream);
}

void plot_number(struct plot *p, const char *name, double x)
{
	fprintf(p->par.stream, isnan(x) ? "%s = NaN\n" : "%s = %.9g\n", name, x);
}

void plot_array(struct plot *p, const char *name, size_t n)
{
	fprintf(p->par.stream, "array %s[%zu]\n", name, n ? n : 1);
}

const char *plot_element(const char *name, size_t i, struct arena *a)
{
	return arena_printf(a, "%s[%zu]", name, i + 1);
}

/* A block of the data file, found by its name. The semicolon keeps s1 from meaning s10. */
void plot_block(struct plot *p, const char *format, ...)
{
	va_list args;

	fputs("\n\n# ", p->dat.stream);
	va_start(args, format);
	vfprintf(p->dat.stream, format, args);
	va_end(args);
	fputs(";\n", p->dat.stream);
}

void plot_no_point(struct plot *p)
{
	fputs("NaN NaN NaN NaN NaN\n", p->dat.stream);
}

void plot_points(struct plot *p, size_t n, const double *xy)
{
	for (size_t i = 0; i < n; i++)
		fprintf(p->dat.stream, "%.5g %.5g\n", xy[2 * i], xy[2 * i + 1]);
}

/* Digits of places on an axis: more than five where it is short and far from 0. */
static int axis_digits(double low, double high)
{
	return 5 + (int)fmax(0, ceil(log10(fmax(fabs(low), fabs(high)) / (high - low))));
}

void plot_contours(struct plot *p, const struct grid *g, struct arena *a)
{
	const struct window *w = &g->window;
	const int x_digits = axis_digits(w->x_min, w->x_max);
	const int y_digits = axis_digits(w->y_min, w->y_max);

	plot_number(p, "x_low", w->x_min);
	plot_number(p, "x_high", w->x_max);
	plot_number(p, "y_low", w->y_min);
	plot_number(p, "y_high", w->y_max);
	plot_number(p, "contours", (double)g->n_levels);
	plot_array(p, "level", LEVELS);
	for (size_t k = 0; k < g->n_levels; k++)
		plot_number(p, plot_element("level", k, a), g->levels[k]);
	if (!g->density)
		return;
	plot_block(p, "grid");
	for (size_t j = 0; j < g->side; j++, fputc('\n', p->dat.stream))
		for (size_t i = 0; i < g->side; i++)
			fprintf(p->dat.stream, "%.*g %.*g %.4g\n", x_digits, grid_x(g, i), y_digits,
				grid_y(g, j), g->density[j * g->side + i]);
}

/* --- axes ------------------------------------------------------------------------------------ */

void span_add(struct span *s, double x)
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
void plot_axis(struct plot *p, size_t panel, struct span *s, bool may_log, struct arena *a)
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
		/* Values that are equal at the digits written here must not give an empty range. */
		pad = high > low ? fmax(0.08 * (high - low), 1e-6 * fmax(1, fabs(high)))
				 : fmax(0.1 * fabs(high), 1e-3);
		low -= pad;
		high += pad;
	}
	plot_text(p, plot_element("panel_scale", panel, a), scale);
	plot_text(p, plot_element("panel_tics", panel, a), tics);
	plot_number(p, plot_element("panel_unit", panel, a), unit);
	plot_number(p, plot_element("panel_low", panel, a), low);
	plot_number(p, plot_element("panel_high", panel, a), high);
}

void plot_axes(struct plot *p, size_t panels)
{
	static const char *const names[] = { "panel_scale", "panel_tics", "panel_unit", "panel_low",
		"panel_high", "panel_title" };

	plot_number(p, "panels", (double)panels);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		plot_array(p, names[i], panels);
}

const char *plot_with_unit(const char *title, const char *unit, struct arena *a)
{
	return *unit ? arena_printf(a, "%s (%s)", title, unit) : title;
}

/* The legend above the panels; series in the order of the model. */
void plot_series(struct plot *p, size_t n, const struct series *const *list, struct arena *a)
{
	size_t widest = 1;

	plot_number(p, "series", (double)n);
	plot_array(p, "series_title", n);
	plot_array(p, "series_place", n);
	for (size_t s = 0; s < n; s++) {
		size_t width = strlen(list[s]->label);

		widest = width > widest ? width : widest;
		plot_text(p, plot_element("series_title", s, a), list[s]->label);
		plot_number(p, plot_element("series_place", s, a), (double)list[s]->place);
	}
	/* About 110 characters fit beside the markers in the widest figure. */
	plot_number(p, "key_columns", fmax(1, fmin(6, floor(110.0 / (double)(widest + 8)))));
}
