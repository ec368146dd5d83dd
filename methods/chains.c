/*
 * Markov chains on the target itself, many at once, from draws of N(0, sigma0^2 I):
 *     hmc   Hamiltonian Monte Carlo with leapfrog steps (Duane et al. 1987; Neal 2011)
 *     mala  x' = x + e^2 / 2 grad log rho(x) + e N(0, I), Metropolis-adjusted; HMC of one step    (1)
 *     ula   the same x' always taken: its law is off by O(e^2), and it may leave for good         (2)
 *
 * A budget of evaluations of the target is shared equally by all chains and ends them. Its first part
 * is warm-up: the step size e is adapted towards an acceptance by dual averaging (3), that of ula on
 * mala's transitions; coordinates are scaled by the chains' own spread (4), twice. Both are then
 * fixed, and so the chains are right in the limit, but ula's.
 *
 * Samples are the later part's, of every chain as many, as far apart as possible. No weights: log Z is
 * not estimated. Reported: rank-normalised split R-hat and bulk effective sample size, the worst of all
 * coordinates (mc/trace.h), mean acceptance, step size.
 */
#include "stride.h"
#include "mc/chains.h"

/* With fewer chains their spread says little of a scale. */
enum { CHAINS_FOR_SCALE = 20 };
/* Dual averaging finds its own within tens of transitions. */
static const double STEP_START = 0.1;

struct chains {
	long leapfrog, chains, evaluations;
	double jitter, sigma0, warmup, acceptance, step;
	bool scale;
};

#define AT(member) offsetof(struct chains, member)
static const struct option options[] = {
	{ "leapfrog", OPTION_INT, AT(leapfrog), "10", 1, 1e4, "", "leapfrog steps of a transition",
		NULL },
	{ "jitter", OPTION_REAL, AT(jitter), "0.2", 0, 0.99, "",
		"step sizes vary by this fraction from chain to chain and transition to transition",
		NULL },
#define OPTIONS_OF_HMC 2 /* the rest is all methods' */
	{ "sigma0", OPTION_REAL, AT(sigma0), "1", 1e-6, 1e6, "",
		"standard deviation of the normal law that chains start from", NULL },
	{ "chains", OPTION_INT, AT(chains), "128", 1, 1e6, "",
		"chains; fewer when fewer samples are asked for", NULL },
	{ "evaluations", OPTION_INT, AT(evaluations), "2560000", 1, 1e12, "",
		"evaluations of the target in all, warm-up included", NULL },
	{ "warmup", OPTION_REAL, AT(warmup), "0.5", 0, 0.99, "",
		"share of the evaluations that is warm-up", NULL },
	{ "acceptance", OPTION_REAL, AT(acceptance), "0", 0, 0.99, "",
		"acceptance to adapt the step size to; 0: 0.725 (hmc), 0.57 (mala), 0.95 (ula)",
		NULL },
	{ "step", OPTION_REAL, AT(step), "0", 0, 1e6, "", "step size, then not adapted; 0: adapted",
		NULL },
	{ "scale", OPTION_BOOL, AT(scale), "true", 0, 0, "",
		"scale coordinates by the spread of the chains in warm-up, where there are 20",
		NULL },
	{ 0 },
};

static const struct preset presets[] = { SIGMA0_PRESETS("", ""), { 0 } };

static const struct pass adjusted[] = { { "", "", WEIGHTS_NONE, false }, { 0 } };
static const struct pass unadjusted[] = { { "", "biased", WEIGHTS_NONE, false }, { 0 } };

static int init(void *state, struct cell *c)
{
	(void)state;
	(void)c;
	return OK;
}

static int run(const struct chains *s, enum mc_kind kind, struct cell *c, uint32_t repeat,
	struct draws *d)
{
	const bool adapts = !(s->step > 0);
	struct mc_kernel kernel = { .kind = kind,
		.step = adapts ? STEP_START : s->step,
		.jitter = s->jitter,
		.leapfrog = (size_t)s->leapfrog };
	size_t chains = d->n < (size_t)s->chains ? d->n : (size_t)s->chains;
	size_t share = (size_t)s->evaluations / chains;
	size_t transitions = share > 0 ? (share - 1) / mc_evaluations(&kernel) : 0;
	size_t warm = (size_t)(s->warmup * (double)transitions);
	double aim = s->acceptance > 0 ? s->acceptance
		     : kind == MC_ULA  ? 0.95
				       : mc_acceptance(kind);
	struct step_size step = step_size_start(kernel.step, aim);
	double *scale = ARENA_NEW(c->arena, c->dim, double), accepted = 0;
	struct particles *p = particles_new(c->arena, c->target, chains, s->sigma0);
	struct trace *trace;

	TRY(trace_new(&trace, chains, c->dim, transitions - warm, d->n, c->arena));
	particles_start(p, c->seed, repeat);
	p->beta = 1;
	if (adapts && kind == MC_ULA)
		kernel.kind = MC_MALA;
	for (size_t t = 0; t < transitions; t++) {
		if (parallel_stopping())
			return fail(ERR_INTERRUPTED, "interrupted at transition %zu", t);
		if (s->scale && chains >= CHAINS_FOR_SCALE && t < warm &&
			(t == warm / 4 || t == warm / 2)) {
			particles_scale(p, scale); /* eq. 4 */
			kernel.scale = scale;
			step = step_size_start(STEP_START, aim);
		}
		if (t == warm)
			kernel.kind = kind;
		if (adapts)
			kernel.step = t < warm ? step.now : step.mean;
		double acceptance = particles_move(p, &kernel, c->seed, repeat, (uint32_t)t);
		if (t < warm) {
			step_size_update(&step, acceptance); /* eq. 3 */
		} else {
			trace_add(trace, t - warm, p);
			accepted += acceptance / (double)(transitions - warm);
		}
	}
	trace_samples(trace, d->n, d->x);
	trace_report(trace, c);
	if (kind != MC_ULA)
		cell_report(c, "acceptance", accepted);
	cell_report(c, "step size", kernel.step);
	d->no_forward = true;
	c->counts.target += p->evaluations;
	return OK;
}

static int sample(void *state, struct cell *c, enum mc_kind kind, uint32_t repeat, struct draws *d)
{
	struct arena_mark mark = arena_mark(c->arena);
	int code = run(state, kind, c, repeat, d);

	arena_release(c->arena, mark);
	return code;
}

static int hmc_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	(void)pass;
	(void)steps;
	return sample(state, c, MC_HMC, repeat, d);
}

static int mala_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	(void)pass;
	(void)steps;
	return sample(state, c, MC_MALA, repeat, d); /* eq. 1 */
}

static int ula_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d)
{
	(void)pass;
	(void)steps;
	return sample(state, c, MC_ULA, repeat, d); /* eq. 2 */
}

const METHOD(hmc) = {
	.name = "hmc",
	.title = "HMC",
	.paper = "Duane, Kennedy, Pendleton and Roweth 1987; Neal 2011; adaptation: Hoffman and "
		 "Gelman 2014",
	.version = 1,
	.state_size = sizeof(struct chains),
	.options = options,
	.presets = presets,
	.passes = adjusted,
	.init = init,
	.sample = hmc_sample,
};

const METHOD(mala) = {
	.name = "mala",
	.title = "MALA",
	.paper = "Roberts and Tweedie 1996, Bernoulli 2, 341-363; adaptation: Hoffman and Gelman "
		 "2014",
	.version = 1,
	.state_size = sizeof(struct chains),
	.options = options + OPTIONS_OF_HMC,
	.presets = presets,
	.passes = adjusted,
	.init = init,
	.sample = mala_sample,
};

const METHOD(ula) = {
	.name = "ula",
	.title = "ULA",
	.paper = "Roberts and Tweedie 1996, Bernoulli 2, 341-363",
	.version = 1,
	.state_size = sizeof(struct chains),
	.options = options + OPTIONS_OF_HMC,
	.presets = presets,
	.passes = unadjusted,
	.init = init,
	.sample = ula_sample,
};
