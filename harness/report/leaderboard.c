#include "report/leaderboard.h"

const char *const legend[] = {
	"Mean ± standard error over seeds (repeats averaged within a seed); in parentheses the "
	"standard error of a single run, where it is known.",
	"Bold: best of the column, or tied with it (Welch t test, 5 %; with one seed: within "
	"1.96 joint standard errors); nothing where the best is told from no other. Not ranked: "
	"estimates of log Z, published columns of the deterministic flow, the exact sampler, rows "
	"with failed seeds, ‹, ▲, △, ◇ and ▽.",
	"~: within the noise floor, between the 5 % and the 95 % quantile of what exact samples "
	"score against exact samples. The last row has the mean and the 95 % quantile of that "
	"score.",
	"‹: below the floor: too concentrated, or a heavy tail missed; not comparable.",
	"▲: a lower bound that exceeds log Z by more than 3 joint standard errors, so it is none. "
	"△: it lies above log Z, and its standard error is not known.",
	"◇: the flow folds (determinants of both signs): a bound of the log of Z times the mean "
	"multiplicity, not of log Z.",
	"▽: the weights' Pareto k exceeds 0.7: their mean and ESS are unusable.",
	"†: some seeds diverged or failed, or the metric is undefined for them; the mean is over "
	"the seeds counted.",
	"‡: timed while other cells ran; not comparable as a speed.",
	NULL,
};

/* --- cells of tables ------------------------------------------------------------------------- */

static const char *arrow(enum better better)
{
	static const char *const arrows[] = { [BETTER_LOWER] = " ↓",
		[BETTER_HIGHER] = " ↑",
		[BETTER_ZERO] = " →0",
		[BETTER_NONE] = "" };

	return arrows[better];
}

/* Two lines: name; version and direction. */
static const char *column_head(const struct column *c, struct arena *a)
{
	const char *way = arrow(c->better);

	return c->version ? arena_printf(a, "%s\nv%d%s", c->name, c->version, way)
			  : arena_printf(a, "%s%s", c->name, way);
}

static struct table_cell text_cell(const char *text)
{
	return (struct table_cell){ .text = text };
}

static struct table_cell quantity_cell(double x, struct arena *a)
{
	return (struct table_cell){ .text = quantity_text(x, a), .number = true };
}

static struct table_cell estimate_cell(const struct estimate *e, const struct row *row,
	struct arena *a)
{
	struct table_cell c = { .number = true, .bold = e->best };

	if (e->seeds)
		c.text = number_text(e->mean, e->se, e->seeds == 1, a);
	else if (e->missing)
		c.text = "nan";
	c.marks = (e->within_floor ? MARK_FLOOR : 0u) | (e->below_floor ? MARK_BELOW : 0u) |
		  (e->above_log_z ? MARK_ABOVE : 0u) | (e->above_unsure ? MARK_UNSURE : 0u) |
		  (e->folds ? MARK_FOLDS : 0u) | (e->heavy_tail ? MARK_HEAVY : 0u);
	if (e->missing) {
		c.marks |= MARK_PARTIAL;
		c.note = arena_printf(a, "%zu/%zu", e->seeds, row->ok);
	}
	return c;
}

/* Method, steps, seeds. */
enum { HEAD_COLS = 3 };

static void head_cells(struct table *t)
{
	t->head[0] = text_cell("method");
	t->head[1] = text_cell("steps");
	t->head[2] = text_cell("seeds");
	t->text_cols = 1;
}

static void row_cells(struct table_cell *cells, const struct row *row, struct arena *a)
{
	cells[0] = text_cell(row->series->label);
	cells[1] = (struct table_cell){ .number = true };
	if (row->steps)
		cells[1].text = arena_printf(a, "%zu", row->steps);
	cells[2] =
		text_cell(row->ok == row->total ? arena_printf(a, "%zu", row->total)
						: arena_printf(a, "%zu/%zu", row->ok, row->total));
	cells[2].marks = row->ok < row->total ? MARK_PARTIAL : 0;
}

static size_t rows_of(const struct board *b, const struct series *s)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_rows; i++)
		n += b->rows[i].selected && !strcmp(b->rows[i].series->method, s->method);
	return n;
}

/* A line under the oracle, and around a method with several rows. before: the row above, or NULL. */
static bool rule_between(const struct board *b, const struct row *before, const struct row *row)
{
	if (!before || !strcmp(before->series->method, row->series->method))
		return false;
	return before->series->oracle || rows_of(b, before->series) > 1 ||
	       rows_of(b, row->series) > 1;
}

/* --- tables ---------------------------------------------------------------------------------- */

/* Columns of a table: indices into the board's. */
struct pick {
	size_t n;
	size_t *column;
};

/* Columns of the name, or (name NULL) of the group. */
static void pick_columns(struct pick *p, const struct board *b, const char *name,
	enum column_group group)
{
	for (size_t c = 0; c < b->n_columns; c++)
		if (name ? !strcmp(b->columns[c].name, name) : b->columns[c].group == group)
			p->column[p->n++] = c;
}

static bool any_value(const struct row *row, const struct pick *p)
{
	for (size_t k = 0; k < p->n; k++)
		if (row->values[p->column[k]].seeds || row->values[p->column[k]].missing)
			return true;
	return false;
}

static void floor_row(struct table *t, const struct board *b, const struct pick *p, struct arena *a)
{
	struct table_cell *cells;
	bool any = false;

	for (size_t k = 0; k < p->n; k++)
		any |= b->columns[p->column[k]].floor != NULL;
	if (!any)
		return;
	cells = table_row(t);
	t->rule[t->n_rows - 1] = true;
	cells[0] = text_cell("floor: mean (q95)");
	for (size_t k = 0; k < p->n; k++) {
		const struct floor_value *f = b->columns[p->column[k]].floor;

		if (f)
			cells[HEAD_COLS + k] = (struct table_cell){
				.text = arena_printf(a, "%s (%s)",
					number_text(f->mean, (double)NAN, false, a),
					number_text(f->q95, (double)NAN, false, a)),
				.number = true
			};
	}
}

/* A fresh row of the table for this row of the board; *before is the one above it. */
static struct table_cell *next_row(struct table *t, const struct board *b,
	const struct row **before, const struct row *row, struct arena *a)
{
	struct table_cell *cells = table_row(t);

	t->rule[t->n_rows - 1] = rule_between(b, *before, row);
	*before = row;
	row_cells(cells, row, a);
	return cells;
}

/* Which rows a table shows of the selected ones that have any of its columns. */
enum rows {
	ROWS_SCORED,
	ROWS_ALL,  /* also methods that never gave a result */
	ROWS_ENDS, /* as ROWS_ALL; of a series with many steps the first, the last and the best */
};

static bool best_of_any(const struct row *row, const struct pick *p)
{
	for (size_t k = 0; k < p->n; k++)
		if (row->values[p->column[k]].best)
			return true;
	return false;
}

static bool shows(const struct board *b, size_t i, const struct pick *p, enum rows rows)
{
	const struct row *row = &b->rows[i];

	if (!row->selected || !(any_value(row, p) || (rows != ROWS_SCORED && !row->ok)))
		return false;
	return rows != ROWS_ENDS || board_row_first(b, i) || board_row_last(b, i) ||
	       best_of_any(row, p);
}

static struct table pick_table(const struct board *b, const struct pick *p, enum rows rows,
	struct arena *a)
{
	struct table t = table_new(HEAD_COLS + p->n, b->n_rows + 1, a);
	const struct row *before = NULL;

	head_cells(&t);
	for (size_t k = 0; k < p->n; k++)
		t.head[HEAD_COLS + k] = text_cell(column_head(&b->columns[p->column[k]], a));
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->rows[i];

		if (!shows(b, i, p, rows))
			continue;
		struct table_cell *cells = next_row(&t, b, &before, row, a);
		for (size_t k = 0; k < p->n; k++)
			cells[HEAD_COLS + k] = estimate_cell(&row->values[p->column[k]], row, a);
	}
	floor_row(&t, b, p, a);
	return t;
}

static bool one_seed(const struct board *b)
{
	for (size_t i = 0; i < b->n_rows; i++)
		if (b->rows[i].total > 1)
			return false;
	return true;
}

struct table leaderboard_table(const struct board *b, enum column_group group, struct arena *a)
{
	static const char *const names[GROUP_COUNT] = { "samples", "evidence",
		"evidence of the deterministic flow; _df: as published, not a bound",
		"other metrics" };
	struct pick p = { 0, arena_alloc(a, b->n_columns, sizeof(size_t)) };
	struct table t;

	pick_columns(&p, b, NULL, group);
	if (!p.n && group != GROUP_SAMPLES)
		return (struct table){ 0 };
	t = pick_table(b, &p, group == GROUP_SAMPLES ? ROWS_ALL : ROWS_SCORED, a);
	t.caption = arena_printf(a, "%s: %s", b->title, names[group]);
	if (b->n)
		t.caption = arena_printf(a, "%s; n = %zu", t.caption, b->n);
	if (one_seed(b))
		t.caption = arena_printf(a, "%s; one seed: no error bars over seeds", t.caption);
	t.label = arena_printf(a, "tab:%s-%d", b->slug, (int)group);
	return t;
}

struct table summary_table(const struct board *b, struct arena *a)
{
	static const char *const samples[] = { "sinkhorn_osds", "mmd_osds" };
	static const char *const evidence[] = { "elbo", "delta_logz", "elbo_df", "elbo_exact" };
	struct pick p = { 0, arena_alloc(a, b->n_columns, sizeof(size_t)) };
	struct table t;

	for (size_t k = 0; k < sizeof(samples) / sizeof(samples[0]); k++)
		pick_columns(&p, b, samples[k], GROUP_SAMPLES);
	if (!p.n)
		pick_columns(&p, b, NULL, GROUP_SAMPLES);
	if (!p.n)
		pick_columns(&p, b, NULL, GROUP_OTHER);
	for (size_t k = 0; k < sizeof(evidence) / sizeof(evidence[0]); k++)
		pick_columns(&p, b, evidence[k], GROUP_EVIDENCE);
	t = pick_table(b, &p, ROWS_ENDS, a);
	for (size_t k = 0; k < p.n; k++)
		t.head[HEAD_COLS + k].text = arena_printf(a, "%s%s", b->columns[p.column[k]].name,
			arrow(b->columns[p.column[k]].better));
	return t;
}

/* The row of a board; NULL: none. */
static const struct row *find_row(const struct board *b, const struct series *s, size_t steps)
{
	for (size_t i = 0; i < b->n_rows; i++)
		if (b->rows[i].series == s && b->rows[i].steps == steps)
			return &b->rows[i];
	return NULL;
}

/* Is this row one of those that the summary of some board shows? */
static bool in_overview(const struct model *m, const struct series *s, size_t steps)
{
	for (size_t k = 0; k < m->n_boards; k++) {
		const struct board *b = &m->boards[k];
		const struct column *c = board_headline(b);
		size_t column = c ? (size_t)(c - b->columns) : 0;
		const struct pick p = { 1, &column };
		const struct row *row = find_row(b, s, steps);

		if (c && row && shows(b, (size_t)(row - b->rows), &p, ROWS_ENDS))
			return true;
	}
	return false;
}

static void overview_row(struct table *t, const struct model *m, const struct series *s,
	size_t steps, struct arena *a)
{
	struct table_cell *cells = table_row(t);
	size_t col = 2;

	cells[0] = text_cell(s->label);
	cells[1] = (struct table_cell){ .number = true };
	if (steps)
		cells[1].text = arena_printf(a, "%zu", steps);
	for (size_t k = 0; k < m->n_boards; k++) {
		const struct board *b = &m->boards[k];
		const struct column *c = board_headline(b);
		const struct row *row = find_row(b, s, steps);

		if (!c)
			continue;
		if (row)
			cells[col] = estimate_cell(&row->values[c - b->columns], row, a);
		if (row && row->ok < row->total) {
			cells[col].marks |= MARK_PARTIAL;
			cells[col].note = arena_printf(a, "%zu/%zu", row->ok, row->total);
		}
		col++;
	}
}

/* The smallest step count of a series on any target that is at least `after`. */
static size_t next_steps(const struct model *m, const struct series *s, size_t after, bool *found)
{
	size_t next = 0;

	*found = false;
	for (size_t k = 0; k < m->n_boards; k++)
		for (size_t i = 0; i < m->boards[k].n_rows; i++) {
			const struct row *row = &m->boards[k].rows[i];

			if (row->series != s || row->steps < after ||
				(*found && row->steps >= next))
				continue;
			next = row->steps;
			*found = true;
		}
	return next;
}

struct table overview_table(const struct model *m, struct arena *a)
{
	size_t cols = 2, rows = 0;
	struct table t;

	for (size_t k = 0; k < m->n_boards; k++)
		rows += m->boards[k].n_rows;
	t = table_new(2 + m->n_boards, rows, a);
	t.head[0] = text_cell("method");
	t.head[1] = text_cell("steps");
	t.text_cols = 1;
	for (size_t k = 0; k < m->n_boards; k++) {
		const struct column *c = board_headline(&m->boards[k]);

		if (c)
			t.head[cols++] = text_cell(arena_printf(a, "%s\n%s%s", m->boards[k].slug,
				c->name, arrow(c->better)));
	}
	if (cols == 2)
		return t;
	t.n_cols = cols;
	for (size_t s = 0; s < m->n_series; s++) {
		bool found;

		for (size_t steps = next_steps(m, &m->series[s], 0, &found); found;
			steps = next_steps(m, &m->series[s], steps + 1, &found))
			if (in_overview(m, &m->series[s], steps))
				overview_row(&t, m, &m->series[s], steps, a);
	}
	return t;
}

struct table cost_table(const struct board *b, struct arena *a)
{
	static const char *const heads[] = { "network\nevaluations\na sample",
		"target\nevaluations\na sample", "sampling\ns", "training\ns",
		"training\nnetwork\nevaluations", "training\ntarget\nevaluations" };
	enum { N = sizeof(heads) / sizeof(heads[0]) };
	struct table t = table_new(HEAD_COLS + N, b->n_rows, a);
	const struct row *before = NULL;

	head_cells(&t);
	for (size_t k = 0; k < N; k++)
		t.head[HEAD_COLS + k] = text_cell(heads[k]);
	t.caption = arena_printf(a, "%s: cost; seconds are means over seeds", b->title);
	if (b->n)
		t.caption = arena_printf(a, "%s, sampling n = %zu", t.caption, b->n);
	t.label = arena_printf(a, "tab:%s-cost", b->slug);
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->rows[i];
		const double x[N] = { row->network_evaluations, row->target_evaluations,
			row->sample_seconds, row->train_seconds, row->train_network_evaluations,
			row->train_target_evaluations };

		if (!row->selected || !row->ok)
			continue;
		struct table_cell *cells = next_row(&t, b, &before, row, a);
		for (size_t k = 0; k < N; k++) {
			cells[HEAD_COLS + k] = quantity_cell(x[k], a);
			if (row->concurrent && (k == 2 || k == 3))
				cells[HEAD_COLS + k].marks |= MARK_SHARED;
		}
	}
	return t;
}

static bool any_report(const struct board *b, const struct row *row)
{
	bool any = false;

	for (size_t k = 0; k < b->n_reports; k++)
		any |= !isnan(row->reports[k]);
	return any;
}

struct table diagnostics_table(const struct board *b, struct arena *a)
{
	struct table t = table_new(HEAD_COLS + b->n_reports, b->n_rows, a);
	const struct row *before = NULL;

	head_cells(&t);
	for (size_t k = 0; k < b->n_reports; k++)
		t.head[HEAD_COLS + k] = text_cell(b->reports[k]);
	t.caption = arena_printf(a, "%s: diagnostics; means over seeds", b->title);
	t.label = arena_printf(a, "tab:%s-diagnostics", b->slug);
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->rows[i];

		if (!row->selected || !row->ok || !any_report(b, row))
			continue;
		struct table_cell *cells = next_row(&t, b, &before, row, a);
		for (size_t k = 0; k < b->n_reports; k++)
			cells[HEAD_COLS + k] = quantity_cell(row->reports[k], a);
	}
	return t;
}

/* The board's tables in their order; those without rows are not shown. */
enum { BOARD_TABLES = GROUP_COUNT + 2 };

static struct table board_table(const struct board *b, int i, struct arena *a)
{
	if (i < GROUP_COUNT)
		return leaderboard_table(b, (enum column_group)i, a);
	return i == GROUP_COUNT ? diagnostics_table(b, a) : cost_table(b, a);
}

/* --- words around the tables ----------------------------------------------------------------- */

/* "OSDS ODE, 8 steps" */
static const char *row_name(const struct row *row, struct arena *a)
{
	if (!row->steps)
		return row->series->label;
	return arena_printf(a, "%s, %zu step%s", row->series->label, row->steps,
		row->steps == 1 ? "" : "s");
}

static size_t above_notes(const struct board *b, const char **lines, struct arena *a)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_rows; i++)
		for (size_t c = 0; c < b->n_columns; c++) {
			const struct row *row = &b->rows[i];
			const struct estimate *e = &row->values[c];

			if (!row->selected || !e->above_log_z)
				continue;
			lines[n++] = arena_printf(a,
				"▲ %s: %s = %s exceeds log Z by %s; joint standard error %s.",
				row_name(row, a), b->columns[c].name,
				number_text(e->mean, (double)NAN, false, a),
				number_text(e->mean - b->log_z.value, (double)NAN, false, a),
				number_text(e->joint_se, (double)NAN, false, a));
		}
	return n;
}

/* A line that is not there yet; how many there are then. */
static size_t add_line(const char **lines, size_t n, const char *line)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(lines[i], line))
			return n;
	lines[n] = line;
	return n + 1;
}

static const char *method_name(const struct record *c, struct arena *a)
{
	return *c->variant ? arena_printf(a, "%s [%s]", c->method_title, c->variant)
			   : c->method_title;
}

static size_t failure_notes(const struct board *b, const char **lines, struct arena *a)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_cells; i++) {
		const struct record *c = b->cells[i];
		const char *colon = *c->message ? ": " : "";

		if (!strcmp(c->state, "ok"))
			continue;
		if (!strcmp(c->state, "skipped"))
			n = add_line(lines, n,
				arena_printf(a, "Not run: %s%s%s", method_name(c, a), colon,
					c->message));
		else
			n = add_line(lines, n,
				arena_printf(a, "† %s, seed %ld: %s%s%s", method_name(c, a),
					c->seed, c->state, colon, c->message));
	}
	return n;
}

/* One line a metric and message of a series, however many steps and seeds have it. */
static size_t metric_notes(const struct board *b, const char **lines, struct arena *a)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_cells; i++)
		for (size_t k = 0; k < b->cells[i]->n_results; k++)
			for (size_t f = 0; f < b->cells[i]->results[k].n_failures; f++) {
				const struct record *c = b->cells[i];
				const struct record_failure *x = &c->results[k].failures[f];
				const char *pass = c->results[k].pass_title;

				n = add_line(lines, n,
					arena_printf(a, "† %s%s%s: %s: %s", method_name(c, a),
						*pass ? " " : "", pass, x->metric, x->message));
			}
	return n;
}

/* Weights that are not finite, and flows without exact weights, each text once. */
static size_t weight_notes(const struct board *b, const char **lines, struct arena *a)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n_cells; i++)
		for (size_t k = 0; k < b->cells[i]->n_results; k++) {
			const struct record *c = b->cells[i];
			const struct record_result *r = &c->results[k];
			const char *who = arena_printf(a, "%s%s%s", method_name(c, a),
				*r->pass_title ? " " : "", r->pass_title);

			for (size_t j = 0; j < r->n_odd; j++)
				n = add_line(lines, n,
					arena_printf(a,
						"%s, %zu steps, seed %ld: of %zu log weights not "
						"finite: %s.",
						who, r->steps, c->seed, r->n, r->odd[j]));
			if (*r->flow_skipped)
				n = add_line(lines, n,
					arena_printf(a, "No exact evidence: %s, %zu steps: %s.",
						who, r->steps, r->flow_skipped));
		}
	return n;
}

size_t board_notes(const struct board *b, const char ***lines, struct arena *a)
{
	size_t room = b->n_rows * b->n_columns + b->n_cells + 1, n;

	for (size_t i = 0; i < b->n_cells; i++)
		for (size_t k = 0; k < b->cells[i]->n_results; k++)
			room += b->cells[i]->results[k].n_failures + b->cells[i]->results[k].n_odd +
				1;
	*lines = arena_alloc(a, room, sizeof(**lines));
	n = above_notes(b, *lines, a);
	n += failure_notes(b, *lines + n, a);
	n += metric_notes(b, *lines + n, a);
	n += weight_notes(b, *lines + n, a);
	if (b->floor && b->n && b->floor->n != b->n)
		(*lines)[n++] = arena_printf(a,
			"The noise floor on record is for n = %zu; it is left out.", b->floor->n);
	return n;
}

/* --- files ----------------------------------------------------------------------------------- */

void leaderboard_markdown(const struct board *b, FILE *out, struct arena *a)
{
	const char **notes;
	size_t n = board_notes(b, &notes, a);

	text_write(log_z_text(&b->log_z, a), FORMAT_MARKDOWN, out);
	fputs("\n\n", out);
	for (int i = 0; i < BOARD_TABLES; i++) {
		struct table t = board_table(b, i, a);

		if (!t.n_rows)
			continue;
		text_write(t.caption, FORMAT_MARKDOWN, out);
		fputs("\n\n", out);
		table_write(&t, FORMAT_MARKDOWN, out);
		fputc('\n', out);
	}
	for (size_t i = 0; i < n; i++) {
		fputs("- ", out);
		text_write(notes[i], FORMAT_MARKDOWN, out);
		fputc('\n', out);
	}
	fputs(n ? "\n" : "", out);
}

void leaderboard_latex(const struct board *b, FILE *out, struct arena *a)
{
	fputs("% Needs \\usepackage{booktabs}. $\\sim$: within the noise floor; $\\langle$: "
	      "below it, not comparable;\n% $\\triangle$: "
	      "above log Z, no bound;\n% $\\diamond$: the flow folds, no bound; $\\nabla$: Pareto "
	      "k "
	      "above 0.7, unusable;\n% $\\dagger$: failed seeds; $\\ddagger$: timed beside other "
	      "cells; bold: best or tied with it.\n",
		out);
	for (int i = 0; i < BOARD_TABLES; i++) {
		struct table t = board_table(b, i, a);

		if (t.n_rows)
			table_write(&t, FORMAT_LATEX, out);
	}
}

static void csv_number(double x, FILE *out)
{
	if (isnan(x))
		fputs(",", out);
	else
		fprintf(out, ",%.17g", x);
}

static void csv_text(const char *text, FILE *out)
{
	fputc(',', out);
	csv_field(text, out);
}

/* Empty without a step axis. */
static void csv_steps(size_t steps, FILE *out)
{
	fputc(',', out);
	if (steps)
		fprintf(out, "%zu", steps);
}

void leaderboard_csv(const struct board *b, FILE *out, struct arena *a)
{
	(void)a;
	fputs("target,method,variant,pass,steps,seeds_ok,seeds,metric,version,unit,n,seeds_used,"
	      "mean,"
	      "se,se_from,best,within_floor,below_floor,above_log_z,floor_mean,floor_q95,log_z\n",
		out);
	for (size_t i = 0; i < b->n_rows; i++)
		for (size_t c = 0; c < b->n_columns; c++) {
			const struct row *row = &b->rows[i];
			const struct estimate *e = &row->values[c];
			const struct column *col = &b->columns[c];

			if (!e->seeds && !e->missing)
				continue;
			csv_field(b->slug, out);
			csv_text(row->series->method, out);
			csv_text(row->series->variant, out);
			csv_text(row->series->pass ? row->series->pass : "", out);
			csv_steps(row->steps, out);
			fprintf(out, ",%zu,%zu", row->ok, row->total);
			csv_text(col->name, out);
			fprintf(out, ",%d", col->version);
			csv_text(col->unit, out);
			fprintf(out, ",%zu,%zu", b->n, e->seeds);
			csv_number(e->mean, out);
			csv_number(e->se, out);
			csv_text(isnan(e->se) ? "" : e->seeds > 1 ? "seeds" : "run", out);
			fprintf(out, ",%d,%d,%d,%s", e->best, e->within_floor, e->below_floor,
				e->above_unsure  ? "?"
				: e->above_log_z ? "1"
						 : "0");
			csv_number(col->floor ? col->floor->mean : (double)NAN, out);
			csv_number(col->floor ? col->floor->q95 : (double)NAN, out);
			csv_number(b->log_z.value, out);
			fputc('\n', out);
		}
}

/* "key=value;..." */
static const char *settings_text(const struct settings *s, struct arena *a)
{
	const char *text = "";

	for (size_t i = 0; i < s->n; i++)
		text = arena_printf(a, "%s%s%s=%s", text, i ? ";" : "", s->list[i].key,
			s->list[i].value);
	return text;
}

static void long_row(const struct record *c, const char *options, const struct record_result *r,
	const char *metric, int version, double value, double se, FILE *out)
{
	csv_field(c->target, out);
	fputc(',', out);
	csv_field(options, out);
	fprintf(out, ",%zu", c->dim);
	csv_text(c->method, out);
	csv_text(c->variant, out);
	csv_text(c->key, out);
	fprintf(out, ",%ld", c->seed);
	csv_text(c->state, out);
	if (r) {
		csv_text(r->pass, out);
		csv_steps(r->steps, out);
		fprintf(out, ",%zu,%zu", r->repeat, r->n);
		csv_text(metric, out);
		fprintf(out, ",%d,%.17g", version, value);
		csv_number(se, out);
	} else {
		fputs(",,,,,,,,", out);
	}
	fputc('\n', out);
}

void long_csv(const struct records *r, FILE *out, struct arena *a)
{
	fputs("target,target_options,dim,method,variant,key,seed,state,pass,steps,repeat,n,metric,"
	      "version,value,se\n",
		out);
	for (size_t i = 0; i < r->n_cells; i++) {
		const struct record *c = &r->cells[i];
		const char *options = settings_text(&c->target_options, a);

		if (!c->n_results)
			long_row(c, options, NULL, NULL, 0, (double)NAN, (double)NAN, out);
		for (size_t k = 0; k < c->n_results; k++) {
			const struct record_result *s = &c->results[k];
			const struct {
				const char *name;
				double value;
			} costs[] = { { "network_evaluations", s->network_evaluations },
				{ "target_evaluations", s->target_evaluations },
				{ "sample_seconds", s->sample_seconds },
				{ "train_seconds", c->cost.train_seconds } };

			for (size_t m = 0; m < s->n_values; m++)
				long_row(c, options, s, s->values[m].metric, s->values[m].version,
					s->values[m].value, s->values[m].se, out);
			for (size_t m = 0; m < sizeof(costs) / sizeof(costs[0]); m++)
				if (!isnan(costs[m].value))
					long_row(c, options, s, costs[m].name, 0, costs[m].value,
						(double)NAN, out);
			for (size_t m = 0; m < s->n_reports; m++)
				long_row(c, options, s, s->reports[m].name, 0, s->reports[m].value,
					(double)NAN, out);
		}
	}
}
