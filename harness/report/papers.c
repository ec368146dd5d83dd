#include "report/papers.h"

#include "core/csv.h"
#include "core/error.h"
#include "core/stats.h"

#include <ctype.h>
#include <errno.h>
#include <gsl/gsl_cdf.h>
#include <stdlib.h>
#include <unistd.h>

/* Of fewer seeds a spread says nothing; numbers within this factor are then taken for equal. */
enum { SEEDS_FOR_SPREAD = 3 };
static const double factor = 1.25, own_errors = 2, confidence = 0.95;

const char *const papers_rules[] = {
	"agrees: of three seeds or more, the published number lies in the interval that holds a "
	"further seed of ours with 95 % (Student's t, and twice the published deviation where "
	"there is one); of fewer seeds, the two are within a factor of 1.25 (log Z and its bounds: "
	"log 1.25 = 0.22 nats) or two standard errors of the run; or both are within the noise "
	"floor.",
	"definition differs: the published quantity is not the metric; the reason says how. No "
	"verdict on the number.",
	"shortened: fewer iterations or samples than published; other settings: another "
	"difference. Neither is a verdict.",
	"differs: none of these. A reason is given where one is known.", NULL
};

/* --- reading --------------------------------------------------------------------------------- */

enum { KEY_KIND, KEY_NAME, KEY_TEXT, KEY_COLUMNS };

struct keys {
	struct csv table;
	size_t column[KEY_COLUMNS];
};

static const char *field(const struct csv *t, size_t row, size_t column)
{
	return t->cell[row * t->cols + column];
}

static int read_table(struct csv *t, const char *path, const char *const *names, size_t *columns,
	struct arena *a)
{
	TRY(csv_read_text(t, path, a));
	return csv_columns(t, names, columns);
}

static int bad_field(const struct csv *t, size_t row, const char *what, const char *text,
	const char *right)
{
	return fail(ERR_PARSE, "%s:%zu: %s \"%s\"; %s", t->path, t->line[row], what, text, right);
}

/* The words of the keys, which blanks part; "" of none. */
static int words_of(const struct keys *k, const struct csv *t, size_t row, const char *kind,
	const char *keys, const char **out, struct arena *a)
{
	char *rest = arena_strdup(a, keys);

	*out = "";
	for (char *key; (key = strsep(&rest, " ")) != NULL;) {
		size_t i = 0;
		if (!*key)
			continue;
		while (i < k->table.rows &&
			(strcmp(field(&k->table, i, k->column[KEY_KIND]), kind) ||
				strcmp(field(&k->table, i, k->column[KEY_NAME]), key)))
			i++;
		if (i == k->table.rows)
			return bad_field(t, row, kind, key, "keys.csv has no such key");
		*out = arena_printf(a, "%s%s%s", *out, **out ? "; " : "",
			field(&k->table, i, k->column[KEY_TEXT]));
	}
	return OK;
}

/* A number, or NaN for an empty field where that may be. */
static int number_of(const struct csv *t, size_t row, const char *name, const char *text,
	bool optional, double *out)
{
	char *end;

	*out = (double)NAN;
	if (optional && !*text)
		return OK;
	*out = strtod(text, &end);
	if (end == text || *end || !isfinite(*out))
		return bad_field(t, row, name, text, "it takes a number");
	return OK;
}

static int count_of(const struct csv *t, size_t row, const char *name, const char *text,
	size_t *out)
{
	double x;

	TRY(number_of(t, row, name, text, true, &x));
	if (!isnan(x) && !(x >= 1 && x == floor(x) && x < 1e9))
		return bad_field(t, row, name, text, "it takes a count from 1");
	*out = isnan(x) ? 0 : (size_t)x;
	return OK;
}

/* "|metric|" is the metric's absolute value. */
static void split_metric(struct published *p, struct arena *a)
{
	size_t n = strlen(p->metric_id);

	p->absolute = n > 2 && p->metric_id[0] == '|' && p->metric_id[n - 1] == '|';
	if (p->absolute)
		p->metric_id = arena_printf(a, "%.*s", (int)n - 2, p->metric_id + 1);
}

enum {
	P_SOURCE,
	P_PLACE,
	P_METHOD,
	P_STEPS,
	P_VALUE,
	P_STD,
	P_ID_TARGET,
	P_ID_METHOD,
	P_ID_PASS,
	P_ID_STEPS,
	P_ID_METRIC,
	P_SAMPLES,
	P_CONDITIONS,
	P_CAVEAT,
	P_REMARK,
	P_COLUMNS
};

static int read_published(struct published *p, const struct csv *t, size_t row,
	const size_t *column, const struct keys *k, struct arena *a)
{
	const char *text[P_COLUMNS];

	for (size_t i = 0; i < P_COLUMNS; i++)
		text[i] = field(t, row, column[i]);
	*p = (struct published){ .place = text[P_PLACE],
		.method = text[P_METHOD],
		.target_id = text[P_ID_TARGET],
		.method_id = text[P_ID_METHOD],
		.pass_id = text[P_ID_PASS],
		.metric_id = text[P_ID_METRIC],
		.printed = text[P_VALUE] };
	TRY(words_of(k, t, row, "source", text[P_SOURCE], &p->source, a));
	TRY(words_of(k, t, row, "conditions", text[P_CONDITIONS], &p->conditions, a));
	TRY(words_of(k, t, row, "caveat", text[P_CAVEAT], &p->caveat, a));
	TRY(words_of(k, t, row, "remark", text[P_REMARK], &p->remark, a));
	TRY(number_of(t, row, "value", text[P_VALUE], false, &p->value));
	TRY(number_of(t, row, "std", text[P_STD], true, &p->std));
	TRY(count_of(t, row, "steps", text[P_STEPS], &p->printed_steps));
	TRY(count_of(t, row, "id_steps", text[P_ID_STEPS], &p->steps));
	TRY(count_of(t, row, "samples", text[P_SAMPLES], &p->samples));
	p->steps = p->steps ? p->steps : p->printed_steps;
	split_metric(p, a);
	return OK;
}

static bool comparable(const struct published *p)
{
	return *p->conditions && p->steps && *p->target_id && *p->method_id && *p->metric_id;
}

static int read_notes(struct papers *out, const char *path, struct arena *a)
{
	static const char *const names[] = { "target", "method", "steps", "metric", "reason",
		NULL };
	struct csv t;
	size_t column[5];

	if (access(path, F_OK))
		return OK;
	TRY(read_table(&t, path, names, column, a));
	out->notes = ARENA_NEW(a, t.rows, struct papers_note);
	out->n_notes = t.rows;
	for (size_t i = 0; i < t.rows; i++)
		out->notes[i] = (struct papers_note){ field(&t, i, column[0]),
			field(&t, i, column[1]), field(&t, i, column[2]), field(&t, i, column[3]),
			field(&t, i, column[4]) };
	return OK;
}

int papers_read(struct papers *out, const char *published, const char *notes, struct arena *a)
{
	static const char *const names[] = { "source", "place", "method", "steps", "value", "std",
		"id_target", "id_method", "id_pass", "id_steps", "id_metric", "samples",
		"conditions", "caveat", "remark", NULL };
	static const char *const key_names[] = { "kind", "key", "text", NULL };
	const char *slash = strrchr(published, '/');
	struct keys k;
	struct csv t;
	size_t column[P_COLUMNS];

	*out = (struct papers){ 0 };
	TRY(read_table(&k.table,
		arena_printf(a, "%.*skeys.csv", slash ? (int)(slash - published + 1) : 0,
			published),
		key_names, k.column, a));
	TRY(read_table(&t, published, names, column, a));
	out->rows = ARENA_NEW(a, t.rows, struct published);
	for (size_t i = 0; i < t.rows; i++) {
		TRY(read_published(&out->rows[out->n], &t, i, column, &k, a));
		out->n += comparable(&out->rows[out->n]);
	}
	return read_notes(out, notes, a);
}

/* --- conditions ------------------------------------------------------------------------------ */

/* Equal as numbers, or else as texts. */
static bool same_value(const char *a, const char *b, double *x, double *y)
{
	char *end_a, *end_b;

	*x = strtod(a, &end_a);
	*y = strtod(b, &end_b);
	if (end_a == a || *end_a || end_b == b || *end_b) {
		*x = *y = (double)NAN;
		return !strcmp(a, b);
	}
	return *x == *y;
}

static const char *option_of(const struct record *r, const char *key)
{
	for (size_t i = 0; i < r->options.n; i++)
		if (!strcmp(r->options.list[i].key, key))
			return r->options.list[i].value;
	return NULL;
}

/* How a record stands to the conditions of a published number. */
struct standing {
	bool another_preset, shorter, other;
	const char *differences; /* "iterations is 400, published with 20000; ..." */
};

static void note_difference(struct standing *s, bool shorter, const char *key, const char *have,
	const char *wanted, struct arena *a)
{
	s->shorter |= shorter;
	s->other |= !shorter;
	s->differences = arena_printf(a, "%s%s%s is %s, published with %s", s->differences,
		*s->differences ? "; " : "", key, have, wanted);
}

static struct standing standing_of(const struct record *r, const struct published *q,
	struct arena *a)
{
	struct standing s = { .differences = "" };
	char *rest = arena_strdup(a, q->conditions);

	for (char *key; (key = strsep(&rest, ";")) != NULL;) {
		char *wanted = strchr(key, '=');
		const char *have;
		double x, y;

		if (!wanted)
			continue;
		*wanted++ = '\0';
		have = option_of(r, key);
		if (have && same_value(have, wanted, &x, &y))
			continue;
		s.another_preset |= !strcmp(key, "preset");
		note_difference(&s, have && x < y && !strcmp(key, "iterations"), key,
			have ? have : "not an option", wanted, a);
	}
	/* A cell without results says so itself. */
	if (q->samples && r->n_results && r->results[0].n != q->samples)
		note_difference(&s, r->results[0].n < q->samples, "samples",
			arena_printf(a, "%zu", r->results[0].n), arena_printf(a, "%zu", q->samples),
			a);
	return s;
}

/* --- verdicts -------------------------------------------------------------------------------- */

const char *verdict_text(enum verdict v)
{
	static const char *const texts[VERDICTS] = { "agrees", "differs", "definition differs",
		"shortened", "other settings", "no number" };

	return texts[v];
}

static bool is_log(const struct compared *c)
{
	return column_near_log_z(c->column);
}

static bool in_floor(const struct column *c, double x)
{
	return c->floor && x >= c->floor_low && x <= c->floor_high;
}

/* Half the width of the interval that holds one more seed with this confidence. */
static double further_seed(const double *x, size_t n)
{
	const double t = gsl_cdf_tdist_Pinv((1 + confidence) / 2, (double)(n - 1));

	return t * sqrt(stats_variance(x, n) * (1 + 1 / (double)n));
}

static bool agrees(const struct compared *c, const double *seeds, size_t n)
{
	const double ours = c->mean, theirs = c->published->value;
	const double deviation = isnan(c->published->std) ? 0 : own_errors * c->published->std;
	const double gap = fabs(ours - theirs);

	if (in_floor(c->column, ours) && in_floor(c->column, theirs))
		return true;
	if (n >= SEEDS_FOR_SPREAD)
		return gap <= hypot(further_seed(seeds, n), deviation);
	if (gap <= hypot(isnan(c->se) ? 0 : own_errors * c->se, deviation))
		return true;
	if (is_log(c))
		return gap <= log(factor);
	return ours > 0 && theirs > 0 && fmax(ours / theirs, theirs / ours) <= factor;
}

static const char *add_reason(const char *reasons, const char *reason, struct arena *a)
{
	if (!*reason)
		return reasons;
	return *reasons ? arena_printf(a, "%s; %s", reasons, reason) : reason;
}

static bool any_or(const char *wanted, const char *have)
{
	return !*wanted || !strcmp(wanted, have);
}

static void add_reasons(struct compared *c, const struct papers *p, const char *first,
	struct arena *a)
{
	const struct published *q = c->published;
	const char *steps = arena_printf(a, "%zu", q->steps);

	c->reasons = add_reason("", first, a);
	if (*q->caveat && c->verdict != VERDICT_DEFINITION)
		c->reasons = add_reason(c->reasons, q->caveat, a);
	c->reasons = add_reason(c->reasons, q->remark, a);
	if (c->column && c->column->floor && c->column->better == BETTER_LOWER && !q->absolute &&
		q->value < c->column->floor_low)
		c->reasons = add_reason(c->reasons,
			arena_printf(a,
				"the published number is below what %zu exact samples score, %s to "
				"%s",
				c->points, quantity_text(c->column->floor_low, a),
				quantity_text(c->column->floor_high, a)),
			a);
	for (size_t i = 0; i < p->n_notes; i++) {
		const struct papers_note *n = &p->notes[i];

		if (any_or(n->target, q->target_id) && any_or(n->method, q->method_id) &&
			any_or(n->steps, steps) && any_or(n->metric, q->metric_id))
			c->reasons = add_reason(c->reasons, n->reason, a);
	}
}

/* --- matching -------------------------------------------------------------------------------- */

/* The column with a number in this row, the newest version. */
static size_t column_of(const struct board *b, const struct row *row, const char *metric)
{
	size_t found = b->n_columns;

	for (size_t i = 0; i < b->n_columns; i++)
		if (!strcmp(b->columns[i].name, metric) &&
			(found == b->n_columns || row->values[i].seeds))
			found = i;
	return found;
}

static void judge(struct compared *c, const struct row *row, const struct model *m,
	const struct papers *p, struct arena *a)
{
	const struct published *q = c->published;
	const size_t column = column_of(c->board, row, q->metric_id);
	const struct standing s = standing_of(row->shown, q, a);
	struct column *found = ARENA_NEW(a, 1, struct column);
	const char *first = "";
	double *seeds;

	c->mean = c->se = (double)NAN;
	c->verdict = VERDICT_NONE;
	if (column < c->board->n_columns) {
		const struct estimate *e = &row->values[column];

		c->points = row->shown->results[0].n;
		*found = column_of_points(&c->board->columns[column], m, c->board, c->points, a);
		c->column = found;
		if (e->seeds) {
			c->estimate = e;
			seeds = arena_alloc(a, e->seeds, sizeof(*seeds));
			for (size_t i = 0; i < e->seeds; i++)
				seeds[i] = q->absolute ? fabs(e->seed_mean[i]) : e->seed_mean[i];
			c->mean = stats_mean(seeds, e->seeds);
			c->one_run = e->seeds == 1;
			c->se = c->one_run ? e->own_se : stats_se(seeds, e->seeds);
			c->verdict = agrees(c, seeds, e->seeds) ? VERDICT_AGREES : VERDICT_DIFFERS;
		}
	}
	if (*q->caveat) {
		c->verdict = VERDICT_DEFINITION;
		first = q->caveat;
	}
	if (s.shorter || s.other) {
		c->verdict = s.other ? VERDICT_SETTINGS : VERDICT_SHORTENED;
		first = s.differences;
	}
	add_reasons(c, p, first, a);
}

/* "DIS SDE": the series' label without what tells it from others here. */
static const char *label_of(const struct row *row, struct arena *a)
{
	const struct record *r = row->shown;

	for (size_t i = 0; i < r->n_results; i++)
		if (!strcmp(r->results[i].pass, row->series->pass) && r->results[i].pass_title &&
			*r->results[i].pass_title)
			return arena_printf(a, "%s %s", r->method_title, r->results[i].pass_title);
	return r->method_title;
}

static void add_row(struct comparison *out, const struct model *m, const struct board *b,
	const struct row *row, const struct published *q, const struct papers *p, struct arena *a)
{
	struct compared *c = &out->list[out->n++];

	*c = (struct compared){ .published = q, .board = b, .label = label_of(row, a) };
	judge(c, row, m, p, a);
}

/* A method that was run and has no such row: it diverged, or was not asked. */
static void add_cell(struct comparison *out, const struct board *b, const struct record *r,
	const struct published *q, const struct papers *p, struct arena *a)
{
	struct compared *c = &out->list[out->n++];
	const bool ok = !strcmp(r->state, "ok");

	*c = (struct compared){ .published = q,
		.board = b,
		.label = r->method_title,
		.verdict = VERDICT_NONE,
		.mean = (double)NAN,
		.se = (double)NAN };
	add_reasons(c, p,
		ok ? "this was not asked for"
		   : arena_printf(a, "%s%s%s", r->state, r->message ? ": " : "",
			     r->message ? r->message : ""),
		a);
}

static bool same_preset(const struct record *r, const struct published *q, struct arena *a)
{
	return !standing_of(r, q, a).another_preset;
}

static bool judged(const struct compared *c)
{
	return c->verdict != VERDICT_SHORTENED && c->verdict != VERDICT_SETTINGS;
}

/* Which of two rows of a published number says more: 1 the first, -1 the second, 0 neither. One with the
 * paper's settings; of those one with a number, then one of more points. */
static int says_more(const struct compared *x, const struct compared *y)
{
	const int settings = judged(x) - judged(y), number = !!x->estimate - !!y->estimate;

	if (settings)
		return settings;
	if (!judged(x))
		return 0;
	if (number)
		return number;
	return (x->points > y->points) - (x->points < y->points);
}

/* Rows of which no other says more. */
static void keep_best(struct comparison *out, size_t first, struct arena *a)
{
	bool *best = ARENA_NEW(a, out->n + 1, bool);
	size_t n = first;

	for (size_t i = first; i < out->n; i++) {
		best[i] = true;
		for (size_t k = first; k < out->n; k++)
			best[i] = best[i] && says_more(&out->list[k], &out->list[i]) <= 0;
	}
	for (size_t i = first; i < out->n; i++)
		if (best[i])
			out->list[n++] = out->list[i];
	out->n = n;
}

static void compare_board(struct comparison *out, const struct model *m, const struct board *b,
	const struct published *q, const struct papers *p, struct arena *a)
{
	const size_t before = out->n;

	for (size_t i = 0; i < b->n_rows; i++) {
		const struct row *row = &b->rows[i];
		const struct series *s = row->series;

		if (row->shown && s->pass && !strcmp(s->method, q->method_id) &&
			!strcmp(s->pass, q->pass_id) && row->steps == q->steps &&
			same_preset(row->shown, q, a))
			add_row(out, m, b, row, q, p, a);
	}
	keep_best(out, before, a);
	for (size_t i = 0; out->n == before && i < b->n_cells; i++) {
		const struct record *r = b->cells[i];

		if (!strcmp(r->method, q->method_id) && strcmp(r->state, "skipped") &&
			same_preset(r, q, a))
			add_cell(out, b, r, q, p, a);
	}
}

void papers_compare(struct comparison *out, const struct model *m, const struct papers *p,
	struct arena *a)
{
	size_t room = 0;

	for (size_t i = 0; i < m->n_boards; i++)
		room += m->boards[i].n_rows + 1;
	*out = (struct comparison){ .list = ARENA_NEW(a, room * p->n + 1, struct compared) };
	for (size_t k = 0; k < p->n; k++)
		for (size_t i = 0; i < m->n_boards; i++)
			if (!strcmp(m->boards[i].target, p->rows[k].target_id))
				compare_board(out, m, &m->boards[i], &p->rows[k], p, a);
}

/* --- showing --------------------------------------------------------------------------------- */

/* Ours over theirs; of logarithms, ours less theirs. */
static const char *ratio_text(const struct compared *c, struct arena *a)
{
	if (!c->estimate)
		return NULL;
	if (is_log(c))
		return arena_printf(a, "%+.3g nats", c->mean - c->published->value);
	return quantity_text(c->mean / c->published->value, a);
}

static const char *published_text(const struct published *p, struct arena *a)
{
	return isnan(p->std) ? p->printed : arena_printf(a, "%s ± %g", p->printed, p->std);
}

static const char *steps_text(const struct published *p, struct arena *a)
{
	if (p->steps == p->printed_steps)
		return arena_printf(a, "%zu", p->steps);
	return arena_printf(a, "%zu (%zu)", p->steps, p->printed_steps);
}

static const char *metric_text(const struct published *p, struct arena *a)
{
	return p->absolute ? arena_printf(a, "|%s|", p->metric_id) : p->metric_id;
}

/* The number of this reason among the lines. */
static const char *line_number(const char *reason, const char **lines, size_t *n, struct arena *a)
{
	const size_t width = strlen(reason);

	for (size_t i = 0; i < *n; i++) {
		const size_t length = strlen(lines[i]);

		if (length > width && !strcmp(lines[i] + length - width, reason) &&
			!strncmp(lines[i] + length - width - 2, "] ", 2))
			return arena_printf(a, "[%zu]", i + 1);
	}
	lines[*n] = arena_printf(a, "[%zu] %s", *n + 1, reason);
	(*n)++;
	return arena_printf(a, "[%zu]", *n);
}

static bool same_place(const struct published *a, const struct published *b)
{
	return !strcmp(a->source, b->source) && !strcmp(a->place, b->place);
}

/* Of distances: is ours among what exact samples score, or below? */
static unsigned floor_marks(const struct compared *c)
{
	if (!c->column->floor || c->column->better != BETTER_LOWER)
		return 0;
	return c->mean < c->column->floor_low ? MARK_BELOW
	       : in_floor(c->column, c->mean) ? MARK_FLOOR
					      : 0;
}

struct table papers_table(const struct comparison *c, size_t first, size_t *next,
	const char **lines, size_t *n_lines, struct arena *a)
{
	static const char *const heads[] = { "target", "method", "metric", "verdict", "steps",
		"ours", "published", "ratio" };
	enum { N = sizeof(heads) / sizeof(heads[0]) };
	struct table t = table_new(N, c->n, a);
	const struct published *place = c->list[first].published;

	t.text_cols = 4;
	t.caption = arena_printf(a, "%s, %s", place->source, place->place);
	for (size_t k = 0; k < N; k++)
		t.head[k].text = heads[k];
	for (*next = first; *next < c->n && same_place(c->list[*next].published, place); ++*next) {
		const struct compared *x = &c->list[*next];
		struct table_cell *cells = table_row(&t);

		t.rule[t.n_rows - 1] = *next > first && c->list[*next - 1].board != x->board;
		cells[0].text = x->board->slug;
		cells[1].text = x->label;
		cells[2].text = metric_text(x->published, a);
		cells[3].text = verdict_text(x->verdict);
		if (*x->reasons)
			cells[3].note = line_number(x->reasons, lines, n_lines, a);
		cells[4].text = steps_text(x->published, a);
		if (x->estimate) {
			cells[5].text = number_text(x->mean, x->se, x->one_run, a);
			cells[5].marks = floor_marks(x) |
					 (x->estimate->above_log_z ? MARK_ABOVE : 0u) |
					 (x->estimate->folds ? MARK_FOLDS : 0u) |
					 (x->estimate->heavy_tail ? MARK_HEAVY : 0u) |
					 (x->estimate->missing ? MARK_PARTIAL : 0u);
		}
		cells[6].text = published_text(x->published, a);
		cells[7].text = ratio_text(x, a);
		for (size_t k = 4; k < N; k++)
			cells[k].number = true;
	}
	return t;
}

const char *papers_count(const struct comparison *c, struct arena *a)
{
	const char *text = arena_printf(a, "%zu number%s:", c->n, c->n == 1 ? "" : "s");
	bool any = false;

	for (int v = 0; v < VERDICTS; v++) {
		size_t n = 0;

		for (size_t i = 0; i < c->n; i++)
			n += c->list[i].verdict == (enum verdict)v;
		if (n) {
			text = arena_printf(a, "%s%s %zu %s", text, any ? "," : "", n,
				verdict_text((enum verdict)v));
			any = true;
		}
	}
	return arena_printf(a, "%s.", text);
}

static void csv_number(double x, FILE *out)
{
	if (isnan(x))
		fputs(",", out);
	else
		fprintf(out, ",%.17g", x);
}

void papers_csv(const struct comparison *c, FILE *out)
{
	fputs("source,place,target,method,pass,steps,metric,verdict,ours,se,seeds,published,std,"
	      "reasons\n",
		out);
	for (size_t i = 0; i < c->n; i++) {
		const struct compared *x = &c->list[i];
		const struct published *p = x->published;
		const char *const texts[] = { p->source, p->place, x->board->slug, p->method_id,
			p->pass_id };

		for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
			csv_field(texts[k], out);
			fputc(',', out);
		}
		fprintf(out, "%zu,%s%s%s,%s", p->steps, p->absolute ? "|" : "", p->metric_id,
			p->absolute ? "|" : "", verdict_text(x->verdict));
		csv_number(x->mean, out);
		csv_number(x->se, out);
		fprintf(out, ",%zu", x->estimate ? x->estimate->seeds : 0);
		csv_number(p->value, out);
		csv_number(p->std, out);
		fputc(',', out);
		csv_field(x->reasons, out);
		fputc('\n', out);
	}
}
