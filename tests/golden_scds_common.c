/* What the methods of the PyTorch code share: optimiser, averages, schedules, grids, the process that is
 * reversed, the truncated prior, the filter of the losses; the densities at some points, and what its
 * evaluation says of samples. */
#include "golden_tensors.h"
#include "golden_trial.h"

#include "core/stats.h"
#include "nn/reduction.h"
#include "run/reversal.h"
#include "score/moments.h"

/* Compare with all numbers of the tensor prefix + name. */
static void compare_all(struct tensors *f, const char *prefix, const char *name, const double *got,
	double floor, double tolerance)
{
	const char *full = arena_printf(golden_arena(f->g), "%s%s", prefix, name);
	struct tensor *t = tensors_find(f, full);
	const double *want = tensors_numbers(f, full, t != NULL ? t->size : 1);

	if (want != NULL)
		golden_compare(f->g, t->size, 1, got, want, floor, tolerance, "%s %s", f->file,
			full);
}

static size_t size_of(const struct tensors *f, const char *name)
{
	const struct tensor *t = tensors_find(f, name);

	return t != NULL ? t->size : 0;
}

static double *room(const struct tensors *f, size_t n)
{
	return ARENA_NEW(golden_arena(f->g), n, double);
}

/* A method with its preset and these settings. */
static bool open_preset(struct tensors *f, struct trial *t, const char *method, const char *paper,
	const char *settings)
{
	struct density *d;

	*t = (struct trial){ .g = f->g, .name = f->file };
	return density_new(&d, "gmm9", NULL, 0, golden_arena(f->g)) == OK &&
	       trial_open(t, method, paper) && trial_settings(t, settings) &&
	       trial_init(t, d, NULL);
}

/* --- optimiser ----------------------------------------------------------------------------------- */

/* Steps with the settings of the SCDS paper, but for a rate that is halved every three. */
static void adam(struct tensors *f)
{
	struct trial t;
	size_t n = size_of(f, "p0"), steps = size_of(f, "lr_used");
	const double *start = tensors_numbers(f, "p0", n);
	const double *grads = tensors_numbers(f, "grads_before_clip", steps * n);
	double *rate = room(f, steps), *norm = room(f, steps), *after = room(f, steps * n);
	struct learner l;

	if (!start || !grads || !open_preset(f, &t, "dis", "scds-paper", "batch=8,steps=2"))
		return;
	learner_init(&l, n, golden_arena(f->g));
	l.settings = ((const struct controlled *)t.state)->learner.settings;
	l.settings.decay = 0.5;
	l.settings.decay_every = 3;
	compare_all(f, "", "lr0", &l.settings.rate, 0, 1e-15);
	compare_all(f, "", "weight_decay", &l.settings.l2, 0, 1e-15);
	for (size_t i = 0; i < n; i++)
		l.theta[i] = (real)start[i];
	for (size_t k = 0; k < steps; k++) {
		rate[k] = adam_rate(&l.settings, (long)k);
		for (size_t i = 0; i < n; i++) {
			l.grad[i] = (real)grads[k * n + i];
			norm[k] += grads[k * n + i] * grads[k * n + i];
		}
		norm[k] = sqrt(norm[k]);
		learner_update(&l, 0);
		for (size_t i = 0; i < n; i++)
			after[k * n + i] = (double)l.theta[i];
	}
	compare_all(f, "", "lr_used", rate, 0, 1e-15);
	compare_all(f, "", "norm_before_clip", norm, 0, 1e-14);
	compare_all(f, "", "params_after", after, 1, fmax(1e-14, 8 * (double)REAL_EPS));
}

/* Averages of recorded parameters: a rate of 0 leaves them as they are. */
static void averages(struct tensors *f)
{
	size_t steps = size_of(f, "decay"), n = steps > 0 ? size_of(f, "params") / steps : 0;
	const double *params = tensors_numbers(f, "params", steps * n);
	struct averaging how = { .every = (long)tensors_number(f, "update_every"),
		.from = (long)tensors_number(f, "update_after_step"),
		.power = 0.9,
		.most = 0.9999 };
	double *decay = room(f, steps), *shadow = room(f, steps * n);
	struct learner l;

	if (params == NULL)
		return;
	learner_init(&l, n, golden_arena(f->g));
	learner_average(&l, how, golden_arena(f->g)); /* of zeros */
	l.settings = (struct adam){ .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8 };
	for (size_t k = 0; k < steps; k++) {
		for (size_t i = 0; i < n; i++)
			l.theta[i] = (real)params[k * n + i];
		learner_update(&l, 0);
		decay[k] = averaging_decay(&how, (long)k + 1);
		for (size_t i = 0; i < n; i++)
			shadow[k * n + i] = (double)learner_evaluated(&l)[i];
	}
	compare_all(f, "", "decay", decay, 1, 1e-15);
	compare_all(f, "", "shadow", shadow, 1, fmax(1e-15, 4 * (double)REAL_EPS));
}

/* Rates and clips in whole trainings of the methods, of which an iteration has so many updates. */
static void schedules(struct tensors *f)
{
	static const struct {
		const char *part, *method, *paper, *settings;
		long updates;
	} trainings[] = {
		{ "oc_20000", "dis", "scds-paper", "batch=8,steps=2,control_clip=10", 1 },
		{ "scds_20000", "scds", NULL, "batch=8,steps=2,control_clip=10", 2 },
		{ "cdds_150000", "cdds", NULL,
			"batch=8,steps=2,levels=3,teacher_iterations=1,control_clip=10", 1 },
	};
	struct arena *a = golden_arena(f->g);

	for (size_t k = 0; k < sizeof(trainings) / sizeof(trainings[0]); k++) {
		const char *name = arena_printf(a, "%s.iteration", trainings[k].part);
		size_t n = size_of(f, name);
		const double *iteration = tensors_numbers(f, name, n);
		double *rate = room(f, n), *bound = room(f, n);
		struct trial t;
		if (iteration == NULL || !open_preset(f, &t, trainings[k].method,
						 trainings[k].paper, trainings[k].settings))
			continue;
		struct controlled *base = t.state;
		for (size_t i = 0; i < n; i++) {
			base->learner.optimiser.count = (long)iteration[i] * trainings[k].updates;
			rate[i] = adam_rate(&base->learner.settings, base->learner.optimiser.count);
			controlled_ready(base);
			bound[i] = base->clips.model;
		}
		compare_all(f, trainings[k].part, ".lr_used_at_iteration_0based", rate, 0,
			4e-13); /* there a product of up to 1500 factors */
		compare_all(f, trainings[k].part, ".clip_start10_used_at_iteration_0based", bound,
			0, 0);
	}
}

/* --- grids and the process ----------------------------------------------------------------------- */

static void uniform_grid(struct tensors *f, const char *name, double horizon)
{
	const struct controlled base = { .network = NETWORK_SCDS };
	size_t n = size_of(f, name);
	double *got = room(f, n);

	for (size_t i = 0; i < n; i++)
		got[i] = controlled_time(&base, 1 - (double)i / (double)(n - 1), horizon);
	compare_all(f, "", name, got, 1, 1e-15);
}

static void dds_grid(struct tensors *f, const char *name, double horizon)
{
	size_t n = size_of(f, name);
	double *got = room(f, n);

	if (n > 2)
		schedule_dds_times(n - 1, horizon, got);
	compare_all(f, "", name, got, 1, 1e-14);
}

static void timesteps(struct tensors *f)
{
	double quad[9];

	uniform_grid(f, "uniform_8", 1);
	uniform_grid(f, "uniform_128", 1);
	uniform_grid(f, "pis_uniform_8", 5);
	dds_grid(f, "cosine_dds_T12.8_dt0.05", 12.8);
	dds_grid(f, "cosine_basicdds_T6.4_dt0.05", 6.4);
	dds_grid(f, "cosine_T6.4_steps7", 6.4);
	/* No solver has this grid, in the code or here: the formula that is written of it. */
	for (size_t i = 0; i < 9; i++)
		quad[i] = sqrt((double)i / 8);
	compare_all(f, "", "quad_8_T1", quad, 1, 1e-15);
}

/* One of the processes, towards the target or (inference) away from it. */
static void compare_process(struct tensors *f, const char *prefix, const char *settings,
	bool inference)
{
	enum { BETA, DIFF, DRIFT, COEFFICIENT, DIVERGENCE, MEAN, VARIANCE, PARTS };
	static const char *const names[PARTS] = { "beta", "diff", "drift", "int_drift_coeff_0_t",
		"drift_div_int_0_t", "marginal_loc", "marginal_var" };
	size_t n = size_of(f, "t");
	const double *time = tensors_numbers(f, "t", n), *x = tensors_numbers(f, "x", n);
	double *got[PARTS];
	struct trial t;

	if (!time || !x || !open_preset(f, &t, "scds", NULL, settings))
		return;
	const struct reversal *r = t.state;
	for (int k = 0; k < PARTS; k++)
		got[k] = room(f, n);
	for (size_t i = 0; i < n; i++) {
		double at = inference ? time[i] : 1 - time[i], sign = inference ? -1 : 1;
		double pull = inference ? -reversal_integral(r, at)
					: reversal_integral(r, 1) - reversal_integral(r, at);
		got[BETA][i] = 2 * reversal_b(r, at);
		got[DIFF][i] = reversal_sigma(r, at);
		got[DRIFT][i] = sign * reversal_b(r, at) * x[i];
		got[COEFFICIENT][i] = got[DIVERGENCE][i] = pull;
		got[MEAN][i] = exp(pull) * x[i];
		got[VARIANCE][i] = -expm1(2 * pull);
	}
	for (int k = 0; k < (inference ? PARTS : MEAN); k++)
		compare_all(f, prefix, names[k], got[k], 1, 1e-14);
}

static void process(struct tensors *f)
{
	compare_process(f, "vp10_generative.", "batch=8,steps=2", false);
	compare_process(f, "vp10_inference.", "batch=8,steps=2", true);
	compare_process(f, "vp20_generative.", "batch=8,steps=2,beta_max=20", false);
	compare_process(f, "vp20_inference.", "batch=8,steps=2,beta_max=20", true);
}

/* --- prior and filter ---------------------------------------------------------------------------- */

static void prior(struct tensors *f)
{
	size_t n = size_of(f, "u01");
	const double *u = tensors_numbers(f, "u01", n), *at = tensors_numbers(f, "x", n);
	double *x = room(f, n), *log_p = room(f, n);
	struct graph *g = graph_new(golden_arena(f->g), NULL, NULL);
	const struct binding in = { "x", NULL, at };
	const struct capture out = { "log_p", log_p, NULL, NULL };
	double bound = tensors_number(f, "upper"), lower = tensors_number(f, "lower");

	if (u == NULL || at == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		x[i] = rng_truncated(u[i], CONTROLLED_BOUND);
	bound = CONTROLLED_BOUND;
	lower = -bound;
	/* The inverse of erf has a relative error of some roundings there and here. */
	compare_all(f, "", "x", x, 1, 1e-13);
	compare_all(f, "", "upper", &bound, 0, 1e-14);
	compare_all(f, "", "lower", &lower, 0, 1e-14);
	label(log_gaussian(input(g, "x", 1), 1), "log_p");
	graph_forward(g, &(struct graph_args){ .rows = n,
				 .inputs = &in,
				 .n_inputs = 1,
				 .captures = &out,
				 .n_captures = 1 });
	compare_all(f, "", "log_prob_untruncated", log_p, 1, GOLDEN_VALUE);
}

static void filter(struct tensors *f)
{
	static const struct {
		const char *name, *values;
		struct reduction how;
	} cases[] = {
		{ "lv_maxrnd1e8", "rnd", { REDUCE_KEPT_VARIANCE, 1e8, 0 } },
		{ "lv_maxrndNone", "rnd", { REDUCE_KEPT_VARIANCE, INFINITY, 0 } },
		{ "kl_maxrnd1e8", "rnd", { REDUCE_KEPT_MEAN, 1e8, 0 } },
		{ "kl_maxrndNone", "rnd", { REDUCE_KEPT_MEAN, INFINITY, 0 } },
		{ "lv_traj4_maxrnd1e8", "rnd", { REDUCE_KEPT_VARIANCE, 1e8, 3 } },
		{ "clean.lv", "rnd_clean", { REDUCE_KEPT_VARIANCE, 1e8, 0 } },
		{ "clean.lv_traj4", "rnd_clean", { REDUCE_KEPT_VARIANCE, 1e8, 3 } },
	};

	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		size_t n = size_of(f, cases[k].values), dropped;
		const double *values = tensors_numbers(f, cases[k].values, n);
		if (values == NULL)
			continue;
		double loss = reduce(&cases[k].how, n, values, NULL, &dropped);
		double lost = (double)dropped;
		compare_all(f, cases[k].name, ".loss", &loss, 0, 1e-14);
		compare_all(f, cases[k].name, ".n_filtered", &lost, 0, 0);
	}
}

/* --- densities ----------------------------------------------------------------------------------- */

static void densities(struct tensors *f)
{
	/* The targets have deviations as the code keeps them, in float, 2^-24 away: densities and scores
	 * of the mixtures are 2^-23 from those here. The score of the rings is written with 1/(r + 1e-8)
	 * there, which changes it by 200 c 1e-8/r. */
	static const double exact = 1e-10, rounded = 0x1p-23, near_rings = 3e-6;
	static const struct setting shift[] = { { "mean", "3" }, { "dim", "1" } };
	const struct {
		const char *name, *target;
		size_t n_settings;
		double value, score; /* tolerances */
	} all[] = { { "gmm9", "gmm9", 0, rounded, rounded },
		{ "gmm40", "gmm40_fab", 0, rounded, rounded },
		{ "funnel10", "funnel", 0, exact, exact },
		{ "dw_shift", "double_well", 0, exact, exact },
		{ "mw5", "many_well_5", 0, exact, exact },
		{ "mw54_50d", "many_well_50", 0, exact, exact },
		{ "rings", "rings", 0, exact, near_rings },
		{ "rosenbrock15", "rosenbrock", 0, exact, exact },
		{ "gauss_shift", "gaussian", 2, exact, exact } };
	struct arena *a = golden_arena(f->g);

	for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
		const char *name = arena_printf(a, "%s.x", all[k].name);
		struct tensor *points = tensors_find(f, name);
		struct density *d;
		if (points == NULL ||
			density_new(&d, all[k].target, shift, all[k].n_settings, a) != OK) {
			golden_failed(f->g, "%s: %s", name, error_text());
			continue;
		}
		size_t n = points->dims[0], dim = points->dims[1];
		const double *rows = tensors_numbers(f, name, n * dim);
		double *log_rho = room(f, n), *score = room(f, n * dim);
		for (size_t i = 0; i < n; i++)
			density_eval(d, 1, rows + i * dim, &log_rho[i], score + i * dim);
		compare_all(f, all[k].name, ".unnorm_log_prob", log_rho, 1, all[k].value);
		compare_all(f, all[k].name, ".score", score, 1, all[k].score);
	}
}

/* The means of the 40 modes: the target's own give the same density. */
static void modes(struct tensors *f)
{
	size_t n = size_of(f, "loc") / 2;
	const double *mean = tensors_numbers(f, "loc", 2 * n);
	double sd = tensors_number(f, "scale"), *got = room(f, n), *want = room(f, n);
	struct density *d;

	if (mean == NULL || density_new(&d, "gmm40_fab", NULL, 0, golden_arena(f->g)) != OK)
		return;
	for (size_t i = 0; i < n; i++) {
		double sum = 0;
		density_eval(d, 1, mean + 2 * i, &got[i], NULL);
		for (size_t k = 0; k < n; k++) {
			double x = mean[2 * i] - mean[2 * k], y = mean[2 * i + 1] - mean[2 * k + 1];
			sum += exp(-0.5 * (x * x + y * y) / (sd * sd)) / (double)n;
		}
		want[i] = log(sum / (sd * sd)) - LOG_2PI;
	}
	/* The target's deviation is in float. */
	golden_compare(f->g, n, 1, got, want, 1, 0x1p-23, "%s density of gmm40_fab", f->file);
}

/* --- evaluation ---------------------------------------------------------------------------------- */

/* A density's part of the file, as the code's evaluation sees it. Its means are sums of 64 terms, good to 64
 * roundings of at most 15 times the value or error, which is 1e-13 of one plus it. */
struct evaluation {
	struct tensors *f;
	const char *kind;
	struct scored in;
};

static const double evaluation_tolerance = 1e-13;

static const char *part(const struct evaluation *e, const char *name)
{
	return arena_printf(golden_arena(e->f->g), "%s.%s", e->kind, name);
}

static void compare_part(const struct evaluation *e, const char *name, double got)
{
	compare_all(e->f, part(e, "metric."), name, &got, 1, evaluation_tolerance);
}

/* The two errors of a value: |value - want|, and that over |want| + 1e-8. */
static void compare_errors(const struct evaluation *e, const char *name, double value, double want)
{
	struct arena *a = golden_arena(e->f->g);
	double error = fabs(value - want);

	compare_part(e, arena_printf(a, "error/%s", name), error);
	compare_part(e, arena_printf(a, "rel_error/%s", name), error / (fabs(want) + 1e-8));
}

static void expectations(const struct evaluation *e)
{
	static const struct {
		const char *name;
		enum moments_of what;
	} all[] = { { "square", MOMENTS_SQUARE }, { "abs", MOMENTS_ABS }, { "sum", MOMENTS_SUM },
		{ "square_minus_sum", MOMENTS_SQUARE_MINUS_SUM } };
	struct arena *a = golden_arena(e->f->g);
	const struct scored *in = &e->in;

	for (size_t k = 0; k < 2 * sizeof(all) / sizeof(all[0]); k++) {
		const char *name = arena_printf(a, "%s%s", all[k / 2].name, k % 2 ? "_is" : "");
		double want = tensors_number(e->f,
			part(e, arena_printf(a, "ref_expectation.%s", all[k / 2].name)));
		double got = moments_expectation(all[k / 2].what, in->x, in->n, in->dim,
			k % 2 ? in->log_w : NULL, a);
		compare_part(e, arena_printf(a, "eval/%s", name), got);
		compare_errors(e, name, got, want);
	}
}

static void deviations(const struct evaluation *e)
{
	struct arena *a = golden_arena(e->f->g);
	const struct scored *in = &e->in;
	const double *want = tensors_numbers(e->f, part(e, "ref_stddevs"), in->dim);
	double *mean = room(e->f, in->dim), *sd = room(e->f, in->dim);

	if (want == NULL)
		return;
	moments_marginal(in->x, in->n, in->dim, NULL, mean, sd, a);
	for (size_t k = 0; k < 2; k++) {
		compare_part(e, arena_printf(a, "eval/avg_%zu", k), mean[k]);
		compare_part(e, arena_printf(a, "eval/stddev_%zu", k), sd[k]);
	}
	double average = stats_mean(sd, in->dim);
	compare_part(e, "eval/avg_stddev", average);
	compare_errors(e, "avg_stddev", average, stats_mean(want, in->dim));
	compare_part(e, "error/avg_marginal_stddev", moments_distance(sd, want, in->dim));
}

/* What a metric of the project says; NaN, after counting a failure, when it says nothing. */
static double metric_value(const struct evaluation *e, const char *name)
{
	const struct metric *m = metric_find(name);
	struct value out = value_make((double)NAN, (double)NAN);

	if (m == NULL || m->eval(&e->in, &out) != OK)
		golden_failed(e->f->g, "%s: %s", part(e, name), error_text());
	return out.value;
}

static void evaluate(struct tensors *f, const char *kind, size_t n, size_t dim)
{
	struct evaluation e = { f, kind,
		{ .n = n, .dim = dim, .n_exact = n, .elbo = (double)NAN } };
	const double *box = tensors_numbers(f, part(&e, "domain"), 2 * dim);

	e.in.x = tensors_numbers(f, part(&e, "samples"), n * dim);
	e.in.exact = tensors_numbers(f, part(&e, "gt_samples"), n * dim);
	e.in.log_w = tensors_numbers(f, part(&e, "log_weights"), n);
	e.in.arena = golden_arena(f->g);
	if (!box || !e.in.x || !e.in.exact || !e.in.log_w)
		return;
	expectations(&e);
	deviations(&e);
	compare_part(&e, "eval/frac_pred_in_domain", moments_inside(e.in.x, n, dim, box));
	compare_part(&e, "eval/frac_groundtruth_in_domain",
		moments_inside(e.in.exact, n, dim, box));
	double log_z = metric_value(&e, "logz_rev"), ess = metric_value(&e, "ess_rev");
	compare_part(&e, "eval/log_norm_const_is", log_z);
	compare_errors(&e, "log_norm_const_is", log_z, 0); /* densities that are normalised */
	compare_part(&e, "eval/norm_effective_sample_size", ess);
	compare_part(&e, "eval/effective_sample_size", ess * (double)n);
	/* Exponents of size 1e4, rounded to 1e-12, a hundred times over. */
	double distance = metric_value(&e, "sinkhorn_scds");
	compare_all(f, part(&e, "metric."), "error/sinkhorn", &distance, 0, 1e-10);
}

static void evaluations(struct tensors *f)
{
	static const char suffix[] = ".samples";
	const size_t tail = sizeof(suffix) - 1;

	for (size_t i = 0; i < f->n; i++) {
		const struct tensor *t = &f->list[i];
		size_t length = strlen(t->name);
		if (length > tail && strcmp(t->name + length - tail, suffix) == 0 && t->n_dims == 2)
			evaluate(f,
				arena_printf(golden_arena(f->g), "%.*s", (int)(length - tail),
					t->name),
				t->dims[0], t->dims[1]);
	}
}

static void check_file(struct golden *g, const char *dir, const char *file,
	void (*check)(struct tensors *f))
{
	struct tensors f;

	if (!tensors_read(g, dir, file, &f))
		return;
	check(&f);
	tensors_count_unused(&f);
}

void golden_scds_common(struct golden *g, const char *dir)
{
	static const struct {
		const char *file; /* or, from _ on, the end of its name behind that of the set */
		void (*check)(struct tensors *f);
	} kinds[] = { { "common_adam.txt", adam }, { "common_ema.txt", averages },
		{ "common_schedules.txt", schedules }, { "common_timesteps.txt", timesteps },
		{ "common_sde.txt", process }, { "common_gmm40_params.txt", modes },
		{ "_prior.txt", prior }, { "_rnd_filter.txt", filter },
		{ "_targets.txt", densities }, { "_metrics.txt", evaluations } };
	struct arena *a = golden_arena(g);

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *file = kinds[i].file;
		if (file[0] != '_' && golden_exists(g, dir, file))
			check_file(g, dir, file, kinds[i].check);
		if (file[0] != '_')
			continue;
		for (const char **s = golden_sets(g, dir, file); *s != NULL; s++)
			check_file(g, dir, arena_printf(a, "%s%s", *s, file), kinds[i].check);
	}
}
