#include "cli/verdicts.h"
#include "cli/cli.h"
#include "report/table.h"
#include "run/progress.h"
#include "run/record.h"

/* Who waits longer sees what is going on. */
static const double patience_seconds = 2;

/* All pairs of more points than these take from a second (energy) to minutes (the transport plans), and
 * 2500 times that of a million: who wants them says so. */
enum { PAIRS_OF_MAX = 20000 };

int verdicts_choose(struct verdicts *out, const char *list, bool weighing, struct arena *a)
{
	size_t all = 0;

	while (metrics[all] != NULL)
		all++;
	*out = (struct verdicts){ .of = ARENA_NEW(a, all, struct verdict), .only = list };
	if (list == NULL) {
		for (size_t i = 0; i < all; i++)
			if (scoring_weighs(metrics[i]) == weighing)
				out->of[out->n++].metric = metrics[i];
		return OK;
	}
	char *rest = arena_strdup(a, list), *name;
	while ((name = strsep(&rest, ",")) != NULL) {
		const struct metric *m = metric_find(name);
		bool twice = false;
		if (m == NULL)
			return error_at("--metrics");
		for (size_t i = 0; i < out->n; i++)
			twice = twice || out->of[i].metric == m;
		if (!twice)
			out->of[out->n++].metric = m;
	}
	return OK;
}

/* What the metric needs and does not have; time is one of it where nobody asked for this metric. */
static const char *lacks_of(const struct verdicts *v, const struct metric *m,
	const struct scored *in, struct arena *a)
{
	const char *lacks = scoring_lacks(m, in);

	if (lacks == NULL && m->pairs && v->only == NULL &&
		(in->n > PAIRS_OF_MAX || in->n_exact > PAIRS_OF_MAX))
		return arena_printf(a,
			"time for all pairs of more than %d points (--metrics takes it)",
			PAIRS_OF_MAX);
	return lacks;
}

int verdicts_score(struct verdicts *v, const struct scored *in, struct arena *a)
{
	const char **names = ARENA_NEW(a, v->n, const char *), *lacks = "";
	double *weights = ARENA_NEW(a, v->n, double);
	size_t scored = 0;

	for (size_t i = 0; i < v->n; i++) {
		names[i] = v->of[i].metric->name;
		weights[i] = 1;
	}
	struct progress *p = progress_new(v->n, names, weights);
	progress_patience(p, patience_seconds);
	for (size_t i = 0; i < v->n; i++) {
		struct verdict *one = &v->of[i];
		one->lacks = lacks_of(v, one->metric, in, a);
		progress_begin(p, i);
		if (one->lacks == NULL) {
			scoring_run(one->metric, in, &one->score, a);
			scored++;
		} else {
			lacks = one->lacks;
		}
		progress_end(p, i, one->lacks != NULL ? "left out" : "done", NULL);
	}
	progress_free(p);
	if (scored == 0)
		return fail(ERR_UNSUP, "none of these metrics can be had; the last one needs %s",
			lacks);
	return OK;
}

static bool undefined(const struct verdict *v)
{
	return v->lacks == NULL && (v->score.failure != NULL || isnan(v->score.value.value));
}

int verdicts_status(const struct verdicts *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (undefined(&v->of[i]))
			return EXIT_CELLS;
	return EXIT_DONE;
}

/* --- on the screen ---------------------------------------------------------------------------- */

static const char *text_of(double x, struct arena *a)
{
	return isnan(x) ? NULL : number_text(x, (double)NAN, true, a);
}

enum { ID, VALUE, SE, FLOOR, FLOOR_Q95, EXCESS, P, VERSION, COLUMNS };

static void add_row(struct table *t, const struct verdict *v, struct arena *a)
{
	struct table_cell *cells = table_row(t);
	const struct value *x = &v->score.value;

	cells[ID].text = v->metric->name;
	if (v->score.failure != NULL) {
		cells[VALUE].text = "failed";
	} else {
		cells[VALUE].text = number_text(x->value, (double)NAN, true, a);
		cells[SE].text = text_of(x->se, a);
		cells[P].text = isnan(x->p) ? NULL : arena_printf(a, "%.3g", x->p);
	}
	if (v->floor.n > 0) {
		cells[FLOOR].text = text_of(v->floor.mean, a);
		cells[FLOOR_Q95].text = text_of(v->floor.q95, a);
		cells[EXCESS].text = text_of(x->value - v->floor.mean, a);
	}
	cells[VERSION].text = arena_printf(a, "%d", v->metric->version);
}

/* Without the columns that say nothing. */
static void drop_empty_columns(struct table *t)
{
	size_t kept = 0, columns = t->n_cols;
	struct table_cell *cells = t->cells;

	for (size_t k = 0; k < columns; k++) {
		bool empty = true;
		for (size_t i = 0; i < t->n_rows; i++)
			empty = empty && cells[i * columns + k].text == NULL;
		if (empty)
			continue;
		t->head[kept] = t->head[k];
		for (size_t i = 0; i < t->n_rows; i++)
			cells[i * columns + kept] = cells[i * columns + k];
		kept++;
	}
	for (size_t i = 0; i < t->n_rows; i++)
		memmove(cells + i * kept, cells + i * columns, kept * sizeof(*cells));
	t->n_cols = kept;
}

/* "left out: a, b: they need c", a line a need. */
static void print_left_out(const struct verdicts *v, FILE *out)
{
	for (size_t i = 0; i < v->n; i++) {
		const char *lacks = v->of[i].lacks;
		bool told = lacks == NULL;
		for (size_t j = 0; j < i && !told; j++)
			told = v->of[j].lacks != NULL && strcmp(v->of[j].lacks, lacks) == 0;
		if (told)
			continue;
		fprintf(out, "left out, for lack of %s: %s", lacks, v->of[i].metric->name);
		for (size_t j = i + 1; j < v->n; j++)
			if (v->of[j].lacks != NULL && strcmp(v->of[j].lacks, lacks) == 0)
				fprintf(out, ", %s", v->of[j].metric->name);
		fputc('\n', out);
	}
}

void verdicts_print(const struct verdicts *v, const char *const *notes, FILE *out, struct arena *a)
{
	static const char *const head[COLUMNS] = { "metric", "value", "se", "floor mean",
		"floor q95", "value − floor", "p", "version" };
	struct table t = table_new(COLUMNS, v->n, a);

	t.text_cols = 1;
	for (size_t k = 0; k < COLUMNS; k++)
		t.head[k].text = head[k];
	for (size_t i = 0; i < v->n; i++)
		if (v->of[i].lacks == NULL)
			add_row(&t, &v->of[i], a);
	drop_empty_columns(&t);
	table_write(&t, FORMAT_TEXT, out);
	for (size_t i = 0; i < v->n; i++)
		if (v->of[i].score.failure != NULL)
			fprintf(out, "%s failed: %s\n", v->of[i].metric->name,
				v->of[i].score.failure);
	print_left_out(v, out);
	for (; *notes != NULL; notes++)
		fprintf(out, "note: %s\n", *notes);
}

/* --- as JSON ---------------------------------------------------------------------------------- */

static json_t *verdict_json(const struct verdict *v)
{
	bool floor = v->floor.n > 0;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:i}", "value",
		record_number(v->score.value.value), "se", record_known(v->score.value.se), "p",
		record_known(v->score.value.p), "floor",
		record_known(floor ? v->floor.mean : (double)NAN), "floor_q95",
		record_known(floor ? v->floor.q95 : (double)NAN), "version", v->metric->version);
}

void verdicts_print_json(const struct verdicts *v, const char *const *notes, json_t *more,
	FILE *out)
{
	json_t *values = json_object(), *failed = json_object(), *left = json_object();
	json_t *said = json_array(), *document;

	for (size_t i = 0; i < v->n; i++) {
		const struct verdict *one = &v->of[i];
		const char *name = one->metric->name;
		if (one->lacks != NULL)
			json_object_set_new(left, name, record_text(one->lacks));
		else if (one->score.failure != NULL)
			json_object_set_new(failed, name, record_text(one->score.failure));
		else
			json_object_set_new(values, name, verdict_json(one));
	}
	for (; *notes != NULL; notes++)
		json_array_append_new(said, record_text(*notes));
	document = json_pack("{s:o, s:o, s:o, s:o}", "metrics", values, "failed_metrics", failed,
		"not_applicable", left, "notes", said);
	invariant(document != NULL && more != NULL);
	json_object_update(document, more);
	json_decref(more);
	(void)json_dumpf(document, out, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
	fputc('\n', out);
	json_decref(document);
}
