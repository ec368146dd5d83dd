#ifndef STRIDE_RUN_CONTROLLED_H
#define STRIDE_RUN_CONTROLLED_H

#include "stride.h"

/**
 * What samplers with a learned control share, in the variants of both published code families: the
 * control network, its training on a cost over whole paths, and the hooks that follow from these. Put
 * struct controlled first in the method's state and CONTROLLED_OPTIONS first in its table.
 *
 * The families (OSDS, arXiv 2512.05251, and Beyond ELBOs, arXiv 2406.07423; SCDS, arXiv 2502.07579, and
 * github.com/juliusberner/sde_sampler, which it is a fork of):
 *
 *             osds: OSDS repository, Beyond-ELBOs       scds: SCDS repository, sde_sampler
 *   network   gated by the score, time as a code        FourierMLP, the time itself
 *   loss      KL: E[running + terminal cost]            log variance, of all cost
 *   gradient  NaN to 0, elements clipped                steps with NaN left out, norm clipped
 *   rate      constant                                  falls by 0.02, L2 of 1e-7, averages evaluated
 *   clips     noise and prior at 4 deviations           prior truncated at its quantiles of 1e-4 (lv);
 *                                                       score and network, looser after 200, 400 steps
 */

/** Quantiles of the prior's normals beyond which network scds draws none: 1e-4/2 on either side. */
#define CONTROLLED_BOUND 3.8905918864131203

enum control_network { NETWORK_OSDS, NETWORK_SCDS };
enum control_loss { LOSS_KL, LOSS_LV };

/** A control given instead of the network's: of x at each of the k steps of the scan that is being
 *  recorded, t [k] being the time of that x, 1 at the prior and 0 at the target. For tests with a
 *  control that is known. First in the state of every method with a control; control NULL: none. */
struct oracle {
	struct var (*control)(const void *context, struct var x, const double *t, size_t k);
	const void *context;
};

struct controlled {
	struct oracle oracle;
	long steps, batch, iterations;
	int network, loss; /* enum control_network, control_loss */
	long width;
	double rate, rate_decay, clip_element, clip_norm, l2;
	bool average, scale_loss, score_gradient, published_forward;
	bool through; /* no option: the score is differentiated whatever the variant says */
	double noise_clip, control_clip, max_cost;

	/* What the method itself records, given the whole state: paths from the prior in k steps, as
	 * the loss of training or for evaluation, and from exact samples (the input "x_exact")
	 * backwards. */
	struct graph *(*paths)(const void *state, struct cell *c, size_t k, bool training,
		struct arena *a);
	struct graph *(*forward)(const void *state, struct cell *c, size_t k, bool published,
		struct arena *a);
	struct control_net net;
	struct sde_net sde;
	struct clips clips;
	struct learner learner;
	struct graph *record;
	size_t rows_left_out, updates_left_out; /* since they were last reported */
};

/** Table entries for the fields of a struct controlled called `base` in `type`; and parts of them, for a
 *  method to which the rest means nothing. */
#define CONTROLLED_OPTIONS(type) \
	CONTROLLED_TRAINING(type), CONTROLLED_OPTIMISER(type), CONTROLLED_VARIANT(type)
#define CONTROLLED_TRAINING(type)                                                          \
	{ "iterations", OPTION_INT, offsetof(type, base.iterations), "40000", 1, 1e9, "",  \
		"training iterations", NULL },                                             \
		{ "batch", OPTION_INT, offsetof(type, base.batch), "1024", 1, 1e6, "rows", \
			"paths an iteration", NULL },                                      \
	{                                                                                  \
		"steps", OPTION_INT, offsetof(type, base.steps), "128", 2, 65536, "",      \
			"steps in training", NULL                                          \
	}
#define CONTROLLED_OPTIMISER(type)                                                                 \
	{ "width", OPTION_INT, offsetof(type, base.width), "64", 1, 4096, "",                      \
		"hidden units of network scds (osds has 64)", NULL },                              \
		{ "rate", OPTION_REAL, offsetof(type, base.rate), "5e-4", 0, 1, "",                \
			"learning rate of Adam", NULL },                                           \
		{ "rate_decay", OPTION_REAL, offsetof(type, base.rate_decay), "1", 1e-9, 1, "",    \
			"factor by which the rate falls in all, a step every 100 updates", NULL }, \
		{ "clip_element", OPTION_REAL, offsetof(type, base.clip_element), "1", 0, 1e9, "", \
			"largest element of the gradient; 0: none", NULL },                        \
		{ "clip_norm", OPTION_REAL, offsetof(type, base.clip_norm), "0", 0, 1e9, "",       \
			"norm of the gradient, in the place of clip_element; 0: none", NULL },     \
		{ "l2", OPTION_REAL, offsetof(type, base.l2), "0", 0, 1, "",                       \
			"times the parameters, added to the gradient", NULL },                     \
		{ "scale_loss", OPTION_BOOL, offsetof(type, base.scale_loss), "false", 0, 0, "",   \
			"divide the gradient by the dimension", NULL },                            \
		{ "average", OPTION_BOOL, offsetof(type, base.average), "false", 0, 0, "",         \
			"evaluate a moving average over the last 1500 updates", NULL },            \
	{                                                                                          \
		"control_clip", OPTION_REAL, offsetof(type, base.control_clip), "10", 1e-6, 1e9,   \
			"",                                                                        \
			"first bound on network and score, in network scds; 5 times after 200 "    \
			"updates, again after 400",                                                \
			NULL                                                                       \
	}
#define CONTROLLED_VARIANT(type)                                                                   \
	{ "network", OPTION_CHOICE, offsetof(type, base.network), "osds", 0, 0, "",                \
		"control network of which code family", controlled_networks },                     \
		{ "loss", OPTION_CHOICE, offsetof(type, base.loss), "kl", 0, 0, "",                \
			"mean cost along paths that carry the gradient, or variance of the cost "  \
			"along paths that do not",                                                 \
			controlled_losses },                                                       \
		{ "max_cost", OPTION_REAL, offsetof(type, base.max_cost), "0", 0, 1e30, "",        \
			"paths that cost so much are left out of the loss lv; 0: "                 \
			"none",                                                                    \
			NULL },                                                                    \
		{ "score_gradient", OPTION_BOOL, offsetof(type, base.score_gradient), "false", 0,  \
			0, "", "the score in the control carries gradient too", NULL },            \
		{ "noise_clip", OPTION_REAL, offsetof(type, base.noise_clip), "4", 0, 100, "",     \
			"largest element of the noise in training; 0: none", NULL },               \
	{                                                                                          \
		"published_forward", OPTION_BOOL, offsetof(type, base.published_forward), "false", \
			0, 0, "", "released target-to-prior pass: its weights are not exact", NULL \
	}
extern const char *const controlled_networks[], *const controlled_losses[];

/** The variant's settings in the SCDS paper, for presets; and those of the optimiser alone. */
#define CONTROLLED_SCDS_OPTIMISER                                                  \
	"batch=512,rate=0.005,rate_decay=0.02,clip_element=0,clip_norm=1,l2=1e-7," \
	"scale_loss=true,average=true"
#define CONTROLLED_SCDS           \
	CONTROLLED_SCDS_OPTIMISER \
	",iterations=20000,network=scds,loss=lv,max_cost=1e8,score_gradient=true,noise_clip=0"

/** The same with the loss of its "basic" solvers. */
#define CONTROLLED_KL ",loss=kl,max_cost=0,control_clip=1e4"
#define CONTROLLED_SCDS_KL CONTROLLED_SCDS CONTROLLED_KL

/** Rows of a table of notes that several methods have. */
#define CONTROLLED_NOTE_JAX                                                                   \
	{                                                                                     \
		"noise_clip", "JAX codes: noise and prior are clipped at 4 deviations in "    \
			      "evaluation too, so that weights are slightly off. Here in "    \
			      "training alone (the noise by noise_clip), and the prior of a " \
			      "flow."                                                         \
	}
#define CONTROLLED_NOTE_FLOW                                                                    \
	{                                                                                       \
		"pass ode",                                                                     \
			"The log weights released along the flow are none: no bound, and "      \
			"biased. Metrics named _df score them, and are marked; elbo_exact and " \
			"logz_exact beside them are those of the change of variables."          \
	}
#define CONTROLLED_NOTE_PRIOR                                                                  \
	{                                                                                      \
		"kept", "SCDS and sde_sampler: the prior is truncated at its quantiles of "    \
			"1e-4, its density is not. So in training, unless it is kl's, and in " \
			"flows; weights start from the whole prior."                           \
	}
#define CONTROLLED_NOTE_KL                                                                     \
	{                                                                                      \
		"preset=scds-paper-kl", "Loss kl, the whole prior, no bound on the cost. The " \
					"bounds on network and score start at the released "   \
					"1e4, but grow after 200 updates."                     \
	}

/** Rows of a table of presets: prior and learning rate a target, which the OSDS repository gives OSDS and
 *  its DIS alike. */
#define CONTROLLED_OSDS_PRESETS(paper)                                                          \
	{ paper, "gmm40_2d", "sigma0=40,rate=1e-4" }, { paper, "gmm40_50d", "sigma0=40" },      \
		{ paper, "gmm10_2d", "sigma0=15" }, { paper, "student10_50d", "sigma0=15" },    \
		{ paper, "many_well_5", "sigma0=0.1,rate=1e-5" },                               \
		{ paper, "brownian", "sigma0=0.1" }, { paper, "lgcp", "sigma0=0.1,rate=1e-4" }, \
	{                                                                                       \
		paper, "planar_robot", "sigma0=2,rate=1e-3"                                     \
	}

/** The method's init(): lay out and initialise net and learner, record the loss. form and
 *  step_conditioned as in sde_net_layout and control_net_layout; paths and forward as in struct
 *  controlled. */
int controlled_init(void *state, struct cell *c, enum control_form form, bool step_conditioned,
	struct graph *(*paths)(const void *state, struct cell *c, size_t k, bool training,
		struct arena *a),
	struct graph *(*forward)(const void *state, struct cell *c, size_t k, bool published,
		struct arena *a));

/** The learner of the variant with n_params parameters, which are to be initialised; then
 *  controlled_start_average, where training averages. */
void controlled_learner(struct controlled *base, size_t n_params, struct cell *c);
void controlled_start_average(struct controlled *base, struct cell *c);

/** ERR_RANGE when published_forward is asked of a method of which no such pass has been released. */
int controlled_unpublished(const struct controlled *base, const char *method);

/** OK when a loss kl can differentiate the target's score; else ERR_UNSUP. */
int controlled_has_hessian(const struct cell *c);

/** One update on the graph's loss; returns the loss as trained on. */
double controlled_update(struct controlled *base, struct graph *g, struct graph_args *args,
	size_t dim);

/** The running totals of what updates left out, as curves: rows that cost more than max_cost or are not
 *  finite, and whole updates whose loss or gradient is not finite. Once an iteration. */
void controlled_left_out(struct controlled *base, struct cell *c, long it);

/** Before any use of the network: moves the clips to where the updates so far have brought them. */
void controlled_ready(struct controlled *base);

/** Draw with the parameters that evaluation has: paths from the prior, and back from exact samples
 *  unless that is NULL. */
void controlled_run(struct controlled *base, struct cell *c, struct graph *paths,
	struct graph *back, uint32_t repeat, struct draws *d);

/* Hooks of struct method. Training is one update on the loss an iteration, reported as the curve
 * "loss". The graphs are "loss", "sde", "sde_forward" and "sde_forward_published". */
long controlled_iterations(const void *state);
int controlled_train(void *state, struct cell *c, long it);
int controlled_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d);
struct graph *controlled_graph(void *state, struct cell *c, const char *what, size_t steps,
	struct arena *a);
real *controlled_params(void *state, size_t *n);
void controlled_keep(void *state, struct checkpoint *k);

/** The hooks of a method that overrides none of them; and those of training alone. */
#define CONTROLLED_HOOKS CONTROLLED_TRAINS, .sample = controlled_sample, .graph = controlled_graph
#define CONTROLLED_TRAINS                                               \
	.iterations = controlled_iterations, .train = controlled_train, \
	.params = controlled_params, .keep = controlled_keep

/** For each of n rows a step length of 2, 4, ... or `steps` steps, a power of two, all equally likely,
 *  and a place on the grid of that length, in steps from the prior. r: purpose RNG_LEVEL. Where OSDS and
 *  SCDS distil. */
void controlled_levels(struct rng r, size_t steps, size_t n, uint32_t *place, uint32_t *length);

/** OK when the steps of training are a power of two and a multiple of `steps`; else ERR_RANGE, for an
 *  option "steps" of the method of that name. */
int controlled_divides(const char *method, long training, size_t steps);

/** What a control sees. A var with g == NULL is absent. */
struct sight {
	struct var x;
	struct var time;   /* as the network wants it: controlled_time */
	struct var length; /* of the step, where the network is step-conditioned */
	struct var score;  /* the score feature, from controlled_score and the prior's score */
	struct var sigma; /* CONTROL_LERP of network scds: factor on the feature behind its clips */
	const double *t;  /* [k] of the scan's steps, for the oracle */
	size_t k;
};

/** The control with the parameters of `set`, labelled nothing. In network osds the feature is constant
 *  under differentiation. */
struct var controlled_control(const struct controlled *base, int set, struct sight s);

/** The time that the network sees at t in [0, 1], 1 at the prior: a code of the training's steps
 *  counted from the target, or the time since the prior on [0, horizon]. */
double controlled_time(const struct controlled *base, double t, double horizon);

/** The same of a value, with a horizon of 1. */
struct var controlled_time_of(const struct controlled *base, struct var t);

/** grad log rho(x), which carries gradient where the variant says so. */
struct var controlled_score(const struct controlled *base, struct var x);

/** A standard normal prior state, labelled "prior". Training clips or truncates it as published, so
 *  does a deterministic flow (`bounded`); weights are exact for the others. */
struct var controlled_prior(const struct controlled *base, struct graph *g, bool training,
	bool bounded, size_t dim);

/** The noise of a step: clipped in training, as published, and not in evaluation, so that weights are
 *  exact. Labelled "noise". */
struct var controlled_noise(const struct controlled *base, struct graph *g, bool training,
	size_t dim);

/** What a target-to-prior pass begins with. */
struct noising {
	struct graph *g;
	struct var start;  /* the input "x_exact" */
	struct var x, eps; /* in the scan: the state, from `start` on, and the noise of its step */
};

/** Begin one of k steps in a graph of its own, in the arena, and leave its scan open. Labels "x", "noise". */
struct noising controlled_noising(struct cell *c, size_t k, struct arena *a);

/** What the control adds to the path: u, constant where the loss is the log variance. */
struct var controlled_push(const struct controlled *base, bool training, struct var u);

/** The running cost |u - r|^2 / 2, r the reference's control or absent. With the log variance it is
 *  (u - r).(u' - (u + r)/2) with u' = u held constant: the same value, the gradient of the loss along a
 *  path that is given. */
struct var controlled_energy(const struct controlled *base, bool training, struct var u,
	struct var r);

/** Label the costs; log w = -(running + stochastic + terminal). The loss is the mean of running +
 *  terminal, or the variance of all three. */
void controlled_conclude(const struct controlled *base, struct var running, struct var stochastic,
	struct var terminal);

#endif
