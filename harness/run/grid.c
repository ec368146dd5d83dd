#include "run/grid.h"
#include "run/clock.h"
#include "run/estimate.h"
#include "run/info.h"
#include "run/progress.h"
#include "run/record.h"
#include "core/version.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>

/* One thing to do: a cell or a target's noise floors. */
struct job {
	const struct plan_cell *cell;     /* NULL: a floor */
	const struct plan_target *target; /* of the cell or of the floor */
	double seconds;                   /* estimate; NaN: unknown */
	size_t order;                     /* in the plan */
	const char *waits_for;            /* the training that another cell was at; NULL: none */
};

struct grid {
	const struct plan *plan;
	struct store *store;
	const struct grid_options *options;
	struct trainings *trainings;
	struct grid_summary *summary;
	struct arena *arena; /* under the lock once jobs run */
	size_t n, next;
	struct job *jobs;
	struct progress *progress;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool done;   /* all threads are */
	bool failed; /* a record could not be stored */
	struct error error;
	/* CPU time is the process's: while several jobs run, each is charged an equal part. */
	size_t running;
	double cpu_seen, cpu_each;
};

bool grid_stale(const struct store_entry *entry)
{
	return strcmp(entry->code, version.code) != 0 || entry->other_code;
}

struct trainings *grid_trainings(const struct store *s, const struct plan *p,
	const struct grid_options *o, void (*note)(void *context, const char *text), void *context)
{
	const struct trainings_options options = { .every = p->config->checkpoint_seconds,
		.force = o->force,
		.own_code = o->rerun_stale,
		.note = note,
		.context = context };

	return trainings_new(s, &options);
}

bool grid_needs(const struct store_entry *entry, const struct grid_options *o)
{
	if (entry == NULL || entry->state == CELL_MISSING || o->force)
		return true;
	if (o->rerun_stale && grid_stale(entry))
		return true;
	return o->retry_failed && entry->state != CELL_OK && entry->state != CELL_SKIPPED;
}

/* code is that of the floor on record, NULL when there is none. */
static bool needs_floor(const char *code, const struct grid_options *o)
{
	return code == NULL || o->force || (o->rerun_stale && strcmp(code, version.code) != 0);
}

/* --- the list of jobs ------------------------------------------------------------------------- */

/* Longest first; what is not known comes before, by its iterations and dimension. */
static int compare_jobs(const void *a, const void *b)
{
	const struct job *x = a, *y = b;
	double sx = isnan(x->seconds) ? (double)INFINITY : x->seconds;
	double sy = isnan(y->seconds) ? (double)INFINITY : y->seconds;
	long ix = x->cell != NULL ? x->cell->iterations : 0;
	long iy = y->cell != NULL ? y->cell->iterations : 0;

	if (sx != sy)
		return sx < sy ? 1 : -1;
	if (ix != iy)
		return ix < iy ? 1 : -1;
	if (x->target->dim != y->target->dim)
		return x->target->dim < y->target->dim ? 1 : -1;
	return (x->order > y->order) - (x->order < y->order);
}

static void add_job(struct grid *g, struct job job)
{
	job.order = g->n;
	g->jobs[g->n++] = job;
}

static void keep(struct grid *g, const struct plan_cell *c, const struct store_entry *e)
{
	g->summary->kept++;
	g->summary->states[e->state]++;
	g->summary->stale += grid_stale(e);
	if (g->summary->problem == NULL && e->state != CELL_OK && e->state != CELL_SKIPPED)
		g->summary->problem = arena_printf(g->arena, "%s on %s, seed %llu: %s%s%s",
			plan_label(c), c->target->target->name, (unsigned long long)c->seed,
			cell_state_name(e->state), e->message[0] != '\0' ? ": " : "", e->message);
}

static void list_jobs(struct grid *g)
{
	enum { WORTH_A_PROBE = 50 /* iterations */ };
	const struct plan *p = g->plan;
	struct estimate known = { 0 };

	g->jobs = ARENA_NEW(g->arena, p->n_cells + p->n_targets, struct job);
	for (size_t i = 0; i < p->n_cells; i++) {
		const struct plan_cell *c = &p->cells[i];
		const struct store_entry *e = store_find(g->store, c->key);
		if (!grid_needs(e, g->options)) {
			keep(g, c, e);
			known = (struct estimate){ 0 };
			continue;
		}
		known = c->iterations >= WORTH_A_PROBE ? estimate_best(g->store, p, i, &known)
						       : estimate_cell(g->store, c);
		struct estimate left =
			estimate_left(known, trainings_done(g->trainings, c->training_key));
		add_job(g, (struct job){ .cell = c, .target = c->target, .seconds = left.seconds });
	}
	for (size_t i = 0; i < p->n_targets; i++) {
		const struct plan_target *t = &p->targets[i];
		if (t->floor && needs_floor(store_floor(g->store, t->floor_key), g->options))
			add_job(g, (struct job){ .target = t, .seconds = (double)NAN });
	}
	qsort(g->jobs, g->n, sizeof(*g->jobs), compare_jobs);
}

/* --- accounting ------------------------------------------------------------------------------- */

/* Under the lock: charge what was used since the last call to the jobs that ran. */
static void charge(struct grid *g)
{
	double now = info_cpu_seconds();

	if (g->running > 0)
		g->cpu_each += (now - g->cpu_seen) / (double)g->running;
	g->cpu_seen = now;
}

static double account_begin(struct grid *g)
{
	pthread_mutex_lock(&g->lock);
	charge(g);
	g->running++;
	double mark = g->cpu_each;
	pthread_mutex_unlock(&g->lock);
	return mark;
}

static double account_end(struct grid *g, double mark)
{
	pthread_mutex_lock(&g->lock);
	charge(g);
	g->running--;
	double used = g->cpu_each - mark;
	pthread_mutex_unlock(&g->lock);
	return used;
}

static void count_outcome(struct grid *g, const struct job *job, const struct outcome *o)
{
	struct grid_summary *s = g->summary;

	pthread_mutex_lock(&g->lock);
	s->ran++;
	s->states[o->state]++;
	s->trained += o->training.resumed > 0 && o->training.resumed == o->training.iterations;
	s->resumed += o->training.resumed > 0 && o->training.resumed < o->training.iterations;
	if (s->problem == NULL && o->state != CELL_OK && o->state != CELL_SKIPPED)
		s->problem = arena_printf(g->arena, "%s on %s, seed %llu: %s: %s",
			plan_label(job->cell), job->target->target->name,
			(unsigned long long)job->cell->seed, cell_state_name(o->state), o->message);
	pthread_mutex_unlock(&g->lock);
}

/* The first record that cannot be stored ends the run: the others could not be stored either. */
static void give_up(struct grid *g)
{
	pthread_mutex_lock(&g->lock);
	if (!g->failed) {
		g->failed = true;
		error_get(&g->error);
	}
	pthread_mutex_unlock(&g->lock);
	parallel_stop();
}

/* --- running ---------------------------------------------------------------------------------- */

struct ticking {
	struct grid *grid;
	size_t job;
};

static void on_tick(void *context, double fraction)
{
	struct ticking *t = context;

	progress_tick(t->grid->progress, t->job, fraction);
}

static int store_cell(struct grid *g, const struct job *job, const struct outcome *o, double mark,
	struct store_file *samples, struct arena *a)
{
	struct circumstances when = { .cpu_seconds = account_end(g, mark),
		.concurrent = !g->options->serial && g->n > 1 && parallel_threads() > 1 };
	json_t *record = record_cell(g->plan, job->cell, o, &when);

	const char *points = arena_printf(a, "cells/%s.samples.csv", job->cell->key);

	/* Points first: whoever sees the record sees its points. */
	int code = OK;
	if (o->state == CELL_OK) {
		code = store_commit(samples);
	} else {
		store_discard(samples);
		store_remove(g->store, points);
	}
	if (code == OK) {
		code = store_save(g->store, arena_printf(a, "cells/%s.json", job->cell->key),
			record);
		if (code != OK)
			store_remove(g->store, points);
	}
	json_decref(record);
	return code;
}

/* The job begins again when the training of this key is free. */
static void put_back(struct grid *g, size_t index, const char *key)
{
	progress_wait(g->progress, index);
	pthread_mutex_lock(&g->lock);
	g->jobs[index].waits_for = arena_strdup(g->arena, key);
	pthread_mutex_unlock(&g->lock);
}

static void on_note(void *context, const char *text)
{
	const struct grid *g = context;

	progress_note(g->progress, text);
}

static int run_cell(struct grid *g, size_t index, struct arena *a)
{
	const struct job *job = &g->jobs[index];
	struct ticking context = { g, index };
	struct ticker ticker = { on_tick, &context };
	struct store_file samples;
	struct outcome o;

	TRY(store_create(g->store, arena_printf(a, "cells/%s.samples.csv", job->cell->key),
		&samples));
	double mark = account_begin(g);
	int code = cell_run(g->plan, job->cell, g->trainings, &ticker, samples.stream, &o, a);
	if (code != OK) {
		account_end(g, mark);
		store_discard(&samples);
		if (o.training.waits_for[0] == '\0')
			return code;
		put_back(g, index, o.training.waits_for);
		return OK;
	}
	TRY(store_cell(g, job, &o, mark, &samples, a));
	count_outcome(g, job, &o);
	progress_end(g->progress, index, cell_state_name(o.state), o.message);
	return OK;
}

static int run_floor(struct grid *g, size_t index, struct arena *a)
{
	const struct plan_target *t = g->jobs[index].target;
	struct ticking context = { g, index };
	struct ticker ticker = { on_tick, &context };
	struct floor_scores *scores;
	struct store_file samples;
	size_t n;

	TRY(store_create(g->store, arena_printf(a, "floors/%s.samples.csv", t->floor_key),
		&samples));
	double mark = account_begin(g);
	int code = floor_run(g->plan, t, &ticker, samples.stream, &n, &scores, a);
	account_end(g, mark);
	if (code != OK) {
		store_discard(&samples);
		return code;
	}
	TRY(store_commit(&samples));
	json_t *record = record_floor(g->plan, t, scores, n);
	code = store_save(g->store, arena_printf(a, "floors/%s.json", t->floor_key), record);
	json_decref(record);
	if (code != OK)
		store_remove(g->store, arena_printf(a, "floors/%s.samples.csv", t->floor_key));
	TRY(code);
	progress_end(g->progress, index, "ok", NULL);
	return OK;
}

/* A job that waits for a training which no cell is at any more. */
static bool take_waiting(struct grid *g, size_t *index)
{
	for (size_t i = 0; i < g->next; i++)
		if (g->jobs[i].waits_for != NULL &&
			!trainings_busy(g->trainings, g->jobs[i].waits_for)) {
			g->jobs[i].waits_for = NULL;
			*index = i;
			return true;
		}
	return false;
}

/* The next job. One that waits is not lost when there is none: the thread whose cell is at the
 * training that it waits for comes here afterwards. */
static bool take(struct grid *g, size_t *index)
{
	pthread_mutex_lock(&g->lock);
	bool taken = !parallel_stopping() && take_waiting(g, index);
	if (!taken && !parallel_stopping() && g->next < g->n) {
		taken = true;
		*index = g->next++;
	}
	pthread_mutex_unlock(&g->lock);
	return taken;
}

/* One thread: job after job. When none is left it goes to the end of the parallel region, where it
 * helps with the pieces of jobs that still run. */
static void work(struct grid *g)
{
	size_t index;

	while (take(g, &index)) {
		struct arena *a = arena_new();
		progress_begin(g->progress, index);
		int code = g->jobs[index].cell != NULL ? run_cell(g, index, a)
						       : run_floor(g, index, a);
		if (code != OK && code != ERR_INTERRUPTED)
			give_up(g);
		arena_free(a);
	}
}

static const char *job_name(const struct job *j, struct arena *a)
{
	if (j->cell == NULL)
		return arena_printf(a, "floors of %s", j->target->target->name);
	return arena_printf(a, "%s on %s, seed %llu", plan_label(j->cell), j->target->target->name,
		(unsigned long long)j->cell->seed);
}

/* Names, and weights: what is not known counts as the mean of what is. */
static void start_progress(struct grid *g)
{
	const char **names = ARENA_NEW(g->arena, g->n, const char *);
	double *weights = ARENA_NEW(g->arena, g->n, double), sum = 0;
	size_t known = 0;

	for (size_t i = 0; i < g->n; i++) {
		names[i] = job_name(&g->jobs[i], g->arena);
		if (!isnan(g->jobs[i].seconds)) {
			sum += g->jobs[i].seconds;
			known++;
		}
	}
	for (size_t i = 0; i < g->n; i++)
		weights[i] = !isnan(g->jobs[i].seconds) ? g->jobs[i].seconds + 0.01
			     : known > 0                ? sum / (double)known + 0.01
							: 1;
	g->progress = progress_new(g->n, names, weights);
}

/* --- leaving ---------------------------------------------------------------------------------- */

/* Under the lock. */
static void leave(struct grid *g)
{
	store_abandon(g->store);
	g->summary->not_run = g->plan->n_cells - g->summary->ran - g->summary->kept;
	g->options->leave(g->options->leave_context, g->summary, g->failed ? &g->error : NULL);
}

/* A thread that sees to it that a stop takes no longer than promised, whatever the plug-ins do. */
static void *watch(void *context)
{
	enum { PATIENCE = 20 };
	struct grid *g = context;
	int stopping = 0;

	pthread_mutex_lock(&g->lock);
	while (!g->done) {
		clock_wait(&g->ended, &g->lock, 0.1);
		stopping += parallel_stopping();
		if (stopping > PATIENCE && !g->done)
			leave(g);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

static void run_jobs(struct grid *g)
{
	pthread_t watcher;

	start_progress(g);
	g->cpu_seen = info_cpu_seconds();
	if (g->options->leave != NULL)
		invariant(pthread_create(&watcher, NULL, watch, g) == 0);
#pragma omp parallel num_threads((int)parallel_threads()) default(none) shared(g)
	{
		if (!g->options->serial || omp_get_thread_num() == 0)
			work(g);
	}
	pthread_mutex_lock(&g->lock);
	g->done = true;
	pthread_cond_signal(&g->ended);
	pthread_mutex_unlock(&g->lock);
	if (g->options->leave != NULL)
		pthread_join(watcher, NULL);
	progress_free(g->progress);
}

int grid_run(const struct plan *p, struct store *s, const struct grid_options *o,
	struct grid_summary *out, struct arena *a)
{
	struct grid g = { .plan = p, .store = s, .options = o, .summary = out, .arena = a };

	*out = (struct grid_summary){ .cells = p->n_cells };
	pthread_mutex_init(&g.lock, NULL);
	pthread_cond_init(&g.ended, NULL);
	g.trainings = grid_trainings(s, p, o, on_note, &g);
	list_jobs(&g);
	if (g.n > 0)
		run_jobs(&g);
	trainings_free(g.trainings);
	pthread_cond_destroy(&g.ended);
	pthread_mutex_destroy(&g.lock);
	out->not_run = p->n_cells - out->ran - out->kept;
	if (g.failed)
		return error_set(&g.error);
	return parallel_stopping() ? fail(ERR_INTERRUPTED, "interrupted") : OK;
}
