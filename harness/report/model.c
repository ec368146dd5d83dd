#include "report/model.h"

#include "core/stats.h"
#include "report/compare.h"

#include <stdlib.h>

/* Ties of the best are what a Welch test at this level does not tell from it. */
static const double tie_level = 0.05;
/* An ELBO this many joint standard errors above log Z is flagged, unless the excess is no more than
 * rounding in single precision. */
static const double above_limit = 3, rounding = 1e-6;
/* Mass on each side outside the floor's band. */
static const double floor_tail = 0.05;
/* Half-width in standard deviations of the band that holds 90 % of a normal. */
static const double normal_90 = 1.6448536269514722;

/* And of an interval that holds 95 %. */
static const double normal_95 = 1.959963984540054;

/* The order of columns; other metrics follow by name. Headlines first. */
static const char *const column_order[] = { "sinkhorn_osds", "sinkhorn", "sinkhorn_scds",
	"mmd_osds", "mmd_u", "emc", "elbo", "eubo", "logz_rev", "logz_fwd", "delta_logz", "ess_rev",
	"ess_fwd", "lv", "pareto_k", "elbo_df", "elbo_exact", "logz_df", "logz_exact",
	"logz_unsigned", "fold_fraction", "delta_logz_df", "delta_logz_exact", "ess_df",
	"ess_exact" };

/* Weights with a Pareto k above this have no usable mean (Vehtari et al. 2024); the column of k, and
 * those that it speaks of. */
static const double heavy_limit = 0.7;
static const struct {
	const char *shape, *of;
} tails[] = { { "pareto_k", "logz_rev" }, { "pareto_k", "delta_logz" }, { "pareto_k", "ess_rev" },
	{ "pareto_k_df", "logz_df" }, { "pareto_k_df", "delta_logz_df" },
	{ "pareto_k_df", "ess_df" }, { "pareto_k_exact", "logz_exact" },
	{ "pareto_k_exact", "logz_unsigned" }, { "pareto_k_exact", "delta_logz_exact" },
	{ "pareto_k_exact", "ess_exact" } };

/* Step counts shown in tables when there are many. */
static const size_t selected_steps[] = { 1, 2, 8, 32, 128 };
enum { MANY_STEPS = 5 };

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* --- columns --------------------------------------------------------------------------------- */

static size_t column_rank(const char *name)
{
	size_t i = 0;

	while (i < COUNT(column_order) && strcmp(column_order[i], name))
		i++;
	return i;
}

static int by_column(const void *a, const void *b)
{
	const struct column *x = a, *y = b;
	size_t i = column_rank(x->name), j = column_rank(y->name);

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (i != j)
		return i < j ? -1 : 1;
	return strcmp(x->name, y->name) ? strcmp(x->name, y->name) : x->version - y->version;
}

static enum column_group group_of(const struct metric *m)
{
	if (!m)
		return GROUP_OTHER;
	if (m->needs & (NEEDS_DETFLOW | NEEDS_FLOW))
		return GROUP_DETFLOW;
	return m->needs & NEEDS_SAMPLES ? GROUP_SAMPLES : GROUP_EVIDENCE;
}

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

bool column_near_log_z(const struct column *c)
{
	return starts_with(c->name, "elbo") || starts_with(c->name, "eubo") ||
	       starts_with(c->name, "logz");
}

static bool lower_bound(const struct column *c)
{
	return starts_with(c->name, "elbo");
}

/* f NULL: none. */
static void find_floor(struct column *c, const struct floor_record *f, struct arena *a)
{
	for (size_t i = 0; f && i < f->n_values; i++) {
		const struct floor_value *v = &f->values[i];
		double *sorted = arena_alloc(a, v->n_values, sizeof(*sorted));

		if (strcmp(v->metric, c->name) || (v->version && v->version != c->version))
			continue;
		c->floor = v;
		c->floor_low = v->mean - normal_90 * v->sd;
		c->floor_high = v->q95;
		if (v->n_values) {
			memcpy(sorted, v->values, v->n_values * sizeof(*sorted));
			c->floor_low = stats_quantile(sorted, v->n_values, floor_tail);
		}
	}
}

static void add_column(struct board *b, const struct record_value *v,
	const struct metric *const *known, struct arena *a)
{
	struct column *c = &b->columns[b->n_columns];

	for (size_t i = 0; i < b->n_columns; i++)
		if (!strcmp(b->columns[i].name, v->metric) && b->columns[i].version == v->version)
			return;
	*c = (struct column){ .name = v->metric,
		.title = v->metric,
		.unit = "",
		.version = v->version,
		.better = BETTER_NONE };
	while (*known && strcmp((*known)->name, v->metric))
		known++;
	c->about = *known;
	c->group = group_of(*known);
	if (*known) {
		c->title = (*known)->title;
		c->unit = (*known)->unit;
		c->better = (*known)->better;
	}
	find_floor(c, b->floor && b->floor->n == b->n ? b->floor : NULL, a);
	b->n_columns++;
}

static void make_columns(struct board *b, const struct metric *const *known, struct arena *a)
{
	size_t room = 0;

	for (size_t i = 0; i < b->n_cells; i++)
		for (size_t k = 0; k < b->cells[i]->n_results; k++)
			room += b->cells[i]->results[k].n_values;
	b->columns = ARENA_NEW(a, room + 1, struct column);
	for (size_t i = 0; i < b->n_cells; i++)
		for (size_t k = 0; k < b->cells[i]->n_results; k++)
			for (size_t m = 0; m < b->cells[i]->results[k].n_values; m++)
				add_column(b, &b->cells[i]->results[k].values[m], known, a);
	qsort(b->columns, b->n_columns, sizeof(*b->columns), by_column);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void list_reports(struct board *b, struct arena *a)
{
	size_t room = 0, n = 0;

	for (size_t i = 0; i < b->n_cells; i++)
		for (size_t k = 0; k < b->cells[i]->n_results; k++)
			room += b->cells[i]->results[k].n_reports;
	b->reports = ARENA_NEW(a, room, const char *);
	for (size_t i = 0; i < b->n_cells; i++)
		for (size_t k = 0; k < b->cells[i]->n_results; k++)
			for (size_t j = 0; j < b->cells[i]->results[k].n_reports; j++)
				b->reports[n++] = b->cells[i]->results[k].reports[j].name;
	qsort(b->reports, n, sizeof(*b->reports), by_text);
	for (size_t i = 0; i < n; i++)
		if (i == 0 || strcmp(b->reports[i], b->reports[b->n_reports - 1]))
			b->reports[b->n_reports++] = b->reports[i];
}

const struct column *board_headline(const struct board *b)
{
	for (size_t c = 0; c < b->n_columns; c++)
		if (b->columns[c].group == GROUP_SAMPLES && b->columns[c].better == BETTER_LOWER)
			return &b->columns[c];
	for (size_t c = 0; c < b->n_columns; c++)
		if (b->columns[c].group == GROUP_EVIDENCE && b->columns[c].better == BETTER_ZERO)
			return &b->columns[c];
	return NULL;
}

/* --- series ---------------------------------------------------------------------------------- */

static bool cell_ok(const struct record *c)
{
	return !strcmp(c->state, "ok");
}

/* Not run, because the method cannot do this target: no failure. */
static bool cell_skipped(const struct record *c)
{
	return !strcmp(c->state, "skipped");
}

/* The cells that a row averages: one method with one set of options. */
static bool in_series(const struct series *s, const struct record *c)
{
	return !strcmp(s->method, c->method) && !strcmp(s->variant, c->variant);
}

static bool has_pass(const struct series *s, const struct record_result *r)
{
	return s->pass && !strcmp(s->pass, r->pass);
}

static void add_series(struct model *m, const struct record *c, const char *pass,
	const char *pass_title, struct arena *a)
{
	struct series *s = &m->series[m->n_series];

	for (size_t i = 0; i < m->n_series; i++) {
		const struct series *o = &m->series[i];

		if (in_series(o, c) && !pass == !o->pass && (!pass || !strcmp(pass, o->pass)))
			return;
	}
	*s = (struct series){ .method = c->method,
		.pass = pass,
		.variant = c->variant,
		.oracle = !strcmp(c->method, "exact") };
	if (!pass_title || !*pass_title)
		pass_title = pass ? pass : "";
	s->label = arena_printf(a, "%s%s%s%s%s%s", c->method_title, *pass_title ? " " : "",
		pass_title, *c->variant ? " [" : "", c->variant, *c->variant ? "]" : "");
	m->n_series++;
}

static int by_series(const void *a, const void *b)
{
	const struct series *x = a, *y = b;
	int order = y->oracle - x->oracle;

	if (!order)
		order = strcmp(x->method, y->method);
	if (!order)
		order = strcmp(x->variant, y->variant);
	return order ? order : strcmp(x->pass ? x->pass : "", y->pass ? y->pass : "");
}

/* A method that never gave a result anywhere still has a row that says so. */
static bool any_result(const struct records *r, const struct record *like)
{
	for (size_t i = 0; i < r->n_cells; i++) {
		const struct record *c = &r->cells[i];

		if (!strcmp(c->method, like->method) && !strcmp(c->variant, like->variant) &&
			cell_ok(c) && c->n_results)
			return true;
	}
	return false;
}

static void make_series(struct model *m, struct arena *a)
{
	const struct records *r = m->records;
	size_t room = r->n_cells;
	size_t place = 0;

	for (size_t i = 0; i < r->n_cells; i++)
		room += r->cells[i].n_results;
	m->series = ARENA_NEW(a, room, struct series);
	for (size_t i = 0; i < r->n_cells; i++) {
		const struct record *c = &r->cells[i];

		for (size_t k = 0; cell_ok(c) && k < c->n_results; k++)
			add_series(m, c, c->results[k].pass, c->results[k].pass_title, a);
		if (!cell_skipped(c) && !any_result(r, c))
			add_series(m, c, NULL, NULL, a);
	}
	qsort(m->series, m->n_series, sizeof(*m->series), by_series);
	for (size_t i = 0; i < m->n_series; i++)
		m->series[i].place = m->series[i].oracle ? 0 : ++place;
}

/* --- estimates ------------------------------------------------------------------------------- */

/* Mean and its error from within one run; how many repeats lack a number. */
struct seed_value {
	size_t repeats, missing;
	double mean, se;
};

/* The value of this column in a result; NULL when the metric was not asked for there. */
static const struct record_value *value_in(const struct record_result *r, const struct column *c)
{
	for (size_t i = 0; i < r->n_values; i++)
		if (!strcmp(r->values[i].metric, c->name) && r->values[i].version == c->version)
			return &r->values[i];
	return NULL;
}

static bool failed_in(const struct record_result *r, const struct column *c)
{
	for (size_t i = 0; i < r->n_failures; i++)
		if (!strcmp(r->failures[i].metric, c->name))
			return true;
	return false;
}

static bool in_row(const struct row *row, const struct record_result *r)
{
	return has_pass(row->series, r) && r->steps == row->steps;
}

/* Repeats of one seed: their mean, and the error of it from their own errors, or from their
 * scatter where they have none. */
static struct seed_value seed_mean(const struct record *cell, const struct row *row,
	const struct column *c, struct arena *a)
{
	struct seed_value out = { 0, 0, (double)NAN, (double)NAN };
	double *x = arena_alloc(a, cell->n_results, sizeof(*x));
	double own = 0;

	for (size_t i = 0; i < cell->n_results; i++) {
		const struct record_result *r = &cell->results[i];
		const struct record_value *v = value_in(r, c);

		if (!in_row(row, r))
			continue;
		if (v && !isnan(v->value)) {
			x[out.repeats++] = v->value;
			own += v->se * v->se;
		} else {
			out.missing += v || failed_in(r, c);
		}
	}
	if (out.repeats) {
		out.mean = stats_mean(x, out.repeats);
		out.se = isnan(own) ? stats_se(x, out.repeats) : sqrt(own) / (double)out.repeats;
	}
	return out;
}

static void estimate(struct estimate *e, const struct board *b, const struct row *row,
	const struct column *c, struct arena *a)
{
	double own = 0;

	*e = (struct estimate){ .mean = (double)NAN, .se = (double)NAN, .own_se = (double)NAN };
	e->seed_mean = arena_alloc(a, b->n_cells, sizeof(*e->seed_mean));
	for (size_t i = 0; i < b->n_cells; i++) {
		const struct record *cell = b->cells[i];
		struct seed_value v;

		if (!in_series(row->series, cell) || !cell_ok(cell))
			continue;
		v = seed_mean(cell, row, c, a);
		if (v.missing) {
			e->missing++;
		} else if (v.repeats) {
			e->seed_mean[e->seeds++] = v.mean;
			own += v.se * v.se;
		}
	}
	if (!e->seeds)
		return;
	e->mean = stats_mean(e->seed_mean, e->seeds);
	e->own_se = sqrt(own) / (double)e->seeds;
	e->se = e->seeds > 1 ? stats_se(e->seed_mean, e->seeds) : e->own_se;
}

/* --- marks ----------------------------------------------------------------------------------- */

static void mark_floor(struct estimate *e, const struct column *c)
{
	if (!c->floor || !e->seeds)
		return;
	switch (c->better) {
	case BETTER_LOWER:
		e->below_floor = e->mean < c->floor_low;
		e->within_floor = e->mean <= c->floor_high && !e->below_floor;
		break;
	case BETTER_HIGHER:
		e->below_floor = e->mean > c->floor_high;
		e->within_floor = e->mean >= c->floor_low && !e->below_floor;
		break;
	case BETTER_ZERO:
		e->within_floor = fabs(e->mean) <= fmax(fabs(c->floor_low), fabs(c->floor_high));
		break;
	case BETTER_NONE:
		break;
	}
}

/* With few seeds the scatter of their means can be small by chance: the larger of it and the runs'
 * own error counts. */
static void mark_above(struct estimate *e, const struct column *c, const struct log_z *z)
{
	const double se = fmax(e->se, e->own_se); /* the other one when one is NaN */
	const double excess = e->mean - z->value - rounding * (1 + fabs(z->value));

	if (!e->seeds || !lower_bound(c) || z->kind == LOG_Z_UNKNOWN || z->kind == LOG_Z_INFINITE)
		return;
	e->joint_se = hypot(se, z->se);
	e->above_unsure = isnan(se) && excess > above_limit * z->se;
	e->above_log_z = excess > above_limit * e->joint_se;
}

/* The mean in a row's column of that name; NaN: none. */
static double mean_named(const struct board *b, const struct row *row, const char *name)
{
	for (size_t c = 0; c < b->n_columns; c++)
		if (!strcmp(b->columns[c].name, name) && row->values[c].seeds)
			return row->values[c].mean;
	return (double)NAN;
}

/* What other columns of the row say against this one. */
static void mark_weights(struct estimate *e, const struct board *b, const struct row *row,
	const struct column *c)
{
	e->folds = !strcmp(c->name, "elbo_exact") && mean_named(b, row, "fold_fraction") > 0;
	for (size_t i = 0; i < COUNT(tails); i++)
		e->heavy_tail |= !strcmp(tails[i].of, c->name) &&
				 mean_named(b, row, tails[i].shape) > heavy_limit;
}

/* Smaller is better, whatever the direction. */
static double badness(const struct estimate *e, const struct column *c)
{
	switch (c->better) {
	case BETTER_LOWER:
		return e->mean;
	case BETTER_HIGHER:
		return -e->mean;
	case BETTER_ZERO:
		return fabs(e->mean);
	case BETTER_NONE:
		break;
	}
	return (double)NAN;
}

/* A mean over the survivors of some seeds is not comparable, nor is a bound that is none. */
static bool ranked(const struct row *row, const struct estimate *e, const struct column *c)
{
	return !row->series->oracle && row->selected && row->ok == row->total &&
	       e->seeds == row->ok && !e->missing && !e->above_log_z && !e->above_unsure &&
	       !e->below_floor && !e->folds && !e->heavy_tail && isfinite(badness(e, c));
}

/* Values of either sign are as good as their distance from 0. */
static double *towards_better(const struct estimate *e, const struct column *c, struct arena *a)
{
	const double sign = c->better == BETTER_ZERO && e->mean < 0 ? -1 : 1;
	double *x = arena_alloc(a, e->seeds, sizeof(*x));

	for (size_t i = 0; i < e->seeds; i++)
		x[i] = sign * e->seed_mean[i];
	return x;
}

static bool tied(const struct estimate *e, const struct estimate *best, const struct column *c,
	struct arena *a)
{
	const double difference = fabs(badness(e, c) - badness(best, c));
	const double joint = hypot(e->se, best->se);

	if (e->seeds > 1 && best->seeds > 1)
		return welch_p(towards_better(e, c, a), e->seeds, towards_better(best, c, a),
			       best->seeds) >= tie_level;
	return isnan(joint) ? difference == 0 : difference <= normal_95 * joint;
}

static void mark_best(struct board *b, size_t col, struct arena *a)
{
	const struct column *c = &b->columns[col];
	const struct estimate *best = NULL;
	bool beaten = false;

	for (size_t i = 0; i < b->n_rows; i++) {
		const struct estimate *e = &b->rows[i].values[col];

		if (ranked(&b->rows[i], e, c) && (!best || badness(e, c) < badness(best, c)))
			best = e;
	}
	if (!best)
		return;
	for (size_t i = 0; i < b->n_rows; i++) {
		struct estimate *e = &b->rows[i].values[col];

		if (!ranked(&b->rows[i], e, c))
			continue;
		e->best = e == best || tied(e, best, c, a);
		beaten |= !e->best;
	}
	/* What is best of nothing, or tied with all, does not stand out. */
	for (size_t i = 0; i < b->n_rows; i++)
		b->rows[i].values[col].best &= beaten;
}

/* --- rows ------------------------------------------------------------------------------------ */

/* A mean over the seeds that have the number. */
struct average {
	size_t n;
	double sum;
};

static void average_add(struct average *m, double x)
{
	if (!isnan(x)) {
		m->n++;
		m->sum += x;
	}
}

static double average_of(const struct average *m)
{
	return m->n ? m->sum / (double)m->n : (double)NAN;
}

static void row_costs(struct row *row, const struct board *b)
{
	struct average network = { 0 }, target = { 0 }, sample = { 0 }, train = { 0 };
	struct average train_network = { 0 }, train_target = { 0 };

	for (size_t i = 0; i < b->n_cells; i++) {
		const struct record *c = b->cells[i];

		if (!in_series(row->series, c) || !cell_ok(c))
			continue;
		for (size_t k = 0; k < c->n_results; k++) {
			const struct record_result *r = &c->results[k];

			if (!in_row(row, r))
				continue;
			average_add(&network, r->network_evaluations / (double)r->n);
			average_add(&target, r->target_evaluations / (double)r->n);
			average_add(&sample, r->sample_seconds);
		}
		average_add(&train, c->cost.train_seconds);
		average_add(&train_network, c->cost.train_network_evaluations);
		average_add(&train_target, c->cost.train_target_evaluations);
		row->concurrent |= c->cost.concurrent;
	}
	row->network_evaluations = average_of(&network);
	row->target_evaluations = average_of(&target);
	row->sample_seconds = average_of(&sample);
	row->train_seconds = average_of(&train);
	row->train_network_evaluations = average_of(&train_network);
	row->train_target_evaluations = average_of(&train_target);
}

static double report_mean(const struct row *row, const struct board *b, const char *name)
{
	struct average m = { 0 };

	for (size_t i = 0; i < b->n_cells; i++) {
		const struct record *c = b->cells[i];

		for (size_t k = 0; in_series(row->series, c) && cell_ok(c) && k < c->n_results; k++)
			for (size_t j = 0;
				in_row(row, &c->results[k]) && j < c->results[k].n_reports; j++)
				if (!strcmp(c->results[k].reports[j].name, name))
					average_add(&m, c->results[k].reports[j].value);
	}
	return average_of(&m);
}

static void row_seeds(struct row *row, const struct board *b)
{
	for (size_t i = 0; i < b->n_cells; i++) {
		const struct record *c = b->cells[i];
		bool gave = false;

		if (!in_series(row->series, c) || cell_skipped(c))
			continue;
		for (size_t k = 0; cell_ok(c) && k < c->n_results; k++)
			gave |= in_row(row, &c->results[k]);
		row->total++;
		row->ok += gave;
		if (gave && !row->shown)
			row->shown = c;
	}
}

static int by_steps(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->series != y->series)
		return x->series < y->series ? -1 : 1;
	return (x->steps > y->steps) - (x->steps < y->steps);
}

static void add_row(struct board *b, const struct series *s, size_t steps)
{
	for (size_t i = 0; i < b->n_rows; i++)
		if (b->rows[i].series == s && b->rows[i].steps == steps)
			return;
	b->rows[b->n_rows++] = (struct row){ .series = s, .steps = steps };
}

static bool is_selected(size_t steps)
{
	for (size_t i = 0; i < COUNT(selected_steps); i++)
		if (selected_steps[i] == steps)
			return true;
	return false;
}

bool row_drawable(const struct row *row, size_t column)
{
	return row->values[column].seeds && isfinite(row->values[column].mean);
}

bool board_row_first(const struct board *b, size_t i)
{
	return i == 0 || b->rows[i - 1].series != b->rows[i].series;
}

bool board_row_last(const struct board *b, size_t i)
{
	return i + 1 == b->n_rows || b->rows[i + 1].series != b->rows[i].series;
}

/* Many step counts: those of the list, or all when none is in it. */
static void select_rows(struct board *b, const struct series *s)
{
	size_t n = 0, listed = 0;

	for (size_t i = 0; i < b->n_rows; i++) {
		n += b->rows[i].series == s;
		listed += b->rows[i].series == s && is_selected(b->rows[i].steps);
	}
	for (size_t i = 0; i < b->n_rows; i++)
		if (b->rows[i].series == s)
			b->rows[i].selected =
				n <= MANY_STEPS || !listed || is_selected(b->rows[i].steps);
}

static void make_rows(struct board *b, const struct model *m, struct arena *a)
{
	size_t room = m->n_series;

	for (size_t i = 0; i < b->n_cells; i++)
		room += b->cells[i]->n_results;
	b->rows = ARENA_NEW(a, room, struct row);
	for (size_t s = 0; s < m->n_series; s++) {
		size_t before = b->n_rows;
		bool asked = false;

		for (size_t i = 0; i < b->n_cells; i++) {
			const struct record *c = b->cells[i];

			if (!in_series(&m->series[s], c) || cell_skipped(c))
				continue;
			asked = true;
			for (size_t k = 0; cell_ok(c) && k < c->n_results; k++)
				if (has_pass(&m->series[s], &c->results[k]))
					add_row(b, &m->series[s], c->results[k].steps);
		}
		if (asked && b->n_rows == before)
			add_row(b, &m->series[s], 0);
		select_rows(b, &m->series[s]);
	}
	qsort(b->rows, b->n_rows, sizeof(*b->rows), by_steps);
	for (size_t i = 0; i < b->n_rows; i++) {
		struct row *row = &b->rows[i];

		row_seeds(row, b);
		row_costs(row, b);
		row->reports = ARENA_NEW(a, b->n_reports, double);
		for (size_t k = 0; k < b->n_reports; k++)
			row->reports[k] = report_mean(row, b, b->reports[k]);
		row->values = ARENA_NEW(a, b->n_columns, struct estimate);
		for (size_t c = 0; c < b->n_columns; c++) {
			estimate(&row->values[c], b, row, &b->columns[c], a);
			mark_floor(&row->values[c], &b->columns[c]);
			mark_above(&row->values[c], &b->columns[c], &b->log_z);
		}
		for (size_t c = 0; c < b->n_columns; c++)
			mark_weights(&row->values[c], b, row, &b->columns[c]);
	}
	for (size_t c = 0; c < b->n_columns; c++)
		mark_best(b, c, a);
}

/* --- boards ---------------------------------------------------------------------------------- */

static char *slug_of(const struct record *c, struct arena *a)
{
	char *slug = arena_printf(a, "%s%s%s", c->target, *c->target_variant ? "-" : "",
		c->target_variant);

	for (char *p = slug; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.=",
			    *p))
			*p = '-';
	return slug;
}

/* The floor of n points, or of another number where there is none. */
static const struct floor_record *floor_of(const struct board *b, const struct records *r, size_t n)
{
	const struct floor_record *found = NULL;

	for (size_t i = 0; i < r->n_floors; i++) {
		const struct floor_record *f = &r->floors[i];

		if (!strcmp(f->target, b->target) && f->dim == b->dim &&
			settings_equal(&f->target_options, &b->first->target_options) &&
			(!found || f->n == n))
			found = f;
	}
	return found;
}

struct column column_of_points(const struct column *c, const struct model *m, const struct board *b,
	size_t n, struct arena *a)
{
	const struct floor_record *f = floor_of(b, m->records, n);
	struct column out = *c;

	out.floor = NULL;
	find_floor(&out, f && f->n == n ? f : NULL, a);
	return out;
}

static void count_points(struct board *b)
{
	bool differ = false;

	for (size_t i = 0; i < b->n_cells; i++)
		for (size_t k = 0; k < b->cells[i]->n_results; k++) {
			size_t n = b->cells[i]->results[k].n;

			differ |= b->n && n != b->n;
			b->n = n;
		}
	if (differ)
		b->n = 0;
}

/* Cells are sorted by target: a board is a run of them. */
static void make_board(struct model *m, const struct record *first, size_t n,
	const struct metric *const *known, struct arena *a)
{
	struct board *b = &m->boards[m->n_boards++];
	const struct record **cells = arena_alloc(a, n, sizeof(struct record *));

	for (size_t i = 0; i < n; i++)
		cells[i] = first + i;
	*b = (struct board){ .target = first->target,
		.dim = first->dim,
		.log_z = first->log_z,
		.first = first,
		.n_cells = n,
		.cells = cells };
	b->title =
		arena_printf(a, "%s%s%s%s", first->target_title, *first->target_variant ? " [" : "",
			first->target_variant, *first->target_variant ? "]" : "");
	b->slug = slug_of(first, a);
	count_points(b);
	/* One for another n is kept only to say so, and for its exact samples. */
	b->floor = floor_of(b, m->records, b->n);
	make_columns(b, known, a);
	list_reports(b, a);
	make_rows(b, m, a);
}

static bool same_board(const struct record *a, const struct record *b)
{
	return !strcmp(a->target, b->target) &&
	       settings_equal(&a->target_options, &b->target_options);
}

void model_make(struct model *out, const struct records *records, const struct metric *const *known,
	struct arena *a)
{
	const struct record *cells = records->cells;

	*out = (struct model){ .records = records };
	make_series(out, a);
	out->boards = ARENA_NEW(a, records->n_cells, struct board);
	for (size_t first = 0, next = 0; first < records->n_cells; first = next) {
		while (next < records->n_cells && same_board(&cells[first], &cells[next]))
			next++;
		make_board(out, &cells[first], next - first, known, a);
	}
}
