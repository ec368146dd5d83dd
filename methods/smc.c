/*
 * Sequential Monte Carlo samplers (Del Moral, Doucet and Jasra 2006) and annealed importance sampling
 * (Neal 2001) on the path
 *     log pi_k = (1 - beta_k) log p0 + beta_k log rho,  p0 = N(0, sigma0^2 I),  0 = beta_0 < .. = 1.
 * Particles x_i ~ p0, i = 1 .. M, with weights W_i = 1/M. For k = 1, 2, ...:
 *     log G_i = (beta_k - beta_{k-1}) (log rho(x_i) - log p0(x_i))                           (1)
 *     log Z += log sum_i W_i G_i,  ELBO += sum_i W_i log G_i,  W_i proportional to W_i G_i   (2)
 *     if ESS = 1 / sum_i W_i^2 < threshold M: resample, W_i = 1/M                            (3)
 *     move each x_i by a Markov kernel that leaves pi_k invariant                            (4)
 * AIS is the same without (3): its particles know nothing of each other, log w_i = sum_k log G_i, and
 * its ELBO is the mean of log w_i.
 *
 * Pass "fixed" is the ladder of the benchmark Beyond ELBOs (Blessing et al. 2024):
 * beta_k = k / 127, multinomial resampling, unit mass, HMC with step sizes that depend on beta alone.
 * Departures from its code: the seed enters the initial particles; what samples are scored on is
 * resampled by the final weights; evaluations inside the moves are counted; there is no
 * target-to-prior pass, for theirs goes beyond beta = 1 and drops the moved particles. The
 * estimate of Z is unbiased.
 *
 * Pass "adaptive" chooses beta_k so that the conditional effective sample size of (1) is
 * ess_target M (Zhou, Johansen and Aston 2016), resamples systematically, moves three times, takes
 * masses from the particles' variances and step sizes from the acceptance of the move before. This
 * makes a bias of log Z that vanishes as M grows.
 *
 * Pass "frozen" is the pass "adaptive" twice: a first run for its ladder, step sizes and masses alone,
 * then fresh particles with all of them given, whose estimate of Z is unbiased again.
 *
 * Weights: log w_i = log Z + log (M W_i), so that mean w_i is the estimate of Z; their effective
 * sample size is that since the last resampling. They belong to the particles before the final
 * resampling, not to the samples row by row. By Jensen, ELBO <= log Z in (2) in every run; where Z is
 * unbiased the ELBO is a lower bound in expectation, with (3) or without. The standard error of log Z
 * of particles that were resampled comes from their genealogy (particles_log_z_se).
 *
 * Unbiased says little where the weights' variance is infinite. On the funnel, whose wide end N(0, 1)
 * reaches by rare particles alone, the tail index of AIS's weights at the defaults is about 1.5: the mean
 * weight of most runs is low (0.88 of 2e6 paths), its standard error too small by much, and rare
 * runs make up for it. On the part |x_1 + 1/4| < 3/4, where no weight is large, it is right.
 */
#include "stride.h"
#include "mc/chains.h"

struct smc {
	double sigma0, step0, step1;
	long temperatures, leapfrog, moves;
	double threshold, ess_target;
	double acceptance, step_start, jitter;
	int kernel, resampling, adapt; /* the last two: 0: what the pass says */
};

static const char *const kernel_choices[] = { MC_NAMES, NULL };
static const char *const resampling_choices[] = { "auto", RESAMPLE_NAMES, NULL };
static const char *const adapt_choices[] = { "auto", "off", "on", NULL };

#define AT(member) offsetof(struct smc, member)
static const struct option options[] = {
	{ "resampling", OPTION_CHOICE, AT(resampling), "auto", 0, 0, "",
		"auto: multinomial for the fixed ladder, systematic for the others; log Z has a "
		"standard error with multinomial alone",
		resampling_choices },
	{ "threshold", OPTION_REAL, AT(threshold), "0.3", 0, 1.1, "",
		"resample below this effective sample size as a fraction; 0: never, 1.1: always",
		NULL },
#define OPTIONS_OF_RESAMPLING 2 /* the rest is AIS's, whose threshold is 0 */
	{ "sigma0", OPTION_REAL, AT(sigma0), "1", 1e-6, 1e6, "", "standard deviation of the prior",
		NULL },
	{ "temperatures", OPTION_INT, AT(temperatures), "128", 2, 1e6, "",
		"temperatures of the fixed ladder, both ends included", NULL },
	{ "ess_target", OPTION_REAL, AT(ess_target), "0.9", 0.01, 0.999, "",
		"conditional effective sample size of a step of the adaptive ladder, as a fraction",
		NULL },
	{ "kernel", OPTION_CHOICE, AT(kernel), "hmc", 0, 0, "",
		"what moves; mala and walk move `leapfrog` times as often, for as many evaluations",
		kernel_choices },
	{ "leapfrog", OPTION_INT, AT(leapfrog), "10", 1, 1e4, "", "leapfrog steps of a move",
		NULL },
	{ "moves", OPTION_INT, AT(moves), "0", 0, 1e3, "",
		"moves a temperature; 0: 1 for the fixed ladder, 3 for the adaptive one", NULL },
	{ "step0", OPTION_REAL, AT(step0), "0.1", 1e-9, 1e3, "",
		"step size at beta = 0, linear up to beta = 1/2, without adaptation", NULL },
	{ "step1", OPTION_REAL, AT(step1), "0.1", 1e-9, 1e3, "",
		"step size from beta = 1/2 on, without adaptation", NULL },
	{ "adapt", OPTION_CHOICE, AT(adapt), "auto", 0, 0, "",
		"adapt step size and masses, with jitter: outside the pass frozen, weights are "
		"then exact for many particles only; auto: not with the fixed ladder",
		adapt_choices },
	{ "acceptance", OPTION_REAL, AT(acceptance), "0", 0, 0.99, "",
		"acceptance to adapt step sizes to; 0: 0.725 (hmc), 0.57 (mala), 0.23 (walk)",
		NULL },
	{ "step_start", OPTION_REAL, AT(step_start), "0.2", 1e-9, 1e3, "",
		"first adapted step size, in standard deviations of the particles", NULL },
	{ "jitter", OPTION_REAL, AT(jitter), "0.2", 0, 0.99, "",
		"adapted step sizes vary by this fraction from particle to particle", NULL },
	{ 0 },
};

static const struct preset presets[] = {
	{ NULL, "funnel", "step0=0.001" },
	SIGMA0_PRESETS(",step0=0.2,step1=0.2", ",step0=0.001,step1=0.01"),
	{ NULL, "many_well_5", "step0=0.01,step1=0.001" },
	{ NULL, "sonar", "step0=0.05,step1=0.001" },
	{ NULL, "seeds", "step0=0.2,step1=0.05" },
	{ NULL, "brownian", "step0=0.001,step1=0.05" },
	{ NULL, "lgcp", "step0=0.01,step1=0.2" },
	{ 0 },
};

enum ladder { FIXED, ADAPTIVE, FROZEN };
static const struct pass passes[] = {
	[FIXED] = { "fixed", "fixed ladder", WEIGHTS_EXACT, false },
	[ADAPTIVE] = { "adaptive", "adaptive ladder", WEIGHTS_BIASED, false },
	[FROZEN] = { "frozen", "frozen ladder", WEIGHTS_EXACT, false },
	{ 0 },
};

/* A temperature of a run, as another can repeat it. */
struct rung {
	double beta;
	double *step;  /* [moves] */
	double *scale; /* [dim], or NULL */
	struct rung *next;
};

/* The published step size: linear in beta up to 1/2, then constant. */
static double step_size(const struct smc *s, double beta)
{
	return s->step0 + fmin(beta / 0.5, 1) * (s->step1 - s->step0);
}

/* Towards the acceptance aimed at. The gain is a choice: with HMC's 0.725 a quarter of the step when
 * nothing was accepted, 1.7 times it when everything was. */
static double adapted(double step, double acceptance, double aim)
{
	return step * exp(2 * (acceptance - aim));
}

static int init(void *state, struct cell *c)
{
	(void)state;
	(void)c;
	return OK;
}

/* What a pass makes of the options. */
struct plan {
	bool ladder, adapt;
	uint32_t moves;
	double aim;
	enum resampling scheme;
	struct mc_kernel kernel;
};

static struct plan make_plan(const struct smc *s, enum ladder ladder)
{
	struct plan p = { .ladder = ladder != FIXED,
		.adapt = s->adapt > 0 ? s->adapt == 2 : ladder != FIXED,
		.scheme = ladder == FIXED ? RESAMPLE_MULTINOMIAL : RESAMPLE_SYSTEMATIC,
		.kernel = { .kind = (enum mc_kind)s->kernel,
			.step = s->step_start,
			.leapfrog = (size_t)s->leapfrog } };
	long moves = s->moves > 0 ? s->moves : ladder == FIXED ? 1 : 3;

	if (p.kernel.kind != MC_HMC)
		moves *= s->leapfrog;
	p.moves = (uint32_t)moves;
	p.aim = s->acceptance > 0 ? s->acceptance : mc_acceptance(p.kernel.kind);
	if (s->resampling > 0)
		p.scheme = (enum resampling)(s->resampling - 1);
	if (p.adapt)
		p.kernel.jitter = s->jitter;
	return p;
}

/* The next temperature, to be chosen now; its step sizes come with the moves. */
static struct rung *choose(const struct smc *s, const struct plan *plan, struct cell *c,
	struct particles *p, uint32_t k)
{
	struct rung *r = ARENA_NEW(c->arena, 1, struct rung);

	*r = (struct rung){ .step = ARENA_NEW(c->arena, plan->moves, double) };
	r->beta = plan->ladder ? particles_next_beta(p, s->ess_target)
			       : (double)k / (double)(s->temperatures - 1);
	if (plan->adapt)
		r->scale = ARENA_NEW(c->arena, c->dim, double);
	return r;
}

/* From the prior to the target: along the ladder, or where that is empty along one chosen on the way,
 * which it then is. */
static int run(const struct smc *s, struct plan plan, struct cell *c, struct particles *p,
	uint32_t epoch, struct rung **ladder)
{
	struct mc_kernel *kernel = &plan.kernel;
	bool given = *ladder != NULL;

	particles_start(p, c->seed, epoch);
	for (uint32_t k = 1; p->beta < 1; k++) {
		double last = p->beta;
		if (!given)
			*ladder = choose(s, &plan, c, p, k);
		struct rung *rung = *ladder;
		if (parallel_stopping())
			return fail(ERR_INTERRUPTED, "interrupted at temperature %g", last);
		TRY(particles_reweight(p, rung->beta)); /* eqs. 1 and 2 */
		if (!(p->beta > last))
			return fail(ERR_DIVERGED, "no next temperature after %g", last);
		if (!given && plan.adapt)
			particles_scale(p, rung->scale);
		kernel->scale = rung->scale;
		if (particles_ess(p) < s->threshold) /* eq. 3 */
			particles_resample(p, plan.scheme, c->seed, epoch, k);
		for (uint32_t m = 0; m < plan.moves; m++) { /* eq. 4 */
			if (given)
				kernel->step = rung->step[m];
			else if (!plan.adapt)
				kernel->step = step_size(s, rung->beta);
			rung->step[m] = kernel->step;
			double acceptance =
				particles_move(p, kernel, c->seed, epoch, k * plan.moves + m);
			if (plan.adapt)
				kernel->step = adapted(kernel->step, acceptance, plan.aim);
		}
		ladder = &rung->next;
	}
	return OK;
}

static int anneal(const struct smc *s, struct cell *c, enum ladder ladder, uint32_t repeat,
	struct draws *d)
{
	struct plan plan = make_plan(s, ladder);
	struct particles *p = particles_new(c->arena, c->target, d->n, s->sigma0);
	struct rung *rungs = NULL;

	d->no_forward = true;
	if (ladder == FROZEN) /* epochs from the other end: numbers that no repeat takes */
		TRY(run(s, plan, c, p, ~repeat, &rungs));
	TRY(run(s, plan, c, p, repeat, &rungs));
	particles_log_weights(p, d->log_w);
	d->dependent = p->resamplings > 0;
	d->log_z_se = particles_log_z_se(p);
	d->elbo = p->elbo;
	particles_resample(p, RESAMPLE_SYSTEMATIC, c->seed, repeat, 0);
	particles_positions(p, d->x);
	c->counts.target += p->evaluations;
	return OK;
}

static int sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	struct arena_mark mark = arena_mark(c->arena);
	int code = anneal(state, c, (enum ladder)(pass - passes), repeat, d);

	(void)steps;
	arena_release(c->arena, mark);
	return code;
}

/* Its bound is the mean of log w, of independent terms. */
static int ais_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	int code = sample(state, c, pass, steps, repeat, d);

	d->elbo = (double)NAN;
	return code;
}

const METHOD(smc) = {
	.name = "smc",
	.title = "SMC",
	.paper = "Del Moral, Doucet and Jasra 2006; ladder: Blessing et al. 2024, arXiv 2406.07423",
	.version = 1,
	.state_size = sizeof(struct smc),
	.options = options,
	.presets = presets,
	.passes = passes,
	.init = init,
	.sample = sample,
};

const METHOD(ais) = {
	.name = "ais",
	.title = "AIS",
	.paper = "Neal 2001, Statistics and Computing 11, 125-139",
	.version = 1,
	.state_size = sizeof(struct smc),
	.options = options + OPTIONS_OF_RESAMPLING,
	.presets = presets,
	.passes = passes,
	.init = init,
	.sample = ais_sample,
};
