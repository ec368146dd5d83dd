#include "run/floors.h"
#include "run/record.h"
#include "run/store.h"
#include "core/stats.h"
#include "core/version.h"

/* A search in progress. Records are of one metric each, so that any choice of metrics finds them. */
struct search {
	const struct floors_request *q;
	const char *dir; /* NULL: nothing is kept */
	const struct metric **missing;
	size_t n_missing, *place; /* [n_missing] of it among the metrics asked for */
	struct floor *out;
	struct arena *arena;
};

/* A configuration of these metrics alone; it owns nothing. */
static struct config config_of(const struct floors_request *q, const struct metric **some, size_t n)
{
	return (struct config){ .n_metrics = n,
		.metrics = some,
		.samples = q->samples,
		.reference = q->reference,
		.floor_draws = q->draws };
}

/* The target with the key of one metric's floor. */
static struct plan_target target_of(const struct search *s, const struct metric *m)
{
	struct plan_target t = *s->q->target;
	struct config c = config_of(s->q, &m, 1);

	plan_floor_key(&t, &c, s->arena);
	return t;
}

static struct floor summary(const double *values, size_t n, struct arena *a)
{
	double *sorted = ARENA_NEW(a, n, double);

	memcpy(sorted, values, n * sizeof(*sorted));
	return (struct floor){ n, stats_mean(values, n), stats_quantile(sorted, n, 0.95) };
}

/* --- the folder ------------------------------------------------------------------------------- */

static const char *record_name(const struct plan_target *t, struct arena *a)
{
	return arena_printf(a, "floors/%s.json", t->floor_key);
}

static bool load(const struct store *store, const struct search *s, const struct metric *m,
	struct floor *out)
{
	const struct plan_target t = target_of(s, m);
	const char *code = store_floor(store, t.floor_key);
	FILE *f = code != NULL && strcmp(code, version.code) == 0
			  ? store_stream(store, record_name(&t, s->arena))
			  : NULL;

	if (f == NULL)
		return false;
	json_t *record = json_loadf(f, 0, NULL), *one;
	const json_t *values = json_object_get(
		json_object_get(json_object_get(record, "metrics"), m->name), "values");
	double *x = ARENA_NEW(s->arena, json_array_size(values), double);
	size_t i;
	json_array_foreach(values, i, one) x[i] = record_number_of(one);
	*out = summary(x, json_array_size(values), s->arena);
	json_decref(record);
	fclose(f);
	return true;
}

/* A folder that cannot be read or written costs time, and nothing else. */
static void look_up(struct search *s, const char **note)
{
	struct store *store = NULL;

	if (s->dir != NULL && store_open(&store, s->dir) != OK) {
		*note = arena_printf(s->arena, "noise floors are not kept: %s", error_text());
		s->dir = NULL;
		store = NULL;
	}
	for (size_t i = 0; i < s->q->n; i++) {
		const struct metric *m = s->q->metrics[i];
		s->out[i] = (struct floor){ 0 };
		if (!m->floor || (store != NULL && load(store, s, m, &s->out[i])))
			continue;
		s->missing[s->n_missing] = m;
		s->place[s->n_missing++] = i;
	}
	store_close(store);
}

static int save_all(const struct search *s, const struct floor_scores *scores, size_t n,
	struct store *store)
{
	for (size_t i = 0; i < n; i++) {
		const struct plan_target t = target_of(s, scores[i].metric);
		const struct metric *m = scores[i].metric;
		struct config c = config_of(s->q, &m, 1);
		json_t *record = record_floor(&(struct plan){ .config = &c }, &t, &scores[i], 1);
		int code = store_save(store, record_name(&t, s->arena), record);
		json_decref(record);
		TRY(code);
	}
	return OK;
}

static void keep(const struct search *s, const struct floor_scores *scores, size_t n,
	const char **note)
{
	struct store *store = NULL;
	int code = store_open_to_write(&store, s->dir, 0, 0);

	if (code == OK) {
		code = save_all(s, scores, n, store);
		store_close(store);
	}
	/* Another one is at the same work: its records will do. */
	if (code != OK && code != ERR_BUSY)
		*note = arena_printf(s->arena, "noise floors are not kept: %s", error_text());
}

/* --- the search ------------------------------------------------------------------------------- */

static int make_missing(const struct search *s, const char **note)
{
	struct config c = config_of(s->q, s->missing, s->n_missing);
	const struct plan p = { .config = &c };
	struct floor_scores *scores;
	FILE *points = fopen("/dev/null", "w");
	size_t n;

	invariant(points != NULL);
	int code = floor_run(&p, s->q->target, s->q->ticker, points, &n, &scores, s->arena);
	fclose(points);
	TRY(code);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < s->n_missing; j++)
			if (s->missing[j] == scores[i].metric)
				s->out[s->place[j]] =
					summary(scores[i].values, scores[i].n, s->arena);
	if (s->dir != NULL)
		keep(s, scores, n, note);
	return OK;
}

int floors_find(const struct floors_request *q, struct floor *out, const char **note,
	struct arena *a)
{
	struct search s = { .q = q,
		.missing = ARENA_NEW(a, q->n, const struct metric *),
		.place = ARENA_NEW(a, q->n, size_t),
		.out = out,
		.arena = a };

	*note = NULL;
	if (q->folder != NULL)
		s.dir = arena_printf(a, "%s/%s", q->folder, q->target->target->name);
	look_up(&s, note);
	return s.n_missing > 0 && q->draws > 0 ? make_missing(&s, note) : OK;
}
