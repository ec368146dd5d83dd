#include "run/reference_make.h"

#include "core/folder.h"
#include "core/stats.h"
#include "mc/fit.h"
#include "run/clock.h"
#include "run/progress.h"
#include "run/reference.h"

#include <stdio.h>

/* Beyond this dimension importance weights degenerate and covariances cannot be estimated. */
enum { DIM_LARGE = 256 };
/* Importance sampling: draws of a run, and in the fit; the freedom of the t: its tails are heavy, and yet
 * in dozens of dimensions its radius not far from the Gaussian's. */
enum { DRAWS = 400000, DRAWS_FIT = 50000, FREEDOM = 20 };
/* A fit is widened, so that it covers what it was made from with less precision. */
static const double WIDEN = 1.15;
/* Disagreement of two ways, in joint standard errors, that is more than chance. */
static const double DISAGREE = 4;
/* Importance weights of a smaller effective sample size, as a fraction, hide what they miss. */
static const double ESS_LEAST = 0.005;
/* Seeds of fits are not those of runs, which are 0, 1, ... */
enum { SEED_FIT = 1u << 30 };

/* A target under way. */
struct work {
	struct density *d;
	size_t dim;
	struct fit fit;   /* dim 0: not made yet */
	struct fit prior; /* likewise */
	struct reference *record;
	const char *name, *path;
	double effort;
	bool failed; /* one of its runs */
	struct arena *arena;
};

/* What a run gives. */
struct outcome_run {
	double log_z;
	double *mean, *sd; /* [dim] */
};

/* --- sequential Monte Carlo ------------------------------------------------------------------- */

/* Options of the method smc by the target's dimension, and its number of particles. */
static size_t smc_particles(const struct work *w)
{
	return (size_t)(w->effort * (w->dim > DIM_LARGE ? 1024 : 32768));
}

/* A target with a proposal of its own is one that a Gaussian does not cover, with tails as narrow as its
 * centre is wide: more moves, of steps that vary from 0.05 to twice the adapted one. */
static const struct setting *smc_settings(const struct work *w)
{
	static const struct setting plain[] = { { "sigma0", "1" }, { "ess_target", "0.95" },
		{ "threshold", "1.1" }, { "moves", "3" }, { "leapfrog", "8" }, { NULL, NULL } };
	static const struct setting narrow[] = { { "sigma0", "1" }, { "ess_target", "0.95" },
		{ "threshold", "1.1" }, { "moves", "8" }, { "leapfrog", "8" }, { "jitter", "0.95" },
		{ NULL, NULL } };
	static const struct setting large[] = { { "sigma0", "1" }, { "ess_target", "0.8" },
		{ "threshold", "1.1" }, { "moves", "2" }, { "leapfrog", "6" }, { NULL, NULL } };

	return w->dim > DIM_LARGE ? large : density_target(w->d)->propose != NULL ? narrow : plain;
}

/* The pass of smc. The adaptive ladder's bias of log Z falls like 1 / particles: of few ones it is larger than the error,
 * and a frozen ladder has none. */
static const char *smc_pass(const struct work *w)
{
	return w->dim > DIM_LARGE ? "frozen" : "adaptive";
}

/* What makes a run of smc from `start` what it is. */
static const char *smc_recipe(const struct work *w, const char *start, struct arena *a)
{
	const char *text = arena_printf(a, "SMC with HMC moves from %s (version %d, %zu particles",
		start, method_find("smc")->version, smc_particles(w));

	if (w->dim > DIM_LARGE)
		text = arena_printf(a, "%s, pass %s", text, smc_pass(w));
	for (const struct setting *o = smc_settings(w); o->key != NULL; o++)
		text = arena_printf(a, "%s, %s=%s", text, o->key, o->value);
	return arena_printf(a, "%s)", text);
}

/* n samples x [n][dim] of the target, annealed from `start`, and log Z. */
static int smc_run(const struct work *w, const struct fit *start, uint64_t seed, size_t n,
	double *x, double *log_z, struct arena *a)
{
	const struct method *m = method_find("smc");
	const struct pass *pass = m->passes;
	void *state = arena_zalloc(a, 1, m->state_size);
	struct density *white;
	struct draws d = { .n = n, .x = arena_alloc(a, n * w->dim, sizeof(double)) };
	struct weight_stats s;

	d.log_w = ARENA_NEW(a, n, double);
	while (pass->name != NULL && strcmp(pass->name, smc_pass(w)) != 0)
		pass++;
	invariant(pass->name != NULL);
	TRY(density_whiten(&white, w->d, start->mean, start->factor, a));
	option_defaults(m->options, state, a);
	for (const struct setting *o = smc_settings(w); o->key != NULL; o++)
		TRY(option_set(m->options, state, m->name, o->key, o->value, a));
	struct cell c = { .target = white,
		.field = density_field(white),
		.dim = w->dim,
		.seed = seed,
		.arena = a };
	TRY(m->init(state, &c));
	TRY(m->sample(state, &c, pass, 0, 0, &d));
	stats_weights(d.log_w, n, 1, &s);
	if (!isfinite(s.log_mean))
		return fail(ERR_DIVERGED, "target %s: SMC's log Z is %g", w->name, s.log_mean);
	*log_z = s.log_mean;
	for (size_t i = 0; i < n; i++) {
		double *to = x + i * w->dim;
		const double *y = d.x + i * w->dim;
		for (size_t j = 0; j < w->dim; j++) {
			to[j] = start->mean[j];
			for (size_t k = 0; k <= j; k++)
				to[j] += start->factor[j * w->dim + k] * y[k];
		}
	}
	return OK;
}

static int run_smc(const struct work *w, const struct fit *start, uint64_t seed,
	struct outcome_run *out, struct arena *a)
{
	size_t n = smc_particles(w);
	double *x = arena_alloc(a, n * w->dim, sizeof(*x));

	TRY(smc_run(w, start, seed, n, x, &out->log_z, a));
	fit_moments(n, w->dim, x, NULL, out->mean, out->sd);
	return OK;
}

/* --- importance sampling ---------------------------------------------------------------------- */

struct importance {
	const struct work *w;
	struct rng r;
	size_t n;
	double *x;     /* [n][dim] */
	double *log_w; /* [n] */
};

static void importance_block(void *context, size_t b)
{
	const struct importance *job = context;
	const struct work *w = job->w;
	const struct target *t = density_target(w->d);
	const size_t first = b * TARGET_BLOCK;
	const size_t n = job->n - first < TARGET_BLOCK ? job->n - first : TARGET_BLOCK;
	struct arena *a = arena_new();
	double *columns = arena_alloc(a, n * w->dim, sizeof(*columns));
	double *z = ARENA_NEW(a, w->dim, double), log_rho[TARGET_BLOCK];

	for (size_t i = 0; i < n; i++) {
		double *x = job->x + (first + i) * w->dim;
		job->log_w[first + i] = -(
			t->propose != NULL ? t->propose(density_state(w->d), job->r, first + i, x)
					   : fit_draw_t(&w->fit, FREEDOM, job->r, first + i, z, x));
		for (size_t k = 0; k < w->dim; k++)
			columns[k * n + i] = x[k];
	}
	density_eval(w->d, n, columns, log_rho, NULL);
	for (size_t i = 0; i < n; i++)
		job->log_w[first + i] += log_rho[i];
	arena_free(a);
}

static struct importance importance_draw(const struct work *w, uint64_t seed, size_t n,
	struct arena *a)
{
	struct importance job = { w, { .seed = seed, .purpose = RNG_PRIOR }, n,
		arena_alloc(a, n * w->dim, sizeof(double)), ARENA_NEW(a, n, double) };

	parallel_for((n + TARGET_BLOCK - 1) / TARGET_BLOCK, importance_block, &job);
	return job;
}

static int run_importance(const struct work *w, uint64_t seed, struct outcome_run *out,
	struct arena *a)
{
	struct importance job = importance_draw(w, seed, (size_t)(w->effort * DRAWS), a);
	struct weight_stats s;

	stats_weights(job.log_w, job.n, 1, &s);
	if (!(s.ess >= ESS_LEAST))
		return fail(ERR_DIVERGED,
			"target %s: importance weights of mean exp(%g) are worth %g draws of %zu",
			w->name, s.log_mean, s.ess * (double)job.n, job.n);
	out->log_z = s.log_mean;
	fit_moments(job.n, w->dim, job.x, job.log_w, out->mean, out->sd);
	return OK;
}

/* --- fits ------------------------------------------------------------------------------------- */

static int make_prior(struct work *w)
{
	struct fit *p = &w->prior;

	p->mean = ARENA_NEW(w->arena, w->dim, double);
	p->factor = ARENA_NEW(w->arena, w->dim * w->dim, double);
	density_target(w->d)->prior(density_state(w->d), p->mean, p->factor);
	p->dim = w->dim;
	return OK;
}

static int make_fit(struct work *w)
{
	struct arena *scratch = arena_new();
	int code = OK;

	if (density_target(w->d)->propose != NULL) {
		struct importance job =
			importance_draw(w, SEED_FIT, (size_t)(w->effort * DRAWS_FIT), scratch);
		code = fit_points(&w->fit, job.n, w->dim, job.x, job.log_w, WIDEN, w->arena);
	} else {
		code = fit_laplace(&w->fit, w->d, NULL, WIDEN, w->arena);
		if (code == OK && w->dim <= DIM_LARGE) {
			size_t n = smc_particles(w);
			double *x = arena_alloc(scratch, n * w->dim, sizeof(*x)), log_z;
			code = smc_run(w, &w->fit, SEED_FIT, n, x, &log_z, scratch);
			if (code == OK)
				code = fit_points(&w->fit, n, w->dim, x, NULL, WIDEN, w->arena);
		}
	}
	arena_free(scratch);
	return code;
}

/* --- ways ------------------------------------------------------------------------------------- */

static bool can_smc(const struct work *w)
{
	const struct target *t = density_target(w->d);

	return t->propose != NULL || t->hvp != NULL;
}

static bool can_importance(const struct work *w)
{
	const struct target *t = density_target(w->d);

	return t->propose != NULL || (t->hvp != NULL && w->dim <= DIM_LARGE);
}

static bool can_prior(const struct work *w)
{
	return density_target(w->d)->prior != NULL && w->dim > DIM_LARGE;
}

static const char *recipe_smc(const struct work *w, struct arena *a)
{
	return smc_recipe(w, "a Gaussian fit", a);
}

static const char *recipe_importance(const struct work *w, struct arena *a)
{
	size_t draws = (size_t)(w->effort * DRAWS);

	if (density_target(w->d)->propose != NULL)
		return arena_printf(a,
			"importance sampling from the target's own proposal (%zu draws)", draws);
	return arena_printf(a,
		"importance sampling from a t with %d degrees of freedom around a Gaussian fit "
		"(%zu draws)",
		FREEDOM, draws);
}

static const char *recipe_prior(const struct work *w, struct arena *a)
{
	return smc_recipe(w, "the prior", a);
}

static int way_smc(struct work *w, uint64_t seed, struct outcome_run *out, struct arena *a)
{
	if (w->fit.dim == 0)
		TRY(make_fit(w));
	return run_smc(w, &w->fit, seed, out, a);
}

static int way_importance(struct work *w, uint64_t seed, struct outcome_run *out, struct arena *a)
{
	if (w->fit.dim == 0 && density_target(w->d)->propose == NULL)
		TRY(make_fit(w));
	return run_importance(w, seed, out, a);
}

static int way_prior(struct work *w, uint64_t seed, struct outcome_run *out, struct arena *a)
{
	if (w->prior.dim == 0)
		TRY(make_prior(w));
	return run_smc(w, &w->prior, seed, out, a);
}

static const struct way {
	const char *name;
	const char *(*recipe)(const struct work *w, struct arena *a);
	bool (*can)(const struct work *w);
	int (*run)(struct work *w, uint64_t seed, struct outcome_run *out, struct arena *a);
} ways[] = {
	{ "smc", recipe_smc, can_smc, way_smc },
	{ "importance", recipe_importance, can_importance, way_importance },
	{ "prior", recipe_prior, can_prior, way_prior },
};
enum { N_WAYS = sizeof(ways) / sizeof(*ways) };

/* --- the jobs --------------------------------------------------------------------------------- */

struct job {
	struct work *work;
	const struct way *way;
	const char *recipe;
};

static int one_run(const struct job *j)
{
	struct work *w = j->work;
	struct arena *a = arena_new();
	struct outcome_run out = { .mean = ARENA_NEW(a, w->dim, double),
		.sd = ARENA_NEW(a, w->dim, double) };
	double start = clock_seconds();
	int code = j->way->run(w, reference_runs(w->record, j->way->name, j->recipe), &out, a);

	if (code == OK) {
		reference_add(w->record, j->way->name, j->recipe, out.log_z, out.mean, out.sd,
			clock_seconds() - start, w->arena);
		code = reference_save(w->record, w->name, w->path);
	}
	arena_free(a);
	return code;
}

static int open_work(struct work *w, const char *target, const struct reference_request *q,
	struct arena *a)
{
	*w = (struct work){ .name = target,
		.path = arena_printf(a, "%s/%s.json", q->folder, target),
		.effort = q->effort,
		.arena = a };
	TRY(density_new(&w->d, target, NULL, 0, a));
	w->dim = density_dim(w->d);
	if (density_own_log_z(w->d).kind != LOG_Z_UNKNOWN)
		return fail(ERR_RANGE, "target %s needs no reference: stride show %s", target,
			target);
	TRY(reference_read(&w->record, w->path, a));
	if (w->record == NULL)
		w->record = reference_new(w->d, a);
	else if (!reference_matches(w->record, w->d))
		return fail(ERR_BUSY,
			"%s: the record of another density than target %s is now; move it away",
			w->path, target);
	return OK;
}

/* The targets asked for, or all whose log Z has to be estimated. */
static int open_all(const struct reference_request *q, struct work **works, size_t *n,
	struct arena *a)
{
	size_t all = q->n;

	while (q->n == 0 && targets[all] != NULL)
		all++;
	*works = ARENA_NEW(a, all, struct work);
	*n = 0;
	for (size_t i = 0; i < all; i++) {
		const char *name = q->n > 0 ? q->targets[i] : targets[i]->name;
		int code = open_work(&(*works)[*n], name, q, a);
		if (code == OK)
			(*n)++;
		else if (q->n > 0 || code != ERR_RANGE)
			return code;
	}
	return OK;
}

static size_t plan_jobs(struct work *works, size_t n, size_t repeats, struct job *jobs,
	const char **names, double *weights, struct arena *a)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < N_WAYS; k++) {
			struct work *w = &works[i];
			const char *recipe = ways[k].recipe(w, a);
			if (!ways[k].can(w))
				continue;
			for (size_t r = reference_runs(w->record, ways[k].name, recipe);
				r < repeats; r++) {
				jobs[count] = (struct job){ w, &ways[k], recipe };
				names[count] =
					arena_printf(a, "%s %s %zu", w->name, ways[k].name, r);
				/* Roughly: products of dim x dim numbers take over. */
				weights[count++] = (double)w->dim + pow((double)w->dim / 100, 3);
			}
		}
	return count;
}

/* What the record says now; an error where it cannot be relied on. */
static int print_result(const struct work *w)
{
	const struct reference *r = w->record;
	double apart = reference_disagreement(r);

	if (r->log_z.kind == LOG_Z_ESTIMATE)
		printf("%s: log Z %.6f ± %.6f\n", w->name, r->log_z.value, r->log_z.se);
	else
		printf("%s: log Z has no error yet: one run a way\n", w->name);
	for (size_t i = 0; i < r->n_ways; i++)
		printf("  %-10s %.6f ± %.6f (%zu, of standard deviation %.4f)\n", r->way[i].name,
			r->way[i].log_z.value, r->way[i].log_z.se, r->way[i].runs,
			r->way[i].spread);
	if (r->n_ways > 1)
		printf("  %.2f joint standard errors apart\n", apart);
	fflush(stdout);
	for (size_t i = 0; i < r->n_ways; i++)
		if (r->way[i].spread > REFERENCE_SPREAD)
			return fail(ERR_NUMERIC,
				"target %s: log Z of the runs of %s has a standard deviation of "
				"%.2f; more than %g says little of Z",
				w->name, r->way[i].name, r->way[i].spread, REFERENCE_SPREAD);
	if (!(apart <= DISAGREE))
		return fail(ERR_NUMERIC, "target %s: two ways differ by %.2f standard errors",
			w->name, apart);
	return OK;
}

/* The first error of all is kept. */
static void keep_error(struct error *kept, int code)
{
	if (code != OK && kept->code == OK)
		error_get(kept);
}

/* All jobs; one that fails takes with it what is left of its target. Interruption and files that cannot
 * be written end the rest. */
static void run_jobs(const struct job *jobs, size_t n, struct progress *p, struct error *kept)
{
	for (size_t i = 0; i < n; i++) {
		const struct job *j = &jobs[i];
		struct error e = { .code = OK };
		if (j->work->failed)
			continue;
		progress_begin(p, i);
		int code = parallel_stopping() ? fail(ERR_INTERRUPTED, "interrupted") : one_run(j);
		keep_error(&e, code);
		keep_error(kept, code);
		progress_end(p, i, code == OK ? "ok" : "failed", code == OK ? NULL : e.text);
		j->work->failed = code != OK;
		if (code == ERR_INTERRUPTED || code == ERR_IO)
			return;
	}
}

static int check_request(const struct reference_request *q)
{
	if (q->repeats < 1 || q->repeats > REFERENCE_RUNS)
		return fail(ERR_RANGE, "--repeats %zu: it takes 1 to %d", q->repeats,
			REFERENCE_RUNS);
	for (size_t i = 0; i < q->n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(q->targets[i], q->targets[j]) == 0)
				return fail(ERR_NAME, "target %s is named twice", q->targets[i]);
	return folder_make(q->folder);
}

int references_make(const struct reference_request *q, struct arena *a)
{
	struct error kept = { .code = OK };
	struct work *works;
	size_t n, count;

	TRY(check_request(q));
	TRY(open_all(q, &works, &n, a));
	struct job *jobs = arena_alloc(a, n * N_WAYS * q->repeats, sizeof(*jobs));
	const char **names = ARENA_NEW(a, n * N_WAYS * q->repeats, const char *);
	double *weights = ARENA_NEW(a, n * N_WAYS * q->repeats, double);
	count = plan_jobs(works, n, q->repeats, jobs, names, weights, a);
	struct progress *p = progress_new(count, names, weights);
	run_jobs(jobs, count, p, &kept);
	progress_free(p);
	if (kept.code == ERR_INTERRUPTED)
		return fail(ERR_INTERRUPTED,
			"interrupted: finished runs are kept in %s; the same command goes on from "
			"there",
			q->folder);
	for (size_t i = 0; i < n; i++)
		if (works[i].record->n_ways > 0)
			keep_error(&kept, print_result(&works[i]));
	return kept.code == OK ? OK : error_set(&kept);
}
