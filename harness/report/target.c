/* A picture of one target. */
#include "report/target.h"

#include "core/folder.h"
#include "core/text.h"
#include "report/log_z.h"
#include "report/plot.h"

/* What the three kinds of picture share. caption grows by a sentence each. */
struct drawing {
	const struct density *density;
	const struct target_plot *options;
	struct plot plot;
	struct arena *arena;
	size_t n; /* exact samples shown */
	const char *caption;
};

static void say(struct drawing *p, const char *sentence)
{
	p->caption = arena_printf(p->arena, "%s%s%s", p->caption, *p->caption ? " " : "", sentence);
}

/* The first two coordinates [n][2] of n exact samples; of one dimension (x, 0). */
static int exact_points(const struct drawing *p, size_t n, double **xy)
{
	const struct rng r = { .seed = p->options->seed, .purpose = RNG_TARGET };
	const size_t dim = density_dim(p->density);
	double *x = arena_alloc(p->arena, dim, sizeof(*x));

	*xy = arena_alloc(p->arena, 2 * n, sizeof(**xy));
	for (size_t i = 0; i < n; i++) {
		TRY(density_draw(p->density, r, i, 1, x));
		(*xy)[2 * i] = x[0];
		(*xy)[2 * i + 1] = dim > 1 ? x[1] : 0;
	}
	return OK;
}

static void say_points(struct drawing *p, const char *shown, double outside)
{
	const char *more = "";

	if (outside > 0)
		more = arena_printf(p->arena, ", %.2g %% of them outside the window",
			100 * outside);
	say(p, arena_printf(p->arena, "%s: %zu exact samples%s.", shown, p->n, more));
}

static int nothing_there(const struct drawing *p)
{
	return fail(ERR_UNSUP, "target %s: its density is 0 at all points that would be shown",
		density_target(p->density)->name);
}

/* --- one dimension --------------------------------------------------------------------------- */

enum { CURVE = 601, BINS = 40 };

/* The density on points over the window. Where log Z is not known it is normalised there. */
static int put_curve(struct drawing *p, const struct window *w)
{
	double *x = arena_alloc(p->arena, CURVE, sizeof(*x));
	double *y = arena_alloc(p->arena, CURVE, sizeof(*y));
	const double step = (w->x_max - w->x_min) / (CURVE - 1);
	double top = -HUGE_VAL, sum = 0;
	struct log_z z;

	for (size_t i = 0; i < CURVE; i++)
		x[i] = w->x_min + step * (double)i;
	density_eval(p->density, CURVE, x, y, NULL);
	for (size_t i = 0; i < CURVE; i++)
		top = fmax(top, y[i]);
	if (!isfinite(top))
		return nothing_there(p);
	for (size_t i = 0; i < CURVE; i++)
		sum += step * exp(y[i] - top);
	density_log_z(p->density, &z);
	const bool known = z.kind != LOG_Z_UNKNOWN && z.kind != LOG_Z_INFINITE;
	const double log_z = known ? z.value : top + log(sum);
	plot_block(&p->plot, "curve");
	for (size_t i = 0; i < CURVE; i++)
		fprintf(p->plot.dat.stream, "%.7g %.7g\n", x[i], exp(y[i] - log_z));
	say(p, known ? "Curve: the density." : "Curve: the density, normalised in this window.");
	return OK;
}

static int put_histogram(struct drawing *p, const struct window *w)
{
	const size_t n = p->n;
	const double width = (w->x_max - w->x_min) / BINS;
	size_t count[BINS] = { 0 }, outside = 0;
	double *xy;

	TRY(exact_points(p, n, &xy));
	for (size_t i = 0; i < n; i++) {
		double bin = floor((xy[2 * i] - w->x_min) / width);

		if (bin >= 0 && bin < BINS)
			count[(size_t)bin]++;
		else
			outside++;
	}
	plot_block(&p->plot, "histogram");
	for (size_t b = 0; b < BINS; b++)
		fprintf(p->plot.dat.stream, "%.7g %.7g\n", w->x_min + width * ((double)b + 0.5),
			(double)count[b] / ((double)n * width));
	say_points(p, "Bars", (double)outside / (double)n);
	return OK;
}

static int draw_line(struct drawing *p)
{
	struct window w;

	density_target(p->density)->window(density_state(p->density), &w);
	plot_text(&p->plot, "y_title", "density");
	plot_number(&p->plot, "x_low", w.x_min);
	plot_number(&p->plot, "x_high", w.x_max);
	plot_number(&p->plot, "bin", (w.x_max - w.x_min) / BINS);
	TRY(put_curve(p, &w));
	if (density_target(p->density)->draw != NULL)
		return put_histogram(p, &w);
	plot_block(&p->plot, "histogram");
	plot_no_point(&p->plot);
	say(p, "No exact sampler is known.");
	return OK;
}

/* --- two dimensions and more ----------------------------------------------------------------- */

/* The point through which the slice goes, and the words for it. */
static const char *slice_centre(const struct drawing *p, double *at)
{
	const size_t dim = density_dim(p->density);
	double *sd = arena_alloc(p->arena, dim, sizeof(*sd));
	bool finite = density_moments(p->density, at, sd);

	for (size_t k = 0; k < dim && finite; k++)
		finite = isfinite(at[k]);
	if (finite)
		return "at their means";
	memset(at, 0, dim * sizeof(*at));
	return "at 0";
}

static void make_slice(struct drawing *p, struct grid *g)
{
	double *at = arena_alloc(p->arena, density_dim(p->density), sizeof(*at));
	const char *where = slice_centre(p, at);

	/* A point of a thousand dimensions takes a thousand times as long. */
	g->side = density_dim(p->density) > 200 ? 121 : g->side;
	contour_slice(g, p->density, at, p->arena);
	say(p, "No exact sampler is known.");
	say(p, arena_printf(p->arena,
		       "Contours: log ρ at 0.5, 2, 4.5 and 8 below its largest value on the slice "
		       "with the other coordinates %s.",
		       where));
}

static int draw_plane(struct drawing *p)
{
	enum { SIDE = 241, ESTIMATE = 5000 };
	const size_t dim = density_dim(p->density), n = p->n;
	const bool exact = density_target(p->density)->draw != NULL;
	/* As many as a kernel estimate needs, whatever number is shown. */
	const size_t drawn = dim > 2 && n < ESTIMATE ? ESTIMATE : n;
	struct grid g = { .side = SIDE };
	double *xy = NULL;

	density_target(p->density)->window(density_state(p->density), &g.window);
	plot_text(&p->plot, "y_title", "x2");
	if (exact)
		TRY(exact_points(p, drawn, &xy));
	if (dim == 2) {
		contour_exact(&g, p->density, p->arena);
		say(p, "Contours: the density; they hold 25, 60, 90 and 99 % of its mass in the "
		       "window.");
	} else if (exact) {
		contour_points(&g, ESTIMATE, xy, p->arena);
		say(p, arena_printf(p->arena,
			       "First two of %zu coordinates. Contours: a kernel estimate from %d "
			       "exact samples; they hold 25, 60 and 90 %% of its mass in the "
			       "window.",
			       dim, ESTIMATE));
	} else {
		make_slice(p, &g);
	}
	if (!g.density)
		return nothing_there(p);
	plot_contours(&p->plot, &g, p->arena);
	plot_block(&p->plot, "points");
	if (exact) {
		plot_points(&p->plot, n, xy);
		say_points(p, "Points", window_outside(&g.window, n, xy));
	} else {
		plot_no_point(&p->plot);
		if (dim == 2)
			say(p, "No exact sampler is known.");
	}
	return OK;
}

/* --- the picture ----------------------------------------------------------------------------- */

static void put_lines(struct drawing *p, const char *name, const char *text)
{
	enum { WIDTH = 64 }; /* characters that a picture is wide */
	const char *lines = text_wrap(text, WIDTH, "", p->arena);
	size_t n = 1;

	for (const char *c = lines; *c; c++)
		n += *c == '\n';
	plot_text(&p->plot, name, lines);
	plot_number(&p->plot, arena_printf(p->arena, "%s_lines", name), (double)n);
}

static int put_drawing(struct drawing *p)
{
	const struct target *t = density_target(p->density);
	const size_t dim = density_dim(p->density);
	const char *settings = p->options->settings;
	struct log_z z;

	density_log_z(p->density, &z);
	plot_text(&p->plot, "title", t->title);
	plot_number(&p->plot, "dim", (double)dim);
	put_lines(p, "subtitle",
		arena_printf(p->arena, "%s%s%s, %zu-D. %s", t->name, *settings ? ", " : "",
			settings, dim, log_z_text(&z, p->arena)));
	TRY(dim == 1 ? draw_line(p) : draw_plane(p));
	put_lines(p, "caption", p->caption);
	return OK;
}

enum { HISTOGRAM_POINTS = 10000, PLANE_POINTS = 1000 };

int target_draw(const struct density *d, const struct target_plot *o, const char **stem,
	struct arena *a)
{
	struct drawing p = { .density = d, .options = o, .arena = a, .n = o->n, .caption = "" };
	struct figure figure = { .name = arena_printf(a, "target-%s", density_target(d)->name),
		.script = "target.gp" };
	struct figures figures = { .n = 1, .list = &figure };
	int code;

	if (p.n == 0)
		p.n = density_dim(d) == 1 ? HISTOGRAM_POINTS : PLANE_POINTS;
	*stem = arena_printf(a, "%s/%s", o->folder, figure.name);
	TRY(folder_make(arena_printf(a, "%s/data", o->folder)));
	TRY(plot_start(&p.plot, o->folder, figure.name, a));
	code = put_drawing(&p);
	if (code != OK) {
		plot_discard(&p.plot);
		return code;
	}
	TRY(plot_finish(&p.plot));
	TRY(figures_draw(&figures, o->folder, o->folder, o->scripts, a));
	if (figures.no_gnuplot)
		return fail(ERR_UNSUP, "no picture: %s", gnuplot_missing);
	if (figure.problem)
		return fail(ERR_IO, "%s", figure.problem);
	return OK;
}
