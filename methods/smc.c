/*
 * Sequential Monte Carlo samplers (Del Moral, Doucet and Jasra 2006) on the path
 *     log pi_k = (1 - beta_k) log p0 + beta_k log rho,  p0 = N(0, sigma0^2 I),  0 = beta_0 < .. = 1.
 * Particles x_i ~ p0, i = 1 .. M, with weights W_i = 1/M. For k = 1, 2, ...:
 *     log G_i = (beta_k - beta_{k-1}) (log rho(x_i) - log p0(x_i))                           (1)
 *     log Z += log sum_i W_i G_i,  ELBO += sum_i W_i log G_i,  W_i proportional to W_i G_i   (2)
 *     if ESS = 1 / sum_i W_i^2 < threshold M: resample, W_i = 1/M                            (3)
 *     move each x_i by Hamiltonian Monte Carlo that leaves pi_k invariant                    (4)
 *
 * Pass "fixed" is the ladder of the benchmark Beyond ELBOs (Blessing et al. 2024):
 * beta_k = k / 127, multinomial resampling, unit mass, step sizes that depend on beta alone.
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
 * Weights: log w_i = log Z + log (M W_i), so that mean w_i is the estimate of Z; their effective
 * sample size is that since the last resampling. They belong to the particles before the final
 * resampling, not to the samples row by row. By Jensen, ELBO <= log Z in (2) in every run; as Z is
 * unbiased in the pass "fixed", its ELBO is a lower bound in expectation, with (3) or without.
 */
#include "stride.h"

struct smc {
	double sigma0, step0, step1;
	long temperatures, leapfrog, moves;
	double threshold, ess_target;
	double step_start, jitter;
	int resampling, adapt; /* 0: what the pass says */
};

static const char *const resampling_choices[] = { "auto", RESAMPLE_NAMES, NULL };
static const char *const adapt_choices[] = { "auto", "off", "on", NULL };

#define AT(member) offsetof(struct smc, member)
static const struct option options[] = {
	{ "sigma0", OPTION_REAL, AT(sigma0), "1", 1e-6, 1e6, "", "standard deviation of the prior",
		NULL },
	{ "temperatures", OPTION_INT, AT(temperatures), "128", 2, 1e6, "",
		"temperatures of the fixed ladder, both ends included", NULL },
	{ "ess_target", OPTION_REAL, AT(ess_target), "0.9", 0.01, 0.999, "",
		"conditional effective sample size of a step of the adaptive ladder, as a fraction",
		NULL },
	{ "leapfrog", OPTION_INT, AT(leapfrog), "10", 1, 1e4, "", "leapfrog steps of a move",
		NULL },
	{ "moves", OPTION_INT, AT(moves), "0", 0, 1e3, "",
		"moves a temperature; 0: 1 for the fixed ladder, 3 for the adaptive one", NULL },
	{ "step0", OPTION_REAL, AT(step0), "0.1", 1e-9, 1e3, "",
		"leapfrog step size at beta = 0, linear up to beta = 1/2, without adaptation",
		NULL },
	{ "step1", OPTION_REAL, AT(step1), "0.1", 1e-9, 1e3, "",
		"leapfrog step size from beta = 1/2 on, without adaptation", NULL },
	{ "resampling", OPTION_CHOICE, AT(resampling), "auto", 0, 0, "",
		"auto: multinomial for the fixed ladder, systematic for the adaptive one",
		resampling_choices },
	{ "threshold", OPTION_REAL, AT(threshold), "0.3", 0, 1.1, "",
		"resample below this effective sample size as a fraction; 0: never, 1.1: always",
		NULL },
	{ "adapt", OPTION_CHOICE, AT(adapt), "auto", 0, 0, "",
		"adapt step size and masses, with jitter (weights are then exact for many "
		"particles "
		"only); auto: for the adaptive ladder alone",
		adapt_choices },
	{ "step_start", OPTION_REAL, AT(step_start), "0.2", 1e-9, 1e3, "",
		"first adapted step size, in standard deviations of the particles", NULL },
	{ "jitter", OPTION_REAL, AT(jitter), "0.2", 0, 0.99, "",
		"adapted step sizes vary by this fraction from particle to particle", NULL },
	{ 0 },
};

static const struct preset presets[] = {
	{ NULL, "funnel", "step0=0.001" },
	{ NULL, "gmm40_2d", "sigma0=40,step0=0.2,step1=0.2" },
	{ NULL, "gmm40_50d", "sigma0=40,step0=0.2,step1=0.2" },
	{ NULL, "many_well_5", "step0=0.01,step1=0.001" },
	{ NULL, "gmm10_2d", "sigma0=15" },
	{ NULL, "student10_50d", "sigma0=15" },
	{ NULL, "sonar", "step0=0.05,step1=0.001" },
	{ NULL, "seeds", "step0=0.2,step1=0.05" },
	{ NULL, "brownian", "step0=0.001,step1=0.05" },
	{ NULL, "lgcp", "step0=0.01,step1=0.2" },
	{ NULL, "planar_robot", "sigma0=2,step0=0.001,step1=0.01" },
	{ 0 },
};

enum { FIXED, ADAPTIVE };
static const struct pass passes[] = {
	[FIXED] = { "fixed", "fixed ladder", WEIGHTS_EXACT, false },
	[ADAPTIVE] = { "adaptive", "adaptive ladder", WEIGHTS_BIASED, false },
	{ 0 },
};

/* The published step size: linear in beta up to 1/2, then constant. */
static double step_size(const struct smc *s, double beta)
{
	return s->step0 + fmin(beta / 0.5, 1) * (s->step1 - s->step0);
}

/* Towards an acceptance of 0.725, the middle of 0.65 .. 0.8. The gain is a choice: a quarter of the
 * step when nothing was accepted, 1.7 times it when everything was. */
static double adapted(double step, double acceptance)
{
	return step * exp(2 * (acceptance - 0.725));
}

static int init(void *state, struct cell *c)
{
	(void)state;
	(void)c;
	return OK;
}

static int run(const struct smc *s, struct cell *c, bool ladder, uint32_t repeat, struct draws *d)
{
	enum resampling published = ladder ? RESAMPLE_SYSTEMATIC : RESAMPLE_MULTINOMIAL;
	enum resampling scheme =
		s->resampling > 0 ? (enum resampling)(s->resampling - 1) : published;
	bool adapt = s->adapt > 0 ? s->adapt == 2 : ladder;
	uint32_t moves = s->moves > 0 ? (uint32_t)s->moves : ladder ? 3 : 1;
	struct hmc hmc = { .step = s->step_start, .leapfrog = (size_t)s->leapfrog };
	struct particles *p = particles_new(c->arena, c->target, d->n, s->sigma0);
	double *scale = ARENA_NEW(c->arena, c->dim, double);

	if (adapt) {
		hmc.scale = scale;
		hmc.jitter = s->jitter;
	}
	particles_start(p, c->seed, repeat);
	for (uint32_t k = 1; p->beta < 1; k++) {
		double last = p->beta;
		double beta = ladder ? particles_next_beta(p, s->ess_target)
				     : (double)k / (double)(s->temperatures - 1);

		if (parallel_stopping())
			return fail(ERR_INTERRUPTED, "interrupted at temperature %g", last);
		TRY(particles_reweight(p, beta)); /* eqs. 1 and 2 */
		if (!(p->beta > last))
			return fail(ERR_DIVERGED, "no next temperature after %g", last);
		if (adapt)
			particles_scale(p, scale);
		else
			hmc.step = step_size(s, beta);
		if (particles_ess(p) < s->threshold) /* eq. 3 */
			particles_resample(p, scheme, c->seed, repeat, k);
		for (uint32_t m = 0; m < moves; m++) { /* eq. 4 */
			double acceptance = particles_hmc(p, &hmc, c->seed, repeat, k * moves + m);
			if (adapt)
				hmc.step = adapted(hmc.step, acceptance);
		}
	}
	particles_log_weights(p, d->log_w);
	d->elbo = p->elbo;
	d->no_forward = true;
	d->dependent = true;
	particles_resample(p, RESAMPLE_SYSTEMATIC, c->seed, repeat, 0);
	particles_positions(p, d->x);
	c->counts.target += p->evaluations;
	return OK;
}

static int sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	struct arena_mark mark = arena_mark(c->arena);
	int code = run(state, c, pass == &passes[ADAPTIVE], repeat, d);

	(void)steps;
	arena_release(c->arena, mark);
	return code;
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
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
