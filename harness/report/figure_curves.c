/* Training curves. */
#include "report/plot.h"

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
			plot_block(p, "p%zu s%zu curve", panel + 1, ++n);
			for (size_t j = 0; j < c->n; j++) {
				if (isfinite(c->value[j]))
					fprintf(p->dat.stream, "%.9g %.9g\n", c->iteration[j],
						c->value[j]);
				span_add(y, c->value[j]);
				*last = fmax(*last, c->iteration[j]);
			}
			plot_no_point(p);
		}
	return n;
}

int figure_curves(const struct model *m, const struct board *b, const char *folder,
	struct figures *out, struct arena *a)
{
	struct curve_panel panels[PANELS_MAX];
	const size_t n = curve_panels(b, panels);
	const char *name = arena_printf(a, "curves-%s", b->slug);
	struct plot p;

	if (!n)
		return OK;
	TRY(plot_start(&p, folder, name, a));
	plot_text(&p, "title", arena_printf(a, "%s: training", b->title));
	plot_axes(&p, n);
	plot_array(&p, "panel_place", n);
	plot_array(&p, "panel_seeds", n);
	plot_array(&p, "panel_last", n);
	for (size_t k = 0; k < n; k++) {
		size_t room = 1;
		double last = 1;
		struct span y;

		for (size_t i = 0; i < b->n_cells; i++)
			for (size_t j = 0; j < b->cells[i]->n_curves; j++)
				room += b->cells[i]->curves[j].n;
		y = (struct span){ 0, arena_alloc(a, room, sizeof(double)) };
		plot_number(&p, plot_element("panel_place", k, a),
			(double)method_place(m, panels[k].like));
		plot_text(&p, plot_element("panel_title", k, a),
			plot_wrapped(arena_printf(a, "%s%s%s: %s", panels[k].like->method_title,
					     *panels[k].like->variant ? " " : "",
					     panels[k].like->variant, panels[k].name),
				a));
		plot_number(&p, plot_element("panel_seeds", k, a),
			(double)put_curves(&p, b, k, &panels[k], &y, &last));
		plot_number(&p, plot_element("panel_last", k, a), last + 1);
		plot_axis(&p, k, &y, true, a);
	}
	figures_add(out, b, "curves.gp", name,
		arena_printf(a, "%s: training curves, one line a seed.", b->title));
	return plot_finish(&p);
}
