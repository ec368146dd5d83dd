#include "run/training.h"
#include "run/clock.h"
#include "core/version.h"

#include <pthread.h>

/* --- what cells share ------------------------------------------------------------------------- */

/* A training that a cell of this run is at or was at. */
struct claim {
	char key[KEY_SIZE];
	bool busy, own; /* own: this run wrote its checkpoint */
	struct claim *next;
};

struct trainings {
	const struct store *store;
	struct trainings_options options;
	struct arena *arena; /* under the lock */
	struct claim *claims;
	bool broken;
	pthread_mutex_t lock;
};

struct trainings *trainings_new(const struct store *s, const struct trainings_options *o)
{
	struct arena *a = arena_new();
	struct trainings *t = ARENA_NEW(a, 1, struct trainings);

	*t = (struct trainings){ .store = s, .options = *o, .arena = a };
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void trainings_free(struct trainings *s)
{
	if (s == NULL)
		return;
	pthread_mutex_destroy(&s->lock);
	arena_free(s->arena);
}

/* Under the lock. */
static struct claim *claim_of(struct trainings *s, const char *key)
{
	struct claim *c = s->claims;

	while (c != NULL && strcmp(c->key, key) != 0)
		c = c->next;
	if (c != NULL)
		return c;
	c = ARENA_NEW(s->arena, 1, struct claim);
	memcpy(c->key, key, KEY_SIZE);
	c->next = s->claims;
	s->claims = c;
	return c;
}

/* A cell never waits here: its thread would not help the one that it waits for. The grid runs
 * it again when the training is over. */
static bool take_claim(struct trainings *s, const char *key)
{
	pthread_mutex_lock(&s->lock);
	struct claim *c = claim_of(s, key);
	bool taken = !c->busy;
	c->busy = true;
	pthread_mutex_unlock(&s->lock);
	return taken;
}

static void drop_claim(struct trainings *s, const char *key)
{
	pthread_mutex_lock(&s->lock);
	claim_of(s, key)->busy = false;
	pthread_mutex_unlock(&s->lock);
}

bool trainings_busy(struct trainings *s, const char *key)
{
	pthread_mutex_lock(&s->lock);
	bool busy = claim_of(s, key)->busy;
	pthread_mutex_unlock(&s->lock);
	return busy;
}

static void set_own(struct trainings *s, const char *key)
{
	pthread_mutex_lock(&s->lock);
	claim_of(s, key)->own = true;
	pthread_mutex_unlock(&s->lock);
}

bool trainings_broken(struct trainings *s)
{
	if (s == NULL)
		return false;
	pthread_mutex_lock(&s->lock);
	bool broken = s->broken;
	pthread_mutex_unlock(&s->lock);
	return broken;
}

/* May a checkpoint in which these sources had part be used? */
static bool accepts(struct trainings *s, const char *key, size_t n_codes,
	char (*const codes)[KEY_SIZE])
{
	bool same = true;

	for (size_t i = 0; i < n_codes; i++)
		same = same && strcmp(codes[i], version.training) == 0;
	pthread_mutex_lock(&s->lock);
	bool own = claim_of(s, key)->own;
	pthread_mutex_unlock(&s->lock);
	return own || (!s->options.force && (same || !s->options.own_code));
}

/* --- the file --------------------------------------------------------------------------------- */

/* Three checkpoints in a row: this head, the history, and what the method keeps. */
struct head {
	char key[KEY_SIZE];
	long done;
	long iterations;
	struct counts counts;
	double seconds;
	size_t n_codes, n_of, n_curves;
};

enum { CODES_MAX = 1000, CURVES_MAX = 100, CURVE_NAME = 64 };

/* A teacher as a checkpoint knows it. */
struct teacher {
	char key[KEY_SIZE], digest[KEY_SIZE];
};

struct history {
	char (*codes)[KEY_SIZE];
	struct teacher *of;
	char (*names)[CURVE_NAME];
	struct curve *curves; /* [n_curves] */
};

static struct checkpoint *pieces_of_head(struct head *h, struct arena *a)
{
	struct checkpoint *k = checkpoint_new(false, a);

	checkpoint_add(k, "training 1", h, sizeof(*h));
	return k;
}

static struct history history_new(const struct head *h, struct arena *a)
{
	return (struct history){ arena_zalloc(a, h->n_codes, KEY_SIZE),
		ARENA_NEW(a, h->n_of, struct teacher), arena_zalloc(a, h->n_curves, CURVE_NAME),
		ARENA_NEW(a, h->n_curves, struct curve) };
}

static struct checkpoint *pieces_of_history(const struct head *h, const struct history *s,
	struct arena *a)
{
	struct checkpoint *k = checkpoint_new(false, a);
	const size_t start = offsetof(struct curve, n); /* what precedes is pointers */

	checkpoint_add(k, "codes", s->codes, h->n_codes * KEY_SIZE);
	checkpoint_add(k, "teachers", s->of, h->n_of * sizeof(*s->of));
	checkpoint_add(k, "curves", s->names, h->n_curves * CURVE_NAME);
	for (size_t i = 0; i < h->n_curves; i++)
		checkpoint_add(k, arena_printf(a, "curve %zu", i), (char *)&s->curves[i] + start,
			sizeof(struct curve) - start);
	return k;
}

static int read_history(FILE *f, const char *key, struct head *h, struct history *s,
	struct arena *a)
{
	TRY(checkpoint_read(pieces_of_head(h, a), f));
	if (strcmp(h->key, key) != 0)
		return fail(ERR_PARSE, "the checkpoint is of another training");
	if (h->done < 1 || h->done > h->iterations || h->n_codes > CODES_MAX ||
		h->n_of > TEACHERS_MAX || h->n_curves > CURVES_MAX)
		return fail(ERR_PARSE, "the checkpoint is damaged");
	*s = history_new(h, a);
	return checkpoint_read(pieces_of_history(h, s, a), f);
}

static const char *name_of(const char *key, struct arena *a)
{
	return arena_printf(a, "checkpoints/%s.ckpt", key);
}

double trainings_done(struct trainings *s, const char *key)
{
	struct arena *a = arena_new();
	struct history history;
	struct head head;
	double done = 0;
	FILE *f = *key != '\0' ? store_stream(s->store, name_of(key, a)) : NULL;

	if (f != NULL && read_history(f, key, &head, &history, a) == OK &&
		accepts(s, key, head.n_codes, history.codes))
		done = (double)head.done / (double)head.iterations;
	if (f != NULL)
		fclose(f);
	arena_free(a);
	return done;
}

/* --- a training ------------------------------------------------------------------------------- */

/* One at work. */
struct course {
	const struct trainer *trainer;
	struct training *t;
	const struct method *method;
	void *state;
	struct cell *cell;
	bool kept;
	struct counts before; /* the cell's, before the first iteration */
	double started;       /* the clock then, had all iterations been made in this run */
	double saved;         /* the clock at the last checkpoint */
	long saved_at;        /* its iterations */
};

static void add_counts(struct counts *to, const struct counts *more)
{
	to->network += more->network;
	to->target += more->target;
}

static void measure(struct course *s)
{
	const struct counts *now = &s->cell->counts;

	s->t->counts = (struct counts){ .network = now->network - s->before.network,
		.target = now->target - s->before.target };
	s->t->seconds = clock_seconds() - s->started;
	s->t->curves = s->cell->curves;
}

static void add_code(struct training *t, const char *code, struct arena *a)
{
	for (size_t i = 0; i < t->n_codes; i++)
		if (strcmp(t->codes[i], code) == 0)
			return;
	char(*longer)[KEY_SIZE] = arena_zalloc(a, t->n_codes + 1, KEY_SIZE);
	if (t->n_codes > 0)
		memcpy(longer, t->codes, t->n_codes * KEY_SIZE);
	strncpy(longer[t->n_codes], code, KEY_SIZE - 1);
	t->codes = longer;
	t->n_codes++;
}

/* After this many iterations. */
static struct checkpoint *pieces_of_state(const struct course *s, long done, struct arena *a)
{
	struct checkpoint *k = checkpoint_new(done == s->t->iterations, a);

	s->method->keep(s->state, k);
	return k;
}

static struct history history_of(const struct training *t, struct head *h, struct arena *a)
{
	*h = (struct head){ .done = t->done,
		.iterations = t->iterations,
		.counts = t->counts,
		.seconds = t->seconds,
		.n_codes = t->n_codes,
		.n_of = t->n_of };
	memcpy(h->key, t->key, KEY_SIZE);
	for (const struct curve *c = t->curves; c != NULL; c = c->next)
		h->n_curves++;
	struct history s = history_new(h, a);
	if (t->n_codes > 0)
		memcpy(s.codes, t->codes, t->n_codes * KEY_SIZE);
	for (size_t i = 0; i < t->n_of; i++) {
		memcpy(s.of[i].key, t->of[i]->key, KEY_SIZE);
		memcpy(s.of[i].digest, t->of[i]->digest, KEY_SIZE);
	}
	size_t i = 0;
	for (const struct curve *c = t->curves; c != NULL; c = c->next, i++) {
		invariant(snprintf(s.names[i], CURVE_NAME, "%s", c->name) < CURVE_NAME);
		s.curves[i] = *c;
	}
	return s;
}

static int write_checkpoint(const struct course *s, struct arena *a)
{
	struct trainings *shared = s->trainer->shared;
	struct store_file f;
	struct head head;
	struct history history = history_of(s->t, &head, a);

	TRY(store_create(shared->store, name_of(s->t->key, a), &f));
	checkpoint_write(pieces_of_head(&head, a), f.stream);
	checkpoint_write(pieces_of_history(&head, &history, a), f.stream);
	checkpoint_write(pieces_of_state(s, s->t->done, a), f.stream);
	return store_commit(&f);
}

/* Write what there is, if it is more than the last time. */
static int save(struct course *s)
{
	struct trainings *shared = s->trainer->shared;
	struct arena *a;

	if (!s->kept || s->t->done == s->saved_at)
		return OK;
	double start = clock_seconds();
	a = arena_new();
	int code = write_checkpoint(s, a);
	arena_free(a);
	if (code != OK) {
		pthread_mutex_lock(&shared->lock);
		shared->broken = true;
		pthread_mutex_unlock(&shared->lock);
		return code;
	}
	set_own(shared, s->t->key);
	s->saved_at = s->t->done;
	s->saved = clock_seconds();
	s->started += s->saved - start;
	return OK;
}

/* Training ends here with this error, or would if the checkpoint could be written. */
static int save_and_end(struct course *s)
{
	struct error e;

	error_get(&e);
	TRY(save(s));
	return error_set(&e);
}

static int iterate(struct course *s)
{
	struct training *t = s->t;
	const struct trainer *r = s->trainer;

	while (t->done < t->iterations) {
		if (r->go_on != NULL && r->go_on(r->context) != OK)
			return save_and_end(s);
		if (t->done == t->resumed)
			add_code(t, version.training, s->cell->arena);
		TRY(s->method->train(s->state, s->cell, t->done));
		t->done++;
		measure(s);
		const char *curve = curve_diverged(t->curves);
		if (curve != NULL)
			return fail(ERR_DIVERGED, "%s is not finite since iteration %ld", curve,
				t->done - CURVE_PATIENCE);
		if (s->kept && clock_seconds() - s->saved >= r->shared->options.every)
			TRY(save(s));
		if (r->tick != NULL)
			r->tick(r->context, t, (double)t->done / (double)t->iterations);
	}
	return save(s);
}

static bool same_teachers(const struct training *t, const struct head *h, const struct history *s)
{
	bool same = t->n_of == h->n_of;

	for (size_t i = 0; same && i < t->n_of; i++)
		same = strcmp(t->of[i]->key, s->of[i].key) == 0 &&
		       strcmp(t->of[i]->digest, s->of[i].digest) == 0;
	return same;
}

/* Put a checkpoint's history into the training. */
static void take_history(struct course *s, const struct head *h, const struct history *history)
{
	struct training *t = s->t;
	struct arena *a = s->cell->arena;
	struct curve **link = &s->cell->curves;

	t->done = t->resumed = s->saved_at = h->done;
	t->counts = h->counts;
	t->seconds = h->seconds;
	s->started = clock_seconds() - h->seconds;
	add_counts(&s->cell->counts, &h->counts);
	for (size_t i = 0; i < h->n_codes; i++)
		add_code(t, history->codes[i], a);
	for (size_t i = 0; i < h->n_curves; i++) {
		*link = ARENA_NEW(a, 1, struct curve);
		**link = history->curves[i];
		(*link)->name = arena_strdup(a, history->names[i]);
		(*link)->next = NULL;
		link = &(*link)->next;
	}
	t->curves = s->cell->curves;
}

static int read_checkpoint(struct course *s, FILE *f, struct arena *a)
{
	struct training *t = s->t;
	struct history history;
	struct head head;

	TRY(read_history(f, t->key, &head, &history, a));
	if (!accepts(s->trainer->shared, t->key, head.n_codes, history.codes))
		return OK;
	if (head.iterations != t->iterations)
		return fail(ERR_PARSE, "the checkpoint is of another training");
	if (!same_teachers(t, &head, &history))
		return fail(ERR_PARSE, "the checkpoint was trained with another teacher");
	TRY(checkpoint_read(pieces_of_state(s, head.done, a), f));
	take_history(s, &head, &history);
	return OK;
}

/* Go on from the checkpoint if there is one. What is wrong with it is told and does no harm. */
static int resume(struct course *s)
{
	struct trainings *shared = s->trainer->shared;
	struct arena *a = arena_new();
	const char *name = name_of(s->t->key, a);
	FILE *f = store_stream(shared->store, name);
	int code = OK;

	if (f == NULL)
		goto out;
	code = read_checkpoint(s, f, a);
	fclose(f);
	if (code == OK)
		goto out;
	const char *why = arena_strdup(a, error_text());
	code = store_set_aside(shared->store, name, arena_printf(a, "%s.unused", name));
	if (shared->options.note != NULL)
		shared->options.note(shared->options.context,
			arena_printf(a, "%s: %s; training starts anew, the file is now %s.unused",
				name, why, name));
out:
	arena_free(a);
	return code;
}

static int train(struct course *s)
{
	if (s->kept)
		TRY(resume(s));
	TRY(iterate(s));
	if (s->kept) {
		struct arena *a = arena_new();
		checkpoint_digest(pieces_of_state(s, s->t->done, a), s->t->digest);
		arena_free(a);
	}
	return OK;
}

static const struct trainer *trainer_of(const struct cell *c)
{
	static const struct trainer in_memory;

	return c->trainer != NULL ? c->trainer : &in_memory;
}

int cell_go_on(const struct cell *c)
{
	const struct trainer *r = trainer_of(c);

	return r->go_on != NULL ? r->go_on(r->context) : OK;
}

int training_run(const struct plan_cell *p, void *state, struct cell *c, struct training *t)
{
	struct course s = { .trainer = trainer_of(c),
		.t = t,
		.method = p->method,
		.state = state,
		.cell = c,
		.before = c->counts,
		.started = clock_seconds() };

	if (p->method->train == NULL)
		return OK;
	t->method = p->method;
	t->planned = t->iterations = p->method->iterations(state);
	if (s.trainer->at_most > 0 && t->iterations > s.trainer->at_most)
		t->iterations = s.trainer->at_most;
	s.saved = s.started;
	s.kept = s.trainer->shared != NULL && p->method->keep != NULL && p->training_key[0] != '\0';
	if (!s.kept)
		return train(&s);
	memcpy(t->key, p->training_key, KEY_SIZE);
	if (!take_claim(s.trainer->shared, t->key)) {
		memcpy(t->waits_for, t->key, KEY_SIZE);
		return fail(ERR_BUSY, "another cell is at this training");
	}
	int code = train(&s);
	drop_claim(s.trainer->shared, t->key);
	return code;
}

double training_seconds(const struct training *t, bool whole)
{
	double sum = t->seconds;

	if (whole && t->iterations > 0)
		sum *= (double)t->planned / (double)t->iterations;
	for (size_t i = 0; i < t->n_of; i++)
		sum += training_seconds(t->of[i], whole);
	return sum;
}

/* --- what a method asks for ------------------------------------------------------------------- */

/* A cell for another method beside c: the same target, seed and arena. */
static struct cell *cell_beside(const struct cell *c, struct training *t)
{
	struct cell *beside = ARENA_NEW(c->arena, 1, struct cell);
	struct trainer *r = ARENA_NEW(c->arena, 1, struct trainer);

	*r = *trainer_of(c);
	r->training = t;
	*beside = (struct cell){ .target = c->target,
		.field = c->field,
		.dim = c->dim,
		.seed = c->seed,
		.arena = c->arena,
		.trainer = r };
	return beside;
}

static int train_beside(struct cell *beside, const struct method *m, const struct setting *settings,
	size_t n, struct training *t, void **state)
{
	struct plan_target bare = { .target = density_target(beside->target) };
	const struct plan_target *target = beside->trainer->target;
	struct plan_cell p;

	TRY(plan_training(&p, m, target != NULL ? target : &bare, beside->seed, settings, n,
		beside->arena));
	*state = plan_method_state(&p, beside->arena);
	TRY(m->init(*state, beside));
	return training_run(&p, *state, beside, t);
}

int cell_trained(struct cell *c, const char *method, const struct setting *settings, size_t n,
	struct trained *out)
{
	struct training *t = ARENA_NEW(c->arena, 1, struct training);
	struct training *outer = trainer_of(c)->training;
	struct cell *beside = cell_beside(c, t);
	const struct method *m = method_find(method);

	if (m == NULL)
		return ERR_NAME;
	if (m->train == NULL)
		return fail(ERR_RANGE, "method %s has no training", m->name);
	*out = (struct trained){ .method = m };
	int code = train_beside(beside, m, settings, n, t, &out->state);
	add_counts(&c->counts, &beside->counts);
	if (outer != NULL) {
		invariant(outer->n_of < TEACHERS_MAX);
		outer->of[outer->n_of++] = t;
		memcpy(outer->waits_for, t->waits_for, KEY_SIZE);
	}
	return code == OK ? OK : error_at(arena_printf(c->arena, "trained %s", m->name));
}
