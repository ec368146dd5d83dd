/* Parts of the PyTorch code that belong to no method: optimiser, average of the parameters, time grids,
 * clips, prior. */
#include "golden_tensors.h"

#ifdef STRIDE_DOUBLE
static const double VALUE = 1e-12;
#else
/* Ten steps in float, and averages of numbers of size 1. */
static const double VALUE = 1e-5;
#endif

/* Double in both builds. Quantiles next to the bounds lose digits; grids are sums of 257 numbers. */
static const double PRIOR = 1e-12, GRID = 1e-13;

static bool open_common(struct golden *g, const char *dir, const char *file, struct tensors *f)
{
	return golden_exists(g, dir, file) && tensors_read(g, dir, file, f);
}

static void optimiser(struct golden *g, const char *dir)
{
	enum { STEPS = 10, N = 6 };
	struct arena *a = golden_arena(g);
	struct tensors f;
	struct learner l;

	if (!open_common(g, dir, "common_adam.txt", &f))
		return;
	const double *start = tensors_numbers(&f, "p0", N);
	const double *gradients = tensors_numbers(&f, "grads_before_clip", STEPS * N);
	const double *after = tensors_numbers(&f, "params_after", STEPS * N);
	double *got = ARENA_NEW(a, STEPS * N, double);
	if (!start || !gradients || !after)
		return;
	learner_init(&l, N, a);
	l.settings = (struct adam){ .rate = tensors_number(&f, "lr0"),
		.beta1 = 0.9,
		.beta2 = 0.999,
		.eps = 1e-8,
		.clip = CLIP_NORM,
		.clip_bound = 1,
		.clip_slack = 1e-6,
		.l2 = tensors_number(&f, "weight_decay"),
		.decay = 0.5,
		.decay_every = 3,
		.skip = true };
	for (size_t i = 0; i < N; i++)
		l.theta[i] = (real)start[i];
	for (size_t k = 0; k < STEPS; k++) {
		for (size_t i = 0; i < N; i++)
			l.grad[i] = (real)gradients[k * N + i];
		learner_update(&l, 0);
		for (size_t i = 0; i < N; i++)
			got[k * N + i] = (double)l.theta[i];
	}
	/* Means of the way there, which the parameters show. */
	(void)tensors_numbers(&f, "lr_used", STEPS);
	(void)tensors_numbers(&f, "norm_before_clip", STEPS);
	golden_compare(g, STEPS, N, got, after, 1, VALUE, "common_adam parameters");
	tensors_count_unused(&f);
}

/* The average moves with the parameters that each step leaves: here they are set. */
static void averages(struct golden *g, const char *dir)
{
	enum { STEPS = 60, N = 2 };
	struct arena *a = golden_arena(g);
	struct tensors f;
	struct learner l;

	if (!open_common(g, dir, "common_ema.txt", &f))
		return;
	const double *params = tensors_numbers(&f, "params", STEPS * N);
	const double *shadow = tensors_numbers(&f, "shadow", STEPS * N);
	double *got = ARENA_NEW(a, STEPS * N, double);
	if (!params || !shadow)
		return;
	learner_init(&l, N, a);
	l.settings = (struct adam){ .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .skip = true };
	learner_average(&l,
		(struct averaging){ .every = (long)tensors_number(&f, "update_every"),
			.from = (long)tensors_number(&f, "update_after_step"),
			.power = 0.9,
			.most = 0.9999 },
		a);
	for (size_t k = 0; k < STEPS; k++) {
		for (size_t i = 0; i < N; i++) {
			l.theta[i] = (real)params[k * N + i];
			l.grad[i] = 0; /* and the rate is 0 */
		}
		learner_update(&l, 0);
		for (size_t i = 0; i < N; i++)
			got[k * N + i] = (double)learner_evaluated(&l)[i];
	}
	(void)tensors_numbers(&f, "decay", STEPS); /* as above */
	golden_compare(g, STEPS, N, got, shadow, 1, VALUE, "common_ema average");
	tensors_count_unused(&f);
}

static void time_grids(struct golden *g, const char *dir)
{
	static const struct {
		const char *name;
		size_t steps;
		double end;
	} grids[] = { { "cosine_dds_T12.8_dt0.05", 257, 12.8 },
		{ "cosine_basicdds_T6.4_dt0.05", 129, 6.4 }, { "cosine_T6.4_steps7", 8, 6.4 } };
	struct tensors f;

	if (!open_common(g, dir, "common_timesteps.txt", &f))
		return;
	for (size_t i = 0; i < sizeof(grids) / sizeof(grids[0]); i++) {
		size_t n = grids[i].steps + 1;
		double *times = ARENA_NEW(golden_arena(g), n, double);
		const double *want = tensors_numbers(&f, grids[i].name, n);
		if (want == NULL)
			continue;
		schedule_dds_times(grids[i].steps, grids[i].end, times);
		golden_compare(g, 1, n, times, want, 0, GRID, "common_timesteps %s", grids[i].name);
	}
	tensors_count_unused(&f);
}

/* SCDS makes two optimiser steps an iteration; the numbers are of the first one. */
static void clips(struct golden *g, const char *dir)
{
	static const struct {
		const char *name;
		long steps;
	} solvers[] = { { "oc_20000", 1 }, { "scds_20000", 2 }, { "cdds_150000", 1 } };
	struct arena *a = golden_arena(g);
	struct tensors f;

	if (!open_common(g, dir, "common_schedules.txt", &f))
		return;
	for (size_t i = 0; i < sizeof(solvers) / sizeof(solvers[0]); i++) {
		const char *name = solvers[i].name;
		const char *clip =
			arena_printf(a, "%s.clip_start10_used_at_iteration_0based", name);
		const struct tensor *t = tensors_find(&f, clip);
		if (t == NULL)
			continue;
		const double *want = tensors_numbers(&f, clip, t->size);
		const double *at =
			tensors_numbers(&f, arena_printf(a, "%s.iteration", name), t->size);
		double *got = ARENA_NEW(a, t->size, double);
		for (size_t k = 0; at != NULL && k < t->size; k++)
			got[k] = 10 * schedule_clip(solvers[i].steps * (long)at[k]);
		golden_compare(g, 1, t->size, got, want, 0, 0, "common_schedules %s clip", name);
	}
	tensors_count_unused(&f);
}

static void prior(struct golden *g, const char *dir, const char *set)
{
	enum { N = 40 };
	struct tensors f;
	double got[N], log_p[N];

	if (!tensors_read(g, dir, arena_printf(golden_arena(g), "%s_prior.txt", set), &f))
		return;
	const double *u = tensors_numbers(&f, "u01", N), *x = tensors_numbers(&f, "x", N);
	const double *want = tensors_numbers(&f, "log_prob_untruncated", N);
	const double upper = tensors_number(&f, "upper"), lower = tensors_number(&f, "lower");
	if (!u || !x || !want)
		return;
	golden_compare(g, 1, 1, &(double){ -lower }, &upper, 0, 1e-15, "%s prior bounds", set);
	for (size_t i = 0; i < N; i++) {
		got[i] = rng_truncated(u[i], upper);
		log_p[i] = -0.5 * x[i] * x[i] - 0.5 * log(2 * 3.14159265358979324);
	}
	golden_compare(g, 1, N, got, x, 1, PRIOR, "%s prior samples", set);
	golden_compare(g, 1, N, log_p, want, 1, 1e-14, "%s prior log density", set);
	tensors_count_unused(&f);
}

void golden_scds_parts(struct golden *g, const char *dir)
{
	optimiser(g, dir);
	averages(g, dir);
	time_grids(g, dir);
	clips(g, dir);
	for (const char **s = golden_sets(g, dir, "_prior.txt"); *s != NULL; s++)
		prior(g, dir, *s);
}
