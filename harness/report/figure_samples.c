/* Samples over contours of the target. */
#include "report/plot.h"

enum { SAMPLE_PANELS = 8, SAMPLE_POINTS = 600, EXACT_POINTS = 2000 };

struct sample_panel {
	const struct row *row; /* NULL: the exact samples */
	const char *title;
	size_t place, n;
	const double *xy;
};

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

/* The row after this one in order of steps, and among those with as many in the board's; NULL starts,
 * and ends. Rows without a step axis are left out. */
static const struct row *next_by_steps(const struct board *b, const struct row *after)
{
	const struct row *best = NULL;

	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->rows[i];
		bool later = after == NULL || row->steps > after->steps ||
			     (row->steps == after->steps && row > after);

		if (row->steps > 0 && later && (best == NULL || row->steps < best->steps))
			best = row;
	}
	return best;
}

/* The oracle, every series at its most steps with points on record, then at the fewest where there
 * is room. exact: all exact points. */
static int pick_samples(const struct board *b, struct sample_panel *panels, size_t *n,
	struct sample_panel *exact, struct arena *a)
{
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
	for (const struct row *row = NULL; (row = next_by_steps(b, row)) != NULL;)
		if (!has_panel(panels, *n, row))
			TRY(add_samples(panels, n, row, a));
	return OK;
}

int figure_samples(const struct board *b, const char *folder, struct figures *out, struct arena *a)
{
	struct sample_panel panels[SAMPLE_PANELS + 1], exact;
	const char *name = arena_printf(a, "samples-%s", b->slug);
	struct grid g;
	struct plot p;
	size_t n;

	TRY(pick_samples(b, panels, &n, &exact, a));
	if (!n)
		return OK;
	contour_board(&g, b, exact.n, exact.xy, a);
	TRY(plot_start(&p, folder, name, a));
	plot_text(&p, "title", arena_printf(a, "%s: samples", b->title));
	plot_number(&p, "panels", (double)n);
	plot_contours(&p, &g, a);
	plot_array(&p, "panel_title", n);
	plot_array(&p, "panel_place", n);
	for (size_t k = 0; k < n; k++) {
		double share = window_outside(&g.window, panels[k].n, panels[k].xy);

		plot_text(&p, plot_element("panel_title", k, a),
			share > 0.005 ? arena_printf(a, "%s\n(%.0f %% outside)", panels[k].title,
						100 * share)
				      : panels[k].title);
		plot_number(&p, plot_element("panel_place", k, a), (double)panels[k].place);
		plot_block(&p, "p%zu", k + 1);
		plot_points(&p, panels[k].n, panels[k].xy);
	}
	figures_add(out, b, "samples.gp", name,
		arena_printf(a, "%s: samples%s%s.", b->title,
			b->dim > 2 ? " (first two coordinates)" : "",
			!g.density ? ""
			: b->dim > 2
				? ", over contours of a kernel estimate from exact samples that "
				  "hold "
				  "25, 60 and 90 % of its mass in the window"
				: ", over contours of the density that hold 25, 60, 90 and 99 % of "
				  "its mass in the window"));
	return plot_finish(&p);
}
