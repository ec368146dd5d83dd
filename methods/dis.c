/* Time-reversed diffusion sampler (DIS, arXiv 2211.01364), in the variants of the OSDS repository
 * (preset osds-paper), of Beyond-ELBOs (beyond-elbos) and of sde_sampler (scds-paper, scds-paper-fb). The
 * numbers are those of run/reversal.h, which holds the process, its weights and its flow:
 *
 *     x' = x + (b x + sigma u) dt + sigma sqrt(dt) eps                                          (1)
 *     log w by kernels, exact in discrete time                                                  (2)
 *     log w by a line integral, exact as dt -> 0                                                (3)
 *     x' = x + (b x + sigma u/2) dt                                                             (4)
 *
 *                     loss                              feature of the control
 *     osds-paper      mean of -log w by (2)             (1 - t) grad log rho
 *     beyond-elbos    mean of -log w by (3)             sigma [ (1 - t) grad log rho + t grad log p0 ]
 *     scds-paper      variance of log w by (3)          the same, sigma behind its clip
 *     scds-paper-fb   variance of log w by (2)          the same
 *
 * The mean is taken without the term in eps. scds-paper-fb has the noising kernel of (2) with the
 * coefficients of the step's end and, as released (published_sign), with the drift's sign reversed, so
 * that log w has no meaning. The released target-to-prior passes (published_forward) are not exact: that
 * of the OSDS repository leaves the state out of the generation's mean, that of Beyond-ELBOs takes u
 * before the step. */
#include "run/reversal.h"

struct dis {
	struct reversal r;
	int preset;
};

static const char *const papers[] = { "osds-paper", "beyond-elbos", "scds-paper", "scds-paper-fb",
	"scds-paper-kl", NULL };
static const struct option options[] = {
	{ "preset", OPTION_CHOICE, offsetof(struct dis, preset), "osds-paper", 0, 0, "",
		"variant of which paper", papers },
	REVERSAL_OPTIONS,
	{ 0 },
};

static const struct preset presets[] = {
	CONTROLLED_OSDS_PRESETS("osds-paper"),
	{ "beyond-elbos", NULL, "batch=2000,form=line,feature=bridge" },
	{ "beyond-elbos", "gmm40_2d", "sigma0=40" },
	{ "beyond-elbos", "gmm40_50d", "sigma0=40" },
	{ "beyond-elbos", "gmm10_2d", "sigma0=15" },
	{ "beyond-elbos", "student10_2d", "sigma0=15" },
	{ "beyond-elbos", "student10_50d", "sigma0=15" },
	{ "beyond-elbos", "brownian", "sigma0=0.1" },
	{ "beyond-elbos", "lgcp", "sigma0=0.1,rate=1e-4" },
	{ "scds-paper", NULL, REVERSAL_SCDS ",form=line" },
	{ "scds-paper-kl", NULL, REVERSAL_SCDS ",form=line" CONTROLLED_KL },
	{ "scds-paper-fb", NULL, REVERSAL_SCDS ",form=kernel,end_coefficients=true" },
	{ 0 },
};

static const struct note notes[] = {
	{ "published_sign=true", "scds-paper-fb: the released noising kernel has its drift with "
				 "the wrong sign (dis_fb), so that log w has no meaning." },
	{ "published_forward=true",
		"The released target-to-prior passes, which are not exact: OSDS leaves the state "
		"out of the generation's mean, Beyond ELBOs takes u before the step." },
	REVERSAL_NOTE_LINE,
	{ "pass ode", "Has no weights: those of the OSDS repository are by Gaussian kernels on "
		      "paths that have no noise." },
	CONTROLLED_NOTE_JAX,
	CONTROLLED_NOTE_PRIOR,
	CONTROLLED_NOTE_KL,
	{ 0 },
};

static const struct pass passes[] = {
	{ "sde", "SDE", WEIGHTS_EXACT, true },
	{ "line", "SDE, line integral", WEIGHTS_BIASED, true },
	{ "ode", "flow", WEIGHTS_NONE, true },
	{ NULL, NULL, 0, false },
};

/* The released passes from exact samples. */
static struct graph *record_back_published(const struct reversal *r, struct cell *c, size_t k,
	struct arena *a)
{
	const struct noising n = controlled_noising(c, k, a);

	struct reversal_step m = reversal_scan(r, n.g, k, true, false, a);
	struct var x = n.x, eps = n.eps;
	struct var next = add(sub(x, mul(m.pull, x)), mul(m.s, eps));
	struct var cost, work;
	if (r->form == FORM_LINE) {
		struct var u = reversal_control(r, 0, m, x, x);
		struct var energy = scale(0.5, mul(m.dt, dot(u, u)));
		cost = sub(scale((double)c->dim, m.volume), energy);
		work = mul(m.root, dot(u, eps));
	} else {
		struct var u = reversal_control(r, 0, m, x, next);
		struct var away = mul(m.inverse, sub(x, reversal_drift(m, x, u, 1)));
		cost = scale(0.5, sub(dot(eps, eps), dot(away, away)));
		work = zeros(n.g, 1);
	}
	struct var running = scan_total(cost), stochastic = scan_total(work);
	scan_next(x, next);
	scan_end(n.g);

	struct var end = label(scan_last(x), "end");
	controlled_conclude(&r->base, running, stochastic,
		sub(log_gaussian(end, r->sigma0), log_density(n.start)));
	return n.g;
}

static struct graph *record_forward(const void *state, struct cell *c, size_t k, bool published,
	struct arena *a)
{
	return published ? record_back_published(state, c, k, a)
			 : reversal_forward(state, c, k, false, a);
}

static int init(void *state, struct cell *c)
{
	return controlled_init(state, c, CONTROL_LERP, false, reversal_paths, record_forward);
}

const METHOD(PLUGIN) = {
	.name = PLUGIN_NAME,
	.title = "DIS",
	.paper = "Time-reversed Diffusion Sampler, arXiv 2211.01364; as in One-Step Diffusion "
		 "Samplers, arXiv 2512.05251, Beyond ELBOs, arXiv 2406.07423, and Single-Step "
		 "Consistent Diffusion Samplers, arXiv 2502.07579",
	.version = 1,
	.state_size = sizeof(struct dis),
	.options = options,
	.presets = presets,
	.notes = notes,
	.passes = passes,
	.init = init,
	.sample = reversal_sample,
	.graph = reversal_graph,
	.flow = reversal_part,
	.map = reversal_map,
	CONTROLLED_TRAINS,
};
