/*
 * Parallel tempering (Swendsen and Wang 1986; Geyer 1991): replicas x_r at temperatures
 * 1 = beta_1 > ... > beta_R = 0 of the path
 *     log pi_r = beta_r log rho + (1 - beta_r) log p0,  p0 = N(0, sigma0^2 I),  V = log rho - log p0.
 * A sweep moves every replica by a kernel that leaves its pi_r invariant (at beta = 0 a fresh
 * draw of p0), then lets neighbours s = r + 1 change places, r odd in one sweep and even in the
 * next, with probability
 *     min(1, exp((beta_r - beta_s) (V(x_s) - V(x_r)))).                                        (1)
 * Many such ensembles run side by side from draws of p0 and never meet: they share what is tuned.
 *
 * In the burn-in step sizes are adapted by dual averaging. Its rounds double in length; after each but the
 * last, coordinates are scaled by the ensembles' own spread, and the ladder is placed anew such that all
 * pairs reject alike (Syed et al. 2021): at equal distances of the running sum of rejection rates,
 *     Lambda(beta_r) = sum of the rejection rates of the pairs from 1 to r, linear in between.   (2)
 * All is fixed after that.
 *
 * log Z in two ways from all sweeps after the burn-in:
 *     stepping stone (Xie et al. 2011): sum_r log E_s exp((beta_r - beta_s) V)                  (3)
 *     thermodynamic integration: int_0^1 E_beta V d beta by the trapezoid rule with the
 *         correction -sum_r (beta_r - beta_s)^2 / 12 (var_r V - var_s V) (Friel, Hurn and Wyse
 *         2014)                                                                                 (4)
 * (3) has no error of a grid and is what metrics see; (4) is reported beside it. The M ensembles have an error
 * each of standard deviation s, and s/sqrt(M) is their mean's, if nothing is left of their start. What is left
 * is shared by all and does not show in their spread. Of an ensemble worth n independent draws, s is a
 * draw's over sqrt(n), and a first draw that is one standard deviation off moves the mean of all by 1/n
 * of that, s/sqrt(n). By split R-hat, the ratio of the variances of all and within half an ensemble, n =
 * 2/(R-hat^2 - 1). The standard error is the larger of both:
 *     s max(1/sqrt(M), 1/sqrt(n))                                                               (5)
 * A mode that no ensemble has found is in none of these numbers.
 * Samples are those of beta = 1.
 */
#include "stride.h"
#include "mc/chains.h"

enum { ROUNDS = 6 };
/* With fewer ensembles their spread says little of a scale, or of an error. */
enum { ENSEMBLES_FOR_SPREAD = 20 };
static const double STEP_START = 0.1;

struct pt {
	double sigma0, burn_in, acceptance, jitter;
	long replicas, ensembles, evaluations, leapfrog;
	int kernel;
};

static const char *const kernel_choices[] = { MC_NAMES, NULL };

#define AT(member) offsetof(struct pt, member)
static const struct option options[] = {
	{ "sigma0", OPTION_REAL, AT(sigma0), "1", 1e-6, 1e6, "", "standard deviation of the prior",
		NULL },
	{ "replicas", OPTION_INT, AT(replicas), "10", 2, 1e4, "",
		"temperatures, those of target and prior included", NULL },
	{ "ensembles", OPTION_INT, AT(ensembles), "64", 1, 1e6, "",
		"sets of replicas side by side; fewer when fewer samples are asked for", NULL },
	{ "evaluations", OPTION_INT, AT(evaluations), "2560000", 1, 1e12, "",
		"evaluations of the target in all, burn-in included", NULL },
	{ "burn_in", OPTION_REAL, AT(burn_in), "0.5", 0, 0.99, "",
		"share of the evaluations that tunes and is then forgotten", NULL },
	{ "kernel", OPTION_CHOICE, AT(kernel), "hmc", 0, 0, "", "what moves a replica",
		kernel_choices },
	{ "leapfrog", OPTION_INT, AT(leapfrog), "5", 1, 1e4, "", "leapfrog steps of a move of hmc",
		NULL },
	{ "acceptance", OPTION_REAL, AT(acceptance), "0", 0, 0.99, "",
		"acceptance to adapt step sizes to; 0: 0.725 (hmc), 0.57 (mala), 0.23 (walk)",
		NULL },
	{ "jitter", OPTION_REAL, AT(jitter), "0.2", 0, 0.99, "",
		"step sizes vary by this fraction from move to move", NULL },
	{ 0 },
};

static const struct preset presets[] = { SIGMA0_PRESETS("", ""), { 0 } };

static const struct pass passes[] = { { "", "", WEIGHTS_NONE, false }, { 0 } };

/* A sum of exponentials, exp(top) sum. */
struct log_sum {
	double top, sum;
};

/* A run. Pairs have the number of their colder replica. */
struct tempering {
	struct cell *c;
	uint32_t epoch, sweeps;
	size_t replicas, ensembles;
	struct particles **p;     /* [replicas] */
	struct mc_kernel *kernel; /* [replicas] */
	struct step_size *step;   /* [replicas] */
	double **scale;           /* [replicas][dim] */
	double *accept;           /* [replicas], of the last sweep */
	double *rejected, *tried; /* [replicas]: rejection probabilities and their number */
	bool *take;               /* [ensembles] */
	/* After the burn-in: */
	double measured;           /* sweeps */
	double accepted;           /* sum of their acceptance probabilities at beta = 1 */
	struct log_sum *stone;     /* [replicas][ensembles] */
	double *v_sum, *v_squares; /* [replicas][ensembles] */
};

static int init(void *state, struct cell *c)
{
	(void)state;
	(void)c;
	return OK;
}

static struct tempering *start(const struct pt *s, struct cell *c, uint32_t repeat, size_t n)
{
	struct arena *a = c->arena;
	struct tempering *t = ARENA_NEW(a, 1, struct tempering);
	size_t replicas = (size_t)s->replicas,
	       ensembles = n < (size_t)s->ensembles ? n : (size_t)s->ensembles;
	enum mc_kind kind = (enum mc_kind)s->kernel;

	*t = (struct tempering){ .c = c,
		.epoch = repeat,
		.replicas = replicas,
		.ensembles = ensembles,
		.p = ARENA_NEW(a, replicas, struct particles *),
		.kernel = ARENA_NEW(a, replicas, struct mc_kernel),
		.step = ARENA_NEW(a, replicas, struct step_size),
		.scale = ARENA_NEW(a, replicas, double *),
		.accept = ARENA_NEW(a, replicas, double),
		.rejected = ARENA_NEW(a, replicas, double),
		.tried = ARENA_NEW(a, replicas, double),
		.take = ARENA_NEW(a, ensembles, bool),
		.stone = ARENA_NEW(a, replicas * ensembles, struct log_sum),
		.v_sum = ARENA_NEW(a, replicas * ensembles, double),
		.v_squares = ARENA_NEW(a, replicas * ensembles, double) };
	for (size_t r = 0; r < replicas; r++) {
		struct particles *p = particles_new(a, c->target, ensembles, s->sigma0);
		p->first_row = r * particles_rows(p);
		particles_start(p, c->seed, repeat);
		p->beta = pow((double)(replicas - 1 - r) / (double)(replicas - 1), 4);
		t->p[r] = p;
		t->kernel[r] = (struct mc_kernel){ .kind = kind,
			.jitter = s->jitter,
			.leapfrog = (size_t)s->leapfrog };
		t->step[r] = step_size_start(STEP_START,
			s->acceptance > 0 ? s->acceptance : mc_acceptance(kind));
		t->scale[r] = ARENA_NEW(a, c->dim, double);
	}
	for (size_t j = 0; j < replicas * ensembles; j++)
		t->stone[j].top = -HUGE_VAL;
	return t;
}

/* Neighbours r and r + 1, eq. 1. */
static void swap(struct tempering *t, size_t r)
{
	struct particles *cold = t->p[r], *hot = t->p[r + 1];
	const double *v_cold = particles_v(cold), *v_hot = particles_v(hot);
	struct rng random = { t->c->seed, RNG_ACCEPT, t->epoch };

	for (size_t i = 0; i < t->ensembles; i++) {
		double growth = (cold->beta - hot->beta) * (v_hot[i] - v_cold[i]);
		double u = rng_uniform(random, t->sweeps, cold->first_row + i, 2);
		t->take[i] = growth > log(u); /* false for NaN */
		t->rejected[r] += growth > 0 ? 0 : growth <= 0 ? 1 - exp(growth) : 1;
	}
	t->tried[r] += (double)t->ensembles;
	particles_exchange(cold, hot, t->take);
}

static int sweep(struct tempering *t, bool adapt)
{
	size_t last = t->replicas - 1;

	if (parallel_stopping())
		return fail(ERR_INTERRUPTED, "interrupted at sweep %u", (unsigned)t->sweeps);
	for (size_t r = 0; r < last; r++)
		t->kernel[r].step = adapt ? t->step[r].now : t->step[r].mean;
	particles_move_all(last, t->p, t->kernel, t->c->seed, t->epoch, t->sweeps, t->accept);
	particles_redraw(t->p[last], t->c->seed, t->epoch, t->sweeps + 1);
	for (size_t r = 0; r < last && adapt; r++)
		step_size_update(&t->step[r], t->accept[r]);
	for (size_t r = t->sweeps % 2; r < last; r += 2)
		swap(t, r);
	t->sweeps++;
	return OK;
}

/* Mean rejection probability of pair r since the last look. */
static double rejection(const struct tempering *t, size_t r)
{
	return t->rejected[r] / t->tried[r];
}

static void forget_swaps(struct tempering *t)
{
	for (size_t r = 0; r + 1 < t->replicas; r++)
		t->rejected[r] = t->tried[r] = 0;
}

/* Eq. 2. A pair that never rejects counts a little, so that Lambda grows. */
static void place_ladder(struct tempering *t)
{
	const size_t last = t->replicas - 1;
	struct arena_mark mark = arena_mark(t->c->arena);
	double *lambda = ARENA_NEW(t->c->arena, t->replicas, double);
	double *beta = ARENA_NEW(t->c->arena, t->replicas, double);

	for (size_t r = 0; r < t->replicas; r++) {
		beta[r] = t->p[r]->beta;
		lambda[r] = r > 0 ? lambda[r - 1] + fmax(rejection(t, r - 1), 1e-4) : 0;
	}
	for (size_t r = 1, below = 0; r < last; r++) {
		double at = lambda[last] * (double)r / (double)last;
		while (below + 2 < t->replicas && lambda[below + 1] < at)
			below++;
		double share = (at - lambda[below]) / (lambda[below + 1] - lambda[below]);
		t->p[r]->beta = beta[below] + share * (beta[below + 1] - beta[below]);
	}
	arena_release(t->c->arena, mark);
}

static void tune(struct tempering *t)
{
	for (size_t r = 0; r + 1 < t->replicas; r++)
		if (!(t->tried[r] > 0))
			return; /* a round of a sweep or less */
	place_ladder(t);
	forget_swaps(t);
	for (size_t r = 0; r + 1 < t->replicas && t->ensembles >= ENSEMBLES_FOR_SPREAD; r++) {
		particles_scale(t->p[r], t->scale[r]);
		t->kernel[r].scale = t->scale[r];
		t->step[r] = step_size_start(STEP_START, t->step[r].target);
	}
}

static int burn_in(struct tempering *t, size_t sweeps)
{
	for (size_t round = ROUNDS; round-- > 0;) {
		while (t->sweeps < sweeps >> round)
			TRY(sweep(t, true));
		if (round > 0)
			tune(t);
	}
	forget_swaps(t);
	return OK;
}

static void log_sum_add(struct log_sum *s, double x)
{
	if (x == -HUGE_VAL)
		return;
	if (x > s->top) {
		s->sum = s->sum * exp(s->top - x) + 1;
		s->top = x;
	} else {
		s->sum += exp(x - s->top); /* NaN comes here and stays */
	}
}

static void measure(struct tempering *t)
{
	for (size_t r = 0; r < t->replicas; r++) {
		const double *v = particles_v(t->p[r]);
		double step = r > 0 ? t->p[r - 1]->beta - t->p[r]->beta : 0;
		for (size_t i = 0; i < t->ensembles; i++) {
			log_sum_add(&t->stone[r * t->ensembles + i], step * v[i]);
			t->v_sum[r * t->ensembles + i] += v[i];
			t->v_squares[r * t->ensembles + i] += v[i] * v[i];
		}
	}
	t->accepted += t->accept[0];
	t->measured++;
}

/* Eq. 3, and eq. 5: to first order an ensemble's part in log Z is the sum of its means over the means of
 * all. */
static double stepping_stone(const struct tempering *t, double rhat, double *se)
{
	struct arena_mark mark = arena_mark(t->c->arena);
	double *part = ARENA_NEW(t->c->arena, t->ensembles, double);
	double *log_mean = ARENA_NEW(t->c->arena, t->ensembles, double), log_z = 0;
	const double n = (double)t->ensembles;

	for (size_t r = 1; r < t->replicas; r++) {
		for (size_t i = 0; i < t->ensembles; i++) {
			const struct log_sum *s = &t->stone[r * t->ensembles + i];
			log_mean[i] = s->top + log(s->sum / t->measured);
		}
		double all = stats_log_sum_exp(log_mean, t->ensembles, 1) - log(n);
		for (size_t i = 0; i < t->ensembles; i++)
			part[i] += exp(log_mean[i] - all);
		log_z += all;
	}
	double draws = 2 / (rhat * rhat - 1); /* below 0 where halves differ less than by chance */
	double worst = draws > 0 && draws < n ? sqrt(n / draws) : 1;
	*se = t->ensembles >= ENSEMBLES_FOR_SPREAD && !isnan(rhat)
		      ? worst * stats_se(part, t->ensembles)
		      : (double)NAN;
	arena_release(t->c->arena, mark);
	return log_z;
}

/* Eq. 4. */
static double integral(const struct tempering *t)
{
	const double n = (double)t->ensembles * t->measured;
	double log_z = 0, last_mean = 0, last_variance = 0;

	for (size_t r = 0; r < t->replicas; r++) {
		double mean = stats_sum(t->v_sum + r * t->ensembles, t->ensembles) / n;
		double square = stats_sum(t->v_squares + r * t->ensembles, t->ensembles) / n;
		double variance = square - mean * mean;
		double step = r > 0 ? t->p[r - 1]->beta - t->p[r]->beta : 0;
		log_z += step * (mean + last_mean) / 2 -
			 step * step / 12 * (last_variance - variance);
		last_mean = mean;
		last_variance = variance;
	}
	return log_z;
}

static void report(const struct tempering *t)
{
	double most = 0;

	for (size_t r = 0; r + 1 < t->replicas; r++)
		most = fmax(most, rejection(t, r));
	cell_report(t->c, "acceptance", t->accepted / t->measured);
	cell_report(t->c, "largest swap rejection", most);
	cell_report(t->c, "log Z, integration", integral(t));
}

static int run(const struct pt *s, struct cell *c, uint32_t repeat, struct draws *d)
{
	struct tempering *t = start(s, c, repeat, d->n);
	size_t share = (size_t)s->evaluations / t->ensembles, each = mc_evaluations(t->kernel);
	size_t all = share > t->replicas ? share - t->replicas : 0;
	size_t sweeps = all / ((t->replicas - 1) * each + 1);
	size_t burn = (size_t)(s->burn_in * (double)sweeps);
	struct trace *trace;

	TRY(trace_new(&trace, t->ensembles, c->dim, sweeps - burn, d->n, c->arena));
	TRY(burn_in(t, burn));
	for (size_t k = 0; k < sweeps - burn; k++) {
		TRY(sweep(t, false));
		measure(t);
		trace_add(trace, k, t->p[0]);
	}
	trace_samples(trace, d->n, d->x);
	double rhat = trace_report(trace, c);
	report(t);
	d->log_z = stepping_stone(t, rhat, &d->log_z_se);
	cell_report(c, "log Z, stepping stone", d->log_z);
	d->no_forward = true;
	for (size_t r = 0; r < t->replicas; r++)
		c->counts.target += t->p[r]->evaluations;
	return OK;
}

static int sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	struct arena_mark mark = arena_mark(c->arena);
	int code = run(state, c, repeat, d);

	(void)pass;
	(void)steps;
	arena_release(c->arena, mark);
	return code;
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "Parallel tempering",
	.paper = "Geyer 1991; ladder: Syed, Bouchard-Côté, Deligiannidis and Doucet 2021, "
		 "arXiv 1905.02939; log Z: Xie et al. 2011, Friel, Hurn and Wyse 2014",
	.version = 2,
	.state_size = sizeof(struct pt),
	.options = options,
	.presets = presets,
	.passes = passes,
	.init = init,
	.sample = sample,
};
