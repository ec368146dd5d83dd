#ifndef STRIDE_RUN_REVERSAL_H
#define STRIDE_RUN_REVERSAL_H

#include "run/controlled.h"

/**
 * The time-reversed diffusion: what DIS, SCDS and the teacher of CDDS share. The noising process dX =
 * -b X dt + sigma dW, sigma = sigma0 sqrt(2 b), leaves the prior N(0, sigma0^2 I) invariant; its reversal
 * is learned as a control u, with t from 1 (prior) to 0 (target):
 *
 *     x' = x + (b x + sigma u) dt + s eps,  s = sigma sqrt(dt)                                  (1)
 *     log w = log rho(x_0) - log p0(x_N) + sum [ log B(x; x') - log N(x'; x + (b x + sigma u) dt, s^2) ]
 *     B(x; x') = N(x; x' - b x' dt, s^2)                                             kernels    (2)
 *     log w = log rho(x_0) - log p0(x_N) - sum [ |u|^2 dt/2 + u.eps sqrt(dt) - D B ],
 *     B = b dt, or the integral of b                                           line integral    (3)
 *     x' = x + (b x + sigma u/2) dt                                    probability flow         (4)
 *
 * (2) is exact in discrete time, (3) as dt -> 0 only. The control's feature is
 *
 *     (1 - t) grad log rho                                           FEATURE_TARGET
 *     sigma [ (1 - t) grad log rho + t grad log p0 ]                 FEATURE_BRIDGE             (5)
 *
 * in network scds without sigma, which multiplies the feature behind its clip.
 */
enum reversal_form { FORM_KERNEL, FORM_LINE };
enum reversal_feature { FEATURE_TARGET, FEATURE_BRIDGE };
enum reversal_schedule { B_COSINE, B_LINEAR };
enum reversal_volume { VOLUME_START, VOLUME_INTEGRAL };

/** First in a method's state. */
struct reversal {
	struct controlled base;
	int form, feature, schedule, volume; /* the enums above; form is the loss's */
	double sigma0, beta_min, beta_max;
	bool end_coefficients, published_sign;
};

/** Table entries for a state that begins with a struct reversal; CONTROLLED_OPTIONS among them. */
#define REVERSAL_OPTIONS                                                                           \
	CONTROLLED_OPTIONS(struct reversal),                                                       \
		{ "form", OPTION_CHOICE, offsetof(struct reversal, form), "kernel", 0, 0, "",      \
			"weight in the loss: ratio of kernels, or line integral",                  \
			reversal_forms },                                                          \
		{ "feature", OPTION_CHOICE, offsetof(struct reversal, feature), "target", 0, 0,    \
			"", "score in the control: the target's, or interpolated to the prior's",  \
			reversal_features },                                                       \
		{ "sigma0", OPTION_REAL, offsetof(struct reversal, sigma0), "1", 1e-6, 1e6, "",    \
			"standard deviation of the prior", NULL },                                 \
		{ "schedule", OPTION_CHOICE, offsetof(struct reversal, schedule), "cosine", 0, 0,  \
			"", "b over time", reversal_schedules },                                   \
		{ "beta_min", OPTION_REAL, offsetof(struct reversal, beta_min), "0.01", 1e-9, 1e3, \
			"", "twice b at the target", NULL },                                       \
		{ "beta_max", OPTION_REAL, offsetof(struct reversal, beta_max), "10", 1e-9, 1e3,   \
			"", "twice b at the prior", NULL },                                        \
		{ "volume", OPTION_CHOICE, offsetof(struct reversal, volume), "start", 0, 0, "",   \
			"divergence of the line integral: b at a step's start, or integrated",     \
			reversal_volumes },                                                        \
		{ "end_coefficients", OPTION_BOOL, offsetof(struct reversal, end_coefficients),    \
			"false", 0, 0, "",                                                         \
			"noising kernel of the loss with b and sigma at the step's end", NULL },   \
	{                                                                                          \
		"published_sign", OPTION_BOOL, offsetof(struct reversal, published_sign), "false", \
			0, 0, "",                                                                  \
			"noising kernel of the loss with the released code's sign, which is "      \
			"wrong",                                                                   \
			NULL                                                                       \
	}
extern const char *const reversal_forms[],
	*const reversal_features[], *const reversal_schedules[], *const reversal_volumes[];

/** The variant's settings in the SCDS paper but for its form, for presets. */
#define REVERSAL_SCDS   \
	CONTROLLED_SCDS \
	",feature=bridge,schedule=linear,beta_min=0.1,volume=integral"

/** A row of a table of notes: the weights of eq. 3. */
#define REVERSAL_NOTE_LINE                                                                        \
	{                                                                                         \
		"pass line",                                                                      \
			"Log weights by the line integral, as released: exact only as steps "     \
			"get short. Those of the pass sde, of the same paths, are exact for any " \
			"number of steps."                                                        \
	}

/** The coefficients of steps: of a scan, or of rows with a time and a length of their own. */
struct reversal_step {
	struct var time, t, dt; /* as the network sees it; 1 at the prior; length */
	struct var pull, sigma; /* b dt, sigma */
	/* Of a scan only: s of eq. 1, 1/s, sqrt(dt); D B of eq. 3 over D; b' dt, 1/s'^2 and log(s'/s)
	 * of the kernel of eq. 2. */
	struct var s, inverse, root, volume, pull_back, precision_back, log_ratio;
	const double *times; /* t of each */
	size_t k;            /* steps of the scan; 0: rows */
};

/** b and sigma at t. */
double reversal_b(const struct reversal *r, double t);
double reversal_sigma(const struct reversal *r, double t);

/** The integral of b from 0 to t. */
double reversal_integral(const struct reversal *r, double t);

/** The k steps of a scan, from the prior or to it. end: the kernel of eq. 2 has the coefficients of the
 *  step's end. */
struct reversal_step reversal_scan(const struct reversal *r, struct graph *g, size_t k,
	bool to_prior, bool end, struct arena *a);

/** The control with the parameters of `set`: the network at x, eq. 5 at `seen`, labelled "feature" in a
 *  scan. */
struct var reversal_control(const struct reversal *r, int set, struct reversal_step m, struct var x,
	struct var seen);

/** What eq. 1 (share = 1) and eq. 4 (share = 1/2) add to x, noise apart. */
struct var reversal_drift(struct reversal_step m, struct var x, struct var u, double share);

/** n steps of the flow of eq. 4 in k, from step `first` on, as the scan of g, with the parameters of
 *  `set`: where they end. Labels in the body: the state before a step "x", behind it "next". */
struct var reversal_flow(const struct reversal *r, struct graph *g, int set, struct var start,
	size_t k, size_t first, size_t n, struct arena *a);

/** The hook flow(): eq. 4. */
struct graph *reversal_part(void *state, struct cell *c, size_t k, size_t first, size_t n,
	const real **params, struct arena *a);

/** The hook map() of passes called "ode": eq. 4. */
int reversal_map(void *state, struct cell *c, const struct pass *pass, size_t k, size_t step,
	struct flow_map *out, struct arena *a);

/* For controlled_init: paths from the prior by eq. 1 and along the noising process from exact samples, with
 * the weights of the option `form`; in evaluation kernels are the noising process's own whatever the
 * options say. There is no released target-to-prior pass in general. */
struct graph *reversal_paths(const void *state, struct cell *c, size_t k, bool training,
	struct arena *a);
struct graph *reversal_forward(const void *state, struct cell *c, size_t k, bool published,
	struct arena *a);

/** The hook graph(): controlled_graph's and "ode". */
struct graph *reversal_graph(void *state, struct cell *c, const char *what, size_t steps,
	struct arena *a);

/** The hook sample() of passes called "ode": along the flow; "sde" and "line": by eq. 1 with the weights
 *  of eq. 2 and of eq. 3, and with the target-to-prior pass. */
int reversal_sample(void *state, struct cell *c, const struct pass *pass, size_t steps,
	uint32_t repeat, struct draws *d);

#endif
